// SPDX-License-Identifier: Apache-2.0
// Memory of bitsmith_engine: numbers in BANKS memories, number k in the one k modulo BANKS. Reads give one of each.
//
// WIDTH, CHECK   bits of a number, and its check bits (bitsmith_encode)
// BANKS, ROWS    memories, a power of two, and numbers in each
// LARGE, SINGLE  as bitsmith_ram has it
// WORD_BITS      of the place of a number
module bitsmith_engine_memory #(
    parameter int WIDTH = 8,
    parameter int CHECK = 0,
    parameter int BANKS = 1,
    parameter int ROWS = 64,
    parameter int LARGE = 0,
    parameter bit SINGLE = 1'b0,
    parameter int WORD_BITS = 6,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1,
    parameter int BANK_BITS = (BANKS > 1) ? $clog2(BANKS) : 1
) (
    input  logic                   clk,
    input  logic                   write,
    input  logic [  WORD_BITS-1:0] write_at,
    input  logic [      WIDTH-1:0] written,
    input  logic [   ROW_BITS-1:0] read_row,
    output logic [BANKS*WIDTH-1:0] stored,    // in the next cycle
    output logic [      BANKS-1:0] corrected,
    output logic [      BANKS-1:0] wrong
);
    logic [WIDTH+CHECK-1:0] code;

    genvar k;
    generate
    if (CHECK == 0) begin : g_as_it_is
        assign code = written;
    end else begin : g_encoded
        bitsmith_encode #(
            .WIDTH(WIDTH),
            .CHECK(CHECK)
        ) encode (
            .data(written),
            .code(code)
        );
    end

    for (k = 0; k < BANKS; k = k + 1) begin : g_bank
        logic is_written;

        if (BANKS == 1) begin : g_all
            assign is_written = write;
        end else begin : g_one
            assign is_written = write & (write_at[BANK_BITS-1:0] == $unsigned(BANK_BITS'(k)));
        end

        logic [WIDTH+CHECK-1:0] word;

        if (CHECK == 0) begin : g_plain
            assign stored[k*WIDTH+:WIDTH] = word;
            assign {wrong[k], corrected[k]} = 2'b00;
        end else begin : g_checked
            bitsmith_decode #(
                .WIDTH(WIDTH),
                .CHECK(CHECK)
            ) decode (
                .code (word),
                .data (stored[k*WIDTH+:WIDTH]),
                .fault({wrong[k], corrected[k]})
            );
        end

        // Writes and reads of a number that matters are never in one cycle.
        bitsmith_ram #(
            .WIDTH(WIDTH + CHECK),
            .DEPTH(ROWS),
            .LARGE(LARGE),
            .SINGLE(SINGLE)
        ) memory (
            .clk       (clk),
            .write     (is_written),
            .write_at  (write_at[WORD_BITS-1-:ROW_BITS]),
            .write_data(code),
            .read      (1'b1),
            .read_at   (read_row),
            .read_data (word)
        );
    end
    endgenerate
endmodule
