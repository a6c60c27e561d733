// SPDX-License-Identifier: Apache-2.0
// Constants as their bits: machine integers up to 64 bits, else 64-bit words, least significant first.
#ifndef BITSMITH_KERNELS_RAW_H
#define BITSMITH_KERNELS_RAW_H

#include <stdint.h>

namespace kernels {

/// An element of a constant memory, of exactly W bits where hardware is made, else a machine integer, which compiles fast.
#ifdef BITSMITH_EXACT
template <int W> using stored = integer<W>;
template <int W> using stored_natural = natural<W>;
#else
template <int BYTES> struct machine {
    typedef int64_t type;
};
template <> struct machine<1> {
    typedef int8_t type;
};
template <> struct machine<2> {
    typedef int16_t type;
};
template <> struct machine<3> {
    typedef int32_t type;
};
template <> struct machine<4> {
    typedef int32_t type;
};
template <int W> using stored = typename machine<(W + 7) / 8>::type;
template <int W> using stored_natural = stored<W + 1>;
#endif

template <int W> integer<W> to_integer(int64_t value) { return integer<W>(value); }

template <int W, int K> integer<W> to_integer(const uint64_t (&words)[K]) {
    integer<W> result = static_cast<int64_t>(words[K - 1]);
    for (int k = K - 2; k >= 0; k--) {
        result = (result << 32) + static_cast<int64_t>(words[k] >> 32);
        result = (result << 32) + static_cast<int64_t>(words[k] & 0xffffffffu);
    }
    return result;
}

/// The fixed-point number that has the bits of a constant.
template <class T, class RAW> T from_raw(const RAW &value) {
    const int width = format<T>::width + 1;
    return from_integer<T, width>(to_integer<width>(value));
}

/// A constant tensor.
template <int N, class RAW, class R> void constant(const RAW value[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = from_raw<R>(value[i]);
    }
}

} // namespace kernels

#endif
