// SPDX-License-Identifier: Apache-2.0
// Places that bitsmith_engine reads one after another: of all axes together, or of one axis, within a part and on in the next one.
//
// WORD_BITS         of a place
// PART              bits of the number of a part, signed; 0: places are never in another part
// STEP              to the next number of a tap
// WALK              bits of the field of descriptors
module bitsmith_engine_walk #(
    parameter int WORD_BITS = 6,
    parameter int PART = 0,
    parameter int STEP = 1,
    parameter int WALK = 7 * WORD_BITS + ((PART > 0) ? 7 * PART + 2 * (WORD_BITS + 1) : 0),
    parameter int NUMBER = (PART > 0) ? PART : 1
) (
    input  logic                 clk,
    input  logic                 restart,
    input  logic                 step,
    input  logic [          5:0] ends,     // the step ends a tap, a row of taps, a pass, a block, a window, a row of windows
    input  logic [     WALK-1:0] walk,     // the first place, and from the last number of a tap to what comes after each of these
    output logic [WORD_BITS-1:0] at,
    output logic [   NUMBER-1:0] part
);
    logic [2:0] which;  // of the steps; 0: to the next number
    logic [WORD_BITS-1:0] further;
    logic [WORD_BITS-1:0] next_at;

    always_comb begin
        which = 3'd0;
        for (int k = 0; k < 6; k = k + 1) if (ends[k]) which = $unsigned(3'(k + 1));
        further = WORD_BITS'(STEP);
        for (int k = 1; k < 7; k = k + 1) if (which == $unsigned(3'(k))) further = walk[k*WORD_BITS+:WORD_BITS];
    end

    always_ff @(posedge clk) begin
        if (step) at <= restart ? walk[WORD_BITS-1:0] : next_at;
    end

    generate
    if (PART == 0) begin : g_single
        assign next_at = at + further;
        assign part = '0;
    end else begin : g_parts
        logic [7*PART-1:0] parts;  // the first one, and how many parts further steps go,
        logic [WORD_BITS:0] size;  // one more if they are beyond the places of a part
        logic [WORD_BITS:0] beyond;
        logic [WORD_BITS:0] sum;
        logic [PART-1:0] moves;
        logic over;

        assign {beyond, size, parts} = walk[WALK-1:7*WORD_BITS];
        assign sum = {1'b0, at} + {1'b0, further};
        assign over = sum >= beyond;
        assign next_at = WORD_BITS'(over ? sum - size : sum);

        always_comb begin
            moves = '0;
            for (int k = 1; k < 7; k = k + 1) if (which == $unsigned(3'(k))) moves = parts[k*PART+:PART];
        end

        always_ff @(posedge clk) begin
            if (step) part <= restart ? parts[PART-1:0] : part + moves + PART'(over);
        end
    end
    endgenerate
endmodule
