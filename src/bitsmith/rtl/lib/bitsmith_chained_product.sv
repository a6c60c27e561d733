// SPDX-License-Identifier: Apache-2.0
`ifndef BITSMITH_DSP48E2
`define BITSMITH_DSP48E2 0
`endif

// A product of a chain, added to the sum of those before it: chain_out <= chain_in + product, where product <= a * b.
//
// The expression is what vendors' tools put into cascaded multiplier blocks, with its registers and those of its factors.
// Where a tool does not, as Yosys for AMD's UltraScale and UltraScale+, there is their cell, a DSP48E2, whose sum goes to the
// next one by the wires between blocks (PCOUT, PCIN), and which then has the factors' last registers, too.
//
// A_WIDTH, B_WIDTH  bits of the factors, signed; of the cell one has up to 27, the other up to 18
// SUM_WIDTH   bits of the sums, signed, enough for them, up to 48
// FIRST       nothing is before it
// REGISTERS   of the factors inside the cell, 1 or 2; of the expression none, they are outside
// CELL        use AMD's cell; by default what the macro BITSMITH_DSP48E2 says
// chain_in, chain_out  the sums; with CELL the wires between blocks
// sum         the sum for others than the next product
module bitsmith_chained_product #(
    parameter int A_WIDTH = 8,
    parameter int B_WIDTH = 8,
    parameter int SUM_WIDTH = 18,
    parameter bit FIRST = 1'b0,
    parameter int REGISTERS = 1,
    parameter bit CELL = `BITSMITH_DSP48E2,
    parameter int CASCADE_WIDTH = CELL ? 48 : SUM_WIDTH
) (
    input  logic                        clk,
    input  logic signed [A_WIDTH-1:0]   a,
    input  logic signed [B_WIDTH-1:0]   b,
    input  logic signed [CASCADE_WIDTH-1:0] chain_in,
    output logic signed [CASCADE_WIDTH-1:0] chain_out,
    output logic signed [SUM_WIDTH-1:0] sum
);
    localparam int WIDE = (A_WIDTH > B_WIDTH) ? A_WIDTH : B_WIDTH;
    localparam int NARROW = (A_WIDTH > B_WIDTH) ? B_WIDTH : A_WIDTH;
    logic signed [WIDE-1:0] wide;
    logic signed [NARROW-1:0] narrow;

    generate
    if (A_WIDTH > B_WIDTH) begin : g_a
        assign wide = a;
        assign narrow = b;
    end else begin : g_b
        assign wide = b;
        assign narrow = a;
    end

    if (CELL && REGISTERS > 0) begin : g_cell
        logic [29:0] a_port;
        logic [17:0] b_port;
        logic [47:0] below;
        logic [47:0] above;
        logic [47:0] p;
        (* maybe_unused *) logic unused;

        assign a_port = $unsigned(30'(wide));
        assign b_port = $unsigned(18'(narrow));
        assign below = FIRST ? 48'd0 : $unsigned(chain_in);
        assign chain_out = $signed(above);
        assign sum = $signed(p[SUM_WIDTH-1:0]);
        assign unused = &{1'b0, p};

        // What is not used is tied as UG974 and UG579 ask for. All ports are given their widths, since Yosys would read others
        // again when synthesis has named the cell.
        DSP48E2 #(
            .AREG(REGISTERS),
            .ACASCREG(REGISTERS),
            .BREG(REGISTERS),
            .BCASCREG(REGISTERS),
            .ALUMODEREG(0),
            .CARRYINREG(0),
            .CARRYINSELREG(0),
            .INMODEREG(0),
            .OPMODEREG(0)
        ) product (
            .CLK(clk),
            .A(a_port),
            .B(b_port),
            .C({48{1'b1}}),
            .D({27{1'b1}}),
            .PCIN(below),
            .OPMODE(FIRST ? 9'b00_000_01_01 : 9'b00_001_01_01),  // the product and nothing, or what comes from PCIN
            .ALUMODE(4'b0000),
            .INMODE(5'b00000),
            .CARRYIN(1'b0),
            .CARRYINSEL(3'b000),
            .ACIN(30'd0),
            .BCIN(18'd0),
            .CARRYCASCIN(1'b0),
            .MULTSIGNIN(1'b0),
            .CEA1(REGISTERS == 2),
            .CEA2(1'b1),
            .CEB1(REGISTERS == 2),
            .CEB2(1'b1),
            .CEM(1'b1),
            .CEP(1'b1),
            .CEC(1'b0),
            .CED(1'b0),
            .CEAD(1'b0),
            .CEALUMODE(1'b0),
            .CECARRYIN(1'b0),
            .CECTRL(1'b0),
            .CEINMODE(1'b0),
            .RSTA(1'b0),
            .RSTB(1'b0),
            .RSTC(1'b0),
            .RSTD(1'b0),
            .RSTM(1'b0),
            .RSTP(1'b0),
            .RSTALLCARRYIN(1'b0),
            .RSTALUMODE(1'b0),
            .RSTCTRL(1'b0),
            .RSTINMODE(1'b0),
            .P(p),
            .PCOUT(above)
        );
    end else begin : g_expression
        // Of the product's own width, since Yosys takes no register of repeated sign bits into a block that adds.
        localparam int PRODUCT_WIDTH = (A_WIDTH + B_WIDTH < SUM_WIDTH) ? A_WIDTH + B_WIDTH : SUM_WIDTH;
        logic signed [PRODUCT_WIDTH-1:0] product;
        logic signed [SUM_WIDTH-1:0] extended;

        if (PRODUCT_WIDTH < SUM_WIDTH) begin : g_extended
            assign extended = $signed({{(SUM_WIDTH - PRODUCT_WIDTH) {product[PRODUCT_WIDTH-1]}}, product});
        end else begin : g_same
            assign extended = product;
        end
        assign sum = chain_out;
        always_ff @(posedge clk) begin
            product <= PRODUCT_WIDTH'(wide) * PRODUCT_WIDTH'(narrow);
            chain_out <= FIRST ? extended : extended + chain_in;
        end
    end
    endgenerate
endmodule
