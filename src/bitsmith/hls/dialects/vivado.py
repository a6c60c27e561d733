"""Xilinx Vivado HLS, up to 2020.1."""

from bitsmith.hls.dialects.spelling import Loops
from bitsmith.hls.dialects.xilinx import xilinx

DIALECT = xilinx(
    "vivado",
    "Vivado HLS",
    (("vivado_hls", "-f", "build_prj.tcl"),),
    "install Xilinx Vivado 2020.1 or older and source its settings64.sh, which puts vivado_hls on PATH; for newer versions "
    "convert with backend='vitis'",
    # Flushing is of pipelined functions only. A loop that rewinds without it would hold the last results of a frame back until
    # the next one comes, which may never be; so the pipeline runs empty after each frame.
    step="HLS PIPELINE II={interval}",
    loops=Loops(flush=False, rewind=False, function="#pragma HLS PIPELINE II={interval} enable_flush"),
    # XFORM 203-133, of what is reshaped, as DATA_PACK does with arrays (UG1253); hls4ml issues 506 and 623.
    token_bits=0,
    word_bits=65536,
    storage=(
        "#pragma HLS RESOURCE variable={name} core=ROM_nP_LUTRAM",
        "#pragma HLS RESOURCE variable={name} core=ROM_nP_BRAM",
    ),
    # XFORM 203-504; users of Vitis HLS report no such limit.
    most_products=4096,
    # An array of more than 1024 elements is otherwise an error (XFORM 203-103). Others have been seen to go as far as 4096.
    largest_arrays=(4096, 65536),
    kernels=False,
    packed="#pragma HLS DATA_PACK variable={name}",
)
