// bitsmith_beats_in gives all tokens of PARTS beats, one per PARTS cycles if no neighbour stalls.
module formal_beats_in #(
    parameter int unsigned PARTS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned RESULTS = 3;
    localparam int unsigned WIDTH = 2;
    localparam int unsigned BEATS = RESULTS * PARTS;
    logic s_valid, s_ready, m_valid, m_ready;
    logic [7:0] given, taken;
    logic [WIDTH-1:0] s_data;
    logic [PARTS*WIDTH-1:0] m_data;
    logic [BEATS*WIDTH-1:0] tokens;

    formal_operand #(.TOKENS(BEATS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(s_valid), .data(s_data), .take(s_valid & s_ready), .tokens, .taken(given)
    );
    formal_taker #(.RESULTS(RESULTS), .WIDTH(PARTS * WIDTH), .BY(BEATS + 1)) result (
        .clk, .rst, .eager, .cycle, .valid(m_valid), .ready(m_ready), .data(m_data), .expected(tokens), .taken
    );
    bitsmith_beats_in #(.PARTS(PARTS), .WIDTH(WIDTH)) dut (
        .aclk(clk), .aresetn(~rst), .s_tvalid(s_valid), .s_tready(s_ready), .s_tdata(s_data), .m_tvalid(m_valid),
        .m_tready(m_ready), .m_tdata(m_data)
    );
endmodule
