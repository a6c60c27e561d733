// SPDX-License-Identifier: Apache-2.0
// Synchronous first-in first-out buffer with first-word fall-through.
//
// A word written in one cycle can be read in the next: out_data shows the oldest word whenever out_valid is high, and
// out_ready takes it. in_ready and out_valid are registers, since comparisons of the count would lengthen the paths of
// both sides. So a full buffer does not accept a word in the cycle in which one is taken. The memory is read
// asynchronously and becomes look-up-table memory.
//
// WIDTH   bits of a word, at least 1
// DEPTH   words that it holds, at least 1, not only powers of two
// rst     synchronous, active high; empties it
module bitsmith_axis_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out_data
);
    localparam int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_BITS = $clog2(DEPTH + 1);
    localparam logic [ADDRESS_BITS-1:0] LAST = ADDRESS_BITS'(DEPTH - 1);
    localparam logic [COUNT_BITS-1:0] LAST_FREE = COUNT_BITS'(DEPTH - 1);
    localparam logic [COUNT_BITS-1:0] ONE = COUNT_BITS'(1);

`ifdef ALTERA_RESERVED_QIS
    (* ramstyle = "MLAB, no_rw_check" *)  // Quartus takes registers otherwise; no word is read in the cycle that writes it
`endif
    logic [WIDTH-1:0] memory[DEPTH];
    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [COUNT_BITS-1:0] count;
    logic put;
    logic take;

    assign out_data = memory[read_at];
    assign put = in_valid & in_ready;
    assign take = out_valid & out_ready;

    always_ff @(posedge clk) begin
        if (put) memory[write_at] <= in_data;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            write_at <= '0;
            read_at <= '0;
            count <= '0;
            in_ready <= 1'b1;
            out_valid <= 1'b0;
        end else begin
            if (put) write_at <= (write_at == LAST) ? '0 : write_at + 1'b1;
            if (take) read_at <= (read_at == LAST) ? '0 : read_at + 1'b1;
            if (put & ~take) begin
                count <= count + 1'b1;
                in_ready <= count != LAST_FREE;
                out_valid <= 1'b1;
            end
            if (take & ~put) begin
                count <= count - 1'b1;
                in_ready <= 1'b1;
                out_valid <= count != ONE;
            end
        end
    end
endmodule
