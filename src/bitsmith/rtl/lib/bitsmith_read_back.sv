// SPDX-License-Identifier: Apache-2.0
// Reads a memory that can be loaded once after each reset and each load, and gives the CRC-32 of what it holds.
//
// The CRC is that of zlib (IEEE 802.3, reflected) of the elements in the order of a load, each in whole bytes with zeros above it. A word
// takes PARTS + 1 cycles. reading holds what else reads the memory in reset, and ends a cycle after the memory is given back:
// a synchronous read in the last cycle of reading sees the word at index.
//
// ELEMENT  bits of an element
// PARTS    elements of a word
// WORDS    words of the memory
// loading  of bitsmith_load
// index    address of what else reads the memory
// address  address at which the memory is read
// value    word of the memory, a cycle after its address
// crc      is right while reading is low
module bitsmith_read_back #(
    parameter int ELEMENT = 8,
    parameter int PARTS = 4,
    parameter int WORDS = 3,
    parameter int ADDRESS_BITS = (WORDS > 1) ? $clog2(WORDS) : 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     loading,
    input  logic [ ADDRESS_BITS-1:0] index,
    output logic [ ADDRESS_BITS-1:0] address,
    input  logic [ELEMENT*PARTS-1:0] value,
    output logic                     reading,
    output logic [             31:0] crc
);
    localparam int BYTES = (ELEMENT + 7) / 8;
    localparam int PART_BITS = $clog2(PARTS + 1);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [PART_BITS-1:0] NO_PART = PART_BITS'(PARTS);
    localparam logic [ADDRESS_BITS-1:0] LAST_WORD = ADDRESS_BITS'(WORDS - 1);

    logic scanning;
    logic scanned;
    logic [PART_BITS-1:0] part;
    logic [ADDRESS_BITS-1:0] following;
    logic [8*BYTES-1:0] element;
    logic [31:0] so_far;

    assign reading = scanning | scanned;
    assign address = scanning ? following : index;
    assign crc = ~so_far;

    always_ff @(posedge clk) begin
        scanned <= scanning;
        if (rst | loading) begin
            scanning <= 1'b1;
            part <= NO_PART;
            following <= '0;
            so_far <= '1;
        end else if (scanning) begin
            // Until the memory has the word, no part is looked at.
            part <= (part == NO_PART) ? '0 : (part == LAST_PART) ? NO_PART : part + 1'b1;
            if (part != NO_PART) so_far <= next_crc(so_far, element);
            if (part == LAST_PART) begin
                following <= following + 1'b1;
                scanning <= following != LAST_WORD;
            end
        end
    end

    function automatic logic [31:0] next_crc(input logic [31:0] crc_so_far, input logic [8*BYTES-1:0] data);
        next_crc = crc_so_far;
        for (int k = 0; k < 8 * BYTES; ++k) begin
            next_crc = {1'b0, next_crc[31:1]} ^ ((next_crc[0] ^ data[k]) ? 32'hedb88320 : 32'd0);
        end
    endfunction

    genvar b;
    genvar p;
    generate
        for (b = 0; b < 8 * BYTES; b = b + 1) begin : bits
            if (b < ELEMENT) begin : g_element
                logic [(1<<PART_BITS)-1:0] of_parts;
                for (p = 0; p < (1 << PART_BITS); p = p + 1) begin : parts
                    assign of_parts[p] = (p < PARTS) ? value[((p<PARTS)?p:0)*ELEMENT+b] : 1'b0;
                end
                assign element[b] = of_parts[part];
            end else begin : g_zero
                assign element[b] = 1'b0;
            end
        end
    endgenerate
endmodule
