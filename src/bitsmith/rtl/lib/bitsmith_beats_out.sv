// SPDX-License-Identifier: Apache-2.0
// A token as PARTS beats of an AXI4-Stream, its lowest bits first. The last beat of a token with TLAST has TLAST.
//
// PARTS   beats of a token, at least 2
// WIDTH   bits of a beat
module bitsmith_beats_out #(
    parameter int PARTS = 2,
    parameter int WIDTH = 8
) (
    input  logic                   aclk,
    input  logic                   aresetn,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    input  logic [PARTS*WIDTH-1:0] s_tdata,
    input  logic                   s_tlast,
    output logic                   m_tvalid,
    input  logic                   m_tready,
    output logic [      WIDTH-1:0] m_tdata,
    output logic                   m_tlast
);
    localparam int PART_BITS = $clog2(PARTS);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);

    logic [PART_BITS-1:0] part;
    logic [PARTS*WIDTH-1:0] held;
    logic last;
    logic take;

    assign s_tready = ~m_tvalid | (m_tready & (part == LAST_PART));
    assign take = s_tvalid & s_tready;
    assign m_tdata = held[WIDTH-1:0];
    assign m_tlast = last & (part == LAST_PART);

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            part <= '0;
            m_tvalid <= 1'b0;
        end else begin
            if (m_tvalid & m_tready) part <= (part == LAST_PART) ? '0 : part + 1'b1;
            if (take) m_tvalid <= 1'b1;
            else if (m_tready & (part == LAST_PART)) m_tvalid <= 1'b0;
        end
    end

    always_ff @(posedge aclk) begin
        if (take) begin
            held <= s_tdata;
            last <= s_tlast;
        end else if (m_tready) begin
            held <= held >> WIDTH;
        end
    end
endmodule
