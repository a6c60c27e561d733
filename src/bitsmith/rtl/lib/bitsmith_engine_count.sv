// SPDX-License-Identifier: Apache-2.0
// A counter of bitsmith_engine that knows ahead whether its number is the last one, since what follows from it is long.
//
// BITS      of a number
// go        do what these say:
// start     begin at 0
// next      go on, from the last number to 0
// previous  the number after which the last one comes: all ones if there is one number
module bitsmith_engine_count #(
    parameter int BITS = 3
) (
    input  logic            clk,
    input  logic            go,
    input  logic            start,
    input  logic            next,
    input  logic [BITS-1:0] previous,
    output logic            is_first,
    output logic            is_last
);
    logic [BITS-1:0] number;

    assign is_first = number == '0;

    always_ff @(posedge clk) begin
        if (go & (start | next)) begin
            number <= (start | is_last) ? '0 : number + 1'b1;
            is_last <= (start | is_last) ? &previous : number == previous;
        end
    end
endmodule
