// ac_channel<T>: a FIFO between functions that run one after another. Its depth is unlimited in C simulation.
#ifndef BITSMITH_AC_CHANNEL_H
#define BITSMITH_AC_CHANNEL_H

#include "bitsmith_fifo.h"

template <class T>
class ac_channel {
    bitsmith::fifo<T> fifo_{"(ac_channel)"};

public:
    using element_type = T;

    ac_channel() = default;

    bool empty() const { return fifo_.size() == 0; }
    bool available(unsigned count) const { return fifo_.size() >= count; }
    unsigned size() const { return static_cast<unsigned>(fifo_.size()); }
    void write(const T& v) { fifo_.put(v); }
    bool nb_write(const T& v) {
        fifo_.put(v);
        return true;
    }
    void read(T& v) { fifo_.must_take(v); }
    T read() {
        T v;
        fifo_.must_take(v);
        return v;
    }
    bool nb_read(T& v) { return fifo_.take(v); }
};

#endif
