"""The project scripts, run by a Tcl interpreter in which the vendor's commands only say what they were given."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bitsmith.hls import HlsTarget, write, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.project import Stage
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.version import __version__
from tests.hls.compiled import ALL_AT_ONCE
from tests.hls.test_writer import dense

COMMANDS = (
    "open_project set_top add_files open_solution set_part create_clock set_clock_uncertainty csim_design csynth_design "
    "cosim_design export_design"
)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
@pytest.mark.parametrize("dialect", ["vitis", "vivado"])
def test_build_script_calls_the_tool_with_the_target(tmp_path: Path, dialect: str) -> None:
    build = ProgramBuilder()
    program = build.program([("y", build.neg(build.input("x", (2,), FixedFormat(True, 4, 2))))])
    target = HlsTarget("net", "xcvu13p-flga2577-2-e", 4.0, 10.0, stages=(Stage.SYNTH, Stage.EXPORT))
    project = write(program, DIALECTS[dialect], target)
    for name in ("build_prj.tcl", "project.tcl"):
        (tmp_path / name).write_text(project.files[name])
    stubs = f'foreach name {{{COMMANDS}}} {{ proc $name args "puts \\"$name \\$args\\"" }}\nsource build_prj.tcl\n'
    (tmp_path / "stubs.tcl").write_text(stubs)
    done = subprocess.run(["tclsh", "stubs.tcl"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "open_project -reset net_prj",
        "set_top net",
        "add_files firmware/net.cpp -cflags -std=c++11",
        "add_files -tb net_test.cpp -cflags -std=c++11",
        "add_files -tb tb_data",
        "open_solution -reset solution1",
        "set_part xcvu13p-flga2577-2-e",
        "create_clock -period 4 -name default",
        "set_clock_uncertainty 10% default",
        "csim_design ",
        "csynth_design ",
        f"export_design -format ip_catalog -version {__version__}",
    ]
    assert all(source in project.files for source in ("firmware/net.cpp", "net_test.cpp"))


STAGES = {
    "synth": ["csynth_design "],
    "cosim": ["add_files -tb net_test.cpp -cflags {-std=c++11 -DRTL_SIM}", "cosim_design -trace_level none"],
    "export": [f"export_design -format ip_catalog -version {__version__}"],
}


def xilinx(folder: Path, script: str, commands: str, stage: str = "") -> list[str]:
    """The commands that a script of the Vitis project in ``folder`` gives, for a stage that the environment names."""
    build = ProgramBuilder()
    program = build.program([("y", build.neg(build.input("x", (2,), FixedFormat(True, 4, 2))))])
    project = write(program, DIALECTS["vitis"], HlsTarget("net", "xcvu13p-flga2577-2-e", 4.0, 10.0))
    for name in ("build_prj.tcl", "project.tcl", "vivado_synth.tcl", "clock.xdc", "vivado_pnr.tcl"):
        (folder / name).write_text(project.files[name])
    stubs = f'foreach name {{{commands}}} {{ proc $name args "puts \\"$name \\$args\\"" }}\nsource {script}\n'
    (folder / "stubs.tcl").write_text(stubs)
    env = {"PATH": "/usr/bin:/bin", **({"BITSMITH_STAGE": stage} if stage else {})}
    done = subprocess.run(["tclsh", "stubs.tcl"], cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
@pytest.mark.parametrize("stage", STAGES)
def test_one_stage_on_the_project_that_synthesis_left(tmp_path: Path, stage: str) -> None:
    commands = xilinx(tmp_path, "build_prj.tcl", COMMANDS, stage)
    reset = "-reset " if stage == "synth" else ""
    assert (commands[0], commands[5]) == (f"open_project {reset}net_prj", f"open_solution {reset}solution1")
    assert commands[9:] == STAGES[stage]


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_cosimulation_results_of_a_folder_of_its_own(tmp_path: Path) -> None:
    theirs = tmp_path / "net_prj/solution1/sim/wrapc_pc/tb_data"
    theirs.mkdir(parents=True)
    (theirs / "rtl_cosim_results.log").write_text("1\n")
    ours = tmp_path / "tb_data" / "rtl_cosim_results.log"
    ours.parent.mkdir()
    xilinx(tmp_path, "build_prj.tcl", COMMANDS, "cosim")
    assert ours.read_text() == "1\n"
    ours.write_text("2\n")
    xilinx(tmp_path, "build_prj.tcl", COMMANDS, "cosim")
    assert ours.read_text() == "2\n"


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_scripts_for_vivado(tmp_path: Path) -> None:
    commands = "add_files read_xdc synth_design opt_design report_utilization write_checkpoint"
    assert xilinx(tmp_path, "vivado_synth.tcl", commands) == [
        "add_files net_prj/solution1/syn/verilog",
        "read_xdc clock.xdc",
        "synth_design -top net -part xcvu13p-flga2577-2-e -mode out_of_context",
        "opt_design ",
        "report_utilization -file vivado_synth.rpt",
        "write_checkpoint -force vivado_synth.dcp",
    ]
    assert (tmp_path / "clock.xdc").read_text() == "create_clock -period 4 -name default [get_ports ap_clk]\n"
    reports = "report_utilization report_timing_summary"
    commands = f"open_checkpoint place_design phys_opt_design route_design {reports} write_checkpoint"
    assert xilinx(tmp_path, "vivado_pnr.tcl", commands) == [
        "open_checkpoint vivado_synth.dcp",
        *("place_design ", "phys_opt_design ", "route_design "),
        "report_utilization -hierarchical -file util.rpt",
        "report_timing_summary -file timing.rpt",
        "write_checkpoint -force vivado_pnr.dcp",
    ]


CATAPULT = "project options flow solution directive go"


def catapult(
    folder: Path, stage: str | None, found: str, directives: Directives = ALL_AT_ONCE, resources: str = ""
) -> tuple[int, list[str], str]:
    """Exit code, recorded commands and complaints of Catapult's script.

    The library of the part is ``found``; the tool has ``resources``: paths and the modules that they are mapped to.
    """
    target = HlsTarget("net", "xcku115-flvb2104-2-i", 4.0, 10.0, stages=(Stage.SYNTH,))
    project = write_project(dense(), directives, DIALECTS["catapult"], target)
    for name in ("build_prj.tcl", "project.tcl", "directives.tcl"):
        (folder / name).write_text(project.files[name])
    (folder / "stubs.tcl").write_text(
        f'foreach name {{{CATAPULT}}} {{ proc $name args "puts \\"$name \\$args\\"" }}\n'
        "rename solution recorded_solution\n"
        "proc solution args { if {$args eq {get -name}} { return net }; recorded_solution {*}$args }\n"
        "rename directive recorded_directive\n"
        "proc depth path { llength [split $path /] }\n"
        "proc directive args {\n"
        "    set path [lindex $args end]\n"
        "    if {[lindex $args 0] ne {get}} { return [recorded_directive {*}$args] }\n"
        f"    set all {{{resources}}}\n"
        "    if {[llength $args] == 2} { return [dict get $all [file dirname $path]] }\n"
        "    set paths [dict keys $all [file dirname $path]]\n"
        "    return [lmap p $paths { if {[depth $p/x] != [depth $path]} continue; string cat $p/MAP_TO_MODULE }]\n"
        "}\n"
        f'proc library {{command path args}} {{ if {{$args eq "-ret v"}} {{ return the_library }}; return "{found}" }}\n'
        "source build_prj.tcl\n"
    )
    env = {"PATH": "/usr/bin:/bin"} | ({} if stage is None else {"BITSMITH_STAGE": stage})
    done = subprocess.run(["tclsh", "stubs.tcl"], cwd=folder, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout.replace(str(folder), "FOLDER").splitlines(), done.stderr


LIBRARY = (
    "/CONFIG/PARAMETERS/Vivado/PARAMETERS/Xilinx/PARAMETERS/KINTEX-u/PARAMETERS/-2/PARAMETERS/xcku115-flvb2104-2-i/"
    "LIBRARIES/lib/NAME"
)
SOURCES = [
    "project new -name net_prj",
    "options set Input/CppStandard c++11",
    "flow package require /SCVerify",
    "solution file add FOLDER/firmware/net.cpp -type C++",
    "solution file add FOLDER/net_test.cpp -type C++ -exclude true",
    "directive set -MEM_MAP_THRESHOLD 1000000",
    "solution options set Architectural/DefaultRegisterThreshold 1000000",
    "directive set -DESIGN_GOAL latency",
    "go analyze",
    "go compile",
]
CSIM = "flow run /SCVerify/launch_make ./scverify/Verify_orig_cxx_osci.mk {} SIMTOOL=osci sim"
SYNTHESIS = [
    "solution library add the_library -- -rtlsyntool Vivado -manufacturer Xilinx -family KINTEX-u -speed -2 "
    "-part xcku115-flvb2104-2-i",
    *(f"solution library add Xilinx_{kind}" for kind in ("RAMS", "ROMS", "FIFO")),
    "go libraries",
    "directive set -CLOCKS {clk {-CLOCK_PERIOD 4 -CLOCK_UNCERTAINTY 0.4 -CLOCK_EDGE rising -RESET_KIND sync "
    "-RESET_SYNC_NAME rst -RESET_SYNC_ACTIVE high}}",
    *(f"go {step}" for step in ("assembly", "architect", "allocate", "schedule", "extract")),
    "project save",
]


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_script_of_catapult(tmp_path: Path) -> None:
    assert catapult(tmp_path, None, LIBRARY) == (0, [*SOURCES, CSIM, *SYNTHESIS], "")
    assert catapult(tmp_path, "synth", LIBRARY) == (0, [*SOURCES, *SYNTHESIS], "")
    simulation = "flow run /SCVerify/launch_make ./scverify/Verify_rtl_v_msim.mk {} SIMTOOL=msim sim"
    assert catapult(tmp_path, "cosim", LIBRARY) == (0, ["project load net_prj.ccs", simulation], "")
    code, commands, complaint = catapult(tmp_path, "synth", "")
    assert (code, commands) == (1, SOURCES)
    assert complaint == "# Error: no library of this installation has the part xcku115-flvb2104-2-i\n"


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_catapult_is_told_of_streams_and_memories(tmp_path: Path) -> None:
    """Depths of channels count as directives only; what is no memory is registers, but for ports."""
    folded = Directives({"dense_1": 3}, parallel=False, products={"dense_1": MultiplierStyle.SHARED})
    streams = ("dense_1_width_tokens", "dense_1_product_tokens")
    made = write_project(dense(), folded, DIALECTS["catapult"], HlsTarget("net", "part")).files["directives.tcl"]
    depths = dict(re.findall(r"(\w+_tokens) (\d+)", made))
    core = "net/dense_1_product/core"
    resources = (
        f"net/{streams[0]}:cns {{}} net/{streams[1]}:cns ccs_ioport.ccs_pipe net/x:rsc ccs_ioport.ccs_in_wait "
        f"{core}/net_layers::dense_1_product_weights.rom:rsc {{}} {core}/folded_product:part.data:rsc {{}}"
    )
    code, commands, complaint = catapult(tmp_path, "synth", LIBRARY, folded, resources)
    assert (code, complaint) == (0, "")
    start = commands.index("go assembly")
    assert commands[start + 1 : commands.index("go architect")] == [
        f"directive set net/{streams[0]}:cns -MAP_TO_MODULE ccs_ioport.ccs_pipe",
        *(f"directive set net/{stream}:cns -FIFO_DEPTH {depths[stream]}" for stream in streams),
        f"directive set {core}/folded_product:part.data:rsc -MAP_TO_MODULE {{[Register]}}",
        f"directive set {core}/net_layers::dense_1_product_weights.rom:rsc -INTERLEAVE 2",
    ]
    assert "directive set -MEM_MAP_THRESHOLD 32769" in commands
    code, _, complaint = catapult(tmp_path, "synth", LIBRARY, folded, f"net/{streams[0]}:cns {{}}")
    assert (
        code == 1
        and complaint == f"# Error: 0 channels are called {streams[1]}, which must have {depths[streams[1]]} places\n"
    )
