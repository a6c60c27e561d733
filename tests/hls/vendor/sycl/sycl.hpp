// What generated code uses of SYCL and of its extensions for FPGAs: kernels and tasks are threads, pipes hold all. Tasks that
// never end are left behind when the program does; so nothing that they wait for is ever destroyed.
#ifndef VENDOR_SYCL_HPP
#define VENDOR_SYCL_HPP

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace sycl {

struct queue {
    template <class Selector> explicit queue(const Selector &) {}
    template <class Name, class Kernel> void single_task(const Kernel &kernel) { std::thread(kernel).detach(); }
};

namespace ext::oneapi::experimental {
struct properties_tag {};
template <class... P> struct properties {
    explicit constexpr properties(P...) {}
};
} // namespace ext::oneapi::experimental

namespace ext::intel {

constexpr int fpga_emulator_selector_v = 0;
constexpr int fpga_simulator_selector_v = 1;
constexpr int fpga_selector_v = 2;

namespace experimental {

struct streaming_t {};
struct pipelined_t {};
template <int> struct latency_t {};
template <class = void> constexpr streaming_t streaming_interface{};
template <class = void> constexpr pipelined_t pipelined{};
template <int N> constexpr latency_t<N> ready_latency{};

template <class Name, class T, int Capacity = 0, class Properties = void> class pipe {
    struct places {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<T> items;
    };
    static inline places &held = *new places;

public:
    static void write(const T &item) {
        const std::lock_guard<std::mutex> lock(held.mutex);
        held.items.push_back(item);
        held.changed.notify_one();
    }
    static void write(queue &, const T &item) { write(item); }
    static T read() {
        std::unique_lock<std::mutex> lock(held.mutex);
        held.changed.wait(lock, [] { return !held.items.empty(); });
        const T item = held.items.front();
        held.items.pop_front();
        return item;
    }
    static T read(queue &) { return read(); }
};

/// The destructor waits for the task, which may be forever.
template <auto &Function> class task_sequence {
    std::thread task;

public:
    template <class... A> void async(A... arguments) { task = std::thread(Function, arguments...); }
    ~task_sequence() { task.join(); }
};

} // namespace experimental
} // namespace ext::intel
} // namespace sycl

#endif
