// bitsmith_feedback gives the initial tokens, then all that come back but those of the last round, for two frames.
// KEPT: the second frame begins with what came back last in the first one.
module formal_feedback #(
    parameter int unsigned TOKENS = 2,
    parameter int unsigned ROUNDS = 2,
    parameter int unsigned KEPT = 0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned ACTIONS = TOKENS * (ROUNDS + 1);
    localparam int unsigned GIVEN = TOKENS * ROUNDS;
    localparam int unsigned RESULTS = 2 * GIVEN;
    localparam int unsigned WIDTH = 2;
    logic y_free, y_claim, y_put;
    logic [1:0] x_valid, x_take;
    logic [7:0] puts;
    logic [15:0] taken;
    logic [2*WIDTH-1:0] x_data;
    logic [WIDTH-1:0] y_data;
    logic [2*RESULTS*WIDTH-1:0] tokens;

    for (genvar k = 0; k < 2; ++k) begin : g_operand
        formal_operand #(.TOKENS(RESULTS), .WIDTH(WIDTH)) operand (
            .clk, .rst, .eager, .valid(x_valid[k]), .data(x_data[k*WIDTH+:WIDTH]), .take(x_take[k]),
            .tokens(tokens[k*RESULTS*WIDTH+:RESULTS*WIDTH]), .taken(taken[k*8+:8])
        );
    end
    formal_result #(.RESULTS(RESULTS), .ENDLESS(1'b1), .BY(2 * ACTIONS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_feedback #(.TOKENS(TOKENS), .ROUNDS(ROUNDS), .WIDTH(WIDTH), .KEPT(KEPT)) dut (
        .clk, .rst, .initial_valid(x_valid[0]), .initial_data(x_data[0+:WIDTH]), .initial_take(x_take[0]),
        .back_valid(x_valid[1]), .back_data(x_data[WIDTH+:WIDTH]), .back_take(x_take[1]),
        .y_free, .y_claim, .y_put, .y_data
    );

    // The action that comes next, by how many tokens were taken.
    logic [7:0] place;
    logic first, last;
    assign place = (taken[7:0] + taken[15:8]) % ACTIONS;
    assign first = place < TOKENS;
    assign last = place >= GIVEN;

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put && first && KEPT == 1 && taken[15:8] != 0) assert (y_data == tokens[(RESULTS+GIVEN-TOKENS+place)*WIDTH+:WIDTH]);
            else if (y_put) assert (y_data == (first ? tokens[taken[7:0]*WIDTH+:WIDTH] : tokens[(RESULTS+taken[15:8])*WIDTH+:WIDTH]));
            assert (x_take[0] == (first & x_valid[0] & y_free));
            assert (x_take[1] == (~first & x_valid[1] & (y_free | last)));
            assert (y_put == (|x_take & ~last));
            assert (y_claim == y_put);
        end
    end
endmodule
