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
// enable   makes a step: in_data goes in, out_data changes in the next cycle
module bitsmith_delay #(
    parameter int WIDTH = 8,
    parameter int LENGTH = 16,
    parameter bit BLOCK = LENGTH > 32 && WIDTH * LENGTH > 2048,
    parameter int LARGE = 0
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             enable,
    input  logic [WIDTH-1:0] in_data,
    output logic [WIDTH-1:0] out_data
);
    generate
    if (LENGTH == 1) begin : g_register
        logic unused;
        assign unused = rst;

        always_ff @(posedge clk) begin
            if (enable) out_data <= in_data;
        end
    end else if (LENGTH < 4) begin : g_registers
        logic [(LENGTH-1)*WIDTH-1:0] between;
        logic unused;
        assign unused = rst;

        always_ff @(posedge clk) begin
            if (enable) {between, out_data} <= {in_data, between};
        end
    end else begin : g_memory
        localparam int ADDRESS_BITS = $clog2(LENGTH);
        localparam logic [ADDRESS_BITS-1:0] LAST = ADDRESS_BITS'(LENGTH - 1);
        logic [ADDRESS_BITS-1:0] at;
        logic [ADDRESS_BITS-1:0] next_at;

        assign next_at = (LENGTH != 1 << ADDRESS_BITS && at == LAST) ? '0 : at + 1'b1;

        always_ff @(posedge clk) begin
            if (rst) at <= '0;
            else if (enable) at <= next_at;
        end

        if (BLOCK) begin : g_block
            bitsmith_ram #(
                .WIDTH(WIDTH),
                .DEPTH(LENGTH),
                .BLOCK(1'b1),
                .LARGE(LARGE)
            ) memory (
                .clk       (clk),
                .write     (enable),
                .write_at  (at),
                .write_data(in_data),
                .read      (enable),
                .read_at   (next_at),
                .read_data (out_data)
            );
        end else begin : g_small
            logic [WIDTH-1:0] memory[LENGTH];

            always_ff @(posedge clk) begin
                if (enable) memory[at] <= in_data;
            end

            assign out_data = memory[at];
        end
    end
    endgenerate
endmodule
