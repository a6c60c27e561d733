// SPDX-License-Identifier: Apache-2.0
// Memory with nothing in it at first, that is written and read at the same time: block memory, look-up-table memory or UltraRAM;
// or written or read, as SPRAM.
//
// A word that is read comes a cycle later. One that is read while it is written may be anything; with a single port, any one is.
//
// Larger memory than block memory (UltraRAM) has rows of 72 bits, of which bytes of 9 can be written alone. So a row has one
// word, or 2, 4 or 8 words of fewer bits; wide words lie in several such memories, a column of bits in each.
//
// WIDTH     bits of a word
// DEPTH     words, of larger memory more than a row has
// BLOCK     whether it is block memory, however few words; otherwise what synthesis prefers
// LARGE     bits of a column of larger memory (72, 36, 18 or 9), if it is such a one; 0: it is not
// TOGETHER  words of a row of larger memory that are read at once: 1, 2, 4 or 8, from a place on that is a multiple of these
// SINGLE    whether it is larger memory with a single port
// LOGIC     whether it is of look-up tables or registers, however many words: nothing may be block memory
module bitsmith_ram #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16,
    parameter bit BLOCK = 1'b0,
    parameter int LARGE = 0,
    parameter int TOGETHER = 1,
    parameter bit SINGLE = 1'b0,
    parameter bit LOGIC = 1'b0,
    parameter int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  logic                      clk,
    input  logic                      write,
    input  logic [  ADDRESS_BITS-1:0] write_at,
    input  logic [         WIDTH-1:0] write_data,
    input  logic                      read,
    input  logic [  ADDRESS_BITS-1:0] read_at,
    output logic [TOGETHER*WIDTH-1:0] read_data
);
    genvar k, t;
    generate
    if (LARGE != 0) begin : g_large
        localparam int COLUMNS = (WIDTH + LARGE - 1) / LARGE;
        localparam int STORED = COLUMNS * LARGE;
        localparam int PLACES = 72 / LARGE;  // of words in a row
        localparam int PLACE_BITS = (PLACES > 1) ? $clog2(PLACES) : 1;
        localparam logic [PLACE_BITS-1:0] FIRST = PLACE_BITS'(PLACES - TOGETHER);  // of words that are read at once
        localparam int ROWS = (DEPTH + PLACES - 1) / PLACES;
        localparam int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1;

        logic [ROW_BITS-1:0] write_row;
        logic [ROW_BITS-1:0] read_row;
        logic [PLACES-1:0] writes;
        logic [PLACE_BITS-1:0] place;
        logic [STORED-1:0] written;
        logic [TOGETHER*STORED-1:0] stored;

        for (t = 0; t < TOGETHER; t = t + 1) begin : g_word
            assign read_data[t*WIDTH+:WIDTH] = stored[t*STORED+:WIDTH];
        end

        if (STORED > WIDTH) begin : g_spare
            logic unused;
            assign written = {{(STORED - WIDTH) {1'b0}}, write_data};
            assign unused = ^stored;
        end else begin : g_full
            assign written = write_data;
        end

        if (PLACES == 1) begin : g_single
            assign writes = write;
            assign write_row = write_at;
            assign read_row = read_at;
            assign place = 1'b0;
        end else begin : g_several
            assign writes = {{(PLACES - 1) {1'b0}}, write} << write_at[PLACE_BITS-1:0];
            assign write_row = write_at[ADDRESS_BITS-1:PLACE_BITS];
            assign read_row = read_at[ADDRESS_BITS-1:PLACE_BITS];

            always_ff @(posedge clk) begin
                if (read) place <= read_at[PLACE_BITS-1:0] & FIRST;
            end
        end

        for (k = 0; k < COLUMNS; k = k + 1) begin : g_column
            (* no_rw_check, ram_style = "ultra" *)
            logic [71:0] rows[ROWS];
            logic [71:0] row;

            always_ff @(posedge clk) begin
                for (int at = 0; at < PLACES; ++at) begin
                    if (writes[at]) rows[write_row][at*LARGE+:LARGE] <= written[k*LARGE+:LARGE];
                end
                if (read) row <= rows[read_row];
            end

            for (t = 0; t < TOGETHER; t = t + 1) begin : g_taken
                assign stored[t*STORED+k*LARGE+:LARGE] = row[(int'(place)+t)*LARGE+:LARGE];
            end
        end
    end else if (SINGLE) begin : g_single_port
        (* no_rw_check, ramstyle = "no_rw_check", ram_style = "huge" *)
        logic [WIDTH-1:0] words[DEPTH];
        logic [ADDRESS_BITS-1:0] at;

        assign at = write ? write_at : read_at;

        always_ff @(posedge clk) begin
            if (write) words[at] <= write_data;
            else if (read) read_data <= words[at];
        end
    end else if (LOGIC) begin : g_logic
        (* no_rw_check, ramstyle = "MLAB, no_rw_check", ram_style = "distributed", syn_ramstyle = "distributed" *)
        logic [WIDTH-1:0] words[DEPTH];

        always_ff @(posedge clk) begin
            if (write) words[write_at] <= write_data;
            if (read) read_data <= words[read_at];
        end
    end else if (BLOCK) begin : g_block
        (* no_rw_check, ramstyle = "no_rw_check", ram_style = "block", rw_addr_collision = "no" *)
        logic [WIDTH-1:0] words[DEPTH];

        always_ff @(posedge clk) begin
            if (write) words[write_at] <= write_data;
            if (read) read_data <= words[read_at];
        end
    end else begin : g_any
        (* no_rw_check, ramstyle = "no_rw_check", rw_addr_collision = "no" *)
        logic [WIDTH-1:0] words[DEPTH];

        always_ff @(posedge clk) begin
            if (write) words[write_at] <= write_data;
            if (read) read_data <= words[read_at];
        end
    end
    endgenerate
endmodule
