"""``csim_predict`` gives what ``predict`` gives; what is compiled, and when."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bitsmith.backends import DIALECT_NAMES, Backend
from bitsmith.base.project import Project
from bitsmith.building.csim import LIBRARY, HlsCode, real
from bitsmith.building.execute import Execution
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.errors import ConfigError, InputDataError, InputRangeWarning, ProjectError
from bitsmith.flows.run import Command
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.model import Model
from tests.properties import JUDGED, few, judged
from tests.properties.programs import random_program, random_stimuli
from tests.system.examples import three_layer
from tests.system.test_random_networks import random_network

NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False) | st.floats(-9, 9) | st.integers(-40, 40).map(lambda k: k / 8)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return three_layer(tmp_path_factory.mktemp("three"), backend="vitis")[0]


def target(folder: Path, backend: Backend = "vitis") -> Target:
    return Target(folder, "net", "xcu250-figd2104-2L-e", 5.0, backend=backend)


def assert_equal(model: Model, x: list[np.ndarray]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputRangeWarning)
        expected, found = model.predict(x), model.csim_predict(x)
    assert isinstance(found, list) == isinstance(expected, list)
    for want, have in zip(
        expected if isinstance(expected, list) else [expected],
        found if isinstance(found, list) else [found],
        strict=True,
    ):
        assert have.dtype == want.dtype == np.float64 and have.shape == want.shape
        assert have.tobytes() == want.tobytes()


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=60)
@given(arrays(np.float64, st.tuples(st.integers(0, 6), st.just(16)), elements=NUMBERS))
def test_any_number(model: Model, x: np.ndarray) -> None:
    assert_equal(model, [x])


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=() if name in ("vitis", "catapult") else JUDGED) for name in DIALECT_NAMES]
)
def test_every_backend(tmp_path: Path, backend: Backend) -> None:
    model, x = three_layer(tmp_path, backend=backend)
    assert_equal(model, [x[:100]])


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_kinds_of_numbers(model: Model, dtype: type) -> None:
    assert_equal(model, [np.random.default_rng(0).uniform(-4, 4, (50, 16)).astype(dtype)])


@few("seed", [2, 5], fast=1)
def test_random_networks(tmp_path: Path, seed: int) -> None:
    compiled = compile_network(random_network(seed))
    model = Model(compiled.network, compiled.program, target(tmp_path, "vivado"))
    rng = np.random.default_rng(seed)
    assert_equal(model, [rng.normal(0, 2, (20, *op.shape)) for op in model.program.input_ops()])


@few("seed", [702, 705], fast=1)
def test_random_programs(tmp_path: Path, seed: int) -> None:
    """Several inputs and outputs, of more than 64 bits too."""
    model = Model(compile_network(random_network(0)).network, random_program(seed, hardware=True), target(tmp_path))
    types = model.program.types(model.program.inputs)
    raws = random_stimuli(model.program, seed, 20)
    assert_equal(model, [real(raw, kind) for raw, kind in zip(raws, types, strict=True)])


def test_numbers_that_float64_cannot_hold(tmp_path: Path) -> None:
    build = ProgramBuilder()
    x = build.input("x", (40,), FixedFormat(True, 40, 20))
    y = build.mul(build.mul(x, x), x)
    program = build.program([("y", y), ("z", build.neg(y))])
    model = Model(compile_network(random_network(0)).network, program, target(tmp_path))
    assert_equal(model, [np.random.default_rng(0).uniform(-(2.0**19), 2.0**19, (500, 40))])


def test_warning_counts_what_is_outside(model: Model) -> None:
    x = np.zeros((3, 16))
    x[1, 4:6] = 1e9
    with pytest.warns(InputRangeWarning, match="2 values lie outside"):
        model.csim_predict(x)
    with pytest.raises(InputDataError, match="NaN"):
        model.csim_predict(x * np.nan)


@pytest.mark.slow
@pytest.mark.ci
def test_compiled_once_and_again_when_the_sources_change(tmp_path: Path) -> None:
    def libraries() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "project" / "csim").glob("*.so")}

    first, x = three_layer(tmp_path, backend="vitis")
    first.csim_predict(x[:2])
    before = libraries()
    three_layer(tmp_path, backend="vitis")[0].csim_predict(x[:2])
    assert libraries() == before and len(before) == 1
    other, _ = three_layer(tmp_path, backend="vitis", config={"Model": {"Precision": "fixed<12,6>"}})
    assert_equal(other, [x[:50]])
    assert libraries().keys() != before.keys() and len(libraries()) == 1
    assert_equal(first, [x[:50]])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("sealed", [False, True])
def test_code_that_comes_with_a_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    """A folder that a build elsewhere left, whose library is another; or one of this user, with files that come first."""
    mark, folder = tmp_path / "run", tmp_path / "project"
    shout = f'#include <cstdio>\nstatic int shout = std::fclose(std::fopen("{mark}", "w"));\n'
    (tmp_path / "a.cpp").write_text(shout)
    model, x = three_layer(tmp_path, backend="vitis")

    def planted(command: Command, *_: object) -> None:
        (folder / "csim").mkdir()
        subprocess.run(["g++", "-shared", "-fPIC", "-o", command.outputs[0], tmp_path / "a.cpp"], check=True)

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("bitsmith.building.execute.run", planted)
        if not sealed:
            elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
        code = HlsCode(model._job())
        with Project.open(folder, "myproject") as project:
            execution = Execution(project, None)
            execution.write(code.sources())
            execution.run(code.library())
            assert project.stages.keys() >= {LIBRARY}
    (library,) = (folder / "csim").glob("*.so")
    if sealed:
        library.write_bytes(b"planted")
        (folder / "firmware" / "ap_fixed.h").write_text(f"{shout}#include <ap_fixed.h>\n")
        (folder / "firmware" / "types.h.gch").mkdir()
        (folder / "firmware" / "types.h.gch" / "x").write_text("")
    assert_equal(model, [x[:2]])
    assert not mark.exists() and library.read_bytes() != b"planted"
    assert not {"ap_fixed.h", "types.h.gch"} & {path.name for path in (folder / "firmware").iterdir()}


def test_project_of_another_process_is_left_alone(tmp_path: Path) -> None:
    model, x = three_layer(tmp_path, backend="vitis")
    with Project.open(tmp_path / "project", "myproject"), pytest.raises(ProjectError, match="in use"):
        model.csim_predict(x[:2])


def test_rtl_has_no_csim(tmp_path: Path) -> None:
    model, x = three_layer(tmp_path)
    with pytest.raises(ConfigError, match="no C"):
        model.csim_predict(x[:2])


@few("io_type, reuse", [judged("io_stream", 8), ("io_parallel", 8), ("io_stream", 1)], fast=0)
def test_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, io_type: str, reuse: int) -> None:
    model, x = three_layer(tmp_path, backend="vitis")
    layers = [node.name for node in model.network.nodes]
    directives = Directives(
        dict.fromkeys(layers, reuse), io_type == "io_parallel", dict.fromkeys(layers, MultiplierStyle.SHARED)
    )
    monkeypatch.setattr(Model, "directives", directives)
    assert_equal(model, [x[:100]])
    source = (tmp_path / "project" / "firmware" / f"{model.target.project_name}.cpp").read_text()
    assert "#pragma HLS DATAFLOW" in source and ("kernels::add_products" in source) == (reuse > 1)
