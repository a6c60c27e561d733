// Keeps every sum an adder with a carry chain of its own. Left to itself, Yosys joins sums that follow each other in one
// pipeline stage into carry-save trees, which take about a tenth more look-up tables on these devices.
(* techmap_celltype = "$add $sub" *)
module bitsmith_adder (A, B, Y);
  parameter _TECHMAP_CELLTYPE_ = "";
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  localparam SUBTRACT = _TECHMAP_CELLTYPE_ == "$sub";
  wire [Y_WIDTH-1:0] x, co;
  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(SUBTRACT), .CI(SUBTRACT), .X(x), .Y(Y), .CO(co));
endmodule
