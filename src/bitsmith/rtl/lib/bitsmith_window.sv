// SPDX-License-Identifier: Apache-2.0
// Sliding windows over up to three axes of positions, with zeros beyond the border.
//
// An action per position of the padded tensor, in row-major order, up to the last that matters: a token is taken or, in the
// padding, made up of zeros, and goes into a line of delays; if it completes a window, all taps of that are put, in the
// same cycle. An action needs a token only where one is taken, a free place only where a window is complete. The
// memory of the line is the distance from the first tap of a window to its last, no more.
//
// WIDTH       bits of a token; tap k of a window, in row-major order, is number k of the result
// SIZE_a      positions along axis a, the last axis moving fastest; axes that are not there have size 1 and one tap
// TAPS_a      positions of a window
// STRIDE_a    positions between windows
// DILATION_a  positions between taps
// BEFORE_a    zeros in front
// AFTER_a     zeros after; at least one window must fit into the padded axis
// LARGE       bits of a column of larger memory, if long delays are in such a one (bitsmith_ram); 0: they are not
// CHECK       check bits of a token in the memory of long delays (bitsmith_encode); 0: none
// fault       of what comes out of such memory, as bitsmith_decode has it
module bitsmith_window #(
    parameter int WIDTH = 8,
    parameter int SIZE_0 = 1,
    parameter int SIZE_1 = 8,
    parameter int SIZE_2 = 8,
    parameter int TAPS_0 = 1,
    parameter int TAPS_1 = 3,
    parameter int TAPS_2 = 3,
    parameter int STRIDE_0 = 1,
    parameter int STRIDE_1 = 1,
    parameter int STRIDE_2 = 1,
    parameter int DILATION_0 = 1,
    parameter int DILATION_1 = 1,
    parameter int DILATION_2 = 1,
    parameter int BEFORE_0 = 0,
    parameter int BEFORE_1 = 0,
    parameter int BEFORE_2 = 0,
    parameter int AFTER_0 = 0,
    parameter int AFTER_1 = 0,
    parameter int AFTER_2 = 0,
    parameter int LARGE = 0,
    parameter int CHECK = 0,
    parameter int TAPS = TAPS_0 * TAPS_1 * TAPS_2
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  x_valid,
    input  logic [     WIDTH-1:0] x_data,
    output logic                  x_take,
    input  logic                  y_free,
    output logic                  y_claim,
    output logic                  y_put,
    output logic [TAPS*WIDTH-1:0] y_data,
    output logic [           1:0] fault
);
    localparam int PADDED_0 = BEFORE_0 + SIZE_0 + AFTER_0;
    localparam int PADDED_1 = BEFORE_1 + SIZE_1 + AFTER_1;
    localparam int PADDED_2 = BEFORE_2 + SIZE_2 + AFTER_2;
    // Where the first and the last window of an axis end.
    localparam int REACH_0 = DILATION_0 * (TAPS_0 - 1);
    localparam int REACH_1 = DILATION_1 * (TAPS_1 - 1);
    localparam int REACH_2 = DILATION_2 * (TAPS_2 - 1);
    localparam int END_0 = REACH_0 + ((PADDED_0 - 1 - REACH_0) / STRIDE_0) * STRIDE_0;
    localparam int END_1 = REACH_1 + ((PADDED_1 - 1 - REACH_1) / STRIDE_1) * STRIDE_1;
    localparam int END_2 = REACH_2 + ((PADDED_2 - 1 - REACH_2) / STRIDE_2) * STRIDE_2;
    // The last token that is taken, the last that completes a window, and the later of them.
    localparam int LAST_TAKEN =
        ((BEFORE_0 + SIZE_0 - 1) * PADDED_1 + BEFORE_1 + SIZE_1 - 1) * PADDED_2 + BEFORE_2 + SIZE_2 - 1;
    localparam int LAST_COMPLETE = (END_0 * PADDED_1 + END_1) * PADDED_2 + END_2;
    localparam int LAST = (LAST_TAKEN > LAST_COMPLETE) ? LAST_TAKEN : LAST_COMPLETE;

    logic act;
    logic [2:0] is_inside;
    logic [2:0] is_complete;
    logic [2:0] is_last;
    logic [2:0] is_edge;
    logic inside_all;
    logic complete_all;
    logic frame_ends;

    assign inside_all = &is_inside;
    assign complete_all = &is_complete;
    assign frame_ends = &is_last;
    assign act = (x_valid | ~inside_all) & (y_free | ~complete_all);
    assign x_take = act & inside_all;
    assign y_claim = act & complete_all;
    assign y_put = y_claim;

    // Of the axes, the first in the lowest bits. One moves on where all those after it are at their ends.
    localparam logic [95:0] SIZE = {SIZE_2, SIZE_1, SIZE_0};
    localparam logic [95:0] BEFORE = {BEFORE_2, BEFORE_1, BEFORE_0};
    localparam logic [95:0] PADDED = {PADDED_2, PADDED_1, PADDED_0};
    localparam logic [95:0] REACH = {REACH_2, REACH_1, REACH_0};
    localparam logic [95:0] STRIDE = {STRIDE_2, STRIDE_1, STRIDE_0};
    localparam logic [95:0] LASTS = {LAST % PADDED_2, (LAST / PADDED_2) % PADDED_1, LAST / PADDED_2 / PADDED_1};
    logic [2:0] moves;

    assign moves = {act, act & is_edge[2], act & is_edge[2] & is_edge[1]};

    genvar a;
    generate
    for (a = 0; a < 3; a = a + 1) begin : g_axis
        bitsmith_window_axis #(
            .SIZE  (SIZE[32*a+:32]),
            .BEFORE(BEFORE[32*a+:32]),
            .PADDED(PADDED[32*a+:32]),
            .REACH (REACH[32*a+:32]),
            .STRIDE(STRIDE[32*a+:32]),
            .LAST  (LASTS[32*a+:32])
        ) axis (
            .clk        (clk),
            .restart    (rst | (act & frame_ends)),
            .enable     (moves[a]),
            .is_inside  (is_inside[a]),
            .is_complete(is_complete[a]),
            .is_last    (is_last[a]),
            .is_edge    (is_edge[a])
        );
    end
    endgenerate

    logic unused;
    assign unused = is_edge[0];  // the frame ends before this axis does

    // The last tap is the token itself. A window fits into its axes, so that taps in row-major order are further and
    // further back in time, and each is a delayed form of the one that follows it.
    assign y_data[(TAPS-1)*WIDTH+:WIDTH] = inside_all ? x_data : '0;

    function automatic int place(input int tap);
        place = ((tap / TAPS_2 / TAPS_1) * DILATION_0 * PADDED_1 + (tap / TAPS_2 % TAPS_1) * DILATION_1) * PADDED_2
            + (tap % TAPS_2) * DILATION_2;
    endfunction

    logic [TAPS-1:0] corrected;
    logic [TAPS-1:0] wrong;

    assign fault = {|wrong, |corrected};
    assign wrong[TAPS-1] = 1'b0;
    assign corrected[TAPS-1] = 1'b0;

    genvar k;
    generate
    for (k = 0; k < TAPS - 1; k = k + 1) begin : g_tap
        localparam int NEXT = k + 1;

        bitsmith_delay #(
            .WIDTH (WIDTH),
            .LENGTH(place(NEXT) - place(k)),
            .LARGE (LARGE),
            .CHECK (CHECK)
        ) line (
            .clk     (clk),
            .rst     (rst),
            .enable  (act),
            .in_data (y_data[NEXT*WIDTH+:WIDTH]),
            .out_data(y_data[k*WIDTH+:WIDTH]),
            .fault   ({wrong[k], corrected[k]})
        );
    end
    endgenerate

`ifdef VERILATOR
    localparam int LENGTH = place(TAPS - 1);
    int peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= 0;
        else if (act & (peak != LENGTH)) peak <= peak + 1;
    end

    final $display("%m peak %0d of %0d", peak, LENGTH);
`endif
endmodule
