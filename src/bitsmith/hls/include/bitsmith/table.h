// SPDX-License-Identifier: Apache-2.0
// Look-up tables, addressed by the bits of the operand.
#ifndef BITSMITH_KERNELS_TABLE_H
#define BITSMITH_KERNELS_TABLE_H

namespace kernels {

/// Tables of SIZE entries; element i uses table i % TABLES. Its entry 0 is for raw value FIRST, where the operand counts
/// without its lowest drop[i % ND] bits, which are 0; entries are raw values of the result.
template <int N, int TABLES, int SIZE, int ND, class X, class DROP, class RAW, class FIRST, class R>
void table(const X x[N], const DROP drop[ND], const RAW values[TABLES][SIZE], const FIRST &first, R result[N]) {
    BITSMITH_INLINE
    const int width = format<X>::width + 66;
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const integer<width> bits = raw(x[i]);
        const integer<width> entry = (bits >> drop[i % ND]) - to_integer<width>(first);
        result[i] = from_raw<R>(values[i % TABLES][entry.to_int64()]);
    }
}

} // namespace kernels

#endif
