// bitsmith_scan runs any core of LATENCY cycles over two frames of STEPS: the core's answers are arbitrary. KEPT bits of the states
// go on in the second frame.
module formal_scan #(
    parameter int unsigned STEPS = 3,
    parameter int unsigned LATENCY = 2,
    parameter int unsigned KEPT = 0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WIDTH = 2;
    localparam int unsigned RESULTS = 2 * STEPS;
    (* anyconst *) logic [RESULTS*WIDTH-1:0] answers;
    (* anyseq *) logic [WIDTH-1:0] noise;
    logic initial_valid, initial_take, x_valid, x_take, x_data, y_free, y_claim, y_put;
    logic core_valid, core_answers;
    logic [7:0] taken, frames, puts;
    logic [WIDTH-1:0] initial_data, core_states, next_states;
    logic [2*WIDTH-1:0] states;
    logic [RESULTS-1:0] tokens;

    formal_operand #(.TOKENS(2), .WIDTH(WIDTH)) first (
        .clk, .rst, .eager, .valid(initial_valid), .data(initial_data), .take(initial_take), .tokens(states), .taken(frames)
    );
    formal_operand #(.TOKENS(RESULTS), .WIDTH(1)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .LATENCY(LATENCY), .BY(RESULTS * (LATENCY + 1))) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_scan #(.STEPS(STEPS), .STATES_WIDTH(WIDTH), .KEPT_WIDTH(KEPT)) dut (
        .clk, .rst, .initial_valid, .initial_data, .initial_take, .x_valid, .x_take, .core_valid, .core_states,
        .core_answers, .next_states, .y_free, .y_claim, .y_put
    );

    // The core: its answer number k is answers[k].
    if (LATENCY > 0) begin : g_later
        logic [LATENCY-1:0] stages;
        always_ff @(posedge clk) stages <= rst ? '0 : LATENCY'({stages, core_valid});
        assign core_answers = stages[LATENCY-1];
    end else begin : g_now
        assign core_answers = core_valid;
    end
    assign next_states = core_answers ? answers[puts*WIDTH+:WIDTH] : noise;

    always_ff @(posedge clk) begin
        if (!rst) begin
            assert (core_valid == x_take && core_valid == y_claim);
            assert (initial_take == (x_take && taken % STEPS == 0));
            assert (!core_valid || puts == taken);  // one at a time
            if (core_valid) begin
                for (int unsigned k = 0; k < WIDTH; ++k) begin
                    if (taken % STEPS == 0 && (k >= KEPT || taken == 0)) assert (core_states[k] == states[taken/STEPS*WIDTH+k]);
                    else assert (core_states[k] == answers[(taken-1)*WIDTH+k]);
                end
            end
        end
    end
endmodule
