// bitsmith_upsizer gives all tokens, PARTS at a time.
module formal_upsizer #(
    parameter int unsigned PARTS = 3
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned RESULTS = 3;
    localparam int unsigned WIDTH = 2;
    localparam int unsigned TOKENS = RESULTS * PARTS;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [WIDTH-1:0] x_data;
    logic [TOKENS*WIDTH-1:0] tokens;
    logic [PARTS*WIDTH-1:0] y_data;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .BY(TOKENS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_upsizer #(.PARTS(PARTS), .WIDTH(WIDTH)) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .y_free, .y_claim, .y_put, .y_data
    );

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == tokens[puts*PARTS*WIDTH+:PARTS*WIDTH]);
            assert (x_take == (x_valid & (y_free | (taken % PARTS != PARTS - 1))));
            assert (puts == taken / PARTS);
        end
    end
endmodule
