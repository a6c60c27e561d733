// SPDX-License-Identifier: Apache-2.0
// A row of multipliers of bitsmith_engine, and its accumulators: the sums of the lanes move to registers, and leave one by one.
//
// LANES, BANKS, WIDTH, SIGNED, WEIGHT, SUM, GREATEST   as bitsmith_engine has them
module bitsmith_engine_lanes #(
    parameter int LANES = 2,
    parameter int BANKS = 1,
    parameter int WIDTH = 8,
    parameter bit SIGNED = 1'b1,
    parameter int WEIGHT = 8,
    parameter int SUM = 20,
    parameter int GREATEST = 0,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1
) (
    input  logic                    clk,
    input  logic                    apart,     // lanes have numbers of their own
    input  logic                    greatest,
    input  logic [ BANKS*WIDTH-1:0] stored,
    input  logic [   BANK_BITS-1:0] bank,      // with the number that all lanes may have
    input  logic                    is_real,   // else numbers are 0
    input  logic [LANES*WEIGHT-1:0] factors,   // in the next cycle
    input  logic                    add,       // the products, which are there another cycle later,
    input  logic                    first,     // as the first ones
    input  logic                    hold,      // the sums
    input  logic                    move,      // to the next sum
    output logic [         SUM-1:0] sum
);
    localparam int PRODUCT = WIDTH + WEIGHT;
    localparam int NUMBERS = (BANKS == 1) ? 1 : (LANES > BANKS) ? BANKS + 1 : BANKS;

    // Those that lanes may have by themselves, and the one that others have.
    logic [NUMBERS*(WIDTH+1)-1:0] numbers;
    logic [WIDTH-1:0] single;
    logic [LANES*SUM-1:0] sums;
    logic [LANES*SUM-1:0] held;

    assign sum = held[SUM-1:0];

    genvar k;
    generate
    if (BANKS == 1) begin : g_single
        logic unused;

        assign single = stored;
        assign unused = ^{bank, apart};
    end else begin : g_selected
        assign single = stored[int'(bank)*WIDTH+:WIDTH];
    end

    for (k = 0; k < NUMBERS; k = k + 1) begin : g_number
        logic [WIDTH-1:0] number;

        if (BANKS > 1 && k < BANKS) begin : g_own
            assign number = apart ? stored[k*WIDTH+:WIDTH] : single;
        end else begin : g_common
            assign number = single;
        end

        always_ff @(posedge clk) begin
            if (is_real) numbers[k*(WIDTH+1)+:WIDTH+1] <= {SIGNED & number[WIDTH-1], number};
            else numbers[k*(WIDTH+1)+:WIDTH+1] <= '0;
        end
    end

    for (k = 0; k < LANES; k = k + 1) begin : g_lane
        logic signed [PRODUCT-1:0] product;
        logic signed [WEIGHT-1:0] factor;
        logic signed [SUM-1:0] operand;
        logic signed [SUM-1:0] total;
        logic signed [SUM-1:0] kept;
        logic signed [SUM-1:0] joined;
        logic signed [WIDTH:0] number;

        assign number = $signed(numbers[((k<NUMBERS)?k:NUMBERS-1)*(WIDTH+1)+:WIDTH+1]);
        assign factor = $signed(factors[k*WEIGHT+:WEIGHT]);
        assign operand = SUM'(product);
        assign kept = first ? SUM'(0) : total;  // so that a multiplier block with an adder takes both
        assign sums[k*SUM+:SUM] = $unsigned(total);

        if (SUM < PRODUCT) begin : g_narrow
            logic unused;
            assign unused = ^product[PRODUCT-1:SUM];  // the results' range is known to be that of a sum
        end
        if (k < GREATEST) begin : g_greatest
            assign joined = (greatest & ~first) ? ((operand > total) ? operand : total) : operand + kept;
        end else begin : g_sum
            assign joined = operand + kept;
        end

        always_ff @(posedge clk) begin
            product <= PRODUCT'(number) * PRODUCT'(factor);
            if (add) total <= joined;
        end
    end

    if (GREATEST == 0) begin : g_unused
        logic unused;
        assign unused = greatest;
    end
    endgenerate

    always_ff @(posedge clk) begin
        if (hold) held <= sums;
        else if (move) held <= (LANES * SUM)'({SUM'(0), held} >> SUM);
    end
endmodule
