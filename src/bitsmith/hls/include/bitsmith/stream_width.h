// SPDX-License-Identifier: Apache-2.0
// The same elements in the same order in larger or smaller tokens. The array ``whole`` is a shift register.
#ifndef BITSMITH_KERNELS_STREAM_WIDTH_H
#define BITSMITH_KERNELS_STREAM_WIDTH_H

namespace kernels {

/// One token of PARTS tokens of N elements each.
template <class X, class Y, int TOKENS, int PARTS, int N, int X_BEATS = 1, int Y_BEATS = 1, int INTERVAL = 1, class T,
          class IN, class OUT>
void upsize(IN &x, T whole[PARTS * N], OUT &y) {
    BITSMITH_INLINE
    int step = 0;
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS * PARTS; i++) {
        BITSMITH_LONG_STEP
        const X part = carried<X, N, X_BEATS>::take(x);
        BITSMITH_LOOP
        for (int n = 0; n < (PARTS - 1) * N; n++) {
            BITSMITH_UNROLL
            whole[n] = whole[n + N];
        }
        copy<N>(part.data, whole + (PARTS - 1) * N);
        if (step == PARTS - 1) {
            Y result;
            BITSMITH_RESULT(result)
            copy<PARTS * N>(whole, result.data);
            carried<Y, PARTS * N, Y_BEATS>::give(result, y);
        }
        step = step == PARTS - 1 ? 0 : step + 1;
    }
}

/// PARTS tokens of N elements of each token, which comes in tokens X of TAKEN parts each; these TIMES times over.
template <class X, class Y, int TOKENS, int PARTS, int TIMES, int N, int TAKEN = PARTS, int X_BEATS = 1,
          int Y_BEATS = 1, int INTERVAL = 1, class T, class IN, class OUT>
void downsize(IN &x, T whole[PARTS * N], OUT &y) {
    BITSMITH_INLINE
    int step = 0;
    int next = 0;
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS * TIMES * PARTS; i++) {
        BITSMITH_LONG_STEP
        if (step < PARTS && next == 0) {
            const X item = carried<X, TAKEN * N, X_BEATS>::take(x);
            copy<TAKEN * N>(item.data, whole);
        }
        next = next == TAKEN - 1 ? 0 : next + 1;
        Y part;
        BITSMITH_RESULT(part)
        copy<N>(whole, part.data);
        carried<Y, N, Y_BEATS>::give(part, y);
        BITSMITH_LOOP
        for (int n = 0; n < (PARTS - 1) * N; n++) {
            BITSMITH_UNROLL
            whole[n] = whole[n + N];
        }
        copy<N>(part.data, whole + (PARTS - 1) * N);
        step = step == TIMES * PARTS - 1 ? 0 : step + 1;
    }
}

} // namespace kernels

#endif
