// SPDX-License-Identifier: Apache-2.0
// A token as its parts, one per action, lowest part first, all of them TIMES times over.
//
// The parts are selected from the token where it waits; it is taken with the last one. Results are put in the cycle of
// their action.
//
// PARTS   parts of a token, at least 1
// TIMES   how often they come, at least 1
// WIDTH   bits of a part
module bitsmith_downsizer #(
    parameter int PARTS = 4,
    parameter int TIMES = 1,
    parameter int WIDTH = 8
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   x_valid,
    input  logic [PARTS*WIDTH-1:0] x_data,
    output logic                   x_take,
    input  logic                   y_free,
    output logic                   y_claim,
    output logic                   y_put,
    output logic [      WIDTH-1:0] y_data
);
    localparam int PART_BITS = (PARTS > 1) ? $clog2(PARTS) : 1;
    localparam int TIME_BITS = (TIMES > 1) ? $clog2(TIMES) : 1;
    localparam logic [PART_BITS-1:0] LAST_PART = PART_BITS'(PARTS - 1);
    localparam logic [TIME_BITS-1:0] LAST_TIME = TIME_BITS'(TIMES - 1);

    logic [PART_BITS-1:0] part;
    logic [TIME_BITS-1:0] times;
    logic last_part;
    logic last_time;
    logic act;

    assign act = x_valid & y_free;
    assign last_part = part == LAST_PART;
    assign last_time = times == LAST_TIME;
    assign x_take = act & last_part & last_time;
    assign y_claim = act;
    assign y_put = act;

    generate
    if (PARTS > 1) begin : g_parts
`ifdef VERILATOR
        // The same choice. As single bits it is 100 megabytes of C++ in a network of a million weights.
        assign y_data = x_data[part*WIDTH+:WIDTH];
`else
        genvar place, k;

        // Some tools would make a part select by a product a choice between all places, not only those where parts begin.
        for (place = 0; place < WIDTH; place = place + 1) begin : g_bit
            logic [PARTS-1:0] choice;

            for (k = 0; k < PARTS; k = k + 1) begin : g_part
                assign choice[k] = x_data[k*WIDTH+place];
            end
            assign y_data[place] = choice[part];
        end
`endif
    end else begin : g_whole
        assign y_data = x_data;
    end
    endgenerate

    always_ff @(posedge clk) begin
        if (rst) begin
            part <= '0;
            times <= '0;
        end else if (act) begin
            part <= last_part ? '0 : part + 1'b1;
            if (last_part) times <= last_time ? '0 : times + 1'b1;
        end
    end
endmodule
