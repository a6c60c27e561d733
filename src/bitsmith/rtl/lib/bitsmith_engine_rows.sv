// SPDX-License-Identifier: Apache-2.0
// The multipliers of bitsmith_engine: a row of lanes for each position, all of which take the same weights.
//
// LANES, BANKS, ABREAST, POSITIONS, WIDTH, WEIGHT, SUM, GREATEST, ALONE, PACKED, SHIFT, FIRST   as bitsmith_engine has them
module bitsmith_engine_rows #(
    parameter int LANES = 2,
    parameter int BANKS = 1,
    parameter int ABREAST = 1,
    parameter int POSITIONS = 1,
    parameter int WIDTH = 8,
    parameter int WEIGHT = 8,
    parameter int SUM = 20,
    parameter int GREATEST = 0,
    parameter int ALONE = LANES,
    parameter int PACKED = WEIGHT,
    parameter int SHIFT = 1,
    parameter bit FIRST = 1'b0,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1
) (
    input  logic                             clk,
    input  logic                             apart,     // lanes have numbers of their own
    input  logic                             greatest,
    input  logic                             abreast,   // sums leave so
    input  logic                             signs,     // numbers are signed
    input  logic [POSITIONS*BANKS*WIDTH-1:0] stored,
    input  logic [            BANK_BITS-1:0] bank,      // with the number that all lanes may have
    input  logic [            POSITIONS-1:0] is_real,   // else numbers are 0
    input  logic [         LANES*WEIGHT-1:0] weights,   // with the numbers
    input  logic                             add,       // the products, which are there two cycles later,
    input  logic                             first,     // as the first ones
    input  logic                             hold,      // the sums
    input  logic                             move,      // to the next sum, or those that leave with it
    output logic [POSITIONS*ABREAST*SUM-1:0] sums
);
    localparam int FACTORS = ALONE * WEIGHT + (LANES - ALONE + 1) / 2 * PACKED;

    logic [FACTORS-1:0] factors;
    logic [LANES*WEIGHT-1:0] plain;  // weights, for multipliers of their own

    genvar k;
    generate
    if (ALONE != 0) begin : g_alone
        always_ff @(posedge clk) factors[ALONE*WEIGHT-1:0] <= weights[ALONE*WEIGHT-1:0];
    end
    if (ALONE < LANES) begin : g_packed
        localparam int SHARED = (PACKED - SHIFT < WEIGHT) ? PACKED - SHIFT : WEIGHT;
        logic [(LANES-ALONE)*SHARED-1:0] shared;  // weights of layers that may share

        for (k = ALONE; k < LANES; k = k + 1) begin : g_lane
            assign shared[(k-ALONE)*SHARED+:SHARED] = weights[k*WEIGHT+:SHARED];
        end

        bitsmith_product_factors #(
            .VECTORS     (LANES - ALONE),
            .WIDTH       (SHARED),
            .SHIFT       (SHIFT),
            .FACTOR_WIDTH(PACKED)
        ) pairs (
            .clk    (clk),
            .data   (shared),
            .factors(factors[FACTORS-1:ALONE*WEIGHT])
        );
    end

    if (FIRST) begin : g_first
        always_ff @(posedge clk) plain <= weights;
    end else begin : g_alike
        logic unused;
        assign plain = '0;
        assign unused = ^{plain, weights};  // of which layers that may share use the low bits
    end

    for (k = 0; k < POSITIONS; k = k + 1) begin : g_row
        localparam int OWN = (FIRST && k == 0) ? LANES : ALONE;
        logic [OWN*WEIGHT+(LANES-OWN+1)/2*PACKED-1:0] own;

        if (FIRST && k == 0) begin : g_plain
            assign own = plain;
        end else begin : g_shared
            assign own = factors;
        end

        bitsmith_engine_lanes #(
            .LANES(LANES), .BANKS(BANKS), .ABREAST(ABREAST), .WIDTH(WIDTH), .WEIGHT(WEIGHT), .SUM(SUM),
            .GREATEST(GREATEST), .PACKED(PACKED), .SHIFT(SHIFT),
            .ALONE(OWN)
        ) row (
            .clk(clk), .apart(apart), .greatest(greatest), .abreast(abreast), .signs(signs), .bank(bank), .add(add),
            .first(first), .hold(hold), .move(move),
            .stored (stored[k*BANKS*WIDTH+:BANKS*WIDTH]),
            .is_real(is_real[k]),
            .factors(own),
            .sum    (sums[k*ABREAST*SUM+:ABREAST*SUM])
        );
    end
    endgenerate
endmodule
