// ap_int<W> and ap_uint<W>: integers of W bits. What is supported: bitsmith_fixed.h.
#ifndef BITSMITH_AP_INT_H
#define BITSMITH_AP_INT_H

#include "bitsmith_fixed.h"

template <int W>
using ap_int = bitsmith::fixed<bitsmith::Vendor::AP, W, W, true>;
template <int W>
using ap_uint = bitsmith::fixed<bitsmith::Vendor::AP, W, W, false>;

#endif
