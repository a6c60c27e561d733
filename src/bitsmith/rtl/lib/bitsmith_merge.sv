// Tokens of several operands as one stream, in a fixed order.
//
// A table outside says whose token is next: which for the action in the same cycle as index (a combinational table), or
// one cycle after next_index (a synchronous one). Results are put in the cycle of their action.
//
// OPERANDS   operands; number k has bit k of x_valid and x_take and the k-th WIDTH bits of x_data
// WIDTH      bits of a token
// ACTIONS    actions of a frame
module bitsmith_merge #(
    parameter int unsigned OPERANDS = 2,
    parameter int unsigned WIDTH = 8,
    parameter int unsigned ACTIONS = 8,
    localparam int unsigned WHICH_BITS = (OPERANDS > 1) ? $clog2(OPERANDS) : 1,
    localparam int unsigned INDEX_BITS = (ACTIONS > 1) ? $clog2(ACTIONS) : 1
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [      OPERANDS-1:0] x_valid,
    input  logic [OPERANDS*WIDTH-1:0] x_data,
    output logic [      OPERANDS-1:0] x_take,
    output logic [    INDEX_BITS-1:0] index,
    output logic [    INDEX_BITS-1:0] next_index,
    input  logic [    WHICH_BITS-1:0] which,
    input  logic                      y_free,
    output logic                      y_claim,
    output logic                      y_put,
    output logic [         WIDTH-1:0] y_data
);
    localparam logic [INDEX_BITS-1:0] LAST = INDEX_BITS'(ACTIONS - 1);

    logic there;

    assign y_claim = there & y_free;
    assign y_put = y_claim;

    always_comb begin
        there  = 1'b0;
        y_data = '0;
        x_take = '0;
        for (int unsigned k = 0; k < OPERANDS; ++k) begin
            if (which == WHICH_BITS'(k)) begin
                there = x_valid[k];
                y_data = x_data[k*WIDTH+:WIDTH];
                x_take[k] = x_valid[k] & y_free;
            end
        end
    end

    always_comb begin
        next_index = index;
        if (y_claim) next_index = (index == LAST) ? '0 : index + 1'b1;
        if (rst) next_index = '0;
    end

    always_ff @(posedge clk) index <= next_index;
endmodule
