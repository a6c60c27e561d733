// bitsmith_sweep gives token SOURCE[k] (255: zero) of each of two frames.
module formal_sweep #(
    parameter int unsigned DEPTH = 4,
    parameter int unsigned BLOCKS = 1,
    parameter int unsigned PARTS = 1,
    parameter int unsigned TIMES = 1,
    parameter int unsigned SIZE_1 = 2,
    parameter int unsigned SIZE_2 = 2,
    parameter int unsigned TAPS_1 = 1,
    parameter int unsigned TAPS_2 = 2,
    parameter int unsigned STRIDE_1 = 1,
    parameter int unsigned STRIDE_2 = 1,
    parameter int unsigned DILATION_2 = 1,
    parameter int unsigned BEFORE_1 = 0,
    parameter int unsigned BEFORE_2 = 1,
    parameter int unsigned WINDOWS_1 = 2,
    parameter int unsigned WINDOWS_2 = 2,
    parameter int unsigned READS = 8,
    parameter logic [8*READS-1:0] SOURCE = '0,
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = SIZE_1 * SIZE_2 * BLOCKS * PARTS;
    localparam int unsigned WIDTH = 2;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [WIDTH-1:0] x_data, y_data, expected;
    logic [2*TOKENS*WIDTH-1:0] tokens;

    formal_operand #(.TOKENS(2 * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(2 * READS), .LATENCY(1), .BY(BY)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_sweep #(
        .WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCKS(BLOCKS), .PARTS(PARTS), .TIMES(TIMES), .SIZE_1(SIZE_1), .SIZE_2(SIZE_2),
        .TAPS_1(TAPS_1), .TAPS_2(TAPS_2), .STRIDE_1(STRIDE_1), .STRIDE_2(STRIDE_2), .DILATION_2(DILATION_2),
        .BEFORE_1(BEFORE_1), .BEFORE_2(BEFORE_2), .WINDOWS_1(WINDOWS_1), .WINDOWS_2(WINDOWS_2)
    ) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .y_free, .y_claim, .y_put, .y_data
    );

    logic [7:0] number;
    assign number = SOURCE[puts%READS*8+:8];
    assign expected = (number == 8'd255) ? '0 : tokens[(puts/READS*TOKENS+number)*WIDTH+:WIDTH];

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == expected);
            assert (x_take || y_claim || !x_valid || !y_free);
        end
    end
endmodule
