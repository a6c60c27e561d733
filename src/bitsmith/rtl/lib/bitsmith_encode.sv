// SPDX-License-Identifier: Apache-2.0
// A word with check bits above it, by which bitsmith_decode finds bits that have flipped in a memory.
//
// One check bit is the parity of the word. More are those of a Hamming code, and above them the parity of word and code: bit k of
// a word has the (k+1)th number that is no power of two from 3 on, and check bit i is the parity of the bits whose numbers have bit i.
//
// WIDTH  bits of a word
// CHECK  check bits: 1, or one more than the bits of the last number
module bitsmith_encode #(
    parameter int WIDTH = 8,
    parameter int CHECK = 5
) (
    input  logic [      WIDTH-1:0] data,
    output logic [WIDTH+CHECK-1:0] code
);
    logic [CHECK-1:0] check;

    assign code = {check, data};

    function automatic logic [WIDTH-1:0] covered(input int number);
        for (int k = 0; k < WIDTH; ++k) covered[k] = (k + 1 + $clog2(k + 2 + $clog2(k + 2))) / (1 << number) % 2 == 1;
    endfunction

    genvar i;
    generate
    for (i = 0; i < CHECK - 1; i = i + 1) begin : g_check
        localparam logic [WIDTH-1:0] COVERED = covered(i);
        assign check[i] = ^(data & COVERED);
    end
    if (CHECK == 1) begin : g_parity
        assign check[0] = ^data;
    end else begin : g_both
        assign check[CHECK-1] = ^{check[CHECK-2:0], data};
    end
    endgenerate
endmodule
