"""Projects as the vendors' tools see them: their own scripts run, with an ordinary compiler and stand-ins for their headers."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.flows.csim import INCLUDE
from bitsmith.hls import HlsProject, HlsTarget, write, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import ALL_AT_ONCE, STRICT
from tests.hls.test_names import hostile_program
from tests.hls.test_writer import dense
from tests.properties import JUDGED
from tests.properties.programs import random_stimuli

VENDOR = Path(__file__).parent / "vendor"
INCLUDES = ("-I", str(VENDOR), "-isystem", str(INCLUDE))
EACH = pytest.mark.parametrize("dialect", DIALECTS)
ONE_OF_A_FAMILY = pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=() if name in ("vitis", "catapult") else JUDGED) for name in DIALECTS]
)
"""Each dialect; of those that share a family of types all but one are slow."""
HOSTILE_PARTS = (
    'x"; exec rm',
    "x)\nexecute_process(COMMAND rm",
    "x$(shell rm)",
    "x\nall: ; rm",
    "[exec rm]",
    "x; rm",
    "x rm",
    "-x",
    "",
)
SAMPLES = 6

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs CMake")


def project_in(
    folder: Path, dialect: str, program: Program, directives: Directives = ALL_AT_ONCE, **target: float
) -> HlsProject:
    """The project, written, with inputs of the test bench."""
    made_for = HlsTarget("net", DIALECTS[dialect].part, **target)  # type: ignore[arg-type]
    project = write_project(program, directives, DIALECTS[dialect], made_for)
    for name, text in project.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return project


def run(argv: Sequence[str], folder: Path, **env: str) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, env=env or None)
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def compiler(folder: Path, **definitions: str) -> Path:
    """A vendor's compiler: an ordinary one that records its arguments and leaves out those it does not know."""
    path = folder / "vendor-c++"
    defined = " ".join(f"-D{name}={value}" for name, value in definitions.items())
    known = shlex.join(("g++", "-std=c++17", "-pthread", *STRICT, "-Wno-attributes", *INCLUDES))
    path.write_text(
        "#!/bin/bash\n"
        f'echo "$@" >> {shlex.quote(str(folder / "calls.txt"))}\n'
        'known=()\nfor word in "$@"; do\n'
        '  case "$word" in -fsycl*|-fintelfpga|-fconstexpr-steps=*|-reuse-exe=*|-q*|-X*) ;; *) known+=("$word") ;; esac\ndone\n'
        f'exec {known} {defined} "${{known[@]}}"\n'
    )
    path.chmod(0o755)
    return path


def plain(folder: Path) -> None:
    run(["g++", "-std=c++17", *STRICT, *INCLUDES, "-o", "run", "net_test.cpp", "firmware/net.cpp"], folder)
    run(["./run"], folder)


def quartus(folder: Path) -> None:
    run(["make", "csim", f"CXX={compiler(folder, __INTELFPGA_COMPILER__='1')}"], folder)


def oneapi(folder: Path) -> None:
    made = compiler(folder, SYCL_LANGUAGE_VERSION="2020", __INTEL_CLANG_COMPILER="20240000")
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_CXX_COMPILER={made}"], folder)
    run(["cmake", "--build", "build", "--target", "fpga_emu"], folder)
    run(["./build/net.fpga_emu"], folder)


def simulated(dialect: str, program: Program, folder: Path, directives: Directives = ALL_AT_ONCE) -> None:
    """The vendor's way of C simulation gives what the emulator gives."""
    if (dialect == "quartus" and shutil.which("make") is None) or (
        dialect == "oneapi" and shutil.which("cmake") is None
    ):
        pytest.skip("needs make or CMake")
    project = project_in(folder, dialect, program, directives)
    raws = random_stimuli(program, 1, SAMPLES)
    emulator = Emulator(program)
    data = folder / "tb_data"
    data.mkdir()
    numbers = [
        raw.reshape(SAMPLES, -1) * 0.5 ** float(port.scalar.frac)
        for raw, port in zip(raws, project.inputs, strict=True)
    ]
    np.savetxt(data / "tb_input_features.dat", np.concatenate(numbers, axis=1).astype(float))
    {"quartus": quartus, "oneapi": oneapi}.get(dialect, plain)(folder)
    found = np.loadtxt(data / "csim_results.log", ndmin=2)
    wanted = [
        raw.reshape(SAMPLES, -1) * 0.5 ** float(port.scalar.frac)
        for raw, port in zip(emulator.run_raw(raws), project.outputs, strict=True)
    ]
    np.testing.assert_array_equal(found, np.concatenate(wanted, axis=1).astype(float))


@ONE_OF_A_FAMILY
def test_test_bench(tmp_path: Path, dialect: str) -> None:
    simulated(dialect, dense(), tmp_path)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("parallel", [False, True], ids=["streams", "arrays"])
def test_test_bench_of_processes(tmp_path: Path, dialect: str, parallel: bool) -> None:
    simulated(dialect, dense(), tmp_path, Directives({"dense_1": 3}, parallel, {"dense_1": MultiplierStyle.SHARED}))


@ONE_OF_A_FAMILY
def test_hostile_names(tmp_path: Path, dialect: str) -> None:
    simulated(dialect, drop_dead(hostile_program(), keep_probes=False), tmp_path)


@EACH
@pytest.mark.parametrize("part", HOSTILE_PARTS)
def test_parts_that_would_be_commands_are_refused(dialect: str, part: str) -> None:
    with pytest.raises(ConfigError, match="letters"):
        write(dense(), DIALECTS[dialect], HlsTarget("net", part))


