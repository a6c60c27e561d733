// SPDX-License-Identifier: Apache-2.0
// Reset of a clock domain from one that comes at any time: it begins at once, however short it is, and ends with the clock.
//
// STAGES   registers, at least 3: the reset lasts as many edges of the clock longer
// async_rst, rst   active high
module bitsmith_reset_sync #(
    parameter int STAGES = 3
) (
    input  logic clk,
    input  logic async_rst,
    output logic rst
);
    (* ASYNC_REG = "TRUE", altera_attribute = "-name SYNCHRONIZER_IDENTIFICATION FORCED_IF_ASYNCHRONOUS" *)
    logic [STAGES-2:0] chain;
    logic last;

    assign rst = last;

    always_ff @(posedge clk or posedge async_rst) begin
        if (async_rst) begin
            chain <= '1;
            last <= 1'b1;
        end else begin
            chain <= {chain[STAGES-3:0], 1'b0};
            last <= chain[STAGES-2];
        end
    end
endmodule
