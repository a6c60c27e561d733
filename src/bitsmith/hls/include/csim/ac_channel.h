// ac_channel<T>: a queue between functions that run one after another. Its depth is unlimited in C simulation.
#ifndef BITSMITH_AC_CHANNEL_H
#define BITSMITH_AC_CHANNEL_H

#include "bitsmith_queue.h"

template <class T>
class ac_channel {
    bitsmith::queue<T> queue_{"(ac_channel)"};

public:
    using element_type = T;

    ac_channel() = default;

    bool empty() const { return queue_.size() == 0; }
    bool available(unsigned count) const { return queue_.size() >= count; }
    unsigned size() const { return static_cast<unsigned>(queue_.size()); }
    void write(const T& v) { queue_.put(v); }
    bool nb_write(const T& v) {
        queue_.put(v);
        return true;
    }
    void read(T& v) { queue_.must_take(v); }
    T read() {
        T v;
        queue_.must_take(v);
        return v;
    }
    bool nb_read(T& v) { return queue_.take(v); }
};

#endif
