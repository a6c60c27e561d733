// SPDX-License-Identifier: Apache-2.0
// Tokens of several operands as one stream, in a fixed order.
//
// A table outside says whose token is next (bitsmith_actions). Results are put in the cycle of their action.
//
// OPERANDS   operands; number k has bit k of x_valid and x_take and the k-th WIDTH bits of x_data
// WIDTH      bits of a token
module bitsmith_interleave #(
    parameter int OPERANDS = 2,
    parameter int WIDTH = 8,
    parameter int WHICH_BITS = (OPERANDS > 1) ? $clog2(OPERANDS) : 1
) (
    input  logic [      OPERANDS-1:0] x_valid,
    input  logic [OPERANDS*WIDTH-1:0] x_data,
    output logic [      OPERANDS-1:0] x_take,
    input  logic [    WHICH_BITS-1:0] which,
    input  logic                      y_free,
    output logic                      y_claim,
    output logic                      y_put,
    output logic [         WIDTH-1:0] y_data
);
    assign y_claim = x_valid[which] & y_free;
    assign y_put = y_claim;

    genvar place, k;
    generate
    for (place = 0; place < WIDTH; place = place + 1) begin : g_bit
        logic [OPERANDS-1:0] choice;

        for (k = 0; k < OPERANDS; k = k + 1) begin : g_operand
            assign choice[k] = x_data[k*WIDTH+place];
        end
        assign y_data[place] = choice[which];
    end

    for (k = 0; k < OPERANDS; k = k + 1) begin : g_take
        localparam logic [WHICH_BITS-1:0] NUMBER = WHICH_BITS'(k);

        assign x_take[k] = y_claim & (which == NUMBER);
    end
    endgenerate
endmodule
