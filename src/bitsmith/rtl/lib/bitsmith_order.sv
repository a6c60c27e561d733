// SPDX-License-Identifier: Apache-2.0
// Tokens in the order in which they come, some dropped, some repeated, and zeros in between.
//
// A table outside says what each action of a frame does (bitsmith_actions). It waits for what it needs and where it gives.
//
// WIDTH     bits of a token
// act       the action is done
// flags     bit 0: needs the waiting token, and gives it; gives zeros if not set
//           bit 1: takes the waiting token, which it needs
//           bit 2: gives a token
module bitsmith_order #(
    parameter int WIDTH = 8
) (
    input  logic             x_valid,
    input  logic [WIDTH-1:0] x_data,
    output logic             x_take,
    output logic             act,
    input  logic [      2:0] flags,
    input  logic             y_free,
    output logic             y_claim,
    output logic             y_put,
    output logic [WIDTH-1:0] y_data
);
    assign act = (x_valid | ~flags[0]) & (y_free | ~flags[2]);
    assign x_take = act & flags[1];
    assign y_claim = act & flags[2];
    assign y_put = y_claim;
    assign y_data = flags[0] ? x_data : '0;
endmodule
