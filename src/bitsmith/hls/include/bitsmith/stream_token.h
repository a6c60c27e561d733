// Streams of tokens: what streams of all vendors have in common are read() and write().
#ifndef BITSMITH_KERNELS_STREAM_TOKEN_H
#define BITSMITH_KERNELS_STREAM_TOKEN_H

namespace kernels {

/// N elements that travel together.
template <class T, int N> struct token {
    T data[N];
};

template <int N, class T> void clear(T x[N]) {
    BITSMITH_INLINE
    BITSMITH_LOOP
    for (int i = 0; i < N; i++) {
        BITSMITH_UNROLL
        x[i] = 0;
    }
}

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

/// Constant tokens, given as their raw values.
template <class TOKEN, int TOKENS, int N, class RAW, class STREAM>
void constants(const RAW values[TOKENS][N], STREAM &stream) {
    BITSMITH_INLINE
    BITSMITH_STEPS
    for (int i = 0; i < TOKENS; i++) {
        BITSMITH_STEP
        TOKEN item;
        BITSMITH_RESULT(item)
        constant<N>(values[i], item.data);
        stream.write(item);
    }
}

} // namespace kernels

#endif
