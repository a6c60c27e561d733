// SPDX-License-Identifier: Apache-2.0
`ifndef BITSMITH_PRIMITIVES
`define BITSMITH_PRIMITIVES 0
`endif

// a + b + c without its DROP lowest bits; b and c are subtracted where told.
//
// The expression is one of three terms, of which tools for devices that can add three bits in a look-up table make just that.
// Where a tool does not, as Yosys, there are the cells of two vendors. AMD's 7 series and later: a LUT6_2 for each bit, which adds
// the three bits and the carry that the look-up table below has of its three, and CARRY4 for the sum of these. Intel's devices
// whose ALMs have a shared arithmetic mode: half an ALM for each bit, in which one table adds the three bits, another has their
// carry for the adder above; each term that is subtracted takes one more, which begins the chains with ones.
//
// WIDTH       bits of the sum, those that are dropped included
// DROP        lowest bits that are dropped
// PASSED      lowest bits that are bits of a: b and c have zeros there
// SUBTRACT_B  subtract b, SUBTRACT_C c
// terms       {c, b, a}
// PRIMITIVES  use the cells of AMD (1) or Intel (2), or none (0); by default what the macro BITSMITH_PRIMITIVES says
module bitsmith_ternary_adder #(
    parameter int WIDTH = 8,
    parameter int DROP = 0,
    parameter int PASSED = 0,
    parameter bit SUBTRACT_B = 1'b0,
    parameter bit SUBTRACT_C = 1'b0,
    parameter int PRIMITIVES = `BITSMITH_PRIMITIVES
) (
    input  logic [   3*WIDTH-1:0] terms,
    output logic [WIDTH-DROP-1:0] sum
);
    localparam int LEAST = 3;  // of fewer bits synthesis makes look-up tables without carries
    logic [WIDTH-1:0] a;
    logic [WIDTH-1:0] b;
    logic [WIDTH-1:0] c;
    logic [WIDTH-1:0] whole;
    localparam logic [15:0] B = SUBTRACT_B ? 16'h3333 : 16'hcccc;
    localparam logic [15:0] C = SUBTRACT_C ? 16'h0f0f : 16'hf0f0;
    localparam logic [15:0] MOST = (16'haaaa & B) | (16'haaaa & C) | (B & C);

    assign {c, b, a} = terms;
    assign sum = whole[WIDTH-1:DROP];

    genvar k;
    generate
    if (PRIMITIVES == 1 && WIDTH - PASSED >= LEAST) begin : g_amd
        localparam int BITS = WIDTH - PASSED;
        localparam int CARRIES = (BITS + 3) / 4;
        localparam logic [15:0] ODD = 16'haaaa ^ B ^ C ^ 16'hff00;
        localparam logic [63:0] CONTENTS = {ODD, ODD, MOST, MOST};
        logic [BITS:0] most;
        logic [4*CARRIES-1:0] odd;
        logic [4*CARRIES-1:0] below;
        logic [4*CARRIES-1:0] upper;
        logic [4*CARRIES-1:0] carry;
        (* maybe_unused *) logic unused;

        assign most[0] = SUBTRACT_C;
        assign below = (4 * CARRIES)'(most[BITS-1:0]);
        assign unused = &{1'b0, most[BITS], carry[4*CARRIES-1], upper};

        for (k = 0; k < 4 * CARRIES; k = k + 1) begin : g_bit
            if (k < BITS) begin : g_used
                LUT6_2 #(
                    .INIT(CONTENTS)
                ) bits (
                    .I0(a[PASSED+k]),
                    .I1(b[PASSED+k]),
                    .I2(c[PASSED+k]),
                    .I3(most[k]),
                    .I4(1'b0),
                    .I5(1'b1),
                    .O5(most[k+1]),
                    .O6(odd[k])
                );
            end else begin : g_left
                assign odd[k] = 1'b0;
            end
        end
        for (k = 0; k < CARRIES; k = k + 1) begin : g_carry
            logic initial_carry;
            logic carry_below;

            assign initial_carry = (k == 0) ? SUBTRACT_B : 1'b0;
            assign carry_below = (k == 0) ? 1'b0 : carry[4*k-1];
            CARRY4 chain (
                .CYINIT(initial_carry),
                .CI(carry_below),
                .DI(below[4*k+:4]),
                .S(odd[4*k+:4]),
                .O(upper[4*k+:4]),
                .CO(carry[4*k+:4])
            );
        end
        if (PASSED > 0) begin : g_passed
            assign whole = {upper[BITS-1:0], a[PASSED-1:0]};
        end else begin : g_none
            assign whole = upper[BITS-1:0];
        end
    end else if (PRIMITIVES == 2 && WIDTH - PASSED >= LEAST) begin : g_intel
        localparam int ONES = int'(SUBTRACT_B) + int'(SUBTRACT_C);
        localparam int CELLS = WIDTH - PASSED + ONES;
        localparam logic [15:0] ODD = 16'haaaa ^ B ^ C;
        logic [CELLS:0] share;
        logic [CELLS:0] carry;
        logic [CELLS-1:0] upper;
        logic [CELLS-1:0] before_carry;
        (* maybe_unused *) logic unused;

        assign share[0] = 1'b0;
        assign carry[0] = 1'b0;
        assign unused   = &{1'b0, share[CELLS], carry[CELLS], upper, before_carry};

        for (k = 0; k < CELLS; k = k + 1) begin : g_cell
            localparam int PLACE = k < ONES ? 0 : PASSED + k - ONES;
            localparam logic [15:0] SUM = k >= ONES ? ODD : k == 1 ? 16'hffff : 16'h0000;
            localparam logic [15:0] SHARED = k >= ONES ? MOST : 16'hffff;
            cyclonev_lcell_comb #(
                .lut_mask({16'h0000, SHARED, 16'h0000, SUM}),
                .shared_arith("on"),
                .extended_lut("off")
            ) bits (
                .dataa(a[PLACE]),
                .datab(b[PLACE]),
                .datac(c[PLACE]),
                .datad(1'b0),
                .datae(1'b0),
                .dataf(1'b0),
                .datag(1'b0),
                .cin(carry[k]),
                .sharein(share[k]),
                .combout(before_carry[k]),
                .sumout(upper[k]),
                .cout(carry[k+1]),
                .shareout(share[k+1])
            );
        end
        if (PASSED > 0) begin : g_passed
            assign whole = {upper[CELLS-1:ONES], a[PASSED-1:0]};
        end else begin : g_none
            assign whole = upper[CELLS-1:ONES];
        end
    end else if (SUBTRACT_B && SUBTRACT_C) begin : g_both
        assign whole = a - b - c;
    end else if (SUBTRACT_B) begin : g_b
        assign whole = a - b + c;
    end else if (SUBTRACT_C) begin : g_c
        assign whole = a + b - c;
    end else begin : g_none
        assign whole = a + b + c;
    end
    if (DROP > 0) begin : g_dropped
        (* maybe_unused *) logic unused;
        assign unused = &{1'b0, whole[DROP-1:0]};
    end
    endgenerate
endmodule
