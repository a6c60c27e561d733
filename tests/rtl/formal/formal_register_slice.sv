// Tokens and news of places come STAGES cycles later through bitsmith_register_slice, and a FIFO of DEPTH places never overflows.
module formal_register_slice #(
    parameter int unsigned DEPTH = 3,
    parameter int unsigned STAGES = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 8;
    localparam int unsigned WIDTH = 2;
    (* anyconst *) logic [TOKENS*WIDTH-1:0] tokens;
    (* anyseq *) logic [WIDTH-1:0] noise;
    (* anyseq *) logic claims_now, puts_now, takes_now;
    logic free, claim, put, far_put, far_take;
    logic [7:0] claimed, filled, arrived, taken, known;
    logic [STAGES-1:0] puts, takes;
    logic [WIDTH-1:0] put_data, far_data;

    assign claim = free & claims_now & (claimed != TOKENS);
    assign put = puts_now & (filled != claimed + claim);
    assign put_data = put ? tokens[filled*WIDTH+:WIDTH] : noise;
    assign far_take = takes_now & (arrived != taken);

    bitsmith_register_slice #(.WIDTH(WIDTH), .DEPTH(DEPTH), .STAGES(STAGES)) dut (
        .clk, .rst, .free, .claim, .put, .put_data, .far_put, .far_data, .far_take
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            claimed <= '0;
            filled <= '0;
            arrived <= '0;
            taken <= '0;
            known <= '0;
            puts <= '0;
            takes <= '0;
        end else begin
            assert (far_put == puts[STAGES-1]);
            if (far_put) assert (far_data == tokens[arrived*WIDTH+:WIDTH]);
            if (far_put) assert (arrived - taken < DEPTH);
            assert (free == (claimed - known < DEPTH));
            claimed <= claimed + claim;
            filled <= filled + put;
            arrived <= arrived + far_put;
            taken <= taken + far_take;
            known <= known + takes[STAGES-1];
            puts <= STAGES'({puts, put});
            takes <= STAGES'({takes, far_take});
        end
    end
endmodule
