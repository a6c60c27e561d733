// bitsmith_window gives all windows of two frames of a SIZE_1 x SIZE_2 image, padded by one on each side if PADDED.
module formal_window #(
    parameter int unsigned SIZE_1 = 3,
    parameter int unsigned SIZE_2 = 3,
    parameter int unsigned TAPS_1 = 2,
    parameter int unsigned TAPS_2 = 2,
    parameter int unsigned STRIDE_1 = 1,
    parameter int unsigned STRIDE_2 = 1,
    parameter int unsigned DILATION_2 = 1,
    parameter bit PADDED = 1'b0,
    parameter int unsigned ACTIONS = 9  // per frame
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned PAD = PADDED ? 1 : 0;
    localparam int unsigned ROWS = (SIZE_1 + 2 * PAD - TAPS_1) / STRIDE_1 + 1;
    localparam int unsigned COLUMNS = (SIZE_2 + 2 * PAD - DILATION_2 * (TAPS_2 - 1) - 1) / STRIDE_2 + 1;
    localparam int unsigned TAPS = TAPS_1 * TAPS_2;
    localparam int unsigned TOKENS = 2 * SIZE_1 * SIZE_2;
    localparam int unsigned RESULTS = 2 * ROWS * COLUMNS;
    logic x_valid, x_data, x_take, y_free, y_claim, y_put;
    logic [7:0] taken, puts;
    logic [TOKENS-1:0] tokens;
    logic [TAPS-1:0] y_data;
    logic [RESULTS*TAPS-1:0] expected;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(1)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(RESULTS), .BY(2 * ACTIONS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_window #(
        .WIDTH(1), .SIZE_1(SIZE_1), .SIZE_2(SIZE_2), .TAPS_1(TAPS_1), .TAPS_2(TAPS_2), .STRIDE_1(STRIDE_1),
        .STRIDE_2(STRIDE_2), .DILATION_2(DILATION_2), .BEFORE_1(PAD), .BEFORE_2(PAD), .AFTER_1(PAD), .AFTER_2(PAD)
    ) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .y_free, .y_claim, .y_put, .y_data
    );

    for (genvar k = 0; k < RESULTS * TAPS; ++k) begin : g_tap
        localparam int FRAME = k / (ROWS * COLUMNS * TAPS);
        localparam int ROW = k / (COLUMNS * TAPS) % ROWS * STRIDE_1 + k / TAPS_2 % TAPS_1 - PAD;
        localparam int COLUMN = k / TAPS % COLUMNS * STRIDE_2 + k % TAPS_2 * DILATION_2 - PAD;
        if (ROW < 0 || ROW >= int'(SIZE_1) || COLUMN < 0 || COLUMN >= int'(SIZE_2)) begin : g_zero
            assign expected[k] = 1'b0;
        end else begin : g_token
            assign expected[k] = tokens[(FRAME*SIZE_1+ROW)*SIZE_2+COLUMN];
        end
    end

    // No wait with both neighbours ready is longer than the padding.
    logic [7:0] idle;

    always_ff @(posedge clk) begin
        if (rst) idle <= '0;
        else begin
            if (y_put) assert (y_data == expected[puts*TAPS+:TAPS]);
            assert (idle <= ACTIONS);
            idle <= (x_valid & y_free & ~x_take & ~y_claim) ? idle + 1'b1 : '0;
        end
    end
endmodule
