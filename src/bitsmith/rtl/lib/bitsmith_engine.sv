// SPDX-License-Identifier: Apache-2.0
// Several layers in turn on one row of multipliers, with all their operands and results in one memory.
//
// A frame: biases, if they come as well, are put elsewhere, and its tokens, a number for each part across, taken into the memory (LOAD). Then each layer, as its descriptor says, begins (SETUP) and
// multiplies (RUN): for each window, each block of channels and each pass over it, a step reads a number (0 outside of the
// interface) and adds its products with a word of LANES weights to LANES accumulators; if the layer is so described, each of the first
// BANKS lanes takes a number of its own, of as many that follow each other. Sums move to registers with the last step of a
// pass, and from there one by one, or several abreast, with the steps after it, through the token functions that are connected here
// (core), into the memory, or, of the last layer, one by one to the result's consumer. Then nothing happens until all are where they belong (FLUSH).
// A layer may have its passes outside of its windows, if it has one block: each pass over all windows, then the next one.
// Several windows may be computed at once, as many as tensors have parts of rows and columns: all take the same weights, and each has
// its own memory, multipliers and token function. A part of a tensor is in one memory, at the same place in each; rows and columns
// of a window that are beyond a part are in the memory beside it, down, across or both. Tensors that are not in parts are in the first
// memory, and a layer that makes one computes one window at once, the first one; it may read parts one after another.
// Only steps with which a number of the last layer leaves wait for a free place, and steps of RUN for weights that come as
// tokens, one for each; what is on its way never waits.
//
// LANES             multipliers
// WIDTH             of a number in the memory, which is signed if its layer says so
// WEIGHT, SUM       bits of a weight, at least 2, and of an accumulator, both signed
// WORDS             numbers in the memory
// BANKS             parts of the memory, a power of two up to LANES and half of WORDS: number k is in part k modulo BANKS
// ABREAST           sums that leave at once if the layer says so, a power of two up to BANKS; layers have them in a multiple of these
// DOWN, ACROSS      parts of the rows and of the columns of tensors, also of what comes: as many windows are computed at once
// REACH_...         parts at most that a window is beyond its own
// PART              bits of the number of a part along an axis, signed
// TOKENS            tokens of a frame that come, those for the first parts down first
// LAYERS            layers
// BIASES            biases that come as the first words of a frame; 0: they do not
// LATENCY           cycles from a step to the result that leaves the registers with it: 4, and those of the token function
// GREATEST          lanes, the first ones, of which a layer may want the greatest of their products in place of the sum
// ALONE             lanes, the first ones, that have a multiplier each: LANES, or BANKS (0 for 1) if two others share one
// PACKED, SHIFT     bits of two weights that share a multiplier, and of a product of one of them: low + high * 2**SHIFT
// FIRST             1: so have all lanes of the first window, for layers of one window at once that are too wide to share
// OUTSIDE           1: layers may have passes outside of windows
// LARGE             bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// REST              rows of each bank, the last ones, that are block memory beside larger memory
// SINGLE            1: the memory has a single port (bitsmith_ram), and steps are in every other cycle, with writes in between
// CHECK             check bits of a number in the memory (bitsmith_encode); 0: none
// ..._BITS          of the fields of descriptors
module bitsmith_engine #(
    parameter int LANES = 2,
    parameter int WIDTH = 8,
    parameter int WEIGHT = 8,
    parameter int SUM = 20,
    parameter int WORDS = 64,
    parameter int BANKS = 1,
    parameter int ABREAST = 1,
    parameter int DOWN = 1,
    parameter int ACROSS = 1,
    parameter int REACH_DOWN = 1,
    parameter int REACH_ACROSS = 1,
    parameter int PART = 2,
    parameter int TOKENS = 16,
    parameter int LAYERS = 2,
    parameter int BIASES = 0,
    parameter int LATENCY = 4,
    parameter int GREATEST = 0,
    parameter int ALONE = LANES,
    parameter int PACKED = WEIGHT,
    parameter int SHIFT = 1,
    parameter bit FIRST = 1'b0,
    parameter int OUTSIDE = 0,
    parameter int LARGE = 0,
    parameter int REST = 0,
    parameter bit SINGLE = 1'b0,
    parameter int CHECK = 0,
    parameter int PLACE_BITS = 4,
    parameter int TAP_BITS = 2,
    parameter int WINDOW_BITS = 3,
    parameter int CHANNEL_BITS = 4,
    parameter int PASS_BITS = 1,
    parameter int BLOCK_BITS = 1,
    parameter int WEIGHTS_BITS = 6,
    parameter int BIAS_BITS = 4,
    parameter int COUNT_BITS = 1,
    parameter int LANE_BITS = $clog2(LANES + 1),
    parameter int WORD_BITS = (WORDS > 1) ? $clog2(WORDS) : 1,
    parameter int ROWS = (WORDS + BANKS - 1) / BANKS,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1,
    parameter int LAYER_BITS = (LAYERS > 1) ? $clog2(LAYERS) : 1,
    parameter int POSITIONS = DOWN * ACROSS,
    parameter int WALK = 7 * WORD_BITS + ((POSITIONS > 1) ? 7 * PART + 2 * (WORD_BITS + 1) : 0),
    parameter int AXIS = 5 * PLACE_BITS + TAP_BITS + WINDOW_BITS,
    parameter int DESCRIPTOR = 2 * AXIS + CHANNEL_BITS + PASS_BITS + BLOCK_BITS + LANE_BITS + WEIGHTS_BITS + BIAS_BITS
        + WORD_BITS + 6 + OUTSIDE * (2 * WORD_BITS + COUNT_BITS + 1) + ((POSITIONS > 1) ? 2 * WALK + 1 : WALK)
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    x_valid,
    input  logic [ACROSS*WIDTH-1:0] x_data,
    output logic                    x_take,
    output logic [  LAYER_BITS-1:0] layer,
    input  logic [  DESCRIPTOR-1:0] descriptor,       // of layer
    input  logic                    w_valid,          // the weights of the next step are there; 1 if they are in a table
    output logic                    w_take,
    output logic [WEIGHTS_BITS-1:0] weights_address,
    input  logic [LANES*WEIGHT-1:0] weights,          // in the next cycle
    output logic                    bias_put,         // the word that is taken has a bias
    output logic [   BIAS_BITS-1:0] bias_place,       // of this number
    output logic [   BIAS_BITS-1:0] bias_address,     // the word is taken by the token function in the next cycle
    output logic                    core_valid,
    output logic [POSITIONS*ABREAST*SUM-1:0] core_sum,
    input  logic                    core_done,
    input  logic [POSITIONS*ABREAST*WIDTH-1:0] core_stored,
    input  logic                    y_free,
    output logic                    y_claim,
    output logic                    y_put,
    output logic [             1:0] fault             // of numbers in the memory, as bitsmith_decode has it
);
    localparam int INSIDE = DESCRIPTOR - ((POSITIONS > 1) ? 2 * WALK + 1 : WALK);
    localparam int PLAIN = INSIDE - OUTSIDE * (2 * WORD_BITS + COUNT_BITS + 1);
    localparam int FACTORS = ALONE * WEIGHT + (LANES - ALONE + 1) / 2 * PACKED;
    localparam int FLUSH_BITS = $clog2(LATENCY);
    localparam logic [FLUSH_BITS-1:0] LAST_FLUSH = FLUSH_BITS'(LATENCY - 1);
    localparam logic [WORD_BITS-1:0] LAST_OF_PART = WORD_BITS'(TOKENS / DOWN - 1);
    localparam logic [LAYER_BITS-1:0] LAST_LAYER = LAYER_BITS'(LAYERS - 1);

    localparam logic [1:0] LOAD = 2'd0;
    localparam logic [1:0] SETUP = 2'd1;
    localparam logic [1:0] RUN = 2'd2;
    localparam logic [1:0] FLUSH = 2'd3;

    logic [AXIS-1:0] columns;
    logic [AXIS-1:0] rows;
    logic [CHANNEL_BITS+PASS_BITS+BLOCK_BITS-1:0] previous;  // of channels, passes and blocks the last number less 1, as of others
    logic [LANE_BITS-1:0] leaves_in;  // cycles in which the sums of a pass leave
    logic [WEIGHTS_BITS-1:0] first_weights;
    logic [BIAS_BITS-1:0] first_bias;
    logic [WORD_BITS-1:0] target;
    logic alike;  // all blocks have the same weights
    logic greatest;
    logic apart;  // lanes have numbers of their own
    logic abreast;  // ABREAST sums leave at once

    logic first_signed;  // numbers of the first row of a window are,
    logic later_signed;  // and others

    assign {later_signed, first_signed, abreast, apart, greatest, alike, target, first_bias, first_weights, leaves_in, previous, rows, columns}
        = descriptor[PLAIN-1:0];

    // Of layers with passes outside of windows.
    logic outside;
    logic [COUNT_BITS-1:0] last_of_all;  // windows
    logic [WORD_BITS-1:0] to_result;  // from the last result of a pass to the first one of the next window,
    logic [WORD_BITS-1:0] to_round;  // of the first window in the next pass

    generate
    if (OUTSIDE != 0) begin : g_outside
        assign {outside, to_round, to_result, last_of_all} = descriptor[INSIDE-1:PLAIN];
    end else begin : g_inside
        assign {outside, to_round, to_result, last_of_all} = '0;
    end
    endgenerate

    logic apiece;  // the layer computes a window of each part at once

    logic [1:0] state;
    logic ready;
    logic rests;
    logic act;
    logic step;
    logic start;
    logic begins_layer;  // if it acts
    logic runs;
    logic flushed;
    logic is_last_layer;
    logic [FLUSH_BITS-1:0] flush;
    logic [LANE_BITS-1:0] left;  // sums in registers, or those that leave at once
    logic leaves;
    logic is_window_done;  // the sums are the last ones of a window, after which the biases of the next one are the same
    logic is_round_done;  // and of all windows
    logic fills;  // biases come before numbers

    always_ff @(posedge clk) is_last_layer <= layer == LAST_LAYER;  // a cycle later than layer, whose first cycle is one of SETUP

    assign leaves = left != '0;
    assign y_claim = act & leaves & is_last_layer;
    assign ready = (state == LOAD) ? (fills ? w_valid : x_valid) : (~(leaves & is_last_layer) | y_free) & (w_valid | ~runs);
    assign act = ready & ~rests;
    assign w_take = step | bias_put;
    assign bias_put = act & (state == LOAD) & fills;
    assign x_take = act & (state == LOAD) & ~fills;
    assign begins_layer = state == SETUP;
    assign runs = state == RUN;
    assign start = act & begins_layer;
    assign step = act & runs;
    assign flushed = act & (state == FLUSH) & ~leaves & (flush == LAST_FLUSH);

    generate
    if (SINGLE) begin : g_rests
        always_ff @(posedge clk) rests <= ~rst & act;
    end else begin : g_always
        assign rests = 1'b0;
    end

    if (BIASES != 0) begin : g_biases
        localparam logic [BIAS_BITS-1:0] LAST_BIAS = BIAS_BITS'(BIASES - 1);

        always_ff @(posedge clk) begin
            if (rst) {fills, bias_place} <= {1'b1, BIAS_BITS'(0)};
            else if (flushed & is_last_layer) fills <= 1'b1;
            else if (bias_put) begin
                fills <= bias_place != LAST_BIAS;
                bias_place <= (bias_place == LAST_BIAS) ? '0 : bias_place + 1'b1;
            end
        end
    end else begin : g_tables
        assign fills = 1'b0;
        assign bias_place = '0;
    end
    endgenerate

    // The next step ends the numbers of a tap (tap_ends), and what is further out with them. Whether it is taken only enables
    // registers: it comes late, from the consumer of the results.
    logic [2:0] is_last_number;  // channel, pass and block are
    logic tap_ends;
    logic row_ends;
    logic pass_ends;
    logic block_ends;
    logic window_ends;
    logic line_ends;  // of windows
    logic round_ends;  // of all windows
    logic layer_ends;
    logic [1:0] is_inside;
    logic [1:0] is_first_tap;
    logic [1:0] is_last_tap;
    logic [1:0] is_last_window;
    logic is_first;  // of a pass

    assign tap_ends = is_last_number[0];
    assign row_ends = tap_ends & is_last_tap[0];
    assign pass_ends = row_ends & is_last_tap[1];
    assign block_ends = pass_ends & (outside | is_last_number[1]);
    assign window_ends = block_ends & is_last_number[2];
    assign line_ends = window_ends & is_last_window[0];
    assign round_ends = line_ends & is_last_window[1];
    assign layer_ends = round_ends & is_last_number[1];

    genvar k;
    generate
    for (k = 0; k < 2; k = k + 1) begin : g_axis
        logic [PLACE_BITS-1:0] size, first, further, back, onward;
        logic [TAP_BITS-1:0] before_tap;
        logic [WINDOW_BITS-1:0] before_window;
        logic next_tap;
        logic next_window;

        assign {before_window, before_tap, onward, back, further, first, size} = (k == 0) ? columns : rows;
        assign next_tap = (k == 0) ? tap_ends : row_ends;
        assign next_window = (k == 0) ? window_ends : line_ends;

        bitsmith_engine_axis #(
            .PLACE_BITS (PLACE_BITS),
            .TAP_BITS   (TAP_BITS),
            .WINDOW_BITS(WINDOW_BITS)
        ) axis (
            .clk           (clk),
            .start         (begins_layer),
            .go            (start | step),
            .next_tap      (next_tap),
            .next_window   (next_window),
            .size          (size),
            .first         (first),
            .further       (further),
            .back          (back),
            .onward        (onward),
            .before_tap    (before_tap),
            .before_window (before_window),
            .is_inside     (is_inside[k]),
            .is_first_tap  (is_first_tap[k]),
            .is_last_tap   (is_last_tap[k]),
            .is_last_window(is_last_window[k])
        );
    end
    endgenerate

    logic [2:0] goes_on;  // the counters of channels, passes and blocks

    assign goes_on = {block_ends, outside ? round_ends : pass_ends, 1'b1};

    generate
    for (k = 0; k < 3; k = k + 1) begin : g_number
        localparam int BITS = (k == 0) ? CHANNEL_BITS : (k == 1) ? PASS_BITS : BLOCK_BITS;
        localparam int LOW = (k == 0) ? 0 : (k == 1) ? CHANNEL_BITS : CHANNEL_BITS + PASS_BITS;
        logic unused;

        bitsmith_engine_count #(
            .BITS(BITS)
        ) count (
            .clk     (clk),
            .go      (start | step),
            .start   (begins_layer),
            .next    (goes_on[k]),
            .previous(previous[LOW+:BITS]),
            .is_first(unused),
            .is_last (is_last_number[k])
        );
    end
    endgenerate

    logic [WORD_BITS-1:0] read_at;
    logic [WORD_BITS-1:0] write_at;
    logic [WORD_BITS-1:0] write_step;
    logic [WORD_BITS-1:0] next_place;  // of results
    logic are_abreast;  // those that are written
    logic [PART-1:0] part_down;  // that the first position reads
    logic [PART-1:0] part_across;
    logic restarts;  // reading, if it goes on
    logic [POSITIONS-1:0] loads;  // the part in which a number that comes is
    logic is_part_full;
    logic is_loaded;
    logic rereads;
    logic [WEIGHTS_BITS-1:0] round_weights;  // of the first pass of windows, or of the one that is outside of them
    logic [BIAS_BITS-1:0] round_bias;
    logic [BIAS_BITS-1:0] next_bias;

    assign are_abreast = abreast & ~x_take;
    assign next_place = $unsigned(are_abreast ? WORD_BITS'(ABREAST) : WORD_BITS'(1));
    assign is_part_full = x_take & (write_at == LAST_OF_PART);
    assign next_bias = bias_address + $unsigned(BIAS_BITS'(abreast ? ABREAST : 1));
    assign restarts = begins_layer | (outside & round_ends);
    assign rereads = (window_ends & ~(outside & round_ends)) | (block_ends & alike);

    always_ff @(posedge clk) begin
        if (rst) begin
            state <= LOAD;
            layer <= '0;
            flush <= '0;
            left  <= '0;
        end else if (act) begin
            if (is_loaded) state <= SETUP;
            if (start) state <= RUN;
            if (runs & layer_ends) state <= FLUSH;
            if (flushed) begin
                state <= is_last_layer ? LOAD : SETUP;
                layer <= is_last_layer ? '0 : layer + 1'b1;
            end
            if (state == FLUSH && !leaves) flush <= flushed ? '0 : flush + 1'b1;
            if (runs & pass_ends) left <= leaves_in;
            else if (leaves) left <= left - 1'b1;
        end
    end

    always_ff @(posedge clk) begin
        if (start | step) begin
            weights_address <= begins_layer ? first_weights : rereads ? round_weights : weights_address + 1'b1;
        end
        if (act) is_first <= (runs & pass_ends) | begins_layer;
        if (step & pass_ends) {is_round_done, is_window_done} <= {round_ends, window_ends & ~(outside & round_ends)};
    end

    always_ff @(posedge clk) begin
        if (rst | (flushed & is_last_layer) | is_part_full) write_at <= '0;
        else if (start) write_at <= target;
        else if (x_take | (core_done & ~is_last_layer)) write_at <= write_at + write_step;
    end

    generate
    if (POSITIONS == 1) begin : g_whole
        logic unused;

        assign {apiece, part_down, part_across, loads} = {1'b0, PART'(0), PART'(0), 1'b1};
        assign is_loaded = is_part_full;

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS)
        ) all_axes (
            .clk    (clk),
            .restart(restarts),
            .step   (start | step),
            .ends   ({line_ends, window_ends, block_ends, pass_ends, row_ends, tap_ends}),
            .walk   (descriptor[DESCRIPTOR-1:INSIDE]),
            .at     (read_at),
            .part   (unused)
        );
    end else begin : g_parts
        logic [DOWN-1:0] down;  // parts that what comes is for
        logic [WORD_BITS-1:0] row_at;
        logic [WORD_BITS-1:0] column_at;

        assign is_loaded = is_part_full & down[DOWN-1];
        assign read_at = row_at + column_at;
        assign apiece = descriptor[DESCRIPTOR-1];

        always_ff @(posedge clk) begin
            if (rst) down <= DOWN'(1);
            else if (is_part_full) down <= DOWN'({down, down[DOWN-1]});
        end

        for (k = 0; k < POSITIONS; k = k + 1) begin : g_loads
            assign loads[k] = down[k/ACROSS];
        end

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS),
            .PART     (PART)
        ) columns_walk (
            .clk    (clk),
            .restart(restarts),
            .step   (start | step),
            .ends   ({line_ends, window_ends, block_ends, pass_ends, row_ends, tap_ends}),
            .walk   (descriptor[INSIDE+:WALK]),
            .at     (column_at),
            .part   (part_across)
        );

        bitsmith_engine_walk #(
            .WORD_BITS(WORD_BITS),
            .PART     (PART),
            .STEP     (0)
        ) rows_walk (
            .clk    (clk),
            .restart(restarts),
            .step   (start | step),
            .ends   ({line_ends, window_ends, block_ends, pass_ends, row_ends, tap_ends}),
            .walk   (descriptor[INSIDE+WALK+:WALK]),
            .at     (row_at),
            .part   (part_down)
        );
    end
    endgenerate

    // What the stages do: 1 has the number and its weights, 2 multiplies them, 3 adds, 4 has sums.
    logic [3:1] adds;
    logic [3:1] begins;
    logic [4:1] ends;
    logic [4:1] moves;
    logic [3:1] rewinds;
    logic [3:1] rounds;

    always_ff @(posedge clk) begin
        if (rst) begin
            adds  <= '0;
            ends  <= '0;
            moves <= '0;
        end else begin
            adds  <= {adds[2:1], step};
            ends  <= {ends[3:1], step & pass_ends};
            moves <= {moves[3:1], act & leaves};
        end
        begins  <= {begins[2:1], is_first};
        rewinds <= {rewinds[2:1], is_window_done & (left == $unsigned(LANE_BITS'(1)))};
        rounds  <= {rounds[2:1], is_round_done & (left == $unsigned(LANE_BITS'(1)))};
    end

    generate
    if (OUTSIDE != 0) begin : g_rounds
        logic [WEIGHTS_BITS-1:0] weights_of;
        logic [BIAS_BITS-1:0] bias_of;

        assign round_weights = weights_of;
        assign round_bias = bias_of;

        always_ff @(posedge clk) begin
            if (start) weights_of <= first_weights;
            else if (step & outside & round_ends) weights_of <= weights_address + 1'b1;
            if (start) bias_of <= first_bias;
            else if (outside & moves[3] & rounds[3]) bias_of <= next_bias;
        end
    end else begin : g_layers
        logic unused;

        assign round_weights = first_weights;
        assign round_bias = first_bias;
        assign unused = ^{rounds, moves[3]};
    end
    endgenerate

    generate
    if (OUTSIDE != 0) begin : g_jumps
        logic [LANE_BITS-1:0] stored_lane;
        logic [COUNT_BITS-1:0] stored_window;
        logic is_last_lane;
        logic is_last_of_all;

        assign is_last_lane = stored_lane == leaves_in - 1'b1;
        assign is_last_of_all = stored_window == last_of_all;

        always_comb begin
            if (~(outside & is_last_lane) | x_take) write_step = next_place;
            else write_step = is_last_of_all ? to_round : to_result;
        end

        always_ff @(posedge clk) begin
            if (start) begin
                stored_lane <= '0;
                stored_window <= '0;
            end else if (core_done) begin
                stored_lane <= is_last_lane ? '0 : stored_lane + 1'b1;
                if (is_last_lane) stored_window <= is_last_of_all ? '0 : stored_window + 1'b1;
            end
        end
    end else begin : g_follows
        logic unused;

        assign write_step = next_place;
        assign unused = ^{to_result, to_round, last_of_all};
    end
    endgenerate

    logic [POSITIONS*BANKS*WIDTH-1:0] stored;  // numbers for each position
    logic [POSITIONS-1:0] is_real;
    logic [POSITIONS-1:0] writes;
    logic [POSITIONS*ABREAST*WIDTH-1:0] written;
    logic [POSITIONS-1:0] puts;  // into the memory
    logic [WORD_BITS-1:0] put_at;
    logic [POSITIONS*ABREAST*WIDTH-1:0] put_data;
    logic put_abreast;
    logic [BANKS-1:0] used;
    logic signs;  // the numbers are signed
    logic unused_tap;
    logic [BANK_BITS-1:0] bank;  // with the number that all lanes may have
    logic [FACTORS-1:0] factors;
    logic [LANES*WEIGHT-1:0] plain;  // weights, for multipliers of their own

    generate
    for (k = 0; k < POSITIONS; k = k + 1) begin : g_written
        assign writes[k] = x_take ? loads[k] : core_done & ~is_last_layer & (apiece | (k == 0));
        assign written[k*ABREAST*WIDTH+:ABREAST*WIDTH]
            = x_take ? {ABREAST{x_data[(k%ACROSS)*WIDTH+:WIDTH]}} : core_stored[k*ABREAST*WIDTH+:ABREAST*WIDTH];
    end

    if (SINGLE && LATENCY % 2 == 0) begin : g_later  // steps read when results are there
        always_ff @(posedge clk) begin
            puts <= writes & {POSITIONS{~rst}};
            put_at <= write_at;
            put_data <= written;
            put_abreast <= are_abreast;
        end
    end else begin : g_at_once
        assign puts = writes;
        assign put_at = write_at;
        assign put_data = written;
        assign put_abreast = are_abreast;
    end

    if (BANKS == 1) begin : g_single
        assign bank = '0;
    end else begin : g_banked
        always_ff @(posedge clk) bank <= read_at[BANK_BITS-1:0];
    end

    for (k = 0; k < BANKS; k = k + 1) begin : g_used
        assign used[k] = adds[1] & (apart ? leaves_in > $unsigned(LANE_BITS'(abreast ? k / ABREAST : k)) : bank == $unsigned(BANK_BITS'(k)));
    end
    endgenerate

    bitsmith_engine_parts #(
        .DOWN        (DOWN),
        .ACROSS      (ACROSS),
        .REACH_DOWN  (REACH_DOWN),
        .REACH_ACROSS(REACH_ACROSS),
        .PART        (PART),
        .WIDTH       (WIDTH),
        .CHECK       (CHECK),
        .BANKS       (BANKS),
        .ABREAST     (ABREAST),
        .ROWS        (ROWS),
        .LARGE       (LARGE),
        .REST        (REST),
        .SINGLE      (SINGLE),
        .WORD_BITS   (WORD_BITS)
    ) parts (
        .clk        (clk),
        .write      (puts),
        .write_at   (put_at),
        .abreast    (put_abreast),
        .written    (put_data),
        .read_row   (read_at[WORD_BITS-1-:ROW_BITS]),
        .part_down  (part_down),
        .part_across(part_across),
        .apiece     (apiece),
        .is_inside  (is_inside),
        .stored     (stored),
        .is_real    (is_real),
        .used       (used),
        .fault      (fault)
    );

    assign unused_tap = is_first_tap[0];

    always_ff @(posedge clk) begin
        signs <= is_first_tap[1] ? first_signed : later_signed;
        if (start) bias_address <= first_bias;
        else if (moves[3]) bias_address <= rewinds[3] ? round_bias : next_bias;
    end

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
            .LANES   (LANES),
            .BANKS   (BANKS),
            .ABREAST (ABREAST),
            .WIDTH   (WIDTH),
            .WEIGHT  (WEIGHT),
            .SUM     (SUM),
            .GREATEST(GREATEST),
            .ALONE   (OWN),
            .PACKED  (PACKED),
            .SHIFT   (SHIFT)
        ) row (
            .clk     (clk),
            .apart   (apart),
            .greatest(greatest),
            .abreast (abreast),
            .signs   (signs),
            .stored  (stored[k*BANKS*WIDTH+:BANKS*WIDTH]),
            .bank    (bank),
            .is_real (is_real[k]),
            .factors (own),
            .add     (adds[3]),
            .first   (begins[3]),
            .hold    (ends[4]),
            .move    (moves[4]),
            .sum     (core_sum[k*ABREAST*SUM+:ABREAST*SUM])
        );
    end
    endgenerate

    assign core_valid = moves[4];
    assign y_put = core_done & is_last_layer;
endmodule
