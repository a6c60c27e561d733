// SPDX-License-Identifier: Apache-2.0
// Constant tokens in order, over and over.
//
// The tokens come from a table outside: table_data in the same cycle as index (a combinational table), or one cycle after
// next_index (a synchronous one). A token is put in each cycle in which a place is free.
//
// WIDTH    bits of a token
// TOKENS   tokens of a frame
module bitsmith_rom #(
    parameter int WIDTH = 8,
    parameter int TOKENS = 4,
    parameter int INDEX_BITS = (TOKENS > 1) ? $clog2(TOKENS) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    output logic [INDEX_BITS-1:0] index,
    output logic [INDEX_BITS-1:0] next_index,
    input  logic [     WIDTH-1:0] table_data,
    input  logic                  y_free,
    output logic                  y_claim,
    output logic                  y_put,
    output logic [     WIDTH-1:0] y_data
);
    localparam logic [INDEX_BITS-1:0] LAST = INDEX_BITS'(TOKENS - 1);

    assign y_claim = y_free;
    assign y_put = y_free;
    assign y_data = table_data;

    always_comb begin
        next_index = index;
        if (y_free) next_index = (index == LAST) ? '0 : index + 1'b1;
        if (rst) next_index = '0;
    end

    always_ff @(posedge clk) index <= next_index;
endmodule
