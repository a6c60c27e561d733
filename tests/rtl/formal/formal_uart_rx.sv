// bitsmith_uart_rx gives each byte of a line once, four cycles after its stop bit at the latest. Between bytes the line is idle for any time.
module formal_uart_rx #(
    parameter int unsigned CLOCKS = 4
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 2;
    (* anyconst *) logic [8*TOKENS-1:0] tokens;
    (* anyseq *) logic comes;
    logic rx, valid;
    logic [7:0] since, data, begun, given;
    logic [9:0] frame;
    logic busy;

    assign frame = {1'b1, tokens[8*(begun-1)+:8], 1'b0};
    assign busy = since < 10 * CLOCKS;
    assign rx = busy ? frame[since/CLOCKS] : 1'b1;

    bitsmith_uart_rx #(.CLOCKS_PER_BIT(CLOCKS)) dut (.clk, .rst, .rx, .valid, .data);

    always_ff @(posedge clk) begin
        if (rst) begin
            since <= '1;
            begun <= '0;
            given <= '0;
        end else begin
            if ((since >= 10 * CLOCKS - 1) && begun != TOKENS && cycle > 2 && (comes | eager)) begin
                since <= '0;
                begun <= begun + 1'b1;
            end else begin
                since <= since + (since != '1);
            end
            if (valid) assert (given < begun && data == tokens[8*given+:8]);
            if (begun != 0 && since >= 10 * CLOCKS + 4) assert (given == begun);
            given <= given + valid;
        end
    end
endmodule
