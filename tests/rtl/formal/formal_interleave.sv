// bitsmith_interleave gives the next token of operand WHICH[k], for two frames.
module formal_interleave #(
    parameter int unsigned ACTIONS = 5,
    parameter logic [ACTIONS-1:0] WHICH = 5'b10110,
    parameter bit SYNCHRONOUS = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned INDEX_BITS = (ACTIONS > 1) ? $clog2(ACTIONS) : 1;
    localparam int unsigned RESULTS = 2 * ACTIONS;
    localparam int unsigned WIDTH = 2;
    logic y_free, y_claim, y_put, which, row, last;
    logic [1:0] x_valid, x_take;
    logic [7:0] puts;
    logic [15:0] taken;
    logic [2*WIDTH-1:0] x_data;
    logic [WIDTH-1:0] y_data;
    logic [2*RESULTS*WIDTH-1:0] tokens;
    logic [INDEX_BITS-1:0] index;

    for (genvar k = 0; k < 2; ++k) begin : g_operand
        formal_operand #(.TOKENS(RESULTS), .WIDTH(WIDTH)) operand (
            .clk, .rst, .eager, .valid(x_valid[k]), .data(x_data[k*WIDTH+:WIDTH]), .take(x_take[k]),
            .tokens(tokens[k*RESULTS*WIDTH+:RESULTS*WIDTH]), .taken(taken[k*8+:8])
        );
    end
    formal_result #(.RESULTS(RESULTS), .ENDLESS(1'b1), .BY(RESULTS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_actions #(.ACTIONS(ACTIONS), .WIDTH(1), .AHEAD(SYNCHRONOUS)) actions (
        .clk, .rst, .act(y_claim), .first(WHICH[0]), .index, .row, .word(which), .last
    );
    bitsmith_interleave #(.OPERANDS(2), .WIDTH(WIDTH)) dut (
        .x_valid, .x_data, .x_take, .which, .y_free, .y_claim, .y_put, .y_data
    );

    if (SYNCHRONOUS) begin : g_synchronous
        always_ff @(posedge clk) row <= WHICH[index];
    end else begin : g_combinational
        assign row = WHICH[index];
    end

    // The next token of each operand is that which has not yet been taken.
    logic turn;
    assign turn = WHICH[puts%ACTIONS];

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == tokens[(turn*RESULTS+taken[turn*8+:8])*WIDTH+:WIDTH]);
            assert (x_take == (y_put ? 2'b01 << turn : 2'b00));
            assert (y_claim == (x_valid[turn] & y_free));
        end
    end
endmodule
