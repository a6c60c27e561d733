// SPDX-License-Identifier: Apache-2.0
// FIFO as bitsmith_fifo, cycle by cycle, whose slots are a memory with a single port, synchronous, without contents at first.
//
// Words of the memory hold two tokens, so that one port writes and reads a token in each cycle. Tokens on their way in wait for
// the next one, which they are written with; pairs are read ahead, into three registers from which tokens are taken. A pair
// is written as soon as it is there, and a pair is read otherwise, if there is one and at most one token will be left to be
// taken. So at least one token is left to be taken while there are pairs: pairs never come in two cycles that follow
// each other, and reading waits for one cycle at most, in which the last but one token is taken. Where nothing is left to be taken, a
// token goes around the memory.
//
// What a write leaves at the memory's output is never looked at.
//
// WIDTH   bits of a token, at least 1
// DEPTH   slots, at least 1, not only powers of two
// rst     synchronous, active high; empties it
module bitsmith_single_port_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16
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
    localparam int COUNT_BITS = $clog2(DEPTH + 1);
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
    localparam logic [COUNT_BITS-1:0] ONE = COUNT_BITS'(1);
    // A token is outside wherever there are pairs. One word is always free, so that as many writes as reads mean no pairs.
    localparam int ADDRESS_BITS = (DEPTH > 4) ? $clog2((DEPTH + 1) / 2) : 1;

    logic [COUNT_BITS-1:0] claimed;  // slots, until their tokens are taken
    logic [1:0] shown;  // tokens that are read, and not yet taken
    logic [1:0] left;  // of those, after this cycle
    logic waits;  // a token, for the next one
    logic pairs;
    logic around;
    logic write;
    logic read;
    logic arrives;  // the pair that was read in the cycle before
    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] address;
    logic [WIDTH-1:0] first;
    logic [WIDTH-1:0] second;
    logic [WIDTH-1:0] third;
    logic [WIDTH-1:0] waiting;
    logic [WIDTH-1:0] earlier;
    logic [WIDTH-1:0] later;
    (* no_rw_check, ramstyle = "no_rw_check", ram_style = "huge" *)
    logic [2*WIDTH-1:0] memory[1<<ADDRESS_BITS];

    assign free = claimed != FULL;
    assign valid = shown != '0;
    assign left = shown - 2'(take);
    assign pairs = write_at != read_at;
    assign around = left == '0 & ~pairs & (waits | put);
    assign write = left != '0 & waits & put;
    assign read = ~left[1] & pairs & ~write;
    assign address = write ? write_at : read_at;

    always_ff @(posedge clk) begin
        if (rst) begin
            claimed <= '0;
            shown <= '0;
            waits <= 1'b0;
            arrives <= 1'b0;
            write_at <= '0;
            read_at <= '0;
        end else begin
            claimed <= claimed + ({COUNT_BITS{take & ~claim}} | ({COUNT_BITS{claim ^ take}} & ONE));
            shown <= {left[1] | read, left[0] | around};
            waits <= around ? waits & put : waits ^ put;
            arrives <= read;
            if (write) write_at <= write_at + 1'b1;
            if (read) read_at <= read_at + 1'b1;
        end
    end

    always_ff @(posedge clk) begin
        if (write) memory[address] <= {put_data, waiting};
        else {later, earlier} <= memory[address];
    end

    always_ff @(posedge clk) begin
        if (put) waiting <= put_data;
        if (arrives) third <= later;
        if (arrives) second <= (left == 2'd3) ? earlier : later;
        else if (take) second <= third;
        if (around) first <= waits ? waiting : put_data;
        else if (arrives && left != 2'd3) first <= left[0] ? later : earlier;
        else if (take) first <= second;
    end

    assign data = (arrives & ~shown[0]) ? earlier : first;

`ifdef VERILATOR
    logic [COUNT_BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (claimed > peak) peak <= claimed;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
