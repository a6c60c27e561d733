"""The C simulation of whole networks against the emulator, the vendor's test bench, and what fails."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.backends import Backend
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import InputDataError, ToolFailedError
from bitsmith.flows import csim
from bitsmith.flows.csim import INCLUDE, Bridge, BridgeLibrary
from bitsmith.hls import HlsProject, HlsTarget, write
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.words import pack, unpack
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, objects
from bitsmith.model import Model
from bitsmith.passes.program import drop_dead
from tests.flows.runs import execute
from tests.hls.compiled import STRICT, open_headers, written
from tests.properties import judged
from tests.properties.programs import random_stimuli
from tests.system.examples import digits, three_layer
from tests.system.test_random_networks import random_network


def small() -> Program:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 6, 3))
    return build.program([("y", build.linear(x, [[1, -2], [3, 1]], 1))])


def project_in(folder: Path, program: Program, dialect: str = "vitis") -> HlsProject:
    return written({"net": program}, DIALECTS[dialect], folder)["net"]


def loaded(folder: Path, project: HlsProject) -> Bridge:
    """The project whose files are in ``folder``, compiled without a warning."""
    library = execute(BridgeLibrary(project), folder)
    assert not (folder / "csim/compile.log").read_text()
    return Bridge(library, project.in_words, project.out_words)


def assert_equal(folder: Path, program: Program, project: HlsProject, samples: int) -> None:
    stimuli = random_stimuli(program, 1, samples)
    words = loaded(folder / "net", project).run(pack(project.inputs, program.types(program.inputs), stimuli))
    types = program.types([output.node for output in program.outputs])
    for got, want in zip(unpack(project.outputs, types, words), Emulator(program).run_raw(stimuli), strict=True):
        assert np.array_equal(got, objects(want)) and got.dtype == want.dtype


@pytest.mark.parametrize("dialect", ["vitis", judged("catapult")])
def test_three_layers_bit_for_bit(tmp_path: Path, dialect: str) -> None:
    model, _ = three_layer(tmp_path)
    program = drop_dead(model.program, keep_probes=False)
    assert_equal(tmp_path, program, project_in(tmp_path, program, dialect), 50)


@pytest.mark.slow
def test_digits_bit_for_bit(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    program = drop_dead(model.program, keep_probes=False)
    assert_equal(tmp_path, program, project_in(tmp_path, program), 50)


@pytest.mark.slow
def test_quarter_of_a_million_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    build = ProgramBuilder()
    x = build.input("x", (16,), FixedFormat(True, 10, 6))
    for name, rows, columns in (("fc1", 16, 500), ("fc2", 500, 500), ("fc3", 500, 5)):
        with build.layer(name):
            weights = rng.integers(-128, 128, (rows, columns))
            x = build.cast(build.linear(x, weights, 7), FixedFormat(True, 12, 6))
    program = build.program([("y", x)])
    assert_equal(tmp_path, program, project_in(tmp_path, program), 4)


SCVERIFY = (
    "#define CCS_MAIN(argc, argv) int main()\n#define CCS_RETURN(code) return code\n#define CCS_DESIGN(top) top\n"
)
"""What Catapult's own header makes of its words where only the C++ runs."""


def bench(folder: Path, top: str, *options: str, include: Path = INCLUDE) -> Path:
    """The vendor's test bench of the project in ``folder``, compiled."""
    (folder / "vendor").mkdir(exist_ok=True)
    (folder / "vendor" / "mc_scverify.h").write_text(SCVERIFY)
    command = ["g++", "-std=c++17", *STRICT, *options, "-Ivendor", "-isystem", str(include), "-o", "bench"]
    subprocess.run([*command, f"{top}_test.cpp", f"firmware/{top}.cpp"], cwd=folder, check=True)
    return folder / "bench"


