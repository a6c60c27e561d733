// SPDX-License-Identifier: Apache-2.0
// Tokens in another order.
#ifndef BITSMITH_KERNELS_STREAM_ORDER_H
#define BITSMITH_KERNELS_STREAM_ORDER_H

namespace kernels {

enum action { TAKE = 1, GIVE = 2, GIVE_ZEROS = 4 };

/// The elements, or zeros.
template <int N, class X, class T> void copy_if(bool real, const X x[N], T result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        if (real) {
            result[n] = x[n];
        } else {
            result[n] = 0;
        }
    }
}

/// Tokens in the order in which they come, some dropped or repeated, or zeros between them: actions, of which PERIOD
/// come over and over.
template <class X, class Y, int ACTIONS, int PERIOD, int N, int X_BEATS = 1, int Y_BEATS = 1, int INTERVAL = 1,
          class FLAGS, class T, class IN, class OUT>
void order(IN &x, const FLAGS actions[PERIOD], T head[N], OUT &y) {
    BITSMITH_INLINE
    int next = 0;
    BITSMITH_STEPS
    for (int i = 0; i < ACTIONS; i++) {
        BITSMITH_LONG_STEP
        if ((actions[next] & TAKE) != 0) {
            const X item = carried<X, N, X_BEATS>::take(x);
            copy<N>(item.data, head);
        }
        if ((actions[next] & (GIVE | GIVE_ZEROS)) != 0) {
            Y result;
            BITSMITH_RESULT(result)
            copy_if<N>((actions[next] & GIVE) != 0, head, result.data);
            carried<Y, N, Y_BEATS>::give(result, y);
        }
        next = next == PERIOD - 1 ? 0 : next + 1;
    }
}

/// Any order: the whole frame is in a memory before the first token leaves; zeros where source[i] is negative.
template <class X, class Y, int TOKENS, int RESULTS, int N, int X_BEATS = 1, int Y_BEATS = 1, int INTERVAL = 1,
          class SOURCE, class T, class IN, class OUT>
void reorder(IN &x, const SOURCE source[RESULTS], T memory[TOKENS][N], OUT &y) {
    BITSMITH_INLINE
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS + RESULTS; i++) {
        BITSMITH_LONG_STEP
        if (i < TOKENS) {
            const X item = carried<X, N, X_BEATS>::take(x);
            copy<N>(item.data, memory[i]);
        } else {
            const bool real = source[i - TOKENS] >= 0;
            const int place = real ? source[i - TOKENS] : 0;
            Y result;
            BITSMITH_RESULT(result)
            copy_if<N>(real, memory[place], result.data);
            carried<Y, N, Y_BEATS>::give(result, y);
        }
    }
}

} // namespace kernels

#endif
