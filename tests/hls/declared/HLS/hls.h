// The Intel HLS compiler's attributes, each as a mark that a reader finds where it stands.
#pragma once
#include "../numbers.h"
#define component static_assert(true, "component");
#define hls_register static_assert(true, "hls_register");
#define hls_init_on_powerup static_assert(true, "hls_init_on_powerup");
#define hls_component_ii(cycles) static_assert(true, "hls_component_ii(" #cycles ")");
#define hls_max_concurrency(calls) static_assert(true, "hls_max_concurrency(" #calls ")");
#define hls_scheduler_target_fmax_mhz(mhz) static_assert(true, "hls_scheduler_target_fmax_mhz(" #mhz ")");

namespace ihc {
template <int> struct buffer;
template <bool> struct usesPackets;
template <class T, class... OPTIONS> struct stream : declared::queue<T> {};
template <class T, class... OPTIONS> struct stream_in : declared::queue<T> {};
template <class T, class... OPTIONS> struct stream_out : declared::queue<T> {};
template <auto &FUNCTION, class... ARGUMENTS> void launch(ARGUMENTS &&...);
template <auto &FUNCTION> void collect();
} // namespace ihc
