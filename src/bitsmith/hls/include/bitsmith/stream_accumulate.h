// SPDX-License-Identifier: Apache-2.0
// Processes that make one token of several: sums of products, sums, greatest elements. A is the accumulator's type: it
// has the result's integer bits and every fractional bit. Arrays that outlive a step belong to the caller.
#ifndef BITSMITH_KERNELS_STREAM_ACCUMULATE_H
#define BITSMITH_KERNELS_STREAM_ACCUMULATE_H

namespace kernels {

/// One of the steps of products with a matrix: those of a token (LANES, N) with a tile (N, SETS, M) of weights, of type W,
/// and the sums of the steps before it, if there are any (``more``). There is one set for all lanes, or one for each.
template <class W, class A, int LANES, int N, int M, int SETS, class X, class RAW, class Y>
void add_products(const X x[LANES * N], const RAW weights[N * SETS * M], bool more, A sums[LANES * M],
                  Y result[LANES * M]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int lane = 0; lane < LANES; lane++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int m = 0; m < M; m++) {
            BITSMITH_UNROLL
            A sum = 0;
            BITSMITH_LOOP
            for (int n = 0; n < N; n++) {
                BITSMITH_UNROLL
                sum += x[lane * N + n] * from_raw<W>(weights[(n * SETS + lane % SETS) * M + m]);
            }
            // One addition from step to step, whatever the depth of the products' pipeline.
            if (more) {
                sum += sums[lane * M + m];
            }
            sums[lane * M + m] = sum;
            result[lane * M + m] = sum;
        }
    }
}

/// One of the steps of a reduction: what OP makes of a token of N elements, and of those before it, if there are any (``more``).
template <class OP, class A, int N, class X, class Y> void add_token(const X x[N], bool more, A before[N], Y result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        A reduced = x[n];
        if (more) {
            reduced = OP::template of<A>(before[n], reduced);
        }
        before[n] = reduced;
        result[n] = reduced;
    }
}

} // namespace kernels

#endif
