"""Channels and weights with steps of their own: every execution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.backends import Backend
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.model import Model
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead
from tests.ir.oracle import evaluate
from tests.netlist.evaluate import evaluate as evaluate_netlist

SCALE = np.array([300.0, 1.0, 2e-3])


def data() -> Floats:
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (40, 4, 3))
    x[..., 1] += 70.0
    x[3, 0, 0] = 200.0  # an outlier
    return x


def model(folder: Path, backend: Backend = "rtl", io_type: IOType = IOType.PARALLEL) -> Model:
    """``convolution -> relu -> dense`` whose scales make up for each other, with outputs in unlike units, and a table of it."""
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((2, 3, 3)) * SCALE
    bias = -70.0 * kernel.sum(axis=0)[1]  # the second feature is far from 0
    nodes = (
        NetworkNode("x", Input((4, 3))),
        NetworkNode("conv", Conv(as_weights(kernel), as_weights(bias), (1,), (1,), ((0, 0),)), ("x",)),
        NetworkNode("relu", ReLU(), ("conv",)),
        NetworkNode("dense", Dense(as_weights(rng.standard_normal((3, 2)) / SCALE[:, None] * [1.0, 1e3])), ("relu",)),
        NetworkNode("tanh", Activation("tanh"), ("dense",)),
    )
    compiled = compile_network(Network(nodes, ("x",), ("dense", "tanh")), [data()])
    assert {node.name for node in compiled.network.nodes if node.fracs} == {"x", "conv", "relu", "dense"}
    part = "LFE5U-85F-6BG381C" if backend == "rtl" else "xcvu13p-flga2577-2-e"
    target = Target(folder, "dut", part, 10.0, backend=backend, io_type=io_type)
    return Model(compiled.network, compiled.program, target)


def test_oracle_emulator_and_netlist_agree(tmp_path: Path) -> None:
    made, x = model(tmp_path), data()
    raws, _ = made.emulator.quantize(0, x)
    netlist = reduce_widths(elaborate(drop_dead(made.program, keep_probes=False)))
    emulated = made.emulator.run_raw([raws])
    for k in range(8):
        truth = evaluate(made.program, [np.asarray(raws[k], dtype=np.object_)])
        for want, have in zip(truth, emulated, strict=True):
            np.testing.assert_array_equal(have[k], want)
        bits = evaluate_netlist(netlist, [int(value) for value in raws[k].ravel()])
        assert bits == [int(value) for output in truth for value in output.ravel()]
    usual = np.delete(x, 3, axis=0)
    exact = made.network.evaluate([usual])["dense"]
    found = np.asarray(made.predict(usual)[0])
    assert np.max(np.abs(found - exact).max(axis=(0, 1)) / np.ptp(exact, axis=(0, 1))) < 5e-3


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", list(IOType))
def test_circuits_agree_in_simulation(tmp_path: Path, io_type: IOType) -> None:
    report = model(tmp_path, io_type=io_type).build(synth=False, inputs=data(), force=True)
    assert report.section("Verification")["Mismatches"] == 0


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", list(IOType))
def test_cpp_agrees(tmp_path: Path, io_type: IOType) -> None:
    made = model(tmp_path, "vitis", io_type)
    for have, want in zip(made.csim_predict(data()), made.predict(data()), strict=True):
        np.testing.assert_array_equal(have, want)
