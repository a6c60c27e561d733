// SPDX-License-Identifier: Apache-2.0
// Rows or columns in bitsmith_engine: the place of a tap of a window, and whether it is a real one.
//
// PLACE_BITS, TAP_BITS, WINDOW_BITS   of a place (negative ones look larger than any), of the number of a tap, and of a window
// start                               the layer begins: go to the first tap of its first window
// next_tap                            go to the next tap of the window, after the last one to the first
// next_window                         at the last tap: go to the first tap of the next window, after the last one to the first
module bitsmith_engine_axis #(
    parameter int PLACE_BITS = 4,
    parameter int TAP_BITS = 2,
    parameter int WINDOW_BITS = 3
) (
    input  logic                   clk,
    input  logic                   start,
    input  logic                   next_tap,
    input  logic                   next_window,
    input  logic [ PLACE_BITS-1:0] size,            // places
    input  logic [ PLACE_BITS-1:0] first,           // place of the first tap of the first window
    input  logic [ PLACE_BITS-1:0] further,         // from a tap to the next one
    input  logic [ PLACE_BITS-1:0] back,            // from the last tap to the first one
    input  logic [ PLACE_BITS-1:0] onward,          // from the last tap to the first one of the next window
    input  logic [   TAP_BITS-1:0] last_tap,
    input  logic [WINDOW_BITS-1:0] last_window,
    output logic                   is_inside,
    output logic                   is_first_tap,
    output logic                   is_last_tap,
    output logic                   is_last_window
);
    logic [PLACE_BITS-1:0] place;
    logic [TAP_BITS-1:0] tap;
    logic [WINDOW_BITS-1:0] window;

    assign is_inside = place < size;
    assign is_first_tap = tap == '0;
    assign is_last_tap = tap == last_tap;
    assign is_last_window = window == last_window;

    always_ff @(posedge clk) begin
        if (start) begin
            place <= first;
            tap <= '0;
            window <= '0;
        end else begin
            if (next_window) place <= is_last_window ? first : place + onward;
            else if (next_tap) place <= place + (is_last_tap ? back : further);
            if (next_tap | next_window) tap <= is_last_tap ? '0 : tap + 1'b1;
            if (next_window) window <= is_last_window ? '0 : window + 1'b1;
        end
    end
endmodule
