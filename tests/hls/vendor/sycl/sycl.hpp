// What generated code uses of SYCL and of its extensions for FPGAs: tasks run at once, pipes hold all.
#ifndef VENDOR_SYCL_HPP
#define VENDOR_SYCL_HPP

#include <deque>

namespace sycl {

struct queue {
    template <class Selector> explicit queue(const Selector &) {}
    template <class Name, class Kernel> void single_task(const Kernel &kernel) { kernel(); }
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

template <class Name, class T, int Capacity = 0, class Properties = void> struct pipe {
    static inline std::deque<T> held;
    static void write(const T &v) { held.push_back(v); }
    static void write(queue &, const T &v) { write(v); }
    static T read() {
        const T v = held.at(0);
        held.pop_front();
        return v;
    }
    static T read(queue &) { return read(); }
};

template <auto &Function> struct task_sequence {
    template <class... A> void async(A... arguments) { Function(arguments...); }
    void get() {}
};

} // namespace experimental
} // namespace ext::intel
} // namespace sycl

#endif
