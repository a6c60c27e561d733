// bitsmith_read_back gives the CRC-32 of a memory after each reset and each load, and then leaves the memory to others.
//
// The CRC is written here as the remainder of all bits, the first one highest, by the polynomial of IEEE 802.3.
module formal_read_back #(
    parameter int unsigned ELEMENT = 3,
    parameter int unsigned PARTS = 2,
    parameter int unsigned WORDS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int unsigned BYTES = (ELEMENT + 7) / 8;
    (* anyconst *) logic [WORDS*PARTS*ELEMENT-1:0] memory;
    (* anyseq *) logic loads;
    (* anyseq *) logic [ADDRESS_BITS-1:0] any_index;
    logic loading, reading;
    logic [ADDRESS_BITS-1:0] index, address;
    logic [PARTS*ELEMENT-1:0] value;
    logic [31:0] crc, expected, remainder;
    logic [7:0] since;
    logic was_reading;
    logic was_at_index;

    assign loading = loads & (cycle < 3);
    assign index = any_index < WORDS ? any_index : '0;

    always_comb begin
        remainder = '1;
        for (int k = 0; k < WORDS * PARTS; k = k + 1) begin
            for (int b = 0; b < 8 * BYTES; b = b + 1) begin
                remainder = {remainder[30:0], 1'b0}
                    ^ ((remainder[31] ^ (b < ELEMENT ? memory[k*ELEMENT+(b<ELEMENT?b:0)] : 1'b0)) ? 32'h04c11db7 : 32'd0);
            end
        end
        for (int b = 0; b < 32; b = b + 1) expected[b] = ~remainder[31-b];
    end

    bitsmith_read_back #(.ELEMENT(ELEMENT), .PARTS(PARTS), .WORDS(WORDS)) dut (
        .clk, .rst, .loading, .index, .address, .value, .reading, .crc
    );

    always_ff @(posedge clk) begin
        value <= memory[address*PARTS*ELEMENT+:PARTS*ELEMENT];
        since <= (rst | loading) ? '0 : since + 1'b1;
        was_reading <= reading;
        was_at_index <= address == index;
        if (!rst) begin
            if (!reading && since > 0) assert (crc == expected);
            if (!reading) assert (address == index);
            if (!reading && was_reading) assert (was_at_index);
            assert (reading || since >= WORDS * (PARTS + 1));
            if (since > WORDS * (PARTS + 1)) assert (!reading);
        end
    end
endmodule
