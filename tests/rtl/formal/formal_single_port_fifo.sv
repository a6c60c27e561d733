// bitsmith_single_port_fifo does in each cycle what bitsmith_fifo does, whatever is claimed, put and taken by its rules.
module formal_single_port_fifo #(
    parameter int unsigned DEPTH = 5
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WIDTH = 1;
    (* anyseq *) logic [WIDTH-1:0] put_data;
    (* anyseq *) logic claims_now, puts_now, takes_now;
    logic free, claim, put, valid, take, wanted_free, wanted_valid;
    logic [7:0] promised;
    logic [WIDTH-1:0] data, wanted;

    assign claim = wanted_free & claims_now;
    assign put = puts_now & (promised != '0 | claim);
    assign take = wanted_valid & takes_now;

    bitsmith_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCK(1'b0)) model (
        .clk, .rst, .free(wanted_free), .claim, .put, .put_data, .valid(wanted_valid), .take, .data(wanted)
    );
    bitsmith_single_port_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) dut (
        .clk, .rst, .free, .claim, .put, .put_data, .valid, .take, .data
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            promised <= '0;
        end else begin
            assert (free == wanted_free);
            assert (valid == wanted_valid);
            if (valid) assert (data == wanted);
            promised <= promised + claim - put;
        end
    end
endmodule
