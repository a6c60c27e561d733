// Queue in front of an operand, whose places are claimed before they are filled.
//
// A place is claimed (only if free) when an action starts that will fill it, filled in order by put in the same cycle or any
// later one, seen (valid, data) in the cycle after that, and free again in the cycle after take (only if valid). So what is on its way
// through a pipeline always has a place to go. free and valid depend on registers only.
//
// Small memories are read asynchronously and become look-up-table memory. Deep ones of more than BLOCK_BITS are read
// synchronously and become block memory: they are read one place ahead, and a word that is put into the place that will
// be shown goes around the memory. In simulation the most places ever in use are printed at the end.
//
// WIDTH       bits of a token, at least 1
// DEPTH       places, at least 1, not only powers of two
// BLOCK_BITS  most bits of a memory that is read asynchronously
// rst         synchronous, active high; empties it
module bitsmith_queue #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 16,
    parameter int unsigned BLOCK_BITS = 2048
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
    localparam int unsigned ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int unsigned COUNT_BITS = $clog2(DEPTH + 1);
    localparam logic [ADDRESS_BITS-1:0] LAST = ADDRESS_BITS'(DEPTH - 1);
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);

    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] next_read_at;
    logic [COUNT_BITS-1:0] claimed;  // places, until their tokens are taken
    logic [COUNT_BITS-1:0] held;  // tokens

    assign free = claimed != FULL;
    assign valid = held != '0;
    assign next_read_at = ~take ? read_at : (read_at == LAST) ? '0 : read_at + 1'b1;

    always_ff @(posedge clk) begin
        if (rst) begin
            write_at <= '0;
            read_at <= '0;
            claimed <= '0;
            held <= '0;
        end else begin
            if (put) write_at <= (write_at == LAST) ? '0 : write_at + 1'b1;
            read_at <= next_read_at;
            if (claim & ~take) claimed <= claimed + 1'b1;
            if (take & ~claim) claimed <= claimed - 1'b1;
            if (put & ~take) held <= held + 1'b1;
            if (take & ~put) held <= held - 1'b1;
        end
    end

    if (DEPTH > 32 && WIDTH * DEPTH > BLOCK_BITS) begin : g_block
        (* no_rw_check *) logic [WIDTH-1:0] memory[DEPTH];
        logic [WIDTH-1:0] stored;
        logic [WIDTH-1:0] passed;
        logic around;

        always_ff @(posedge clk) begin
            if (put) memory[write_at] <= put_data;
            stored <= memory[next_read_at];
        end

        always_ff @(posedge clk) begin
            passed <= put_data;
            around <= put & (write_at == next_read_at);
        end

        assign data = around ? passed : stored;
    end else begin : g_small
        logic [WIDTH-1:0] memory[DEPTH];

        always_ff @(posedge clk) begin
            if (put) memory[write_at] <= put_data;
        end

        assign data = memory[read_at];
    end

`ifdef VERILATOR
    logic [COUNT_BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (claimed > peak) peak <= claimed;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
