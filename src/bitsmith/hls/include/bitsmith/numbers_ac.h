// SPDX-License-Identifier: Apache-2.0
// The few things that kernels need and that are spelled differently per family of types: here ac_fixed and ac_int.
#ifndef BITSMITH_KERNELS_NUMBERS_H
#define BITSMITH_KERNELS_NUMBERS_H

namespace kernels {

/// A signed integer of W bits.
template <int W> using integer = ac_int<W, true>;

/// An integer of W bits without a sign.
template <int W> using natural = ac_int<W, false>;

/// Width and fractional bits of a fixed-point type, and a signed type with one more bit that holds its values.
template <class T> struct format {
    static const int width = T::width;
    static const int fraction = T::width - T::i_width;
    typedef ac_fixed<T::width + 1, T::i_width + 1, true> wider;
};

/// The bits of x as a number: x * 2**fraction.
template <class T> integer<format<T>::width + 1> raw(const T &x) {
    const typename format<T>::wider wide = x;
    return wide.template slc<format<T>::width + 1>(0);
}

/// The number that has the low bits of n: n * 2**-fraction.
template <class T, int W> T from_integer(const integer<W> &n) {
    const integer<format<T>::width + 1> bits = n;
    typename format<T>::wider wide = 0;
    wide.set_slc(0, bits);
    return wide;
}

} // namespace kernels

#include "raw.h"

#endif
