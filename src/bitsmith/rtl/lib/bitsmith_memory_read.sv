// SPDX-License-Identifier: Apache-2.0
// Reads the beats of a stream from memory, as an AXI4 master.
//
// A burst has at most 16 words and ends where a multiple of 16 words ends, so that none crosses 4 KiB. Memory is asked for it when
// there is a place for each of its words: what comes is always taken. Four can be on their way.
//
// BEAT      bits of a beat, a power of two from 8 on
// WORD      bits of a word of memory: some beats, the first in the lowest bits
// ROUND     bytes, whole words, after which memory is read from address on again, which stays as it is then; 0: never
// clear     forgets all beats; has to last until busy is low, since what memory was asked for comes
// start     takes address and bytes, unless it is busy
// address   of the first beat, at the beginning of a word
// bytes     of all beats
// busy      beats are to be handed on, or words to come
// failed    for a cycle with each answer of memory that is an error
module bitsmith_memory_read #(
    parameter int BEAT = 32,
    parameter int WORD = 32,
    parameter int ROUND = 0
) (
    input  logic            aclk,
    input  logic            aresetn,
    input  logic            clear,
    input  logic            start,
    input  logic [    63:0] address,
    input  logic [    31:0] bytes,
    output logic            busy,
    output logic            failed,
    output logic            m_axi_arvalid,
    input  logic            m_axi_arready,
    output logic [    63:0] m_axi_araddr,
    output logic [     7:0] m_axi_arlen,
    input  logic            m_axi_rvalid,
    output logic            m_axi_rready,
    input  logic [WORD-1:0] m_axi_rdata,
    input  logic [     1:0] m_axi_rresp,
    input  logic            m_axi_rlast,
    output logic            m_tvalid,
    input  logic            m_tready,
    output logic [BEAT-1:0] m_tdata
);
    localparam int PARTS = WORD / BEAT;
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam int BEAT_SHIFT = $clog2(BEAT / 8);
    localparam int WORD_SHIFT = $clog2(WORD / 8);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [31:0] BITS = $unsigned(BEAT);
    localparam logic [4:0] MOST = 5'd16;
    localparam logic [6:0] PLACES = 7'd64;
    localparam int ROUND_WORDS = ROUND / (WORD / 8);
    localparam int ROUND_BITS = (ROUND_WORDS > 1) ? $clog2(ROUND_WORDS + 1) : 1;
    localparam logic [ROUND_BITS-1:0] WHOLE_ROUND = ROUND_BITS'(ROUND_WORDS);

    logic [63-WORD_SHIFT:0] at;  // the next word to ask for
    logic [32-WORD_SHIFT:0] words_left;  // to ask for
    logic [31-BEAT_SHIFT:0] beats_left;  // to hand on
    logic [6:0] places;  // for words that were not asked for
    logic [6:0] awaited;  // words that were asked for
    logic [ROUND_BITS-1:0] round_left;  // words of the round to ask for
    logic [4:0] to_end;
    logic [4:0] to_stop;
    logic [4:0] burst;
    logic ask;
    logic round_ends;
    logic come;
    logic stored;
    logic hand_on;
    logic last;
    logic release_place;
    logic [PART_BITS-1:0] part;
    logic [WORD-1:0] word;
    logic unused_free;
    logic unused;

    assign to_end = MOST - {1'b0, at[3:0]};
    assign to_stop = ((ROUND != 0) & (32'(round_left) < 32'(to_end))) ? 5'(round_left) : to_end;
    assign burst = (words_left < (33 - WORD_SHIFT)'(to_stop)) ? words_left[4:0] : to_stop;
    assign round_ends = (ROUND != 0) & (32'(round_left) == 32'(burst));
    assign ask = (words_left != '0) & (places >= {2'd0, MOST}) & ~m_axi_arvalid & ~clear;
    assign m_axi_rready = awaited != '0;
    assign come = m_axi_rvalid & m_axi_rready;
    assign busy = (words_left != '0) | (beats_left != '0) | m_axi_arvalid | (awaited != '0);
    assign failed = come & m_axi_rresp[1];
    assign m_tvalid = stored & (beats_left != '0) & ~clear;
    assign m_tdata = word[BITS*32'(part)+:BEAT];
    assign hand_on = m_tvalid & m_tready;
    assign last = (beats_left >> 1) == '0;
    assign release_place = hand_on & ((part == LAST_PART) | last);
    assign unused = ^{address[WORD_SHIFT-1:0], m_axi_rlast, m_axi_rresp[0]};

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            m_axi_arvalid <= 1'b0;
            words_left <= '0;
            beats_left <= '0;
            places <= PLACES;
            awaited <= '0;
            part <= '0;
        end else begin
            m_axi_arvalid <= ask | (m_axi_arvalid & ~m_axi_arready);
            awaited <= awaited + (ask ? {2'd0, burst} : 7'd0) - {6'd0, come};
            if (clear) begin
                words_left <= '0;
                beats_left <= '0;
                places <= PLACES;
                part <= '0;
            end else if (start & ~busy) begin
                words_left <= {1'b0, bytes[31:WORD_SHIFT]} + (33 - WORD_SHIFT)'(|bytes[WORD_SHIFT-1:0]);
                beats_left <= bytes[31:BEAT_SHIFT];
            end else begin
                if (ask) words_left <= words_left - (33 - WORD_SHIFT)'(burst);
                if (hand_on) begin
                    beats_left <= beats_left - 1'b1;
                    part <= release_place ? '0 : part + 1'b1;
                end
                places <= places - (ask ? {2'd0, burst} : 7'd0) + {6'd0, release_place};
            end
        end
    end

    always_ff @(posedge aclk) begin
        if (start & ~busy) begin
            at <= address[63:WORD_SHIFT];
            round_left <= WHOLE_ROUND;
        end else if (ask) begin
            at <= round_ends ? address[63:WORD_SHIFT] : at + (64 - WORD_SHIFT)'(burst);
            round_left <= round_ends ? WHOLE_ROUND : round_left - ROUND_BITS'(burst);
        end
        if (ask) begin
            m_axi_araddr <= {at, {WORD_SHIFT{1'b0}}};
            m_axi_arlen <= {3'd0, burst - 5'd1};
        end
    end

    bitsmith_fifo #(
        .WIDTH(WORD),
        .DEPTH(64),
        .BLOCK(1'b0)
    ) words (
        .clk     (aclk),
        .rst     (~aresetn | clear),
        .free    (unused_free),
        .claim   (come),
        .put     (come),
        .put_data(m_axi_rdata),
        .valid   (stored),
        .take    (release_place),
        .data    (word)
    );
endmodule