def run_bench(program: Path) -> tuple[int, str]:
    """Its exit code and what it says."""
    done = subprocess.run([program], cwd=program.parent, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("dialect", ["catapult", judged("vitis")])
def test_bench_reads_compares_and_writes(tmp_path: Path, dialect: str) -> None:
    project_in(tmp_path, small(), dialect)
    folder = tmp_path / "net"
    data = folder / "tb_data"
    data.mkdir()
    (data / "tb_input_features.dat").write_text("1.5 -0.125\n-4 3.875\n")
    program = bench(folder, "net")
    assert run_bench(program) == (0, "2 samples, not compared: no tb_data/tb_output_predictions.dat\n")
    assert (data / "csim_results.log").read_text() == "0.5625 -1.5625 \n3.8125 5.9375 \n"
    predictions = data / "tb_output_predictions.dat"
    predictions.write_text("0.5625 -1.5625\n3.8125 5.9375\n")
    assert run_bench(program) == (0, "2 samples, 0 numbers differ from the predictions\n")
    for wrong in ("0.5625 -1.5625\n3.8125 5.9376\n", "0.5625 -1.5625\n3.8125\n", "0.5625 1.5625\n3.8125 5.9375\n"):
        predictions.write_text(wrong)
        assert run_bench(program) == (1, "2 samples, 1 numbers differ from the predictions\n")


@pytest.mark.slow
@pytest.mark.ci
def test_bench_of_a_built_project(tmp_path: Path) -> None:
    model, inputs = three_layer(tmp_path, backend="vitis")
    model.build(inputs=inputs[:20])
    data = tmp_path / "project" / "tb_data"
    program = bench(tmp_path / "project", "myproject", "-DRTL_SIM")
    assert run_bench(program) == (0, "20 samples, 0 numbers differ from the predictions\n")
    np.testing.assert_array_equal(np.loadtxt(data / "rtl_cosim_results.log"), model.predict(inputs[:20]))
    assert not (data / "csim_results.log").exists()
    source = tmp_path / "project" / "firmware" / "weights" / "fc1_relu.h"
    source.write_text(source.read_text().replace("-", ""))
    code, text = run_bench(bench(tmp_path / "project", "myproject"))
    assert code == 1 and text.startswith("20 samples, ") and " 0 numbers" not in text


@pytest.mark.parametrize(
    "backend", [judged(None), *(pytest.param(chosen, marks=pytest.mark.slow) for chosen in ("vitis", "catapult"))]
)
def test_bench_of_wide_numbers_and_odd_names(tmp_path: Path, backend: Backend | None) -> None:
    """Numbers of more than 64 bits, to the last digit, and tensors that are called like the bench's own names.

    With the light headers, and with the vendors' open ones of a backend.
    """
    chosen = backend or "vitis"
    include = INCLUDE if backend is None else open_headers(DIALECTS[backend].family)
    build = ProgramBuilder()
    x = build.input("read", (3,), FixedFormat(True, 70, 40))
    y = build.input("wrong", (2,), FixedFormat(False, 64, -3))
    model = Model(
        compile_network(random_network(0)).network,
        build.program([("print", build.mul(x, x)), ("expected", build.neg(y)), ("predictions", y)]),
        Target(tmp_path, "net", "xcu250-figd2104-2L-e", 5.0, backend=chosen),
    )
    model.build()
    program = bench(tmp_path, "net", include=include)
    assert run_bench(program) == (0, "100 samples, 0 numbers differ from the predictions\n")
    first = (tmp_path / "tb_data" / "tb_input_features.dat").read_text().split()[0]
    assert first == f"{-(2**29)}"


def test_decimal_numbers(tmp_path: Path) -> None:
    """Text of users: exponents, signs, places that are dropped, and what is no number."""
    project_in(tmp_path, small())
    data = tmp_path / "net" / "tb_data"
    data.mkdir()
    given = {"+1.5e0": 1.5, "25E-1": 2.5, "-0.01": -0.125, "0.1249": 0.0, "0.00125e+2": 0.125, "-1e-30": -0.125}
    given |= {"1.99999999999999999999999": 1.875, ".5": 0.5, "-3.": -3.0, "nan": 0.0, "4": -4.0, "-4.125": 3.875}
    (data / "tb_input_features.dat").write_text("".join(f"{text} 0\n" for text in given))
    run_bench(bench(tmp_path / "net", "net"))
    results = np.loadtxt(data / "csim_results.log")
    np.testing.assert_array_equal(results[:, 0], [value / 2 for value in given.values()])


def test_broken_source_shows_the_first_error(tmp_path: Path) -> None:
    project = project_in(tmp_path, small())
    (tmp_path / "net/firmware/net.cpp").write_text("void net( {\n")
    with pytest.raises(ToolFailedError, match="error: "):
        execute(BridgeLibrary(project), tmp_path / "net")


def test_exception_of_the_compiled_code_is_an_error(tmp_path: Path) -> None:
    project = project_in(tmp_path, small())
    bridge = tmp_path / "net" / project.bridge
    body = '{ throw std::underflow_error("read from the empty stream x"); }'
    bridge.write_text(
        f'#include <stdexcept>\n#include <stdint.h>\nextern "C" void net_bridge(const uint64_t *, uint64_t *) {body}\n'
    )
    with pytest.raises(ToolFailedError, match="empty stream x"):
        loaded(tmp_path / "net", project).run(np.zeros((1, 2), dtype=np.uint64))


def test_large_arrays_fit_the_stack(tmp_path: Path) -> None:
    project = project_in(tmp_path, small())
    body = "{ volatile uint64_t large[12 << 20]; large[0] = in[0]; out[0] = large[0]; }"
    bridge = tmp_path / "net" / project.bridge
    bridge.write_text(f'#include <stdint.h>\nextern "C" void net_bridge(const uint64_t *in, uint64_t *out) {body}\n')
    words = loaded(tmp_path / "net", project).run(np.array([[7, 8], [9, 1]], dtype=np.uint64))
    assert words[:, 0].tolist() == [7, 9]


@pytest.mark.slow
@pytest.mark.ci
def test_two_libraries_in_one_process(tmp_path: Path) -> None:
    """Equal names inside of both, unequal constants."""
    given = np.array([[8, 0]], dtype=np.uint64)  # 1.0 and 0.0
    results = []
    for k, factor in enumerate((1, 3)):
        build = ProgramBuilder()
        y = build.linear(build.input("x", (2,), FixedFormat(True, 6, 3)), [[factor], [0]], 0)
        program = build.program([("y", build.cast(y, FixedFormat(True, 9, 3)))])
        (tmp_path / str(k)).mkdir()
        project = project_in(tmp_path / str(k), program)
        results.append(loaded(tmp_path / str(k) / "net", project).run(given).item())
    assert results == [8, 24]


def test_key_tells_sources_compilers_and_headers_apart(tmp_path: Path) -> None:
    project = write(small(), DIALECTS["vitis"], HlsTarget("net", "part"))
    flow = BridgeLibrary(project)
    (tool,) = flow.find()
    keys = {flow.key([tool]), flow.key([replace(tool, version="99")])}
    keys.add(BridgeLibrary(write(small(), DIALECTS["catapult"], HlsTarget("net", "part"))).key([tool]))
    shutil.copytree(INCLUDE, tmp_path / "include")
    keys.add(BridgeLibrary(project, tmp_path / "include").key([tool]))
    (tmp_path / "include" / "ap_int.h").write_text("")
    keys.add(BridgeLibrary(project, tmp_path / "include").key([tool]))
    assert len(keys) == 5
    assert flow.key([tool]) == BridgeLibrary(project).key([tool])


def test_what_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "net.so").write_text("no library")
    with pytest.raises(ToolFailedError, match="cannot be loaded"):
        Bridge(tmp_path / "net.so", 1, 1)


@pytest.mark.parametrize("words", [np.zeros((1, 2), dtype=np.int64), np.zeros((1, 3), dtype=np.uint64)])
def test_words_that_do_not_fit(tmp_path: Path, words: np.ndarray) -> None:
    with pytest.raises(InputDataError):
        loaded(tmp_path / "net", project_in(tmp_path, small())).run(words)


def test_no_samples_and_more_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csim, "SAMPLES_AT_ONCE", 7)
    bridge = loaded(tmp_path / "net", project_in(tmp_path, small()))
    assert bridge.run(np.zeros((0, 2), dtype=np.uint64)).shape == (0, 2)
    words = np.arange(40, dtype=np.uint64).reshape(20, 2)
    assert np.array_equal(bridge.run(words), [bridge.run(row[None])[0] for row in words])
