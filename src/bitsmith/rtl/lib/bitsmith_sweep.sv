// SPDX-License-Identifier: Apache-2.0
// Sliding windows over up to three axes of positions as single tokens, out of a circular memory, with zeros beyond the border.
//
// A position has BLOCKS * PARTS tokens. A writer takes them into the memory as long as a place is free. For each window in
// row-major order, and each block TIMES times over, a reader gives the PARTS tokens of the block of each tap, taps in row-major order.
// It waits until all tokens of the window are there (of the last window: of the frame), and gives one in each cycle; a result is put one
// cycle after its action. Tokens before those that a window still needs give their places free when it begins. What a
// window needs is as bitsmith.dataflow.timing.sweep_bounds has it.
//
// Places in the memory follow from one another by additions of constants; no cycle goes to padding but those of taps.
//
// WIDTH       bits of a token
// DEPTH       places of the memory (which is rounded up to a power of two), at least as many as any window needs
// SIZE_a      positions along axis a, the last axis moving fastest; axes that are not there have size 1 and one tap
// TAPS_a      positions of a window
// STRIDE_a    positions between windows
// DILATION_a  positions between taps
// BEFORE_a    zeros in front, fewer than the positions that a window spans
// WINDOWS_a   windows, of which the last begins before the end of the axis
module bitsmith_sweep #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 19,
    parameter int BLOCKS = 1,
    parameter int PARTS = 1,
    parameter int TIMES = 1,
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
    parameter int BEFORE_1 = 1,
    parameter int BEFORE_2 = 1,
    parameter int WINDOWS_0 = 1,
    parameter int WINDOWS_1 = 8,
    parameter int WINDOWS_2 = 8
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             x_valid,
    input  logic [WIDTH-1:0] x_data,
    output logic             x_take,
    input  logic             y_free,
    output logic             y_claim,
    output logic             y_put,
    output logic [WIDTH-1:0] y_data
);
    // Tokens from one position to the next, from the first tap to the last, and from the first window to the last.
    localparam int UNIT_2 = BLOCKS * PARTS;
    localparam int UNIT_1 = SIZE_2 * UNIT_2;
    localparam int UNIT_0 = SIZE_1 * UNIT_1;
    localparam int TOKENS = SIZE_0 * UNIT_0;
    localparam int TAP_2 = DILATION_2 * UNIT_2;
    localparam int TAP_1 = DILATION_1 * UNIT_1 - (TAPS_2 - 1) * TAP_2;
    localparam int TAP_0 = DILATION_0 * UNIT_0 - (TAPS_1 - 1) * DILATION_1 * UNIT_1 - (TAPS_2 - 1) * TAP_2;
    localparam int SPAN = (TAPS_0 - 1) * DILATION_0 * UNIT_0 + (TAPS_1 - 1) * DILATION_1 * UNIT_1 + (TAPS_2 - 1) * TAP_2;
    localparam int ROW_2 = (WINDOWS_2 - 1) * STRIDE_2 * UNIT_2;
    localparam int ROW_1 = (WINDOWS_1 - 1) * STRIDE_1 * UNIT_1;
    localparam int ROW_0 = (WINDOWS_0 - 1) * STRIDE_0 * UNIT_0;
    localparam int FIRST = -BEFORE_0 * UNIT_0 - BEFORE_1 * UNIT_1 - BEFORE_2 * UNIT_2;

    localparam int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int PLACES = 1 << ADDRESS_BITS;
    localparam int BITS = $clog2(TOKENS + DEPTH + 1);
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam int BLOCK_BITS = (BLOCKS > 1) ? $clog2(BLOCKS) : 1;
    localparam int TIME_BITS = (TIMES > 1) ? $clog2(TIMES) : 1;
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [BLOCK_BITS-1:0] LAST_BLOCK = BLOCK_BITS'(BLOCKS - 1);
    localparam logic [TIME_BITS-1:0] LAST_TIME = TIME_BITS'(TIMES - 1);
    localparam logic [BITS-1:0] FULL = BITS'(DEPTH);
    localparam logic [BITS-1:0] FRAME = BITS'(TOKENS);
    localparam logic [BITS-1:0] POSITION = BITS'(UNIT_2);

    logic [PART_BITS-1:0] part;
    logic [BLOCK_BITS-1:0] block;
    logic [TIME_BITS-1:0] times;
    logic [2:0] is_inside;
    logic [2:0] is_last_tap;
    logic [2:0] is_last_window;
    logic [2:0] is_before;
    logic [BITS-1:0] needed_0;
    logic [BITS-1:0] needed_1;
    logic [BITS-1:0] needed_2;
    logic [BITS-1:0] gone_0;
    logic [BITS-1:0] gone_1;
    logic [BITS-1:0] gone_2;
    // An action ends a part's tap (tap_ends), and what is further out with it.
    logic act;
    logic tap_ends;
    logic row_ends;
    logic plane_ends;
    logic time_ends;
    logic block_ends;
    logic window_ends;
    logic line_ends;  // of windows
    logic sheet_ends;
    logic frame_ends;

    assign tap_ends = act & (PARTS == 1 || part == LAST_PART);
    assign row_ends = tap_ends & is_last_tap[2];
    assign plane_ends = row_ends & is_last_tap[1];
    assign time_ends = plane_ends & is_last_tap[0];
    assign block_ends = time_ends & (TIMES == 1 || times == LAST_TIME);
    assign window_ends = block_ends & (BLOCKS == 1 || block == LAST_BLOCK);
    assign line_ends = window_ends & is_last_window[2];
    assign sheet_ends = line_ends & is_last_window[1];
    assign frame_ends = sheet_ends & is_last_window[0];

    always_ff @(posedge clk) begin
        if (rst) begin
            part  <= '0;
            times <= '0;
            block <= '0;
        end else if (act) begin
            part <= tap_ends ? '0 : part + 1'b1;
            if (time_ends) times <= block_ends ? '0 : times + 1'b1;
            if (block_ends) block <= window_ends ? '0 : block + 1'b1;
        end
    end

    bitsmith_sweep_axis #(
        .SIZE    (SIZE_2),
        .BEFORE  (BEFORE_2),
        .TAPS    (TAPS_2),
        .STRIDE  (STRIDE_2),
        .DILATION(DILATION_2),
        .WINDOWS (WINDOWS_2),
        .UNIT    (UNIT_2),
        .BITS    (BITS)
    ) axis_2 (
        .clk           (clk),
        .rst           (rst),
        .next_tap      (tap_ends),
        .next_window   (window_ends),
        .is_inside     (is_inside[2]),
        .is_last_tap   (is_last_tap[2]),
        .is_last_window(is_last_window[2]),
        .is_before     (is_before[2]),
        .needed        (needed_2),
        .gone          (gone_2)
    );

    bitsmith_sweep_axis #(
        .SIZE    (SIZE_1),
        .BEFORE  (BEFORE_1),
        .TAPS    (TAPS_1),
        .STRIDE  (STRIDE_1),
        .DILATION(DILATION_1),
        .WINDOWS (WINDOWS_1),
        .UNIT    (UNIT_1),
        .BITS    (BITS)
    ) axis_1 (
        .clk           (clk),
        .rst           (rst),
        .next_tap      (row_ends),
        .next_window   (line_ends),
        .is_inside     (is_inside[1]),
        .is_last_tap   (is_last_tap[1]),
        .is_last_window(is_last_window[1]),
        .is_before     (is_before[1]),
        .needed        (needed_1),
        .gone          (gone_1)
    );

    bitsmith_sweep_axis #(
        .SIZE    (SIZE_0),
        .BEFORE  (BEFORE_0),
        .TAPS    (TAPS_0),
        .STRIDE  (STRIDE_0),
        .DILATION(DILATION_0),
        .WINDOWS (WINDOWS_0),
        .UNIT    (UNIT_0),
        .BITS    (BITS)
    ) axis_0 (
        .clk           (clk),
        .rst           (rst),
        .next_tap      (plane_ends),
        .next_window   (sheet_ends),
        .is_inside     (is_inside[0]),
        .is_last_tap   (is_last_tap[0]),
        .is_last_window(is_last_window[0]),
        .is_before     (is_before[0]),
        .needed        (needed_0),
        .gone          (gone_0)
    );

    // Tokens of the frame that have come, those that are no longer needed (some may still come: what lies between two
    // windows), and those that the action needs.
    logic [BITS-1:0] came;
    logic [BITS-1:0] freed;
    logic [BITS-1:0] wanted;
    logic is_last_read;  // of the frame

    assign is_last_read = (PARTS == 1 || part == LAST_PART) & (TIMES == 1 || times == LAST_TIME)
        & (BLOCKS == 1 || block == LAST_BLOCK) & (&is_last_tap) & (&is_last_window);
    assign freed = is_before[0] ? '0 : gone_0 + (is_before[1] ? '0 : gone_1 + (is_before[2] ? '0 : gone_2));
    assign wanted = is_last_read ? FRAME : needed_0 + needed_1 + needed_2 + POSITION;
    assign x_take = x_valid & (came - freed != FULL);
    assign act = y_free & (came >= wanted);
    assign y_claim = act;

    (* no_rw_check, ramstyle = "no_rw_check", rw_addr_collision = "no" *)
    logic [WIDTH-1:0] memory[PLACES];
    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] onward;

    always_comb begin
        if (frame_ends) onward = ADDRESS_BITS'(TOKENS - ROW_0 - ROW_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (sheet_ends) onward = ADDRESS_BITS'(STRIDE_0 * UNIT_0 - ROW_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (line_ends) onward = ADDRESS_BITS'(STRIDE_1 * UNIT_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (window_ends) onward = ADDRESS_BITS'(STRIDE_2 * UNIT_2 - SPAN - UNIT_2 + 1);
        else if (block_ends) onward = ADDRESS_BITS'(1 - SPAN);
        else if (time_ends) onward = ADDRESS_BITS'(1 - SPAN - PARTS);
        else if (plane_ends) onward = ADDRESS_BITS'(TAP_0 + 1 - PARTS);
        else if (row_ends) onward = ADDRESS_BITS'(TAP_1 + 1 - PARTS);
        else if (tap_ends) onward = ADDRESS_BITS'(TAP_2 + 1 - PARTS);
        else onward = ADDRESS_BITS'(1);
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            came <= '0;
            write_at <= '0;
            read_at <= ADDRESS_BITS'(FIRST);
            y_put <= 1'b0;
        end else begin
            came <= came + BITS'(x_take) - (frame_ends ? FRAME : '0);
            if (x_take) write_at <= write_at + 1'b1;
            if (act) read_at <= read_at + onward;
            y_put <= act;
        end
    end

    logic [WIDTH-1:0] stored;
    logic empty;

    assign y_data = empty ? '0 : stored;

    always_ff @(posedge clk) begin
        if (x_take) memory[write_at] <= x_data;
        stored <= memory[read_at];
        empty  <= ~(&is_inside);
    end

`ifdef VERILATOR
    logic [BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (came > freed & came - freed > peak) peak <= came - freed;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
