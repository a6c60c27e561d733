// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite registers behind two AXI4-Streams, where nothing but memory can be reached: a word in asks, a word out answers.
//
// s_tdata   bit 63: write, not read; bits 43 to 32: the address; bits 31 to 0: the value that is written
// m_tdata   the value that was read, 0 after a write
module bitsmith_commands (
    input  logic        aclk,
    input  logic        aresetn,
    input  logic        s_tvalid,
    output logic        s_tready,
    input  logic [63:0] s_tdata,
    output logic        m_tvalid,
    input  logic        m_tready,
    output logic [31:0] m_tdata,
    output logic [11:0] m_axi_awaddr,
    output logic        m_axi_awvalid,
    input  logic        m_axi_awready,
    output logic [31:0] m_axi_wdata,
    output logic [ 3:0] m_axi_wstrb,
    output logic        m_axi_wvalid,
    input  logic        m_axi_wready,
    input  logic [ 1:0] m_axi_bresp,
    input  logic        m_axi_bvalid,
    output logic        m_axi_bready,
    output logic [11:0] m_axi_araddr,
    output logic        m_axi_arvalid,
    input  logic        m_axi_arready,
    input  logic [31:0] m_axi_rdata,
    input  logic [ 1:0] m_axi_rresp,
    input  logic        m_axi_rvalid,
    output logic        m_axi_rready
);
    logic asked;
    logic offered;

    // One at a time: the next word is taken once the answer has left.
    assign offered = s_tvalid & ~asked & ~m_tvalid & aresetn;
    assign m_axi_awaddr = s_tdata[43:32];
    assign m_axi_wdata = s_tdata[31:0];
    assign m_axi_wstrb = 4'hf;
    assign m_axi_awvalid = offered & s_tdata[63];
    assign m_axi_wvalid = offered & s_tdata[63];
    assign m_axi_araddr = s_tdata[43:32];
    assign m_axi_arvalid = offered & ~s_tdata[63];
    assign s_tready = (m_axi_awvalid & m_axi_awready & m_axi_wready) | (m_axi_arvalid & m_axi_arready);
    assign m_axi_bready = asked;
    assign m_axi_rready = asked;

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            asked <= 1'b0;
            m_tvalid <= 1'b0;
        end else begin
            if (s_tready) asked <= 1'b1;
            else if (m_axi_bvalid | m_axi_rvalid) asked <= 1'b0;
            if (asked & (m_axi_bvalid | m_axi_rvalid)) begin
                m_tvalid <= 1'b1;
                m_tdata <= m_axi_rvalid ? m_axi_rdata : '0;
            end else if (m_tready) m_tvalid <= 1'b0;
        end
    end

    logic unused;
    assign unused = ^{s_tdata[62:44], m_axi_bresp, m_axi_rresp};
endmodule
