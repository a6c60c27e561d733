// SPDX-License-Identifier: Apache-2.0
// A row of multipliers of bitsmith_engine, and its accumulators: the sums of the lanes move to registers, and leave one by one, or
// several abreast.
// Two lanes with the same number may share a multiplier, whose product has those of both.
//
// LANES, BANKS, ABREAST, WIDTH, WEIGHT, SUM, GREATEST, ALONE, PACKED, SHIFT   as bitsmith_engine has them
module bitsmith_engine_lanes #(
    parameter int LANES = 2,
    parameter int BANKS = 1,
    parameter int ABREAST = 1,
    parameter int WIDTH = 8,
    parameter int WEIGHT = 8,
    parameter int SUM = 20,
    parameter int GREATEST = 0,
    parameter int ALONE = LANES,
    parameter int PACKED = WEIGHT,
    parameter int SHIFT = 1,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1,
    parameter int FACTORS = ALONE * WEIGHT + (LANES - ALONE + 1) / 2 * PACKED
) (
    input  logic                    clk,
    input  logic                    apart,     // lanes have numbers of their own
    input  logic                    greatest,
    input  logic                    abreast,   // sums leave so
    input  logic                    signs,     // numbers are signed
    input  logic [ BANKS*WIDTH-1:0] stored,
    input  logic [   BANK_BITS-1:0] bank,      // with the number that all lanes may have
    input  logic                    is_real,   // else numbers are 0
    input  logic [     FACTORS-1:0] factors,   // in the next cycle
    input  logic                    add,       // the products, which are there another cycle later,
    input  logic                    first,     // as the first ones
    input  logic                    hold,      // the sums
    input  logic                    move,      // to the next sum, or those that leave with it
    output logic [ ABREAST*SUM-1:0] sum
);
    localparam int PRODUCT = WIDTH + WEIGHT;
    localparam int TERM = (ALONE < LANES && SHIFT > PRODUCT) ? SHIFT : PRODUCT;
    localparam int PLACE = (LANES > 1) ? $clog2(LANES) : 1;
    localparam int MULTIPLIERS = ALONE + (LANES - ALONE + 1) / 2;
    localparam int NUMBERS = (BANKS == 1) ? 1 : (LANES > BANKS) ? BANKS + 1 : BANKS;

    // Those that lanes may have by themselves, and the one that others have.
    logic [NUMBERS*(WIDTH+1)-1:0] numbers;
    logic [WIDTH-1:0] single;
    logic [LANES*TERM-1:0] terms;  // products, those of all lanes
    logic [LANES-1:0] owed;  // by which they still have to be increased
    logic [LANES*SUM-1:0] sums;
    logic [LANES*SUM-1:0] held;
    logic [PLACE-1:0] next;  // lane
    logic [PLACE-1:0] further;
    logic [ABREAST*SUM-1:0] following;  // its sum, and those that leave with it

    genvar k;
    genvar lane;
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
            if (is_real) numbers[k*(WIDTH+1)+:WIDTH+1] <= {signs & number[WIDTH-1], number};
            else numbers[k*(WIDTH+1)+:WIDTH+1] <= '0;
        end
    end

    for (k = 0; k < MULTIPLIERS; k = k + 1) begin : g_multiplier
        localparam int LANE = (k < ALONE) ? k : 2 * k - ALONE;
        localparam bit PAIR = k >= ALONE && LANE + 1 < LANES;
        localparam int FACTOR = (k < ALONE) ? WEIGHT : PACKED;
        localparam int AT = (k < ALONE) ? k * WEIGHT : ALONE * WEIGHT + (k - ALONE) * PACKED;
        localparam int BITS = PAIR ? 2 * SHIFT : PRODUCT;
        logic signed [BITS-1:0] product;
        logic signed [FACTOR-1:0] factor;
        logic signed [WIDTH:0] number;

        assign number = $signed(numbers[((LANE<NUMBERS)?LANE:NUMBERS-1)*(WIDTH+1)+:WIDTH+1]);
        assign factor = $signed(factors[AT+:FACTOR]);

        always_ff @(posedge clk) product <= BITS'(number) * BITS'(factor);

        if (PAIR) begin : g_pair
            logic signed [SHIFT-1:0] low;
            logic signed [SHIFT-1:0] high;

            assign {high, low} = $unsigned(product);
            assign terms[LANE*TERM+:TERM] = {{(TERM - SHIFT + 1) {low[SHIFT-1]}}, low[SHIFT-2:0]};
            assign terms[(LANE+1)*TERM+:TERM] = {{(TERM - SHIFT + 1) {high[SHIFT-1]}}, high[SHIFT-2:0]};
            assign owed[LANE+:2] = {low[SHIFT-1], 1'b0};  // the high one comes less 1 if the low one is negative
        end else begin : g_alone
            logic unused;
            assign unused = ^factor;  // of a packed one without another the upper bits
            assign terms[LANE*TERM+:TERM] = {{(TERM - PRODUCT + 1) {product[PRODUCT-1]}}, product[PRODUCT-2:0]};
            assign owed[LANE] = 1'b0;
        end
    end

    for (k = 0; k < LANES; k = k + 1) begin : g_lane
        logic signed [SUM-1:0] operand;
        logic signed [SUM-1:0] total;
        logic signed [SUM-1:0] kept;
        logic signed [SUM-1:0] joined;
        logic signed [SUM-1:0] added;

        assign operand = SUM'($signed(terms[k*TERM+:TERM]));
        assign kept = first ? SUM'(0) : total;  // so that a multiplier block with an adder takes both
        assign sums[k*SUM+:SUM] = $unsigned(total);

        if (SUM < TERM) begin : g_narrow
            logic unused;
            assign unused = ^terms[k*TERM+:TERM];  // the results' range is known to be that of a sum
        end
        if (k >= ALONE && (k - ALONE) % 2 == 1) begin : g_owed
            logic unused;
            assign {added, unused} = {operand, 1'b1} + {kept, owed[k]};
        end else begin : g_full
            logic unused;
            assign added = operand + kept;
            assign unused = owed[k];
        end
        if (k < GREATEST) begin : g_greatest
            logic signed [SUM-1:0] whole;
            assign whole = operand + $signed(SUM'(owed[k]));
            assign joined = (greatest & ~first) ? ((whole > total) ? whole : total) : added;
        end else begin : g_sum
            assign joined = added;
        end

        always_ff @(posedge clk) begin
            if (add) total <= joined;
        end
    end

    // Sums stay where they are until one of them is chosen, so that each takes a register and little else.
    for (k = 0; k < ABREAST * SUM; k = k + 1) begin : g_bit
        localparam int OWN = k / SUM;  // beside the first of those that leave
        logic [(1<<PLACE)-1:0] column;

        for (lane = 0; lane < 1 << PLACE; lane = lane + 1) begin : g_choice
            if (lane >= (OWN == 0 ? 1 : ABREAST) && lane < LANES && (OWN == 0 || lane % ABREAST == OWN)) begin : g_held
                assign column[lane] = held[lane*SUM+k%SUM];
            end else begin : g_never
                assign column[lane] = 1'b0;
            end
        end
        assign following[k] = column[next | $unsigned(PLACE'(OWN))];
    end

    if (GREATEST == 0) begin : g_unused
        logic unused;
        assign unused = greatest;
    end
    endgenerate

    assign further = $unsigned(abreast ? PLACE'(ABREAST) : PLACE'(1));

    logic unused_held;
    assign unused_held = ^held[SUM-1:0];  // which is nobody's: its lane's sum leaves at once

    always_ff @(posedge clk) begin
        if (hold) {held, sum, next} <= {sums, sums[ABREAST*SUM-1:0], further};
        else if (move) {sum, next} <= {following, next + further};
    end
endmodule
