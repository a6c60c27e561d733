// bitsmith_to_bytes sends all bytes of all tokens, the lowest first, and says which one ends a frame.
module formal_to_bytes #(
    parameter int unsigned BYTES = 2,
    parameter int unsigned TOKENS = 2,
    parameter int unsigned PLACES = 1
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned FRAMES = 2;
    localparam int unsigned WORDS = FRAMES * TOKENS;
    localparam int unsigned RESULTS = WORDS * BYTES;
    logic token_valid, token_ready, byte_valid, byte_ready, byte_last;
    logic [7:0] given, taken, byte_data;
    logic [8*BYTES-1:0] token_data;
    logic [8*BYTES*WORDS-1:0] tokens;
    logic [9*RESULTS-1:0] expected;

    for (genvar k = 0; k < RESULTS; k++) begin : g_expected
        assign expected[9*k+:9] = {1'(k % (BYTES * TOKENS) == BYTES * TOKENS - 1), tokens[8*k+:8]};
    end

    formal_operand #(.TOKENS(WORDS), .WIDTH(8 * BYTES)) operand (
        .clk, .rst, .eager, .valid(token_valid), .data(token_data), .take(token_valid & token_ready), .tokens, .taken(given)
    );
    formal_taker #(.RESULTS(RESULTS), .WIDTH(9), .BY(WORDS * (BYTES + 2) + 2)) result (
        .clk, .rst, .eager, .cycle, .valid(byte_valid), .ready(byte_ready), .data({byte_last, byte_data}), .expected, .taken
    );
    bitsmith_to_bytes #(.BYTES(BYTES), .TOKENS(TOKENS), .PLACES(PLACES)) dut (
        .clk, .rst, .token_valid, .token_ready, .token_data, .byte_valid, .byte_ready, .byte_data, .byte_last
    );
endmodule
