// SPDX-License-Identifier: Apache-2.0
// FIFO in front of an operand, whose slots are claimed before they are filled.
//
// A slot is claimed (only if free) when an action starts that will fill it, filled in order by put in the same cycle or any
// later one, seen (valid, data) in the cycle after that, and free again in the cycle after take (only if valid). So what is on its way
// through a pipeline always has a slot to go. free and valid depend on registers only,
// but for the slot of a table (REFILL).
//
// One slot is a register; two are registers, one after the other, unless they are to be a memory. Small memories are read asynchronously and become look-up-table memory. Large
// ones are read synchronously and become block memory: they are read one slot ahead, and a word that is put into the slot
// that will be shown goes around the memory. In simulation the most slots ever in use are printed at the end.
//
// WIDTH   bits of a token, at least 1
// DEPTH   slots, at least 1, not only powers of two
// BLOCK   whether the memory is read synchronously
// LARGE   bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// PAIR    whether two slots are registers
// REFILL  whether the only slot is free in the cycle of take, too: for a table, which always has the next word
// rst     synchronous, active high; empties it
module bitsmith_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16,
    parameter bit BLOCK = DEPTH > 32 && WIDTH * DEPTH > 2048,
    parameter int LARGE = 0,
    parameter bit PAIR = 1,
    parameter bit REFILL = 0
) (
    input  logic             clk,
    input  logic             rst,
    output logic             free,
    input  logic             claim,
    input  logic             put,
    input  logic [WIDTH-1:0] put_data,
    output logic             valid,
    input  logic             take,
    output logic [WIDTH-1:0] data
);
    localparam int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_BITS = $clog2(DEPTH + 1);
    localparam logic [ADDRESS_BITS-1:0] LAST = ADDRESS_BITS'(DEPTH - 1);
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
    localparam logic [COUNT_BITS-1:0] ONE = COUNT_BITS'(1);

    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] next_read_at;
    logic [COUNT_BITS-1:0] claimed;  // slots, until their tokens are taken
    logic [COUNT_BITS-1:0] held;  // tokens

    assign free = claimed != FULL || (REFILL && take);
    assign valid = held != '0;
    assign next_read_at = take ? after(read_at) : read_at;

    function automatic logic [ADDRESS_BITS-1:0] after(input logic [ADDRESS_BITS-1:0] slot);
        after = (DEPTH != 1 << ADDRESS_BITS && slot == LAST) ? '0 : slot + 1'b1;
    endfunction

    always_ff @(posedge clk) begin
        if (rst) begin
            write_at <= '0;
            read_at <= '0;
            claimed <= '0;
            held <= '0;
        end else begin
            if (put) write_at <= after(write_at);
            read_at <= next_read_at;
            claimed <= claimed + ({COUNT_BITS{take & ~claim}} | ({COUNT_BITS{claim ^ take}} & ONE));
            held <= held + ({COUNT_BITS{take & ~put}} | ({COUNT_BITS{put ^ take}} & ONE));
        end
    end

    generate
    if (DEPTH == 1) begin : g_single
        logic [WIDTH-1:0] word;
        logic unused;

        assign unused = ^{write_at, read_at};

        always_ff @(posedge clk) begin
            if (put) word <= put_data;
        end

        assign data = word;
    end else if (BLOCK || LARGE != 0) begin : g_block
        logic [WIDTH-1:0] stored;
        logic [WIDTH-1:0] passed;
        logic around;

        bitsmith_ram #(
            .WIDTH(WIDTH),
            .DEPTH(DEPTH),
            .BLOCK(1'b1),
            .LARGE(LARGE)
        ) memory (
            .clk       (clk),
            .write     (put),
            .write_at  (write_at),
            .write_data(put_data),
            .read      (1'b1),
            .read_at   (next_read_at),
            .read_data (stored)
        );

        always_ff @(posedge clk) begin
            passed <= put_data;
            around <= put & (write_at == next_read_at);
        end

        assign data = around ? passed : stored;
    end else if (DEPTH == 2 && PAIR) begin : g_pair
        // The word that is shown is always in the same slot.
        logic [WIDTH-1:0] first;
        logic [WIDTH-1:0] second;
        logic unused;

        assign unused = ^{write_at, read_at};

        always_ff @(posedge clk) begin
            if (put) second <= put_data;
            if (take | ~valid) first <= (held == FULL) ? second : put_data;
        end

        assign data = first;
    end else begin : g_small
`ifdef ALTERA_RESERVED_QIS
        (* ramstyle = "MLAB, no_rw_check" *)  // Quartus takes registers otherwise; no word is read in the cycle that writes it
`endif
        logic [WIDTH-1:0] memory[DEPTH];

        always_ff @(posedge clk) begin
            if (put) memory[write_at] <= put_data;
        end

        assign data = memory[read_at];
    end
    endgenerate

`ifdef VERILATOR
    logic [COUNT_BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (claimed > peak) peak <= claimed;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
