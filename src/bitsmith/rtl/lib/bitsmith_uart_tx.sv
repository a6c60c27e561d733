// SPDX-License-Identifier: Apache-2.0
// Serial transmitter: 8 data bits, no parity, one stop bit, least significant bit first.
//
// CLOCKS_PER_BIT   clock cycles of one bit, at least 2
// ready            a byte is taken in each cycle in which valid and ready are both high
// tx               the line, idle high
module bitsmith_uart_tx #(
    parameter int CLOCKS_PER_BIT = 217
) (
    input  logic       clk,
    input  logic       rst,
    input  logic       valid,
    output logic       ready,
    input  logic [7:0] data,
    output logic       tx
);
    localparam int TIMER_BITS = $clog2(CLOCKS_PER_BIT + 1);
    localparam logic [TIMER_BITS-1:0] WHOLE = TIMER_BITS'(CLOCKS_PER_BIT - 1);

    logic [9:0] frame;  // what is still to be sent, the current bit lowest; ones after it
    logic [3:0] bits_left;
    logic [TIMER_BITS-1:0] timer;

    assign ready = bits_left == '0;
    assign tx = frame[0];

    always_ff @(posedge clk) begin
        if (rst) begin
            frame <= '1;
            bits_left <= '0;
            timer <= '0;
        end else if (ready) begin
            timer <= WHOLE;
            if (valid) begin
                frame <= {1'b1, data, 1'b0};
                bits_left <= 4'd10;
            end
        end else if (timer != '0) begin
            timer <= timer - 1'b1;
        end else begin
            timer <= WHOLE;
            frame <= {1'b1, frame[9:1]};
            bits_left <= bits_left - 1'b1;
        end
    end
endmodule
