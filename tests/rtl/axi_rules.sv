// Rules of AXI4 for what drives a channel (IHI 0022, A3.2 and A3.4), bound into simulated circuits.

// What is offered stays until it is taken.
module axi_held #(
    parameter int WIDTH = 1
) (
    input logic             aclk,
    input logic             aresetn,
    input logic             valid,
    input logic             ready,
    input logic [WIDTH-1:0] payload
);
    logic             owed = 0;
    logic [WIDTH-1:0] kept = '0;

    always_ff @(posedge aclk) begin
        owed <= aresetn && valid && !ready;
        kept <= payload;
        if (aresetn && owed && !valid) $fatal(1, "error: %m: VALID falls before READY");
        if (aresetn && owed && payload != kept) $fatal(1, "error: %m: what is offered changes before READY");
    end
endmodule

// Bursts of words of WORD bits, all of them in one block of 4 KiB and aligned.
module axi_bursts #(
    parameter int WORD = 32
) (
    input logic        aclk,
    input logic        aresetn,
    input logic        valid,
    input logic        ready,
    input logic [63:0] address,
    input logic [ 7:0] len
);
    localparam logic [63:0] BYTES = 64'(WORD / 8);

    axi_held #(.WIDTH(72)) held (.aclk, .aresetn, .valid, .ready, .payload({address, len}));
    always_ff @(posedge aclk) begin
        if (aresetn && valid && 64'(address[11:0]) + (64'(len) + 1) * BYTES > 4096) $fatal(1, "error: %m: a burst over 4 KiB");
        if (aresetn && valid && address % BYTES != 0) $fatal(1, "error: %m: an address within a word");
    end
endmodule

module axi_read_rules #(
    parameter int WORD = 32
) (
    input logic        aclk,
    input logic        aresetn,
    input logic        m_axi_arvalid,
    input logic        m_axi_arready,
    input logic [63:0] m_axi_araddr,
    input logic [ 7:0] m_axi_arlen
);
    axi_bursts #(.WORD(WORD)) bursts (
        .aclk, .aresetn, .valid(m_axi_arvalid), .ready(m_axi_arready), .address(m_axi_araddr), .len(m_axi_arlen)
    );
endmodule

// WLAST comes with the last word of each burst, in the order of addresses, which may come later than their words.
module axi_write_rules #(
    parameter int WORD = 32
) (
    input logic              aclk,
    input logic              aresetn,
    input logic              m_axi_awvalid,
    input logic              m_axi_awready,
    input logic [      63:0] m_axi_awaddr,
    input logic [       7:0] m_axi_awlen,
    input logic              m_axi_wvalid,
    input logic              m_axi_wready,
    input logic [  WORD-1:0] m_axi_wdata,
    input logic [WORD/8-1:0] m_axi_wstrb,
    input logic              m_axi_wlast
);
    int asked[256];  // words of each burst, at its number modulo 256
    int sent[256];
    logic [7:0] addresses = 0, bursts = 0;
    int words = 0;

    axi_bursts #(.WORD(WORD)) places (
        .aclk, .aresetn, .valid(m_axi_awvalid), .ready(m_axi_awready), .address(m_axi_awaddr), .len(m_axi_awlen)
    );
    axi_held #(.WIDTH(WORD + WORD / 8 + 1)) data (
        .aclk, .aresetn, .valid(m_axi_wvalid), .ready(m_axi_wready), .payload({m_axi_wdata, m_axi_wstrb, m_axi_wlast})
    );
    always @(posedge aclk) begin
        if (!aresetn) begin
            addresses = 0;
            bursts = 0;
            words = 0;
            for (int k = 0; k < 256; k++) {asked[k], sent[k]} = '0;
        end else begin
            if (m_axi_awvalid && m_axi_awready) begin
                if (sent[addresses] == 0) asked[addresses] = int'(m_axi_awlen) + 1;
                else if (sent[addresses] != int'(m_axi_awlen) + 1) $fatal(1, "error: %m: WLAST at another word");
                sent[addresses] = 0;
                addresses = addresses + 1;
            end
            if (m_axi_wvalid && m_axi_wready) begin
                words = words + 1;
                if (m_axi_wlast) begin
                    if (asked[bursts] == 0) sent[bursts] = words;
                    else if (asked[bursts] != words) $fatal(1, "error: %m: WLAST at another word");
                    asked[bursts] = 0;
                    bursts = bursts + 1;
                    words = 0;
                end else if (asked[bursts] != 0 && words >= asked[bursts]) $fatal(1, "error: %m: a burst without WLAST");
            end
        end
    end
endmodule
