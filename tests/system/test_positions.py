"""ParallelizationFactor: several positions per token, from the configuration to the simulated circuit and the C++."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network
from bitsmith.layers.shape import Permute
from bitsmith.model import Model
from tests.system.test_streams import Growing, random_spatial, shares


def convolution() -> onnx.ModelProto:
    """A 3x3 convolution of 8x6 images with the channels last, and a rectifier."""
    kernel = np.random.default_rng(0).integers(-4, 5, (3, 2, 3, 3)).astype(np.float32) / 4
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], name="to_first", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Transpose", ["r"], ["y"], name="to_last", perm=[0, 2, 3, 1]),
    ]
    shapes: dict[str, list[str | int | None]] = {"x": ["n", 8, 6, 2], "y": ["n", 8, 6, 3]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph(nodes, "net", [x], [y], [numpy_helper.from_array(kernel, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def converted(folder: Path, factor: int, io_type: str = "io_stream") -> Model:
    config = {"Model": {"Precision": {"default": "fixed<8,4>"}, "ParallelizationFactor": factor}}
    return bitsmith.convert(convolution(), folder / "project", config=config, io_type=io_type)


@pytest.mark.slow
@pytest.mark.ci
def test_the_configuration_reaches_the_circuit(tmp_path: Path) -> None:
    model = converted(tmp_path, 3)
    x = np.random.default_rng(1).uniform(-8, 8, (6, 8, 6, 2))
    report = model.build(synth=False, inputs=x)
    verification = report.section("Verification")
    assert verification["Mismatches"] == 0
    # The interface is a position on either side: a token of three holds it with the last or the first two of the row.
    assert report.section("Latency")["II"] == 10 * 4
    # Behind the last tap of a 3x3 window lie two rows of four tokens and two more; a token has three positions of two channels.
    (lines,) = [row for row in report.rows("FIFOs") if str(row["FIFO"]).endswith("_lines")]
    assert (lines["Layer"], lines["Width"], lines["Depth"], lines["Peak"]) == ("conv", 3 * 2 * 8, 2 * 4 + 2, 2 * 4 + 2)
    assert not [note for note in model.notes if "ParallelizationFactor" in note]


@pytest.mark.slow
@pytest.mark.ci
def test_a_transposition_shows_its_buffer(tmp_path: Path) -> None:
    grown = Growing(0, plain=True)
    first = grown.put(Input((4, 6, 2)))
    network = Network(tuple(grown.nodes), (first,), (grown.put(Permute((1, 0, 2)), first),))
    compiled = compile_network(replace(network, nodes=tuple(grown.nodes)))
    target = Target(tmp_path / "project", "dut", "LFE5U-85F-6BG381C", 10.0, io_type=IOType.STREAM)
    model = Model(compiled.network, compiled.program, target)
    report = model.build(synth=False, inputs=np.random.default_rng(0).uniform(-5, 5, (8, 4, 6, 2)))
    (buffer,) = [row for row in report.rows("FIFOs") if str(row["FIFO"]).endswith("_buffer")]
    # The first column is complete with the first token of the last row.
    assert int(str(buffer["Depth"])) >= 3 * 6 + 1 - 4
    assert 0 < int(str(buffer["Peak"])) <= int(str(buffer["Depth"]))


@pytest.mark.parametrize(
    ("factor", "io_type", "said"),
    [(5, "io_stream", "ParallelizationFactor 5 of 'conv' is taken as 3"), (3, "io_parallel", "has no effect")],
)
def test_what_is_not_as_asked_is_said(factor: int, io_type: str, said: str, tmp_path: Path) -> None:
    assert [note for note in converted(tmp_path, factor, io_type).notes if said in note]


def with_positions(network: Network, seed: int) -> Network:
    """Random factors, mostly the same for all layers."""
    rng = np.random.default_rng(seed)
    most = int(rng.choice([2, 3, 4, 8]))
    chosen = [int(rng.choice([most, most, 1, 2])) for _ in network.nodes]
    return network.with_nodes(
        [
            replace(node, settings=replace(node.settings, parallelization_factor=factor))
            for node, factor in zip(network.nodes, chosen, strict=True)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", shares(100, 3))
def test_streams_of_several_positions(seed: int, tmp_path: Path) -> None:
    compiled = compile_network(with_positions(random_spatial(seed), seed))
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-5, 5, (8, *op.shape)) for op in compiled.program.input_ops()]
    x = inputs if len(inputs) > 1 else inputs[0]
    for backend in ("rtl", "vitis"):
        rtl = backend == "rtl"
        folder = tmp_path / backend
        target = Target(folder, "dut", "LFE5U-85F-6BG381C", 10.0, backend=backend, io_type=IOType.STREAM)
        model = Model(compiled.network, compiled.program, target)
        report = model.build(csim=None if rtl else True, synth=False, inputs=x, force=True)
        assert report.section("Verification")["Mismatches"] == 0
        for fifo in report.rows("FIFOs") if rtl else ():
            assert int(str(fifo["Peak"])) <= int(str(fifo["Depth"]))
