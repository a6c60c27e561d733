// What a proof begins with: a reset, whether neighbours ever stall, and the cycles since. The module has a clk.
logic rst, eager;
logic [7:0] cycle;
formal_start start (.clk, .rst, .eager, .cycle);
