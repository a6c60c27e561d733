// SPDX-License-Identifier: Apache-2.0
// Memory of bitsmith_engine: numbers in BANKS memories, number k in the one k modulo BANKS. Reads give one of each.
//
// A row of larger memory has the numbers of several banks, none of which are written at once. The last rows may be block memory,
// where they would fill little of it.
//
// WIDTH, CHECK   bits of a number, and its check bits (bitsmith_encode)
// BANKS, ROWS    memories, a power of two, and numbers in each
// ABREAST        numbers that may be written at once, from a place on that is a multiple of these; a power of two up to BANKS
// LARGE, SINGLE  as bitsmith_ram has it
// REST           the last rows, that are block memory beside larger memory of a multiple of as many, a power of two
// WIDE, LOW      the first rows, which have all bits, and bits of the signed numbers in others; 0: all rows have all
// WORD_BITS      of the place of a number
module bitsmith_engine_memory #(
    parameter int WIDTH = 8,
    parameter int CHECK = 0,
    parameter int BANKS = 1,
    parameter int ABREAST = 1,
    parameter int ROWS = 64,
    parameter int LARGE = 0,
    parameter int REST = 0,
    parameter bit SINGLE = 1'b0,
    parameter int WIDE = 0,
    parameter int LOW = 0,
    parameter int WORD_BITS = 6,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1
) (
    input  logic                   clk,
    input  logic                   write,
    input  logic [  WORD_BITS-1:0] write_at,
    input  logic                   abreast,   // so many numbers are written
    input  logic [ABREAST*WIDTH-1:0] written,
    input  logic [   ROW_BITS-1:0] read_row,
    output logic [BANKS*WIDTH-1:0] stored,    // in the next cycle
    output logic [      BANKS-1:0] corrected,
    output logic [      BANKS-1:0] wrong
);
    localparam int CODE = WIDTH + CHECK;
    localparam int PLACES = (LARGE == 0) ? 1 : 72 / LARGE;
    localparam int TOGETHER = (BANKS / ABREAST < PLACES) ? BANKS / ABREAST : PLACES;
    localparam int MEMORIES = BANKS / TOGETHER;
    localparam int WITHIN = $clog2(TOGETHER);
    localparam int OF_MEMORIES = $clog2(MEMORIES);
    localparam int FIRST = ROWS - REST;
    localparam int FIRST_BITS = (REST == 0) ? ROW_BITS : $clog2(FIRST);
    localparam int MOST = (LOW == 0) ? CODE : LOW;  // bits in all rows
    localparam int WIDE_BITS = (WIDE > 1) ? $clog2(WIDE) : 1;
    localparam int REST_BITS = (REST > 1) ? $clog2(REST) : 1;

    logic [ABREAST*CODE-1:0] codes;
    logic [BANKS*CODE-1:0] words;
    logic [ROW_BITS-1:0] write_row;
    logic writes_rest, reads_rest;

    assign write_row = write_at[WORD_BITS-1-:ROW_BITS];

    genvar k, t;
    generate
    for (k = 0; k < ABREAST; k = k + 1) begin : g_code
        bitsmith_encode #(
            .WIDTH(WIDTH),
            .CHECK(CHECK)
        ) encode (
            .data(written[k*WIDTH+:WIDTH]),
            .code(codes[k*CODE+:CODE])
        );
    end

    if (REST == 0) begin : g_one_kind
        assign {writes_rest, reads_rest} = 2'b00;
    end else begin : g_two_kinds
        localparam logic [ROW_BITS-1:0] FIRST_OF_REST = ROW_BITS'(FIRST);

        assign writes_rest = write_row >= FIRST_OF_REST;

        always_ff @(posedge clk) reads_rest <= read_row >= FIRST_OF_REST;
    end

    for (k = 0; k < BANKS; k = k + 1) begin : g_number
        bitsmith_decode #(
            .WIDTH(WIDTH),
            .CHECK(CHECK)
        ) decode (
            .code (words[k*CODE+:CODE]),
            .data (stored[k*WIDTH+:WIDTH]),
            .fault({wrong[k], corrected[k]})
        );
    end

    for (k = 0; k < MEMORIES; k = k + 1) begin : g_bank
        logic is_written;
        logic [FIRST_BITS+WITHIN-1:0] write_place, read_place;
        logic [TOGETHER*CODE-1:0] first, last;
        logic [CODE-1:0] code;

        assign code = abreast ? codes[k%ABREAST*CODE+:CODE] : codes[CODE-1:0];

        if (MEMORIES == 1) begin : g_all
            assign is_written = write;
        end else begin : g_one
            localparam logic [OF_MEMORIES-1:0] OTHERS = ~$unsigned(OF_MEMORIES'(ABREAST - 1));
            logic [OF_MEMORIES-1:0] differs;

            assign differs = write_at[OF_MEMORIES-1:0] ^ $unsigned(OF_MEMORIES'(k));
            assign is_written = write & ((differs & (abreast ? OTHERS : '1)) == '0);
        end

        if (WITHIN == 0) begin : g_rows
            assign write_place = write_row[FIRST_BITS-1:0];
            assign read_place = read_row[FIRST_BITS-1:0];
        end else begin : g_places
            assign write_place = {write_row[FIRST_BITS-1:0], write_at[BANK_BITS-1:OF_MEMORIES]};
            assign read_place = {read_row[FIRST_BITS-1:0], {WITHIN{1'b0}}};
        end

        // Writes and reads of a number that matters are never in one cycle.
        bitsmith_ram #(
            .WIDTH       (MOST),
            .DEPTH       (FIRST * TOGETHER),
            .LARGE       (LARGE),
            .TOGETHER    (TOGETHER),
            .SINGLE      (SINGLE),
            .ADDRESS_BITS(FIRST_BITS + WITHIN)
        ) memory (
            .clk       (clk),
            .write     (is_written & ~writes_rest),
            .write_at  (write_place),
            .write_data(code[MOST-1:0]),
            .read      (1'b1),
            .read_at   (read_place),
            .read_data (first[TOGETHER*MOST-1:0])
        );

        if (LOW > 0) begin : g_high
            localparam logic [ROW_BITS-1:0] FIRST_LOW = ROW_BITS'(WIDE);
            logic [CODE-MOST-1:0] high;
            logic reads_low;

            always_ff @(posedge clk) reads_low <= read_row >= FIRST_LOW;

            bitsmith_ram #(
                .WIDTH(CODE - MOST),
                .DEPTH(WIDE)
            ) memory (
                .clk       (clk),
                .write     (is_written & (write_row < FIRST_LOW)),
                .write_at  (write_place[WIDE_BITS-1:0]),
                .write_data(code[CODE-1:MOST]),
                .read      (1'b1),
                .read_at   (read_place[WIDE_BITS-1:0]),
                .read_data (high)
            );
            assign first[CODE-1:MOST] = reads_low ? {(CODE - MOST) {first[MOST-1]}} : high;
        end

        for (t = 0; t < TOGETHER; t = t + 1) begin : g_rest
            assign words[(t*MEMORIES+k)*CODE+:CODE] = reads_rest ? last[t*CODE+:CODE] : first[t*CODE+:CODE];

            if (REST == 0) begin : g_none
                assign last[t*CODE+:CODE] = '0;
            end else begin : g_some
                logic own;

                assign own = is_written & writes_rest & (int'(write_place) % TOGETHER == t);

                bitsmith_ram #(
                    .WIDTH(CODE),
                    .DEPTH(REST),
                    .BLOCK(REST > 32 && REST * CODE > 2048)
                ) rest (
                    .clk       (clk),
                    .write     (own),
                    .write_at  (write_row[REST_BITS-1:0]),
                    .write_data(code),
                    .read      (1'b1),
                    .read_at   (read_row[REST_BITS-1:0]),
                    .read_data (last[t*CODE+:CODE])
                );
            end
        end
    end
    endgenerate
endmodule
