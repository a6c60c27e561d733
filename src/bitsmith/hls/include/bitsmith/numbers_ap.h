// The few things that kernels need and that are spelled differently per family of types: here ap_fixed and ap_int.
#ifndef BITSMITH_NUMBERS_H
#define BITSMITH_NUMBERS_H

#include <ap_fixed.h>
#include <ap_int.h>

namespace bitsmith {

/// A signed integer of W bits.
template <int W> using integer = ap_int<W>;

/// Width and fractional bits of a fixed-point type, and the integer type that has its bits.
template <class T> struct format;

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct format<ap_fixed<W, I, Q, O, N>> {
    static const int width = W;
    static const int fraction = W - I;
    typedef ap_int<W> bits;
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct format<ap_ufixed<W, I, Q, O, N>> {
    static const int width = W;
    static const int fraction = W - I;
    typedef ap_uint<W> bits;
};

/// The bits of x as a number: x * 2**fraction.
template <class T> integer<format<T>::width + 1> raw(const T &x) {
    const ap_uint<format<T>::width> plain = x.range(format<T>::width - 1, 0);
    const typename format<T>::bits bits = plain;
    return bits;
}

/// The number that has the low bits of n: n * 2**-fraction.
template <class T, int W> T from_integer(const integer<W> &n) {
    const ap_uint<format<T>::width> bits = n;
    T x = 0;
    x.range(format<T>::width - 1, 0) = bits;
    return x;
}

} // namespace bitsmith

#include "raw.h"

#endif
