// bitsmith_memory_read with words of two beats: whatever memory and consumer do, it asks for the words of each round in order, takes
// all that come, hands on the beats in order, and is ready for another start after it was cleared. In eager runs all is there BY.
module formal_memory_read #(
    parameter int unsigned ROUND = 6,
    parameter int unsigned BEATS = 9,
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = (BEATS + 1) / 2;
    (* anyconst *) logic [7:0] place;
    (* anyconst *) logic [3:0] bytes;
    (* anyconst *) logic [16*WORDS-1:0] content;  // of the words as they are asked for
    (* anyseq *) logic starts, clears, comes, takes, asked, wrong;
    (* anyseq *) logic [15:0] noise;
    logic begins, clear, busy, failed, arvalid, arready, rvalid, rready, tvalid, tready, was_asking, clearing;
    logic [63:0] address, araddr, was_address;
    logic [7:0] arlen, was_length, tdata, in_round;
    logic [15:0] rdata;
    logic [1:0] rresp;
    logic [7:0] wanted, told, came, given;
    logic [7:0] owed;

    bitsmith_memory_read #(.BEAT(8), .WORD(16), .ROUND(ROUND)) dut (
        .aclk(clk), .aresetn(~rst), .clear, .start(begins), .address, .bytes(32'(bytes)), .busy, .failed,
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready), .m_axi_rdata(rdata),
        .m_axi_rresp(rresp), .m_axi_rlast(1'b0), .m_tvalid(tvalid), .m_tready(tready), .m_tdata(tdata)
    );

    assign address = {50'd0, 5'd0, place, 1'b0};
    assign begins = eager ? cycle == 0 : starts & ~clear;
    assign clear = ~eager & (clears | clearing);
    assign arready = eager | asked;
    assign rvalid = (owed != 0) & (eager | comes);
    assign rdata = (came < WORDS) ? content[16*came+:16] : noise;
    assign rresp = {wrong, 1'b0};
    assign tready = eager | takes;
    assign in_round = (ROUND == 0) ? told : told % (ROUND / 2);

    always_ff @(posedge clk) begin
        assume (bytes <= BEATS);
        was_asking <= ~rst & arvalid & ~arready;
        was_address <= araddr;
        was_length <= arlen;
        clearing <= ~rst & clear & busy;
        if (rst) begin
            {wanted, told, came, given, owed} <= '0;
        end else begin
            owed <= owed + ((arvalid & arready) ? arlen + 8'd1 : 8'd0) - (rvalid & rready);
            if (was_asking) assert (arvalid & (araddr == was_address) & (arlen == was_length));
            if (rvalid) assert (rready);
            if (busy) assert (given <= wanted); else assert (((given == wanted) | clearing) & (owed == 0) & ~arvalid);
            assert (failed == (rvalid & wrong));
            if (arvalid & arready) begin
                assert (araddr == address + 64'(2 * in_round));
                assert ((arlen < 16) & (araddr[4:1] + arlen < 16));
                if (ROUND != 0) assert (in_round + arlen < ROUND / 2);
                told <= told + arlen + 8'd1;
            end
            came <= came + rvalid;
            if (tvalid) begin
                assert (~clear & (given < wanted));
                assert (tdata == content[8*given+:8]);
            end
            given <= given + (tvalid & tready);
            if (eager & (cycle == BY)) assert (~busy & (given == bytes));
            if (clear) assert (~tvalid);
            if (clear & ~busy) wanted <= given;
            if (begins & ~busy) begin
                wanted <= bytes;
                {told, came, given} <= '0;
            end
        end
    end
endmodule
