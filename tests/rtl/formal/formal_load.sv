// bitsmith_load takes arbitrary elements at arbitrary times. When it says that nothing is loaded any more, a memory behind it
// has just the elements of the last load, and has had them for a cycle.
module formal_load #(
    parameter int unsigned PARTS = 2,
    parameter int unsigned WORDS = 3
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned ELEMENT = 2;
    localparam int unsigned WIDTH = ELEMENT * PARTS;
    localparam int unsigned ELEMENTS = PARTS * WORDS;
    localparam int unsigned ADDRESS_BITS = (WORDS > 1) ? $clog2(WORDS) : 1;
    (* anyseq *) logic load_valid;
    (* anyseq *) logic [ELEMENT-1:0] load_data;
    (* anyconst *) logic [ADDRESS_BITS-1:0] place;
    logic load_ready, loading, write, transfer;
    logic [7:0] count, quiet;
    logic [ADDRESS_BITS-1:0] address;
    logic [WIDTH-1:0] word, value;
    logic [ELEMENT*ELEMENTS-1:0] memory, given;
    logic complete;

    bitsmith_load #(.ELEMENT(ELEMENT), .PARTS(PARTS), .WORDS(WORDS)) dut (
        .clk, .rst, .load_valid, .load_ready, .load_data, .loading, .write, .address, .word
    );

    assign transfer = load_valid & load_ready;

    always_ff @(posedge clk) begin
        if (write) memory[WIDTH*address+:WIDTH] <= word;
        value <= memory[WIDTH*place+:WIDTH];
        if (rst) begin
            count <= '0;
            quiet <= '0;
            complete <= 1'b0;
        end else begin
            quiet <= transfer ? '0 : quiet + (quiet != '1);
            if (transfer) begin
                given[ELEMENT*count+:ELEMENT] <= load_data;
                count <= (count == ELEMENTS - 1) ? '0 : count + 1'b1;
                complete <= count == ELEMENTS - 1;
            end
            assert (load_ready);
            assert (~write | loading);
            assert (loading | (count == 0));
            if (count == 0 && quiet >= 3) assert (~loading);
            if (~loading && complete && place < WORDS) begin
                assert (memory[WIDTH*place+:WIDTH] == given[WIDTH*place+:WIDTH]);
                assert (value == memory[WIDTH*place+:WIDTH]);
            end
        end
    end
endmodule
