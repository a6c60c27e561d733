// bitsmith_memory_spans with bursts of two words, beside a memory: whatever memory, its errors, neighbours, start and clear do, it hands on
// the beats of the spans of each frame as they came, and is ready for another start after it was cleared. What memory gives is unknown
// from the cycle in which a word is sent until that burst is confirmed, also if only asked for meanwhile: nothing is read before it was
// written, and nothing is written before it was read.
module formal_memory_spans #(
    parameter int unsigned BEATS = 2,
    parameter int unsigned SPANS = 2,
    parameter logic [64*SPANS-1:0] TABLE = {32'd1, 32'd0, 32'd1, 32'd1}
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned READS = 2;  // bursts that memory takes before it has answered the first
    (* anyseq *) logic starts, clears, comes, takes, asks, tells, sends, confirms, answers, wrong_write, wrong_read, place;
    (* anyseq *) logic [3:0] noise;
    logic begins, start_now, clear, busy, failed, awvalid, awready, wvalid, wready, wlast, bvalid, bready, arvalid, arready, rvalid, rready;
    logic s_tvalid, s_tready, m_tvalid, m_tready, was_telling, was_asking, was_giving, clearing, running, told, ends;
    logic [63:0] awaddr, araddr;
    logic [7:0] awlen, arlen;
    logic [15:0] wdata, m_tdata;
    logic [1:0] base, at, next_at, left, now_left;
    logic [3:0] given, frame, wanted, confirmed, accepted, ended;
    logic [2:0] span, in_span, reads;
    logic [BEATS-1:0] known, sent;  // words of memory that are written, and those not confirmed
    logic [BEATS-1:0][3:0] sent_in, stored;
    logic [READS-1:0][1:0] read_at, read_left;
    logic [READS-1:0][BEATS-1:0] steady;  // words that were known all the time since they were asked for

    bitsmith_memory_spans #(
        .BEAT(16), .WORD(16), .BEATS(BEATS), .SPANS(SPANS), .TABLE(TABLE), .BURST(2), .PATIENCE(1)
    ) dut (
        .aclk(clk), .aresetn(~rst), .clear, .start(start_now), .address({62'd0, place, 1'b0}), .busy, .failed,
        .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen),
        .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata),
        .m_axi_wstrb(), .m_axi_wlast(wlast), .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp({wrong_write, 1'b0}),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready),
        .m_axi_rdata(16'(steady[0][read_at[0]] ? stored[read_at[0]] : noise)), .m_axi_rresp({wrong_read, 1'b0}),
        .m_axi_rlast(1'b0), .s_tvalid, .s_tready, .s_tdata(16'(given)), .m_tvalid, .m_tready, .m_tdata
    );

    assign start_now = starts;
    assign clear = clears | clearing;
    assign begins = start_now & ~busy & ~clear;
    assign awready = tells;
    assign wready = sends;
    assign bvalid = (accepted != confirmed) & (ended != confirmed) & confirms;
    assign arready = (reads != READS) & asks;
    assign rvalid = (reads != 0) & answers;
    assign s_tvalid = comes & (given != 15);
    assign m_tready = takes;
    assign wanted = frame + TABLE[64*span+:4] + 4'(in_span);
    assign told = awvalid & ~was_telling;  // of another burst, whose words come from now on
    assign next_at = told ? 2'(awaddr[2:1] - base) : at;
    assign now_left = told ? awlen[1:0] + 2'd1 : left;
    assign ends = rvalid & (read_left[0] == 1);

    always_ff @(posedge clk) begin
        base <= begins ? {1'b0, place} : base;
        was_telling <= ~rst & awvalid & ~awready;
        was_asking <= ~rst & arvalid & ~arready;
        was_giving <= ~rst & m_tvalid & ~m_tready;
        clearing <= ~rst & clear & busy;
        running <= ~rst & (begins | (running & ~(clear & ~busy)));
        if (rst) begin
            {given, frame, span, in_span, left, reads, confirmed, accepted, ended, known, sent} <= '0;
        end else begin
            if (was_giving & ~clear) assert (m_tvalid);
            assert (failed == ((bvalid & wrong_write) | (rvalid & wrong_read)));
            if (clear) assert (~s_tready & ~m_tvalid);
            if (~busy) begin
                assert (~awvalid & ~wvalid & ~arvalid & (left == 0) & (reads == 0));
                assert ((confirmed == accepted) & (confirmed == ended));
                assert (clearing | ((frame == given) & (span == 0) & (in_span == 0)));
            end

            if (awvalid | wvalid | arvalid | s_tready | m_tvalid) assert (running);
            if (awvalid) assert (awaddr[63:1] - 63'(base) + awlen < BEATS);
            if (arvalid) assert (araddr[63:1] - 63'(base) + arlen < BEATS);
            at <= next_at + 2'(wvalid & wready);
            left <= now_left - 2'(wvalid & wready);
            accepted <= accepted + 4'(awvalid & awready);
            ended <= ended + 4'(wvalid & wready & wlast);
            confirmed <= confirmed + 4'(bvalid);
            for (int unsigned k = 0; k < BEATS; ++k) begin
                if (bvalid & sent[k] & (sent_in[k] == confirmed)) {known[k], sent[k]} <= 2'b10;
                if (wvalid & wready & (next_at == k)) begin
                    {known[k], sent[k]} <= 2'b01;
                    sent_in[k] <= ended;
                    stored[k] <= wdata[3:0];
                end
            end
            given <= given + 4'(s_tvalid & s_tready);

            for (int unsigned k = 0; k < READS; ++k) begin
                steady[k] <= steady[k] & known;
                if (rvalid & (k == 0)) begin
                    read_at[0] <= read_at[0] + 2'd1;
                    read_left[0] <= read_left[0] - 2'd1;
                end
                if (ends & (k + 1 < READS)) begin
                    read_at[k] <= read_at[(k+1)%READS];
                    read_left[k] <= read_left[(k+1)%READS];
                    steady[k] <= steady[(k+1)%READS] & known;
                end
                if (arvalid & arready & (k == reads - 3'(ends))) begin
                    read_at[k] <= 2'(araddr[2:1] - base);
                    read_left[k] <= arlen[1:0] + 2'd1;
                    steady[k] <= known;
                end
            end
            reads <= reads + 3'(arvalid & arready) - 3'(ends);
            if (m_tvalid) assert ((m_tdata[3:0] == wanted) & (4'(given - wanted - 4'd1) < 8));
            if (m_tvalid & m_tready) begin
                in_span <= in_span + 3'd1;
                if (in_span + 3'd1 == TABLE[64*span+32+:3]) begin
                    in_span <= '0;
                    span <= (span + 1 == SPANS) ? 3'd0 : span + 3'd1;
                    if (span + 1 == SPANS) frame <= frame + 4'(BEATS);
                end
            end
            if (~busy & clear) begin
                frame <= given;
                {span, in_span} <= '0;
            end
            if (begins) {known, sent} <= '0;
        end
    end
endmodule
