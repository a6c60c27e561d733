// SPDX-License-Identifier: Apache-2.0
// The memories of bitsmith_engine, one for each part of tensors, and which of them each position reads.
//
// Where a layer computes a window of each part at once (apiece), the position p reads part p + part, or zeros if there is none;
// else the first position reads the part of that number.
//
// POSITIONS, HALO, PART                        as bitsmith_engine has them
// WIDTH, CHECK, BANKS, ROWS, LARGE, WORD_BITS  as bitsmith_engine_memory has them
module bitsmith_engine_parts #(
    parameter int POSITIONS = 1,
    parameter int HALO = 1,
    parameter int PART = 2,
    parameter int WIDTH = 8,
    parameter int CHECK = 0,
    parameter int BANKS = 1,
    parameter int ROWS = 64,
    parameter int LARGE = 0,
    parameter int WORD_BITS = 6,
    parameter int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1
) (
    input  logic                             clk,
    input  logic [            POSITIONS-1:0] write,
    input  logic [            WORD_BITS-1:0] write_at,
    input  logic [      POSITIONS*WIDTH-1:0] written,
    input  logic [             ROW_BITS-1:0] read_row,
    input  logic [                 PART-1:0] part,
    input  logic                             apiece,
    input  logic [                      1:0] is_inside,  // columns and rows of the number are: rows of an operand in parts by these
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

    genvar p, from;
    generate
    for (p = 0; p < POSITIONS; p = p + 1) begin : g_memory
        bitsmith_engine_memory #(
            .WIDTH    (WIDTH),
            .CHECK    (CHECK),
            .BANKS    (BANKS),
            .ROWS     (ROWS),
            .LARGE    (LARGE),
            .WORD_BITS(WORD_BITS)
        ) memory (
            .clk      (clk),
            .write    (write[p]),
            .write_at (write_at),
            .written  (written[p*WIDTH+:WIDTH]),
            .read_row (read_row),
            .stored   (given[p*BANKS*WIDTH+:BANKS*WIDTH]),
            .corrected(corrected[p*BANKS+:BANKS]),
            .wrong    (wrong[p*BANKS+:BANKS])
        );
    end

    if (POSITIONS == 1) begin : g_whole
        logic unused;

        assign unused = ^{part, apiece};
        assign stored = given;
        assign counts = used & {BANKS{is_real}};

        always_ff @(posedge clk) is_real <= &is_inside;
    end else begin : g_parts
        logic [PART-1:0] was;  // the part, in the cycle before

        always_ff @(posedge clk) was <= part;

        for (p = 0; p < POSITIONS; p = p + 1) begin : g_position
            // The first position may read any part, others those beside their own.
            localparam int LOW = (p < HALO) ? 0 : p - HALO;
            localparam int HIGH = (p == 0 || p + HALO >= POSITIONS) ? POSITIONS - 1 : p + HALO;
            localparam int COUNT = HIGH - LOW + 1;
            logic [COUNT-1:0] is_from;
            logic [COUNT-1:0] was_from;
            logic [COUNT*BANKS*WIDTH-1:0] masked;
            logic [BANKS*WIDTH-1:0] joined;

            for (from = 0; from < COUNT; from = from + 1) begin : g_from
                assign is_from[from] = part == $unsigned(PART'(LOW + from - p));
                assign was_from[from] = was == $unsigned(PART'(LOW + from - p));
                assign masked[from*BANKS*WIDTH+:BANKS*WIDTH] =
                    given[(LOW+from)*BANKS*WIDTH+:BANKS*WIDTH] & {(BANKS * WIDTH) {was_from[from]}};
            end

            always_comb begin
                joined = '0;
                for (int each = 0; each < COUNT; each = each + 1) joined = joined | masked[each*BANKS*WIDTH+:BANKS*WIDTH];
            end

            assign stored[p*BANKS*WIDTH+:BANKS*WIDTH] = joined;

            always_ff @(posedge clk) is_real[p] <= is_inside[0] & (apiece ? |is_from : is_inside[1] & (p == 0));
        end

        for (p = 0; p < POSITIONS; p = p + 1) begin : g_part
            logic [POSITIONS-1:0] readers;

            for (from = 0; from < POSITIONS; from = from + 1) begin : g_reader
                assign readers[from] = is_real[from] & (was == $unsigned(PART'(p - from)));
            end
            assign counts[p*BANKS+:BANKS] = used & {BANKS{|readers}};
        end
    end
    endgenerate
endmodule
