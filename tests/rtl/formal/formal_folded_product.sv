// bitsmith_folded_product gives the products of arbitrary tokens with arbitrary weights, added up, LATENCY cycles after the last action.
module formal_folded_product #(
    parameter int unsigned LANES = 1,
    parameter int unsigned M = 1,
    parameter bit LANE_PAIRS = 1'b0,
    parameter bit COLUMN_PAIRS = 1'b0,
    parameter int unsigned N = 3,
    parameter int unsigned CHAIN = 1,
    parameter int unsigned STEPS = 2,
    parameter int unsigned GROUPS = 2,
    parameter bit X_SIGNED = 1'b1,
    parameter bit AHEAD = 1'b0,
    parameter int unsigned LATENCY = 5
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned X = 2;
    localparam int unsigned W = 2;
    localparam int unsigned Y = 5;
    localparam int unsigned TILES = STEPS * GROUPS;
    localparam int unsigned TOKENS = 2 * TILES;
    localparam int unsigned RESULTS = 2 * GROUPS;
    localparam int unsigned ADDRESS_BITS = (TILES > 1) ? $clog2(TILES) : 1;
    (* anyconst *) logic [TILES*N*M*W-1:0] weights;
    logic x_valid, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [LANES*N*X-1:0] x_data;
    logic [TOKENS*LANES*N*X-1:0] tokens;
    logic [ADDRESS_BITS-1:0] rom_address;
    logic [N*M*W-1:0] rom_data;
    logic [LANES*M*Y-1:0] y_data;
    logic [RESULTS*LANES*M*Y-1:0] expected;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(LANES * N * X)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .LATENCY(LATENCY), .BY(TOKENS + LATENCY)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    logic [N*M*W-1:0] word, kept;
    always_ff @(posedge clk) begin
        word <= weights[rom_address*N*M*W+:N*M*W];
        kept <= word;
    end
    assign rom_data = AHEAD ? kept : word;
    bitsmith_folded_product #(
        .LANES(LANES), .N(N), .M(M), .CHAIN(CHAIN), .X_WIDTH(X), .X_SIGNED(X_SIGNED), .W_WIDTH(W), .LANE_PAIRS(LANE_PAIRS),
        .COLUMN_PAIRS(COLUMN_PAIRS), .Y_WIDTH(Y), .STEPS(STEPS), .GROUPS(GROUPS),
        .AHEAD(AHEAD)
    ) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .rom_address, .rom_data, .y_free, .y_claim, .y_put, .y_data
    );

    for (genvar r = 0; r < RESULTS * LANES * M; ++r) begin : g_result
        localparam int unsigned LANE = r / M % LANES;
        localparam int unsigned COLUMN = r % M;
        localparam int unsigned FIRST = r / (LANES * M) * STEPS;
        logic signed [Y-1:0] sums[STEPS*N+1];
        assign sums[0] = '0;
        for (genvar k = 0; k < STEPS * N; ++k) begin : g_term
            logic signed [Y-1:0] number, weight;
            logic [X-1:0] bits;
            assign bits = tokens[(((FIRST+k/N)*LANES+LANE)*N+k%N)*X+:X];
            assign number = {{(Y - X) {X_SIGNED & bits[X-1]}}, bits};
            assign weight = $signed(weights[((FIRST%TILES*N+k)*M+COLUMN)*W+:W]);
            assign sums[k+1] = sums[k] + number * weight;
        end
        assign expected[r*Y+:Y] = sums[STEPS*N];
    end

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == expected[puts*LANES*M*Y+:LANES*M*Y]);
            assert (x_take == (x_valid & (y_free | (taken % STEPS != STEPS - 1))));
        end
    end
endmodule
