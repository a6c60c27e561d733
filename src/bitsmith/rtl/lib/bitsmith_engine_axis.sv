// SPDX-License-Identifier: Apache-2.0
// Rows or columns in bitsmith_engine: the place of a tap of a window, and whether it is a real one.
//
// PLACE_BITS, TAP_BITS, WINDOW_BITS   of a place (negative ones look larger than any), of the number of a tap, and of a window
// go                                  do what these say:
// start                               the layer begins: go to the first tap of its first window
// next_tap                            go to the next tap of the window, after the last one to the first
// next_window                         as well, at the last tap: go to the next window's first tap, after the last window to the first
module bitsmith_engine_axis #(
    parameter int PLACE_BITS = 4,
    parameter int TAP_BITS = 2,
    parameter int WINDOW_BITS = 3
) (
    input  logic                   clk,
    input  logic                   go,
    input  logic                   start,
    input  logic                   next_tap,
    input  logic                   next_window,
    input  logic [ PLACE_BITS-1:0] size,            // places
    input  logic [ PLACE_BITS-1:0] first,           // place of the first tap of the first window
    input  logic [ PLACE_BITS-1:0] further,         // from a tap to the next one
    input  logic [ PLACE_BITS-1:0] back,            // from the last tap to the first one
    input  logic [ PLACE_BITS-1:0] onward,          // from the last tap to the first one of the next window
    input  logic [   TAP_BITS-1:0] before_tap,      // the number of the last one less 1, as of window
    input  logic [WINDOW_BITS-1:0] before_window,
    output logic                   is_inside,
    output logic                   is_first_tap,
    output logic                   is_last_tap,
    output logic                   is_last_window
);
    logic [PLACE_BITS-1:0] place;
    logic unused;

    assign is_inside = place < size;

    bitsmith_engine_count #(
        .BITS(TAP_BITS)
    ) taps (
        .clk     (clk),
        .go      (go),
        .start   (start),
        .next    (next_tap),
        .previous(before_tap),
        .is_first(is_first_tap),
        .is_last (is_last_tap)
    );

    bitsmith_engine_count #(
        .BITS(WINDOW_BITS)
    ) windows (
        .clk     (clk),
        .go      (go),
        .start   (start),
        .next    (next_window),
        .previous(before_window),
        .is_first(unused),
        .is_last (is_last_window)
    );

    always_ff @(posedge clk) begin
        if (go) begin
            if (start | (next_window & is_last_window)) place <= first;
            else if (next_window) place <= place + onward;
            else if (next_tap) place <= place + (is_last_tap ? back : further);
        end
    end
endmodule
