// SPDX-License-Identifier: Apache-2.0
// Flipped bits that memories with check bits have found, as registers of 32 bits beside those of bitsmith_control.
//
//  address  name        access   meaning, since power-on or clear; counts wrap
//  0x700    FAULTS      read     cycles in which a word was read that may be wrong
//  0x704    CORRECTED   read     cycles in which a bit was corrected
//  0x708+8k FAULTY      read     bit m: memory 32 k + m has given a word that may be wrong
//  0x70c+8k CORRECTS    read     bit m: a bit of a word of memory 32 k + m was corrected
//
// clear      forgets all
// fault      of each memory two bits, as bitsmith_decode has them
// read_word  the address in words above 0x700
module bitsmith_faults #(
    parameter int MEMORIES = 1
) (
    input  logic                  aclk,
    input  logic                  aresetn,
    input  logic                  clear,
    input  logic [2*MEMORIES-1:0] fault,
    input  logic [           5:0] read_word,
    output logic [          31:0] value
);
    logic [2*MEMORIES-1:0] now;
    logic [MEMORIES-1:0] faulty;
    logic [MEMORIES-1:0] corrects;
    logic [31:0] faults;
    logic [31:0] corrected;
    logic [1:0] any;

    // Not "faulty <= faulty | now": in simulation, what is unknown before the first data would stay so.
    genvar m;
    generate
    for (m = 0; m < MEMORIES; m = m + 1) begin : g_memory
        always_ff @(posedge aclk) begin
            now[2*m+:2] <= fault[2*m+:2];
            if (~aresetn | clear) begin
                faulty[m] <= 1'b0;
                corrects[m] <= 1'b0;
            end else begin
                if (now[2*m+1]) faulty[m] <= 1'b1;
                if (now[2*m]) corrects[m] <= 1'b1;
            end
        end
    end
    endgenerate

    always_comb begin
        any = 2'b00;
        for (int k = 0; k < MEMORIES; ++k) any = any | now[2*k+:2];
    end

    always_ff @(posedge aclk) begin
        if (~aresetn | clear) begin
            faults <= '0;
            corrected <= '0;
        end else begin
            if (any[1]) faults <= faults + 1'b1;
            if (any[0]) corrected <= corrected + 1'b1;
        end
    end

    logic [2047:0] shown;

    genvar w;
    generate
    for (w = 0; w < 64; w = w + 1) begin : g_word
        if (w == 0) begin : g_faults
            assign shown[31:0] = faults;
        end else if (w == 1) begin : g_corrected
            assign shown[63:32] = corrected;
        end else begin : g_memories
            for (m = 0; m < 32; m = m + 1) begin : g_bit
                localparam int NUMBER = (w - 2) / 2 * 32 + m;
                if (NUMBER < MEMORIES) begin : g_there
                    assign shown[32*w+m] = (w % 2 == 0) ? faulty[NUMBER] : corrects[NUMBER];
                end else begin : g_none
                    assign shown[32*w+m] = 1'b0;
                end
            end
        end
    end
    endgenerate

    assign value = shown[{read_word, 5'd0}+:32];
endmodule