@EACH
def test_names_of_tops_are_words_of_every_script(dialect: str) -> None:
    plain_files, hostile = (
        write(dense(), DIALECTS[dialect], HlsTarget(top, "part")).files for top in ("net", "$(rm) [exec rm]; rm\nx")
    )
    replaced = {
        name.replace("rm_exec_rm_rm_x", "net"): text.replace("rm_exec_rm_rm_x", "net") for name, text in hostile.items()
    }
    upper = "rm_exec_rm_rm_x".upper()
    assert {name: text.replace(upper, "NET") for name, text in replaced.items()} == dict(plain_files)


@needs_make
def test_makefile(tmp_path: Path) -> None:
    project_in(tmp_path, "quartus", dense(), period_ns=4.0, uncertainty_percent=10.0)
    hardware = "i++ -march=Arria10 net_test.cpp net_component.cpp -o net-fpga"
    make = ["make", "--no-print-directory", "-n"]
    assert [run([*make, target], tmp_path).splitlines() for target in ("synth", "cosim", "vsynth")] == [
        [f"{hardware} --simulator none"],
        [f"{hardware} --simulator modelsim -DRTL_SIM", "./net-fpga"],
        [f"{hardware} --simulator none --quartus-compile"],
    ]
    assert "hls_scheduler_target_fmax_mhz(278)" in (tmp_path / "net_component.cpp").read_text()


@needs_make
@pytest.mark.parametrize(
    ("examples", "option", "included"),
    [
        (("legup.tcl", "Makefile.common"), "-legup-config=config.tcl", True),
        (("shls.tcl",), "-shls-config=config.tcl", False),
        (("shls.tcl", "legup.tcl", "Makefile.common"), "-shls-config=config.tcl", False),
    ],
)
def test_makefile_of_smarthls_before_and_since_2025_2(
    examples: Sequence[str], option: str, included: bool, tmp_path: Path
) -> None:
    """Neither has the names of the other (MicrochipTech/fpga-hls-examples, release 2025.2), which has such conditions."""
    project_in(tmp_path, "libero", dense(), period_ns=10.0, uncertainty_percent=12.5)
    installed = tmp_path / "Smart" / "examples"
    installed.mkdir(parents=True)
    for name in examples:
        (installed / name).write_text("")
    show = "show: ; @echo $(LOCAL_CONFIG) $(SRCS) $(MAKEFILE_LIST)"
    said = run(["make", "--eval", show, "show", f"SHLS_ROOT_DIR={tmp_path / 'Smart'}"], tmp_path).split()
    assert said[:3] == [option, "firmware/net.cpp", "net_test.cpp"]
    assert (str(installed / "Makefile.common") in said) is included
    conditions = {line for line in (tmp_path / "Makefile").read_text().splitlines() if line.startswith("if")}
    assert all(re.fullmatch(r'ifneq \("\$\(wildcard \S+\)",""\)', line) for line in conditions)
    assert "\nset_parameter CLOCK_PERIOD 8\n" in (tmp_path / "config.tcl").read_text()


@pytest.mark.slow
@pytest.mark.ci
@needs_cmake
def test_cmake_targets(tmp_path: Path) -> None:
    project_in(tmp_path, "oneapi", dense(), period_ns=4.0, uncertainty_percent=10.0)
    made = compiler(tmp_path, SYCL_LANGUAGE_VERSION="2020", __INTEL_CLANG_COMPILER="20250000")
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_CXX_COMPILER={made}"], tmp_path)
    calls = tmp_path / "calls.txt"
    clock = "-Xstarget=Agilex7 -Xsclock=3.6ns"
    early = f"-Xshardware {clock} -fsycl-link=early"
    wanted: Mapping[str, tuple[str, str]] = {
        "report": ("-DFPGA_HARDWARE", early),
        "fpga_sim": ("-DFPGA_SIMULATOR", f"-Xssimulation -Xsghdl {clock} -qactypes"),
        "fpga_ip_export": ("-DFPGA_HARDWARE", f"{early} -fsycl-device-code-split=per_kernel"),
        "fpga": ("-DFPGA_HARDWARE", f"-Xshardware {clock} -qactypes"),
    }
    common = "-fsycl -fintelfpga -fconstexpr-steps=134217728"
    for target, (definition, link) in wanted.items():
        calls.write_text("")
        run(["cmake", "--build", "build", "--target", target], tmp_path)
        compiling, linking = calls.read_text().splitlines()
        assert definition in compiling.split() and f"{common} -qactypes" in compiling
        assert ("-DRTL_SIM" in compiling) == (target == "fpga_sim")
        assert f"{common} {link} " in linking and f"-o net.{target} " in f"{linking} "
        assert ("-qactypes" in linking) == (f"-reuse-exe={tmp_path}/build/net.{target}" in linking.split())


@needs_cmake
def test_cmake_options(tmp_path: Path) -> None:
    """A board, and flags of the user's."""
    project_in(tmp_path, "oneapi", dense())
    made = compiler(tmp_path, SYCL_LANGUAGE_VERSION="2020", __INTEL_CLANG_COMPILER="20250000")
    options = ("-DFPGA_DEVICE=some_bsp:variant", "-DUSER_FLAGS=-DMINE;-DYOURS", "-DUSER_FPGA_FLAGS=-Xsseed=3")
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_CXX_COMPILER={made}", *options], tmp_path)
    run(["cmake", "--build", "build", "--target", "report"], tmp_path)
    compiling, linking = (tmp_path / "calls.txt").read_text().splitlines()[-2:]
    assert "-DMINE -DYOURS" in compiling
    assert "-Xstarget=some_bsp:variant" in linking and "-Xsseed=3" in linking


def test_boards_of_oneapi() -> None:
    files = write(dense(), DIALECTS["oneapi"], HlsTarget("net", "some_bsp:variant")).files
    assert "set(device some_bsp:variant)" in files["project.cmake"]
