"""Xilinx Vivado HLS, up to 2020.1."""

from bitsmith.hls.dialects.xilinx import xilinx

DIALECT = xilinx(
    "vivado",
    "Vivado HLS",
    (("vivado_hls", "-f", "build_prj.tcl"),),
    "install Xilinx Vivado 2020.1 or older and source its settings64.sh, which puts vivado_hls on PATH; for newer versions "
    "convert with backend='vitis'",
    flush="enable_flush",
    packed="#pragma HLS DATA_PACK variable={name}",
)
