// SPDX-License-Identifier: Apache-2.0
// Moves elements; no arithmetic, so it costs wires only.
#ifndef BITSMITH_KERNELS_WIRING_H
#define BITSMITH_KERNELS_WIRING_H

namespace kernels {

/// The same elements in another type that holds them all.
template <int N, class X, class R> void copy(const X x[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = x[i];
    }
}

/// result[i] = x[source[i]], or 0 where source[i] is negative.
template <int N, class X, class SOURCE, class R> void wire(const X x[], const SOURCE source[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        if (source[i] < 0) {
            result[i] = 0;
        } else {
            result[i] = x[source[i]];
        }
    }
}

/// One operand of a concatenation: rows of NX elements become elements OFFSET.. of rows of NR.
template <int ROWS, int NX, int NR, int OFFSET, class X, class R> void concat(const X x[ROWS * NX], R result[ROWS * NR]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int row = 0; row < ROWS; row++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int i = 0; i < NX; i++) {
            BITSMITH_UNROLL
            result[row * NR + OFFSET + i] = x[row * NX + i];
        }
    }
}

/// The same bits with the binary point moved: x * 2**amount[i].
template <int N, int NA, class X, class AMOUNT, class R> void shift(const X x[N], const AMOUNT amount[NA], R result[N]) {
    BITSMITH_INLINE
    const int width = format<X>::width + format<R>::width + 1;
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const integer<width> bits = raw(x[i]);
        const int left = format<R>::fraction - format<X>::fraction + amount[i % NA];
        result[i] = from_integer<R, width>(left >= 0 ? bits << left : bits >> -left);
    }
}

} // namespace kernels

#endif
