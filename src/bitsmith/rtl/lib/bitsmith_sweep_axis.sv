// SPDX-License-Identifier: Apache-2.0
// One axis of bitsmith_sweep: the place of a tap, and which positions its window needs.
//
// SIZE, BEFORE             positions, and zeros before them; BEFORE is less than the positions that a window spans
// TAPS, STRIDE, DILATION   of a window
// WINDOWS                  windows; the last one begins before the end of the axis
// UNIT, BITS               tokens from one position to the next; bits of a number of tokens
// next_tap, next_window    in the last cycle of a tap: go to the next tap of the window (after the last: the first), or to the first
//                          one of the next window (after the last: the first)
module bitsmith_sweep_axis #(
    parameter int SIZE = 8,
    parameter int BEFORE = 1,
    parameter int TAPS = 3,
    parameter int STRIDE = 1,
    parameter int DILATION = 1,
    parameter int WINDOWS = 8,
    parameter int UNIT = 1,
    parameter int BITS = 4
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            next_tap,
    input  logic            next_window,
    output logic            is_inside,       // whether the tap is a real token
    output logic            is_last_tap,
    output logic            is_last_window,  // only at its last tap
    output logic            is_before,       // whether the window begins before the first position
    output logic [BITS-1:0] needed,          // tokens before the last position that the window needs
    output logic [BITS-1:0] gone             // tokens before the first position of the window
);
    localparam int REACH = DILATION * (TAPS - 1);
    localparam int LAST_ORIGIN = (WINDOWS - 1) * STRIDE - BEFORE;
    // Places are signed; negative ones look larger than any of the axis.
    localparam int PLACE_BITS = $clog2(SIZE + BEFORE + REACH + 1) + 1;
    localparam int TAP_BITS = (TAPS > 1) ? $clog2(TAPS) : 1;
    localparam int NEGATIVE = (BEFORE + STRIDE - 1) / STRIDE;  // windows that begin before the first position
    localparam logic [PLACE_BITS-1:0] FIRST = PLACE_BITS'(-BEFORE);
    localparam logic [PLACE_BITS-1:0] FURTHER = PLACE_BITS'(DILATION);
    localparam logic [PLACE_BITS-1:0] BACK = PLACE_BITS'(-REACH);
    localparam logic [PLACE_BITS-1:0] ONWARD = PLACE_BITS'(STRIDE - REACH);
    localparam logic [PLACE_BITS-1:0] BESIDE = PLACE_BITS'(STRIDE);
    localparam logic [PLACE_BITS-1:0] BORDER = PLACE_BITS'(SIZE);
    localparam logic [PLACE_BITS-1:0] END = PLACE_BITS'(LAST_ORIGIN + REACH);
    localparam logic [PLACE_BITS-1:0] LAST_NEGATIVE = PLACE_BITS'((NEGATIVE - 1) * STRIDE - BEFORE + REACH);
    localparam logic [TAP_BITS-1:0] LAST_TAP = TAP_BITS'(TAPS - 1);
    localparam logic [BITS-1:0] STEP = BITS'(STRIDE * UNIT);
    localparam int FIRST_NEEDED = (REACH - BEFORE < SIZE) ? REACH - BEFORE : SIZE - 1;
    localparam int FIRST_GONE = NEGATIVE * STRIDE - BEFORE;

    logic [PLACE_BITS-1:0] place;
    logic [TAP_BITS-1:0] tap;

    assign is_inside = place < BORDER;
    assign is_last_tap = TAPS == 1 || tap == LAST_TAP;
    assign is_last_window = place == END;

    always_ff @(posedge clk) begin
        if (rst) begin
            place <= FIRST;
            tap <= '0;
        end else if (next_window) begin
            place <= is_last_window ? FIRST : place + ONWARD;
            tap <= '0;
        end else if (next_tap) begin
            place <= place + (is_last_tap ? BACK : FURTHER);
            tap <= is_last_tap ? '0 : tap + 1'b1;
        end
    end

    always_ff @(posedge clk) begin
        if (rst | (next_window & is_last_window)) needed <= BITS'(FIRST_NEEDED * UNIT);
        else if (next_window) begin
            if (place + BESIDE < BORDER) needed <= needed + STEP;
            else needed <= BITS'((SIZE - 1) * UNIT);
        end
    end

    always_ff @(posedge clk) begin
        if (rst | (next_window & is_last_window)) begin
            gone <= '0;
            is_before <= BEFORE > 0;
        end else if (next_window & ~is_before) gone <= gone + STEP;
        else if (next_window & (place == LAST_NEGATIVE)) begin
            gone <= BITS'(FIRST_GONE * UNIT);
            is_before <= 1'b0;
        end
    end
endmodule
