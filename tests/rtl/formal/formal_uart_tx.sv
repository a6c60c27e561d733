// bitsmith_uart_tx: each bit of a frame is on the line for CLOCKS cycles from the cycle after the byte was taken; it is idle between frames.
module formal_uart_tx #(
    parameter int unsigned CLOCKS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned TOKENS = 2;
    logic valid, ready, tx;
    logic [7:0] given, data, since;
    logic [8*TOKENS-1:0] tokens;
    logic [9:0] frame;

    formal_operand #(.TOKENS(TOKENS), .WIDTH(8)) operand (
        .clk, .rst, .eager, .valid, .data, .take(valid & ready), .tokens, .taken(given)
    );
    bitsmith_uart_tx #(.CLOCKS_PER_BIT(CLOCKS)) dut (.clk, .rst, .valid, .ready, .data, .tx);

    always_ff @(posedge clk) begin
        if (rst) begin
            since <= '1;
        end else begin
            assert (tx == ((since < 10 * CLOCKS) ? frame[since/CLOCKS] : 1'b1));
            assert (ready == (since >= 10 * CLOCKS));
            if (valid & ready) begin
                since <= '0;
                frame <= {1'b1, data, 1'b0};
            end else begin
                since <= since + (since != '1);
            end
        end
    end
endmodule
