// bitsmith_decode gives the word of bitsmith_encode and no fault where nothing has flipped. It corrects any bit that has, with
// several check bits, and finds any two; with one it finds any odd number.
module formal_decode #(
    parameter int unsigned WIDTH = 5,
    parameter int unsigned CHECK = 5
) (
    input logic clk
);
    `include "formal_start.svh"
    (* anyconst *) logic [WIDTH-1:0] word;
    (* anyconst *) logic [WIDTH+CHECK-1:0] flipped;
    logic [WIDTH+CHECK-1:0] code;
    logic [WIDTH-1:0] data;
    logic [1:0] fault;
    logic [7:0] flips;

    bitsmith_encode #(.WIDTH(WIDTH), .CHECK(CHECK)) encode (.data(word), .code);
    bitsmith_decode #(.WIDTH(WIDTH), .CHECK(CHECK)) dut (.code(code ^ flipped), .data, .fault);

    always_comb begin
        flips = '0;
        for (int k = 0; k < WIDTH + CHECK; k = k + 1) flips = flips + 8'(flipped[k]);
    end

    always_ff @(posedge clk) begin
        assert (word != '0 || code == '0);
        if (flips == 0) assert (data == word && fault == 2'b00);
        if (CHECK == 1 && flips[0]) assert (fault == 2'b10);
        if (CHECK > 1 && flips == 1) assert (data == word && fault == 2'b01);
        if (CHECK > 1 && flips == 2) assert (fault == 2'b10);
    end
endmodule
