// SPDX-License-Identifier: Apache-2.0
// Tokens of a frame in any order, dropped, repeated, or zeros in between, through a circular memory.
//
// A writer takes tokens into the memory as long as a place is free. A reader does the actions of a frame one after
// another: it waits until all tokens are there that the action needs, reads one and frees those that will not be
// read again; the result is put in the next cycle. A token can be read in the cycle after it was taken, its place used again in the
// cycle after it was freed. What an action does comes from a table outside (bitsmith_actions).
//
// WIDTH     bits of a token
// DEPTH     places of the memory (which is rounded up to a power of two), at least as many as any action needs
// TOKENS    tokens of a frame as they come
// LARGE     bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// last      the action is the last one of a frame
// address   the token's number in its frame, modulo 2**ADDRESS_BITS
// zero      give zeros instead
// needed    tokens that must be there, counted from the first that is not yet freed
// freed     tokens of those that are freed
module bitsmith_reorder #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16,
    parameter int TOKENS = 16,
    parameter int LARGE = 0,
    parameter int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    parameter int COUNT_BITS = $clog2(DEPTH + 1)
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    x_valid,
    input  logic [       WIDTH-1:0] x_data,
    output logic                    x_take,
    input  logic                    last,
    input  logic [ADDRESS_BITS-1:0] address,
    input  logic                    zero,
    input  logic [  COUNT_BITS-1:0] needed,
    input  logic [  COUNT_BITS-1:0] freed,
    input  logic                    y_free,
    output logic                    y_claim,
    output logic                    y_put,
    output logic [       WIDTH-1:0] y_data
);
    localparam int PLACES = 1 << ADDRESS_BITS;
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
    localparam logic [ADDRESS_BITS-1:0] FRAME = ADDRESS_BITS'(TOKENS % PLACES);

    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] frame_at;  // where the frame that is read begins
    logic [COUNT_BITS-1:0] held;  // tokens
    logic act;

    assign x_take = x_valid & (held != FULL);
    assign act = y_free & (held >= needed);
    assign y_claim = act;

    always_ff @(posedge clk) begin
        if (rst) begin
            write_at <= '0;
            frame_at <= '0;
            held <= '0;
            y_put <= 1'b0;
        end else begin
            if (x_take) write_at <= write_at + 1'b1;
            if (act & last) frame_at <= frame_at + FRAME;
            held  <= (x_take ? held + 1'b1 : held) - (act ? freed : '0);
            y_put <= act;
        end
    end

    logic [ADDRESS_BITS-1:0] read_at;
    logic [WIDTH-1:0] stored;
    logic empty;

    assign read_at = frame_at + address;
    assign y_data  = empty ? '0 : stored;

    always_ff @(posedge clk) empty <= zero;

    bitsmith_ram #(
        .WIDTH(WIDTH),
        .DEPTH(PLACES),
        .LARGE(LARGE)
    ) memory (
        .clk       (clk),
        .write     (x_take),
        .write_at  (write_at),
        .write_data(x_data),
        .read      (1'b1),
        .read_at   (read_at),
        .read_data (stored)
    );

`ifdef VERILATOR
    logic [COUNT_BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (held > peak) peak <= held;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
