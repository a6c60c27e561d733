// SPDX-License-Identifier: Apache-2.0
// Arithmetic element by element. An operand of fewer elements repeats: element i meets element i % N of it.
#ifndef BITSMITH_KERNELS_ELEMENTWISE_H
#define BITSMITH_KERNELS_ELEMENTWISE_H

namespace kernels {

/// What becomes of two numbers; C holds the sum, the difference or the product.
struct add {
    template <class C, class X, class Y> static C of(const X &a, const Y &b) {
        BITSMITH_INLINE
        return a + b;
    }
};
struct sub {
    template <class C, class X, class Y> static C of(const X &a, const Y &b) {
        BITSMITH_INLINE
        return a - b;
    }
};
struct mul {
    template <class C, class X, class Y> static C of(const X &a, const Y &b) {
        BITSMITH_INLINE
        return a * b;
    }
};

/// C holds every value of both operands, here and below.
struct max {
    template <class C> static C of(const C &a, const C &b) {
        BITSMITH_INLINE
        return a < b ? b : a;
    }
};
struct min {
    template <class C> static C of(const C &a, const C &b) {
        BITSMITH_INLINE
        return b < a ? b : a;
    }
};

enum relation { LT, LE, EQ, NE, GE, GT };

/// 1 where the relation holds, else 0.
template <relation REL> struct holds {
    template <class C> static int of(const C &a, const C &b) {
        BITSMITH_INLINE
        switch (REL) {
        case LT: return a < b;
        case LE: return a <= b;
        case EQ: return a == b;
        case NE: return a != b;
        case GE: return a >= b;
        default: return a > b;
        }
    }
};

/// What OP makes of each two elements.
template <class OP, class C, int N, int NX, int NY, class X, class Y, class R>
void pairwise(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = OP::template of<C>(x[i % NX], y[i % NY]);
    }
}

template <int N, class X, class R> void neg(const X x[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = -x[i];
    }
}

/// C holds every value of the operand, and minus that.
template <class C, int N, class X, class R> void abs(const X x[N], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const C value = x[i];
        const C negated = -value;
        result[i] = value < negated ? negated : value;
    }
}

/// x where the condition is not 0, else y.
template <int N, int NC, int NX, int NY, class COND, class X, class Y, class R>
void select(const COND condition[NC], const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const R a = x[i % NX];
        const R b = y[i % NY];
        result[i] = raw(condition[i % NC]) != 0 ? a : b;
    }
}

} // namespace kernels

#endif
