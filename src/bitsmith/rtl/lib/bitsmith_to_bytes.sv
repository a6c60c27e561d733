// SPDX-License-Identifier: Apache-2.0
// Makes bytes of the tokens of a stream.
//
// BYTES         of a token, the lowest bits first
// TOKENS        of a frame
// PLACES        tokens that can wait here while bytes of other streams are sent
// byte_last     whether the byte is the last of a frame
module bitsmith_to_bytes #(
    parameter int BYTES = 1,
    parameter int TOKENS = 1,
    parameter int PLACES = 1
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               token_valid,
    output logic               token_ready,
    input  logic [8*BYTES-1:0] token_data,
    output logic               byte_valid,
    input  logic               byte_ready,
    output logic [        7:0] byte_data,
    output logic               byte_last
);
    localparam int COUNT_BITS = $clog2(BYTES + 1);
    localparam logic [COUNT_BITS-1:0] LAST_ONE = COUNT_BITS'(1);

    logic put;
    logic valid;
    logic take;
    logic [8*BYTES-1:0] data;
    logic [8*BYTES-1:0] rest;  // what is still to be sent, the next byte lowest
    logic [COUNT_BITS-1:0] left;
    logic send;
    logic token_last;
    logic last_here;
    logic unused_first;
    logic unused_packet_last;

    assign put = token_valid & token_ready;
    assign take = valid & (left == '0);
    assign byte_valid = left != '0;
    assign byte_data = rest[7:0];
    assign byte_last = last_here & (left == LAST_ONE);
    assign send = byte_valid & byte_ready;

    always_ff @(posedge clk) begin
        if (rst) begin
            left <= '0;
        end else if (take) begin
            rest <= data;
            left <= COUNT_BITS'(BYTES);
            last_here <= token_last;
        end else if (send) begin
            rest <= (8 * BYTES)'({8'd0, rest} >> 8);
            left <= left - 1'b1;
        end
    end

    bitsmith_fifo #(
        .WIDTH(8 * BYTES),
        .DEPTH(PLACES)
    ) waiting (
        .clk     (clk),
        .rst     (rst),
        .free    (token_ready),
        .claim   (put),
        .put     (put),
        .put_data(token_data),
        .valid   (valid),
        .take    (take),
        .data    (data)
    );

    bitsmith_framer #(
        .TOKENS(TOKENS)
    ) framer (
        .clk          (clk),
        .rst          (rst),
        .transfer     (take),
        .packet_frames(32'd1),
        .first        (unused_first),
        .last         (token_last),
        .packet_last  (unused_packet_last)
    );
endmodule
