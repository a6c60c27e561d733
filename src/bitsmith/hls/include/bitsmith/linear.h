// SPDX-License-Identifier: Apache-2.0
// Products of matrices. A is the accumulator's type: it has the result's integer bits and every fractional bit.
#ifndef BITSMITH_KERNELS_LINEAR_H
#define BITSMITH_KERNELS_LINEAR_H

namespace kernels {

/// P rows of NI elements times constant weights (NI, NO), of type W.
template <class W, class A, int P, int NI, int NO, class X, class RAW, class R>
void linear(const X x[P * NI], const RAW weights[NI * NO], R result[P * NO]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int p = 0; p < P; p++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int o = 0; o < NO; o++) {
            BITSMITH_UNROLL
            A sum = 0;
            BITSMITH_LOOP
            for (int i = 0; i < NI; i++) {
                BITSMITH_UNROLL
                sum += x[p * NI + i] * from_raw<W>(weights[i * NO + o]);
            }
            result[p * NO + o] = sum;
        }
    }
}

/// B pairs of matrices: (N, K) times (K, M).
template <class A, int B, int N, int K, int M, class X, class Y, class R>
void matmul(const X x[B * N * K], const Y y[B * K * M], R result[B * N * M]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int b = 0; b < B; b++) {
        BITSMITH_UNROLL
        BITSMITH_LOOP
        for (int n = 0; n < N; n++) {
            BITSMITH_UNROLL
            BITSMITH_LOOP
            for (int m = 0; m < M; m++) {
                BITSMITH_UNROLL
                A sum = 0;
                BITSMITH_LOOP
                for (int k = 0; k < K; k++) {
                    BITSMITH_UNROLL
                    sum += x[(b * N + n) * K + k] * y[(b * K + k) * M + m];
                }
                result[(b * N + n) * M + m] = sum;
            }
        }
    }
}

} // namespace kernels

#endif
