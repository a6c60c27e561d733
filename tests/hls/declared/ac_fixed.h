#ifndef BITSMITH_DECLARED_AC_FIXED_H
#define BITSMITH_DECLARED_AC_FIXED_H
#include "ac_int.h"

enum ac_q_mode { AC_TRN, AC_RND, AC_TRN_ZERO, AC_RND_ZERO, AC_RND_INF, AC_RND_MIN_INF, AC_RND_CONV, AC_RND_CONV_ODD };
enum ac_o_mode { AC_WRAP, AC_SAT, AC_SAT_ZERO, AC_SAT_SYM };

template <int W, int I, bool S = true, ac_q_mode Q = AC_TRN, ac_o_mode O = AC_WRAP>
struct ac_fixed : declared::number<W, I> {
    using declared::number<W, I>::number;
};
#endif
