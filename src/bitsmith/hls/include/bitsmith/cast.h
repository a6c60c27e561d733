// SPDX-License-Identifier: Apache-2.0
// Rounding and overflow: the only kernels that lose anything.
#ifndef BITSMITH_KERNELS_CAST_H
#define BITSMITH_KERNELS_CAST_H

namespace kernels {

/// To the number format M, whose type carries the modes of rounding and overflow; R has the same values.
template <class M, int N, class X, class R> void cast(const X x[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const M rounded = x[i];
        result[i] = rounded;
    }
}

enum rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
/// WRAP_ONCE is WRAP of values that are no further from the range than it is long.
enum overflow { WRAP, SAT, SAT_ZERO, SAT_SYM, WRAP_ONCE };

/// value / 2**drop, rounded to an integer.
template <rounding Q, int W> integer<W> round_off(const integer<W> &value, int drop) {
    const integer<W> floor = value >> drop;
    const integer<W> one = 1;
    const integer<W> zero = 0;
    if (drop == 0) {
        return value;
    }
    if (Q == TRN) {
        return floor;
    }
    if (Q == TRN_ZERO) {
        const integer<W> back = floor << drop;
        const integer<W> above = floor + one;
        return value < zero && back != value ? above : floor;
    }
    // A tie goes up if tie_up is set: value + half - 1 + tie_up, without its fraction.
    const bool odd = (floor & one) != zero;
    const bool tie_up = Q == RND || (Q == RND_ZERO && value < zero) || (Q == RND_INF && value >= zero) ||
                        (Q == RND_CONV && odd);
    integer<W> shifted = value + (one << (drop - 1));
    if (!tie_up) {
        shifted = shifted - one;
    }
    return shifted >> drop;
}

/// value brought into lo..hi; for WRAP, hi - lo + 1 is a power of two.
template <overflow O, int W> integer<W> bring_inside(const integer<W> &value, const integer<W> &lo, const integer<W> &hi) {
    if (O == WRAP) {
        const integer<W> mask = hi - lo;
        const integer<W> offset = (value - lo) & mask;
        return offset + lo;
    }
    if (O == WRAP_ONCE) {
        const integer<W> span = hi - lo + 1;
        const integer<W> above = value + span;
        const integer<W> below = value - span;
        return value < lo ? above : hi < value ? below : value;
    }
    const integer<W> negated = -hi;
    const integer<W> least = O == SAT_SYM && lo < negated ? negated : lo;
    if (value < least) {
        return O == SAT_ZERO ? integer<W>(0) : least;
    }
    if (hi < value) {
        return O == SAT_ZERO ? integer<W>(0) : hi;
    }
    return value;
}

/// A range per element that need not be that of a number format: element i drops drop[i % N1] of the bits that it has
/// after LEFT zeros are appended, is brought into lo[i % N2]..hi[i % N3], and is scaled by 2**up[i % N4] to fit R.
template <rounding Q, overflow O, int W, int LEFT, int N, int N1, int N2, int N3, int N4, class X, class DROP, class LO,
          class HI, class UP, class R>
void cast_within(const X x[N], const DROP drop[N1], const LO lo[N2], const HI hi[N3], const UP up[N4], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const integer<W> bits = raw(x[i]);
        const integer<W> rounded = round_off<Q, W>(bits << LEFT, drop[i % N1]);
        const integer<W> inside =
            bring_inside<O, W>(rounded, to_integer<W>(lo[i % N2]), to_integer<W>(hi[i % N3]));
        result[i] = from_integer<R, W>(inside << up[i % N4]);
    }
}

} // namespace kernels

#endif
