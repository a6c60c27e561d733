// @top@ with AXI4-Stream ports. One transfer is one sample; words are in the low bits of TDATA.
// Input words have @in_width@ bits, output words @out_width@; latency of the core: @latency@ cycles.
module @name@ (
    input  logic aclk,
    input  logic aresetn,
    input  logic s_axis_tvalid,
    output logic s_axis_tready,
    input  logic [@in_tdata@-1:0] s_axis_tdata,
    input  logic s_axis_tlast,
    output logic m_axis_tvalid,
    input  logic m_axis_tready,
    output logic [@out_tdata@-1:0] m_axis_tdata,
    output logic m_axis_tlast@ports@
);
    logic core_rst;
    logic core_in_valid;
    logic [@in_width@-1:0] core_in_data;
    logic core_out_valid;
    logic [@out_width@-1:0] core_out_data;

    bitsmith_axis #(
        .IN_WIDTH(@in_width@),
        .OUT_WIDTH(@out_width@),
        .LATENCY(@latency@)
    ) ports (
        .aclk(aclk), .aresetn(aresetn), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .s_axis_tdata(s_axis_tdata), .s_axis_tlast(s_axis_tlast), .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready), .m_axis_tdata(m_axis_tdata), .m_axis_tlast(m_axis_tlast), .core_rst(core_rst),
        .core_in_valid(core_in_valid), .core_in_data(core_in_data), .core_out_valid(core_out_valid),
        .core_out_data(core_out_data)
    );

    @top@ core (
        .clk      (aclk),
        .rst      (core_rst),
        .in_valid (core_in_valid),
        .in_data  (core_in_data),
        .out_valid(core_out_valid),
        .out_data (core_out_data)@pins@
    );
endmodule
