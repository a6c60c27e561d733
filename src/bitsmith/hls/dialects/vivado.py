"""Xilinx Vivado HLS, up to 2020.1."""

from bitsmith.hls.dialects.xilinx import xilinx

VIVADO = xilinx("vivado", "vivado_hls -f build_prj.tcl")
