// @top@ behind a serial port of @baud@ baud, 8N1, on a clock of @clk_hz@ Hz.
// Send the @in_bytes@ bytes of an input word (@in_width@ bits), least significant first; the @out_bytes@ bytes of the output
// word (@out_width@ bits) come back.
module @name@ (
    input  logic clk,
    input  logic uart_rx,
    output logic uart_tx
);
    logic core_rst;
    logic core_in_valid;
    logic [@in_width@-1:0] core_in_data;
    logic core_out_valid;
    logic [@out_width@-1:0] core_out_data;

    bitsmith_uart_shell #(
        .IN_WIDTH(@in_width@),
        .OUT_WIDTH(@out_width@),
        .CLK_HZ(@clk_hz@),
        .BAUD(@baud@)
    ) shell (
        .clk           (clk),
        .uart_rx       (uart_rx),
        .uart_tx       (uart_tx),
        .core_rst      (core_rst),
        .core_in_valid (core_in_valid),
        .core_in_data  (core_in_data),
        .core_out_valid(core_out_valid),
        .core_out_data (core_out_data)
    );

    @top@ core (
        .clk      (clk),
        .rst      (core_rst),
        .in_valid (core_in_valid),
        .in_data  (core_in_data),
        .out_valid(core_out_valid),
        .out_data (core_out_data)
    );
endmodule
