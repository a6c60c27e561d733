// bitsmith_memory_control: each register has what was written to its bytes last, wherever else is written; a bit that is written to
// START starts its stream; FAILED keeps errors of memory until then; all other words are zero.
module formal_memory_control #(
    parameter int unsigned STREAMS = 10
) (
    input logic clk
);
    `include "formal_start.svh"
    (* anyconst *) logic [3:0] stream;
    (* anyconst *) logic [1:0] field;
    (* anyconst *) logic [1:0] lane;
    (* anyseq *) logic written;
    (* anyseq *) logic [8:0] write_word, read_word;
    (* anyseq *) logic [31:0] data;
    (* anyseq *) logic [3:0] strobe;
    (* anyseq *) logic [STREAMS-1:0] busy, failed;
    logic [31:0] value;
    logic [STREAMS-1:0] starts, has_failed;
    logic [64*STREAMS-1:0] address;
    logic [32*STREAMS-1:0] bytes;
    logic [95:0] registers;
    logic [8:0] word;
    logic [7:0] kept;
    logic known;

    bitsmith_memory_control #(.STREAMS(STREAMS)) dut (
        .aclk(clk), .aresetn(~rst), .written, .write_word, .data, .strobe, .read_word, .value, .start(starts), .address, .bytes, .busy, .failed
    );

    assign word = 9'd4 * (stream + 9'd1) + field;
    assign registers = {bytes[32*stream+:32], address[64*stream+:64]};

    always_ff @(posedge clk) begin
        assume (stream < STREAMS);
        assume (field < 3);
        for (int k = 0; k < STREAMS; ++k) begin
            if (!rst) assert (starts[k] == (written & (write_word == 0) & data[k] & strobe[k/8]));
        end
        if (rst) {known, has_failed} <= '0;
        else begin
            for (int k = 0; k < STREAMS; ++k) has_failed[k] <= failed[k] | (has_failed[k] & ~starts[k]);
            if (written & (write_word == word) & strobe[lane]) begin
                known <= 1'b1;
                kept <= data[8*lane+:8];
            end
            if (known) assert (registers[32*field+8*lane+:8] == kept);
            if (read_word == 0) assert (value == 32'(busy));
            else if (read_word == 1) assert (value == 32'(has_failed));
            else if (read_word == word) assert (value == registers[32*field+:32]);
            else if ((read_word < 4) | (read_word >= 4 * (STREAMS + 1)) | (read_word[1:0] == 3)) assert (value == 0);
        end
    end
endmodule
