// SPDX-License-Identifier: Apache-2.0
// Parts of a frame of tokens, each over and over, through a circular memory.
//
// A writer takes tokens into the memory as long as a place is free. A reader gives the tokens of a part one after another, as
// often as the part says: for the first time as they come, and for the last time it frees them. A token can be read in the
// cycle after it was taken, its place used again in the cycle after it was freed; the result is put a cycle after it was read.
//
// WIDTH        bits of a token
// DEPTH        places of the memory, at least as many as a part has that comes several times
// RUNS         runs of a frame: parts in a row that have as many tokens and come as often
// LARGE        bits of a column of larger memory, if the memory is such a one (bitsmith_ram); 0: it is not
// ..._BITS     of the numbers of tokens, times and parts of a run; 0 of the latter: no run has several
// run          that is read
// last_token   tokens of its parts less 1
// last_time    how often these come, less 1
// last_part    and how many there are, less 1
module bitsmith_replay #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16,
    parameter int RUNS = 2,
    parameter int LARGE = 0,
    parameter int TOKEN_BITS = 4,
    parameter int TIME_BITS = 4,
    parameter int PART_BITS = 0,
    parameter int RUN_BITS = (RUNS > 1) ? $clog2(RUNS) : 1,
    parameter int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    parameter int COUNT_BITS = $clog2(DEPTH + 1)
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  x_valid,
    input  logic [     WIDTH-1:0] x_data,
    output logic                  x_take,
    output logic [  RUN_BITS-1:0] run,
    input  logic [TOKEN_BITS-1:0] last_token,
    input  logic [ TIME_BITS-1:0] last_time,
    input  logic [((PART_BITS > 0) ? PART_BITS : 1)-1:0] last_part,
    input  logic                  y_free,
    output logic                  y_claim,
    output logic                  y_put,
    output logic [     WIDTH-1:0] y_data
);
    localparam logic [ADDRESS_BITS-1:0] LAST_PLACE = ADDRESS_BITS'(DEPTH - 1);
    localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
    localparam logic [RUN_BITS-1:0] LAST_RUN = RUN_BITS'(RUNS - 1);

    logic [ADDRESS_BITS-1:0] write_at;
    logic [ADDRESS_BITS-1:0] read_at;
    logic [ADDRESS_BITS-1:0] next_at;
    logic [ADDRESS_BITS-1:0] begin_at;  // of the part
    logic [COUNT_BITS-1:0] held;  // tokens
    logic [COUNT_BITS-1:0] unread;  // of them
    logic [TOKEN_BITS-1:0] token;
    logic [TIME_BITS-1:0] times;
    logic is_first;
    logic is_last;
    logic is_end;
    logic is_final;  // part of its run
    logic act;

    assign is_first = times == '0;
    assign is_last = times == last_time;
    assign is_end = token == last_token;
    assign x_take = x_valid & (held != FULL);
    assign act = y_free & (~is_first | (unread != '0));
    assign y_claim = act;
    assign next_at = (read_at == LAST_PLACE) ? '0 : read_at + 1'b1;

    always_ff @(posedge clk) begin
        if (rst) begin
            write_at <= '0;
            read_at <= '0;
            begin_at <= '0;
            held <= '0;
            unread <= '0;
            token <= '0;
            times <= '0;
            run <= '0;
            y_put <= 1'b0;
        end else begin
            if (x_take) write_at <= (write_at == LAST_PLACE) ? '0 : write_at + 1'b1;
            held <= (x_take ? held + 1'b1 : held) - ((act & is_last) ? COUNT_BITS'(1) : '0);
            unread <= (x_take ? unread + 1'b1 : unread) - ((act & is_first) ? COUNT_BITS'(1) : '0);
            y_put <= act;
            if (act) begin
                token <= is_end ? '0 : token + 1'b1;
                read_at <= (is_end & ~is_last) ? begin_at : next_at;
                if (is_end) times <= is_last ? '0 : times + 1'b1;
                if (is_end & is_last) begin
                    begin_at <= next_at;
                    if (is_final) run <= (run == LAST_RUN) ? '0 : run + 1'b1;
                end
            end
        end
    end

    generate
        if (PART_BITS > 0) begin : g_parts
            logic [PART_BITS-1:0] part;

            assign is_final = part == last_part;

            always_ff @(posedge clk) begin
                if (rst) part <= '0;
                else if (act & is_end & is_last) part <= is_final ? '0 : part + 1'b1;
            end
        end else begin : g_alone
            logic unused_last_part;

            assign is_final = 1'b1;
            assign unused_last_part = ^last_part;
        end
    endgenerate

    bitsmith_ram #(
        .WIDTH(WIDTH),
        .DEPTH(DEPTH),
        .LARGE(LARGE)
    ) memory (
        .clk       (clk),
        .write     (x_take),
        .write_at  (write_at),
        .write_data(x_data),
        .read      (1'b1),
        .read_at   (read_at),
        .read_data (y_data)
    );

`ifdef VERILATOR
    logic [COUNT_BITS-1:0] peak;

    always_ff @(posedge clk) begin
        if (rst) peak <= '0;
        else if (held > peak) peak <= held;
    end

    final $display("%m peak %0d of %0d", peak, DEPTH);
`endif
endmodule
