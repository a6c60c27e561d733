// SPDX-License-Identifier: Apache-2.0
// Counts the transfers of a stream, and tells where the next one is in a frame and in a packet.
//
// TOKENS          transfers of a frame
// transfer        high in each cycle with a transfer
// packet_frames   frames of a packet; 0 means 1
// first, last     whether the next transfer is the first, the last of a frame
// packet_last     whether it is the last of a packet
// rst             synchronous, active high; the next transfer is the first of a packet
module bitsmith_framer #(
    parameter int TOKENS = 1
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        transfer,
    input  logic [31:0] packet_frames,
    output logic        first,
    output logic        last,
    output logic        packet_last
);
    localparam int COUNT_BITS = (TOKENS > 1) ? $clog2(TOKENS) : 1;
    localparam logic [COUNT_BITS-1:0] LAST = COUNT_BITS'(TOKENS - 1);

    logic [COUNT_BITS-1:0] token;
    logic [31:0] frame;

    assign first = token == '0;
    assign last = token == LAST;
    assign packet_last = last & ({1'b0, frame} + 33'd1 >= {1'b0, packet_frames});

    always_ff @(posedge clk) begin
        if (rst) begin
            token <= '0;
            frame <= '0;
        end else if (transfer) begin
            token <= last ? '0 : token + 1'b1;
            if (last) frame <= packet_last ? '0 : frame + 1'b1;
        end
    end
endmodule
