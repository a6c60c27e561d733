// SPDX-License-Identifier: Apache-2.0
// The tokens of a state that goes round: first the initial ones, then what comes back, but for that of the last round.
//
// An action of a frame takes and gives an initial token, takes and gives one that came back, or, in the last round, takes one.
// Results are put in the cycle of their action.
//
// TOKENS   tokens of the state
// ROUNDS   how often it is given
// WIDTH    bits of a token
// KEPT     1: what comes back in the last round is given first in the next frame, instead of its initial tokens
module bitsmith_feedback #(
    parameter int TOKENS = 2,
    parameter int ROUNDS = 3,
    parameter int WIDTH = 8,
    parameter int KEPT = 0
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             initial_valid,
    input  logic [WIDTH-1:0] initial_data,
    output logic             initial_take,
    input  logic             back_valid,
    input  logic [WIDTH-1:0] back_data,
    output logic             back_take,
    input  logic             y_free,
    output logic             y_claim,
    output logic             y_put,
    output logic [WIDTH-1:0] y_data
);
    localparam int TOKEN_BITS = (TOKENS > 1) ? $clog2(TOKENS) : 1;
    localparam int ROUND_BITS = $clog2(ROUNDS + 1);
    localparam logic [TOKEN_BITS-1:0] LAST_TOKEN = TOKEN_BITS'(TOKENS - 1);
    localparam logic [ROUND_BITS-1:0] LAST_ROUND = ROUND_BITS'(ROUNDS);

    logic [TOKEN_BITS-1:0] token;
    logic [ROUND_BITS-1:0] turn;  // 0: initial tokens
    logic first;
    logic last;
    logic act;
    logic [WIDTH-1:0] opening;

    assign first = turn == '0;
    assign last = turn == LAST_ROUND;
    assign act = (first ? initial_valid : back_valid) & (y_free | last);
    assign initial_take = act & first;
    assign back_take = act & ~first;
    assign y_claim = act & ~last;
    assign y_put = y_claim;
    assign y_data = first ? opening : back_data;

    generate
        if (KEPT == 0) begin : g_anew
            assign opening = initial_data;
        end else begin : g_kept
            logic [WIDTH-1:0] left[TOKENS];
            logic begun;
            assign opening = begun ? left[token] : initial_data;
            always_ff @(posedge clk) begin
                if (back_take & last) left[token] <= back_data;
            end
            always_ff @(posedge clk) begin
                if (rst) begun <= 1'b0;
                else if (act & last) begun <= 1'b1;
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (rst) begin
            token <= '0;
            turn <= '0;
        end else if (act) begin
            token <= (token == LAST_TOKEN) ? '0 : token + 1'b1;
            if (token == LAST_TOKEN) turn <= last ? '0 : turn + 1'b1;
        end
    end
endmodule
