// SPDX-License-Identifier: Apache-2.0
// A position along one axis of bitsmith_window, and what it means there.
//
// SIZE, BEFORE, PADDED   tokens, zeros before them, and all with the zeros after
// REACH, STRIDE          where the first window ends, and positions from there to the next
// LAST                   the position of the frame's last action
// restart, enable        go to the first position, or to the next (after the last: the first)
module bitsmith_window_axis #(
    parameter int SIZE = 8,
    parameter int BEFORE = 0,
    parameter int PADDED = 8,
    parameter int REACH = 2,
    parameter int STRIDE = 1,
    parameter int LAST = 7
) (
    input  logic clk,
    input  logic restart,
    input  logic enable,
    output logic is_inside,
    output logic is_complete,
    output logic is_last,
    output logic is_edge
);
    localparam int BITS = $clog2(PADDED + 1);
    localparam int PHASE_BITS = (STRIDE > 1) ? $clog2(STRIDE) : 1;
    localparam logic [BITS-1:0] END = BITS'(LAST);
    localparam logic [BITS-1:0] EDGE = BITS'(PADDED - 1);
    localparam logic [BITS-1:0] ENTRY = BITS'(BEFORE - 1);  // in front of the first token
    localparam logic [BITS-1:0] EXIT = BITS'(BEFORE + SIZE - 1);
    localparam logic [BITS-1:0] REACHED = BITS'(REACH - 1);
    localparam logic [PHASE_BITS-1:0] PHASE = PHASE_BITS'(STRIDE - 1);

    logic [BITS-1:0] at;
    logic [PHASE_BITS-1:0] phase;  // positions since the last window, 0 until the first one
    logic reached;  // whether the first window's end is here or past

    assign is_last = at == END;
    assign is_edge = at == EDGE;
    assign is_complete = reached & (phase == '0);

    always_ff @(posedge clk) begin
        if (restart) at <= '0;
        else if (enable) at <= is_edge ? '0 : at + 1'b1;
    end

    generate
    // Comparisons for equality, one position ahead, are cheaper than those for order.
    if (SIZE == PADDED) begin : g_bare
        assign is_inside = 1'b1;
    end else begin : g_padded
        always_ff @(posedge clk) begin
            if (restart | (enable & is_edge)) is_inside <= BEFORE == 0;
            else if (enable & (at == ENTRY)) is_inside <= 1'b1;
            else if (enable & (at == EXIT)) is_inside <= 1'b0;
        end
    end

    if (REACH == 0) begin : g_point
        assign reached = 1'b1;
    end else begin : g_wide
        always_ff @(posedge clk) begin
            if (restart | (enable & is_edge)) reached <= 1'b0;
            else if (enable & (at == REACHED)) reached <= 1'b1;
        end
    end

    if (STRIDE > 1) begin : g_stride
        always_ff @(posedge clk) begin
            if (restart) phase <= '0;
            else if (enable) phase <= (is_edge | ~reached | phase == PHASE) ? '0 : phase + 1'b1;
        end
    end else begin : g_every
        assign phase = '0;
    end
    endgenerate
endmodule
