"""What Vivado HLS and Vitis HLS have in common: pragmas and the Tcl that both read."""

from __future__ import annotations

from bitsmith.hls.dialects.dialect import Dialect, Family
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsTarget
from bitsmith.hls.scripts import tcl_word

_BUILD = """\
# Runs the stages that project.tcl asks for. Start with: {command}
source [file join [file dirname [file normalize [info script]]] project.tcl]
open_project -reset ${{top}}_prj
set_top $top
add_files firmware/$top.cpp -cflags "-std=c++11"
add_files -tb ${{top}}_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
open_solution -reset solution1
set_part $part
create_clock -period $clock_period -name default
set_clock_uncertainty $clock_uncertainty default
if {{$csim}} {{ csim_design }}
if {{$synth}} {{ csynth_design }}
if {{$cosim}} {{ cosim_design -trace_level none }}
if {{$export}} {{ export_design -format ip_catalog }}
exit
"""


def xilinx(name: str, command: str) -> Dialect:
    """The dialect of the compiler that ``command`` starts on ``build_prj.tcl``."""

    def scripts(target: HlsTarget) -> dict[str, str]:
        stages = "".join(f"set {stage} {int(stage != 'cosim')}\n" for stage in ("csim", "synth", "cosim", "export"))
        settings = (
            f"set top {tcl_word(identifier(target.top))}\n"
            f"set part {tcl_word(target.part)}\n"
            f"set clock_period {target.period_ns:g}\n"
            f"set clock_uncertainty {target.uncertainty_percent:g}%\n"
        )
        return {"build_prj.tcl": _BUILD.format(command=command), "project.tcl": settings + stages}

    return Dialect(
        name=name,
        family=Family.AP,
        in_loop='_Pragma("HLS UNROLL")',
        in_top=("#pragma HLS PIPELINE II=1",),
        in_layer=("#pragma HLS PIPELINE II=1",),
        in_array=_partitioned,
        scripts=scripts,
    )


def _partitioned(array: str) -> tuple[str, ...]:
    return (f"#pragma HLS ARRAY_PARTITION variable={array} complete",)
