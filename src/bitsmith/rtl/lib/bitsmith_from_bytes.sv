// SPDX-License-Identifier: Apache-2.0
// Makes tokens of bytes that cannot wait, with room for a whole frame.
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
    localparam int COUNT_BITS = (BYTES > 1) ? $clog2(BYTES) : 1;
    localparam logic [COUNT_BITS-1:0] LAST = COUNT_BITS'(BYTES - 1);

    logic [8*BYTES-1:0] word;
    logic [COUNT_BITS-1:0] count;
    logic put;
    logic unused_free;

    assign pending = put | token_valid;

    always_ff @(posedge clk) begin
        put <= 1'b0;
        if (rst) begin
            count <= '0;
        end else if (byte_valid) begin
            word <= (8 * BYTES)'({byte_data, word} >> 8);
            put <= count == LAST;
            count <= (count == LAST) ? '0 : count + 1'b1;
        end
    end

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
endmodule
