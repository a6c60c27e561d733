"""AMD Vitis HLS."""

from bitsmith.hls.dialects.xilinx import xilinx

VITIS = xilinx("vitis", "vitis-run --mode hls --tcl build_prj.tcl (or vitis_hls -f build_prj.tcl before 2023.2)")
