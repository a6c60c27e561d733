"""The project scripts, run by a Tcl interpreter in which the vendor's commands only say what they were given."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bitsmith.hls import HlsTarget, write
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.project import Stage
from bitsmith.ir.builder import Builder
from bitsmith.ir.types import FixedFormat

COMMANDS = (
    "open_project set_top add_files open_solution set_part create_clock set_clock_uncertainty csim_design csynth_design "
    "cosim_design export_design"
)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
@pytest.mark.parametrize("dialect", ["vitis", "vivado"])
def test_build_script_calls_the_tool_with_the_target(tmp_path: Path, dialect: str) -> None:
    build = Builder()
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
        "export_design -format ip_catalog",
    ]
    assert all(source in project.files for source in ("firmware/net.cpp", "net_test.cpp"))
