// SPDX-License-Identifier: Apache-2.0
// A word with check bits above it, by which bitsmith_decode finds bits that have flipped in a memory.
//
// One check bit is the parity of the word. More are those of a code of M. Y. Hsiao (IBM Journal of Research and Development,
// 1970): each bit of a word changes three check bits, no two bits the same ones. These sets are in order of the greatest check
// bit, then of the next one. Sets of five would need fewer check bits of wide words, but more and slower gates.
//
// WIDTH  bits of a word
// CHECK  check bits: 0, for a word as it is, 1, or as many as have a set for each bit
module bitsmith_encode #(
    parameter int WIDTH = 8,
    parameter int CHECK = 5
) (
    input  logic [      WIDTH-1:0] data,
    output logic [WIDTH+CHECK-1:0] code
);
    // The bits that change a check bit. The same function is in bitsmith_decode.
    function automatic logic [WIDTH-1:0] covered(input int number);
        int k;
        k = 0;
        covered = '0;
        for (int a = 2; a < CHECK; ++a)
            for (int b = 1; b < a; ++b)
                for (int c = 0; c < b; ++c) begin
                    if (k < WIDTH) covered[k] = number == a || number == b || number == c;
                    k = k + 1;
                end
    endfunction

    genvar i;
    generate
    if (CHECK == 0) begin : g_none
        assign code = data;
    end else if (CHECK == 1) begin : g_parity
        assign code = {^data, data};
    end else begin : g_sets
        assign code[WIDTH-1:0] = data;
        for (i = 0; i < CHECK; i = i + 1) begin : g_check
            localparam logic [WIDTH-1:0] COVERED = covered(i);
            assign code[WIDTH+i] = ^(data & COVERED);
        end
    end
    endgenerate
endmodule
