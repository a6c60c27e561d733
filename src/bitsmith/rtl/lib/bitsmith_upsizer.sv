// SPDX-License-Identifier: Apache-2.0
// PARTS tokens in a row as one, the first in the lowest bits.
//
// The last part goes from the operand straight into the result, which is put in the cycle in which it is taken; only that
// action needs a free place.
//
// PARTS   parts of a result, at least 1
// WIDTH   bits of a part
module bitsmith_upsizer #(
    parameter int PARTS = 4,
    parameter int WIDTH = 8
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   x_valid,
    input  logic [      WIDTH-1:0] x_data,
    output logic                   x_take,
    input  logic                   y_free,
    output logic                   y_claim,
    output logic                   y_put,
    output logic [PARTS*WIDTH-1:0] y_data
);
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);

    logic [PART_BITS-1:0] part;
    logic last_part;

    assign last_part = part == LAST_PART;
    assign x_take = x_valid & (y_free | ~last_part);
    assign y_claim = x_take & last_part;
    assign y_put = y_claim;

    always_ff @(posedge clk) begin
        if (rst) part <= '0;
        else if (x_take) part <= last_part ? '0 : part + 1'b1;
    end

    generate
    if (PARTS > 1) begin : g_parts
        logic [(PARTS-1)*WIDTH-1:0] earlier;  // moves down by a part per action

        assign y_data = {x_data, earlier};

        always_ff @(posedge clk) begin
            if (x_take) earlier <= y_data[PARTS*WIDTH-1:WIDTH];
        end
    end else begin : g_whole
        assign y_data = x_data;
    end
    endgenerate
endmodule
