// bitsmith_reorder gives token SOURCE[k] (255: zero) of each of two frames of TOKENS.
module formal_reorder #(
    parameter int unsigned DEPTH = 4,
    parameter int unsigned TOKENS = 4,
    parameter int unsigned READS = 4,
    parameter logic [8*READS-1:0] SOURCE = '0,
    parameter logic [8*READS-1:0] NEEDED = '0,
    parameter logic [8*READS-1:0] FREED = '0,
    parameter int unsigned BY = 20,
    parameter bit SYNCHRONOUS = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int unsigned COUNT_BITS = $clog2(DEPTH + 1);
    localparam int unsigned INDEX_BITS = (READS > 1) ? $clog2(READS) : 1;
    localparam int unsigned WIDTH = 2;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [WIDTH-1:0] x_data, y_data, expected;
    logic [2*TOKENS*WIDTH-1:0] tokens;
    localparam int unsigned WORD = 24;
    logic [INDEX_BITS-1:0] index, at;
    logic [WORD-1:0] word;
    logic last;

    formal_operand #(.TOKENS(2 * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(2 * READS), .LATENCY(1), .ENDLESS(NEEDED[7:0] == 8'd0), .BY(BY)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_actions #(.ACTIONS(READS), .WIDTH(WORD), .AHEAD(SYNCHRONOUS)) actions (
        .clk, .rst, .act(y_claim), .first({SOURCE[7:0], NEEDED[7:0], FREED[7:0]}), .index,
        .row({SOURCE[at*8+:8], NEEDED[at*8+:8], FREED[at*8+:8]}), .word, .last
    );
    bitsmith_reorder #(.WIDTH(WIDTH), .DEPTH(DEPTH), .TOKENS(TOKENS)) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .last,
        .address(word[16+:ADDRESS_BITS]), .zero(word[23:16] == 8'd255),
        .needed(word[8+:COUNT_BITS]), .freed(word[COUNT_BITS-1:0]),
        .y_free, .y_claim, .y_put, .y_data
    );

    if (SYNCHRONOUS) begin : g_synchronous
        always_ff @(posedge clk) at <= index;
    end else begin : g_combinational
        assign at = index;
    end

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
