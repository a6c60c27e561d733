// SPDX-License-Identifier: Apache-2.0
// What a DSP48E2 does that multiplies and adds what comes from the block before it, by UG579 (v1.11: Figures 2-1 and 2-6 to 2-8,
// Tables 2-2 to 2-5; the codes of OPMODE were found again in AM004, "W, X, Y, and Z Multiplexers", which has them for DSP58 alike, and
// in public circuits, the numbers of figures and tables were not) and UG974 (2022.2, "DSP48E2"). Written for these tests; what they do not use is an error.
module DSP48E2 #(
    parameter AREG = 1, BREG = 1, ACASCREG = 1, BCASCREG = 1, ALUMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1,
    parameter INMODEREG = 1, OPMODEREG = 1
) (
    input CLK, input [29:0] A, ACIN, input [17:0] B, BCIN, input [47:0] C, PCIN, input [26:0] D,
    input [8:0] OPMODE, input [4:0] INMODE, input [3:0] ALUMODE, input [2:0] CARRYINSEL, input CARRYIN, CARRYCASCIN, MULTSIGNIN,
    input CEA1, CEA2, CEB1, CEB2, CEC, CED, CEAD, CEM, CEP, CEALUMODE, CECARRYIN, CECTRL, CEINMODE,
    input RSTA, RSTB, RSTC, RSTD, RSTM, RSTP, RSTALLCARRYIN, RSTALUMODE, RSTCTRL, RSTINMODE,
    output [47:0] P, PCOUT
);
    reg [29:0] a1, a2;
    reg [17:0] b1, b2;
    reg signed [47:0] m, p;  // m has 45 bits and their sign
    wire signed [26:0] a_factor = a2[26:0];  // INMODE 00000: the second register
    wire signed [17:0] b_factor = b2;
    wire [47:0] z = OPMODE[6:4] == 3'b001 ? PCIN : 48'd0;

    always @(posedge CLK) begin
        if (CEA1) a1 <= A;
        if (CEB1) b1 <= B;
        if (CEA2) a2 <= (AREG == 2) ? a1 : A;
        if (CEB2) b2 <= (BREG == 2) ? b1 : B;
        if (CEM) m <= a_factor * b_factor;
        if (CEP) p <= m + z;
    end
    assign P = p;
    assign PCOUT = p;

    // One of the registers of A and B is there at least, and what controls the block is constant and not registered.
    wire used = (AREG == ACASCREG) && (BREG == BCASCREG) && !(ALUMODEREG | CARRYINREG | CARRYINSELREG | INMODEREG | OPMODEREG);
    wire adds = {OPMODE[8:7], OPMODE[3:0]} == 6'b00_01_01 && OPMODE[6:5] == 0 && !ALUMODE && !INMODE && !CARRYIN && !CARRYINSEL;
    wire kept = !(RSTA | RSTB | RSTC | RSTD | RSTM | RSTP | RSTALLCARRYIN | RSTALUMODE | RSTCTRL | RSTINMODE);
    always @* assert (used && adds && kept);
endmodule
