// SPDX-License-Identifier: Apache-2.0
`ifndef BITSMITH_DSP48E2
`define BITSMITH_DSP48E2 0
`endif

// Products of tokens with constant weights, added up over several tokens: a matrix product over several cycles.
//
// Each action takes LANES vectors of N numbers and multiplies each with the N x M weights of one tile (with several SETS,
// as many lanes in a row have one each). The products are added up over N and over STEPS actions; then LANES vectors of M numbers are put.
// The tiles of all GROUPS come one after another, over and over. The weights come from a synchronous ROM outside: rom_address is
// that of the action of the same cycle, rom_data must follow one cycle later. With AHEAD it is that of the next cycle, and rom_data
// must follow two cycles later: there is a register after the ROM.
//
// Fully pipelined, an action per cycle. Registers stand after the operands, after the products and after every second
// level of the tree of adders; one level at most goes before the accumulator. Results are put
// 4 + floor(ceil(log2(N)) / 2) cycles after their last action; only that action needs a free place.
//
// With CHAIN, multiplier blocks add up CHAIN products each: every product waits a cycle longer than its neighbor, whose sum it
// is added to, with registers after operands, products and sums, as vendors ask for to put all of that into cascaded
// blocks. The tree adds up the ceil(N / CHAIN) sums, in place of N products; that is CHAIN cycles later.
//
// Two products with a common factor may share a multiplier: those of an operand with two neighboring columns, or those
// of two neighboring lanes with a weight. (low + high * 2**P_WIDTH) * common has the product of low in its lower P_WIDTH
// bits; what stands above them is the product of high, less 1 if that of low is negative. This 1 is the carry of an
// adder that the product goes through anyway: of N products, N - 1 adders of the tree and the accumulator take one each.
//
// LANES      vectors of a token, which share the weights
// N, M       rows and columns of a tile
// X_WIDTH    bits of a number of the operand, which is signed if X_SIGNED
// SETS       1, or without pairs a divisor of LANES: lane l has set l % SETS
// W_WIDTH    bits of a weight, signed; tile element (n, m) of set k is number (n * SETS + k) * M + m of rom_data
// CHAIN      products that are added up in multiplier blocks; 1 without
// CELLS      write these blocks as AMD's cells; by default what the macro BITSMITH_DSP48E2 says
// P_WIDTH    bits of the sum of CHAIN products, signed, enough for it; where products share multipliers, for one less, too
// LANE_PAIRS, COLUMN_PAIRS  which products share multipliers, not both; without a neighbor the last one is alone
// PACKED_WIDTH  bits of two factors that are packed, signed, enough for them
// Y_WIDTH    bits of a number of the result, signed, enough for it
// STEPS      actions of a result
// GROUPS     results before the tiles come again
// AHEAD      see above
// ADDS_VALID whether x_valid is added to the address, not 1, so that a ROM of look-up tables takes less of them
module bitsmith_folded_product #(
    parameter int LANES = 1,
    parameter int N = 8,
    parameter int M = 4,
    parameter int SETS = 1,
    parameter int X_WIDTH = 8,
    parameter bit X_SIGNED = 1'b1,
    parameter int W_WIDTH = 8,
    parameter int CHAIN = 1,
    parameter bit CELLS = `BITSMITH_DSP48E2,
    parameter int P_WIDTH = X_WIDTH + W_WIDTH + $clog2(CHAIN),
    parameter bit LANE_PAIRS = 1'b0,
    parameter bit COLUMN_PAIRS = 1'b0,
    parameter int PACKED_WIDTH = P_WIDTH + (LANE_PAIRS ? X_WIDTH : W_WIDTH) + 1,
    parameter int Y_WIDTH = 24,
    parameter int STEPS = 4,
    parameter int GROUPS = 2,
    parameter bit AHEAD = 1'b0,
    parameter bit ADDS_VALID = 1'b0,
    parameter int TILES = GROUPS * STEPS,
    parameter int TILE_BITS = (TILES > 1) ? $clog2(TILES) : 1
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic                       x_valid,
    input  logic [LANES*N*X_WIDTH-1:0] x_data,
    output logic                       x_take,
    output logic [      TILE_BITS-1:0] rom_address,
    input  logic [N*SETS*M*W_WIDTH-1:0] rom_data,
    input  logic                       y_free,
    output logic                       y_claim,
    output logic                       y_put,
    output logic [LANES*M*Y_WIDTH-1:0] y_data
);
    localparam int STEP_BITS = (STEPS > 1) ? $clog2(STEPS) : 1;
    localparam logic [TILE_BITS-1:0] LAST_TILE = TILE_BITS'(TILES - 1);
    localparam logic [STEP_BITS-1:0] LAST_STEP = STEP_BITS'(STEPS - 1);
    localparam int CHAINS = (N + CHAIN - 1) / CHAIN;
    localparam int LEVELS = (CHAINS > 1) ? $clog2(CHAINS) : 0;
    localparam int STAGES = 3 + ((CHAIN > 1) ? CHAIN : 0) + LEVELS / 2;  // from an action to the accumulator
    localparam int LANES_EACH = LANE_PAIRS ? 2 : 1;  // of a multiplier
    localparam int COLUMNS_EACH = COLUMN_PAIRS ? 2 : 1;
    localparam int NUMBER_BITS = LANE_PAIRS ? PACKED_WIDTH : X_SIGNED ? X_WIDTH : X_WIDTH + 1;
    localparam int WEIGHT_BITS = COLUMN_PAIRS ? PACKED_WIDTH : W_WIDTH;
    localparam int LANE_BLOCKS = (LANES + LANES_EACH - 1) / LANES_EACH;
    localparam int COLUMN_BLOCKS = (M + COLUMNS_EACH - 1) / COLUMNS_EACH;
    localparam int COLUMNS = SETS * M;
    localparam bit CELL = CELLS && CHAIN > 1;
    localparam int INSIDE = CELL ? 2 : 0;  // registers of a factor that a cell takes in

    logic [STEP_BITS-1:0] step;
    logic last_step;

    assign last_step = step == LAST_STEP;
    assign x_take = x_valid & (y_free | ~last_step);
    assign y_claim = x_take & last_step;

    always_ff @(posedge clk) begin
        if (rst) begin
            step <= '0;
        end else if (x_take) begin
            step <= last_step ? '0 : step + 1'b1;
        end
    end

    logic [TILE_BITS-1:0] tile;
    logic [TILE_BITS-1:0] next_tile;
    logic [TILE_BITS-1:0] more;

    // Carries of a constant are functions of the number alone, which Yosys finds again in the table that the number reads. Yosys
    // makes that table of the carries, in up to twice the cells. The operand is valid wherever the sum is taken. Sums of a number
    // of tiles that is a power of two begin again by themselves.
    assign more = (!ADDS_VALID || x_valid) ? TILE_BITS'(1) : '0;

    always_comb begin
        if (rst) next_tile = '0;
        else if (~x_take) next_tile = tile;
        else next_tile = (!(ADDS_VALID && TILES == 1 << TILE_BITS) && tile == LAST_TILE) ? '0 : tile + more;
    end

    always_ff @(posedge clk) tile <= next_tile;

    assign rom_address = AHEAD ? next_tile : tile;

    // What the accumulator is to do, on the way beside the numbers.
    logic [STAGES-1:0] acts;
    logic [STAGES-1:0] begins;
    logic [STAGES-1:0] ends;

    always_ff @(posedge clk) begin
        begins <= {begins[STAGES-2:0], step == '0};
        if (rst) begin
            acts <= '0;
            ends <= '0;
            y_put <= 1'b0;
        end else begin
            acts <= {acts[STAGES-2:0], x_take};
            ends <= {ends[STAGES-2:0], y_claim};
            y_put <= ends[STAGES-1];
        end
    end

    // The operand waits for its weights, then both are registered in front of the multipliers.
    logic [LANES*N*X_WIDTH-1:0] waiting;
    logic [N*COLUMNS*W_WIDTH-1:0] columns;  // the tile by columns
    logic [LANE_BLOCKS*N*NUMBER_BITS-1:0] numbers;
    logic [SETS*COLUMN_BLOCKS*N*WEIGHT_BITS-1:0] weights;

    always_ff @(posedge clk) waiting <= x_data;

    genvar column, row;
    generate
    for (column = 0; column < COLUMNS; column = column + 1) begin : g_column
        for (row = 0; row < N; row = row + 1) begin : g_row
            assign columns[(column*N+row)*W_WIDTH+:W_WIDTH] = rom_data[(row*COLUMNS+column)*W_WIDTH+:W_WIDTH];
        end
    end
    endgenerate

    bitsmith_product_factors #(
        .VECTORS(LANES),
        .N(N),
        .WIDTH(X_WIDTH),
        .SIGNED(X_SIGNED),
        .PAIRS(LANE_PAIRS),
        .SHIFT(P_WIDTH),
        .CHAIN(CHAIN),
        .INSIDE(INSIDE),
        .FACTOR_WIDTH(NUMBER_BITS)
    ) number_factors (
        .clk,
        .data(waiting),
        .factors(numbers)
    );
    bitsmith_product_factors #(
        .VECTORS(COLUMNS),
        .N(N),
        .WIDTH(W_WIDTH),
        .SIGNED(1'b1),
        .PAIRS(COLUMN_PAIRS),
        .SHIFT(P_WIDTH),
        .CHAIN(CHAIN),
        .INSIDE(INSIDE),
        .FACTOR_WIDTH(WEIGHT_BITS)
    ) weight_factors (
        .clk,
        .data(columns),
        .factors(weights)
    );

    genvar level, block, term, result;
    generate
    // terms: of each result in turn, what is still to be added up. owed: what each term still has to be increased by.
    for (level = 0; level <= LEVELS; level = level + 1) begin : g_level
        localparam int TERMS = (CHAINS + (1 << level) - 1) >> level;
        localparam int BITS = (P_WIDTH + level < Y_WIDTH) ? P_WIDTH + level : Y_WIDTH;
        logic [LANES*M*TERMS*BITS-1:0] terms;
        logic [LANES*M*TERMS-1:0] owed;

        if (level == 0) begin : g_products
            localparam int PRODUCT_BITS = (LANE_PAIRS || COLUMN_PAIRS) ? 2 * P_WIDTH : P_WIDTH;

            for (block = 0; block < LANE_BLOCKS * COLUMN_BLOCKS; block = block + 1) begin : g_block
                localparam int LANE = block / COLUMN_BLOCKS * LANES_EACH;
                localparam int COLUMN = block % COLUMN_BLOCKS * COLUMNS_EACH;
                localparam bit PAIR = (LANE_PAIRS && LANE + 1 < LANES) || (COLUMN_PAIRS && COLUMN + 1 < M);
                localparam int LOW = LANE * M + COLUMN;
                localparam int HIGH = LANE_PAIRS ? LOW + M : LOW + 1;
                localparam int FACTOR = LANE % SETS * M + COLUMN / COLUMNS_EACH;

                for (term = 0; term < N; term = term + 1) begin : g_term
                    localparam int LACKS = (term >= N - N % CHAIN) ? CHAIN - N % CHAIN : 0;
                    localparam int LATE = term % CHAIN + LACKS;  // as in bitsmith_product_factors
                    localparam bit FIRST = term % CHAIN == 0;
                    logic signed [NUMBER_BITS-1:0] number;
                    logic signed [WEIGHT_BITS-1:0] weight;
                    logic signed [PRODUCT_BITS-1:0] sum;  // of the products of the chain so far

                    assign number = $signed(numbers[(LANE/LANES_EACH*N+term)*NUMBER_BITS+:NUMBER_BITS]);
                    assign weight = $signed(weights[(FACTOR*N+term)*WEIGHT_BITS+:WEIGHT_BITS]);
                    if (CHAIN == 1) begin : g_product
                        always_ff @(posedge clk) sum <= PRODUCT_BITS'(number) * PRODUCT_BITS'(weight);
                    end else begin : g_chained
                        localparam int CASCADE_BITS = CELL ? 48 : PRODUCT_BITS;
                        logic signed [CASCADE_BITS-1:0] chain_in;
                        logic signed [CASCADE_BITS-1:0] chain_out;
                        logic unused;

                        assign unused = ^{sum, chain_out};
                        if (FIRST) begin : g_first
                            assign chain_in = '0;
                        end else begin : g_next
                            assign chain_in = g_term[term-1].g_chained.chain_out;
                        end
                        bitsmith_chained_product #(
                            .A_WIDTH(NUMBER_BITS),
                            .B_WIDTH(WEIGHT_BITS),
                            .SUM_WIDTH(PRODUCT_BITS),
                            .FIRST(FIRST),
                            .REGISTERS(LATE > 0 ? 2 : 1),
                            .CELL(CELL)
                        ) chained_product (
                            .clk,
                            .a(number),
                            .b(weight),
                            .chain_in,
                            .chain_out,
                            .sum
                        );
                    end
                    if (term % CHAIN == CHAIN - 1 || term == N - 1) begin : g_last
                        localparam int AT = LOW * TERMS + term / CHAIN;
                        localparam int HIGH_AT = HIGH * TERMS + term / CHAIN;

                        assign terms[AT*BITS+:BITS] = sum[BITS-1:0];
                        assign owed[AT] = 1'b0;
                        if (PAIR) begin : g_pair
                            assign terms[HIGH_AT*BITS+:BITS] = sum[P_WIDTH+:BITS];
                            assign owed[HIGH_AT] = sum[P_WIDTH-1];
                        end
                        if (!PAIR || BITS < P_WIDTH) begin : g_short
                            logic unused;
                            assign unused = ^sum;
                        end
                    end
                end
            end
        end else begin : g_sums
            localparam int BELOW = (CHAINS + (1 << (level - 1)) - 1) >> (level - 1);
            localparam int BITS_BELOW =
                (P_WIDTH + level - 1 < Y_WIDTH) ? P_WIDTH + level - 1 : Y_WIDTH;
            localparam int MORE = BITS - BITS_BELOW;  // 0 or 1
            logic [LANES*M*TERMS*BITS-1:0] sums;
            logic [LANES*M*TERMS-1:0] rest;

            if (level % 2 == 0) begin : g_registers
                always_ff @(posedge clk) begin
                    terms <= sums;
                    owed <= rest;
                end
            end else begin : g_wires
                assign terms = sums;
                assign owed = rest;
            end

            for (result = 0; result < LANES * M; result = result + 1) begin : g_result
                for (term = 0; term < TERMS; term = term + 1) begin : g_term
                    localparam int AT = result * TERMS + term;
                    localparam int FROM = result * BELOW + 2 * term;
                    logic [BITS-1:0] left;

                    assign left = {
                        {MORE{g_level[level-1].terms[FROM*BITS_BELOW+BITS_BELOW-1]}},
                        g_level[level-1].terms[FROM*BITS_BELOW+:BITS_BELOW]
                    };
                    if (2 * term + 1 < BELOW) begin : g_two
                        localparam int THEN = (FROM + 1) * BITS_BELOW;
                        logic [BITS-1:0] right;
                        logic unused;

                        assign right = {
                            {MORE{g_level[level-1].terms[THEN+BITS_BELOW-1]}}, g_level[level-1].terms[THEN+:BITS_BELOW]
                        };
                        assign {sums[AT*BITS+:BITS], unused} = {left, 1'b1} + {right, g_level[level-1].owed[FROM]};
                        assign rest[AT] = g_level[level-1].owed[FROM+1];
                    end else begin : g_one
                        assign sums[AT*BITS+:BITS] = left;
                        assign rest[AT] = g_level[level-1].owed[FROM];
                    end
                end
            end
        end
    end
    endgenerate

    localparam int SUM_BITS = (P_WIDTH + LEVELS < Y_WIDTH) ? P_WIDTH + LEVELS : Y_WIDTH;
    logic fresh;

    assign fresh = STEPS == 1 || begins[STAGES-1];

    generate
    for (result = 0; result < LANES * M; result = result + 1) begin : g_total
        localparam int AT = result * SUM_BITS;
        logic [Y_WIDTH-1:0] sum;
        logic [Y_WIDTH-1:0] next;
        logic [Y_WIDTH-1:0] total;
        logic unused;

        assign sum = {
            {(Y_WIDTH - SUM_BITS) {g_level[LEVELS].terms[AT+SUM_BITS-1]}}, g_level[LEVELS].terms[AT+:SUM_BITS]
        };
        if (N == 1 && !LANE_PAIRS && !COLUMN_PAIRS) begin : g_accumulate
            // As vendors' manuals have it: the product and its accumulator are one multiplier block.
            assign next = (fresh ? '0 : total) + sum;
            assign unused = g_level[LEVELS].owed[result];
        end else begin : g_add
            // Cleared as the second operand, the total takes no look-up tables of its own in carry chains of AMD.
            assign {next, unused} = {sum, g_level[LEVELS].owed[result]} + {total & {Y_WIDTH{~fresh}}, 1'b1};
        end
        assign y_data[result*Y_WIDTH+:Y_WIDTH] = total;

        always_ff @(posedge clk) begin
            if (acts[STAGES-1]) total <= next;
        end
    end
    endgenerate
endmodule
