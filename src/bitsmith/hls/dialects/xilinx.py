"""The common parts of Vivado HLS and Vitis HLS: pragmas, the Tcl that both read, and Vivado on what they make."""

from collections.abc import Mapping

from bitsmith.backends import DialectName
from bitsmith.hls.dialects.dialect import Call, Dialect, Driver, IpTool, Way, no_sources
from bitsmith.hls.dialects.spelling import AP, Arrays, Bench, Loops, Roms, Streams
from bitsmith.hls.project import HlsTarget, Stage, tcl_settings
from bitsmith.vendors.vivado_project import REPORTS
from bitsmith.version import version_numbers

_BUILD = """\
# Runs the stages that project.tcl asks for, or the one that the variable BITSMITH_STAGE names. Start with:
#   {by_hand}
source [file join [file dirname [file normalize [info script]]] project.tcl]
if {{[info exists ::env(BITSMITH_STAGE)]}} {{
    foreach stage {{csim synth cosim export}} {{ set $stage [string equal $stage $::env(BITSMITH_STAGE)] }}
}}
if {{$synth}} {{ open_project -reset ${{top}}_prj }} else {{ open_project ${{top}}_prj }}
set_top $top
add_files firmware/$top.cpp -cflags "-std=c++11"
add_files -tb ${{top}}_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
if {{$synth}} {{ open_solution -reset solution1 }} else {{ open_solution solution1 }}
set_part $part
create_clock -period $clock_period -name default
set_clock_uncertainty $clock_uncertainty default
{limits}if {{$csim}} {{ csim_design }}
if {{$synth}} {{ csynth_design }}
if {{$cosim}} {{
    add_files -tb ${{top}}_test.cpp -cflags "-std=c++11 -DRTL_SIM"
    cosim_design -trace_level none
    # Versions that simulate beside tb_data instead of in it leave what the circuit gave here.
    set results ${{top}}_prj/solution1/sim/wrapc_pc/tb_data/rtl_cosim_results.log
    if {{![file exists tb_data/rtl_cosim_results.log] && [file exists $results]}} {{ file copy $results tb_data }}
}}
if {{$export}} {{ export_design -format ip_catalog -version {version} }}
exit
"""

_LIMITS = "foreach size {{{}}} {{ catch {{ config_array_partition -maximum_size $size }} }}\n"

_VIVADO_SYNTH = """\
# Logic synthesis of what high-level synthesis made. Start with: {by_hand}
source [file join [file dirname [file normalize [info script]]] project.tcl]
add_files ${{top}}_prj/solution1/syn/verilog
read_xdc {clock}
synth_design -top $top -part $part -mode out_of_context
opt_design
report_utilization -file vivado_synth.rpt
write_checkpoint -force vivado_synth.dcp
exit
"""

_VIVADO_PNR = """\
# Place and route of what logic synthesis left. Start with: {by_hand}
open_checkpoint vivado_synth.dcp
place_design
phys_opt_design
route_design
report_utilization -hierarchical -file util.rpt
report_timing_summary -file timing.rpt
write_checkpoint -force vivado_pnr.dcp
exit
"""

_TYPES = """\
#include <ap_fixed.h>
#include <ap_int.h>
#ifdef __SYNTHESIS__
#define BITSMITH_EXACT
#endif"""

_PARTITIONED = "#pragma HLS ARRAY_PARTITION variable={name} complete"

_VECTOR = "#pragma HLS ARRAY_RESHAPE variable={name} complete\n#pragma HLS INTERFACE ap_vld port={name}"

_BUILD_SCRIPT, _SYNTH_SCRIPT, _PNR_SCRIPT = "build_prj.tcl", "vivado_synth.tcl", "vivado_pnr.tcl"
_CLOCK = "clock.xdc"


_ROWS = "#pragma HLS ARRAY_RESHAPE variable={name} complete dim=2"
_BANKS = "#pragma HLS ARRAY_PARTITION variable={name} complete dim=2"


def _streams(step: str, loops: Loops, packed: str, token_bits: int) -> Streams:
    return Streams(
        types="#include <hls_stream.h>",
        type="hls::stream<{token}>",
        declaration='{type} {name}("{name}");',
        after="\n".join(line for line in ("#pragma HLS STREAM variable={name} depth={depth}", packed) if line),
        port="\n".join(line for line in ("#pragma HLS INTERFACE axis port={name}", packed) if line),
        arrays=True,
        sequential=False,
        port_bits=4096,
        most_bits=token_bits,
        in_top=("#pragma HLS DATAFLOW",),
        in_function=("#pragma HLS INLINE",),
        in_loop=f'_Pragma("{step}")',
        # Loops that rewind are alone in their function.
        in_nested=f'_Pragma("{step.replace(" rewind", "")}")',
        loops=loops,
        result=packed,
        rows=Arrays(after=_ROWS),
        banks=Arrays(after=_BANKS),
        # A place is read again after as many steps as a row has, when what was written has long arrived.
        apart="#pragma HLS DEPENDENCE variable={name} inter false",
        reset="#pragma HLS RESET variable={name}",
        apart_inside=True,
    )


