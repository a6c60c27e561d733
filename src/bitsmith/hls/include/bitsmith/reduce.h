// SPDX-License-Identifier: Apache-2.0
// Rows of M elements become one element each.
#ifndef BITSMITH_KERNELS_REDUCE_H
#define BITSMITH_KERNELS_REDUCE_H

namespace kernels {

/// What OP makes of the elements of each row. A holds what it makes of some of them: with ``add``, it has the result's integer
/// bits and every fractional bit.
template <class OP, class A, int N, int M, class X, class R> void reduce(const X x[N * M], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        A reduced = x[n * M];
        BITSMITH_LOOP
        for (int m = 1; m < M; m++) {
            BITSMITH_UNROLL
            reduced = OP::template of<A>(reduced, x[n * M + m]);
        }
        result[n] = reduced;
    }
}

} // namespace kernels

#endif
