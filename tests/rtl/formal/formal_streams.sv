// What a module with streams sees around it in a proof. Tokens of an input are those of formal_operand.

// Takes RESULTS tokens, which must be those of expected, in order; each waits until it is taken. In eager runs all come by cycle BY.
module formal_taker #(
    parameter int unsigned RESULTS = 4,
    parameter int unsigned WIDTH = 2,
    parameter int unsigned BY = 10
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     eager,
    input  logic [              7:0] cycle,
    input  logic                     valid,
    output logic                     ready,
    input  logic [        WIDTH-1:0] data,
    input  logic [RESULTS*WIDTH-1:0] expected,
    output logic [              7:0] taken
);
    (* anyseq *) logic comes;
    logic waits;

    assign ready = comes | eager;

    always_ff @(posedge clk) begin
        if (rst) begin
            taken <= '0;
            waits <= 1'b0;
        end else begin
            assert (valid | ~waits);
            if (valid) assert (taken < RESULTS && data == expected[taken*WIDTH+:WIDTH]);
            if (eager && cycle >= BY) assert (taken == RESULTS);
            taken <= taken + (valid & ready);
            waits <= valid & ~ready;
        end
    end
endmodule
