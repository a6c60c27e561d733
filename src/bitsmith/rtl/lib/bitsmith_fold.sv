// Products of tokens with constant weights, added up over several tokens: a matrix product over several cycles.
//
// Each action takes LANES vectors of N numbers and multiplies each with the N x M weights of one tile. The products are added
// up over N and over STEPS actions; then LANES vectors of M numbers are put. The tiles of all GROUPS come one after
// another, over and over. The weights come from a synchronous ROM outside: rom_address is that of the action of the same
// cycle, rom_data must follow one cycle later.
//
// Fully pipelined, an action per cycle. Registers stand after the operands, after the products and after every second
// level of the tree of adders; one level at most goes before the accumulator. Results are put
// 4 + floor(ceil(log2(N)) / 2) cycles after their last action; only that action needs a free place.
//
// LANES      vectors of a token, which share the weights
// N, M       rows and columns of a tile
// X_WIDTH    bits of a number of the operand, which is signed if X_SIGNED
// W_WIDTH    bits of a weight, signed; tile element (n, m) is number n * M + m of rom_data
// Y_WIDTH    bits of a number of the result, signed, enough for it
// STEPS      actions of a result
// GROUPS     results before the tiles come again
module bitsmith_fold #(
    parameter int unsigned LANES = 1,
    parameter int unsigned N = 8,
    parameter int unsigned M = 4,
    parameter int unsigned X_WIDTH = 8,
    parameter bit X_SIGNED = 1'b1,
    parameter int unsigned W_WIDTH = 8,
    parameter int unsigned Y_WIDTH = 24,
    parameter int unsigned STEPS = 4,
    parameter int unsigned GROUPS = 2,
    localparam int unsigned TILES = GROUPS * STEPS,
    localparam int unsigned TILE_BITS = (TILES > 1) ? $clog2(TILES) : 1
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic                       x_valid,
    input  logic [LANES*N*X_WIDTH-1:0] x_data,
    output logic                       x_take,
    output logic [      TILE_BITS-1:0] rom_address,
    input  logic [    N*M*W_WIDTH-1:0] rom_data,
    input  logic                       y_free,
    output logic                       y_claim,
    output logic                       y_put,
    output logic [LANES*M*Y_WIDTH-1:0] y_data
);
    localparam int unsigned STEP_BITS = (STEPS > 1) ? $clog2(STEPS) : 1;
    localparam logic [TILE_BITS-1:0] LAST_TILE = TILE_BITS'(TILES - 1);
    localparam logic [STEP_BITS-1:0] LAST_STEP = STEP_BITS'(STEPS - 1);
    localparam int unsigned LEVELS = (N > 1) ? $clog2(N) : 0;
    localparam int unsigned STAGES = 3 + LEVELS / 2;  // from an action to the accumulator
    localparam int unsigned FACTOR_BITS = X_SIGNED ? X_WIDTH : X_WIDTH + 1;
    localparam int unsigned PRODUCT_BITS = FACTOR_BITS + W_WIDTH;

    logic [STEP_BITS-1:0] step;
    logic last_step;

    assign last_step = step == LAST_STEP;
    assign x_take = x_valid & (y_free | ~last_step);
    assign y_claim = x_take & last_step;

    always_ff @(posedge clk) begin
        if (rst) begin
            step <= '0;
            rom_address <= '0;
        end else if (x_take) begin
            step <= last_step ? '0 : step + 1'b1;
            rom_address <= (rom_address == LAST_TILE) ? '0 : rom_address + 1'b1;
        end
    end

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
    logic [LANES*N*X_WIDTH-1:0] numbers;
    logic [N*M*W_WIDTH-1:0] weights;

    always_ff @(posedge clk) begin
        waiting <= x_data;
        numbers <= waiting;
        weights <= rom_data;
    end

    // terms: of each result in turn, what is still to be added up.
    for (genvar level = 0; level <= LEVELS; ++level) begin : g_level
        localparam int unsigned TERMS = (N + (1 << level) - 1) >> level;
        localparam int unsigned BITS = (PRODUCT_BITS + level < Y_WIDTH) ? PRODUCT_BITS + level : Y_WIDTH;
        logic [LANES*M*TERMS*BITS-1:0] sums;
        logic [LANES*M*TERMS*BITS-1:0] terms;

        if (level % 2 == 0) begin : g_registers
            always_ff @(posedge clk) terms <= sums;
        end else begin : g_wires
            assign terms = sums;
        end

        for (genvar result = 0; result < LANES * M; ++result) begin : g_result
            for (genvar term = 0; term < TERMS; ++term) begin : g_term
                localparam int unsigned AT = (result * TERMS + term) * BITS;
                if (level == 0) begin : g_product
                    logic signed [FACTOR_BITS-1:0] number;
                    logic signed [W_WIDTH-1:0] weight;
                    logic signed [PRODUCT_BITS-1:0] product;

                    if (X_SIGNED) begin : g_signed
                        assign number = $signed(numbers[((result/M)*N+term)*X_WIDTH+:X_WIDTH]);
                    end else begin : g_unsigned
                        assign number = $signed({1'b0, numbers[((result/M)*N+term)*X_WIDTH+:X_WIDTH]});
                    end
                    assign weight = $signed(weights[(term*M+result%M)*W_WIDTH+:W_WIDTH]);
                    assign product = PRODUCT_BITS'(number) * PRODUCT_BITS'(weight);
                    assign sums[AT+:BITS] = product[BITS-1:0];
                    if (BITS < PRODUCT_BITS) begin : g_short
                        logic unused;
                        assign unused = ^product[PRODUCT_BITS-1:BITS];
                    end
                end else begin : g_sum
                    localparam int unsigned BELOW = (N + (1 << (level - 1)) - 1) >> (level - 1);
                    localparam int unsigned BITS_BELOW =
                        (PRODUCT_BITS + level - 1 < Y_WIDTH) ? PRODUCT_BITS + level - 1 : Y_WIDTH;
                    localparam int unsigned FROM = (result * BELOW + 32'd2 * term) * BITS_BELOW;
                    localparam int unsigned MORE = BITS - BITS_BELOW;  // 0 or 1
                    logic [BITS-1:0] left;

                    assign left = {
                        {MORE{g_level[level-1].terms[FROM+BITS_BELOW-1]}}, g_level[level-1].terms[FROM+:BITS_BELOW]
                    };
                    if (32'd2 * term + 1 < BELOW) begin : g_two
                        localparam int unsigned THEN = FROM + BITS_BELOW;
                        logic [BITS-1:0] right;

                        assign right = {
                            {MORE{g_level[level-1].terms[THEN+BITS_BELOW-1]}}, g_level[level-1].terms[THEN+:BITS_BELOW]
                        };
                        assign sums[AT+:BITS] = left + right;
                    end else begin : g_one
                        assign sums[AT+:BITS] = left;
                    end
                end
            end
        end
    end

    localparam int unsigned SUM_BITS = (PRODUCT_BITS + LEVELS < Y_WIDTH) ? PRODUCT_BITS + LEVELS : Y_WIDTH;

    for (genvar result = 0; result < LANES * M; ++result) begin : g_total
        localparam int unsigned AT = result * SUM_BITS;
        logic [Y_WIDTH-1:0] sum;
        logic [Y_WIDTH-1:0] total;

        assign sum = {
            {(Y_WIDTH - SUM_BITS) {g_level[LEVELS].terms[AT+SUM_BITS-1]}}, g_level[LEVELS].terms[AT+:SUM_BITS]
        };
        assign y_data[result*Y_WIDTH+:Y_WIDTH] = total;

        always_ff @(posedge clk) begin
            if (acts[STAGES-1]) total <= begins[STAGES-1] ? sum : total + sum;
        end
    end
endmodule
