// bitsmith_memory_walk with words of two beats and bursts of two words: whatever memory, consumer and clear do, and however beats become
// written, it asks for words of the frame by the rules of AXI4, hands on the beats of all spans in order, and none that was not written
// when it was asked for. In eager runs all beats that wait for no other are there BY.
module formal_memory_walk #(
    parameter int unsigned BEATS = 3,
    parameter int unsigned SPANS = 2,
    parameter logic [64*SPANS-1:0] TABLE = {32'd2, 32'd1, 32'd2, 32'd0},
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = (BEATS + 1) / 2;
    localparam int unsigned COUNT = 7;
    localparam int unsigned READS = 3;  // bursts that memory takes before it has answered the first
    (* anyconst *) logic [4:0] offered;  // beats that are written in eager runs
    (* anyseq *) logic clears, takes, asks, answers, wrong, begins, writes;
    (* anyseq *) logic [3:0] place;
    (* anyseq *) logic [15:0] noise;
    logic anew, clear, active, busy, failed, walked, arvalid, arready, rvalid, rready, m_tvalid, m_tready, was_asking, was_giving, clearing;
    logic ends;
    logic [62:0] base;
    logic [63:0] araddr, was_araddr;
    logic [7:0] arlen, was_arlen, m_tdata, wanted, offset;
    logic [15:0] rdata;
    logic [COUNT-1:0] written;
    logic [COUNT-1:0] passed;  // by a FIFO
    logic [2:0] frame, reads;
    logic [3:0] span, in_span;
    logic [READS-1:0][3:0] at;
    logic [READS-1:0][1:0] left;
    logic [READS-1:0][COUNT-1:0] there;  // beats that were written when memory was asked

    bitsmith_memory_walk #(.BEAT(8), .WORD(16), .SPANS(SPANS), .TABLE(TABLE), .COUNT(COUNT), .BURST(2)) dut (
        .aclk(clk), .aresetn(~rst), .clear, .anew, .active, .base, .written, .busy, .failed, .walked,
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready), .m_axi_rdata(rdata),
        .m_axi_rresp({wrong, 1'b0}), .m_axi_rlast(1'b0), .m_tvalid, .m_tready, .m_tdata, .*
    );

    assign clear = ~eager & (clears | clearing);
    assign anew = clear | (eager ? cycle == 0 : begins & (active ? walked & (written == BEATS) : 1'b1));
    assign arready = (reads != READS) & (eager | asks);
    assign rvalid = (reads != 0) & (eager | answers);
    assign m_tready = eager | takes;
    assign wanted = TABLE[64*span+:8] + in_span;
    assign offset = 8'(araddr[63:1] - base);
    assign ends = rvalid & (left[0] == 1);

    always_comb
        for (int unsigned k = 0; k < 2; ++k)
            rdata[8*k+:8] = (2 * at[0] + k < there[0]) ? {frame, 5'(2 * at[0] + k)} : noise[8*k+:8];

    always_ff @(posedge clk) begin
        was_asking <= ~rst & arvalid & ~arready;
        was_araddr <= araddr;
        was_arlen <= arlen;
        was_giving <= ~rst & m_tvalid & ~m_tready;
        clearing <= ~rst & clear & busy;
        active <= ~rst & ~clear & (active | anew);
        if (anew) base <= 63'(place);
        written <= (rst | anew) ? '0 : written + COUNT'(active & (written < (eager ? offered : BEATS)) & (eager | writes) & (written < BEATS));
        if (rst) begin
            {frame, reads, span, in_span} <= '0;
        end else begin
            if (was_asking) assert (arvalid & (araddr == was_araddr) & (arlen == was_arlen));
            if (was_giving & ~clear) assert (m_tvalid);
            if (rvalid) assert (rready);
            assert (failed == (rvalid & wrong));
            if (clear) assert (~m_tvalid);
            if (~busy) assert (~arvalid & (reads == 0));
            if (arvalid) begin
                assert (~araddr[0] & (araddr[1] + arlen < 2));
                if (~clear) assert ((araddr[63:1] >= base) & (araddr[63:1] + arlen < base + WORDS));
            end
            for (int unsigned k = 0; k < READS; ++k) begin
                if (rvalid & (k == 0)) begin
                    at[0] <= at[0] + 4'd1;
                    left[0] <= left[0] - 2'd1;
                end
                if (ends & (k + 1 < READS)) begin
                    at[k] <= at[(k+1)%READS];
                    left[k] <= left[(k+1)%READS];
                    there[k] <= there[(k+1)%READS];
                end
                if (arvalid & arready & (k == reads - ends)) begin
                    at[k] <= offset[3:0];
                    left[k] <= arlen[1:0] + 2'd1;
                    there[k] <= written;
                end
            end
            reads <= reads + 3'(arvalid & arready) - 3'(ends);
            if (m_tvalid) assert ((wanted < written) & (span < SPANS) & (m_tdata == {frame, 5'(wanted)}));
            if (active) assert (walked == (span == SPANS));
            if (m_tvalid & m_tready) begin
                in_span <= in_span + 4'd1;
                if (in_span + 4'd1 == TABLE[64*span+32+:8]) begin
                    in_span <= '0;
                    span <= span + 4'd1;
                end
            end
            if (eager & (cycle == BY)) assert ((span == SPANS) | (wanted >= offered));
            if (anew) begin
                frame <= frame + 3'd1;
                {span, in_span} <= '0;
            end
        end
    end
endmodule
