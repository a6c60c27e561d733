// SPDX-License-Identifier: Apache-2.0
// Line buffers. A window over several axes has a buffer for each of them that it is wider than one token along, the
// outermost first: it takes what the one before it gives. Their arrays are those of the process that has them.
#ifndef BITSMITH_KERNELS_STREAM_TAPS_H
#define BITSMITH_KERNELS_STREAM_TAPS_H

namespace kernels {

/// What came GAP, 2 * GAP, ... steps ago, up to TAPS of it with the newest: in shift registers, the newest item first. An
/// item has ROWS rows of N elements; a result has TAPS times N elements in each row, the oldest first.
template <int ROWS, int N, int TAPS, int GAP, class T>
void push_registers(T held[(TAPS - 1) * GAP * ROWS * N], const T x[ROWS * N], T result[ROWS * TAPS * N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int row = 0; row < ROWS; row++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int n = 0; n < N; n++) {
            BITSMITH_UNROLL
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                result[(row * TAPS + tap) * N + n] = held[(((TAPS - 1 - tap) * GAP - 1) * ROWS + row) * N + n];
            }
            result[(row * TAPS + TAPS - 1) * N + n] = x[row * N + n];
        }
    }
    BITSMITH_LOOP
    for (int i = (TAPS - 1) * GAP * ROWS * N - 1; i >= ROWS * N; i--) {
        BITSMITH_UNROLL
        held[i] = held[i - ROWS * N];
    }
    copy<ROWS * N>(x, held);
}

/// The same in a memory of GAP places, each with an item for each tap but the newest. It is written at the place that was
/// just read, so that a place is read again GAP steps later only.
template <int ROWS, int N, int TAPS, int GAP, class T>
void push_rows(T memory[GAP][(TAPS - 1) * ROWS * N], int &place, const T x[ROWS * N], T result[ROWS * TAPS * N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int row = 0; row < ROWS; row++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int n = 0; n < N; n++) {
            BITSMITH_UNROLL
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                result[(row * TAPS + tap) * N + n] = memory[place][(tap * ROWS + row) * N + n];
            }
            result[(row * TAPS + TAPS - 1) * N + n] = x[row * N + n];
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                memory[place][(tap * ROWS + row) * N + n] = result[(row * TAPS + tap + 1) * N + n];
            }
        }
    }
    place = place == GAP - 1 ? 0 : place + 1;
}

} // namespace kernels

#endif
