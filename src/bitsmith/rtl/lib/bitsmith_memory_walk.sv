// SPDX-License-Identifier: Apache-2.0
// The reader of bitsmith_memory_spans.
//
// A burst has at most BURST words and ends where a multiple of as many ends, so that none crosses 4 KiB. Memory is asked for it when
// there is a place for each of its words: what comes is always taken. Where not all of its beats are written, it has those that
// are. A word is read again where a burst ends within it.
//
// anew      a frame begins: nothing is under way, or clear
// base      the word of memory that a frame begins with, from the next cycle on
// written   beats that memory has acknowledged
// passed    beats that were handed on
// busy      words have to come
// walked    all spans are read
module bitsmith_memory_walk #(
    parameter int BEAT = 8,
    parameter int WORD = 32,
    parameter int SPANS = 1,
    parameter logic [64*SPANS-1:0] TABLE = {32'd16, 32'd0},
    parameter int COUNT = 13,
    parameter int BURST = 16,
    parameter int WORD_SHIFT = $clog2(WORD / 8)
) (
    input  logic              aclk,
    input  logic              aresetn,
    input  logic              clear,
    input  logic              anew,
    input  logic              active,
    input  logic [63-WORD_SHIFT:0] base,
    input  logic [ COUNT-1:0] written,
    output logic [ COUNT-1:0] passed,
    output logic              busy,
    output logic              failed,
    output logic              walked,
    output logic              m_axi_arvalid,
    input  logic              m_axi_arready,
    output logic [      63:0] m_axi_araddr,
    output logic [       7:0] m_axi_arlen,
    input  logic              m_axi_rvalid,
    output logic              m_axi_rready,
    input  logic [  WORD-1:0] m_axi_rdata,
    input  logic [       1:0] m_axi_rresp,
    input  logic              m_axi_rlast,
    output logic              m_tvalid,
    input  logic              m_tready,
    output logic [  BEAT-1:0] m_tdata
);
    localparam int PARTS = WORD / BEAT;
    localparam int PART_SHIFT = $clog2(PARTS);
    localparam int PART_BITS = (PARTS > 1) ? PART_SHIFT : 1;
    localparam int SPAN_BITS = (SPANS > 1) ? $clog2(SPANS) : 1;
    localparam int BURST_BITS = PART_SHIFT + 6;  // of a number of beats of a burst, and one more
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [SPAN_BITS-1:0] LAST_SPAN = SPAN_BITS'(SPANS - 1);
    localparam logic [31:0] BITS = $unsigned(BEAT);
    localparam logic [BURST_BITS-1:0] ONE = BURST_BITS'(1);
    localparam logic [8:0] ROUND_UP = 9'(PARTS - 1);
    localparam logic [4:0] MOST = 5'(BURST);
    localparam logic [6:0] PLACES = 7'(4 * BURST);
    localparam logic [2:0] LOAD = 3'd0, FIND = 3'd1, MEASURE = 3'd2, BOUND = 3'd3, WAIT = 3'd4, NEXT = 3'd5, ALL = 3'd6;

    logic [2:0] state;
    logic [SPAN_BITS-1:0] span;
    logic [COUNT-1:0] next;  // the beat to ask for
    logic [COUNT-1:0] span_left;  // beats
    logic [COUNT-1:0] last;  // the beat after those of the burst
    logic [BURST_BITS-1:0] here;  // beats from next on that are written, fewer than most
    logic [BURST_BITS-1:0] most;  // beats of the burst
    logic [BURST_BITS-1:0] to_end;
    logic [63-WORD_SHIFT:0] at;  // the word that it begins with
    logic [4:0] words;  // of the burst
    logic [6:0] places;  // for words that were not asked for
    logic [6:0] awaited;  // words that were asked for
    logic is_short;  // some of its beats are not written
    logic ask;
    logic come;
    logic stored;
    logic hand_on;
    logic release_place;
    logic [WORD-1:0] word;
    logic [PART_BITS-1:0] first;  // of the burst in its first word
    logic free;
    logic asked;
    logic load;
    logic [PART_BITS-1:0] asked_part;
    logic [BURST_BITS-1:0] asked_beats;
    logic [PART_BITS-1:0] part;
    logic [BURST_BITS-1:0] beats_left;  // of the burst that is handed on
    logic unused_free;
    logic unused;

    assign first = (PARTS > 1) ? next[PART_BITS-1:0] : '0;
    assign to_end = (BURST_BITS'(MOST - 5'(at[$clog2(BURST)-1:0])) << PART_SHIFT) - BURST_BITS'(first);
    assign here = written[BURST_BITS-1:0] - next[BURST_BITS-1:0];
    assign is_short = (written < last) & (written > next);
    assign ask = (state == WAIT) & (written >= last) & (places >= {2'd0, MOST}) & free & ~m_axi_arvalid & active & ~clear;
    assign m_axi_rready = awaited != '0;
    assign come = m_axi_rvalid & m_axi_rready;
    assign busy = m_axi_arvalid | (awaited != '0);
    assign failed = come & m_axi_rresp[1];
    assign m_tvalid = stored & (beats_left != '0) & ~clear;
    assign m_tdata = word[BITS*32'(part)+:BEAT];
    assign hand_on = m_tvalid & m_tready;
    assign load = asked & ((beats_left == '0) | (hand_on & (beats_left == ONE)));
    assign release_place = hand_on & ((part == LAST_PART) | (beats_left == ONE));
    assign walked = (state == ALL) & (beats_left == '0) & ~asked;
    assign unused = ^{m_axi_rlast, m_axi_rresp[0], unused_free};

    always_ff @(posedge aclk) begin
        if (~aresetn | anew) begin
            state <= LOAD;
            span <= '0;
        end else begin
            case (state)
                LOAD: state <= FIND;
                FIND: state <= MEASURE;
                MEASURE: state <= BOUND;
                BOUND: state <= WAIT;
                WAIT:
                if (ask) state <= NEXT;
                else if (is_short) state <= BOUND;
                NEXT:
                if (span_left != '0) state <= FIND;
                else if (span != LAST_SPAN) begin
                    span <= span + 1'b1;
                    state <= LOAD;
                end else state <= ALL;
                default: ;
            endcase
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn | anew) passed <= '0;
        else if (hand_on) passed <= passed + 1'b1;
    end

    always_ff @(posedge aclk) begin
        case (state)
            LOAD: begin
                next <= TABLE[64*32'(span)+:COUNT];
                span_left <= TABLE[64*32'(span)+32+:COUNT];
            end
            FIND: at <= base + (64 - WORD_SHIFT)'(next >> PART_SHIFT);
            MEASURE: most <= (span_left < COUNT'(to_end)) ? BURST_BITS'(span_left) : to_end;
            BOUND: begin
                last <= next + COUNT'(most);
                words <= 5'((9'(first) + 9'(most) + ROUND_UP) >> PART_SHIFT);
            end
            WAIT:
            if (ask) begin
                next <= last;
                span_left <= span_left - COUNT'(most);
            end else if (is_short) most <= here;
            default: ;
        endcase
    end

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            m_axi_arvalid <= 1'b0;
            awaited <= '0;
        end else begin
            m_axi_arvalid <= ask | (m_axi_arvalid & ~m_axi_arready);
            awaited <= awaited + (ask ? {2'd0, words} : 7'd0) - {6'd0, come};
        end
        if (ask) begin
            m_axi_araddr <= {at, {WORD_SHIFT{1'b0}}};
            m_axi_arlen <= {3'd0, words - 5'd1};
        end
    end

    always_ff @(posedge aclk) begin
        if (~aresetn | clear) begin
            places <= PLACES;
            beats_left <= '0;
        end else begin
            places <= places - (ask ? {2'd0, words} : 7'd0) + {6'd0, release_place};
            if (load) beats_left <= asked_beats;
            else if (hand_on) beats_left <= beats_left - 1'b1;
        end
        if (load) part <= asked_part;
        else if (hand_on) part <= (part == LAST_PART) ? '0 : part + 1'b1;
    end

    bitsmith_fifo #(
        .WIDTH(WORD),
        .DEPTH(4 * BURST),
        .BLOCK(1'b0)
    ) come_words (
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

    bitsmith_fifo #(
        .WIDTH(PART_BITS + BURST_BITS),
        .DEPTH(8),
        .BLOCK(1'b0)
    ) asked_bursts (
        .clk     (aclk),
        .rst     (~aresetn | clear),
        .free    (free),
        .claim   (ask),
        .put     (ask),
        .put_data({first, most}),
        .valid   (asked),
        .take    (load),
        .data    ({asked_part, asked_beats})
    );
endmodule
