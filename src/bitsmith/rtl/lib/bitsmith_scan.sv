// SPDX-License-Identifier: Apache-2.0
// Control and states of a recurrence around a core that makes the next states and a result of states and tokens.
//
// The first action of a frame takes the initial states and the first tokens, those that follow use the states that the core
// gave. An action starts the core; the next one is done in the cycle after the core's answer, at the earliest. The
// result is put with the answer. Tokens of the sequences go straight from their FIFOs to the core, results straight from
// the core to theirs.
//
// STEPS          actions of a frame
// STATES_WIDTH   bits of all states
// KEPT_WIDTH     the lowest of these begin a frame as the one before left them; after a reset with the initial states
// initial_*      the FIFOs of the initial states, which are all taken at once
// x_*            the FIFOs of the sequences, which are all taken at once
// core_states    states for the core while core_valid starts it
// core_answers   the core's out_valid, with next_states in its out_data; the core's latency is fixed, 0 at least
module bitsmith_scan #(
    parameter int STEPS = 4,
    parameter int STATES_WIDTH = 8,
    parameter int KEPT_WIDTH = 0
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    initial_valid,
    input  logic [STATES_WIDTH-1:0] initial_data,
    output logic                    initial_take,
    input  logic                    x_valid,
    output logic                    x_take,
    output logic                    core_valid,
    output logic [STATES_WIDTH-1:0] core_states,
    input  logic                    core_answers,
    input  logic [STATES_WIDTH-1:0] next_states,
    input  logic                    y_free,
    output logic                    y_claim,
    output logic                    y_put
);
    localparam int STEP_BITS = (STEPS > 1) ? $clog2(STEPS) : 1;
    localparam logic [STEP_BITS-1:0] LAST = STEP_BITS'(STEPS - 1);

    logic [STEP_BITS-1:0] step;
    logic [STATES_WIDTH-1:0] states;
    logic waiting;
    logic first;
    logic [STATES_WIDTH-1:0] opening;

    assign first = step == '0;
    assign x_take = x_valid & y_free & ~waiting & (initial_valid | ~first);
    assign initial_take = x_take & first;
    assign core_valid = x_take;
    assign core_states = first ? opening : states;
    assign y_claim = x_take;
    assign y_put = core_answers;

    generate
        if (KEPT_WIDTH == 0) begin : g_anew
            assign opening = initial_data;
        end else begin : g_kept
            logic begun;
            always_comb begin
                opening = initial_data;
                if (begun) opening[KEPT_WIDTH-1:0] = states[KEPT_WIDTH-1:0];
            end
            always_ff @(posedge clk) begin
                if (rst) begun <= 1'b0;
                else if (x_take) begun <= 1'b1;
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (core_answers) states <= next_states;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            step <= '0;
            waiting <= 1'b0;
        end else begin
            if (x_take) step <= (step == LAST) ? '0 : step + 1'b1;
            waiting <= (waiting | x_take) & ~core_answers;
        end
    end
endmodule
