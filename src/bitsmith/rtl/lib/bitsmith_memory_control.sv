// SPDX-License-Identifier: Apache-2.0
// Registers of streams that are read from memory or written there, above those of bitsmith_control.
//
//  address     name           access      meaning
//  0x800       START          read/write  bit k: write 1 to start stream k; it reads as 1 until the stream has ended
//  0x804       FAILED         read        bit k: memory has answered stream k with an error since it was started last
//  0x810+16k   ADDRESS        read/write  of the first byte of stream k, lower half: at a multiple of a word of memory
//  0x814+16k   ADDRESS_HIGH   read/write  its upper half
//  0x818+16k   BYTES          read/write  of all beats
//
// written, write_word, data, strobe   a word that is written, its address in words above 0x800
// read_word, value                    a word that is read
module bitsmith_memory_control #(
    parameter int STREAMS = 2
) (
    input  logic                  aclk,
    input  logic                  aresetn,
    input  logic                  written,
    input  logic [           8:0] write_word,
    input  logic [          31:0] data,
    input  logic [           3:0] strobe,
    input  logic [           8:0] read_word,
    output logic [          31:0] value,
    output logic [   STREAMS-1:0] start,
    output logic [64*STREAMS-1:0] address,
    output logic [32*STREAMS-1:0] bytes,
    input  logic [   STREAMS-1:0] busy,
    input  logic [   STREAMS-1:0] failed
);
    logic [STREAMS-1:0] has_failed;
    logic [31:0] mask;
    logic [6:0] read_stream;
    logic [1:0] read_field;

    assign {read_stream, read_field} = read_word;
    assign mask = {{8{strobe[3]}}, {8{strobe[2]}}, {8{strobe[1]}}, {8{strobe[0]}}};
    assign start = (written & (write_word == 9'd0)) ? STREAMS'(data & mask) : '0;

    always_ff @(posedge aclk) begin
        if (~aresetn) has_failed <= '0;
        else has_failed <= (has_failed & ~start) | failed;
    end

    always_ff @(posedge aclk) begin
        for (int k = 0; k < STREAMS; ++k) begin
            if (written & (write_word[8:2] == $unsigned(7'(k + 1)))) begin
                case (write_word[1:0])
                    2'd0: address[64*k+:32] <= (address[64*k+:32] & ~mask) | (data & mask);
                    2'd1: address[64*k+32+:32] <= (address[64*k+32+:32] & ~mask) | (data & mask);
                    2'd2: bytes[32*k+:32] <= (bytes[32*k+:32] & ~mask) | (data & mask);
                    default: ;
                endcase
            end
        end
    end

    always_comb begin
        case (read_word)
            9'd0: value = 32'(busy);
            9'd1: value = 32'(has_failed);
            default: value = '0;
        endcase
        for (int k = 0; k < STREAMS; ++k) begin
            if (read_stream == $unsigned(7'(k + 1))) begin
                case (read_field)
                    2'd0: value = address[64*k+:32];
                    2'd1: value = address[64*k+32+:32];
                    2'd2: value = bytes[32*k+:32];
                    default: value = '0;
                endcase
            end
        end
    end
endmodule
