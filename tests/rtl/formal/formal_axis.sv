// bitsmith_axis around a core that cannot stall: nothing is lost, each TLAST comes with its sample, and a consumer that is always ready
// keeps the core fed in every cycle.
module formal_axis #(
    parameter int unsigned LATENCY = 1
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = LATENCY + 4;
    localparam int unsigned IN_WIDTH = 2;
    localparam int unsigned OUT_WIDTH = 9;
    logic s_valid, s_ready, m_valid, m_ready, m_last, core_rst, core_in_valid;
    (* anyseq *) logic [5:0] padding;
    logic [7:0] given, taken;
    logic [2:0] s_data;
    logic [15:0] m_data;
    logic [IN_WIDTH-1:0] core_in_data;
    logic [3*TOKENS-1:0] tokens;
    logic [17*TOKENS-1:0] expected;
    logic [LATENCY-1:0] valids;
    logic [LATENCY*OUT_WIDTH-1:0] words;

    function automatic logic [OUT_WIDTH-1:0] made(input logic [IN_WIDTH-1:0] x);
        made = {x[0], 6'd21, x};
    endfunction

    for (genvar k = 0; k < TOKENS; k++) begin : g_expected
        assign expected[17*k+:17] = {tokens[3*k+2], 7'd0, made(tokens[3*k+:IN_WIDTH])};
    end

    always_ff @(posedge clk) begin
        valids <= core_rst ? '0 : LATENCY'({valids, core_in_valid});
        words  <= (LATENCY * OUT_WIDTH)'({words, made(core_in_data)});
    end

    formal_operand #(.TOKENS(TOKENS), .WIDTH(3)) operand (
        .clk, .rst, .eager, .valid(s_valid), .data(s_data), .take(s_valid & s_ready), .tokens, .taken(given)
    );
    formal_taker #(.RESULTS(TOKENS), .WIDTH(17), .BY(TOKENS + LATENCY + 1)) result (
        .clk, .rst, .eager, .cycle, .valid(m_valid), .ready(m_ready), .data({m_last, m_data}), .expected, .taken
    );
    bitsmith_axis #(.IN_WIDTH(IN_WIDTH), .OUT_WIDTH(OUT_WIDTH), .LATENCY(LATENCY)) dut (
        .aclk(clk), .aresetn(~rst), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready), .s_axis_tdata({padding, s_data[1:0]}),
        .s_axis_tlast(s_data[2]), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready), .m_axis_tdata(m_data),
        .m_axis_tlast(m_last), .core_rst, .core_in_valid, .core_in_data,
        .core_out_valid(valids[LATENCY-1]), .core_out_data(words[LATENCY*OUT_WIDTH-1-:OUT_WIDTH])
    );

    always_ff @(posedge clk) begin
        if (!rst && eager) assert (s_ready);
    end
endmodule
