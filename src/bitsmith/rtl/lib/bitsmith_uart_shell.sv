// A serial port for a core: one input word in, one output word back. For bringing a design up on any board.
//
// Protocol: the host sends the ceil(IN_WIDTH / 8) bytes of an input word, least significant first, the padding in the
// upper bits of the last byte being ignored; the shell answers with the ceil(OUT_WIDTH / 8) bytes of the output word,
// least significant first, padded with zeros. The host sends the next word after it has the answer. A word that stays
// incomplete while the line is idle for IDLE_BITS bit times is forgotten, so a host can always start afresh.
//
// CLK_HZ, BAUD   frequency of clk and bit rate of the line (8N1); CLK_HZ / BAUD at least 4
// core_rst       high for the first 16 cycles after configuration
module bitsmith_uart_shell #(
    parameter int unsigned IN_WIDTH = 8,
    parameter int unsigned OUT_WIDTH = 8,
    parameter int unsigned CLK_HZ = 25_000_000,
    parameter int unsigned BAUD = 115_200,
    parameter int unsigned IDLE_BITS = 1000
) (
    input  logic                 clk,
    input  logic                 uart_rx,
    output logic                 uart_tx,
    output logic                 core_rst,
    output logic                 core_in_valid,
    output logic [ IN_WIDTH-1:0] core_in_data,
    input  logic                 core_out_valid,
    input  logic [OUT_WIDTH-1:0] core_out_data
);
    localparam int unsigned CLOCKS_PER_BIT = (CLK_HZ + BAUD / 2) / BAUD;
    localparam int unsigned IN_BYTES = (IN_WIDTH + 7) / 8;
    localparam int unsigned OUT_BYTES = (OUT_WIDTH + 7) / 8;
    localparam int unsigned IN_COUNT_BITS = $clog2(IN_BYTES + 1);
    localparam int unsigned OUT_COUNT_BITS = $clog2(OUT_BYTES + 1);
    localparam int unsigned IDLE_CLOCKS = IDLE_BITS * CLOCKS_PER_BIT;
    localparam int unsigned IDLE_COUNT_BITS = $clog2(IDLE_CLOCKS + 1);

    // There is no reset pin: the configuration of the part sets this counter to zero.
    logic [4:0] age;
    logic rst;
    assign rst = ~age[4];
    assign core_rst = rst;
    initial age = '0;
    always @(posedge clk) begin
        if (rst) age <= age + 1'b1;
    end

    logic byte_valid;
    logic [7:0] byte_data;
    bitsmith_uart_rx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) receiver (
        .clk  (clk),
        .rst  (rst),
        .rx   (uart_rx),
        .valid(byte_valid),
        .data (byte_data)
    );

    logic [8*IN_BYTES-1:0] word;
    logic [IN_COUNT_BITS-1:0] bytes_in;
    logic [IDLE_COUNT_BITS-1:0] idle;
    assign core_in_data = word[IN_WIDTH-1:0];

    always_ff @(posedge clk) begin
        core_in_valid <= 1'b0;
        if (rst) begin
            bytes_in <= '0;
            idle <= '0;
        end else if (byte_valid) begin
            idle <= '0;
            word <= (8 * IN_BYTES)'({byte_data, word} >> 8);
            core_in_valid <= bytes_in == IN_COUNT_BITS'(IN_BYTES - 1);
            bytes_in <= (bytes_in == IN_COUNT_BITS'(IN_BYTES - 1)) ? '0 : bytes_in + 1'b1;
        end else if (idle == IDLE_COUNT_BITS'(IDLE_CLOCKS)) begin
            bytes_in <= '0;
        end else begin
            idle <= idle + 1'b1;
        end
    end

    if (8 * IN_BYTES > IN_WIDTH) begin : g_padding
        logic unused;
        assign unused = ^word[8*IN_BYTES-1:IN_WIDTH];
    end

    logic [8*OUT_BYTES-1:0] answer;
    logic [8*OUT_BYTES-1:0] reply;  // what is still to be sent, the next byte lowest
    logic [8*OUT_BYTES+7:0] padded_reply;
    logic [OUT_COUNT_BITS-1:0] bytes_left;
    logic send_valid;
    logic send_ready;
    assign padded_reply = {8'd0, reply};
    assign send_valid = bytes_left != '0;

    always_comb begin
        answer = '0;
        answer[OUT_WIDTH-1:0] = core_out_data;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            bytes_left <= '0;
        end else if (core_out_valid) begin
            reply <= answer;
            bytes_left <= OUT_COUNT_BITS'(OUT_BYTES);
        end else if (send_valid & send_ready) begin
            reply <= padded_reply[8*OUT_BYTES+7:8];
            bytes_left <= bytes_left - 1'b1;
        end
    end

    bitsmith_uart_tx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) transmitter (
        .clk  (clk),
        .rst  (rst),
        .valid(send_valid),
        .ready(send_ready),
        .data (padded_reply[7:0]),
        .tx   (uart_tx)
    );
endmodule
