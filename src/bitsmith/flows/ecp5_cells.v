// What cells of ECP5 do that Yosys maps to and has no models of, for simulations of netlists; written for Yosys, which replaces the
// cells of a netlist by these. After FPGA-TN-02204 (memories) and FPGA-TN-02205 (multipliers) of Lattice. What Yosys does not use
// (registers of outputs and of multipliers) is not modeled: a netlist with it is refused.

// 18 Kbit of memory with two ports: 512 words of 36 bits, of which a port sees 1, 2, 4, 9, 18 or, writing at A and reading at B, 36.
// A narrow port does not see the ninth bits. What a port reads while the other one writes it is not defined: here every bit
// that is written is read as what it is not.
module DP16KD (
    input CLKA, CEA, OCEA, WEA, RSTA, CSA0, CSA1, CSA2,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    DOA0,
    input CLKB, CEB, OCEB, WEB, RSTB, CSB0, CSB1, CSB2,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "AUTO";
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter [319:0]
        INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
        INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
        INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
        INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
        INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
        INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
        INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
        INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
        INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
        INITVAL_3F = 0;

    localparam [20479:0] INIT = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
        INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
        INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
        INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
        INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
        INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
        INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
        INITVAL_00
    };
    localparam PSEUDO = DATA_WIDTH_A == 36;

    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
            bitsmith_cell_is_not_modeled DP16KD();
    endgenerate

    wire [13:0] at_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [17:0] in_a = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
    };
    reg [17:0] out_a, out_b;
    reg [17:0] low_b;  // the lower half of what B reads in words of 36 bits
    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
    } = DATA_WIDTH_B == 36 ? low_b : out_a;
    wire clk_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire [13:0] at_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] in_b = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0
    };
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
    } = out_b;
    wire clk_b = CLKBMUX == "INV" ? ~CLKB : CLKB;

    // Where the bits of a port begin in a word, and which these are.
    function [5:0] start;
        input integer width;
        input [4:0] at;
        start = width == 36 ? 0 : width == 18 ? 18 * at[4] : 9 * at[4:3] + (width == 9 ? 0 : at[2:0] / width * width);
    endfunction

    function [35:0] bits;
        input integer width;
        input [4:0] at;
        bits = (36'hfffffffff >> (36 - width)) << start(width, at);
    endfunction

    function [35:0] chosen;  // by the enables of bytes, which are where wide words need no address
        input integer width;
        input [4:0] at;
        chosen = width == 36 ? {{9{at[3]}}, {9{at[2]}}, {9{at[1]}}, {9{at[0]}}} : width == 18 ? {2{{9{at[1]}}, {9{at[0]}}}} : ~36'b0;
    endfunction

    reg [35:0] words [0:511];
    integer i;
    initial for (i = 0; i < 512; i = i + 1) words[i] = {INIT[40*i+20 +: 18], INIT[40*i +: 18]};

    wire writes_a = CEA & WEA & ~(RESETMODE == "SYNC" & RSTA);
    wire writes_b = CEB & WEB & ~(RESETMODE == "SYNC" & RSTB) & ~PSEUDO;
    wire [35:0] mask_a = writes_a ? bits(DATA_WIDTH_A, at_a[4:0]) & chosen(DATA_WIDTH_A, at_a[4:0]) : 0;
    wire [35:0] mask_b = writes_b ? bits(DATA_WIDTH_B, at_b[4:0]) & chosen(DATA_WIDTH_B, at_b[4:0]) : 0;
    wire [35:0] given_a = PSEUDO ? {in_b, in_a} : in_a << start(DATA_WIDTH_A, at_a[4:0]);
    wire [35:0] given_b = in_b << start(DATA_WIDTH_B, at_b[4:0]);
    wire same = at_a[13:5] == at_b[13:5];

    wire [35:0] word_a = words[at_a[13:5]];
    wire [35:0] left_a = (word_a & ~mask_a) | (given_a & mask_a);
    wire [35:0] seen_a = (WEA && WRITEMODE_A == "WRITETHROUGH" ? left_a : word_a) ^ (same ? mask_b : 36'b0);
    wire reads_a = CEA & (~WEA | (WRITEMODE_A != "NORMAL"));
    wire [35:0] part_a = (seen_a & bits(DATA_WIDTH_A, at_a[4:0])) >> start(DATA_WIDTH_A, at_a[4:0]);
    always @(posedge clk_a) if (writes_a) words[at_a[13:5]] <= left_a;
    generate
        if (RESETMODE == "ASYNC") begin
            always @(posedge clk_a, posedge RSTA)
                if (RSTA) out_a <= 0;
                else if (reads_a) out_a <= part_a[17:0];
        end else begin
            always @(posedge clk_a)
                if (RSTA) out_a <= 0;
                else if (reads_a) out_a <= part_a[17:0];
        end
    endgenerate

    wire [35:0] word_b = words[at_b[13:5]];
    wire [35:0] left_b = (word_b & ~mask_b) | (given_b & mask_b);
    wire [35:0] seen_b = (WEB && WRITEMODE_B == "WRITETHROUGH" ? left_b : word_b) ^ (same ? mask_a : 36'b0);
    wire reads_b = CEB & (~WEB | (WRITEMODE_B != "NORMAL" | PSEUDO));
    wire [35:0] part_b = (seen_b & bits(DATA_WIDTH_B, at_b[4:0])) >> start(DATA_WIDTH_B, at_b[4:0]);
    always @(posedge clk_b) if (writes_b) words[at_b[13:5]] <= left_b;
    generate
        if (RESETMODE == "ASYNC") begin
            always @(posedge clk_b, posedge RSTB)
                if (RSTB) {out_b, low_b} <= 0;
                else if (reads_b) {out_b, low_b} <= DATA_WIDTH_B == 36 ? part_b : {part_b[17:0], 18'b0};
        end else begin
            always @(posedge clk_b)
                if (RSTB) {out_b, low_b} <= 0;
                else if (reads_b) {out_b, low_b} <= DATA_WIDTH_B == 36 ? part_b : {part_b[17:0], 18'b0};
        end
    endgenerate
endmodule

// A product of two factors of 18 bits, each of them signed or not.
module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13,
    P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE", REG_INPUTC_CLK = "NONE";
    parameter REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE";

    generate
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_PIPELINE_CLK != "NONE" || REG_OUTPUT_CLK != "NONE")
            bitsmith_cell_is_not_modeled MULT18X18D();
    endgenerate

    wire [17:0] a = {
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire [17:0] b = {
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };
    wire signed [18:0] x = {SIGNEDA & a[17], a};
    wire signed [18:0] y = {SIGNEDB & b[17], b};
    wire signed [37:0] product = x * y;
    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13,
        P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = product[35:0];
endmodule
