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
// LARGE       bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
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
    parameter int WINDOWS_2 = 8,
    parameter int LARGE = 0
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

    // Of each axis the last positions of its first and its last window, and the tokens before the last position that these need.
    localparam int REACH_2 = DILATION_2 * (TAPS_2 - 1) - BEFORE_2;
    localparam int REACH_1 = DILATION_1 * (TAPS_1 - 1) - BEFORE_1;
    localparam int REACH_0 = DILATION_0 * (TAPS_0 - 1) - BEFORE_0;
    localparam int END_2 = (WINDOWS_2 - 1) * STRIDE_2 + REACH_2;
    localparam int END_1 = (WINDOWS_1 - 1) * STRIDE_1 + REACH_1;
    localparam int END_0 = (WINDOWS_0 - 1) * STRIDE_0 + REACH_0;
    localparam int FIRST_2 = ((REACH_2 < SIZE_2) ? REACH_2 : SIZE_2 - 1) * UNIT_2;
    localparam int FIRST_1 = ((REACH_1 < SIZE_1) ? REACH_1 : SIZE_1 - 1) * UNIT_1;
    localparam int FIRST_0 = ((REACH_0 < SIZE_0) ? REACH_0 : SIZE_0 - 1) * UNIT_0;
    localparam int LAST_2 = ((END_2 < SIZE_2) ? END_2 : SIZE_2 - 1) * UNIT_2;
    localparam int LAST_1 = ((END_1 < SIZE_1) ? END_1 : SIZE_1 - 1) * UNIT_1;
    localparam int LAST_0 = ((END_0 < SIZE_0) ? END_0 : SIZE_0 - 1) * UNIT_0;
    localparam int FIRST_WANTED = FIRST_0 + FIRST_1 + FIRST_2 + UNIT_2;
    localparam int LAST_WANTED = LAST_0 + LAST_1 + LAST_2 + UNIT_2;
    // Tokens that are not needed by the last window of an axis, and by those of the axes further in.
    localparam int GONE_2 = ((WINDOWS_2 - 1) * STRIDE_2 > BEFORE_2) ? ROW_2 - BEFORE_2 * UNIT_2 : 0;
    localparam int GONE_1 = ((WINDOWS_1 - 1) * STRIDE_1 < BEFORE_1) ? 0 : ROW_1 - BEFORE_1 * UNIT_1 + GONE_2;
    localparam int GONE_0 = ((WINDOWS_0 - 1) * STRIDE_0 < BEFORE_0) ? 0 : ROW_0 - BEFORE_0 * UNIT_0 + GONE_1;

    localparam int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int PLACES = 1 << ADDRESS_BITS;
    localparam int BITS = $clog2((TOKENS > DEPTH) ? TOKENS : DEPTH + 1) + 1;
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam int BLOCK_BITS = (BLOCKS > 1) ? $clog2(BLOCKS) : 1;
    localparam int TIME_BITS = (TIMES > 1) ? $clog2(TIMES) : 1;
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [BLOCK_BITS-1:0] LAST_BLOCK = BLOCK_BITS'(BLOCKS - 1);
    localparam logic [TIME_BITS-1:0] LAST_TIME = TIME_BITS'(TIMES - 1);
    localparam logic [BITS-1:0] FULL = BITS'(DEPTH);
    localparam logic [BITS-1:0] LATER = BITS'(TOKENS - LAST_WANTED);  // tokens of a frame that no window needs

    logic [PART_BITS-1:0] part;
    logic [BLOCK_BITS-1:0] block;
    logic [TIME_BITS-1:0] times;
    logic [2:0] is_inside;
    logic [2:0] is_last_tap;
    logic [2:0] is_last_window;
    logic [2:0] is_before;
    logic [3*BITS-1:0] more;
    logic [3*BITS-1:0] further;
    logic unused_is_before;

    assign unused_is_before = is_before[2];

    // An action, and whether the next one is the last of its tap and of what is further out. What ends does not follow from
    // whether it acts, which is known last.
    logic act;
    logic ends_tap;
    logic ends_row;
    logic ends_plane;
    logic ends_time;
    logic ends_block;
    logic ends_window;
    logic ends_line;  // of windows
    logic ends_sheet;
    logic ends_frame;

    assign ends_tap = PARTS == 1 || part == LAST_PART;
    assign ends_row = ends_tap & is_last_tap[2];
    assign ends_plane = ends_row & is_last_tap[1];
    assign ends_time = ends_plane & is_last_tap[0];
    assign ends_block = ends_time & (TIMES == 1 || times == LAST_TIME);
    assign ends_window = ends_block & (BLOCKS == 1 || block == LAST_BLOCK);
    assign ends_line = ends_window & is_last_window[2];
    assign ends_sheet = ends_line & is_last_window[1];
    assign ends_frame = ends_sheet & is_last_window[0];

    always_ff @(posedge clk) begin
        if (rst) begin
            part  <= '0;
            times <= '0;
            block <= '0;
        end else if (act) begin
            part <= ends_tap ? '0 : part + 1'b1;
            if (ends_time) times <= ends_block ? '0 : times + 1'b1;
            if (ends_block) block <= ends_window ? '0 : block + 1'b1;
        end
    end

    // Of the axes, the first in the lowest bits.
    localparam logic [95:0] SIZE = {SIZE_2, SIZE_1, SIZE_0};
    localparam logic [95:0] BEFORE = {BEFORE_2, BEFORE_1, BEFORE_0};
    localparam logic [95:0] TAPS = {TAPS_2, TAPS_1, TAPS_0};
    localparam logic [95:0] STRIDE = {STRIDE_2, STRIDE_1, STRIDE_0};
    localparam logic [95:0] DILATION = {DILATION_2, DILATION_1, DILATION_0};
    localparam logic [95:0] WINDOWS = {WINDOWS_2, WINDOWS_1, WINDOWS_0};
    localparam logic [95:0] UNIT = {UNIT_2, UNIT_1, UNIT_0};
    localparam logic [95:0] NEEDED = {32'd0, LAST_2 - FIRST_2, LAST_1 - FIRST_1 + LAST_2 - FIRST_2};
    localparam logic [95:0] GONE = {32'd0, GONE_2, GONE_1};
    logic [2:0] ends_taps;
    logic [2:0] ends_windows;

    assign ends_taps = {ends_tap, ends_row, ends_plane};
    assign ends_windows = {ends_window, ends_line, ends_sheet};

    genvar a;
    generate
    for (a = 0; a < 3; a = a + 1) begin : g_axis
        bitsmith_sweep_axis #(
            .SIZE    (SIZE[32*a+:32]),
            .BEFORE  (BEFORE[32*a+:32]),
            .TAPS    (TAPS[32*a+:32]),
            .STRIDE  (STRIDE[32*a+:32]),
            .DILATION(DILATION[32*a+:32]),
            .WINDOWS (WINDOWS[32*a+:32]),
            .UNIT    (UNIT[32*a+:32]),
            .BITS    (BITS),
            .NEEDED  (NEEDED[32*a+:32]),
            .GONE    (GONE[32*a+:32])
        ) axis (
            .clk           (clk),
            .rst           (rst),
            .act           (act),
            .ends_tap      (ends_taps[a]),
            .ends_window   (ends_windows[a]),
            .is_inside     (is_inside[a]),
            .is_last_tap   (is_last_tap[a]),
            .is_last_window(is_last_window[a]),
            .is_before     (is_before[a]),
            .more          (more[BITS*a+:BITS]),
            .further       (further[BITS*a+:BITS])
        );
    end
    endgenerate

    // Tokens that have come beyond those that the window needs, and those that are still needed. Either may be negative: some that
    // no window needs may still have to come.
    logic [BITS-1:0] surplus;
    logic [BITS-1:0] held;
    logic [BITS-1:0] spent;  // what surplus loses with the window,
    logic [BITS-1:0] freed;  // and what held loses
    logic in_sheet_before;
    logic in_line_before;
    logic late;  // the last action of the frame waits for all tokens of the frame

    assign in_sheet_before = is_before[0];
    assign in_line_before = is_before[1];

    assign spent = ends_frame ? BITS'(FIRST_WANTED + TOKENS - LAST_WANTED)
        : ends_sheet ? more[BITS-1:0]
        : ends_line ? more[2*BITS-1:BITS] : more[3*BITS-1:2*BITS];
    assign freed = ends_frame ? BITS'(TOKENS - GONE_0)
        : ends_sheet ? further[BITS-1:0]
        : in_sheet_before ? '0
        : ends_line ? further[2*BITS-1:BITS]
        : in_line_before ? '0 : further[3*BITS-1:2*BITS];
    assign late = LATER != '0 && ends_frame && surplus < LATER;
    assign x_take = x_valid & (held != FULL);
    assign act = y_free & ~surplus[BITS-1] & ~late;
    assign y_claim = act;

    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] onward;

    always_comb begin
        if (ends_frame) onward = ADDRESS_BITS'(TOKENS - ROW_0 - ROW_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (ends_sheet) onward = ADDRESS_BITS'(STRIDE_0 * UNIT_0 - ROW_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (ends_line) onward = ADDRESS_BITS'(STRIDE_1 * UNIT_1 - ROW_2 - SPAN - UNIT_2 + 1);
        else if (ends_window) onward = ADDRESS_BITS'(STRIDE_2 * UNIT_2 - SPAN - UNIT_2 + 1);
        else if (ends_block) onward = ADDRESS_BITS'(1 - SPAN);
        else if (ends_time) onward = ADDRESS_BITS'(1 - SPAN - PARTS);
        else if (ends_plane) onward = ADDRESS_BITS'(TAP_0 + 1 - PARTS);
        else if (ends_row) onward = ADDRESS_BITS'(TAP_1 + 1 - PARTS);
        else if (ends_tap) onward = ADDRESS_BITS'(TAP_2 + 1 - PARTS);
        else onward = ADDRESS_BITS'(1);
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            surplus <= BITS'(-FIRST_WANTED);
            held <= '0;
            write_at <= '0;
            read_at <= ADDRESS_BITS'(FIRST);
            y_put <= 1'b0;
        end else begin
            surplus <= surplus + BITS'(x_take) - ((act & ends_window) ? spent : '0);
            held <= held + BITS'(x_take) - ((act & ends_window) ? freed : '0);
            if (x_take) write_at <= write_at + 1'b1;
            if (act) read_at <= read_at + onward;
            y_put <= act;
        end
    end

    logic [WIDTH-1:0] stored;
    logic empty;

    assign y_data = empty ? '0 : stored;

    always_ff @(posedge clk) empty <= ~(&is_inside);

    bitsmith_ram #(
        .WIDTH(WIDTH),
        .DEPTH(PLACES),
        .LARGE(LARGE)
    ) memory (
        .clk       (clk),
        .write     (x_take),
        .write_at  (write_at),
        .write_data(x_data),
        .read      (1'b1),
        .read_at   (read_at),
        .read_data (stored)
    );

`ifdef VERILATOR
    logic [BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if ($signed(held) > $signed(peak)) peak <= held;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
