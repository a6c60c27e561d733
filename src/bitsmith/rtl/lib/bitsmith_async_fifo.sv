// SPDX-License-Identifier: Apache-2.0
// FIFO from one clock to another, whatever their frequencies and phases.
//
// Each side has a counter in Gray code, of which one bit changes at a time, and sees that of the other side two of its own
// edges late or more: so it may take the FIFO to be fuller, or emptier, than it is, and never less so (C. Cummings, "Simulation
// and Synthesis Techniques for Asynchronous FIFO Design", SNUG 2002). The word that is shown is in a register.
// in_ready and out_valid depend on registers only. The constraints beside <top>_cdc name the registers that cross.
//
// WIDTH          bits of a word
// ADDRESS_BITS   2**ADDRESS_BITS words beside the one that is shown, at least 2; with 4 the slower clock sees no gap
// in_rst, out_rst   active high, at any time; each ends with its clock. Both must be given together, and both empty the FIFO
module bitsmith_async_fifo #(
    parameter int WIDTH = 8,
    parameter int ADDRESS_BITS = 4
) (
    input  logic             in_clk,
    input  logic             in_rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in_data,
    input  logic             out_clk,
    input  logic             out_rst,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out_data
);
    localparam logic [ADDRESS_BITS:0] FULL = (ADDRESS_BITS + 1)'(3 << (ADDRESS_BITS - 1));

`ifdef ALTERA_RESERVED_QIS
    (* ramstyle = "MLAB, no_rw_check" *)  // Quartus takes registers otherwise; no word is read in the cycle that writes it
`endif
    logic [WIDTH-1:0] memory[1 << ADDRESS_BITS];

    // The highest bit of a counter is that of its Gray code: a register of its own would be merged with it, and lose its name.
    logic [ADDRESS_BITS-1:0] in_at;
    logic [ADDRESS_BITS-1:0] out_at;
    logic [ADDRESS_BITS:0] in_gray;
    logic [ADDRESS_BITS:0] out_gray;
    logic [ADDRESS_BITS:0] in_next;
    logic [ADDRESS_BITS:0] out_next;
    (* ASYNC_REG = "TRUE", altera_attribute = "-name SYNCHRONIZER_IDENTIFICATION FORCED_IF_ASYNCHRONOUS" *)
    logic [ADDRESS_BITS:0] in_gray_meta;
    (* ASYNC_REG = "TRUE", altera_attribute = "-name SYNCHRONIZER_IDENTIFICATION FORCED_IF_ASYNCHRONOUS" *)
    logic [ADDRESS_BITS:0] in_gray_seen;
    (* ASYNC_REG = "TRUE", altera_attribute = "-name SYNCHRONIZER_IDENTIFICATION FORCED_IF_ASYNCHRONOUS" *)
    logic [ADDRESS_BITS:0] out_gray_meta;
    (* ASYNC_REG = "TRUE", altera_attribute = "-name SYNCHRONIZER_IDENTIFICATION FORCED_IF_ASYNCHRONOUS" *)
    logic [ADDRESS_BITS:0] out_gray_seen;
    logic open;
    logic put;
    logic fetch;

    assign in_ready = (in_gray != (out_gray_seen ^ FULL)) & open;
    assign put = in_valid & in_ready;
    assign in_next = {in_gray[ADDRESS_BITS], in_at} + 1'b1;

    always_ff @(posedge in_clk) begin
        if (put) memory[in_at] <= in_data;
    end

    always_ff @(posedge in_clk or posedge in_rst) begin
        if (in_rst) begin
            open <= 1'b0;
            in_at <= '0;
            in_gray <= '0;
            out_gray_meta <= '0;
            out_gray_seen <= '0;
        end else begin
            open <= 1'b1;
            if (put) begin
                in_at <= in_next[ADDRESS_BITS-1:0];
                in_gray <= in_next ^ (in_next >> 1);
            end
            out_gray_meta <= out_gray;
            out_gray_seen <= out_gray_meta;
        end
    end

    assign fetch = (out_gray != in_gray_seen) & (~out_valid | out_ready);
    assign out_next = {out_gray[ADDRESS_BITS], out_at} + 1'b1;

    always_ff @(posedge out_clk) begin
        if (fetch) out_data <= memory[out_at];
    end

    always_ff @(posedge out_clk or posedge out_rst) begin
        if (out_rst) begin
            out_at <= '0;
            out_gray <= '0;
            out_valid <= 1'b0;
            in_gray_meta <= '0;
            in_gray_seen <= '0;
        end else begin
            if (fetch) begin
                out_at <= out_next[ADDRESS_BITS-1:0];
                out_gray <= out_next ^ (out_next >> 1);
            end
            out_valid <= fetch | (out_valid & ~out_ready);
            in_gray_meta <= in_gray;
            in_gray_seen <= in_gray_meta;
        end
    end
endmodule
