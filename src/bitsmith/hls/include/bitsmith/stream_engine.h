// SPDX-License-Identifier: Apache-2.0
// The row of multipliers on which layers take turns.
#ifndef BITSMITH_KERNELS_STREAM_ENGINE_H
#define BITSMITH_KERNELS_STREAM_ENGINE_H

namespace kernels {

/// The numbers that lanes have by themselves (``apart``): those of a row; or number ``single`` of it, which the last one is always.
template <int N, class T> void engine_numbers(const T row[N], int single, bool apart, T numbers[N + 1]) {
    BITSMITH_INLINE
    T one = row[0];
    BITSMITH_LOOP
    for (int k = 1; k < N; k++) {
        BITSMITH_UNROLL
        if (k == single) {
            one = row[k];
        }
    }
    BITSMITH_LOOP
    for (int k = 0; k < N; k++) {
        BITSMITH_UNROLL
        if (apart) {
            numbers[k] = row[k];
        } else {
            numbers[k] = one;
        }
    }
    numbers[N] = one;
}

/// The products of numbers, the last one for all further lanes, with a row of weights, of type W, added to the sums of the steps
/// before, if there are any (``more``); or, where a layer wants that (``greatest``), in so many lanes the greatest of them.
template <class W, class A, int LANES, int NUMBERS, int GREATEST, class X, class RAW>
void engine_step(const X numbers[NUMBERS], const RAW weights[LANES], bool more, bool greatest, A sums[LANES]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int lane = 0; lane < LANES; lane++) {
        BITSMITH_UNROLL
        const A product = numbers[lane < NUMBERS ? lane : NUMBERS - 1] * from_raw<W>(weights[lane]);
        A sum = product;
        if (lane < GREATEST && greatest) {
            if (more && product < sums[lane]) {
                sum = sums[lane];
            }
        } else if (more) {
            sum += sums[lane];
        }
        sums[lane] = sum;
    }
}

/// The first of some sums leaves: each takes the place of the one before.
template <int LANES, class A> void engine_leave(A leaving[LANES]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int lane = 0; lane < LANES - 1; lane++) {
        BITSMITH_UNROLL
        leaving[lane] = leaving[lane + 1];
    }
}

} // namespace kernels

#endif
