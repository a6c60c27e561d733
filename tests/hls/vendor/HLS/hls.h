// What generated code uses of the Intel HLS compiler, where a component is an ordinary function.
#define component
#define hls_register
#define hls_component_ii(cycles) static_assert(cycles == 1, "a sample per cycle");

#include <hls_stream.h>

namespace ihc {
template <int Places> struct buffer {};
template <class T, class... Options> using stream = hls::stream<T>;
template <class T, class... Options> using stream_in = hls::stream<T>;
template <class T, class... Options> using stream_out = hls::stream<T>;
} // namespace ihc
#define hls_scheduler_target_fmax_mhz(mhz) static_assert(mhz > 0, "a clock");
