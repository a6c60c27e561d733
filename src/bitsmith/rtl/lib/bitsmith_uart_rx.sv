// SPDX-License-Identifier: Apache-2.0
// Serial receiver: 8 data bits, no parity, one stop bit, least significant bit first.
//
// CLOCKS_PER_BIT   clock cycles of one bit, at least 4
// rx               the line, idle high; synchronized here
// valid            high for one cycle with each byte whose stop bit was there; other bytes are dropped
module bitsmith_uart_rx #(
    parameter int CLOCKS_PER_BIT = 217
) (
    input  logic       clk,
    input  logic       rst,
    input  logic       rx,
    output logic       valid,
    output logic [7:0] data
);
    localparam int TIMER_BITS = $clog2(CLOCKS_PER_BIT + 1);
    localparam logic [TIMER_BITS-1:0] WHOLE = TIMER_BITS'(CLOCKS_PER_BIT - 1);
    // The start bit's edge is seen two cycles late because of the synchronizer; bits are sampled at their middle.
    localparam logic [TIMER_BITS-1:0] HALF = TIMER_BITS'(CLOCKS_PER_BIT / 2 - 1);

    (* ASYNC_REG = "TRUE" *) logic [1:0] line;
    logic busy;
    logic [TIMER_BITS-1:0] timer;
    logic [3:0] bit_number;  // 0: start bit, 1 to 8: data, 9: stop bit

    always_ff @(posedge clk) begin
        line <= {line[0], rx};
        valid <= 1'b0;
        if (rst) begin
            busy <= 1'b0;
            timer <= '0;
            bit_number <= '0;
        end else if (~busy) begin
            busy <= ~line[1];
            timer <= HALF;
            bit_number <= '0;
        end else if (timer != '0) begin
            timer <= timer - 1'b1;
        end else begin
            timer <= WHOLE;
            bit_number <= bit_number + 1'b1;
            if (bit_number == 4'd0) begin
                busy <= ~line[1];  // high again: a glitch, not a start bit
            end else if (bit_number == 4'd9) begin
                busy <= 1'b0;
                valid <= line[1];
            end else begin
                data <= {line[1], data[7:1]};
            end
        end
    end
endmodule
