// SPDX-License-Identifier: Apache-2.0
// Memory of a larger kind than block memory, with nothing in it at first: UltraRAM.
//
// Its rows have 72 bits, of which bytes of 9 can be written alone. So a row has one word, or 2, 4 or 8 words of fewer bits; wide
// words lie in several such memories, a column of bits in each.
//
// A word that is read comes a cycle later. One that is read while it is written is the old one, or anything.
//
// WIDTH   bits of a word
// DEPTH   words, more than a row has
// COLUMN  bits of a column: 72, 36, 18 or 9
module bitsmith_large_memory #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16,
    parameter int COLUMN = 72,
    localparam int ADDRESS_BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  logic                    clk,
    input  logic                    write,
    input  logic [ADDRESS_BITS-1:0] write_at,
    input  logic [       WIDTH-1:0] write_data,
    input  logic                    read,
    input  logic [ADDRESS_BITS-1:0] read_at,
    output logic [       WIDTH-1:0] read_data
);
    localparam int COLUMNS = (WIDTH + COLUMN - 1) / COLUMN;
    localparam int STORED = COLUMNS * COLUMN;
    localparam int PLACES = 72 / COLUMN;  // of words in a row
    localparam int PLACE_BITS = (PLACES > 1) ? $clog2(PLACES) : 1;
    localparam int ROWS = (DEPTH + PLACES - 1) / PLACES;
    localparam int ROW_BITS = (ROWS > 1) ? $clog2(ROWS) : 1;

    logic [ROW_BITS-1:0] write_row;
    logic [ROW_BITS-1:0] read_row;
    logic [PLACES-1:0] writes;
    logic [PLACE_BITS-1:0] place;
    logic [STORED-1:0] written;
    logic [STORED-1:0] stored;

    assign read_data = stored[WIDTH-1:0];

    if (STORED > WIDTH) begin : g_spare
        logic unused;
        assign written = {{(STORED - WIDTH) {1'b0}}, write_data};
        assign unused = ^stored[STORED-1:WIDTH];
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
            if (read) place <= read_at[PLACE_BITS-1:0];
        end
    end

    for (genvar k = 0; k < COLUMNS; ++k) begin : g_column
        (* no_rw_check, ram_style = "ultra" *)
        logic [71:0] rows[ROWS];
        logic [71:0] row;

        always_ff @(posedge clk) begin
            for (int at = 0; at < PLACES; ++at) begin
                if (writes[at]) rows[write_row][at*COLUMN+:COLUMN] <= written[k*COLUMN+:COLUMN];
            end
            if (read) row <= rows[read_row];
        end

        assign stored[k*COLUMN+:COLUMN] = row[int'(place)*COLUMN+:COLUMN];
    end
endmodule
