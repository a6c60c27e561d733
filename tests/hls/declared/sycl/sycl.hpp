// What generated kernels name of SYCL.
#pragma once
#include "../numbers.h"
namespace sycl {
struct queue {
    template <class SELECTOR> explicit queue(SELECTOR);
    template <class ID, class KERNEL> void single_task(const KERNEL &);
    void wait();
};
namespace ext::oneapi::experimental {
struct properties_tag {};
template <class... ALL> struct properties {
    properties(ALL...);
};
} // namespace ext::oneapi::experimental
namespace ext::intel {
inline constexpr int fpga_simulator_selector_v = 0, fpga_selector_v = 1, fpga_emulator_selector_v = 2;
template <class ID, class T, int DEPTH = 0> struct pipe {
    static T read();
    static void write(const T &);
};
namespace experimental {
template <int N> struct ready_latency_key {};
template <int N> inline constexpr ready_latency_key<N> ready_latency;
template <int N> inline constexpr ready_latency_key<N> bits_per_symbol;
template <int N = -1> inline constexpr ready_latency_key<N> pipelined;
template <int N> inline constexpr ready_latency_key<N> invocation_capacity;
template <int N> inline constexpr ready_latency_key<N> response_capacity;
template <int N = 0> inline constexpr ready_latency_key<N> streaming_interface;
template <bool N> inline constexpr ready_latency_key<N> uses_valid;
template <class ID, class T, int DEPTH = 0, class... PROPERTIES> struct pipe {
    static T read();
    static T read(queue &);
    static void write(const T &);
    static void write(queue &, const T &);
};
template <auto &FUNCTION, class... PROPERTIES> struct task_sequence {
    template <class... ARGUMENTS> void async(ARGUMENTS &&...);
    void get();
};
} // namespace experimental
} // namespace ext::intel
} // namespace sycl
