#ifndef BITSMITH_DECLARED_AC_INT_H
#define BITSMITH_DECLARED_AC_INT_H
#include "numbers.h"

template <int W, bool S = true> struct ac_int : declared::number<W, W> {
    using declared::number<W, W>::number;
};
#endif
