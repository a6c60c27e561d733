// ac_int<W, S>: integers of W bits. What is supported: bitsmith_fixed.h.
#ifndef BITSMITH_AC_INT_H
#define BITSMITH_AC_INT_H

#include "bitsmith_fixed.h"

template <int W, bool S = true>
using ac_int = bitsmith::fixed<bitsmith::Vendor::AC, W, W, S>;

#endif
