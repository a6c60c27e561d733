// bitsmith_memory_fill with words of two beats and bursts of two words: whatever memory, producer and clear do, it takes the beats of one
// frame after the other, sends each once, to its place, by the rules of AXI4, and counts those that are confirmed. In eager runs memory
// has confirmed BY all beats that came, at whichever the producer stops.
module formal_memory_fill #(
    parameter int unsigned BEATS = 3,
    parameter int unsigned PATIENCE = 2,
    parameter int unsigned BY = 16
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = (BEATS + 1) / 2;
    localparam int unsigned COUNT = 5;
    (* anyconst *) logic [4:0] offered;  // beats of eager runs
    (* anyseq *) logic clears, comes, tells, sends, confirms, wrong, begins, stays;
    (* anyseq *) logic [3:0] place;
    (* anyseq *) logic [7:0] noise;
    logic anew, clear, still, active, busy, failed, begun, awvalid, awready, wvalid, wready, wlast, bvalid, bready, s_tvalid, s_tready;
    logic was_telling, was_sending, was_last, clearing, told;
    logic [62:0] base, from, at, next_at;  // words: of the frame, of the burst that is sent
    logic [63:0] awaddr, was_awaddr;
    logic [7:0] awlen, was_awlen, s_tdata;
    logic [15:0] wdata, was_data;
    logic [1:0] wstrb, was_strobe, left, now_left;
    logic [COUNT-1:0] written;
    logic [COUNT-1:0] limit;  // of a FIFO: there is room for a frame
    logic [4:0] given;
    logic [2:0] frame;
    logic [3:0] confirmed, accepted, ended;  // bursts
    logic [1:0] index;
    logic [2*WORDS-1:0] known, sent;  // bytes that memory has, and those not confirmed
    logic [2*WORDS-1:0][3:0] sent_in;

    bitsmith_memory_fill #(.BEAT(8), .WORD(16), .BEATS(BEATS), .COUNT(COUNT), .BURST(2), .PATIENCE(PATIENCE)) dut (
        .aclk(clk), .aresetn(~rst), .clear, .anew, .still, .active, .base(from), .busy, .failed, .begun, .written,
        .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen),
        .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata),
        .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp({wrong, 1'b0}),
        .s_tvalid, .s_tready, .s_tdata, .*
    );

    assign limit = COUNT'(BEATS);
    assign clear = ~eager & (clears | clearing);
    assign anew = clear | (eager ? cycle == 0 : begins & ~busy & (written == (begun ? BEATS : 0)));
    assign from = anew ? 63'(place) : base;
    assign still = clear | stays | (anew & ~begun);
    assign awready = eager | tells;
    assign wready = eager | sends;
    assign bvalid = (accepted != confirmed) & (ended != confirmed) & (eager | confirms);
    assign s_tvalid = eager ? given < offered : comes;
    assign s_tdata = (given < BEATS) ? {frame, given} : noise;
    assign told = awvalid & ~was_telling;  // of another burst, whose words come from now on
    assign next_at = told ? awaddr[63:1] : at;
    assign now_left = told ? awlen[1:0] + 2'd1 : left;
    assign index = 2'(next_at - base);

    always_ff @(posedge clk) begin
        if (eager) assume (~stays);
        was_telling <= ~rst & awvalid & ~awready;
        was_awaddr <= awaddr;
        was_awlen <= awlen;
        was_sending <= ~rst & wvalid & ~wready;
        was_data <= wdata;
        was_strobe <= wstrb;
        was_last <= wlast;
        clearing <= ~rst & clear & busy;
        base <= from;
        active <= ~rst & ~clear & (active | anew);
        if (rst) begin
            {given, frame, left, confirmed, accepted, ended, known, sent} <= '0;
        end else begin
            if (was_telling) assert (awvalid & (awaddr == was_awaddr) & (awlen == was_awlen));
            if (was_sending) assert (wvalid & (wdata == was_data) & (wstrb == was_strobe) & (wlast == was_last));
            if (bvalid) assert (bready);
            assert (failed == (bvalid & wrong));
            if (still | ~active) assert (~s_tready);
            assert (~awaddr[0] | ~awvalid);
            if (told) begin
                assert ((left == 0) & (awaddr[1] + awlen < 2));
                if (~clear) assert ((awaddr[63:1] >= base) & (awaddr[63:1] + awlen < base + WORDS));
            end
            assert (4'(accepted - confirmed) + 4'(awvalid) <= 7);
            assert ((wvalid == (now_left != 0)) & (wlast == (now_left == 1)));
            if (~busy) assert (~awvalid & ~wvalid & (confirmed == accepted) & (confirmed == ended));
            assert ((begun == (given != 0)) & (written <= given));
            for (int unsigned k = 0; k < 2 * WORDS; ++k) begin
                if (k < written) assert (known[k]);
                if (bvalid & sent[k] & (sent_in[k] == confirmed)) {known[k], sent[k]} <= 2'b10;
                if (wvalid & wready & (index == k / 2) & wstrb[k%2]) begin
                    if (~clearing & ~clear) assert ((k < given) & ~known[k] & ~sent[k] & (wdata[8*(k%2)+:8] == {frame, 5'(k)}));
                    sent[k] <= 1'b1;
                    sent_in[k] <= ended;
                end
            end
            at <= next_at + 63'(wvalid & wready);
            left <= now_left - 2'(wvalid & wready);
            accepted <= accepted + 4'(awvalid & awready);
            ended <= ended + 4'(wvalid & wready & wlast);
            confirmed <= confirmed + 4'(bvalid);
            given <= given + 5'(s_tvalid & s_tready);
            if (s_tready) assert (given < BEATS);
            if (eager & (cycle == BY)) assert ((written == given) & ((given == offered) | (given == BEATS)));
            if (anew) begin
                {given, known, sent} <= '0;
                frame <= frame + 3'd1;
            end
        end
    end
endmodule
