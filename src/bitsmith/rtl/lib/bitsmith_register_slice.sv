// SPDX-License-Identifier: Apache-2.0
// Registers on the way from a process to the FIFO of an operand, and back: no path of logic goes past them.
//
// Tokens come STAGES cycles later, and so does the news that a place is free: the process counts the places itself. So it can
// act in every cycle, if the FIFO has places for those that are on their way. The registers of each way follow each other
// without logic between, and may lie in two dies of a part.
//
// WIDTH    bits of a token
// DEPTH    places of the FIFO
// STAGES   registers each way, at least 1
// free, claim, put, put_data   as those of bitsmith_fifo, for the process
// far_put, far_data            to the FIFO: a token is put into the place that it claims in this cycle
// far_take                     the reader takes a token from the FIFO
// rst      synchronous, active high
module bitsmith_register_slice #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 4,
    parameter int STAGES = 1
) (
    input  logic             clk,
    input  logic             rst,
    output logic             free,
    input  logic             claim,
    input  logic             put,
    input  logic [WIDTH-1:0] put_data,
    output logic             far_put,
    output logic [WIDTH-1:0] far_data,
    input  logic             far_take
);
    localparam int COUNT_BITS = $clog2(DEPTH + 1);
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
    localparam logic [COUNT_BITS-1:0] ONE = COUNT_BITS'(1);

    // Shift registers in look-up tables would stand in one place, and have the delay of a memory.
    (* shreg_extract = "no", altera_attribute = "-name AUTO_SHIFT_REGISTER_RECOGNITION OFF" *)
    logic [STAGES-1:0] forward;
    (* shreg_extract = "no", altera_attribute = "-name AUTO_SHIFT_REGISTER_RECOGNITION OFF" *)
    logic [STAGES*WIDTH-1:0] words;
    (* shreg_extract = "no", altera_attribute = "-name AUTO_SHIFT_REGISTER_RECOGNITION OFF" *)
    logic [STAGES-1:0] back;
    logic [COUNT_BITS-1:0] claimed;  // places, until the news comes that their tokens were taken

    assign free = claimed != FULL;
    assign far_put = forward[STAGES-1];
    assign far_data = words[STAGES*WIDTH-1:(STAGES-1)*WIDTH];

    always_ff @(posedge clk) begin
        if (rst) claimed <= '0;
        else claimed <= claimed + ({COUNT_BITS{back[STAGES-1] & ~claim}} | ({COUNT_BITS{claim ^ back[STAGES-1]}} & ONE));
    end

    always_ff @(posedge clk) begin
        words <= (STAGES * WIDTH)'({words, put_data});
        if (rst) begin
            forward <= '0;
            back <= '0;
        end else begin
            forward <= STAGES'({forward, put});
            back <= STAGES'({back, far_take});
        end
    end
endmodule
