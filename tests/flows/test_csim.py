"""The C simulation of whole networks against the emulator, the vendor's test bench, and what fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.errors import InputDataError, ToolFailedError
from bitsmith.flows.csim import INCLUDE, simulate
from bitsmith.hls import HlsProject, HlsTarget, write
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.words import pack, unpack
from bitsmith.ir.builder import Builder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, objects
from bitsmith.passes import drop_dead
from tests.hls.compiled import STRICT, written
from tests.properties.programs import random_stimuli
from tests.system.examples import digits, three_layer


def small() -> Program:
    build = Builder()
    x = build.input("x", (2,), FixedFormat(True, 6, 3))
    return build.program([("y", build.linear(x, [[1, -2], [3, 1]], 1))])


def project_in(folder: Path, program: Program, dialect: str = "vitis") -> HlsProject:
    return written({"net": program}, DIALECTS[dialect], folder)["net"]


def assert_equal(folder: Path, program: Program, project: HlsProject, samples: int) -> None:
    stimuli = random_stimuli(program, 1, samples)
    words = simulate(folder / "net", project, pack(project.inputs, program.types(program.inputs), stimuli))
    types = program.types([output.node for output in program.outputs])
    for got, want in zip(unpack(project.outputs, types, words), Emulator(program).run_raw(stimuli), strict=True):
        assert np.array_equal(got, objects(want))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_three_layers_bit_for_bit(tmp_path: Path, dialect: str) -> None:
    model, _ = three_layer(tmp_path)
    program = drop_dead(model.program, keep_probes=False)
    assert_equal(tmp_path, program, project_in(tmp_path, program, dialect), 50)
    assert not (tmp_path / "net/csim/compile.log").read_text()


@pytest.mark.slow
def test_digits_bit_for_bit(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    program = drop_dead(model.program, keep_probes=False)
    assert_equal(tmp_path, program, project_in(tmp_path, program), 50)


@pytest.mark.slow
def test_quarter_of_a_million_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    build = Builder()
    x = build.input("x", (16,), FixedFormat(True, 10, 6))
    for name, rows, columns in (("fc1", 16, 500), ("fc2", 500, 500), ("fc3", 500, 5)):
        with build.layer(name):
            weights = rng.integers(-128, 128, (rows, columns))
            x = build.cast(build.linear(x, weights, 7), FixedFormat(True, 12, 6))
    program = build.program([("y", x)])
    assert_equal(tmp_path, program, project_in(tmp_path, program), 4)


def test_bench_reads_and_writes_its_files(tmp_path: Path) -> None:
    project_in(tmp_path, small())
    folder = tmp_path / "net"
    (folder / "tb_data").mkdir()
    (folder / "tb_data" / "tb_input_features.dat").write_text("1.5 -0.125\n-4 3.875\n")
    command = [
        "g++",
        "-std=c++17",
        *STRICT,
        "-isystem",
        str(INCLUDE),
        "-o",
        "bench",
        "net_test.cpp",
        "firmware/net.cpp",
    ]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["./bench"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    results = np.loadtxt(folder / "tb_data" / "csim_results.log")
    np.testing.assert_array_equal(results, [[0.5625, -1.5625], [3.8125, 5.9375]])


def test_broken_source_shows_the_first_error(tmp_path: Path) -> None:
    project = project_in(tmp_path, small())
    (tmp_path / "net/firmware/net.cpp").write_text("void net( {\n")
    with pytest.raises(ToolFailedError, match="error: "):
        simulate(tmp_path / "net", project, np.zeros((1, 2), dtype=np.uint64))


@pytest.mark.parametrize(
    "words",
    [np.zeros((1, 2), dtype=np.int64), np.zeros((1, 3), dtype=np.uint64), np.zeros((0, 2), dtype=np.uint64)],
)
def test_words_that_do_not_fit(tmp_path: Path, words: np.ndarray) -> None:
    project = write(small(), DIALECTS["vitis"], HlsTarget("net", "part"))
    with pytest.raises(InputDataError):
        simulate(tmp_path, project, words)
