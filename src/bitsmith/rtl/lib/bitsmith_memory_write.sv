// SPDX-License-Identifier: Apache-2.0
// Writes the beats of a stream to memory, as an AXI4 master.
//
// A burst has at most 16 words and ends where a multiple of 16 words ends, so that none crosses 4 KiB. Memory is told of it when all
// its words are there, which then come without a gap. Beats are taken only while they are asked for; bytes of the last word that
// are none of theirs stay as they are.
//
// BEAT      bits of a beat, a power of two from 8 on
// WORD      bits of a word of memory: some beats, the first in the lowest bits
// clear     forgets all beats; has to last until busy is low, since a burst that has begun is ended
// start     takes address and bytes, unless it is busy
// address   of the first beat, at the beginning of a word
// bytes     of all beats
// busy      beats are to come, or memory has not confirmed all words
// failed    for a cycle with each answer of memory that is an error
module bitsmith_memory_write #(
    parameter int BEAT = 32,
    parameter int WORD = 32
) (
    input  logic              aclk,
    input  logic              aresetn,
    input  logic              clear,
    input  logic              start,
    input  logic [      63:0] address,
    input  logic [      31:0] bytes,
    output logic              busy,
    output logic              failed,
    output logic              m_axi_awvalid,
    input  logic              m_axi_awready,
    output logic [      63:0] m_axi_awaddr,
    output logic [       7:0] m_axi_awlen,
    output logic              m_axi_wvalid,
    input  logic              m_axi_wready,
    output logic [  WORD-1:0] m_axi_wdata,
    output logic [WORD/8-1:0] m_axi_wstrb,
    output logic              m_axi_wlast,
    input  logic              m_axi_bvalid,
    output logic              m_axi_bready,
    input  logic [       1:0] m_axi_bresp,
    input  logic              s_tvalid,
    output logic              s_tready,
    input  logic [  BEAT-1:0] s_tdata
);
    localparam int PARTS = WORD / BEAT;
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam int BEAT_SHIFT = $clog2(BEAT / 8);
    localparam int WORD_SHIFT = $clog2(WORD / 8);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [31:0] BITS = $unsigned(BEAT);
    localparam logic [4:0] MOST = 5'd16;
    localparam logic [2:0] MOST_BURSTS = 3'd7;

    logic [63-WORD_SHIFT:0] at;  // the word that the next burst begins with
    logic [32-WORD_SHIFT:0] words_left;  // of which memory is not told
    logic [31-BEAT_SHIFT:0] beats_left;  // to come
    logic [6:0] waiting;  // words that are here, without those of the burst that goes out
    logic [4:0] left;  // words of that burst
    logic [2:0] bursts;  // that are not confirmed
    logic [4:0] to_end;
    logic [4:0] burst;
    logic tell;
    logic go;
    logic confirmed;
    logic take;
    logic last;
    logic whole;
    logic room;
    logic stored;
    logic [PART_BITS-1:0] part;
    logic [WORD-1:0] held;
    logic [WORD-1:0] word;
    logic [WORD/8-1:0] held_strobe;
    logic [WORD/8-1:0] strobe;
    logic unused;

    assign to_end = MOST - {1'b0, at[3:0]};
    assign burst = (words_left < (33 - WORD_SHIFT)'(to_end)) ? words_left[4:0] : to_end;
    assign tell = (words_left != '0) & (waiting >= {2'd0, burst}) & (~m_axi_awvalid | m_axi_awready) &
                  ((left == '0) | (go & m_axi_wlast)) & (bursts != MOST_BURSTS) & ~clear;
    assign go = m_axi_wvalid & m_axi_wready;
    assign confirmed = m_axi_bvalid & m_axi_bready;
    assign m_axi_wvalid = left != '0;
    assign m_axi_wlast = left == 5'd1;
    assign m_axi_bready = bursts != '0;
    assign busy = (beats_left != '0) | (words_left != '0) | m_axi_awvalid | (left != '0) | (bursts != '0);
    assign failed = confirmed & m_axi_bresp[1];
    assign s_tready = (beats_left != '0) & room & ~clear;
    assign take = s_tvalid & s_tready;
    assign last = (beats_left >> 1) == '0;
    assign whole = take & ((part == LAST_PART) | last);
    assign unused = ^{address[WORD_SHIFT-1:0], m_axi_bresp[0], stored};

    always_comb begin
        word = held;
        strobe = held_strobe;
        word[BITS*32'(part)+:BEAT] = s_tdata;
        strobe[BITS/8*32'(part)+:BEAT/8] = '1;
    end

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            m_axi_awvalid <= 1'b0;
            words_left <= '0;
            beats_left <= '0;
            waiting <= '0;
            left <= '0;
            bursts <= '0;
            part <= '0;
            held_strobe <= '0;
        end else begin
            m_axi_awvalid <= tell | (m_axi_awvalid & ~m_axi_awready);
            left <= tell ? burst : left - {4'd0, go};
            bursts <= bursts + {2'd0, tell} - {2'd0, confirmed};
            if (clear) begin
                words_left <= '0;
                beats_left <= '0;
                waiting <= '0;
                part <= '0;
                held_strobe <= '0;
            end else if (start & ~busy) begin
                words_left <= {1'b0, bytes[31:WORD_SHIFT]} + (33 - WORD_SHIFT)'(|bytes[WORD_SHIFT-1:0]);
                beats_left <= bytes[31:BEAT_SHIFT];
            end else begin
                if (tell) words_left <= words_left - (33 - WORD_SHIFT)'(burst);
                if (take) begin
                    beats_left <= beats_left - 1'b1;
                    part <= whole ? '0 : part + 1'b1;
                    held_strobe <= whole ? '0 : strobe;
                end
                waiting <= waiting + {6'd0, whole} - (tell ? {2'd0, burst} : 7'd0);
            end
        end
    end

    always_ff @(posedge aclk) begin
        if (take) held <= word;
        if (start & ~busy) at <= address[63:WORD_SHIFT];
        else if (tell) at <= at + (64 - WORD_SHIFT)'(burst);
        if (tell) begin
            m_axi_awaddr <= {at, {WORD_SHIFT{1'b0}}};
            m_axi_awlen <= {3'd0, burst - 5'd1};
        end
    end

    bitsmith_fifo #(
        .WIDTH(WORD + WORD / 8),
        .DEPTH(64),
        .BLOCK(1'b0)
    ) words (
        .clk     (aclk),
        .rst     (~aresetn | (clear & (left == '0))),
        .free    (room),
        .claim   (whole),
        .put     (whole),
        .put_data({strobe, word}),
        .valid   (stored),
        .take    (go),
        .data    ({m_axi_wstrb, m_axi_wdata})
    );
endmodule
