// SPDX-License-Identifier: Apache-2.0
// Results of bitsmith_engine that are weights of later layers: rows of a number for each lane.
//
// Results come channel by channel, for each pass window by window. Either windows have a lane each and channels a row, or the
// other way round. After the last lane, and after the last row, places are further on.
//
// LANES, OWN      lanes, and those, the first ones, that may have such weights
// WIDTH, WEIGHT   bits of a result, and of a weight, both signed
// CHECK           check bits of a result (bitsmith_encode)
// ROWS            of them
// STEP_BITS       of a field of descriptors
module bitsmith_engine_held #(
    parameter int LANES = 2,
    parameter int OWN = 2,
    parameter int WIDTH = 8,
    parameter int WEIGHT = 8,
    parameter int CHECK = 0,
    parameter int ROWS = 16,
    parameter int STEP_BITS = 1,
    parameter int LANE_BITS = (OWN > 1) ? $clog2(OWN) : 1,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1,
    parameter int FIELDS = 3 * ROW_BITS + LANE_BITS + STEP_BITS + 3
) (
    input  logic                    clk,
    input  logic                    start,       // a layer begins
    input  logic [      FIELDS-1:0] fields,      // of its descriptor
    input  logic                    done,        // a result comes,
    input  logic                    pass_ends,   // the last one of a pass,
    input  logic                    round_ends,  // or of its last window
    input  logic [       WIDTH-1:0] result,
    input  logic [    ROW_BITS-1:0] read_row,
    input  logic [LANES*WEIGHT-1:0] weights,     // trained ones, in the next cycle
    output logic                    computes,    // the layer's weights are held
    output logic                    holds,       // its results are
    output logic [LANES*WEIGHT-1:0] factors,     // the layer's weights
    input  logic [         OWN-1:0] used,        // lanes of these that matter
    output logic [             1:0] fault
);
    logic by_window;  // windows have a lane each
    logic [ROW_BITS-1:0] first, lanes_jump, steps_jump;  // the first row, and rows after the last lane, and after the last step
    logic [LANE_BITS-1:0] last_lane, lane;
    logic [STEP_BITS-1:0] last_step;
    logic [ROW_BITS-1:0] row;
    logic [OWN*WEIGHT-1:0] computed;
    logic put;
    logic [WIDTH+CHECK-1:0] written;
    logic [OWN-1:0] wrong, corrected;

    assign {computes, holds, by_window, steps_jump, lanes_jump, first, last_step, last_lane} = fields;
    assign put = done & holds;
    assign fault = {|(wrong & used), |(corrected & used)};

    bitsmith_encode #(
        .WIDTH(WIDTH),
        .CHECK(CHECK)
    ) encode (
        .data(result),
        .code(written)
    );

    genvar k;
    generate
    for (k = 0; k < 2; k = k + 1) begin : g_counter  // of lanes, and of steps
        localparam int BITS = (k == 0) ? LANE_BITS : STEP_BITS;
        logic of_windows;
        logic wraps;
        logic [BITS-1:0] count, next_count, kept_count;
        logic [ROW_BITS-1:0] at, next_at, kept_at;

        if (k == 0) begin : g_lanes
            assign of_windows = by_window;
            assign wraps = count == last_lane;
            assign next_at = wraps ? at + lanes_jump : at;
        end else begin : g_steps
            assign of_windows = ~by_window;
            assign wraps = count == last_step;
            assign next_at = at + (wraps ? steps_jump : $unsigned(ROW_BITS'(1)));
        end

        assign next_count = wraps ? '0 : count + 1'b1;

        always_ff @(posedge clk) begin
            if (start) begin
                {count, kept_count} <= '0;
                at <= (k == 0) ? first : '0;
                kept_at <= (k == 0) ? first : '0;
            end else if (put & (pass_ends | ~of_windows)) begin
                {count, at} <= (pass_ends & (round_ends == of_windows)) ? {kept_count, kept_at} : {next_count, next_at};
                if (pass_ends & round_ends & ~of_windows) {kept_count, kept_at} <= {next_count, next_at};
            end
        end
    end

    assign lane = g_counter[0].count;
    assign row = g_counter[0].at + g_counter[1].at;

    for (k = 0; k < OWN; k = k + 1) begin : g_lane
        logic [WIDTH-1:0] number;
        logic [WIDTH+CHECK-1:0] stored;
        logic put_here;

        assign put_here = put & (lane == $unsigned(LANE_BITS'(k)));
        assign computed[k*WEIGHT+:WEIGHT] = WEIGHT'($signed(number));

        // Writes and reads of a number that matters are never in one cycle.
        bitsmith_ram #(
            .WIDTH(WIDTH + CHECK),
            .DEPTH(ROWS),
            .BLOCK(ROWS > 32 && ROWS * WIDTH > 2048)
        ) numbers (
            .clk       (clk),
            .write     (put_here),
            .write_at  (row),
            .write_data(written),
            .read      (1'b1),
            .read_at   (read_row),
            .read_data (stored)
        );

        bitsmith_decode #(
            .WIDTH(WIDTH),
            .CHECK(CHECK)
        ) decode (
            .code (stored),
            .data (number),
            .fault({wrong[k], corrected[k]})
        );
    end
    endgenerate

    always_comb begin
        factors = weights;
        if (computes) factors[OWN*WEIGHT-1:0] = computed;
    end
endmodule
