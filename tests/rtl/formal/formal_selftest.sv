// bitsmith_selftest sends the stored frame and compares what comes, tells of it in a report, and else lets bytes pass.
module formal_selftest #(
    parameter bit EXAMINE = 1'b1,
    parameter bit ASKED = 1'b0
) (
    input logic clk
);
    `include "formal_start.svh"
    localparam int unsigned BYTES = 2;
    localparam int unsigned RESULTS = 2;
    localparam int unsigned LIMIT = 12;
    localparam logic [8*BYTES-1:0] FRAME = 16'hb6a5;
    localparam logic [8*RESULTS-1:0] RESULT = 16'h1c3d;
    localparam logic [63:0] DIGEST = 64'h0123456789abcdef;
    (* anyconst *) logic [8*RESULTS-1:0] answers;
    (* anyseq *) logic comes, host_valid;
    (* anyseq *) logic [3:0] fault;
    (* anyseq *) logic [7:0] host_data;
    logic in_valid, out_valid, out_ready, reply_valid, passed, ended, in_time, was_valid;
    logic [7:0] in_data, reply_data, sent, answered, replied, ended_at, was_data;
    logic [0:0] in_number;

    // No host sends during a test. A circuit answers when it has the whole frame; what is later than LIMIT goes to the host.
    assign out_valid = EXAMINE & comes & (sent == BYTES) & (answered != RESULTS) & (cycle + 3 < LIMIT);
    assign ended = answered == RESULTS;
    assign in_time = ended & (ended_at + 5 < LIMIT);

    bitsmith_selftest #(
        .FRAME_BYTES(BYTES), .RESULT_BYTES(RESULTS), .FRAME(FRAME), .RESULT(RESULT), .DIGEST(DIGEST), .LIMIT(LIMIT),
        .MEMORIES(2)
    ) dut (
        .clk, .rst, .examine(EXAMINE), .asked(ASKED), .host_valid(host_valid & ~EXAMINE), .host_data, .host_number(1'b0), .in_valid,
        .in_data, .in_number, .out_valid, .out_ready, .out_data(answers[8*answered[0]+:8]), .reply_valid, .reply_ready(1'b1),
        .reply_data, .fault, .passed
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            sent <= '0;
            answered <= '0;
            replied <= '0;
            was_valid <= 1'b0;
        end else begin
            if (EXAMINE) begin
                if (in_valid) assert (sent < BYTES && in_data == FRAME[8*sent[0]+:8] && in_number == sent[0]);
                if (passed) assert (ended && answers == RESULT);
                if (in_time && cycle > ended_at + 5) assert (passed == (answers == RESULT));
                if (cycle > LIMIT + 2) assert (sent == BYTES);
                assert (ASKED ? replied <= 23 : !reply_valid);
                if (reply_valid && replied == 0) assert (reply_data == 8'h74);
                if (reply_valid && replied == 4) assert (reply_data == DIGEST[7:0]);
                if (reply_valid && replied == 12) assert (reply_data[7:1] == {6'd0, passed} && (!reply_data[0] || ended));
                if (reply_valid && replied == 12 && in_time) assert (reply_data[0]);
                if (ASKED && cycle > LIMIT + 2) assert (reply_valid || replied == 23);
            end else begin
                assert (in_valid == was_valid && (!in_valid || in_data == was_data));
            end
            if (!ended) ended_at <= cycle;
            was_valid <= host_valid;
            was_data <= host_data;
            sent <= sent + in_valid;
            answered <= answered + (out_valid & out_ready);
            replied <= replied + reply_valid;
        end
    end
endmodule
