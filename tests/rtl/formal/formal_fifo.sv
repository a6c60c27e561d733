// Tokens come out of bitsmith_fifo as they went in, and it tells truly what is free and what is there.
module formal_fifo #(
    parameter int unsigned DEPTH = 3,
    parameter bit BLOCK = 1'b0,
    parameter bit PAIR = 1'b1,
    parameter int unsigned LARGE = 0,
    parameter bit REFILL = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 8;
    localparam int unsigned WIDTH = 2;
    (* anyconst *) logic [TOKENS*WIDTH-1:0] tokens;
    (* anyseq *) logic [WIDTH-1:0] noise;
    (* anyseq *) logic claims_now, puts_now, takes_now;
    logic free, claim, put, valid, take;
    logic [7:0] claimed, filled, taken;
    logic [WIDTH-1:0] data, put_data;

    assign claim = free & claims_now & (claimed != TOKENS);
    assign put = puts_now & (filled != claimed + claim);
    assign take = valid & takes_now;
    assign put_data = put ? tokens[filled*WIDTH+:WIDTH] : noise;

    bitsmith_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCK(BLOCK), .PAIR(PAIR), .LARGE(LARGE), .REFILL(REFILL)) dut (
        .clk, .rst, .free, .claim, .put, .put_data, .valid, .take, .data
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            claimed <= '0;
            filled <= '0;
            taken <= '0;
        end else begin
            assert (free == (claimed - taken < DEPTH || (REFILL && take)));
            assert (valid == (filled != taken));
            if (valid) assert (data == tokens[taken*WIDTH+:WIDTH]);
            claimed <= claimed + claim;
            filled <= filled + put;
            taken <= taken + take;
        end
    end
endmodule
