// SPDX-License-Identifier: Apache-2.0
// Writes the beats of a frame to memory in order, and reads spans of them back, as an AXI4 master.
//
// What is read was acknowledged by memory. The next frame is taken when all spans of this one are read; it begins at the same
// address. Where the only span is the whole frame, a beat of the next one is taken as soon as its place is read, once this one is
// written. A beat comes back at most 90 cycles, and the time that memory takes, after it was taken, if it is waited for.
//
// BEAT      bits of a beat, a power of two from 8 on
// WORD      bits of a word of memory: some beats, the first in the lowest bits
// BEATS     of a frame
// SPANS     that are read in order
// TABLE     of each span its first beat and the number of its beats, 32 bits each; those of the first span in the lowest bits
// BURST     words of a burst at most, a power of two: 16 or, for proofs, fewer
// PATIENCE  cycles after which words that wait are written, up to 32
// clear     forgets all beats; has to last until busy is low, since bursts that have begun are ended
// start     takes address, unless it is busy: no beat is taken before
// address   of the first beat, at the beginning of a word
// busy      a frame is under way, or memory has to answer
// failed    for a cycle with each answer of memory that is an error
module bitsmith_memory_spans #(
    parameter int BEAT = 8,
    parameter int WORD = 32,
    parameter int BEATS = 16,
    parameter int SPANS = 1,
    parameter logic [64*SPANS-1:0] TABLE = {32'd16, 32'd0},
    parameter int BURST = 16,
    parameter int PATIENCE = 32
) (
    input  logic              aclk,
    input  logic              aresetn,
    input  logic              clear,
    input  logic              start,
    input  logic [      63:0] address,
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
    output logic              m_axi_arvalid,
    input  logic              m_axi_arready,
    output logic [      63:0] m_axi_araddr,
    output logic [       7:0] m_axi_arlen,
    input  logic              m_axi_rvalid,
    output logic              m_axi_rready,
    input  logic [  WORD-1:0] m_axi_rdata,
    input  logic [       1:0] m_axi_rresp,
    input  logic              m_axi_rlast,
    input  logic              s_tvalid,
    output logic              s_tready,
    input  logic [  BEAT-1:0] s_tdata,
    output logic              m_tvalid,
    input  logic              m_tready,
    output logic [  BEAT-1:0] m_tdata
);
    localparam int WORD_SHIFT = $clog2(WORD / 8);
    localparam int COUNT = (BEATS < 4096) ? 13 : $clog2(BEATS + 1) + 1;  // bits of a number of beats, and one more
    localparam logic [COUNT-1:0] ALL = COUNT'(BEATS);
    localparam logic IN_ORDER = (SPANS == 1) & (TABLE[63:0] == {BEATS[31:0], 32'd0});

    logic active;
    logic begins;
    logic done;  // a frame is written and read
    logic fill_done;
    logic walk_done;
    logic ahead;  // the writer is in the frame after the one that is read
    logic begun;
    logic walked;
    logic write_busy;
    logic read_busy;
    logic write_failed;
    logic read_failed;
    logic [COUNT-1:0] written;
    logic [COUNT-1:0] passed;  // beats that were read and handed on
    logic [63-WORD_SHIFT:0] held;
    logic [63-WORD_SHIFT:0] base;
    logic unused;

    assign begins = start & ~busy & ~clear;
    assign done = walked & (written == ALL);
    assign fill_done = IN_ORDER ? (written == ALL) & ~ahead : done;
    assign walk_done = IN_ORDER ? walked & ahead : done;
    assign busy = write_busy | read_busy | (active & (begun | ahead));
    assign failed = write_failed | read_failed;
    assign base = begins ? address[63:WORD_SHIFT] : held;
    assign unused = ^address[WORD_SHIFT-1:0];

    always_ff @(posedge aclk) begin
        if (~aresetn | clear) active <= 1'b0;
        else if (begins) active <= 1'b1;
        if (~aresetn | clear) ahead <= 1'b0;
        else if (IN_ORDER) ahead <= (ahead | fill_done) & ~walk_done;
    end

    always_ff @(posedge aclk) held <= base;

    bitsmith_memory_fill #(
        .BEAT(BEAT), .WORD(WORD), .BEATS(BEATS), .COUNT(COUNT), .BURST(BURST), .PATIENCE(PATIENCE)
    ) fill (
        .aclk(aclk), .aresetn(aresetn), .clear(clear),
        .anew(clear | begins | fill_done),
        .limit(ahead ? passed : ALL),
        .still(clear | start),
        .active(active),
        .base(base),
        .busy(write_busy),
        .failed(write_failed),
        .begun(begun), .written(written), .m_axi_awvalid(m_axi_awvalid), .m_axi_awready(m_axi_awready),
        .m_axi_awaddr(m_axi_awaddr), .m_axi_awlen(m_axi_awlen), .m_axi_wvalid(m_axi_wvalid),
        .m_axi_wready(m_axi_wready), .m_axi_wdata(m_axi_wdata), .m_axi_wstrb(m_axi_wstrb), .m_axi_wlast(m_axi_wlast),
        .m_axi_bvalid(m_axi_bvalid), .m_axi_bready(m_axi_bready), .m_axi_bresp(m_axi_bresp), .s_tvalid(s_tvalid),
        .s_tready(s_tready), .s_tdata(s_tdata)
    );

    bitsmith_memory_walk #(
        .BEAT(BEAT), .WORD(WORD), .SPANS(SPANS), .TABLE(TABLE), .COUNT(COUNT), .BURST(BURST)
    ) walk (
        .aclk(aclk), .aresetn(aresetn), .clear(clear),
        .anew(clear | begins | walk_done),
        .active(active),
        .base(held),
        .written(ahead ? ALL : written),
        .passed(passed),
        .busy(read_busy),
        .failed(read_failed),
        .walked(walked), .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_araddr(m_axi_araddr),
        .m_axi_arlen(m_axi_arlen), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready), .m_axi_rdata(m_axi_rdata),
        .m_axi_rresp(m_axi_rresp), .m_axi_rlast(m_axi_rlast), .m_tvalid(m_tvalid), .m_tready(m_tready),
        .m_tdata(m_tdata)
    );
endmodule
