"""Siemens Catapult, for FPGAs of AMD: logic synthesis is Vivado's, simulation is Questa's."""

from collections.abc import Mapping

from bitsmith.hls.dialects.dialect import Call, Dialect, Driver, Way
from bitsmith.hls.dialects.spelling import AC, Arrays, Bench, Loops, Roms, Streams
from bitsmith.hls.project import HlsDesign, HlsTarget, Memory, Stage, tcl_settings
from bitsmith.vendors.catapult import REPORTS

_START = ("catapult", "-shell", "-f", "build_prj.tcl")

_BUILD = """\
# Runs the stages that project.tcl asks for, or the one that the variable BITSMITH_STAGE names. Start with:
#   {by_hand}
set folder [file dirname [file normalize [info script]]]
source [file join $folder project.tcl]
source [file join $folder directives.tcl]
if {{[info exists ::env(BITSMITH_STAGE)]}} {{
    foreach stage {{csim synth cosim vsynth}} {{ set $stage [string equal $stage $::env(BITSMITH_STAGE)] }}
}}

proc compile_sources {{folder top}} {{
    project new -name ${{top}}_prj
    options set Input/CppStandard c++11
    flow package require /SCVerify
    solution file add [file join $folder firmware $top.cpp] -type C++
    solution file add [file join $folder ${{top}}_test.cpp] -type C++ -exclude true
    directive set -MEM_MAP_THRESHOLD $::largest_register_bits
    solution options set Architectural/DefaultRegisterThreshold $::largest_register_array
    # Operators are laid out side by side, not shared to save area.
    directive set -DESIGN_GOAL latency
    go analyze
    go compile
}}

# The library that has the part is under a path of tool, vendor, family, speed and part.
proc add_libraries {{part}} {{
    set any /PARAMETERS/*
    set path /CONFIG$any$any$any$any/PARAMETERS/$part/LIBRARIES/*/NAME
    set found [lindex [library get $path -match glob -ret p] 0]
    if {{$found eq ""}} {{ error "no library of this installation has the part $part" }}
    set names [split $found /]
    solution library add [library get $found -ret v] -- -rtlsyntool [lindex $names 3] \\
        -manufacturer [lindex $names 5] -family [lindex $names 7] -speed [lindex $names 9] -part $part
    foreach name {{Xilinx_RAMS Xilinx_ROMS Xilinx_FIFO}} {{ solution library add $name }}
    go libraries
}}

proc schedule {{period uncertainty}} {{
    directive set -CLOCKS [list clk [list -CLOCK_PERIOD $period -CLOCK_UNCERTAINTY $uncertainty -CLOCK_EDGE rising \\
        -RESET_KIND sync -RESET_SYNC_NAME rst -RESET_SYNC_ACTIVE high]]
    go assembly
    direct_streams [solution get -name]
    direct_arrays [solution get -name]
    go architect
    free_line_buffers
    foreach step {{allocate schedule extract}} {{ go $step }}
    project save
}}

# A place of a line buffer is read many steps after it was written: a read need not wait for the write of the step before.
proc free_line_buffers {{}} {{
    foreach name $::line_buffers {{
        if {{[catch {{ ignore_memory_precedences -from *write_mem(${{name}}:rsc* -to *read_mem(${{name}}:rsc* }} message]}} {{
            puts "# line buffer $name: $message"
        }}
    }}
}}

# Paths of the resources below a design that match a pattern; no wildcard matches a slash.
proc resources {{design pattern}} {{
    set found {{}}
    foreach prefix [list $design $design/* $design/*/* $design/*/*/*] {{
        foreach path [directive get -match glob -checkpath 0 -ret p $prefix/$pattern/MAP_TO_MODULE] {{
            lappend found [file dirname $path]
        }}
    }}
    return [lsort -unique $found]
}}

# The depth of a stream counts only as a directive on the channel, which is a FIFO and no shared memory.
proc direct_streams {{design}} {{
    foreach {{name depth}} $::streams {{
        set found [resources $design $name:cns]
        if {{[llength $found] != 1}} {{ error "[llength $found] channels are called $name, which must have $depth places" }}
        set channel [lindex $found 0]
        if {{[directive get $channel/MAP_TO_MODULE] eq ""}} {{ directive set $channel -MAP_TO_MODULE ccs_ioport.ccs_pipe }}
        directive set $channel -FIFO_DEPTH $depth
    }}
}}

# In a network of processes memories have as many banks as elements are read at once, and all other arrays are registers.
proc direct_arrays {{design}} {{
    if {{!$::processes}} {{ return }}
    set registers {{[Register]}}
    foreach array [resources $design *:rsc] {{
        if {{![string match */core/* $array]}} {{ continue }}
        set name [regsub {{^.*[/:]}} [regsub {{(\\.rom)?:rsc$}} $array ""] ""]
        set kind registers
        set count 0
        if {{[dict exists $::memories $name]}} {{ lassign [dict get $::memories $name] kind count }}
        if {{[directive get $array/MAP_TO_MODULE] eq $registers}} {{ continue }}
        switch $kind {{
            registers {{ directive set $array -MAP_TO_MODULE {{[Register]}} }}
            banks {{ directive set $array -INTERLEAVE $count }}
            blocks {{ directive set $array -BLOCK_SIZE $count }}
        }}
    }}
}}

proc run_stages {{}} {{
    uplevel #0 {{
        if {{$csim || $synth}} {{ compile_sources $folder $top }} else {{ project load ${{top}}_prj.ccs }}
        if {{$csim}} {{ flow run /SCVerify/launch_make ./scverify/Verify_orig_cxx_osci.mk {{}} SIMTOOL=osci sim }}
        if {{$synth}} {{
            add_libraries $part
            schedule $clock_period $clock_uncertainty
        }}
        if {{$cosim}} {{ flow run /SCVerify/launch_make ./scverify/Verify_rtl_v_msim.mk {{}} SIMTOOL=msim sim }}
        if {{$vsynth}} {{ flow run /Vivado/synthesize -shell vivado_concat_v/concat_rtl.v.xv }}
    }}
}}

if {{[catch run_stages message]}} {{
    puts stderr "# Error: $message"
    exit 1
}}
exit 0
"""