def xilinx(
    name: DialectName,
    tool: str,
    starts: tuple[tuple[str, ...], ...],
    install: str,
    *,
    step: str,
    loops: Loops,
    storage: tuple[str, str],
    token_bits: int,
    word_bits: int,
    packed: str,
    largest_arrays: tuple[int, ...],
    kernels: bool,
    most_products: int,
) -> Dialect:
    """The dialect of the compiler that any of ``starts``, in order of preference, starts on ``build_prj.tcl``.

    ``step`` is the pragma of loops, ``loops`` what they become; ``packed`` a line that makes one word of a token in a
    stream, for compilers that do not do so anyway. ``storage`` are the lines that make a memory with as many ports as
    needed of a constant array: of look-up tables, and of block RAM. ``token_bits`` and ``word_bits`` are of the widest
    token in a stream, and of the widest word that an array or a token is made. ``largest_arrays`` and
    ``kernels`` are of :class:`IpTool`.
    """

    def scripts(target: HlsTarget) -> dict[str, str]:
        stages = (Stage.SYNTH, Stage.COSIM, Stage.EXPORT)
        return {
            _BUILD_SCRIPT: _BUILD.format(
                by_hand=" or ".join(" ".join(start) for start in starts),
                limits=_LIMITS.format(" ".join(map(str, largest_arrays))) if largest_arrays else "",
                version=".".join(map(str, version_numbers())),
            ),
            "project.tcl": tcl_settings(target, f"{target.uncertainty_percent:g}%", stages),
            _SYNTH_SCRIPT: _VIVADO_SYNTH.format(by_hand=" ".join(_vivado(_SYNTH_SCRIPT)), clock=_CLOCK),
            _CLOCK: f"create_clock -period {target.period_ns:g} -name default [get_ports ap_clk]\n",
            _PNR_SCRIPT: _VIVADO_PNR.format(by_hand=" ".join(_vivado(_PNR_SCRIPT))),
        }

    return Dialect(
        name=name,
        family=AP,
        types=_TYPES,
        part="xcvu13p-flga2577-2-e",
        vendors=("AMD",),
        period_ns=5.0,
        scripts=scripts,
        sources=no_sources,
        bench=Bench(),
        before_loop="",
        in_loop='_Pragma("HLS UNROLL")',
        in_kernel='_Pragma("HLS INLINE")',
        most_bits=word_bits,
        most_products=most_products,
        before_top=(),
        in_top=("#pragma HLS PIPELINE II=1",),
        in_layer=("#pragma HLS PIPELINE II=1",),
        arrays=Arrays(after=_PARTITIONED, parameter=_PARTITIONED, vector=_VECTOR),
        roms=Roms(
            word="#pragma HLS ARRAY_RESHAPE variable={name} complete dim=2",
            banks="#pragma HLS ARRAY_PARTITION variable={name} complete dim=1",
            small=storage[0],
            large=storage[1],
        ),
        streams=_streams(step, loops, packed, token_bits),
        reports=REPORTS,
        ip=IpTool(tuple(start[:-1] for start in starts), largest_arrays, kernels),
        driver=Driver(
            tool=tool,
            ways=tuple(_way(start) for start in starts),
            install=install,
            # The tool's own, those of the compilers that it starts, and those of Vivado HLS before 2017.
            error_pattern=r"^ERROR:|: (fatal )?error: |^@E ",
        ),
    )


def _way(start: tuple[str, ...]) -> Way:
    def calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
        def stage(stage: Stage, *outputs: str) -> tuple[Call, ...]:
            return (Call(start, (("BITSMITH_STAGE", stage.value),), outputs),)

        return {
            Stage.SYNTH: stage(Stage.SYNTH, f"{top}_prj/solution1/syn/report/{top}_csynth.xml"),
            Stage.COSIM: stage(Stage.COSIM, "tb_data/rtl_cosim_results.log"),
            Stage.EXPORT: stage(Stage.EXPORT),
            Stage.VSYNTH: (Call(_vivado(_SYNTH_SCRIPT), outputs=("vivado_synth.rpt", "vivado_synth.dcp")),),
            Stage.PNR: (Call(_vivado(_PNR_SCRIPT), outputs=("util.rpt", "timing.rpt")),),
        }

    return Way(start[:1], calls)


def _vivado(script: str) -> tuple[str, ...]:
    return ("vivado", "-mode", "batch", "-nojournal", "-nolog", "-source", script)
