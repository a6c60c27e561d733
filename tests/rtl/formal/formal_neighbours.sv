// What a process sees around it in a proof: any tokens, any stalls, and checks that it keeps to the rules.

// The first cycle resets; then cycle counts from 0. In eager runs no neighbour ever stalls.
module formal_start (
    input  logic       clk,
    output logic       rst,
    output logic       eager,
    output logic [7:0] cycle
);
    (* anyconst *) logic never_stalls;
    logic started = 1'b0;

    assign rst = ~started;
    assign eager = never_stalls;

    always_ff @(posedge clk) begin
        started <= 1'b1;
        cycle   <= rst ? '0 : cycle + 1'b1;
    end
endmodule

// A FIFO of TOKENS arbitrary tokens, and then nothing. A token waits until it is taken.
module formal_operand #(
    parameter int unsigned TOKENS = 4,
    parameter int unsigned WIDTH = 2
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    eager,
    output logic                    valid,
    output logic [       WIDTH-1:0] data,
    input  logic                    take,
    output logic [TOKENS*WIDTH-1:0] tokens,
    output logic [             7:0] taken
);
    (* anyconst *) logic [TOKENS*WIDTH-1:0] any_tokens;
    (* anyseq *) logic comes;
    (* anyseq *) logic [WIDTH-1:0] noise;
    logic waits;

    assign tokens = any_tokens;
    assign valid = (taken != TOKENS) & (comes | waits | eager);
    assign data = valid ? tokens[taken*WIDTH+:WIDTH] : noise;

    always_ff @(posedge clk) begin
        if (rst) begin
            taken <= '0;
            waits <= 1'b0;
        end else begin
            assert (valid | ~take);
            taken <= taken + take;
            waits <= valid & ~take;
        end
    end
endmodule

// A FIFO for RESULTS tokens, each put LATENCY cycles after its place is claimed. Beyond them none may come, or (ENDLESS) no
// more place becomes free. In eager runs all are there by cycle BY.
module formal_result #(
    parameter int unsigned RESULTS = 4,
    parameter int unsigned LATENCY = 0,
    parameter bit ENDLESS = 1'b0,
    parameter int unsigned BY = 10
) (
    input  logic       clk,
    input  logic       rst,
    input  logic       eager,
    input  logic [7:0] cycle,
    output logic       free,
    input  logic       claim,
    input  logic       put,
    output logic [7:0] puts
);
    (* anyseq *) logic comes;
    logic stays;
    logic [7:0] claims;
    logic [LATENCY:0] due;

    assign free = (comes | stays | eager) & ~(ENDLESS && claims == RESULTS);

    if (LATENCY > 0) begin : g_later
        logic [LATENCY-1:0] later;
        always_ff @(posedge clk) later <= rst ? '0 : due[LATENCY-1:0];
        assign due = {later, claim};
    end else begin : g_now
        assign due = claim;
    end

    always_ff @(posedge clk) begin
        if (rst) begin
            claims <= '0;
            puts <= '0;
            stays <= 1'b0;
        end else begin
            assert (free | ~claim);
            assert (put == due[LATENCY]);
            assert (claims < RESULTS || ~claim);
            if (eager && cycle >= BY) assert (puts == RESULTS);
            claims <= claims + claim;
            puts <= puts + put;
            stays <= free & ~claim;
        end
    end
endmodule
