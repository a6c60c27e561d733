// The single-port memory of iCE40 UltraPlus for simulations of netlists: Yosys's model of it, read by Yosys, is 2**18 registers.
// STANDBY, SLEEP and POWEROFF, which Yosys ties, are not modeled. What a port shows after it wrote is not defined: here every
// bit of what was written, as what it is not.
module SB_SPRAM256KA (
    input  [13:0] ADDRESS,
    input  [15:0] DATAIN,
    input  [ 3:0] MASKWREN,
    input         WREN,
    input         CHIPSELECT,
    input         CLOCK,
    input         STANDBY,
    input         SLEEP,
    input         POWEROFF,
    output [15:0] DATAOUT
);
    reg [15:0] words[0:16383];
    reg [15:0] shown;
    wire [15:0] mask = {{4{MASKWREN[3]}}, {4{MASKWREN[2]}}, {4{MASKWREN[1]}}, {4{MASKWREN[0]}}};

    always @(posedge CLOCK) begin
        if (CHIPSELECT & WREN) begin
            words[ADDRESS] <= DATAIN & mask | words[ADDRESS] & ~mask;
            shown <= ~DATAIN;
        end else if (CHIPSELECT) begin
            shown <= words[ADDRESS];
        end
    end

    assign DATAOUT = shown;
endmodule
