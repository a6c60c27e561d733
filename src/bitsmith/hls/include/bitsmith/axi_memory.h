// SPDX-License-Identifier: Apache-2.0
// Beats between a memory and streams.
#ifndef BITSMITH_KERNELS_AXI_MEMORY_H
#define BITSMITH_KERNELS_AXI_MEMORY_H

namespace kernels {

/// A process that reads frames of BEATS beats of W bits.
template <int W, int BEATS>
void load(const ap_uint<W> *memory, int frames, hls::stream<typename beats<W>::type> &stream) {
    const int count = frames * BEATS;
    for (int i = 0; i < count; i++) {
#pragma HLS PIPELINE II=1
        stream.write(memory[i]);
    }
}

/// A process that writes frames of BEATS beats of W bits.
template <int W, int BEATS>
void store(hls::stream<typename beats<W>::type> &stream, int frames, ap_uint<W> *memory) {
    const int count = frames * BEATS;
    for (int i = 0; i < count; i++) {
#pragma HLS PIPELINE II=1
        memory[i] = stream.read();
    }
}

} // namespace kernels

#endif
