// SPDX-License-Identifier: Apache-2.0
// Tokens that beats of AXI4-Streams carry.
#ifndef BITSMITH_KERNELS_AXI_TOKENS_H
#define BITSMITH_KERNELS_AXI_TOKENS_H

namespace kernels {

/// TOKENS tokens of N elements whose beats of W bits, G elements each, come; true if the last beat is the last of a packet.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
bool take_tokens(hls::stream<typename beats<W>::type> &stream, STREAM &tokens) {
    token<T, N> item;
    BITSMITH_RESULT(item)
    bool last = false;
    int part = 0;
    for (int i = 0; i < TOKENS * (N / G); i++) {
#pragma HLS PIPELINE II=1
        const typename beats<W>::type beat = stream.read();
        const ap_uint<W> data = data_of(beat);
        for (int k = 0; k < N; k++) {
#pragma HLS UNROLL
            // The first elements move down as others come.
            item.data[k] = k < N - G ? item.data[(k + G) % N] : element<T>(data, k - (N - G));
        }
        last = is_last(beat);
        part = part == N / G - 1 ? 0 : part + 1;
        if (part == 0) {
            tokens.write(item);
        }
    }
    return last;
}

/// A process that does so.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
void receive(hls::stream<typename beats<W>::type> &stream, STREAM &tokens) {
    take_tokens<W, TOKENS, N, G, T>(stream, tokens);
}

/// A process that does so, and tells of each frame if it is the last of a packet.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
void receive(hls::stream<typename beats<W>::type> &stream, STREAM &tokens, hls::stream<bool> &lasts) {
    lasts.write(take_tokens<W, TOKENS, N, G, T>(stream, tokens));
}

/// TOKENS tokens of N elements as beats; what is said of the frame is asked for with its last beat only.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
bool give_tokens(STREAM &tokens, hls::stream<typename beats<W>::type> &stream, hls::stream<bool> &lasts) {
    token<T, N> item;
    BITSMITH_RESULT(item)
    bool last = false;
    int part = 0;
    for (int i = 0; i < TOKENS * (N / G); i++) {
#pragma HLS PIPELINE II=1
        if (part == 0) {
            item = tokens.read();
        }
        ap_uint<W> data = 0;
        for (int k = 0; k < N; k++) {
#pragma HLS UNROLL
            if (k < G) {
                put(data, k, item.data[k]);
            }
            item.data[k] = item.data[(k + G) % N];
        }
        if (i == TOKENS * (N / G) - 1) {
            last = lasts.read();
        }
        part = part == N / G - 1 ? 0 : part + 1;
        typename beats<W>::type beat;
        fill(beat, data, last);
        stream.write(beat);
    }
    return last;
}

/// A process that does so.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
void send(STREAM &tokens, hls::stream<typename beats<W>::type> &stream, hls::stream<bool> &lasts) {
    give_tokens<W, TOKENS, N, G, T>(tokens, stream, lasts);
}

/// A process that does so, and passes on what is said.
template <int W, int TOKENS, int N, int G, class T, class STREAM>
void send(
    STREAM &tokens, hls::stream<typename beats<W>::type> &stream, hls::stream<bool> &lasts, hls::stream<bool> &passed) {
    passed.write(give_tokens<W, TOKENS, N, G, T>(tokens, stream, lasts));
}

} // namespace kernels

#endif
