// SPDX-License-Identifier: Apache-2.0
// Tokens between the loops of a recurrence, as parts of the rows of a memory.
#ifndef BITSMITH_KERNELS_STREAM_ROUNDS_H
#define BITSMITH_KERNELS_STREAM_ROUNDS_H

namespace kernels {

/// Part ``part`` of a row of W elements, as a token of N elements.
template <class X, int N, int W, class T> X taken_from(const T row[W], int part) {
    BITSMITH_INLINE
    X item;
    BITSMITH_RESULT(item)
    copy<N>(row, item.data);
    BITSMITH_LOOP
    for (int k = 1; k < W / N; k++) {
        BITSMITH_UNROLL
        if (k == part) {
            copy<N>(row + k * N, item.data);
        }
    }
    return item;
}

/// A token of N elements becomes part ``part`` of a row of W elements.
template <int N, int W, class X, class T> void put_into(const X &item, int part, T row[W]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int k = 0; k < W / N; k++) {
        BITSMITH_UNROLL
        if (k == part) {
            copy<N>(item.data, row + k * N);
        }
    }
}

} // namespace kernels

#endif
