// SPDX-License-Identifier: Apache-2.0
// Addresses of bitsmith_engine: of the weights of the next step, of the bias of the next sum, and of biases that come.
//
// ABREAST, BIASES, OUTSIDE, ..._BITS   as bitsmith_engine has them
module bitsmith_engine_addresses #(
    parameter int ABREAST = 1,
    parameter int BIASES = 0,
    parameter int OUTSIDE = 0,
    parameter int WEIGHTS_BITS = 6,
    parameter int BIAS_BITS = 4
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    start,            // a layer begins
    input  logic                    runs,             // steps are taken: if one is,
    input  logic                    step,             // and with it end
    input  logic                    pass_ends,
    input  logic                    block_ends,
    input  logic                    window_ends,
    input  logic                    round_ends,       // all windows
    input  logic                    is_last,          // of the sums of a pass, or of those that leave at once, which leave,
    input  logic                    move,             // and are taken by the token function three cycles later
    input  logic                    finish,           // the frame ends
    input  logic                    abreast,          // sums leave so
    input  logic                    alike,            // all blocks have the same weights
    input  logic                    outside,          // passes are outside of windows
    input  logic [WEIGHTS_BITS-1:0] first_weights,
    input  logic [   BIAS_BITS-1:0] first_bias,
    output logic [WEIGHTS_BITS-1:0] weights_address,
    output logic [   BIAS_BITS-1:0] bias_address,
    output logic                    fills,            // biases come
    input  logic                    put,              // one of this number:
    output logic [   BIAS_BITS-1:0] bias_place
);
    logic [WEIGHTS_BITS-1:0] round_weights;  // of the first pass of windows, or of the one that is outside of them
    logic [BIAS_BITS-1:0] round_bias;
    logic [WEIGHTS_BITS-1:0] next_weights;
    logic [BIAS_BITS-1:0] next_bias;
    logic ends_window;  // and the passes that follow have other biases than before only if they are outside
    logic ends_round;
    logic is_window_done;  // the sums that leave are the last ones of a window
    logic is_round_done;
    logic [3:1] rewinds;  // in each stage, the bias after this one is that of the round
    logic [3:1] rounds;  // or of the next round

    assign ends_round = outside & round_ends;
    assign ends_window = window_ends & ~ends_round;

    // What is added is not constant: carries of a constant are functions of the address alone, which Yosys finds again in the
    // table that the address reads. It then makes that table of the carries, in up to twice the cells.
    assign next_weights = weights_address + WEIGHTS_BITS'(runs);
    assign next_bias = bias_address + (move ? $unsigned(BIAS_BITS'(abreast ? ABREAST : 1)) : BIAS_BITS'(0));

    always_ff @(posedge clk) begin
        if (start) weights_address <= first_weights;
        else if (step) weights_address <= (ends_window | (block_ends & alike)) ? round_weights : next_weights;
        if (step & pass_ends) {is_round_done, is_window_done} <= {round_ends, ends_window};
        rewinds <= {rewinds[2:1], is_window_done & is_last};
        rounds <= {rounds[2:1], is_round_done & is_last};
        if (start) bias_address <= first_bias;
        else if (move) bias_address <= rewinds[3] ? round_bias : next_bias;
    end

    generate
    if (OUTSIDE != 0) begin : g_rounds
        logic [WEIGHTS_BITS-1:0] weights_of;
        logic [BIAS_BITS-1:0] bias_of;

        assign round_weights = weights_of;
        assign round_bias = bias_of;

        always_ff @(posedge clk) begin
            if (start) weights_of <= first_weights;
            else if (step & ends_round) weights_of <= next_weights;
            if (start) bias_of <= first_bias;
            else if (outside & move & rounds[3]) bias_of <= next_bias;
        end
    end else begin : g_layers
        logic unused;

        assign round_weights = first_weights;
        assign round_bias = first_bias;
        assign unused = rounds[3];
    end

    if (BIASES != 0) begin : g_biases
        localparam logic [BIAS_BITS-1:0] LAST_BIAS = BIAS_BITS'(BIASES - 1);

        always_ff @(posedge clk) begin
            if (rst) {fills, bias_place} <= {1'b1, BIAS_BITS'(0)};
            else if (finish) fills <= 1'b1;
            else if (put) begin
                fills <= bias_place != LAST_BIAS;
                bias_place <= (bias_place == LAST_BIAS) ? '0 : bias_place + 1'b1;
            end
        end
    end else begin : g_tables
        logic unused;

        assign {fills, bias_place} = '0;
        assign unused = ^{rst, finish, put};
    end
    endgenerate
endmodule
