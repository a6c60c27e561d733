// SPDX-License-Identifier: Apache-2.0
// Counts what passes a network's streams, as registers of 32 bits beside those of bitsmith_control.
//
//  address     name        access   meaning, since the last reset; all counts wrap
//  0x400       CYCLES      read     clock cycles
//  0x404       BUSY        read     cycles in which a frame is inside, from its first transfer of an input to the last one of its results
//  0x410+16k   TRANSFERS   read     transfers of stream k, inputs first
//  0x414+16k   STALLS      read     cycles in which a transfer of stream k waits to be taken
//  0x418+16k   CHECK       read     of their data: with each transfer it is rotated left by a bit, and the data are added, modulo 2
//  0x41c+16k   LIMITS      read     tokens of stream k with an element at an end of its range
//
// aresetn          of the network; it resets all counts
// valid, ready     of each stream
// data             of each stream, the 32-bit words of a transfer added modulo 2
// limit            high with a token that has an element at an end of its range
// frame            of each stream, high for a cycle with the first transfer of a frame of an input, and with the last one of a result
// read_word        the address in words above 0x400
module bitsmith_counters #(
    parameter int STREAMS = 2
) (
    input  logic                  aclk,
    input  logic                  aresetn,
    input  logic [   STREAMS-1:0] valid,
    input  logic [   STREAMS-1:0] ready,
    input  logic [32*STREAMS-1:0] data,
    input  logic [   STREAMS-1:0] limit,
    input  logic [   STREAMS-1:0] frame,
    input  logic [           7:0] read_word,
    output logic [          31:0] value
);
    logic [31:0] cycles;
    logic [31:0] busy;
    // Results may depend on some of the inputs only, so that streams are some frames ahead of those that all of them have seen.
    logic [32*STREAMS-1:0] ahead;
    logic [STREAMS-1:0] seen;
    logic [32*STREAMS-1:0] transfers;
    logic [32*STREAMS-1:0] stalls;
    logic [32*STREAMS-1:0] check;
    logic [32*STREAMS-1:0] limits;
    logic [5:0] read_stream;
    logic [1:0] read_field;

    assign {read_stream, read_field} = read_word;

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            cycles <= '0;
            busy <= '0;
        end else begin
            cycles <= cycles + 1'b1;
            if (seen != '0) busy <= busy + 1'b1;
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            transfers <= '0;
            stalls <= '0;
            check <= '0;
            limits <= '0;
            ahead <= '0;
        end else begin
            for (int k = 0; k < STREAMS; ++k) begin
                if (frame[k] & ~(&seen)) ahead[32*k+:32] <= ahead[32*k+:32] + 1'b1;
                else if (~frame[k] & (&seen)) ahead[32*k+:32] <= ahead[32*k+:32] - 1'b1;
                if (valid[k] & ready[k]) begin
                    transfers[32*k+:32] <= transfers[32*k+:32] + 1'b1;
                    check[32*k+:32] <= {check[32*k+:31], check[32*k+31]} ^ data[32*k+:32];
                end
                if (valid[k] & ~ready[k]) stalls[32*k+:32] <= stalls[32*k+:32] + 1'b1;
                if (limit[k]) limits[32*k+:32] <= limits[32*k+:32] + 1'b1;
            end
        end
    end

    logic [31:0] own;
    logic [32*STREAMS-1:0] shown;

    always_comb begin
        case (read_word)
            8'd0: own = cycles;
            8'd1: own = busy;
            default: own = '0;
        endcase
    end

    // Not a loop in always_comb that selects a word of counts by its variable: Icarus 11 evaluated it for ever once counts differed.
    genvar n;
    genvar b;
    generate
        for (n = 0; n < STREAMS; n = n + 1) begin : streams
            logic [31:0] word;
            assign seen[n] = frame[n] | (ahead[32*n+:32] != '0);
            assign word = read_field == 2'd0 ? transfers[32*n+:32]
                : read_field == 2'd1 ? stalls[32*n+:32]
                : read_field == 2'd2 ? check[32*n+:32] : limits[32*n+:32];
            for (b = 0; b < 32; b = b + 1) begin : bits
                assign shown[STREAMS*b+n] = word[b] & (read_stream == $unsigned(6'(n + 1)));
            end
        end
        for (b = 0; b < 32; b = b + 1) begin : values
            assign value[b] = own[b] | (|shown[STREAMS*b+:STREAMS]);
        end
    endgenerate
endmodule
