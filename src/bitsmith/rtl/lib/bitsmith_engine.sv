// SPDX-License-Identifier: Apache-2.0
// Several layers in turn on one row of multipliers, with all their operands and results in one memory.
//
// A frame: biases, if they come as well, are put elsewhere, and its tokens, a number for each part across, taken into the memory
// (LOAD). Then each layer, as its descriptor says, begins (SETUP) and multiplies (RUN): for each window, each block of channels
// and each pass over it, a step reads a number (0 outside of the interface) and adds its products with a word of LANES weights
// to LANES accumulators; if the layer is so described, each of the first BANKS lanes takes a number of its own, of as many that
// follow each other. Sums move to registers with the last step of a pass, and from there one by one, or several abreast, with
// the steps after it, through the token functions that are connected here (core), into the memory, or, of the last layer, one by
// one to the result's consumer. Then nothing happens until all are where they belong (FLUSH).
// There may be several visits: layers after which the engine takes tokens again (LOAD), in place of all numbers, before the next
// layer begins. The results of some layers then leave as those of the last one do; what is connected here chooses by the layer
// which operand is taken, and which result is given.
// A layer may have its passes outside of its windows, if it has one block: each pass over all windows, then the next one.
// Results of some layers may be held in place of weights, for later layers, which multiply two computed operands so.
// Several windows may be computed at once, as many as tensors have parts of rows and columns: all take the same weights, and
// each has its own memory, multipliers and token function. A part of a tensor is in one memory, at the same place in each; rows
// and columns of a window that are beyond a part are in the memory beside it, down, across or both. Tensors that are not in
// parts are in the first memory, and a layer that makes one computes one window at once, the first one; it may read parts one
// after another.
// Only steps with which a number of the last layer leaves wait for a free place, and steps of RUN for weights that come as
// tokens, one for each; what is on its way never waits.
//
// LANES             multipliers
// WIDTH             of a number in the memory, which is signed if its layer says so
// WEIGHT, SUM       bits of a weight, at least 2, and of an accumulator, both signed
// WORDS             numbers in the memory
// BANKS             parts of the memory, a power of two up to LANES and half of WORDS: number k is in part k modulo BANKS
// ABREAST           sums that leave at once if the layer says so, a power of two up to BANKS, of which layers have a multiple
// DOWN, ACROSS      parts of the rows and of the columns of tensors, also of what comes: as many windows are computed at once
// REACH_...         parts at most that a window is beyond its own
// PART              bits of the number of a part along an axis, signed
// TOKENS            tokens of a frame that come, those for the first parts down first
// LAYERS            layers
// VISITS            times that tokens come in a frame: those of one position, in numbers that descriptors say if there are several
// HELD, HELD_LANES  rows of results that are held for later layers, and lanes that have these weights; 0: none are
// HELD_WIDTH        bits of such a result, which is signed
// BIASES            biases that come as the first words of a frame; 0: they do not
// LATENCY           cycles from a step to the result that leaves the registers with it: 4, and those of the token function
// GREATEST          lanes, the first ones, of which a layer may want the greatest of their products in place of the sum
// ALONE             lanes, the first ones, that have a multiplier each: LANES, or BANKS (0 for 1) if two others share one
// PACKED, SHIFT     bits of two weights that share a multiplier, and of a product of one of them: low + high * 2**SHIFT
// FIRST             1: so have all lanes of the first window, for layers of one window at once that are too wide to share
// OUTSIDE           1: layers may have passes outside of windows
// LARGE             bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// REST              rows of each bank, the last ones, that are block memory beside larger memory
// WIDE, LOW         rows of each bank, the first ones, whose numbers have all bits, and bits of others, signed; 0: all have all
// SINGLE            1: the memory has a single port (bitsmith_ram), and steps are in every other cycle, with writes in between
// CHECK, HELD_CHECK check bits of a number in the memory (bitsmith_encode), and of one that is held; 0: none
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
    parameter int VISITS = 1,
    parameter int HELD = 0,
    parameter int HELD_LANES = 1,
    parameter int HELD_WIDTH = 1,
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
    parameter int WIDE = 0,
    parameter int LOW = 0,
    parameter int CHECK = 0,
    parameter int HELD_CHECK = 0,
    parameter int FAULTS = (HELD_CHECK > 0) ? 4 : 2,
    parameter int PLACE_BITS = 4,
    parameter int TAP_BITS = 2,
    parameter int WINDOW_BITS = 3,
    parameter int CHANNEL_BITS = 4,
    parameter int PASS_BITS = 1,
    parameter int BLOCK_BITS = 1,
    parameter int WEIGHTS_BITS = 6,
    parameter int BIAS_BITS = 4,
    parameter int COUNT_BITS = 1,
    parameter int HELD_STEP_BITS = 1,
    parameter int LANE_BITS = $clog2(LANES + 1),
    parameter int HELD_BITS = (HELD > 1) ? $clog2(HELD) : 1,
    parameter int HELD_LANE_BITS = (HELD_LANES > 1) ? $clog2(HELD_LANES) : 1,
    parameter int HOLDS = (HELD > 0) ? 3 * HELD_BITS + HELD_LANE_BITS + HELD_STEP_BITS + 3 : 0,
    parameter int WORD_BITS = (WORDS > 1) ? $clog2(WORDS) : 1,
    parameter int ROWS = (WORDS + BANKS - 1) / BANKS,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1,
    parameter int LAYER_BITS = (LAYERS > 1) ? $clog2(LAYERS) : 1,
    parameter int POSITIONS = DOWN * ACROSS,
    parameter int WALK = 7 * WORD_BITS + ((POSITIONS > 1) ? 7 * PART + 2 * (WORD_BITS + 1) : 0),
    parameter int AXIS = 5 * PLACE_BITS + TAP_BITS + WINDOW_BITS,
    parameter int WALKS = (POSITIONS > 1) ? 2 * WALK : WALK,
    parameter int DESCRIPTOR = 2 * AXIS + CHANNEL_BITS + PASS_BITS + BLOCK_BITS + LANE_BITS + WEIGHTS_BITS + BIAS_BITS
        + WORD_BITS + 6 + OUTSIDE * (2 * WORD_BITS + COUNT_BITS + 1) + WALKS + ((POSITIONS > 1) ? 1 : 0)
        + ((VISITS > 1) ? WORD_BITS + 2 : 0) + HOLDS
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
    input  logic [  HELD_WIDTH-1:0] core_held,        // that number as a result that is held
    input  logic                    y_free,
    output logic                    y_claim,
    output logic                    y_put,
    output logic [      FAULTS-1:0] fault             // of numbers in the memory, and held ones, as bitsmith_decode has it
);
    localparam int VISIT = DESCRIPTOR - HOLDS;
    localparam int AFTER = VISIT - ((VISITS > 1) ? WORD_BITS + 2 : 0);
    localparam int INSIDE = AFTER - WALKS - ((POSITIONS > 1) ? 1 : 0);
    localparam int PLAIN = INSIDE - OUTSIDE * (2 * WORD_BITS + COUNT_BITS + 1);
    localparam int FLUSH_BITS = $clog2(LATENCY);
    localparam logic [FLUSH_BITS-1:0] LAST_FLUSH = FLUSH_BITS'(LATENCY - 1);
    localparam logic [LAYER_BITS-1:0] LAST_LAYER = LAYER_BITS'(LAYERS - 1);

    localparam logic [1:0] LOAD = 2'd0;
    localparam logic [1:0] SETUP = 2'd1;
    localparam logic [1:0] RUN = 2'd2;
    localparam logic [1:0] FLUSH = 2'd3;

    logic [AXIS-1:0] columns;
    logic [AXIS-1:0] rows;
    logic [CHANNEL_BITS+PASS_BITS+BLOCK_BITS-1:0] previous;  // the last channel, pass and block less 1
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

    assign {later_signed, first_signed, abreast, apart, greatest, alike, target, first_bias, first_weights, leaves_in, previous,
        rows, columns} = descriptor[PLAIN-1:0];

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
    logic signs;  // the numbers are signed

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
    logic fills;  // biases come before numbers

    logic [WORD_BITS-1:0] last_token;  // of those that come before the layer
    logic ends_visit;  // the layer does
    logic gives;  // results of the layer leave

    generate
    if (VISITS > 1) begin : g_visits
        assign {gives, ends_visit, last_token} = descriptor[VISIT-1:AFTER];
    end else begin : g_visit
        assign {gives, ends_visit} = {2{is_last_layer}};
        assign last_token = WORD_BITS'(TOKENS / DOWN - 1);
    end
    endgenerate

    // A cycle later than layer, whose first cycle is one of SETUP.
    always_ff @(posedge clk) is_last_layer <= layer == LAST_LAYER;

    logic computes;  // weights of the layer are held,
    logic holds;  // its results are
    logic pass_done;  // with the result of the token function,
    logic round_done;

    assign leaves = left != '0;
    assign y_claim = act & leaves & gives;
    assign ready = (state == LOAD) ? (fills ? w_valid : x_valid) : (~(leaves & gives) | y_free) & (w_valid | computes | ~runs);
    assign act = ready & ~rests;
    assign w_take = (step & ~computes) | bias_put;
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
    endgenerate

    logic pass_ends;  // with the next step, as what follows
    logic block_ends;
    logic window_ends;
    logic round_ends;  // of all windows
    logic layer_ends;
    logic [1:0] is_inside;
    logic is_first_row;
    logic is_first;  // of a pass
    logic [WORD_BITS-1:0] read_at;
    logic [PART-1:0] part_down;  // that the first position reads
    logic [PART-1:0] part_across;

    bitsmith_engine_steps #(
        .POSITIONS(POSITIONS), .PART(PART), .PLACE_BITS(PLACE_BITS), .TAP_BITS(TAP_BITS), .WINDOW_BITS(WINDOW_BITS),
        .CHANNEL_BITS(CHANNEL_BITS), .PASS_BITS(PASS_BITS), .BLOCK_BITS(BLOCK_BITS), .WORD_BITS(WORD_BITS)
    ) steps (
        .clk(clk), .outside(outside), .columns(columns), .rows(rows), .previous(previous), .pass_ends(pass_ends),
        .block_ends(block_ends), .window_ends(window_ends), .round_ends(round_ends), .layer_ends(layer_ends),
        .is_inside(is_inside), .is_first_row(is_first_row), .part_down(part_down), .part_across(part_across),
        .begins(begins_layer),
        .go    (start | step),
        .walks (descriptor[INSIDE+:WALKS]),
        .at    (read_at)
    );

    logic is_loaded;
    logic [POSITIONS-1:0] write;
    logic [WORD_BITS-1:0] write_at;
    logic are_abreast;  // numbers that are written
    logic [POSITIONS*ABREAST*WIDTH-1:0] written;

    bitsmith_engine_writes #(
        .DOWN(DOWN), .ACROSS(ACROSS), .WIDTH(WIDTH), .ABREAST(ABREAST), .OUTSIDE(OUTSIDE),
        .LANE_BITS(LANE_BITS), .WORD_BITS(WORD_BITS), .COUNT_BITS(COUNT_BITS),
        .LATER(SINGLE && LATENCY % 2 == 0)  // steps read when results are there
    ) writes (
        .clk(clk), .rst(rst), .start(start), .apiece(apiece), .abreast(abreast), .leaves_in(leaves_in), .target(target),
        .outside(outside), .last_of_all(last_of_all), .to_result(to_result), .to_round(to_round), .is_loaded(is_loaded),
        .last_token(last_token), .write(write), .write_at(write_at), .are_abreast(are_abreast), .written(written),
        .take   (x_take),
        .tokens (x_data),
        .done   (core_done),
        .store  (core_done & ~gives & ~holds),
        .pass_done(pass_done),
        .round_done(round_done),
        .results(core_stored),
        .finish (flushed & ends_visit)
    );

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
                state <= ends_visit ? LOAD : SETUP;
                layer <= is_last_layer ? '0 : layer + 1'b1;
            end
            if (state == FLUSH && !leaves) flush <= flushed ? '0 : flush + 1'b1;
            if (runs & pass_ends) left <= leaves_in;
            else if (leaves) left <= left - 1'b1;
        end
    end

    always_ff @(posedge clk) begin
        if (act) is_first <= (runs & pass_ends) | begins_layer;
        signs <= is_first_row ? first_signed : later_signed;
    end

    generate
    if (POSITIONS == 1) begin : g_whole
        assign apiece = 1'b0;
    end else begin : g_parts
        assign apiece = descriptor[AFTER-1];
    end
    endgenerate

    // What the stages do: 1 has the number and its weights, 2 multiplies them, 3 adds, 4 has sums.
    logic [3:1] adds;
    logic [3:1] begins;
    logic [4:1] ends;
    logic [4:1] moves;

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
        begins <= {begins[2:1], is_first};
    end

    bitsmith_engine_addresses #(
        .ABREAST(ABREAST), .BIASES(BIASES), .OUTSIDE(OUTSIDE), .WEIGHTS_BITS(WEIGHTS_BITS), .BIAS_BITS(BIAS_BITS)
    ) addresses (
        .clk(clk), .rst(rst), .start(start), .runs(runs), .step(step), .pass_ends(pass_ends), .block_ends(block_ends),
        .window_ends(window_ends), .round_ends(round_ends), .abreast(abreast), .alike(alike), .outside(outside),
        .first_weights(first_weights), .first_bias(first_bias), .weights_address(weights_address),
        .bias_address(bias_address), .fills(fills), .bias_place(bias_place),
        .is_last(left == $unsigned(LANE_BITS'(1))),
        .move   (moves[3]),
        .finish (flushed & is_last_layer),
        .put    (bias_put)
    );

    logic [LANES*WEIGHT-1:0] factors;  // weights of the layer

    genvar h;
    generate
    if (HELD > 0) begin : g_held
        logic [HELD_LANES-1:0] read;
        logic [1:0] held_fault;

        if (HELD_CHECK > 0) begin : g_checked
            assign fault[3:2] = held_fault;
        end else begin : g_plain
            logic unused_fault;
            assign unused_fault = ^held_fault;
        end

        for (h = 0; h < HELD_LANES; h = h + 1) begin : g_read
            assign read[h] = adds[1] & computes & (leaves_in > $unsigned(LANE_BITS'(h)));
        end

        bitsmith_engine_held #(
            .LANES(LANES), .OWN(HELD_LANES), .WIDTH(HELD_WIDTH), .WEIGHT(WEIGHT), .CHECK(HELD_CHECK), .ROWS(HELD),
            .STEP_BITS(HELD_STEP_BITS)
        ) held (
            .clk(clk), .start(start), .done(core_done), .pass_ends(pass_done), .round_ends(round_done), .weights(weights),
            .computes(computes), .holds(holds), .factors(factors), .used(read), .fault(held_fault),
            .fields  (descriptor[DESCRIPTOR-1:VISIT]),
            .result  (core_held),
            .read_row(weights_address[HELD_BITS-1:0])
        );
    end else begin : g_trained
        logic unused_done;

        assign {computes, holds} = 2'b00;
        assign factors = weights;
        assign unused_done = pass_done ^ round_done ^ (^core_held);
    end
    endgenerate

    logic [POSITIONS*BANKS*WIDTH-1:0] stored;  // numbers for each position
    logic [POSITIONS-1:0] is_real;
    logic [BANKS-1:0] used;
    logic [BANK_BITS-1:0] bank;  // with the number that all lanes may have

    genvar k;
    generate
    if (BANKS == 1) begin : g_single
        assign bank = '0;
    end else begin : g_banked
        always_ff @(posedge clk) bank <= read_at[BANK_BITS-1:0];
    end

    for (k = 0; k < BANKS; k = k + 1) begin : g_used
        assign used[k] = adds[1] & (apart ? leaves_in > $unsigned(LANE_BITS'(abreast ? k / ABREAST : k))
                                          : bank == $unsigned(BANK_BITS'(k)));
    end
    endgenerate

    bitsmith_engine_parts #(
        .DOWN(DOWN), .ACROSS(ACROSS), .REACH_DOWN(REACH_DOWN), .REACH_ACROSS(REACH_ACROSS), .PART(PART), .WIDTH(WIDTH),
        .CHECK(CHECK), .BANKS(BANKS), .ABREAST(ABREAST), .ROWS(ROWS), .LARGE(LARGE), .REST(REST), .SINGLE(SINGLE),
        .WIDE(WIDE), .LOW(LOW), .WORD_BITS(WORD_BITS)
    ) parts (
        .clk(clk), .write(write), .write_at(write_at), .written(written), .part_down(part_down),
        .part_across(part_across), .apiece(apiece), .is_inside(is_inside), .stored(stored), .is_real(is_real),
        .used(used), .fault(fault[1:0]),
        .abreast (are_abreast),
        .read_row(read_at[WORD_BITS-1-:ROW_BITS])
    );

    bitsmith_engine_rows #(
        .LANES(LANES), .BANKS(BANKS), .ABREAST(ABREAST), .POSITIONS(POSITIONS), .WIDTH(WIDTH), .WEIGHT(WEIGHT),
        .SUM(SUM), .GREATEST(GREATEST), .ALONE(ALONE), .PACKED(PACKED), .SHIFT(SHIFT), .FIRST(FIRST)
    ) multipliers (
        .clk(clk), .apart(apart), .greatest(greatest), .abreast(abreast), .signs(signs), .stored(stored), .bank(bank),
        .is_real(is_real), .weights(factors),
        .add  (adds[3]),
        .first(begins[3]),
        .hold (ends[4]),
        .move (moves[4]),
        .sums (core_sum)
    );

    assign core_valid = moves[4];
    assign y_put = core_done & gives;
endmodule
