// SPDX-License-Identifier: Apache-2.0
// What came in LENGTH steps ago.
//
// Short lines are registers, longer ones circular memories. Small memories are read asynchronously and become look-up-table
// memory; large ones are read a step ahead into a register and become block memory.
//
// WIDTH    bits of a word
// LENGTH   steps, at least 1; the first LENGTH outputs after a reset mean nothing
// BLOCK    whether the memory, if it is one, is read synchronously
// LARGE    bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// CHECK    check bits of a word in such memory (bitsmith_encode); 0: none
// enable   makes a step: in_data goes in, out_data changes in the next cycle
// fault    of the word that follows out_data, as bitsmith_decode has it, in the first cycle of it that means something
//
// Several check bits take a while, so that a register with what they say is the last step.
module bitsmith_delay #(
    parameter int WIDTH = 8,
    parameter int LENGTH = 16,
    parameter bit BLOCK = LENGTH > 32 && WIDTH * LENGTH > 2048,
    parameter int LARGE = 0,
    parameter int CHECK = 0
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             enable,
    input  logic [WIDTH-1:0] in_data,
    output logic [WIDTH-1:0] out_data,
    output logic [      1:0] fault
);
    generate
    if (LENGTH < 4) begin : g_registers
        logic [LENGTH*WIDTH-1:0] words;
        logic unused;
        assign unused = rst;
        assign fault = 2'b00;
        assign out_data = words[WIDTH-1:0];

        always_ff @(posedge clk) begin
            if (enable) words <= (LENGTH * WIDTH)'({in_data, words} >> WIDTH);
        end
    end else begin : g_memory
        localparam bit REGISTERED = BLOCK && CHECK > 1;
        localparam int DEPTH = REGISTERED ? LENGTH - 1 : LENGTH;
        localparam int ADDRESS_BITS = $clog2(DEPTH);
        localparam logic [ADDRESS_BITS-1:0] LAST = ADDRESS_BITS'(DEPTH - 1);
        logic [ADDRESS_BITS-1:0] at;
        logic [ADDRESS_BITS-1:0] next_at;

        assign next_at = (DEPTH != 1 << ADDRESS_BITS && at == LAST) ? '0 : at + 1'b1;

        always_ff @(posedge clk) begin
            if (rst) at <= '0;
            else if (enable) at <= next_at;
        end

        if (BLOCK) begin : g_block
            logic [WIDTH+CHECK-1:0] written;
            logic [WIDTH+CHECK-1:0] stored;

            if (CHECK == 0) begin : g_plain
                assign written = in_data;
                assign out_data = stored;
                assign fault = 2'b00;
            end else begin : g_checked
                logic filled;  // a word that was written since the reset is at each place
                logic arrives;  // such a word
                logic [1:0] found;
                logic [WIDTH-1:0] decoded;

                bitsmith_encode #(
                    .WIDTH(WIDTH),
                    .CHECK(CHECK)
                ) encode (
                    .data(in_data),
                    .code(written)
                );
                bitsmith_decode #(
                    .WIDTH(WIDTH),
                    .CHECK(CHECK)
                ) decode (
                    .code (stored),
                    .data (decoded),
                    .fault(found)
                );
                if (REGISTERED) begin : g_kept
                    always_ff @(posedge clk) if (enable) out_data <= decoded;
                end else begin : g_direct
                    assign out_data = decoded;
                end
                assign fault = {2{arrives}} & found;

                always_ff @(posedge clk) begin
                    if (rst) begin
                        filled <= 1'b0;
                        arrives <= 1'b0;
                    end else begin
                        if (enable & (at == LAST)) filled <= 1'b1;
                        arrives <= enable & (filled | (at == LAST));
                    end
                end
            end

            bitsmith_ram #(
                .WIDTH(WIDTH + CHECK),
                .DEPTH(DEPTH),
                .BLOCK(1'b1),
                .LARGE(LARGE)
            ) memory (
                .clk       (clk),
                .write     (enable),
                .write_at  (at),
                .write_data(written),
                .read      (enable),
                .read_at   (next_at),
                .read_data (stored)
            );
        end else begin : g_small
            logic [WIDTH-1:0] memory[DEPTH];

            assign fault = 2'b00;

            always_ff @(posedge clk) begin
                if (enable) memory[at] <= in_data;
            end

            assign out_data = memory[at];
        end
    end
    endgenerate
endmodule
