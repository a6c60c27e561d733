// Makes what an address chooses of constant bits look-up tables of six inputs and the multiplexers between them. ABC takes 1.4
// times as many for eight inputs, up to four of them one after the other.
(* techmap_celltype = "$shiftx" *)
module bitsmith_table (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter [A_WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0;
  parameter [A_WIDTH-1:0] _TECHMAP_CONSTVAL_A_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  localparam PARTS = A_WIDTH / 64;
  wire _TECHMAP_FAIL_ = !(&_TECHMAP_CONSTMSK_A_) || Y_WIDTH != 1 || B_SIGNED || B_WIDTH < 6 || A_WIDTH != 1 << B_WIDTH;
  wire [PARTS:0] six, seven, eight;
  genvar i;
  generate
    for (i = 0; i < PARTS; i = i + 1)
      if (&_TECHMAP_CONSTVAL_A_[64 * i +: 64] || !_TECHMAP_CONSTVAL_A_[64 * i +: 64])
        assign six[i] = _TECHMAP_CONSTVAL_A_[64 * i];
      else
        LUT6 #(.INIT(_TECHMAP_CONSTVAL_A_[64 * i +: 64])) part (
          .O(six[i]), .I0(B[0]), .I1(B[1]), .I2(B[2]), .I3(B[3]), .I4(B[4]), .I5(B[5])
        );
    if (B_WIDTH > 6)
      for (i = 0; i < PARTS / 2; i = i + 1)
        if (_TECHMAP_CONSTVAL_A_[128 * i +: 64] == _TECHMAP_CONSTVAL_A_[128 * i + 64 +: 64])
          assign seven[i] = six[2 * i];
        else
          MUXF7 two (.O(seven[i]), .I0(six[2 * i]), .I1(six[2 * i + 1]), .S(B[6]));
    if (B_WIDTH > 7)
      for (i = 0; i < PARTS / 4; i = i + 1)
        if (_TECHMAP_CONSTVAL_A_[256 * i +: 128] == _TECHMAP_CONSTVAL_A_[256 * i + 128 +: 128])
          assign eight[i] = seven[2 * i];
        else
          MUXF8 four (.O(eight[i]), .I0(seven[2 * i]), .I1(seven[2 * i + 1]), .S(B[7]));
    if (B_WIDTH == 6) assign Y = six[0];
    else if (B_WIDTH == 7) assign Y = seven[0];
    else if (B_WIDTH == 8) assign Y = eight[0];
    else assign Y = eight[PARTS / 4 - 1:0] >> B[B_WIDTH-1:8];
  endgenerate
endmodule
