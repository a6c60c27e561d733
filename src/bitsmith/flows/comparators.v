// Makes every comparison of variables one carry chain whose last carry is the result, for carries in pairs (CCU2C of ECP5). Yosys
// itself compares signed numbers by their two last carries. One of these is within a pair, where it has to be computed again from
// the operands, and where the chain is cut in two; so is the only one of an odd number of bits. Comparing signed numbers is
// comparing unsigned ones whose sign bits are exchanged.
(* techmap_celltype = "$lt $le $gt $ge" *)
module bitsmith_comparator (A, B, Y);
  parameter _TECHMAP_CELLTYPE_ = "";
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH;
  localparam LAST = WIDTH + WIDTH % 2 - 1;  // the second carry of a cell
  localparam CHAIN = LAST < 5 ? 5 : LAST + 1;  // Yosys makes shorter sums without carry cells
  localparam GREATER = _TECHMAP_CELLTYPE_ == "$gt" || _TECHMAP_CELLTYPE_ == "$le";
  localparam LESS = _TECHMAP_CELLTYPE_ == "$lt" || _TECHMAP_CELLTYPE_ == "$gt";
  wire _TECHMAP_FAIL_ = WIDTH < 4 || &_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_;
  wire [WIDTH-1:0] a, b;
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(WIDTH)) extend_a (.A(A), .Y(a));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(WIDTH)) extend_b (.A(B), .Y(b));
  wire [WIDTH-1:0] sign = (A_SIGNED && B_SIGNED) << (WIDTH - 1);
  wire [WIDTH-1:0] u = (a & ~sign) | (b & sign);
  wire [WIDTH-1:0] v = (b & ~sign) | (a & sign);
  wire [CHAIN-1:0] x, y, co;
  \$alu #(
    .A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(WIDTH), .B_WIDTH(WIDTH), .Y_WIDTH(CHAIN)
  ) difference (.A(GREATER ? v : u), .B(GREATER ? u : v), .BI(1'b1), .CI(1'b1), .X(x), .Y(y), .CO(co));
  assign Y = LESS ? ~co[LAST] : co[LAST];
endmodule
