// bitsmith_async_fifo, with what no traffic shows of its crossings: one bit of a counter changes at a time, and the other side
// sees it after two registers.
module async_fifo_checked #(
    parameter int WIDTH = 8,
    parameter int ADDRESS_BITS = 4
) (
    input  logic             in_clk,
    input  logic             in_rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in_data,
    input  logic             out_clk,
    input  logic             out_rst,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out_data
);
    logic [ADDRESS_BITS:0] in_before, out_before, in_late[2], out_late[2];

    bitsmith_async_fifo #(.WIDTH(WIDTH), .ADDRESS_BITS(ADDRESS_BITS)) fifo (.*);

    always_ff @(posedge in_clk) begin
        in_before <= fifo.in_gray;
        out_late[0] <= fifo.out_gray;
        out_late[1] <= out_late[0];
        if (in_rst) begin
            in_before <= '0;
            out_late[0] <= '0;
            out_late[1] <= '0;
        end else begin
            if ($countones(in_before ^ fifo.in_gray) > 1) $display("error: several bits change at once on the way in");
            if (fifo.out_gray_seen != out_late[1]) $display("error: not two registers on the way back");
        end
    end

    always_ff @(posedge out_clk) begin
        out_before <= fifo.out_gray;
        in_late[0] <= fifo.in_gray;
        in_late[1] <= in_late[0];
        if (out_rst) begin
            out_before <= '0;
            in_late[0] <= '0;
            in_late[1] <= '0;
        end else begin
            if ($countones(out_before ^ fifo.out_gray) > 1) $display("error: several bits change at once on the way back");
            if (fifo.in_gray_seen != in_late[1]) $display("error: not two registers on the way in");
        end
    end
endmodule
