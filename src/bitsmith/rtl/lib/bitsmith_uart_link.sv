// SPDX-License-Identifier: Apache-2.0
// A serial port that carries frames of bytes, and the reset of the circuit after it. For bringing a design up on any board.
//
// The host sends the FRAME_BYTES bytes of a frame, and the next frame after it has the answer. Bytes come out with their number
// in the frame. A frame that stays incomplete while the line is idle for IDLE_BITS bit times is forgotten, and the circuit is
// reset, so a host can always start afresh. A break, which is a line that is low for BREAK_BITS bit times, resets it, too.
//
// CLK_HZ, BAUD   frequency of clk and bit rate of the line (8N1); CLK_HZ / BAUD at least 4
// rst            high for 16 cycles after configuration, when a frame is forgotten, and after a break
// examine        not if a frame was forgotten
// asked          after a break
// in_valid       high for one cycle with each byte received; nothing holds the host back
// out_*          bytes to be sent, ready/valid
module bitsmith_uart_link #(
    parameter int CLK_HZ = 25_000_000,
    parameter int BAUD = 115_200,
    parameter int IDLE_BITS = 1000,
    parameter int BREAK_BITS = 20,
    parameter int FRAME_BYTES = 1,
    parameter int NUMBER_BITS = (FRAME_BYTES > 1) ? $clog2(FRAME_BYTES) : 1
) (
    input  logic                   clk,
    input  logic                   uart_rx,
    output logic                   uart_tx,
    output logic                   rst,
    output logic                   examine,
    output logic                   asked,
    output logic                   in_valid,
    output logic [            7:0] in_data,
    output logic [NUMBER_BITS-1:0] in_number,
    input  logic                   out_valid,
    output logic                   out_ready,
    input  logic [            7:0] out_data
);
    localparam int CLOCKS_PER_BIT = (CLK_HZ + BAUD / 2) / BAUD;
    localparam int IDLE_CLOCKS = IDLE_BITS * CLOCKS_PER_BIT;
    localparam int IDLE_COUNT_BITS = $clog2(IDLE_CLOCKS + 1);
    localparam logic [IDLE_COUNT_BITS-1:0] IDLE = IDLE_COUNT_BITS'(IDLE_CLOCKS);
    localparam int BREAK_CLOCKS = BREAK_BITS * CLOCKS_PER_BIT;
    localparam int BREAK_COUNT_BITS = $clog2(BREAK_CLOCKS + 1);
    localparam logic [BREAK_COUNT_BITS-1:0] BREAK = BREAK_COUNT_BITS'(BREAK_CLOCKS);
    localparam logic [NUMBER_BITS-1:0] LAST = NUMBER_BITS'(FRAME_BYTES - 1);

    logic [IDLE_COUNT_BITS-1:0] idle;
    logic forget;
    logic starts_break;
    logic [BREAK_COUNT_BITS-1:0] low;

    // There is no reset pin: the configuration of the part sets this counter to zero.
    logic [4:0] age;
    assign rst = ~age[4];
    initial age = '0;
    initial examine = 1'b1;
    initial asked = 1'b0;
    always @(posedge clk) begin
        if (starts_break) begin
            age <= '0;
            examine <= 1'b1;
            asked <= 1'b1;
        end else if (rst) begin
            age <= age + 1'b1;
        end else if (forget) begin
            age <= '0;
            examine <= 1'b0;
        end
    end

    // How long the line has been low is not reset: a break is one, however long it is.
    (* ASYNC_REG = "TRUE" *) logic [1:0] line;
    initial low = '0;
    always @(posedge clk) begin
        line <= {line[0], uart_rx};
        if (line[1]) low <= '0;
        else if (low != BREAK) low <= low + 1'b1;
    end
    assign starts_break = (low == BREAK - 1'b1) & ~line[1];

    assign forget = idle == IDLE;

    always_ff @(posedge clk) begin
        if (rst) begin
            in_number <= '0;
            idle <= '0;
        end else if (in_valid) begin
            in_number <= (in_number == LAST) ? '0 : in_number + 1'b1;
            idle <= '0;
        end else if (in_number != '0) begin
            idle <= idle + 1'b1;
        end
    end

    bitsmith_uart_rx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) receiver (
        .clk  (clk),
        .rst  (rst | (low == BREAK)),
        .rx   (uart_rx),
        .valid(in_valid),
        .data (in_data)
    );

    bitsmith_uart_tx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) transmitter (
        .clk  (clk),
        .rst  (rst),
        .valid(out_valid),
        .ready(out_ready),
        .data (out_data),
        .tx   (uart_tx)
    );
endmodule
