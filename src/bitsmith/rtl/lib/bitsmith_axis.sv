// SPDX-License-Identifier: Apache-2.0
// AXI4-Stream ports for a core that cannot stall.
//
// One transfer is one sample. TDATA holds the core's word in its low bits, padded with zeros to whole bytes; the padding
// of s_axis_tdata is ignored. TLAST comes out with the sample that it came in with.
//
// Back-pressure: a sample is accepted only when a place in the output buffer has been set aside for what it becomes, so
// nothing is lost however long m_axis_tready stays low. A place is free again LATENCY + 2 cycles after it was set
// aside; that many places keep the core fed in every cycle. A wrong LATENCY costs throughput, never data.
//
// IN_WIDTH, OUT_WIDTH   bits of the core's words
// LATENCY               cycles from the core's in_valid to its out_valid
// aresetn               synchronous, active low
module bitsmith_axis #(
    parameter int IN_WIDTH = 8,
    parameter int OUT_WIDTH = 8,
    parameter int LATENCY = 1,
    parameter int IN_PADDED = 8 * ((IN_WIDTH + 7) / 8),
    parameter int OUT_PADDED = 8 * ((OUT_WIDTH + 7) / 8)
) (
    input  logic                  aclk,
    input  logic                  aresetn,
    input  logic                  s_axis_tvalid,
    output logic                  s_axis_tready,
    input  logic [ IN_PADDED-1:0] s_axis_tdata,
    input  logic                  s_axis_tlast,
    output logic                  m_axis_tvalid,
    input  logic                  m_axis_tready,
    output logic [OUT_PADDED-1:0] m_axis_tdata,
    output logic                  m_axis_tlast,
    output logic                  core_rst,
    output logic                  core_in_valid,
    output logic [  IN_WIDTH-1:0] core_in_data,
    input  logic                  core_out_valid,
    input  logic [ OUT_WIDTH-1:0] core_out_data
);
    localparam int PLACES = LATENCY + 2;

    logic accept;
    logic deliver;
    logic [OUT_WIDTH-1:0] result;
    logic unused_free;
    logic unused_valid;

    assign core_rst = ~aresetn;
    assign accept = s_axis_tvalid & s_axis_tready;
    assign deliver = m_axis_tvalid & m_axis_tready;
    assign core_in_valid = accept;
    assign core_in_data = s_axis_tdata[IN_WIDTH-1:0];

    bitsmith_fifo #(
        .WIDTH(OUT_WIDTH),
        .DEPTH(PLACES),
        .BLOCK(1'b0)
    ) results (
        .clk     (aclk),
        .rst     (core_rst),
        .free    (s_axis_tready),
        .claim   (accept),
        .put     (core_out_valid),
        .put_data(core_out_data),
        .valid   (m_axis_tvalid),
        .take    (deliver),
        .data    (result)
    );

    // Each TLAST waits for its sample.
    bitsmith_fifo #(
        .WIDTH(1),
        .DEPTH(PLACES),
        .BLOCK(1'b0)
    ) lasts (
        .clk     (aclk),
        .rst     (core_rst),
        .free    (unused_free),
        .claim   (accept),
        .put     (accept),
        .put_data(s_axis_tlast),
        .valid   (unused_valid),
        .take    (deliver),
        .data    (m_axis_tlast)
    );

    always_comb begin
        m_axis_tdata = '0;
        m_axis_tdata[OUT_WIDTH-1:0] = result;
    end

    generate
    if (IN_PADDED > IN_WIDTH) begin : g_padding
        logic unused;
        assign unused = ^s_axis_tdata[IN_PADDED-1:IN_WIDTH];
    end
    endgenerate
endmodule
