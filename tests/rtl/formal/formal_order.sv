// bitsmith_order gives token SOURCE[k] (255: zero) of each of two frames of TOKENS.
module formal_order #(
    parameter int unsigned TOKENS = 4,
    parameter int unsigned READS = 3,
    parameter int unsigned ACTIONS = 5,
    parameter logic [8*READS-1:0] SOURCE = '0,
    parameter logic [3*ACTIONS-1:0] FLAGS = '0,
    parameter bit SYNCHRONOUS = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned INDEX_BITS = (ACTIONS > 1) ? $clog2(ACTIONS) : 1;
    localparam int unsigned WIDTH = 2;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [WIDTH-1:0] x_data, y_data, expected;
    logic [2*TOKENS*WIDTH-1:0] tokens;
    logic [INDEX_BITS-1:0] index;
    logic act, last;
    logic [2:0] flags, row;

    formal_operand #(.TOKENS(2 * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(2 * READS), .ENDLESS(SOURCE[7:0] == 8'd255), .BY(2 * ACTIONS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_actions #(.ACTIONS(ACTIONS), .WIDTH(3), .AHEAD(SYNCHRONOUS)) actions (
        .clk, .rst, .act, .first(FLAGS[2:0]), .index, .row, .word(flags), .last
    );
    bitsmith_order #(.WIDTH(WIDTH)) dut (
        .x_valid, .x_data, .x_take, .act, .flags, .y_free, .y_claim, .y_put, .y_data
    );

    if (SYNCHRONOUS) begin : g_synchronous
        always_ff @(posedge clk) row <= FLAGS[index*3+:3];
    end else begin : g_combinational
        assign row = FLAGS[index*3+:3];
    end

    logic [7:0] number;
    assign number = SOURCE[puts%READS*8+:8];
    assign expected = (number == 8'd255) ? '0 : tokens[(puts/READS*TOKENS+number)*WIDTH+:WIDTH];

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == expected);
            assert (x_take || y_claim || !x_valid || !y_free);
            if (eager && cycle >= 2 * ACTIONS) assert (taken == 2 * TOKENS);
        end
    end
endmodule
