// bitsmith_framer tells the place of the next transfer in its frame and packet, whenever transfers come.
module formal_framer #(
    parameter int unsigned TOKENS = 2
) (
    input logic clk
);
    `include "formal_start.svh"
    (* anyseq *) logic transfer;
    (* anyconst *) logic [1:0] frames;
    logic first, last, packet_last;
    logic [7:0] count, packet;

    bitsmith_framer #(.TOKENS(TOKENS)) dut (
        .clk, .rst, .transfer, .packet_frames({30'd0, frames}), .first, .last, .packet_last
    );

    assign packet = TOKENS * ((frames == 0) ? 8'd1 : frames);

    always_ff @(posedge clk) begin
        if (rst) begin
            count <= '0;
        end else begin
            count <= count + transfer;
            assert (first == (count % TOKENS == 0));
            assert (last == (count % TOKENS == TOKENS - 1));
            assert (packet_last == (count % packet == packet - 1));
        end
    end
endmodule
