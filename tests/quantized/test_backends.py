"""Quantized models of every framework: emulator = oracle = netlist, = C++ of both families of types, = circuits in Verilator."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from tests.hls.compiled import assert_equal_to_emulator
from tests.layers.agreement import stimuli

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.frontends.read import read_model
from bitsmith.hls.dialects import DIALECTS

FOLDER = Path(__file__).parent
SUFFIXES = {".keras", ".h5", ".onnx", ".pt2", ".tflite"}
REFUSED = {"recurrent_k2", "recurrent_k3", "classifier_qop_u8s8"}
"""Files that are there to be refused."""
MODELS = sorted(
    path
    for path in FOLDER.glob("*/models/*")
    if path.suffix in SUFFIXES and "weights" not in path.stem and path.stem not in REFUSED
)
FRAMEWORKS = sorted({path.parent.parent.name for path in MODELS})
SMALL = {
    framework: min(
        (path for path in MODELS if path.parent.parent.name == framework), key=lambda path: path.stat().st_size
    )
    for framework in FRAMEWORKS
}
"""The smallest file of each framework."""

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")]


def named(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.stem}"


def simulated(path: Path, folder: Path, io_type: str) -> None:
    model = bitsmith.convert(path, folder, io_type=io_type)
    inputs = [
        raw.astype(float) * 2.0 ** -op.frac.astype(float)
        for raw, op in zip(stimuli(model.program, 20), model.program.input_ops(), strict=True)
    ]
    report = model.build(synth=False, inputs=inputs, force=True)
    assert report.section("Verification")["Mismatches"] == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_compiled(framework: str, tmp_path: Path) -> None:
    paths = [path for path in MODELS if path.parent.parent.name == framework]
    programs = {path.stem: compile_network(read_model(path)).program for path in paths}
    for dialect in (DIALECTS["vitis"], DIALECTS["catapult"]):
        assert_equal_to_emulator(programs, dialect, tmp_path / dialect.name)


@pytest.mark.ci
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_simulated(framework: str, io_type: str, tmp_path: Path) -> None:
    simulated(SMALL[framework], tmp_path, io_type)


@pytest.mark.parametrize("path", MODELS, ids=named)
def test_all_simulated(path: Path, tmp_path: Path) -> None:
    simulated(path, tmp_path, list(IOType)[zlib.crc32(named(path).encode()) % len(IOType)].value)
