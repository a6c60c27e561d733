// SPDX-License-Identifier: Apache-2.0
// Tokens in the order in which they come, some dropped, some repeated, and zeros in between.
//
// A table outside says what each action of a frame does: flags for the action in the same cycle as index (a combinational
// table), or one cycle after next_index (a synchronous one). An action waits for what it needs and where it gives.
//
// ACTIONS   actions of a frame
// WIDTH     bits of a token
// flags     bit 0: needs the waiting token, and gives it; gives zeros if not set
//           bit 1: takes the waiting token, which it needs
//           bit 2: gives a token
module bitsmith_order #(
    parameter int ACTIONS = 8,
    parameter int WIDTH = 8,
    parameter int INDEX_BITS = (ACTIONS > 1) ? $clog2(ACTIONS) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  x_valid,
    input  logic [     WIDTH-1:0] x_data,
    output logic                  x_take,
    output logic [INDEX_BITS-1:0] index,
    output logic [INDEX_BITS-1:0] next_index,
    input  logic [           2:0] flags,
    input  logic                  y_free,
    output logic                  y_claim,
    output logic                  y_put,
    output logic [     WIDTH-1:0] y_data
);
    localparam logic [INDEX_BITS-1:0] LAST = INDEX_BITS'(ACTIONS - 1);

    logic act;

    assign act = (x_valid | ~flags[0]) & (y_free | ~flags[2]);
    assign x_take = act & flags[1];
    assign y_claim = act & flags[2];
    assign y_put = y_claim;
    assign y_data = flags[0] ? x_data : '0;

    always_comb begin
        next_index = index;
        if (act) next_index = (index == LAST) ? '0 : index + 1'b1;
        if (rst) next_index = '0;
    end

    always_ff @(posedge clk) index <= next_index;
endmodule
