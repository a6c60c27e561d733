// bitsmith_downsizer gives each part of each token, TIMES times over.
module formal_downsizer #(
    parameter int unsigned PARTS = 3,
    parameter int unsigned TIMES = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 2;
    localparam int unsigned WIDTH = 2;
    localparam int unsigned RESULTS = TOKENS * PARTS * TIMES;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [PARTS*WIDTH-1:0] x_data;
    logic [TOKENS*PARTS*WIDTH-1:0] tokens;
    logic [WIDTH-1:0] y_data;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(PARTS * WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .BY(RESULTS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_downsizer #(.PARTS(PARTS), .TIMES(TIMES), .WIDTH(WIDTH)) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .y_free, .y_claim, .y_put, .y_data
    );

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == tokens[(puts/(PARTS*TIMES)*PARTS+puts%PARTS)*WIDTH+:WIDTH]);
            assert (y_claim == (x_valid & y_free));
            assert (taken == puts / (PARTS * TIMES));
        end
    end
endmodule
