// Makes long comparisons with constants ands and ors of the bits, of which several thresholds of one word share parts. Yosys makes
// them carry chains, which share nothing and take as many look-up tables as bits. Comparing signed numbers is comparing unsigned
// ones whose sign bits are exchanged.
(* techmap_celltype = "$lt $le $gt $ge" *)
module bitsmith_threshold (A, B, Y);
  parameter _TECHMAP_CELLTYPE_ = "";
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH;
  localparam EQUAL = _TECHMAP_CELLTYPE_ == "$ge" || _TECHMAP_CELLTYPE_ == "$lt";  // what equal bits below count as
  localparam LESS = _TECHMAP_CELLTYPE_ == "$lt" || _TECHMAP_CELLTYPE_ == "$le";
  wire _TECHMAP_FAIL_ = !(&_TECHMAP_CONSTMSK_B_);
  wire [WIDTH-1:0] a, b;
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(WIDTH)) extend_a (.A(A), .Y(a));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(WIDTH)) extend_b (.A(B), .Y(b));
  wire [WIDTH-1:0] sign = (A_SIGNED && B_SIGNED) << (WIDTH - 1);
  wire [WIDTH-1:0] u = a ^ sign;
  wire [WIDTH-1:0] v = b ^ sign;
  wire [WIDTH:0] above;
  assign above[0] = EQUAL;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1)
      assign above[i + 1] = v[i] ? u[i] & above[i] : u[i] | above[i];
  endgenerate
  assign Y = LESS ? ~above[WIDTH] : above[WIDTH];
endmodule
