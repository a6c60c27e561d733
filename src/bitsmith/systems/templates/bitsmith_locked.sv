// SPDX-License-Identifier: Apache-2.0
// A reset of all that has the clock of a PLL: until the PLL is locked, and again when it is no longer.
module bitsmith_locked (
    input  logic clk,
    input  logic locked,
    output logic reset
);
    logic [2:0] waits;

    assign reset = waits[2];

    always_ff @(posedge clk or negedge locked) begin
        if (!locked) waits <= '1;
        else waits <= {waits[1:0], 1'b0};
    end
endmodule
