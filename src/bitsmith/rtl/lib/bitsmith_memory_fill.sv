// SPDX-License-Identifier: Apache-2.0
// The writer of bitsmith_memory_spans.
//
// A burst has at most BURST words and ends where a multiple of as many ends, so that none crosses 4 KiB. Memory is told of it when
// all its words are there, which then come without a gap. Where words have waited for PATIENCE cycles, they are a shorter burst; a word
// that is not full is written after as long, and again with its other beats: these may come of what is made of the first ones.
//
// anew      a frame begins: nothing is under way, or clear
// limit     beats of the frame for which there is room
// still     no beat is taken in this cycle, in which a frame may begin
// active    beats are taken
// base      the word of memory that a frame begins with
// busy      memory has to answer, or a burst has begun
// begun     beats of the frame have come
// written   beats that memory has acknowledged
module bitsmith_memory_fill #(
    parameter int BEAT = 8,
    parameter int WORD = 32,
    parameter int BEATS = 16,
    parameter int COUNT = 13,
    parameter int BURST = 16,
    parameter int PATIENCE = 32,
    parameter int WORD_SHIFT = $clog2(WORD / 8)
) (
    input  logic              aclk,
    input  logic              aresetn,
    input  logic              clear,
    input  logic              anew,
    input  logic [ COUNT-1:0] limit,
    input  logic              still,
    input  logic              active,
    input  logic [63-WORD_SHIFT:0] base,
    output logic              busy,
    output logic              failed,
    output logic              begun,
    output logic [ COUNT-1:0] written,
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
    localparam int PART_SHIFT = $clog2(PARTS);
    localparam int PART_BITS = (PARTS > 1) ? PART_SHIFT : 1;
    localparam int WORDS = (BEATS + PARTS - 1) / PARTS;
    localparam logic [COUNT-1:0] ALL = COUNT'(BEATS);
    localparam logic [COUNT-1:0] ALL_WORDS = COUNT'(WORDS);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [31:0] BITS = $unsigned(BEAT);
    localparam logic [4:0] MOST = 5'(BURST);
    localparam logic [2:0] MOST_BURSTS = 3'd7;
    localparam logic [5:0] LONG = 6'(PATIENCE);

    logic [63-WORD_SHIFT:0] at;  // the word that the next burst begins with
    logic [COUNT-1:0] words_left;  // of the frame, of which memory is not told
    logic [COUNT-1:0] taken;  // beats
    logic [COUNT-1:0] told;  // beats of whole words of which memory is told
    logic [COUNT-1:0] after;  // beats that are written with the burst
    logic [COUNT-1:0] acknowledged;
    logic [6:0] waiting;  // words that are here, without those of the burst that goes out
    logic [4:0] left;  // words of that burst
    logic [2:0] bursts;  // that are not confirmed
    logic [5:0] age;  // cycles that what is here has waited
    logic [4:0] to_end;
    logic [4:0] burst;  // words, if it is whole
    logic [4:0] size;
    logic [4:0] kept;  // words of it that are full, or the last
    logic is_known;  // how many words the next burst has
    logic stale;
    logic there;
    logic may_cut;  // no beat is taken in this cycle
    logic cut;  // a word that is not full joins the others
    logic in_part;  // which is the only one
    logic tell;
    logic go;
    logic confirmed;
    logic room;
    logic take;
    logic whole;
    logic push;
    logic [PART_BITS-1:0] part;
    logic [WORD-1:0] held;
    logic [WORD-1:0] joined;
    logic [WORD/8-1:0] held_strobe;
    logic [WORD/8-1:0] strobe;
    logic unused;
    logic unused_stored;
    logic unused_free;
    logic unused_valid;

    assign to_end = MOST - 5'(at[$clog2(BURST)-1:0]);
    assign stale = age == LONG;
    assign there = (waiting >= {2'd0, burst}) & (burst != '0);
    assign size = there ? burst : waiting[4:0];
    assign kept = in_part ? '0 : size;
    assign tell = is_known & (waiting != '0) & (there | stale) & (~m_axi_awvalid | m_axi_awready) &
                  ((left == '0) | (go & m_axi_wlast)) & (bursts != MOST_BURSTS) & ~clear;
    assign go = m_axi_wvalid & m_axi_wready;
    assign confirmed = m_axi_bvalid & m_axi_bready;
    assign after = in_part ? taken : (words_left == COUNT'(size)) ? ALL : told + (COUNT'(size) << PART_SHIFT);
    assign m_axi_wvalid = left != '0;
    assign m_axi_wlast = left == 5'd1;
    assign m_axi_bready = bursts != '0;
    assign busy = m_axi_awvalid | (left != '0) | (bursts != '0);
    assign failed = confirmed & m_axi_bresp[1];
    assign cut = may_cut & (held_strobe != '0);
    assign s_tready = active & (taken != limit) & room & ~in_part & ~may_cut & ~still;
    assign take = s_tvalid & s_tready;
    assign whole = take & ((part == LAST_PART) | (taken == ALL - 1'b1));
    assign push = whole | cut;
    assign part = (PARTS > 1) ? taken[PART_BITS-1:0] : '0;
    assign unused = ^{m_axi_bresp[0], unused_stored, unused_free, unused_valid};

    always_comb begin
        joined = held;
        strobe = held_strobe;
        if (~cut) begin
            joined[BITS*32'(part)+:BEAT] = s_tdata;
            strobe[BITS/8*32'(part)+:BEAT/8] = '1;
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            m_axi_awvalid <= 1'b0;
            left <= '0;
            bursts <= '0;
        end else begin
            m_axi_awvalid <= tell | (m_axi_awvalid & ~m_axi_awready);
            left <= tell ? size : left - {4'd0, go};
            bursts <= bursts + {2'd0, tell} - {2'd0, confirmed};
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn | anew) begin
            words_left <= ALL_WORDS;
            taken <= '0;
            begun <= 1'b0;
            told <= '0;
            written <= '0;
            waiting <= '0;
            age <= '0;
            in_part <= 1'b0;
            may_cut <= 1'b0;
            held_strobe <= '0;
        end else begin
            if (take) taken <= taken + 1'b1;
            begun <= begun | take;
            if (push) held_strobe <= '0;
            else if (take) held_strobe <= strobe;
            if (tell | ((waiting == '0) & (held_strobe == '0))) age <= '0;
            else if (~stale) age <= age + 1'b1;
            may_cut <= stale & active & (waiting == '0) & (held_strobe != '0) & room & ~in_part & ~may_cut;
            if (cut) in_part <= 1'b1;
            else if (tell) in_part <= 1'b0;
            if (tell) begin
                words_left <= words_left - COUNT'(kept);
                told <= told + (COUNT'(kept) << PART_SHIFT);
            end
            if (confirmed) written <= acknowledged;
            waiting <= waiting + {6'd0, push} - (tell ? {2'd0, size} : 7'd0);
        end
    end

    always_ff @(posedge aclk) begin
        is_known <= ~tell & ~anew;
        burst <= (words_left < COUNT'(to_end)) ? words_left[4:0] : to_end;
        if (take) held <= joined;
        if (anew) at <= base;
        else if (tell) at <= at + (64 - WORD_SHIFT)'(kept);
        if (tell) begin
            m_axi_awaddr <= {at, {WORD_SHIFT{1'b0}}};
            m_axi_awlen <= {3'd0, size - 5'd1};
        end
    end

    bitsmith_fifo #(
        .WIDTH(WORD + WORD / 8),
        .DEPTH(4 * BURST),
        .BLOCK(1'b0)
    ) words (
        .clk     (aclk),
        .rst     (~aresetn | (clear & (left == '0))),
        .free    (room),
        .claim   (push),
        .put     (push),
        .put_data({strobe, joined}),
        .valid   (unused_stored),
        .take    (go),
        .data    ({m_axi_wstrb, m_axi_wdata})
    );

    bitsmith_fifo #(
        .WIDTH(COUNT),
        .DEPTH(8),
        .BLOCK(1'b0)
    ) answers (
        .clk     (aclk),
        .rst     (~aresetn),
        .free    (unused_free),
        .claim   (tell),
        .put     (tell),
        .put_data(after),
        .valid   (unused_valid),
        .take    (confirmed),
        .data    (acknowledged)
    );
endmodule
