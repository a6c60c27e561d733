// SPDX-License-Identifier: Apache-2.0
// PARTS beats of an AXI4-Stream in a row as one token, the first in the lowest bits.
//
// PARTS   beats of a token, at least 2
// WIDTH   bits of a beat
module bitsmith_beats_in #(
    parameter int PARTS = 2,
    parameter int WIDTH = 8
) (
    input  logic                   aclk,
    input  logic                   aresetn,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    input  logic [      WIDTH-1:0] s_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready,
    output logic [PARTS*WIDTH-1:0] m_tdata
);
    localparam int PART_BITS = $clog2(PARTS);
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);

    logic [PART_BITS-1:0] part;
    logic take;

    assign s_tready = ~m_tvalid | m_tready;
    assign take = s_tvalid & s_tready;

    always_ff @(posedge aclk) begin
        if (~aresetn) begin
            part <= '0;
            m_tvalid <= 1'b0;
        end else begin
            if (take) part <= (part == LAST_PART) ? '0 : part + 1'b1;
            if (take & (part == LAST_PART)) m_tvalid <= 1'b1;
            else if (m_tready) m_tvalid <= 1'b0;
        end
    end

    always_ff @(posedge aclk) begin
        if (take) m_tdata <= {s_tdata, m_tdata[PARTS*WIDTH-1:WIDTH]};  // the first moves down as others come
    end
endmodule
