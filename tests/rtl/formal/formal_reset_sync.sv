// A reset from bitsmith_reset_sync begins with the one that comes, and ends STAGES edges of the clock after it.
module formal_reset_sync #(
    parameter int unsigned STAGES = 3
) (
    input logic clk
);
    `include "formal_start.svh"
    (* anyseq *) logic comes;
    logic async_rst, out;
    logic [7:0] edges;

    assign async_rst = rst | comes;

    bitsmith_reset_sync #(.STAGES(STAGES)) dut (.clk, .async_rst, .rst(out));

    always_ff @(posedge clk) begin
        assert (out == (async_rst | (edges < STAGES)));
        edges <= async_rst ? '0 : (edges == STAGES) ? edges : edges + 1'b1;
    end
endmodule
