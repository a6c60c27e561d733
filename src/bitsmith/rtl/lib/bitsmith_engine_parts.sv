// SPDX-License-Identifier: Apache-2.0
// The memories of bitsmith_engine, one for each part of tensors, and which of them each position reads.
//
// Where a layer computes a window of each part at once (apiece), a position reads the part that is so many parts further down and
// across, or zeros if there is none; else the first position reads the part of these numbers.
//
// ABREAST, DOWN, ACROSS, REACH_DOWN, REACH_ACROSS, PART as bitsmith_engine has them
// WIDTH, CHECK, BANKS, ROWS, LARGE, REST, SINGLE, WIDE, LOW, WORD_BITS  as bitsmith_engine_memory has them
module bitsmith_engine_parts #(
    parameter int DOWN = 1,
    parameter int ACROSS = 1,
    parameter int REACH_DOWN = 1,
    parameter int REACH_ACROSS = 1,
    parameter int PART = 2,
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
    parameter int POSITIONS = DOWN * ACROSS
) (
    input  logic                             clk,
    input  logic [            POSITIONS-1:0] write,
    input  logic [            WORD_BITS-1:0] write_at,
    input  logic                             abreast,    // so many numbers are written
    input  logic [POSITIONS*ABREAST*WIDTH-1:0] written,
    input  logic [             ROW_BITS-1:0] read_row,
    input  logic [                 PART-1:0] part_down,
    input  logic [                 PART-1:0] part_across,
    input  logic                             apiece,
    input  logic [                      1:0] is_inside,  // columns and rows of the number are, if the first position reads alone
    output logic [POSITIONS*BANKS*WIDTH-1:0] stored,     // in the next cycle, of each position
    output logic [            POSITIONS-1:0] is_real,    // and it is a number of the operand
    input  logic [                BANKS-1:0] used,       // memories of each part that give one that matters, in the next cycle
    output logic [                      1:0] fault
);
    logic [POSITIONS*BANKS*WIDTH-1:0] given;
    logic [POSITIONS*BANKS-1:0] corrected;
    logic [POSITIONS*BANKS-1:0] wrong;
    logic [POSITIONS*BANKS-1:0] counts;

    assign fault = {|(wrong & counts), |(corrected & counts)};

    genvar p, q;
    generate
    for (p = 0; p < POSITIONS; p = p + 1) begin : g_memory
        bitsmith_engine_memory #(
            .WIDTH(WIDTH), .CHECK(CHECK), .BANKS(BANKS), .ABREAST(ABREAST), .ROWS(ROWS), .LARGE(LARGE), .REST(REST),
            .SINGLE(SINGLE), .WIDE(WIDE), .LOW(LOW), .WORD_BITS(WORD_BITS)
        ) memory (
            .clk(clk), .write_at(write_at), .abreast(abreast), .read_row(read_row),
            .write    (write[p]),
            .written  (written[p*ABREAST*WIDTH+:ABREAST*WIDTH]),
            .stored   (given[p*BANKS*WIDTH+:BANKS*WIDTH]),
            .corrected(corrected[p*BANKS+:BANKS]),
            .wrong    (wrong[p*BANKS+:BANKS])
        );
    end

    if (POSITIONS == 1) begin : g_whole
        logic unused;

        assign unused = ^{part_down, part_across, apiece};
        assign stored = given;
        assign counts = used & {BANKS{is_real}};

        always_ff @(posedge clk) is_real <= &is_inside;
    end else begin : g_parts
        // Parts that are beside each other are those of one column first, then of one row.
        localparam int NUMBERS = BANKS * WIDTH;
        logic [POSITIONS*NUMBERS-1:0] columns;
        logic [POSITIONS*NUMBERS-1:0] moved;
        logic [POSITIONS*NUMBERS-1:0] rows;
        logic [DOWN-1:0] real_down, read_down;
        logic [ACROSS-1:0] real_across, read_across;

        bitsmith_engine_beside #(
            .COUNT(ACROSS),
            .REACH(REACH_ACROSS),
            .PART (PART),
            .WIDTH(DOWN * NUMBERS)
        ) across (
            .clk      (clk),
            .part     (part_across),
            .apiece   (apiece),
            .is_inside(is_inside[0]),
            .given    (columns),
            .taken    (moved),
            .is_real  (real_across),
            .is_read  (read_across)
        );

        bitsmith_engine_beside #(
            .COUNT(DOWN),
            .REACH(REACH_DOWN),
            .PART (PART),
            .WIDTH(ACROSS * NUMBERS)
        ) down (
            .clk      (clk),
            .part     (part_down),
            .apiece   (apiece),
            .is_inside(is_inside[1]),
            .given    (rows),
            .taken    (stored),
            .is_real  (real_down),
            .is_read  (read_down)
        );

        for (p = 0; p < DOWN; p = p + 1) begin : g_down
            for (q = 0; q < ACROSS; q = q + 1) begin : g_across
                assign columns[(q*DOWN+p)*NUMBERS+:NUMBERS] = given[(p*ACROSS+q)*NUMBERS+:NUMBERS];
                assign rows[(p*ACROSS+q)*NUMBERS+:NUMBERS] = moved[(q*DOWN+p)*NUMBERS+:NUMBERS];
                assign is_real[p*ACROSS+q] = real_down[p] & real_across[q];
                assign counts[(p*ACROSS+q)*BANKS+:BANKS] = used & {BANKS{read_down[p] & read_across[q]}};
            end
        end
    end
    endgenerate
endmodule
