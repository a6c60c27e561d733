// bitsmith_replay gives two parts of each of FRAMES frames, {times, tokens} of FIRST and of SECOND.
module formal_replay #(
    parameter int unsigned DEPTH = 4,
    parameter logic [7:0] FIRST = 8'h21,
    parameter logic [7:0] SECOND = 8'h11,
    parameter int unsigned FRAMES = 2,
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WIDTH = 2;
    localparam int unsigned TOKENS = FIRST[3:0] + SECOND[3:0];
    localparam int unsigned EARLY = FIRST[3:0] * FIRST[7:4];
    localparam int unsigned READS = EARLY + SECOND[3:0] * SECOND[7:4];
    logic x_valid, x_take, y_free, y_claim, y_put, part;
    logic [7:0] taken, puts, place, number;
    logic [3:0] last_token, last_time;
    logic [WIDTH-1:0] x_data, y_data;
    logic [FRAMES*TOKENS*WIDTH-1:0] tokens;

    formal_operand #(.TOKENS(FRAMES * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(FRAMES * READS), .LATENCY(1), .BY(BY)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_replay #(.WIDTH(WIDTH), .DEPTH(DEPTH), .PARTS(2), .TOKEN_BITS(4), .TIME_BITS(4)) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .part, .last_token, .last_time, .y_free, .y_claim, .y_put, .y_data
    );

    assign last_token = (part ? SECOND[3:0] : FIRST[3:0]) - 4'd1;
    assign last_time = (part ? SECOND[7:4] : FIRST[7:4]) - 4'd1;
    assign place = puts % READS;
    assign number = (place < EARLY) ? place % FIRST[3:0] : FIRST[3:0] + (place - EARLY) % SECOND[3:0];

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == tokens[(puts/READS*TOKENS+number)*WIDTH+:WIDTH]);
            assert (x_take || y_claim || !x_valid || !y_free);
        end
    end
endmodule
