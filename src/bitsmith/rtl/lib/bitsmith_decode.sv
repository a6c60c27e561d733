// SPDX-License-Identifier: Apache-2.0
// The word that bitsmith_encode has given check bits, after a memory in which bits may have flipped.
//
// With a parity bit, one flipped bit, or any odd number, is a fault. With more check bits one flipped bit is corrected, and
// two are a fault.
//
// A flipped bit changes the three check bits of its set, and flips back where these have changed. Two flipped bits change an even
// number of check bits, which is a fault whatever flips back.
//
// WIDTH  bits of a word
// CHECK  check bits, as bitsmith_encode has them
// fault  bit 0: a bit was corrected; bit 1: the word may be wrong
module bitsmith_decode #(
    parameter int WIDTH = 8,
    parameter int CHECK = 5
) (
    input  logic [WIDTH+CHECK-1:0] code,
    output logic [      WIDTH-1:0] data,
    output logic [            1:0] fault
);
    // The bits that change a check bit. The same function is in bitsmith_encode.
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
        assign data = code;
        assign fault = 2'b00;
    end else if (CHECK == 1) begin : g_parity
        assign data = code[WIDTH-1:0];
        assign fault = {^code, 1'b0};
    end else begin : g_correct
        logic [CHECK-1:0] changed;
        logic [(CHECK+1)*WIDTH-1:0] stays;  // for each bit, if one of the first check bits of its set has not changed

        assign stays[WIDTH-1:0] = '0;
        for (i = 0; i < CHECK; i = i + 1) begin : g_check
            localparam logic [WIDTH-1:0] COVERED = covered(i);
            assign changed[i] = ^{code[WIDTH-1:0] & COVERED, code[WIDTH+i]};
            assign stays[(i+1)*WIDTH+:WIDTH] = stays[i*WIDTH+:WIDTH] | (changed[i] ? '0 : COVERED);
        end
        assign data = code[WIDTH-1:0] ^ ~stays[CHECK*WIDTH+:WIDTH];
        assign fault = {~^changed & (changed != '0), ^changed};
    end
    endgenerate
endmodule
