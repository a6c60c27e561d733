// bitsmith_delay gives what came in LENGTH steps ago. A memory that keeps its words has no fault, whatever was in it at first.
module formal_delay #(
    parameter int unsigned LENGTH = 4,
    parameter bit BLOCK = 1'b0,
    parameter int unsigned CHECK = 0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = 2 * LENGTH + 3;
    localparam int unsigned WIDTH = 2;
    (* anyconst *) logic [WORDS*WIDTH-1:0] words;
    (* anyseq *) logic [WIDTH-1:0] noise;
    (* anyseq *) logic steps_now;
    logic enable;
    logic [7:0] steps;
    logic [WIDTH-1:0] in_data, out_data;
    logic [1:0] fault;

    assign enable = steps_now & (steps != WORDS);
    assign in_data = enable ? words[steps*WIDTH+:WIDTH] : noise;

    bitsmith_delay #(.WIDTH(WIDTH), .LENGTH(LENGTH), .BLOCK(BLOCK), .CHECK(CHECK)) dut (
        .clk, .rst, .enable, .in_data, .out_data, .fault
    );

    always_ff @(posedge clk) begin
        if (rst) steps <= '0;
        else begin
            if (steps >= LENGTH) assert (out_data == words[(steps-LENGTH)*WIDTH+:WIDTH]);
            assert (fault == 2'b00);
            steps <= steps + enable;
        end
    end
endmodule
