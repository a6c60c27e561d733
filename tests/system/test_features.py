"""Inputs whose features have formats of their own: every execution, files, texts and warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.backends import Backend
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.model import Model
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead
from tests.ir.oracle import evaluate
from tests.netlist.evaluate import evaluate as evaluate_netlist

RANGES = np.array([3000.0, 0.07, -5.0, 900.0])


def data(positions: tuple[int, ...] = ()) -> Floats:
    x = np.random.default_rng(0).uniform(0.1, 1.0, (40, *positions, 4)) * RANGES
    x[..., -1] = np.rint(x[..., -1])
    return x


def model(
    folder: Path, positions: tuple[int, ...] = (), backend: Backend = "rtl", io_type: IOType = IOType.PARALLEL
) -> Model:
    """``scaler -> dense -> relu``, and the scaler's own result."""
    rng = np.random.default_rng(1)
    scaler = BatchNormalization(as_weights(1 / RANGES), as_weights(np.full(4, -0.5)))
    nodes = (
        NetworkNode("x", Input((*positions, 4))),
        NetworkNode("scaler", scaler, ("x",)),
        NetworkNode(
            "dense", Dense(as_weights(rng.standard_normal((4, 3))), as_weights(rng.standard_normal(3))), ("x",)
        ),
        NetworkNode("fine", Dense(as_weights(rng.standard_normal((4, 2)))), ("scaler",)),
        NetworkNode("relu", ReLU(), ("fine",)),
    )
    compiled = compile_network(Network(nodes, ("x",), ("dense", "relu")), [data(positions)])
    part = "LFE5U-85F-6BG381C" if backend == "rtl" else "xcvu13p-flga2577-2-e"
    target = Target(folder, "dut", part, 10.0, backend=backend, io_type=io_type)
    return Model(compiled.network, compiled.program, target)


@pytest.mark.parametrize("positions", [(), (3,)])
def test_oracle_emulator_and_netlist_agree(tmp_path: Path, positions: tuple[int, ...]) -> None:
    made, x = model(tmp_path, positions), data(positions)
    assert made.get_input_variables()[0].type == "fixed<10..16,-2..13,RND,SAT>"
    raws, _ = made.emulator.quantize(0, x)
    netlist = reduce_widths(elaborate(drop_dead(made.program, keep_probes=False)))
    emulated = made.emulator.run_raw([raws])
    for k in range(10):
        truth = evaluate(made.program, [np.asarray(raws[k], dtype=np.object_)])
        for want, have in zip(truth, emulated, strict=True):
            np.testing.assert_array_equal(have[k], want)
        bits = evaluate_netlist(netlist, [int(value) for value in raws[k].ravel()])
        assert bits == [int(value) for output in truth for value in output.ravel()]
    exact = made.network.evaluate([x])
    for name, result in zip(made.network.outputs, made.predict(x), strict=True):
        assert np.max(np.abs(result - exact[name])) < 2.0**-11 * np.max(np.abs(exact[name]))


def test_files_and_texts_have_the_formats(tmp_path: Path) -> None:
    made, x = model(tmp_path), data()
    made.save(tmp_path / "model.json")
    loaded = Model.load(tmp_path / "model.json")
    assert loaded.program.input_ops()[0].frac.tolist() == made.program.input_ops()[0].frac.tolist()
    assert str(loaded) == str(made) and "fixed<10..16,-2..13,RND,SAT>" in str(made)
    for have, want in zip(loaded.predict(x), made.predict(x), strict=True):
        np.testing.assert_array_equal(have, want)
    with pytest.warns(bitsmith.InputRangeWarning, match=r"1 values lie outside the ranges of their features; SAT"):
        made.predict(np.array([[9000.0, 0.07, 1.0, 5.0]]))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", list(IOType))
def test_circuits_agree_in_simulation(tmp_path: Path, io_type: IOType) -> None:
    positions = (3,) if io_type is IOType.STREAM else ()
    made = model(tmp_path, positions, io_type=io_type)
    report = made.build(synth=False, inputs=data(positions), force=True)
    assert report.section("Verification")["Mismatches"] == 0


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", list(IOType))
def test_cpp_agrees(tmp_path: Path, io_type: IOType) -> None:
    positions = (3,) if io_type is IOType.STREAM else ()
    made = model(tmp_path, positions, "vitis", io_type)
    for have, want in zip(made.csim_predict(data(positions)), made.predict(data(positions)), strict=True):
        np.testing.assert_array_equal(have, want)
    assert made.build(inputs=data(positions), synth=False).section("Verification")["Mismatches"] == 0
