// bitsmith_reduce gives the sum, or the greatest, of each COUNT tokens, a cycle after the last of them.
module formal_reduce #(
    parameter int unsigned COUNT = 3,
    parameter bit GREATEST = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned RESULTS = 3;
    localparam int unsigned ELEMENTS = 2;
    localparam int unsigned WIDTH = 2;
    localparam int unsigned SIZE = ELEMENTS * WIDTH;
    localparam int unsigned TOKENS = RESULTS * COUNT;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [SIZE-1:0] x_data, y_data;
    logic [TOKENS*SIZE-1:0] tokens;
    logic [RESULTS*SIZE-1:0] expected;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(SIZE)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .LATENCY(1), .BY(TOKENS + 1)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_reduce #(.COUNT(COUNT), .ELEMENTS(ELEMENTS), .WIDTH(WIDTH), .GREATEST(GREATEST)) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .y_free, .y_claim, .y_put, .y_data
    );

    for (genvar k = 0; k < RESULTS; ++k) begin : g_result
        for (genvar e = 0; e < ELEMENTS; ++e) begin : g_element
            logic signed [WIDTH-1:0] joined[COUNT];
            for (genvar n = 0; n < COUNT; ++n) begin : g_token
                logic signed [WIDTH-1:0] token;
                assign token = tokens[(k*COUNT+n)*SIZE+e*WIDTH+:WIDTH];
                if (n == 0) begin : g_first
                    assign joined[n] = token;
                end else if (GREATEST) begin : g_greatest
                    assign joined[n] = (token > joined[n-1]) ? token : joined[n-1];
                end else begin : g_sum
                    assign joined[n] = joined[n-1] + token;
                end
            end
            assign expected[k*SIZE+e*WIDTH+:WIDTH] = joined[COUNT-1];
        end
    end

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == expected[puts*SIZE+:SIZE]);
            assert (x_take == (x_valid & (y_free | (taken % COUNT != COUNT - 1))));
            assert (puts + y_put == taken / COUNT);
        end
    end
endmodule