_STREAMS = """\
#include <ac_channel.h>
#ifdef __SYNTHESIS__
#define BITSMITH_CHANNEL static
#else
#define BITSMITH_CHANNEL
#endif"""


def _scripts(target: HlsTarget) -> dict[str, str]:
    uncertainty_ns = target.period_ns * target.uncertainty_percent / 100
    settings = tcl_settings(target, f"{uncertainty_ns:g}", (Stage.SYNTH, Stage.COSIM, Stage.VSYNTH))
    return {"build_prj.tcl": _BUILD.format(by_hand=" ".join(_START)), "project.tcl": settings}


_REGISTERS = """\
{title}
# Each array is registers and ports of its own, however large.
set processes 0
set largest_register_bits 1000000
set largest_register_array 1000000
set streams {{}}
set memories {{}}
set line_buffers {{}}
"""

_DIRECTIVES = """\
{title}
# A network of processes: the slots of its streams; and its memories, of which small ones become registers: in so many banks
# that take turns by elements, or with blocks of so many elements apart, or registers after all.
set processes 1
set largest_register_bits 32769
set largest_register_array 2050
set streams {{
{streams}
}}
set memories {{
{memories}
}}
# Memories of which a place is read again only many steps after it was written.
set line_buffers {{{apart}}}
"""


def _directives(design: HlsDesign) -> dict[str, str]:
    title = f"#{design.title.removeprefix('//')}"
    if design.unrolled:
        return {"directives.tcl": _REGISTERS.format(title=title)}
    streams = "\n".join(f"    {name} {depth}" for name, depth in design.streams)
    memories = "\n".join(f"    {memory.name} {{{_kind(memory)}}}" for memory in design.memories)
    apart = " ".join(memory.name for memory in design.memories if memory.apart)
    return {"directives.tcl": _DIRECTIVES.format(title=title, streams=streams, memories=memories, apart=apart)}


def _kind(memory: Memory) -> str:
    """Return the kind of a memory; one that several read at once has not enough ports for that."""
    if memory.readers > 1:
        return "registers"
    if memory.width > 1:
        return f"banks {memory.width}"
    return f"blocks {memory.bank}" if memory.bank else "memory"


def _calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    def stage(stage: Stage, *outputs: str) -> tuple[Call, ...]:
        return (Call(_START, (("BITSMITH_STAGE", stage.value),), outputs),)

    return {
        Stage.SYNTH: stage(Stage.SYNTH, f"{top}_prj.ccs"),
        Stage.COSIM: stage(Stage.COSIM, "tb_data/rtl_cosim_results.log"),
        Stage.VSYNTH: stage(Stage.VSYNTH),
    }


DIALECT = Dialect(
    name="catapult",
    family=AC,
    types="#include <ac_fixed.h>\n#include <ac_int.h>",
    part="xcku115-flvb2104-2-i",
    vendors=("AMD", "Intel", "Lattice"),
    period_ns=5.0,
    scripts=_scripts,
    sources=_directives,
    before_loop='_Pragma("hls_unroll yes")',
    in_loop="",
    in_kernel="",
    before_top=("#pragma hls_design top", "#pragma hls_pipeline_init_interval 1"),
    in_top=(),
    in_layer=(),
    arrays=Arrays(),
    roms=Roms(),
    most_bits=0,
    most_products=0,
    bench=Bench(
        include='#include "firmware/{top}.h"\n\n#include <mc_scverify.h>\n\n#ifdef CCS_DUT_RTL\n#define RTL_SIM\n#endif',
        call="CCS_DESIGN({top})",
        main="CCS_MAIN(int, char **)",
        leave="CCS_RETURN({code});",
    ),
    streams=Streams(
        types=_STREAMS,
        type="ac_channel<{token}>",
        arrays=True,
        sequential=False,
        port_bits=0,
        most_bits=0,
        reset="",
        qualifier="BITSMITH_CHANNEL ",
        before_top=("#pragma hls_design top",),
        before_process=("#pragma hls_design block",),
        # A loop that waits for a token hands on what is in its pipeline; unless told to flush, it does not.
        before_loop='_Pragma("hls_pipeline_init_interval {interval}") _Pragma("hls_stall_mode flush")',
        loops=Loops(
            flush=True,
            rewind=False,
            function="#pragma hls_pipeline_init_interval {interval}\n#pragma hls_stall_mode flush",
            outside=True,
        ),
    ),
    reports=REPORTS,
    ip=None,
    driver=Driver(
        tool="Catapult",
        ways=(Way(_START[:1], _calls),),
        install="install Siemens Catapult and put its bin folder, which has catapult, on PATH",
        # The tool's own, and those of the compilers and the make that it starts.
        error_pattern=r"^# Error|^Error:|: (fatal )?error: |^make: \*\*\* ",
    ),
)
