#pragma once
#include <ap_int.h>

template <int W, int U, int I, int D> struct ap_axiu {
    ap_uint<W> data;
    ap_uint<(W + 7) / 8> keep;
    ap_uint<(W + 7) / 8> strb;
    ap_uint<1> last;
};
