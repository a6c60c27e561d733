// bitsmith_memory_write with words of two beats: whatever memory, producer and clear do, it takes the beats that it was asked for, tells
// memory of bursts in order, sends each word once with the strobes of its beats, and is ready for another start after it was cleared.
// In eager runs memory has confirmed all words BY.
module formal_memory_write #(
    parameter int unsigned BEATS = 5,
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = (BEATS + 1) / 2;
    (* anyconst *) logic [7:0] place;
    (* anyconst *) logic [3:0] bytes;
    (* anyconst *) logic [16*WORDS-1:0] content;  // of the beats as they come
    (* anyseq *) logic starts, clears, comes, asked, taken, confirms, wrong;
    logic begins, clear, busy, failed, awvalid, awready, wvalid, wready, wlast, bvalid, bready, tvalid, tready, clearing;
    logic was_asking, was_sending, was_last;
    logic [63:0] address, awaddr, was_address;
    logic [7:0] awlen, was_length, tdata;
    logic [15:0] wdata, was_data;
    logic [1:0] bresp, wstrb, was_strobe;
    logic [7:0] wanted, given, told, sent, owed_first, owed_second;
    logic [WORDS-1:0] told_ends, sent_ends;  // words that end bursts

    bitsmith_memory_write #(.BEAT(8), .WORD(16)) dut (
        .aclk(clk), .aresetn(~rst), .clear, .start(begins), .address, .bytes(32'(bytes)), .busy, .failed,
        .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen),
        .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata),
        .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp(bresp),
        .s_tvalid(tvalid), .s_tready(tready), .s_tdata(tdata)
    );

    assign address = {50'd0, 5'd0, place, 1'b0};
    assign begins = eager ? cycle == 0 : starts & ~clear;
    assign clear = ~eager & (clears | clearing);
    assign awready = eager | asked;
    assign wready = eager | taken;
    // Memory confirms a burst of which it has been told and has all words.
    assign bvalid = (owed_first != 0) & (owed_second != 0) & (eager | confirms);
    assign bresp = {wrong, 1'b0};
    assign tvalid = eager | comes;
    assign tdata = content[8*given+:8];

    always_ff @(posedge clk) begin
        assume (bytes <= BEATS);
        was_asking <= ~rst & awvalid & ~awready;
        was_address <= awaddr;
        was_length <= awlen;
        was_sending <= ~rst & wvalid & ~wready;
        was_data <= wdata;
        was_strobe <= wstrb;
        was_last <= wlast;
        clearing <= ~rst & clear & busy;
        if (rst) begin
            {wanted, given, told, sent, owed_first, owed_second, told_ends, sent_ends} <= '0;
        end else begin
            if (was_asking) assert (awvalid & (awaddr == was_address) & (awlen == was_length));
            if (was_sending) assert (wvalid & (wdata == was_data) & (wstrb == was_strobe) & (wlast == was_last));
            if (bvalid) assert (bready);
            assert (failed == (bvalid & wrong));
            if (tready) assert (~clear & (given < wanted));
            if (~busy) begin
                assert ((given == wanted) | clearing);
                assert ((told == sent) & (owed_first == 0) & (owed_second == 0) & ~awvalid & ~wvalid);
                if (~clearing) assert (sent == (wanted + 8'd1) / 2);
            end
            if (awvalid) begin
                assert (awaddr == address + 64'(2 * told));
                assert ((awlen < 16) & (awaddr[4:1] + awlen < 16) & (2 * (told + awlen) < wanted));
            end
            if (wvalid) begin
                assert (sent < told + (awvalid ? awlen + 8'd1 : 8'd0));
                assert (2 * sent < given);
                assert (wstrb == {2 * sent + 8'd1 < wanted, 1'b1});
                assert (wdata[7:0] == content[16*sent+:8]);
                if (wstrb[1]) assert (wdata[15:8] == content[16*sent+8+:8]);
            end
            for (int k = 0; k < WORDS; ++k) if ((k < told) & (k < sent)) assert (told_ends[k] == sent_ends[k]);
            if (awvalid & awready) begin
                told <= told + awlen + 8'd1;
                told_ends <= told_ends | (WORDS'(1) << (told + awlen));
            end
            sent <= sent + (wvalid & wready);
            if (wvalid & wready & wlast) sent_ends <= sent_ends | (WORDS'(1) << sent);
            owed_first <= owed_first + (awvalid & awready) - bvalid;
            owed_second <= owed_second + (wvalid & wready & wlast) - bvalid;
            given <= given + (tvalid & tready);
            if (eager & (cycle == BY)) assert (~busy & (given == bytes));
            if (~busy & (clear | begins)) begin
                wanted <= begins ? bytes : 8'd0;
                {given, told, sent, told_ends, sent_ends} <= '0;
            end
        end
    end
endmodule
