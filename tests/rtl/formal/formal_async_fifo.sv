// Words come out of bitsmith_async_fifo as they went in, whatever the frequencies and phases of its clocks; each side waits for the
// other, and one bit of a counter changes at a time.
module formal_async_fifo #(
    parameter int unsigned ADDRESS_BITS = 1
) (
    input logic clk
);
    localparam int unsigned TOKENS = 6;
    localparam int unsigned WIDTH = 2;
    (* gclk *) logic step;
    (* anyconst *) logic [TOKENS*WIDTH-1:0] tokens;
    (* anyseq *) logic in_clk, out_clk, comes, goes;
    (* anyseq *) logic [WIDTH-1:0] noise;
    logic [2:0] begun = '0;
    logic reset, in_ready, out_valid, put, take;
    logic [WIDTH-1:0] in_data, out_data;
    logic [3:0] puts, takes;
    logic [ADDRESS_BITS:0] in_before, out_before, in_changed, out_changed;

    assign reset = begun != 3'd4;
    assign put = comes & in_ready & (puts != TOKENS);
    assign take = goes & out_valid;
    assign in_data = comes ? tokens[puts*WIDTH+:WIDTH] : noise;
    assign in_changed = in_before ^ dut.in_gray;
    assign out_changed = out_before ^ dut.out_gray;

    bitsmith_async_fifo #(.WIDTH(WIDTH), .ADDRESS_BITS(ADDRESS_BITS)) dut (
        .in_clk, .in_rst(reset), .in_valid(comes & (puts != TOKENS)), .in_ready, .in_data,
        .out_clk, .out_rst(reset), .out_valid, .out_ready(goes), .out_data
    );

    always_ff @(posedge step) begin
        if (reset) begun <= begun + 1'b1;
        in_before <= dut.in_gray;
        out_before <= dut.out_gray;
        if (!reset) begin
            assert (puts - takes <= (1 << ADDRESS_BITS) + 1);
            if (out_valid) assert (puts != takes && out_data == tokens[takes*WIDTH+:WIDTH]);
            assert ((in_changed & (in_changed - 1'b1)) == '0);
            assert ((out_changed & (out_changed - 1'b1)) == '0);
        end
    end
    always_ff @(posedge in_clk or posedge reset) begin
        if (reset) puts <= '0;
        else puts <= puts + put;
    end
    always_ff @(posedge out_clk or posedge reset) begin
        if (reset) takes <= '0;
        else takes <= takes + take;
    end
endmodule
