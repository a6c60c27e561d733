// SPDX-License-Identifier: Apache-2.0
// Rows of M elements become one element each.
#ifndef BITSMITH_KERNELS_REDUCE_H
#define BITSMITH_KERNELS_REDUCE_H

namespace kernels {

/// A is the accumulator's type: it has the result's integer bits and every fractional bit.
template <class A, int N, int M, class X, class R> void sum(const X x[N * M], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        A total = 0;
        BITSMITH_LOOP
        for (int m = 0; m < M; m++) {
            BITSMITH_UNROLL
            total += x[n * M + m];
        }
        result[n] = total;
    }
}

template <int N, int M, class X, class R> void amax(const X x[N * M], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        X greatest = x[n * M];
        BITSMITH_LOOP
        for (int m = 1; m < M; m++) {
            BITSMITH_UNROLL
            if (greatest < x[n * M + m]) {
                greatest = x[n * M + m];
            }
        }
        result[n] = greatest;
    }
}

} // namespace kernels

#endif
