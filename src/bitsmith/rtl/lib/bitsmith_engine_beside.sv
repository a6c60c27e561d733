// SPDX-License-Identifier: Apache-2.0
// Numbers of parts beside each other along an axis, as positions read them: position p that of part p + part, or none.
//
// COUNT    parts and positions
// REACH    parts at most that a position is beyond its own; the first one may read any part
// PART     bits of the number of a part, signed
// WIDTH    of the numbers of a part
module bitsmith_engine_beside #(
    parameter int COUNT = 2,
    parameter int REACH = 1,
    parameter int PART = 3,
    parameter int WIDTH = 8
) (
    input  logic                   clk,
    input  logic [       PART-1:0] part,
    input  logic                   apiece,     // all positions read, else the first one,
    input  logic                   is_inside,  // if this is set
    input  logic [COUNT*WIDTH-1:0] given,      // in the next cycle, of each part
    output logic [COUNT*WIDTH-1:0] taken,      // then, by each position;
    output logic [      COUNT-1:0] is_real,    // and there is such a part
    output logic [      COUNT-1:0] is_read     // parts whose numbers are taken
);
    logic [PART-1:0] was;  // the part, in the cycle before

    always_ff @(posedge clk) was <= part;

    genvar p, from;
    generate
    for (p = 0; p < COUNT; p = p + 1) begin : g_position
        localparam int LOW = (p < REACH) ? 0 : p - REACH;
        localparam int HIGH = (p == 0 || p + REACH >= COUNT) ? COUNT - 1 : p + REACH;
        localparam int FROM = HIGH - LOW + 1;
        logic [FROM-1:0] is_from;
        logic [FROM-1:0] was_from;
        logic [WIDTH-1:0] joined;

        for (from = 0; from < FROM; from = from + 1) begin : g_from
            assign is_from[from] = part == $unsigned(PART'(LOW + from - p));
            assign was_from[from] = was == $unsigned(PART'(LOW + from - p));
        end

        always_comb begin
            joined = '0;
            for (int k = 0; k < FROM; k = k + 1) joined = joined | (given[(LOW+k)*WIDTH+:WIDTH] & {WIDTH{was_from[k]}});
        end

        assign taken[p*WIDTH+:WIDTH] = joined;

        always_ff @(posedge clk) is_real[p] <= apiece ? |is_from : is_inside & (p == 0);
    end

    for (p = 0; p < COUNT; p = p + 1) begin : g_part
        logic [COUNT-1:0] readers;

        for (from = 0; from < COUNT; from = from + 1) begin : g_reader
            assign readers[from] = is_real[from] & (was == $unsigned(PART'(p - from)));
        end
        assign is_read[p] = |readers;
    end
    endgenerate
endmodule
