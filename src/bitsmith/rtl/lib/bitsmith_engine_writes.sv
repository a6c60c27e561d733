// SPDX-License-Identifier: Apache-2.0
// What bitsmith_engine writes into its memories, and where: tokens that come, and the results of layers.
//
// DOWN, ACROSS, WIDTH, ABREAST, OUTSIDE, ..._BITS   as bitsmith_engine has them
// LATER                                                     1: a cycle later
module bitsmith_engine_writes #(
    parameter int DOWN = 1,
    parameter int ACROSS = 1,
    parameter int WIDTH = 8,
    parameter int ABREAST = 1,
    parameter int OUTSIDE = 0,
    parameter bit LATER = 1'b0,
    parameter int POSITIONS = DOWN * ACROSS,
    parameter int LANE_BITS = 2,
    parameter int WORD_BITS = 6,
    parameter int COUNT_BITS = 1
) (
    input  logic                               clk,
    input  logic                               rst,
    input  logic                               take,         // a token comes,
    input  logic [           ACROSS*WIDTH-1:0] tokens,       // a number for each part across
    input  logic                               start,        // a layer begins
    input  logic                               done,         // a result of a pass, or those that are abreast,
    input  logic                               store,        // and it is put into the memories,
    input  logic                               apiece,       // of all positions, else of the first one
    input  logic [POSITIONS*ABREAST*WIDTH-1:0] results,
    input  logic                               finish,       // the next token begins the memories again
    input  logic [              WORD_BITS-1:0] last_token,   // the number of the last one for a part down
    input  logic                               abreast,      // the layer's results are
    input  logic [              LANE_BITS-1:0] leaves_in,    // results of a pass, or times that some leave abreast
    input  logic [              WORD_BITS-1:0] target,       // of the layer's first result
    input  logic                               outside,      // passes are outside of windows:
    input  logic [             COUNT_BITS-1:0] last_of_all,  // windows
    input  logic [              WORD_BITS-1:0] to_result,    // from a pass's last result to the next window's first one,
    input  logic [              WORD_BITS-1:0] to_round,     // of the first window in the next pass
    output logic                               pass_done,    // the last result of a pass,
    output logic                               round_done,   // of its last window, if passes may be outside of windows
    output logic                               is_loaded,    // with the token that comes
    output logic [              POSITIONS-1:0] write,
    output logic [              WORD_BITS-1:0] write_at,
    output logic                               are_abreast,  // so many numbers are written
    output logic [POSITIONS*ABREAST*WIDTH-1:0] written
);
    logic [WORD_BITS-1:0] at;
    logic [DOWN-1:0] down;  // parts that a token is for
    logic is_part_full;
    logic more;  // than one number
    logic [WORD_BITS-1:0] next_place;
    logic [WORD_BITS-1:0] further;
    logic [POSITIONS-1:0] puts;
    logic [POSITIONS*ABREAST*WIDTH-1:0] data;

    assign more = abreast & ~take;
    assign next_place = $unsigned(more ? WORD_BITS'(ABREAST) : WORD_BITS'(1));
    assign is_part_full = take & (at == last_token);
    assign is_loaded = is_part_full & down[DOWN-1];

    always_ff @(posedge clk) begin
        if (rst | finish | is_part_full) at <= '0;
        else if (start) at <= target;
        else if (take | store) at <= at + further;
    end

    genvar k;
    generate
    for (k = 0; k < POSITIONS; k = k + 1) begin : g_position
        assign puts[k] = take ? down[k/ACROSS] : store & (apiece | (k == 0));
        assign data[k*ABREAST*WIDTH+:ABREAST*WIDTH]
            = take ? {ABREAST{tokens[(k%ACROSS)*WIDTH+:WIDTH]}} : results[k*ABREAST*WIDTH+:ABREAST*WIDTH];
    end

    if (LATER) begin : g_later
        always_ff @(posedge clk) begin
            write <= puts & {POSITIONS{~rst}};
            write_at <= at;
            are_abreast <= more;
            written <= data;
        end
    end else begin : g_at_once
        assign write = puts;
        assign write_at = at;
        assign are_abreast = more;
        assign written = data;
    end

    if (DOWN == 1) begin : g_whole
        assign down = 1'b1;
    end else begin : g_parts
        always_ff @(posedge clk) begin
            if (rst) down <= DOWN'(1);
            else if (is_part_full) down <= {down[DOWN-2:0], down[DOWN-1]};
        end
    end

    if (OUTSIDE != 0) begin : g_jumps
        logic [LANE_BITS-1:0] lane;
        logic [COUNT_BITS-1:0] window;
        logic is_last_lane;
        logic is_last_window;

        assign {pass_done, round_done} = {is_last_lane, is_last_window};
        assign is_last_lane = lane == leaves_in - 1'b1;
        assign is_last_window = window == last_of_all;

        always_comb begin
            if (~(outside & is_last_lane) | take) further = next_place;
            else further = is_last_window ? to_round : to_result;
        end

        always_ff @(posedge clk) begin
            if (start) begin
                lane <= '0;
                window <= '0;
            end else if (done) begin
                lane <= is_last_lane ? '0 : lane + 1'b1;
                if (is_last_lane) window <= is_last_window ? '0 : window + 1'b1;
            end
        end
    end else begin : g_follows
        logic unused;

        assign {pass_done, round_done} = 2'b00;
        assign further = next_place;
        assign unused = ^{done, outside, leaves_in, to_result, to_round, last_of_all};
    end
    endgenerate
endmodule
