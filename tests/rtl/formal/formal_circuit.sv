// A written circuit of one input and one output, which gives what EXPECTED has for each of FRAMES arbitrary frames, in order.
// Neighbours stall as they like for the first STALLS cycles after a reset, and never later; then all results come within BY cycles.
// A second reset may come in any of the first AGAIN cycles, after which all is as after the first one.
module formal_circuit #(
    parameter int unsigned FRAMES = 2,
    parameter int unsigned TOKENS = 1,
    parameter int unsigned WIDTH = 4,
    parameter int unsigned RESULTS = 1,
    parameter int unsigned RESULT = 4,
    parameter logic [(RESULTS*RESULT<<TOKENS*WIDTH)-1:0] EXPECTED = '0,
    parameter int unsigned STALLS = 4,
    parameter int unsigned BY = 40,
    parameter int unsigned AGAIN = 0
) (
    input logic clk
);
    localparam int unsigned FRAME = TOKENS * WIDTH;
    localparam int unsigned GIVEN = RESULTS * RESULT;
    (* anyconst *) logic [7:0] again;
    logic first, never_stalls, rst, calm, x_valid, x_ready, y_valid, y_ready, y_last;
    logic [7:0] total, cycle, taken, given;
    logic [WIDTH-1:0] x_data;
    logic [RESULT-1:0] y_data;
    logic [FRAMES*FRAME-1:0] tokens;
    logic [FRAMES*GIVEN-1:0] expected;

    formal_start start (.clk, .rst(first), .eager(never_stalls), .cycle(total));
    assign rst = first | ((total == again) & (again < AGAIN));
    assign calm = never_stalls | (cycle >= STALLS);

    always_ff @(posedge clk) begin
        cycle <= rst ? '0 : cycle + 1'b1;
        if (!rst & y_valid) assert (y_last == (given % RESULTS == RESULTS - 1));
    end

    for (genvar k = 0; k < FRAMES; ++k) begin : g_frame
        assign expected[k*GIVEN+:GIVEN] = EXPECTED[tokens[k*FRAME+:FRAME]*GIVEN+:GIVEN];
    end
    formal_operand #(.TOKENS(FRAMES * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager(calm), .valid(x_valid), .data(x_data), .take(x_valid & x_ready), .tokens, .taken
    );
    formal_taker #(.RESULTS(FRAMES * RESULTS), .WIDTH(RESULT), .BY(STALLS + BY)) result (
        .clk, .rst, .eager(calm), .cycle, .valid(y_valid), .ready(y_ready), .data(y_data), .expected, .taken(given)
    );
    dut dut (.clk, .rst, .x_valid, .x_ready, .x_data, .y_valid, .y_ready, .y_data, .y_last);
endmodule
