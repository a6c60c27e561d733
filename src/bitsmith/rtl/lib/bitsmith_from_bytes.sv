// SPDX-License-Identifier: Apache-2.0
// Makes tokens of bytes that cannot wait, with room for a whole frame: no more tokens than that are to wait.
//
// BYTES     of a token, the first in its lowest bits
// TOKENS    of a frame
// pending   whether there are tokens that have not been taken
module bitsmith_from_bytes #(
    parameter int BYTES = 1,
    parameter int TOKENS = 1
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               byte_valid,
    input  logic [        7:0] byte_data,
    output logic               pending,
    output logic               token_valid,
    input  logic               token_ready,
    output logic [8*BYTES-1:0] token_data
);
    logic [8*BYTES-1:0] word;
    logic [BYTES-1:0] turn;  // one bit, that of the byte that comes next
    logic complete;

    assign complete = byte_valid & turn[BYTES-1];

    always_ff @(posedge clk) begin
        if (rst) turn <= BYTES'(1);
        else if (byte_valid) turn <= BYTES'({turn, turn[BYTES-1]});
    end

    genvar k;
    generate
    // Each byte has an enable of its own: one for all bits of a wide token would be the slowest wire of a circuit.
    for (k = 0; k < BYTES; k = k + 1) begin : g_byte
        always_ff @(posedge clk) begin
            if (byte_valid & turn[k]) word[8*k+:8] <= byte_data;
        end
    end

    if (TOKENS == 1) begin : g_single
        // The next byte comes only after the token has been taken.
        logic full;

        always_ff @(posedge clk) begin
            if (rst) full <= 1'b0;
            else full <= complete | (full & ~token_ready);
        end

        assign pending = full;
        assign token_valid = full;
        assign token_data = word;
    end else begin : g_several
        logic put;
        logic unused_free;

        assign pending = put | token_valid;

        always_ff @(posedge clk) put <= complete & ~rst;

        bitsmith_fifo #(
            .WIDTH(8 * BYTES),
            .DEPTH(TOKENS)
        ) frame (
            .clk     (clk),
            .rst     (rst),
            .free    (unused_free),
            .claim   (put),
            .put     (put),
            .put_data(word),
            .valid   (token_valid),
            .take    (token_valid & token_ready),
            .data    (token_data)
        );
    end
    endgenerate
endmodule
