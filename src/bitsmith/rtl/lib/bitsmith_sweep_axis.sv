// SPDX-License-Identifier: Apache-2.0
// One axis of bitsmith_sweep: the place of a tap, and how many tokens more the next window needs, and needs no longer.
//
// SIZE, BEFORE             positions, and zeros before them; BEFORE is less than the positions that a window spans
// TAPS, STRIDE, DILATION   of a window
// WINDOWS                  windows; the last one begins before the end of the axis
// UNIT, BITS               tokens from one position to the next; bits of a number of tokens, which may be negative
// NEEDED, GONE             tokens that the axes further in need more at their last window than at their first, and tokens of theirs
//                          before the first position of their last window
// act                      what the next action ends happens:
// ends_tap, ends_window    to the next tap of the window (after the last: the first), or to the first one of the next window (after
//                          the last: the first)
module bitsmith_sweep_axis #(
    parameter int SIZE = 8,
    parameter int BEFORE = 1,
    parameter int TAPS = 3,
    parameter int STRIDE = 1,
    parameter int DILATION = 1,
    parameter int WINDOWS = 8,
    parameter int UNIT = 1,
    parameter int BITS = 4,
    parameter int NEEDED = 0,
    parameter int GONE = 0
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            act,
    input  logic            ends_tap,
    input  logic            ends_window,
    output logic            is_inside,       // whether the tap is a real token
    output logic            is_last_tap,
    output logic            is_last_window,  // only at its last tap
    output logic            is_before,       // whether the window begins before the first position
    output logic [BITS-1:0] more,            // at the end of a window other than the last: tokens that the next one needs beyond it
    output logic [BITS-1:0] further          // likewise, tokens before the first position of the next one and not of it
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
    localparam logic [PLACE_BITS-1:0] BORDER = PLACE_BITS'(SIZE);
    localparam logic [PLACE_BITS-1:0] BESIDE = PLACE_BITS'(STRIDE);
    localparam logic [PLACE_BITS-1:0] END = PLACE_BITS'(LAST_ORIGIN + REACH);
    localparam logic [PLACE_BITS-1:0] LAST_NEGATIVE = PLACE_BITS'((NEGATIVE - 1) * STRIDE - BEFORE + REACH);
    localparam logic [TAP_BITS-1:0] LAST_TAP = TAP_BITS'(TAPS - 1);
    // Positions between the last one that a window needs and the end, where the next window reaches beyond that.
    localparam int LEFT = (REACH - BEFORE < SIZE) ? (SIZE - 1 - REACH + BEFORE) % STRIDE : 0;
    localparam int FIRST_GONE = NEGATIVE * STRIDE - BEFORE;
    localparam bit BEYOND = LAST_ORIGIN + REACH >= SIZE;  // the last windows reach beyond the end

    logic [PLACE_BITS-1:0] place;
    logic [TAP_BITS-1:0] tap;

    assign is_inside = BEYOND ? place < BORDER : BEFORE == 0 || ~place[PLACE_BITS-1];
    assign is_last_tap = TAPS == 1 || tap == LAST_TAP;
    assign is_last_window = place == END;

    always_comb begin
        if (!BEYOND || place + BESIDE < BORDER) more = BITS'(STRIDE * UNIT - NEEDED);
        else if (is_inside) more = BITS'(LEFT * UNIT - NEEDED);
        else more = BITS'(-NEEDED);
        if (~is_before) further = BITS'(STRIDE * UNIT - GONE);
        else if (place == LAST_NEGATIVE) further = BITS'(FIRST_GONE * UNIT);
        else further = '0;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            place <= FIRST;
            tap <= '0;
            is_before <= BEFORE > 0;
        end else if (act) begin
            if (ends_window) begin
                place <= is_last_window ? FIRST : place + ONWARD;
                tap <= '0;
                if (is_last_window) is_before <= BEFORE > 0;
                else if (place == LAST_NEGATIVE) is_before <= 1'b0;
            end else if (ends_tap) begin
                place <= place + (is_last_tap ? BACK : FURTHER);
                tap <= is_last_tap ? '0 : tap + 1'b1;
            end
        end
    end
endmodule
