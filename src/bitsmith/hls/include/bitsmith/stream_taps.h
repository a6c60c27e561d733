// Line buffers. A window over several axes has a buffer for each of them that it is wider than one token along, the
// outermost first: it takes what the one before it gives.
#ifndef BITSMITH_KERNELS_STREAM_TAPS_H
#define BITSMITH_KERNELS_STREAM_TAPS_H

namespace kernels {

/// What came GAP, 2 * GAP, ... steps ago, up to TAPS of it with the newest: in shift registers. An item has ROWS rows of N
/// elements; a result has TAPS times N elements in each row, the oldest first.
template <class T, int ROWS, int N, int TAPS, int GAP> class registers {
    static const int LENGTH = (TAPS - 1) * GAP;
    T held[LENGTH][ROWS * N];

public:
    registers() { BITSMITH_REGISTERS }

    void push(const T x[ROWS * N], T result[ROWS * TAPS * N]) {
        BITSMITH_INLINE
        BITSMITH_LOOP
        for (int row = 0; row < ROWS; row++) {
            BITSMITH_UNROLL
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                copy<N>(held[(TAPS - 1 - tap) * GAP - 1] + row * N, result + (row * TAPS + tap) * N);
            }
            copy<N>(x + row * N, result + (row * TAPS + TAPS - 1) * N);
        }
        BITSMITH_LOOP
        for (int step = LENGTH - 1; step > 0; step--) {
            BITSMITH_UNROLL
            copy<ROWS * N>(held[step - 1], held[step]);
        }
        copy<ROWS * N>(x, held[0]);
    }
};

/// The same in memories of GAP items, one for each tap but the newest. They are written at the place that was just read,
/// so that a place is read again GAP steps later only.
template <class T, int ROWS, int N, int TAPS, int GAP> class rows {
    T memory[TAPS - 1][GAP][ROWS * N];
    int place;

public:
    rows() : place(0) { BITSMITH_ROWS }

    void push(const T x[ROWS * N], T result[ROWS * TAPS * N]) {
        BITSMITH_INLINE
        BITSMITH_LOOP
        for (int row = 0; row < ROWS; row++) {
            BITSMITH_UNROLL
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                copy<N>(memory[tap][place] + row * N, result + (row * TAPS + tap) * N);
            }
            copy<N>(x + row * N, result + (row * TAPS + TAPS - 1) * N);
            BITSMITH_LOOP
            for (int tap = 0; tap < TAPS - 1; tap++) {
                BITSMITH_UNROLL
                copy<N>(result + (row * TAPS + tap + 1) * N, memory[tap][place] + row * N);
            }
        }
        place = place == GAP - 1 ? 0 : place + 1;
    }
};

} // namespace kernels

#endif
