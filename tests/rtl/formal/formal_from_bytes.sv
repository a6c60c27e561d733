// bitsmith_from_bytes gives all tokens of bytes that come at any time, as long as no more than a frame waits.
module formal_from_bytes #(
    parameter int unsigned BYTES = 2,
    parameter int unsigned TOKENS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned RESULTS = TOKENS + 1;
    (* anyconst *) logic [8*BYTES*RESULTS-1:0] tokens;
    (* anyseq *) logic comes;
    (* anyseq *) logic [7:0] noise;
    logic byte_valid, pending, token_valid, token_ready;
    logic [7:0] sent, taken;
    logic [8*BYTES-1:0] token_data;

    assign byte_valid = (comes | eager) & (sent < BYTES * RESULTS) & (sent < BYTES * (taken + TOKENS));

    formal_taker #(.RESULTS(RESULTS), .WIDTH(8 * BYTES), .BY(RESULTS * (BYTES + 3) + 1)) result (
        .clk, .rst, .eager, .cycle, .valid(token_valid), .ready(token_ready), .data(token_data), .expected(tokens), .taken
    );
    bitsmith_from_bytes #(.BYTES(BYTES), .TOKENS(TOKENS)) dut (
        .clk, .rst, .byte_valid, .byte_data(byte_valid ? tokens[8*sent+:8] : noise), .pending, .token_valid, .token_ready,
        .token_data
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            sent <= '0;
        end else begin
            sent <= sent + byte_valid;
            assert (pending == (sent / BYTES != taken));
        end
    end
endmodule
