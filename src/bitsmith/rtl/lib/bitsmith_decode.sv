// SPDX-License-Identifier: Apache-2.0
// The word that bitsmith_encode has given check bits, after a memory in which bits may have flipped.
//
// With a parity bit, one flipped bit, or any odd number, is a fault. With more check bits one flipped bit is corrected, and
// two are a fault.
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
    logic odd;

    assign odd = ^code;

    genvar k;
    generate
    if (CHECK == 1) begin : g_parity
        assign data = code[WIDTH-1:0];
        assign fault = {odd, 1'b0};
    end else begin : g_correct
        logic [WIDTH+CHECK-1:0] again;
        logic [CHECK-2:0] syndrome;
        logic unused;

        bitsmith_encode #(
            .WIDTH(WIDTH),
            .CHECK(CHECK)
        ) encode (
            .data(code[WIDTH-1:0]),
            .code(again)
        );
        assign unused = ^{again[WIDTH+CHECK-1], again[WIDTH-1:0]};
        assign syndrome = again[WIDTH+:CHECK-1] ^ code[WIDTH+:CHECK-1];
        assign fault = {~odd & (syndrome != '0), odd};
        for (k = 0; k < WIDTH; k = k + 1) begin : g_bit
            localparam int NUMBER = k + 1 + $clog2(k + 2 + $clog2(k + 2));
            assign data[k] = code[k] ^ (odd & (syndrome == $unsigned((CHECK - 1)'(NUMBER))));
        end
    end
    endgenerate
endmodule
