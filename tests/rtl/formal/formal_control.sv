// bitsmith_control: each access is answered once, reads give what a plain list of registers has, and a reset takes 16 cycles, or until
// hold is low.
module formal_control (
    input logic clk
);
    `include "formal_start.svh"
    localparam logic [31:0] VERSION = 32'h10203, LATENCY = 32'd77, INTERVAL = 32'd55;
    localparam logic [63:0] DIGEST = 64'h0123456789abcdef;
    localparam logic [127:0] SHAPES = {32'd4, 32'd10, 32'd2, 32'd64};
    (* anyseq *) logic awvalid, wvalid, bready, arvalid, rready, frame_in, frame_out, misplaced, hold, busy;
    (* anyseq *) logic [11:0] awaddr, araddr;
    (* anyseq *) logic [31:0] wdata, value_counted, value_above;
    (* anyseq *) logic [3:0] wstrb;
    logic awready, wready, bvalid, arready, rvalid, core_resetn, clear, written;
    logic [1:0] bresp, rresp;
    logic [3:0] page, paged;
    logic [31:0] rdata, packet_frames;

    bitsmith_control #(
        .VERSION(VERSION), .DIGEST(DIGEST), .LATENCY(LATENCY), .INTERVAL(INTERVAL), .INPUTS(1), .OUTPUTS(1), .SHAPES(SHAPES)
    ) dut (
        .aclk(clk), .aresetn(~rst), .s_axi_awaddr(awaddr), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
        .s_axi_wdata(wdata), .s_axi_wstrb(wstrb), .s_axi_wvalid(wvalid), .s_axi_wready(wready), .s_axi_bresp(bresp),
        .s_axi_bvalid(bvalid), .s_axi_bready(bready), .s_axi_araddr(araddr), .s_axi_arvalid(arvalid),
        .s_axi_arready(arready), .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
        .core_resetn, .clear, .page, .frame_in, .frame_out, .misplaced, .packet_frames, .hold, .busy, .written, .value_counted, .value_above
    );

    logic writes, reads, owes_answer, owes_data, in_reset, running, was_rst, seen;
    logic [7:0] since;  // cycles since the last reset by a write
    logic [31:0] packet, taken, given, wanted, mask;

    assign writes = awvalid & awready;
    assign reads = arvalid & arready;
    assign in_reset = since < 16;
    assign mask = {{8{wstrb[3]}}, {8{wstrb[2]}}, {8{wstrb[1]}}, {8{wstrb[0]}}};

    // The reset of the network is a register: it and what it resets are a cycle late.
    always_ff @(posedge clk) begin
        was_rst <= rst;
        running <= ~rst & ~in_reset;
        taken <= running ? taken + frame_in : '0;
        given <= running ? given + frame_out : '0;
        seen <= running & (seen | misplaced);
    end
    always_comb assume (~(was_rst & arvalid));

    always_ff @(posedge clk) begin
        if (rst) begin
            owes_answer <= 1'b0;
            owes_data <= 1'b0;
            since <= '1;
            packet <= 32'd1;
            paged <= '0;
        end else begin
            assert (awready == wready);
            assert (~awready | (awvalid & wvalid & ~owes_answer));
            assert (awready | ~(awvalid & wvalid) | owes_answer);
            assert (bvalid == owes_answer && rvalid == owes_data);
            assert (arready | owes_data);
            assert (bresp == 0 && rresp == 0);
            assert (core_resetn == running);
            assert (packet_frames == packet && page == paged);
            if (rvalid) assert (rdata == wanted);
            owes_answer <= writes | (owes_answer & ~bready);
            owes_data <= reads | (owes_data & ~rready);
            assert (written == (writes && awaddr[11]));
            assert (clear == (writes && awaddr[11:2] == 4 && wstrb[0] && wdata[1]));
            since <= (writes && awaddr[11:2] == 4 && wstrb[0] && wdata[0]) ? '0 : since + (since != '1 && !(since == 15 && hold));
            if (writes && awaddr[11:2] == 12 && wstrb[0]) paged <= wdata[3:0];
            if (writes && awaddr[11:2] == 10) packet <= (packet & ~mask) | (wdata & mask);
            if (reads) begin
                case ({araddr[11:2], 2'b00})
                    12'h00: wanted <= 32'h62736d74;
                    12'h04: wanted <= VERSION;
                    12'h08: wanted <= DIGEST[31:0];
                    12'h0c: wanted <= DIGEST[63:32];
                    12'h14: wanted <= {30'd0, seen, in_reset | ~running | busy};
                    12'h18: wanted <= LATENCY;
                    12'h1c: wanted <= INTERVAL;
                    12'h20: wanted <= taken;
                    12'h24: wanted <= given;
                    12'h30: wanted <= {28'd0, paged};
                    12'h28: wanted <= packet;
                    12'h2c: wanted <= 32'h10001;
                    12'h40: wanted <= SHAPES[31:0];
                    12'h44: wanted <= SHAPES[63:32];
                    12'h48: wanted <= SHAPES[95:64];
                    12'h4c: wanted <= SHAPES[127:96];
                    default: wanted <= araddr[10] ? value_counted : araddr[11] ? value_above : '0;
                endcase
            end
        end
    end
endmodule
