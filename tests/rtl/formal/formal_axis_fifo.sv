// bitsmith_axis_fifo gives all words in order, and takes one whenever it has a place.
module formal_axis_fifo #(
    parameter int unsigned DEPTH = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 5;
    localparam int unsigned WIDTH = 2;
    logic in_valid, in_ready, out_valid, out_ready;
    logic [7:0] put, taken;
    logic [WIDTH-1:0] in_data, out_data;
    logic [TOKENS*WIDTH-1:0] tokens;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(in_valid), .data(in_data), .take(in_valid & in_ready), .tokens, .taken(put)
    );
    formal_taker #(.RESULTS(TOKENS), .WIDTH(WIDTH), .BY(2 * TOKENS + 1)) result (
        .clk, .rst, .eager, .cycle, .valid(out_valid), .ready(out_ready), .data(out_data), .expected(tokens), .taken
    );
    bitsmith_axis_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) dut (
        .clk, .rst, .in_valid, .in_ready, .in_data, .out_valid, .out_ready, .out_data
    );

    always_ff @(posedge clk) begin
        if (!rst) begin
            assert (in_ready == (put - taken != DEPTH));
            assert (out_valid == (put != taken));
        end
    end
endmodule
