// bitsmith_ram gives, in the cycle after a read, the word that was last written to that place before (unless one is just written); nothing else changes
// a word, and without a read what is given stays.
module formal_ram #(
    parameter int unsigned WIDTH = 10,
    parameter int unsigned DEPTH = 9,
    parameter bit BLOCK = 1'b0,
    parameter int unsigned LARGE = 9,
    parameter int unsigned TOGETHER = 1
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
    (* anyconst *) logic [ADDRESS_BITS-1:0] place;
    (* anyseq *) logic write, read;
    (* anyseq *) logic [ADDRESS_BITS-1:0] write_at, read_at;
    (* anyseq *) logic [WIDTH-1:0] write_data;
    logic [TOGETHER*WIDTH-1:0] read_data;
    logic [WIDTH-1:0] word, wanted;
    logic known, shown;

    bitsmith_ram #(.WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCK(BLOCK), .LARGE(LARGE), .TOGETHER(TOGETHER)) dut (
        .clk, .write, .write_at, .write_data, .read, .read_at, .read_data
    );

    always_ff @(posedge clk) begin
        if (write & (write_at == place)) word <= write_data;
        if (read) wanted <= word;
        if (rst) begin
            known <= 1'b0;
            shown <= 1'b0;
        end else begin
            if (write & (write_at == place)) known <= 1'b1;
            if (read) shown <= known & (read_at / TOGETHER == place / TOGETHER) & ~(write & (write_at == place));
            assume (write_at < DEPTH);
            assume (read_at < DEPTH);
            if (shown) assert (read_data[(place%TOGETHER)*WIDTH+:WIDTH] == wanted);
        end
    end
endmodule
