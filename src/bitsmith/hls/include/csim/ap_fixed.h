// ap_fixed<W, I, Q, O> and ap_ufixed<W, I, Q, O>: W bits, I of them integer bits. What is supported: bitsmith_fixed.h.
#ifndef BITSMITH_AP_FIXED_H
#define BITSMITH_AP_FIXED_H

#include "ap_int.h"

using ap_q_mode = bitsmith::Rounding;
using ap_o_mode = bitsmith::Overflow;

constexpr ap_q_mode AP_TRN = ap_q_mode::TRN;
constexpr ap_q_mode AP_TRN_ZERO = ap_q_mode::TRN_ZERO;
constexpr ap_q_mode AP_RND = ap_q_mode::RND;
constexpr ap_q_mode AP_RND_ZERO = ap_q_mode::RND_ZERO;
constexpr ap_q_mode AP_RND_INF = ap_q_mode::RND_INF;
constexpr ap_q_mode AP_RND_MIN_INF = ap_q_mode::RND_MIN_INF;
constexpr ap_q_mode AP_RND_CONV = ap_q_mode::RND_CONV;
constexpr ap_o_mode AP_WRAP = ap_o_mode::WRAP;
constexpr ap_o_mode AP_SAT = ap_o_mode::SAT;
constexpr ap_o_mode AP_SAT_ZERO = ap_o_mode::SAT_ZERO;
constexpr ap_o_mode AP_SAT_SYM = ap_o_mode::SAT_SYM;

// N, the number of saturated bits of AP_WRAP, is accepted where it changes nothing: as 0.
template <int N>
constexpr ap_o_mode bitsmith_overflow(ap_o_mode mode) {
    static_assert(N == 0, "AP_WRAP with saturated bits is not supported");
    return mode;
}

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_fixed = bitsmith::fixed<bitsmith::Vendor::AP, W, I, true, Q, bitsmith_overflow<N>(O)>;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_ufixed = bitsmith::fixed<bitsmith::Vendor::AP, W, I, false, Q, bitsmith_overflow<N>(O)>;

#endif
