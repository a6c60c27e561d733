// SPDX-License-Identifier: Apache-2.0
// The few things that kernels need and that are spelled differently per family of types: here @fixed@ and @int@.
#ifndef BITSMITH_KERNELS_NUMBERS_H
#define BITSMITH_KERNELS_NUMBERS_H

namespace kernels {

/// A signed integer of W bits.
template <int W> using integer = @integer@;

/// An integer of W bits without a sign.
template <int W> using natural = @natural@;

/// Width and fractional bits of a fixed-point type, and a signed type with one more bit that holds its values.
template <class T> struct format {
    static const int width = T::width;
    static const int fraction = T::width - T::@integer_bits@;
    typedef @wider@ wider;
};

/// The bits of x as a number: x * 2**fraction.
template <class T> integer<format<T>::width + 1> raw(const T &x) {
@raw@
}

/// The number that has the low bits of n: n * 2**-fraction.
template <class T, int W> T from_integer(const integer<W> &n) {
@from_integer@
}

} // namespace kernels

#include "raw.h"

#endif
