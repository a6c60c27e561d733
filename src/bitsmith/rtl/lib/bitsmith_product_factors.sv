// SPDX-License-Identifier: Apache-2.0
// Factors of the products of bitsmith_folded_product, registered: VECTORS vectors of N numbers, number k of vector v being number
// v * N + k of data.
//
// With PAIRS the numbers of each two neighboring vectors are packed as low + high * 2**SHIFT; those of a last vector
// without a neighbor stay as they are. The sum is the bits of low, its sign up to bit SHIFT, and high, less 1 if low is
// negative; the sign is not registered again.
//
// WIDTH         bits of a number, which is signed if SIGNED
// SHIFT         at least WIDTH, and more if not SIGNED
// CHAIN         N products are added up in chains of CHAIN, each a cycle after the one before it: so are their factors. What
//               lacks in the last chain lacks at its beginning, so that all end in the same cycle.
// INSIDE        registers of a factor that are left out, if it has as many, since multiplier blocks have them
// FACTOR_WIDTH  bits of a factor, signed, enough for it
module bitsmith_product_factors #(
    parameter int VECTORS = 2,
    parameter int N = 1,
    parameter int WIDTH = 4,
    parameter bit SIGNED = 1'b1,
    parameter bit PAIRS = 1'b1,
    parameter int SHIFT = 8,
    parameter int CHAIN = 1,
    parameter int INSIDE = 0,
    parameter int FACTOR_WIDTH = 13,
    parameter int EACH = PAIRS ? 2 : 1,
    parameter int FACTORS = (VECTORS + EACH - 1) / EACH * N
) (
    input  logic                            clk,
    input  logic [     VECTORS*N*WIDTH-1:0] data,
    output logic [FACTORS*FACTOR_WIDTH-1:0] factors
);
    // Of one bit, whatever the width of what SIGNED is set to: Icarus does not reduce it.
    localparam bit EXTENDS = SIGNED ? 1'b1 : 1'b0;

    genvar factor;
    generate
    for (factor = 0; factor < FACTORS; factor = factor + 1) begin : g_factor
        localparam int LOW = factor / N * EACH * N + factor % N;
        localparam int LATE = factor % N % CHAIN + ((factor % N >= N - N % CHAIN) ? CHAIN - N % CHAIN : 0);
        localparam int REGISTERS = (1 + LATE > INSIDE) ? 1 + LATE - INSIDE : 0;
        logic [WIDTH-1:0] low;
        logic [FACTOR_WIDTH-1:0] word;

        if (REGISTERS == 0) begin : g_low
            assign low = data[LOW*WIDTH+:WIDTH];
        end else begin : g_low_register
            always_ff @(posedge clk) low <= data[LOW*WIDTH+:WIDTH];
        end

        if (LOW + N < VECTORS * N && PAIRS) begin : g_pair
            localparam int HIGH_BITS = FACTOR_WIDTH - SHIFT;
            logic negative;
            logic [HIGH_BITS-1:0] given;
            logic [HIGH_BITS-1:0] high;

            assign negative = EXTENDS & data[LOW*WIDTH+WIDTH-1];
            assign given = {{(HIGH_BITS - WIDTH) {EXTENDS & data[(LOW+N)*WIDTH+WIDTH-1]}}, data[(LOW+N)*WIDTH+:WIDTH]};
            if (REGISTERS == 0) begin : g_high
                assign high = given - HIGH_BITS'(negative);
            end else begin : g_high_register
                always_ff @(posedge clk) high <= given - HIGH_BITS'(negative);
            end
            assign word = {
                high, {(SHIFT - WIDTH) {EXTENDS & low[WIDTH-1]}}, low
            };
        end else begin : g_alone
            assign word = {
                {(FACTOR_WIDTH - WIDTH) {EXTENDS & low[WIDTH-1]}}, low
            };
        end
        if (REGISTERS <= 1) begin : g_now
            assign factors[factor*FACTOR_WIDTH+:FACTOR_WIDTH] = word;
        end else begin : g_late
            localparam int MORE = REGISTERS - 1;
            logic [MORE*FACTOR_WIDTH-1:0] waiting;
            assign factors[factor*FACTOR_WIDTH+:FACTOR_WIDTH] = waiting[MORE*FACTOR_WIDTH-1-:FACTOR_WIDTH];
            always_ff @(posedge clk) waiting <= (MORE * FACTOR_WIDTH)'({waiting, word});
        end
    end
    endgenerate
endmodule
