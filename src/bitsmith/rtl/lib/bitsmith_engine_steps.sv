// SPDX-License-Identifier: Apache-2.0
// The steps of a layer of bitsmith_engine: what ends with the next one, where its number is, and whether there is one.
//
// POSITIONS, PART, ..._BITS   as bitsmith_engine has them
// AXIS, WALK                  bits of these fields of descriptors
// begins                      the layer begins with this; else a step of it is taken
// go                          do so: it only enables registers, since it comes late, from the consumer of the results
module bitsmith_engine_steps #(
    parameter int POSITIONS = 1,
    parameter int PART = 2,
    parameter int PLACE_BITS = 4,
    parameter int TAP_BITS = 2,
    parameter int WINDOW_BITS = 3,
    parameter int CHANNEL_BITS = 4,
    parameter int PASS_BITS = 1,
    parameter int BLOCK_BITS = 1,
    parameter int WORD_BITS = 6,
    parameter int AXIS = 5 * PLACE_BITS + TAP_BITS + WINDOW_BITS,
    parameter int WALK = 7 * WORD_BITS + ((POSITIONS > 1) ? 7 * PART + 2 * (WORD_BITS + 1) : 0),
    parameter int WALKS = (POSITIONS > 1) ? 2 * WALK : WALK
) (
    input  logic                                         clk,
    input  logic                                         begins,
    input  logic                                         go,
    input  logic                                         outside,       // passes are outside of windows
    input  logic [                             AXIS-1:0] columns,
    input  logic [                             AXIS-1:0] rows,
    input  logic [CHANNEL_BITS+PASS_BITS+BLOCK_BITS-1:0] previous,      // the last channel, pass and block less 1
    input  logic [                            WALKS-1:0] walks,         // of all axes; or of columns, and above it of rows
    output logic                                         pass_ends,
    output logic                                         block_ends,
    output logic                                         window_ends,
    output logic                                         round_ends,    // of all windows
    output logic                                         layer_ends,
    output logic [                                  1:0] is_inside,     // column and row are
    output logic                                         is_first_row,  // of the window
    output logic [                        WORD_BITS-1:0] at,
    output logic [                             PART-1:0] part_down,     // that the first position reads
    output logic [                             PART-1:0] part_across
);
    logic [2:0] is_last_number;  // channel, pass and block are
    logic tap_ends;
    logic row_ends;
    logic line_ends;  // of windows
    logic [1:0] is_first_tap;
    logic [1:0] is_last_tap;
    logic [1:0] is_last_window;
    logic unused_tap;

    assign tap_ends = is_last_number[0];
    assign row_ends = tap_ends & is_last_tap[0];
    assign pass_ends = row_ends & is_last_tap[1];
    assign block_ends = pass_ends & (outside | is_last_number[1]);
    assign window_ends = block_ends & is_last_number[2];
    assign line_ends = window_ends & is_last_window[0];
    assign round_ends = line_ends & is_last_window[1];
    assign layer_ends = round_ends & is_last_number[1];
    assign {is_first_row, unused_tap} = is_first_tap;

    genvar k;
    generate
    for (k = 0; k < 2; k = k + 1) begin : g_axis
        logic [PLACE_BITS-1:0] size, first, further, back, onward;
        logic [TAP_BITS-1:0] before_tap;
        logic [WINDOW_BITS-1:0] before_window;
        logic next_tap;
        logic next_window;

        assign {before_window, before_tap, onward, back, further, first, size} = (k == 0) ? columns : rows;
        assign next_tap = (k == 0) ? tap_ends : row_ends;
        assign next_window = (k == 0) ? window_ends : line_ends;

        bitsmith_engine_axis #(
            .PLACE_BITS(PLACE_BITS), .TAP_BITS(TAP_BITS), .WINDOW_BITS(WINDOW_BITS)
        ) axis (
            .clk(clk), .go(go), .next_tap(next_tap), .next_window(next_window), .size(size), .first(first),
            .further(further), .back(back), .onward(onward), .before_tap(before_tap), .before_window(before_window),
            .start         (begins),
            .is_inside     (is_inside[k]),
            .is_first_tap  (is_first_tap[k]),
            .is_last_tap   (is_last_tap[k]),
            .is_last_window(is_last_window[k])
        );
    end
    endgenerate

    logic [2:0] goes_on;  // the counters of channels, passes and blocks

    assign goes_on = {block_ends, outside ? round_ends : pass_ends, 1'b1};

    generate
    for (k = 0; k < 3; k = k + 1) begin : g_number
        localparam int BITS = (k == 0) ? CHANNEL_BITS : (k == 1) ? PASS_BITS : BLOCK_BITS;
        localparam int LOW = (k == 0) ? 0 : (k == 1) ? CHANNEL_BITS : CHANNEL_BITS + PASS_BITS;
        logic unused;

        bitsmith_engine_count #(
            .BITS(BITS)
        ) count (
            .clk     (clk),
            .go      (go),
            .start   (begins),
            .next    (goes_on[k]),
            .previous(previous[LOW+:BITS]),
            .is_first(unused),
            .is_last (is_last_number[k])
        );
    end
    endgenerate

    logic restarts;  // reading, if it goes on
    logic [5:0] ends;

    assign restarts = begins | (outside & round_ends);
    assign ends = {line_ends, window_ends, block_ends, pass_ends, row_ends, tap_ends};

    generate
    if (POSITIONS == 1) begin : g_whole
        logic unused;

        assign {part_down, part_across} = '0;

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS)
        ) all_axes (
            .clk    (clk),
            .restart(restarts),
            .step   (go),
            .ends   (ends),
            .walk   (walks),
            .at     (at),
            .part   (unused)
        );
    end else begin : g_parts
        logic [WORD_BITS-1:0] row_at;
        logic [WORD_BITS-1:0] column_at;

        assign at = row_at + column_at;

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS),
            .PART     (PART)
        ) columns_walk (
            .clk    (clk),
            .restart(restarts),
            .step   (go),
            .ends   (ends),
            .walk   (walks[WALK-1:0]),
            .at     (column_at),
            .part   (part_across)
        );

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS),
            .PART     (PART),
            .STEP     (0)
        ) rows_walk (
            .clk    (clk),
            .restart(restarts),
            .step   (go),
            .ends   (ends),
            .walk   (walks[2*WALK-1:WALK]),
            .at     (row_at),
            .part   (part_down)
        );
    end
    endgenerate
endmodule
