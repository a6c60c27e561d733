// SPDX-License-Identifier: Apache-2.0
// The row of multipliers on which layers take turns.
#ifndef BITSMITH_KERNELS_STREAM_ENGINE_H
#define BITSMITH_KERNELS_STREAM_ENGINE_H

namespace kernels {

/// The products of a number with a row of weights, of type W, added to the sums of the steps before, if there are any
/// (``more``); or, where layers may want that (ANY) and this one does (``greatest``), in lane 0 the greatest of them.
template <class W, class A, int LANES, bool ANY, class X, class RAW>
void engine_step(const X &number, const RAW weights[LANES], bool more, bool greatest, A sums[LANES]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int lane = 0; lane < LANES; lane++) {
        BITSMITH_UNROLL
        const A product = number * from_raw<W>(weights[lane]);
        A sum = product;
        if (ANY && lane == 0 && greatest) {
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
