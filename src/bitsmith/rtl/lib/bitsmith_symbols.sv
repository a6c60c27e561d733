// SPDX-License-Identifier: Apache-2.0
// The bytes of a word in the opposite order: our first byte is in the lowest bits, the first symbol of Avalon-ST in the highest.
//
// BYTES   of the word
module bitsmith_symbols #(
    parameter int BYTES = 1
) (
    input  logic [8*BYTES-1:0] word,
    output logic [8*BYTES-1:0] swapped
);
    always_comb begin
        for (int k = 0; k < BYTES; ++k) swapped[8*k+:8] = word[8*(BYTES-1-k)+:8];
    end
endmodule
