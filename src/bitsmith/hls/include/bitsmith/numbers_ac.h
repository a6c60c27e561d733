// The few things that kernels need and that are spelled differently per family of types: here ac_fixed and ac_int.
#ifndef BITSMITH_NUMBERS_H
#define BITSMITH_NUMBERS_H

#include <ac_fixed.h>
#include <ac_int.h>

namespace bitsmith {

/// A signed integer of W bits.
template <int W> using integer = ac_int<W, true>;

/// Width and fractional bits of a fixed-point type, and the integer type that has its bits.
template <class T> struct format;

template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O> struct format<ac_fixed<W, I, S, Q, O>> {
    static const int width = W;
    static const int fraction = W - I;
    typedef ac_int<W, S> bits;
};

/// The bits of x as a number: x * 2**fraction.
template <class T> integer<format<T>::width + 1> raw(const T &x) {
    return x.template slc<format<T>::width>(0);
}

/// The number that has the low bits of n: n * 2**-fraction.
template <class T, int W> T from_integer(const integer<W> &n) {
    const typename format<T>::bits bits = n;
    T x = 0;
    x.set_slc(0, bits);
    return x;
}

} // namespace bitsmith

#include "raw.h"

#endif
