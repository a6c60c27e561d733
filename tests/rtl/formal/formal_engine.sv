// bitsmith_engine with sums and biases that wrap, so that results are MATRIX times the tokens, and OFFSETS, for each of two frames.
// FED: so many biases come before them, as words that are stored where the engine says. WAITS: weights come in any cycles, and neighbours never stall; else weights always come.
module formal_engine #(
    parameter int unsigned WIDTH = 2,  // of numbers and sums; weights have two bits
    parameter int unsigned LANES = 1,
    parameter int unsigned WORDS = 4,
    parameter int unsigned BANKS = 1,
    parameter int unsigned ABREAST = 1,
    parameter int unsigned DOWN = 1,
    parameter int unsigned ACROSS = 1,
    parameter int unsigned REACH_DOWN = 1,
    parameter int unsigned REACH_ACROSS = 1,
    parameter int unsigned TOKENS = 2,
    parameter int unsigned PART = 2,
    parameter int unsigned LAYERS = 2,
    parameter int unsigned VISITS = 1,
    parameter int unsigned PLACE_BITS = 2,
    parameter int unsigned TAP_BITS = 1,
    parameter int unsigned WINDOW_BITS = 1,
    parameter int unsigned CHANNEL_BITS = 1,
    parameter int unsigned PASS_BITS = 1,
    parameter int unsigned BLOCK_BITS = 1,
    parameter int unsigned WEIGHTS_BITS = 3,
    parameter int unsigned BIAS_BITS = 2,
    parameter int unsigned COUNT_BITS = 1,
    parameter int unsigned OUTSIDE = 0,
    parameter int unsigned ALONE = LANES,
    parameter int unsigned PACKED = 2,
    parameter int unsigned SHIFT = 1,
    parameter int unsigned DESCRIPTOR = 60,
    parameter int unsigned RESULTS = 1,
    parameter logic [DESCRIPTOR*LAYERS-1:0] DESCRIPTORS = '0,
    parameter logic [2*LANES*(1<<WEIGHTS_BITS)-1:0] WEIGHTS = '0,
    parameter logic [WIDTH*(1<<BIAS_BITS)-1:0] BIASES = '0,
    parameter logic [WIDTH*RESULTS*TOKENS*ACROSS-1:0] MATRIX = '0,
    parameter logic [WIDTH*RESULTS-1:0] OFFSETS = '0,
    parameter int unsigned BY = 20,
    parameter int unsigned CHECK = 0,
    parameter int unsigned WAITS = 0,
    parameter int unsigned FED = 0
) (
    input logic clk
);
    localparam int unsigned WEIGHT = 2;
    localparam int unsigned POSITIONS = DOWN * ACROSS;
    localparam int unsigned NUMBERS = TOKENS * ACROSS;
    localparam int unsigned LAYER_BITS = (LAYERS > 1) ? $clog2(LAYERS) : 1;
    (* anyseq *) logic weights_come;
    logic rst, eager, w_valid, w_take, x_valid, x_take, y_free, y_claim, y_put, core_valid;
    logic [7:0] cycle, taken, puts, words;
    logic bias_put;
    logic [BIAS_BITS-1:0] bias_place;
    logic [WIDTH-1:0] biases[1<<BIAS_BITS];
    logic [1:0] fault;
    logic [ACROSS*WIDTH-1:0] x_data;
    logic [WIDTH-1:0] expected, given;
    logic [WIDTH-1:0] bias[ABREAST];
    logic [POSITIONS*ABREAST*WIDTH-1:0] core_sum, core_stored;
    logic [2*NUMBERS*WIDTH-1:0] tokens;
    logic [LAYER_BITS-1:0] layer;
    logic [DESCRIPTOR-1:0] descriptor;
    logic [WEIGHTS_BITS-1:0] weights_address;
    logic [BIAS_BITS-1:0] bias_address;
    logic [LANES*WEIGHT-1:0] weights;

    formal_start start (.clk, .rst, .eager, .cycle);
    formal_operand #(.TOKENS(2 * TOKENS), .WIDTH(ACROSS * WIDTH)) operand (
        .clk, .rst, .eager(eager | (WAITS != 0)), .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(2 * RESULTS), .LATENCY(4), .BY((WAITS != 0) ? 255 : BY)) result (
        .clk, .rst, .eager(eager | (WAITS != 0)), .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_engine #(
        .LANES(LANES), .WIDTH(WIDTH), .WEIGHT(WEIGHT), .SUM(WIDTH), .WORDS(WORDS), .BANKS(BANKS), .ABREAST(ABREAST), .TOKENS(TOKENS),
        .DOWN(DOWN), .ACROSS(ACROSS), .REACH_DOWN(REACH_DOWN), .REACH_ACROSS(REACH_ACROSS), .PART(PART), .LAYERS(LAYERS), .VISITS(VISITS), .BIASES(FED), .LATENCY(4), .PLACE_BITS(PLACE_BITS), .TAP_BITS(TAP_BITS), .WINDOW_BITS(WINDOW_BITS),
        .CHANNEL_BITS(CHANNEL_BITS), .PASS_BITS(PASS_BITS), .BLOCK_BITS(BLOCK_BITS), .WEIGHTS_BITS(WEIGHTS_BITS),
        .BIAS_BITS(BIAS_BITS), .COUNT_BITS(COUNT_BITS), .OUTSIDE(OUTSIDE), .ALONE(ALONE), .PACKED(PACKED), .SHIFT(SHIFT), .CHECK(CHECK)
    ) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .layer, .descriptor, .w_valid, .w_take, .weights_address, .weights, .bias_put, .bias_place, .bias_address,
        .core_valid, .core_sum, .core_done(core_valid), .core_stored, .y_free, .y_claim, .y_put,
        .fault
    );

    assign w_valid = weights_come | (WAITS == 0);
    assign descriptor = DESCRIPTORS[layer*DESCRIPTOR+:DESCRIPTOR];

    always_comb begin
        for (int k = 0; k < POSITIONS * ABREAST; ++k) core_stored[k*WIDTH+:WIDTH] = core_sum[k*WIDTH+:WIDTH] + bias[k%ABREAST];
    end
    assign given = core_stored[WIDTH-1:0];

    always_ff @(posedge clk) begin
        weights <= WEIGHTS[weights_address*LANES*WEIGHT+:LANES*WEIGHT];
        for (int k = 0; k < ABREAST; ++k) bias[k] <= (FED != 0) ? biases[bias_address|k] : BIASES[(bias_address|k)*WIDTH+:WIDTH];
        if (bias_put) biases[bias_place] <= BIASES[words*WIDTH+:WIDTH];
        if (rst | (y_put & (puts % RESULTS == RESULTS - 1))) words <= '0;
        else if (w_take & (words < FED)) words <= words + 1'b1;
        if (!rst) assert (bias_put == (w_take & (words < FED)));
        if (!rst) assert (fault == 2'b00);
        if (!rst) assert (w_valid | ~w_take);
    end

    logic [7:0] number;
    assign number = puts % RESULTS;

    always_comb begin
        expected = OFFSETS[number*WIDTH+:WIDTH];
        for (int k = 0; k < NUMBERS; ++k) begin
            expected = expected
                + MATRIX[(number*NUMBERS+k)*WIDTH+:WIDTH] * tokens[(puts/RESULTS*NUMBERS+k)*WIDTH+:WIDTH];
        end
    end

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (given == expected);
        end
    end
endmodule
