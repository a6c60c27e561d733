// SPDX-License-Identifier: Apache-2.0
// The sums, or the greatest, of COUNT tokens in a row, element by element.
//
// Results are put in the cycle after their last action; only that action needs a free place.
//
// COUNT      tokens of a result, at least 1
// ELEMENTS   numbers of a token, signed
// WIDTH      bits of a number, enough for the result
// GREATEST   the greatest number (1) or the sum (0)
module bitsmith_reduce #(
    parameter int COUNT = 4,
    parameter int ELEMENTS = 2,
    parameter int WIDTH = 8,
    parameter bit GREATEST = 1'b0
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      x_valid,
    input  logic [ELEMENTS*WIDTH-1:0] x_data,
    output logic                      x_take,
    input  logic                      y_free,
    output logic                      y_claim,
    output logic                      y_put,
    output logic [ELEMENTS*WIDTH-1:0] y_data
);
    localparam int PLACE_BITS = (COUNT > 1) ? $clog2(COUNT) : 1;
    localparam logic [PLACE_BITS-1:0] LAST = PLACE_BITS'(COUNT - 1);

    logic [PLACE_BITS-1:0] place;
    logic last;

    assign last = place == LAST;
    assign x_take = x_valid & (y_free | ~last);
    assign y_claim = x_take & last;

    always_ff @(posedge clk) begin
        if (rst) begin
            place <= '0;
            y_put <= 1'b0;
        end else begin
            if (x_take) place <= last ? '0 : place + 1'b1;
            y_put <= y_claim;
        end
    end

    genvar k;
    generate
    for (k = 0; k < ELEMENTS; k = k + 1) begin : g_element
        logic signed [WIDTH-1:0] operand;
        logic signed [WIDTH-1:0] result;
        logic signed [WIDTH-1:0] joined;

        assign operand = $signed(x_data[k*WIDTH+:WIDTH]);
        assign y_data[k*WIDTH+:WIDTH] = $unsigned(result);

        if (GREATEST) begin : g_greatest
            assign joined = (place == '0 || operand > result) ? operand : result;
        end else begin : g_sum
            // Cleared before the sum and as its second operand, it takes no look-up tables of its own in carry chains of AMD.
            logic signed [WIDTH-1:0] so_far;

            assign so_far = (place == '0) ? $signed({WIDTH{1'b0}}) : result;
            assign joined = operand + so_far;
        end

        always_ff @(posedge clk) begin
            if (x_take) result <= joined;
        end
    end
    endgenerate
endmodule
