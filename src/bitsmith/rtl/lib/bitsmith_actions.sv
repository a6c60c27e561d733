// SPDX-License-Identifier: Apache-2.0
// What a process does next: the word of the action of a frame that waits, from a table outside, over and over.
//
// A combinational table gives row in the same cycle as index. A synchronous one (AHEAD) gives it one cycle later and is read
// ahead, so that the word is in a register: what comes out of block memory is too late to decide anything in its cycle.
//
// ACTIONS   actions of a frame
// WIDTH     bits of a word
// AHEAD     whether the table is synchronous
// act       the action is done
// first     the word of the first action, a constant
// last      the action is the last one of a frame
module bitsmith_actions #(
    parameter int ACTIONS = 8,
    parameter int WIDTH = 3,
    parameter bit AHEAD = 1'b0,
    parameter int INDEX_BITS = (ACTIONS > 1) ? $clog2(ACTIONS) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  act,
    input  logic [     WIDTH-1:0] first,
    output logic [INDEX_BITS-1:0] index,
    input  logic [     WIDTH-1:0] row,
    output logic [     WIDTH-1:0] word,
    output logic                  last
);
    localparam logic [INDEX_BITS-1:0] LAST = INDEX_BITS'(ACTIONS - 1);
    localparam logic [INDEX_BITS-1:0] SECOND = INDEX_BITS'((ACTIONS > 1) ? 1 : 0);

    logic [INDEX_BITS-1:0] place;  // whose row the table gives
    logic [INDEX_BITS-1:0] next_place;

    assign next_place = (place == LAST) ? '0 : place + 1'b1;

    generate
    if (AHEAD) begin : g_ahead
        assign last = place == '0;

        always_comb begin
            index = act ? next_place : place;
            if (rst) index = SECOND;
        end

        always_ff @(posedge clk) begin
            place <= index;
            if (rst) word <= first;
            else if (act) word <= row;
        end
    end else begin : g_at_once
        logic unused;

        assign index = place;
        assign word = row;
        assign last = place == LAST;
        assign unused = ^{first, SECOND};

        always_ff @(posedge clk) begin
            if (rst) place <= '0;
            else if (act) place <= next_place;
        end
    end
    endgenerate
endmodule
