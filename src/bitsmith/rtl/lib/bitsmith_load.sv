// SPDX-License-Identifier: Apache-2.0
// Collects the words of a memory that can be loaded, from a stream of their elements.
//
// Elements come in the order of addresses from 0 up, those of a word from bit 0 up, one per transfer. A word is written as
// soon as it is complete. After the last one the next element belongs to address 0 again: a load is complete when all
// words have come, and ends in no other way but rst.
//
// loading is high from the cycle after the first transfer of a load until the second cycle after its last write, so that
// what reads the memory and is held in reset by loading finds nothing but the new words: a synchronous read in the last
// cycle of loading sees the last word.
//
// ELEMENT  bits of an element
// PARTS    elements of a word
// WORDS    words of the memory
module bitsmith_load #(
    parameter int ELEMENT = 8,
    parameter int PARTS = 4,
    parameter int WORDS = 3,
    parameter int ADDRESS_BITS = (WORDS > 1) ? $clog2(WORDS) : 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     load_valid,
    output logic                     load_ready,
    input  logic [      ELEMENT-1:0] load_data,
    output logic                     loading,
    output logic                     write,
    output logic [ ADDRESS_BITS-1:0] address,
    output logic [ELEMENT*PARTS-1:0] word
);
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [ADDRESS_BITS-1:0] LAST_WORD = ADDRESS_BITS'(WORDS - 1);

    logic transfer;
    logic complete;
    logic [PART_BITS-1:0] part;
    logic [ADDRESS_BITS-1:0] following;

    assign load_ready = ~rst;
    assign write = complete & ~rst;  // so that nothing is written before the first reset
    assign transfer = load_valid & load_ready;

    always_ff @(posedge clk) begin
        if (rst) begin
            part <= '0;
            following <= '0;
            complete <= 1'b0;
            loading <= 1'b0;
        end else begin
            complete <= transfer & (part == LAST_PART);
            loading <= transfer | complete | (part != '0) | (following != '0);
            if (transfer) begin
                part <= (part == LAST_PART) ? '0 : part + 1'b1;
                if (part == LAST_PART) following <= (following == LAST_WORD) ? '0 : following + 1'b1;
            end
        end
        if (transfer) address <= following;
    end

    // The first element of a word ends up in its lowest bits.
    always_ff @(posedge clk) begin
        if (transfer) word <= (ELEMENT * PARTS)'({load_data, word} >> ELEMENT);
    end
endmodule
