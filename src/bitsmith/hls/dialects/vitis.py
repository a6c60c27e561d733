"""AMD Vitis HLS."""

from bitsmith.hls.dialects.spelling import Loops
from bitsmith.hls.dialects.xilinx import xilinx

DIALECT = xilinx(
    "vitis",
    "Vitis HLS",
    (("vitis-run", "--mode", "hls", "--tcl", "build_prj.tcl"), ("vitis_hls", "-f", "build_prj.tcl")),
    "install AMD Vitis and source its settings64.sh, which puts vitis-run (vitis_hls before 2023.2) on PATH",
    step="HLS PIPELINE II={interval} rewind style=flp",
    loops=Loops(flush=True, rewind=True, function="#pragma HLS PIPELINE II={interval} style=flp"),
    # Streams between functions are packed as ports are (HLS 214-241, 214-256); hls4ml issue 1245.
    token_bits=4096,
    word_bits=0,
    storage=(
        "#pragma HLS BIND_STORAGE variable={name} type=rom_np impl=lutram",
        "#pragma HLS BIND_STORAGE variable={name} type=rom_np impl=bram",
    ),
    most_products=0,
    largest_arrays=(),
    kernels=True,
    packed="",
)
