"""SystemVerilog: writing netlists, packing samples, and the hand-written library."""
