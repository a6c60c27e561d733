// bitsmith_rom gives arbitrary constant tokens, over and over.
module formal_rom #(
    parameter int unsigned TOKENS = 3,
    parameter bit SYNCHRONOUS = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned INDEX_BITS = (TOKENS > 1) ? $clog2(TOKENS) : 1;
    localparam int unsigned WIDTH = 2;
    (* anyconst *) logic [TOKENS*WIDTH-1:0] constants;
    logic y_free, y_claim, y_put;
    logic [7:0] puts;
    logic [WIDTH-1:0] table_data, y_data;
    logic [INDEX_BITS-1:0] index, next_index;

    formal_result #(.RESULTS(3 * TOKENS), .ENDLESS(1'b1), .BY(3 * TOKENS)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_rom #(.WIDTH(WIDTH), .TOKENS(TOKENS)) dut (
        .clk, .rst, .index, .next_index, .table_data, .y_free, .y_claim, .y_put, .y_data
    );

    if (SYNCHRONOUS) begin : g_synchronous
        always_ff @(posedge clk) table_data <= constants[next_index*WIDTH+:WIDTH];
    end else begin : g_combinational
        assign table_data = constants[index*WIDTH+:WIDTH];
    end

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == constants[puts%TOKENS*WIDTH+:WIDTH]);
            assert (y_claim == y_free);
        end
    end
endmodule
