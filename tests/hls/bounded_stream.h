// Streams of as many places as they say, between threads: a design that locks up here would lock up in hardware.
#ifndef BOUNDED_STREAM_H
#define BOUNDED_STREAM_H

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace bounded {

/// Waits end after some seconds, for results to be wrong instead of never there.
template <class T, int PLACES> class stream {
    std::deque<T> items;
    std::mutex mutex;
    std::condition_variable changed;

    template <class READY> bool wait(std::unique_lock<std::mutex> &lock, READY ready) {
        return changed.wait_for(lock, std::chrono::seconds(5), ready);
    }

public:
    T read() {
        std::unique_lock<std::mutex> lock(mutex);
        T item = {};
        if (wait(lock, [&] { return !items.empty(); })) {
            item = items.front();
            items.pop_front();
        }
        changed.notify_all();
        return item;
    }
    void write(const T &item) {
        std::unique_lock<std::mutex> lock(mutex);
        if (wait(lock, [&] { return items.size() < PLACES; })) {
            items.push_back(item);
        }
        changed.notify_all();
    }
};

/// A process in a thread of its own, which ends before the function that started it does.
class process {
    std::thread thread;

public:
    template <class FUNCTION> explicit process(FUNCTION function) : thread(function) {}
    ~process() { thread.join(); }
};

} // namespace bounded

#endif
