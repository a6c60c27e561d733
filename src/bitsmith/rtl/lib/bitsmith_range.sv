// SPDX-License-Identifier: Apache-2.0
// Watches a tensor: the least and the greatest element that passed, and a histogram of the greatest element of each token.
//
// Elements are in two's complement, on one grid. Counts and bounds are those since the last reset; counts wrap.
//
// ELEMENTS    of a token
// WIDTH       bits of an element
// LEAST, MOST bounds outside of which a token counts as BEYOND
// ENDS        of the bins: a token is in the bin after the last end that is not above its greatest element, the lowest end first
// take        a token passes
// read_word   0: least, 1: greatest (both 0 before the first token), 2: tokens beyond the bounds, 8 to 15: tokens in each bin
module bitsmith_range #(
    parameter int ELEMENTS = 4,
    parameter int WIDTH = 8,
    parameter logic [31:0] LEAST = 32'hffffff80,
    parameter logic [31:0] MOST = 32'd127,
    parameter logic [223:0] ENDS = '0,
    parameter int LEVELS = (ELEMENTS > 1) ? $clog2(ELEMENTS) : 0
) (
    input  logic                      aclk,
    input  logic                      aresetn,
    input  logic                      take,
    input  logic [ELEMENTS*WIDTH-1:0] data,
    input  logic [               3:0] read_word,
    output logic [              31:0] value
);
    // A tree, node 1 at its top, nodes 2 k and 2 k + 1 below node k; the elements are below all others.
    localparam int LEAVES = 1 << LEVELS;

    logic [2*LEAVES*WIDTH-1:0] low;
    logic [2*LEAVES*WIDTH-1:0] high;
    logic [LEVELS:0] came;

    assign low[WIDTH-1:0] = '0;
    assign high[WIDTH-1:0] = '0;

    genvar k;
    generate
        for (k = 0; k < LEAVES; k = k + 1) begin : leaves
            logic [WIDTH-1:0] element;
            always_ff @(posedge aclk) element <= data[((k<ELEMENTS)?k:0)*WIDTH+:WIDTH];
            assign low[(LEAVES+k)*WIDTH+:WIDTH] = element;
            assign high[(LEAVES+k)*WIDTH+:WIDTH] = element;
        end
        for (k = 1; k < LEAVES; k = k + 1) begin : nodes
            logic [WIDTH-1:0] lower;
            logic [WIDTH-1:0] higher;
            always_ff @(posedge aclk) begin
                lower <= ($signed(low[2*k*WIDTH+:WIDTH]) < $signed(low[(2*k+1)*WIDTH+:WIDTH]))
                    ? low[2*k*WIDTH+:WIDTH] : low[(2*k+1)*WIDTH+:WIDTH];
                higher <= ($signed(high[2*k*WIDTH+:WIDTH]) < $signed(high[(2*k+1)*WIDTH+:WIDTH]))
                    ? high[(2*k+1)*WIDTH+:WIDTH] : high[2*k*WIDTH+:WIDTH];
            end
            assign low[k*WIDTH+:WIDTH] = lower;
            assign high[k*WIDTH+:WIDTH] = higher;
        end
    endgenerate

    always_ff @(posedge aclk) came <= aresetn ? (LEVELS + 1)'({came, take}) : '0;

    logic [31:0] lowest;
    logic [31:0] highest;
    logic passed;
    logic counts;
    logic is_beyond;
    logic [7:0] above;
    logic [WIDTH-1:0] least;
    logic [WIDTH-1:0] most;
    logic [31:0] beyond;
    logic [255:0] histogram;

    // Extended by their signs, and cut: a cast would be useless where elements have 32 bits.
    logic [31+WIDTH:0] wide_low;
    logic [31+WIDTH:0] wide_high;
    logic [31+WIDTH:0] wide_least;
    logic [31+WIDTH:0] wide_most;

    assign wide_low = {{32{low[2*WIDTH-1]}}, low[WIDTH+:WIDTH]};
    assign wide_high = {{32{high[2*WIDTH-1]}}, high[WIDTH+:WIDTH]};
    assign wide_least = {{32{least[WIDTH-1]}}, least};
    assign wide_most = {{32{most[WIDTH-1]}}, most};
    assign lowest = wide_low[31:0];
    assign highest = wide_high[31:0];
    assign above[0] = 1'b1;

    generate
        for (k = 1; k < 8; k = k + 1) begin : ends
            logic is_above;
            always_ff @(posedge aclk) is_above <= $signed(highest) >= $signed(ENDS[32*(k-1)+:32]);
            assign above[k] = is_above;
        end
        for (k = 0; k < 8; k = k + 1) begin : counters
            logic [31:0] number;
            always_ff @(posedge aclk) begin
                if (~aresetn) number <= '0;
                else if (counts & above[k] & ((k == 7) | ~above[(k+1)%8])) number <= number + 1'b1;
            end
            assign histogram[32*k+:32] = number;
        end
    endgenerate

    always_ff @(posedge aclk) begin
        is_beyond <= ($signed(lowest) < $signed(LEAST)) | ($signed(highest) > $signed(MOST));
        if (~aresetn) begin
            passed <= 1'b0;
            counts <= 1'b0;
            least <= '0;
            most <= '0;
            beyond <= '0;
        end else begin
            counts <= came[LEVELS];
            if (came[LEVELS]) begin
                passed <= 1'b1;
                if (~passed | ($signed(low[WIDTH+:WIDTH]) < $signed(least))) least <= low[WIDTH+:WIDTH];
                if (~passed | ($signed(high[WIDTH+:WIDTH]) > $signed(most))) most <= high[WIDTH+:WIDTH];
            end
            if (counts & is_beyond) beyond <= beyond + 1'b1;
        end
    end

    logic unused;
    assign unused = ^{low[WIDTH-1:0], high[WIDTH-1:0], wide_low[32+:WIDTH], wide_high[32+:WIDTH],
        wide_least[32+:WIDTH], wide_most[32+:WIDTH]};

    assign value = read_word[3] ? histogram[{read_word[2:0], 5'd0}+:32]
        : (read_word == 4'd0) ? wide_least[31:0]
        : (read_word == 4'd1) ? wide_most[31:0]
        : (read_word == 4'd2) ? beyond : '0;
endmodule
