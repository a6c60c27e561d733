// SPDX-License-Identifier: Apache-2.0
// Streams of tokens: what streams of all vendors have in common are read() and write().
#ifndef BITSMITH_KERNELS_STREAM_TOKEN_H
#define BITSMITH_KERNELS_STREAM_TOKEN_H

namespace kernels {

/// N elements that travel together.
template <class T, int N> struct token {
    T data[N];
};

/// A token X of N elements, which come in BEATS beats, one after another.
template <class X, int N, int BEATS, class IN> X take_beats(IN &x) {
    BITSMITH_INLINE
    X item;
    BITSMITH_RESULT(item)
    BITSMITH_LOOP
    for (int beat = 0; beat < BEATS; beat++) {
        BITSMITH_UNROLL
        const auto part = x.read();
        copy<N / BEATS>(part.data, item.data + beat * (N / BEATS));
    }
    return item;
}

template <int N, int BEATS, class X, class OUT> void give_beats(const X &item, OUT &y) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int beat = 0; beat < BEATS; beat++) {
        BITSMITH_UNROLL
        decltype(y.read()) part;
        BITSMITH_RESULT(part)
        copy<N / BEATS>(item.data + beat * (N / BEATS), part.data);
        y.write(part);
    }
}

template <int N, class T> void clear(T x[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        x[i] = 0;
    }
}

/// The elements, or zeros.
template <int N, class X, class T> void copy_if(bool real, const X x[N], T result[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < N; n++) {
        BITSMITH_UNROLL
        if (real) {
            result[n] = x[n];
        } else {
            result[n] = 0;
        }
    }
}

/// N elements come to the end of those of a shift register of SIZE, whose first ones go.
template <int N, int SIZE, class X, class T> void push(const X x[N], T whole[SIZE]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int n = 0; n < SIZE - N; n++) {
        BITSMITH_UNROLL
        whole[n] = whole[n + N];
    }
    copy<N>(x, whole + (SIZE - N));
}

/// Part ``part`` of a row of W elements, as a token of N elements.
template <class X, int N, int W, class T> X taken_from(const T row[W], int part) {
    BITSMITH_INLINE
    X item;
    BITSMITH_RESULT(item)
    copy<N>(row, item.data);
    BITSMITH_LOOP
    for (int k = 1; k < W / N; k++) {
        BITSMITH_UNROLL
        if (k == part) {
            copy<N>(row + k * N, item.data);
        }
    }
    return item;
}

/// N elements become part ``part`` of a row of W elements.
template <int N, int W, class X, class T> void put_into(const X x[N], int part, T row[W]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int k = 0; k < W / N; k++) {
        BITSMITH_UNROLL
        if (k == part) {
            copy<N>(x, row + k * N);
        }
    }
}

/// What a step of a loop does, by its flags.
enum action { TAKE = 1, GIVE = 2, GIVE_ZEROS = 4 };

/// A tensor, token by token.
template <class TOKEN, int TOKENS, int N, class T, class STREAM> void feed(const T x[TOKENS * N], STREAM &stream) {
    BITSMITH_INLINE
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS; i++) {
        BITSMITH_STEP
        TOKEN item;
        BITSMITH_RESULT(item)
        copy<N>(x + i * N, item.data);
        stream.write(item);
    }
}

/// A token, of FIRST beats, that says whether weights follow, if its first element is not zero, and these.
template <class TOKEN, int TOKENS, int N, int FIRST, class T, class STREAM>
void feed_load(const T x[TOKENS * N], STREAM &stream) {
    BITSMITH_INLINE
    if (x[0] == 0) {
        feed<TOKEN, FIRST, N>(x, stream);
    } else {
        feed<TOKEN, TOKENS, N>(x, stream);
    }
}

/// The tensor whose tokens come.
template <class TOKEN, int TOKENS, int N, class T, class STREAM> void drain(STREAM &stream, T result[TOKENS * N]) {
    BITSMITH_INLINE
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS; i++) {
        BITSMITH_STEP
        const TOKEN item = stream.read();
        copy<N>(item.data, result + i * N);
    }
}

} // namespace kernels

#endif
