// bitsmith_replay gives ALIKE parts and another of each of FRAMES frames, {times, tokens} of FIRST and of SECOND.
module formal_replay #(
    parameter int unsigned DEPTH = 4,
    parameter logic [7:0] FIRST = 8'h21,
    parameter logic [7:0] SECOND = 8'h11,
    parameter int unsigned ALIKE = 1,
    parameter int unsigned FRAMES = 2,
    parameter int unsigned BY = 20
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned WIDTH = 2;
    localparam int unsigned TOKENS = ALIKE * FIRST[3:0] + SECOND[3:0];
    localparam int unsigned PART = FIRST[3:0] * FIRST[7:4];
    localparam int unsigned EARLY = ALIKE * PART;
    localparam int unsigned PART_BITS = $clog2(ALIKE);
    localparam int unsigned READS = EARLY + SECOND[3:0] * SECOND[7:4];
    logic x_valid, x_take, y_free, y_claim, y_put, run;
    logic [7:0] taken, puts, place, number;
    logic [3:0] last_token, last_time;
    logic [((PART_BITS > 0) ? PART_BITS : 1)-1:0] last_part;
    logic [WIDTH-1:0] x_data, y_data;
    logic [FRAMES*TOKENS*WIDTH-1:0] tokens;

    formal_operand #(.TOKENS(FRAMES * TOKENS), .WIDTH(WIDTH)) operand (
        .clk, .rst, .eager, .valid(x_valid), .data(x_data), .take(x_take), .tokens, .taken
    );
    formal_result #(.RESULTS(FRAMES * READS), .LATENCY(1), .BY(BY)) result (
        .clk, .rst, .eager, .cycle, .free(y_free), .claim(y_claim), .put(y_put), .puts
    );
    bitsmith_replay #(
        .WIDTH(WIDTH), .DEPTH(DEPTH), .RUNS(2), .TOKEN_BITS(4), .TIME_BITS(4), .PART_BITS(PART_BITS)
    ) dut (
        .clk, .rst, .x_valid, .x_data, .x_take, .run, .last_token, .last_time, .last_part, .y_free, .y_claim, .y_put, .y_data
    );

    assign last_token = (run ? SECOND[3:0] : FIRST[3:0]) - 4'd1;
    assign last_time = (run ? SECOND[7:4] : FIRST[7:4]) - 4'd1;
    assign last_part = run ? '0 : ALIKE - 1;
    assign place = puts % READS;
    assign number = (place < EARLY)
        ? place / PART * FIRST[3:0] + place % FIRST[3:0]
        : ALIKE * FIRST[3:0] + (place - EARLY) % SECOND[3:0];

    always_ff @(posedge clk) begin
        if (!rst) begin
            if (y_put) assert (y_data == tokens[(puts/READS*TOKENS+number)*WIDTH+:WIDTH]);
            assert (x_take || y_claim || !x_valid || !y_free);
        end
    end
endmodule
