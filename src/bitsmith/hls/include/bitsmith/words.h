// SPDX-License-Identifier: Apache-2.0
// Tensors as 64-bit words, least significant word of each element first: how test benches hand over exact values.
#ifndef BITSMITH_KERNELS_WORDS_H
#define BITSMITH_KERNELS_WORDS_H

#include <stdint.h>

namespace kernels {

/// K words for each of N elements.
template <int N, int K, class T> const uint64_t *load(const uint64_t *words, T x[N]) {
    for (int i = 0; i < N; i++) {
        uint64_t value[K];
        for (int k = 0; k < K; k++) {
            value[k] = *words++;
        }
        x[i] = from_raw<T>(value);
    }
    return words;
}

template <int N, int K, class T> uint64_t *store(const T x[N], uint64_t *words) {
    for (int i = 0; i < N; i++) {
        integer<64 * K + 1> value = raw(x[i]);
        for (int k = 0; k < K; k++) {
            *words++ = static_cast<uint64_t>(value.to_int64());
            value = value >> 64;
        }
    }
    return words;
}

} // namespace kernels

#endif
