// hls::stream<T>: a FIFO between functions that run one after another. Its depth is unlimited in C simulation.
#ifndef BITSMITH_HLS_STREAM_H
#define BITSMITH_HLS_STREAM_H

#include "bitsmith_fifo.h"

namespace hls {

template <class T, int Depth = 0>
class stream;

template <class T>
class stream<T, 0> {
    bitsmith::fifo<T> fifo_;

public:
    using value_type = T;

    explicit stream(const char* name = "(without name)") : fifo_(name) {}

    bool empty() const { return fifo_.size() == 0; }
    bool full() const { return false; }
    std::size_t size() const { return fifo_.size(); }
    void write(const T& v) { fifo_.put(v); }
    void operator<<(const T& v) { fifo_.put(v); }
    bool write_nb(const T& v) {
        fifo_.put(v);
        return true;
    }
    void read(T& v) { fifo_.must_take(v); }
    void operator>>(T& v) { fifo_.must_take(v); }
    T read() {
        T v;
        fifo_.must_take(v);
        return v;
    }
    bool read_nb(T& v) { return fifo_.take(v); }
};

// A stream with a depth can be passed where one without is expected.
template <class T, int Depth>
class stream : public stream<T, 0> {
public:
    using stream<T, 0>::stream;
};

}  // namespace hls

#endif
