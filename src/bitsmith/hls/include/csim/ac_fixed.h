// ac_fixed<W, I, S, Q, O>: W bits, I of them integer bits. What is supported: bitsmith_fixed.h.
#ifndef BITSMITH_AC_FIXED_H
#define BITSMITH_AC_FIXED_H

#include "ac_int.h"

using ac_q_mode = bitsmith::Rounding;
using ac_o_mode = bitsmith::Overflow;

constexpr ac_q_mode AC_TRN = ac_q_mode::TRN;
constexpr ac_q_mode AC_TRN_ZERO = ac_q_mode::TRN_ZERO;
constexpr ac_q_mode AC_RND = ac_q_mode::RND;
constexpr ac_q_mode AC_RND_ZERO = ac_q_mode::RND_ZERO;
constexpr ac_q_mode AC_RND_INF = ac_q_mode::RND_INF;
constexpr ac_q_mode AC_RND_MIN_INF = ac_q_mode::RND_MIN_INF;
constexpr ac_q_mode AC_RND_CONV = ac_q_mode::RND_CONV;
constexpr ac_o_mode AC_WRAP = ac_o_mode::WRAP;
constexpr ac_o_mode AC_SAT = ac_o_mode::SAT;
constexpr ac_o_mode AC_SAT_ZERO = ac_o_mode::SAT_ZERO;
constexpr ac_o_mode AC_SAT_SYM = ac_o_mode::SAT_SYM;

template <int W, int I, bool S = true, ac_q_mode Q = AC_TRN, ac_o_mode O = AC_WRAP>
using ac_fixed = bitsmith::fixed<bitsmith::Vendor::AC, W, I, S, Q, O>;

#endif
