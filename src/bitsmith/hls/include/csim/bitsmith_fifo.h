// The FIFO under hls::stream and ac_channel, for one thread: it never fills, and a read of nothing is an error.
#ifndef BITSMITH_FIFO_H
#define BITSMITH_FIFO_H

#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

namespace bitsmith {

template <class T>
class fifo {
    std::deque<T> items_;
    std::string name_;

public:
    explicit fifo(std::string name) : name_(std::move(name)) {}
    fifo(const fifo&) = delete;
    fifo& operator=(const fifo&) = delete;

    std::size_t size() const { return items_.size(); }
    void put(const T& v) { items_.push_back(v); }
    bool take(T& v) {
        if (items_.empty()) return false;
        v = items_.front();
        items_.pop_front();
        return true;
    }
    // A design that waits for data that never comes would hang in hardware.
    void must_take(T& v) {
        if (!take(v)) throw std::underflow_error("read from the empty stream " + name_);
    }
};

}  // namespace bitsmith

#endif
