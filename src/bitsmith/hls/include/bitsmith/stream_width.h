// The same elements in the same order in larger or smaller tokens. The array ``whole`` is a shift register.
#ifndef BITSMITH_KERNELS_STREAM_WIDTH_H
#define BITSMITH_KERNELS_STREAM_WIDTH_H

namespace kernels {

/// One token of PARTS tokens of N elements each.
template <class X, class Y, int TOKENS, int PARTS, int N, class T, class IN, class OUT>
void upsize(IN &x, T whole[PARTS * N], OUT &y) {
    BITSMITH_INLINE
    int step = 0;
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS * PARTS; i++) {
        BITSMITH_STEP
        const X part = x.read();
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
            y.write(result);
        }
        step = step == PARTS - 1 ? 0 : step + 1;
    }
}

/// PARTS tokens of N elements of each token; these TIMES times over.
template <class X, class Y, int TOKENS, int PARTS, int TIMES, int N, class T, class IN, class OUT>
void downsize(IN &x, T whole[PARTS * N], OUT &y) {
    BITSMITH_INLINE
    int step = 0;
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS * TIMES * PARTS; i++) {
        BITSMITH_STEP
        if (step == 0) {
            const X item = x.read();
            copy<PARTS * N>(item.data, whole);
        }
        Y part;
        BITSMITH_RESULT(part)
        copy<N>(whole, part.data);
        y.write(part);
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
