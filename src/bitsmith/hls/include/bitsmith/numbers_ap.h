// SPDX-License-Identifier: Apache-2.0
// The few things that kernels need and that are spelled differently per family of types: here ap_fixed and ap_int.
#ifndef BITSMITH_KERNELS_NUMBERS_H
#define BITSMITH_KERNELS_NUMBERS_H

namespace kernels {

/// A signed integer of W bits.
template <int W> using integer = ap_int<W>;

/// An integer of W bits without a sign.
template <int W> using natural = ap_uint<W>;

/// Width and fractional bits of a fixed-point type, and a signed type with one more bit that holds its values.
template <class T> struct format {
    static const int width = T::width;
    static const int fraction = T::width - T::iwidth;
    typedef ap_fixed<T::width + 1, T::iwidth + 1> wider;
};

/// The bits of x as a number: x * 2**fraction.
template <class T> integer<format<T>::width + 1> raw(const T &x) {
    const typename format<T>::wider wide = x;
    const ap_uint<format<T>::width + 1> bits = wide.range(format<T>::width, 0);
    return bits;
}

/// The number that has the low bits of n: n * 2**-fraction.
template <class T, int W> T from_integer(const integer<W> &n) {
    const ap_uint<format<T>::width> bits = n;
    T x = 0;
    x.range(format<T>::width - 1, 0) = bits;
    return x;
}

} // namespace kernels

#include "raw.h"

#endif
