// SPDX-License-Identifier: Apache-2.0
// Beats of AXI4-Streams for DMA engines, and the tensors that they carry: a beat has some elements from bit 0 up, zeros above.
#ifndef BITSMITH_KERNELS_AXI_H
#define BITSMITH_KERNELS_AXI_H

#include <hls_stream.h>

#if defined(__VITIS_HLS__) && !defined(BITSMITH_PLAIN_BEATS)
#include <ap_axi_sdata.h>
#endif

namespace kernels {

#ifdef BITSMITH_PLAIN_BEATS

/// A beat of W bits between kernels: nothing but data.
template <int W> struct beats {
    typedef ap_uint<W> type;
};

template <int W> ap_uint<W> data_of(const ap_uint<W> &beat) { return beat; }

template <int W> bool is_last(const ap_uint<W> &beat) { return false; }

template <int W> void fill(ap_uint<W> &beat, const ap_uint<W> &data, bool last) { beat = data; }

#else

#ifdef __VITIS_HLS__

/// A beat of W bits, with TKEEP and TLAST.
template <int W> struct beats {
    typedef ap_axiu<W, 0, 0, 0> type;
};

#else

/// A beat of W bits: Vivado HLS makes TDATA, TKEEP and TLAST of elements of these names.
template <int W> struct beat_t {
    static const int width = W;
    ap_uint<W> data;
    ap_uint<W / 8> keep;
    ap_uint<1> last;
};

template <int W> struct beats {
    typedef beat_t<W> type;
};

#endif

template <class BEAT> auto data_of(const BEAT &beat) -> decltype(beat.data) { return beat.data; }

template <class BEAT> bool is_last(const BEAT &beat) { return beat.last == 1; }

/// All bytes are there, which a DMA engine wants to hear.
template <int W, class BEAT> void fill(BEAT &beat, const ap_uint<W> &data, bool last) {
    beat.data = data;
    beat.keep = -1;
#ifdef __VITIS_HLS__
    beat.strb = -1;
#endif
    beat.last = last;
}

#endif

/// Element k of a beat.
template <class T, int W> T element(const ap_uint<W> &data, int k) {
#pragma HLS INLINE
    const ap_uint<format<T>::width> bits = data.range((k + 1) * format<T>::width - 1, k * format<T>::width);
    return from_integer<T>(integer<format<T>::width + 1>(bits));
}

/// Element k of a beat becomes x.
template <class T, int W> void put(ap_uint<W> &data, int k, const T &x) {
#pragma HLS INLINE
    const ap_uint<format<T>::width> bits = raw(x);
    data.range((k + 1) * format<T>::width - 1, k * format<T>::width) = bits;
}

/// The array of N elements whose beats of W bits, G elements each, come; true if the last beat is the last of a packet.
template <int W, int N, int G, class T> bool take_array(hls::stream<typename beats<W>::type> &stream, T x[N]) {
    bool last = false;
    for (int i = 0; i < N / G; i++) {
#pragma HLS PIPELINE II=1
        const typename beats<W>::type beat = stream.read();
        const ap_uint<W> data = data_of(beat);
        for (int k = 0; k < G; k++) {
#pragma HLS UNROLL
            x[i * G + k] = element<T>(data, k);
        }
        last = is_last(beat);
    }
    return last;
}

/// A process that does so.
template <int W, int N, int G, class T> void take(hls::stream<typename beats<W>::type> &stream, T x[N]) {
    take_array<W, N, G>(stream, x);
}

/// A process that does so, and tells of each frame if it is the last of a packet.
template <int W, int N, int G, class T>
void take(hls::stream<typename beats<W>::type> &stream, T x[N], hls::stream<bool> &lasts) {
    lasts.write(take_array<W, N, G>(stream, x));
}

/// An array of N elements as beats of W bits, G elements each.
template <int W, int N, int G, class T>
void give_array(const T x[N], hls::stream<typename beats<W>::type> &stream, bool last) {
    for (int i = 0; i < N / G; i++) {
#pragma HLS PIPELINE II=1
        ap_uint<W> data = 0;
        for (int k = 0; k < G; k++) {
#pragma HLS UNROLL
            put(data, k, x[i * G + k]);
        }
        typename beats<W>::type beat;
        fill(beat, data, last && i == N / G - 1);
        stream.write(beat);
    }
}

/// A process that does so, and is told of each frame if it is the last of a packet.
template <int W, int N, int G, class T>
void give(const T x[N], hls::stream<typename beats<W>::type> &stream, hls::stream<bool> &lasts) {
    give_array<W, N, G>(x, stream, lasts.read());
}

/// A process that does so, and passes on what is said.
template <int W, int N, int G, class T>
void give(
    const T x[N], hls::stream<typename beats<W>::type> &stream, hls::stream<bool> &lasts, hls::stream<bool> &passed) {
    const bool last = lasts.read();
    give_array<W, N, G>(x, stream, last);
    passed.write(last);
}

} // namespace kernels

#endif
