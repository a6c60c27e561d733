// SPDX-License-Identifier: Apache-2.0
// Arithmetic element by element. An operand of fewer elements repeats: element i meets element i % N of it.
#ifndef BITSMITH_KERNELS_ELEMENTWISE_H
#define BITSMITH_KERNELS_ELEMENTWISE_H

namespace kernels {

template <int N, int NX, int NY, class X, class Y, class R> void add(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = x[i % NX] + y[i % NY];
    }
}

template <int N, int NX, int NY, class X, class Y, class R> void sub(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = x[i % NX] - y[i % NY];
    }
}

template <int N, int NX, int NY, class X, class Y, class R> void mul(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        result[i] = x[i % NX] * y[i % NY];
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

/// C holds every value of both operands, here and below.
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

template <class C, int N, int NX, int NY, class X, class Y, class R>
void max(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const C a = x[i % NX];
        const C b = y[i % NY];
        result[i] = a < b ? b : a;
    }
}

template <class C, int N, int NX, int NY, class X, class Y, class R>
void min(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const C a = x[i % NX];
        const C b = y[i % NY];
        result[i] = b < a ? b : a;
    }
}

enum relation { LT, LE, EQ, NE, GE, GT };

template <relation REL, class C> bool holds(const C &a, const C &b) {
    switch (REL) {
    case LT: return a < b;
    case LE: return a <= b;
    case EQ: return a == b;
    case NE: return a != b;
    case GE: return a >= b;
    default: return a > b;
    }
}

/// 1 where the relation holds, else 0.
template <relation REL, class C, int N, int NX, int NY, class X, class Y, class R>
void compare(const X x[NX], const Y y[NY], R result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        const C a = x[i % NX];
        const C b = y[i % NY];
        result[i] = holds<REL, C>(a, b) ? 1 : 0;
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
