// bitsmith_beats_out gives all parts of all tokens, a part per cycle if no neighbour stalls, and TLAST with the last part of its token.
module formal_beats_out #(
    parameter int unsigned PARTS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WORDS = 3;
    localparam int unsigned WIDTH = 2;
    localparam int unsigned RESULTS = WORDS * PARTS;
    localparam int unsigned WORD = PARTS * WIDTH + 1;
    logic s_valid, s_ready, m_valid, m_ready, m_last;
    logic [7:0] given, taken;
    logic [WORD-1:0] s_data;
    logic [WIDTH-1:0] m_data;
    logic [WORDS*WORD-1:0] tokens;
    logic [RESULTS*(WIDTH+1)-1:0] expected;

    for (genvar k = 0; k < RESULTS; k++) begin : g_expected
        assign expected[(WIDTH+1)*k+:WIDTH] = tokens[(k/PARTS)*WORD+(k%PARTS)*WIDTH+:WIDTH];
        assign expected[(WIDTH+1)*k+WIDTH] = tokens[(k/PARTS)*WORD+PARTS*WIDTH] & 1'(k % PARTS == PARTS - 1);
    end

    formal_operand #(.TOKENS(WORDS), .WIDTH(WORD)) operand (
        .clk, .rst, .eager, .valid(s_valid), .data(s_data), .take(s_valid & s_ready), .tokens, .taken(given)
    );
    formal_taker #(.RESULTS(RESULTS), .WIDTH(WIDTH + 1), .BY(RESULTS + 1)) result (
        .clk, .rst, .eager, .cycle, .valid(m_valid), .ready(m_ready), .data({m_last, m_data}), .expected, .taken
    );
    bitsmith_beats_out #(.PARTS(PARTS), .WIDTH(WIDTH)) dut (
        .aclk(clk), .aresetn(~rst), .s_tvalid(s_valid), .s_tready(s_ready), .s_tdata(s_data[PARTS*WIDTH-1:0]),
        .s_tlast(s_data[WORD-1]), .m_tvalid(m_valid), .m_tready(m_ready), .m_tdata(m_data), .m_tlast(m_last)
    );
endmodule
