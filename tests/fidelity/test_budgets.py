"""Fewer or more bits of ``auto``: what the circuit gets, how far its results are off, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bitsmith import FidelityWarning, Model, convert
from bitsmith.building.job import Target
from bitsmith.cli.commands import app
from bitsmith.compiler import Compiled, compile_network
from bitsmith.config.resolving import resolve
from bitsmith.conversion.explanation import explain
from bitsmith.converters import convert_from_config
from bitsmith.emulate import Emulator
from bitsmith.fidelity.certificate import certify
from bitsmith.fidelity.measure import Circuit, measure
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Logarithm, Power
from bitsmith.layers.sample_norm import LayerNormalization
from bitsmith.layers.settings import Bits, Settings
from bitsmith.layers.softmax import Softmax
from bitsmith.report.summary import held_constant
from tests.fidelity.test_certificate import DIGITS, MODELS, images
from tests.properties.test_execution import all_visible, assert_equal_to_oracle

THREE, THREE_WEIGHTS = MODELS / "bitsmith_3layer.json", MODELS / "bitsmith_3layer_weights.h5"

_TABULATED = (
    *(Activation(name) for name in sorted(FUNCTIONS)),
    *(Power(exponent) for exponent in (-2.0, -1.0, -0.7, -0.5, 0.3, 0.5, 1.7)),
    Logarithm(),
    Softmax(),
    LayerNormalization((-1,), as_weights(np.ones(5)), as_weights(np.zeros(5)), 1e-3),
)

_WIDE = 6.0
"""Steps of a result of so many bits by which a layer of its own may be off: its weights are rounded, and its result."""


def random_network(seed: int) -> tuple[Network, Floats]:
    """A few layers in a row whose weights and results no few bits hold, and inputs for them."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 7))
    nodes = [NetworkNode("x", Input((size,)))]

    def append(layer: Layer) -> None:
        nodes.append(NetworkNode(f"n{len(nodes)}", layer, (nodes[-1].name,)))

    for _ in range(int(rng.integers(1, 4))):
        out = int(rng.integers(3, 7))
        spread = float(np.exp(rng.uniform(-3, 3)))
        append(Dense(as_weights(rng.standard_normal((size, out)) * spread), as_weights(rng.standard_normal(out))))
        size = out
        match int(rng.integers(4)):
            case 0:
                append(Activation("tanh"))
            case 1:
                gamma = as_weights(rng.uniform(0.5, 2.0, size))
                append(LayerNormalization((-1,), gamma, as_weights(np.zeros(size)), 1e-3))
            case 2:
                append(ReLU())
            case _:
                append(Softmax())
    x = rng.standard_normal((64, nodes[0].layer.output_shape([])[0])) * float(np.exp(rng.uniform(-4, 4)))
    return Network(tuple(nodes), ("x",), (nodes[-1].name,)), x


def compiled_with(bits: Any, seed: int) -> tuple[Network, Compiled, Floats]:
    network, x = random_network(seed)
    network = resolve(network, None, bits)
    return network, compile_network(network, [x]), x


@pytest.mark.parametrize("bits", range(2, 21))
def test_results_have_the_bits_of_the_budget_and_errors_are_a_few_of_its_steps(bits: int) -> None:
    for seed in range(3):
        network, compiled, x = compiled_with(bits, 100 * seed + bits)
        types = {probe.name: compiled.program.nodes[probe.node].type for probe in compiled.program.probes}
        seen = network.evaluate([x])
        for node in compiled.network.nodes:
            values, kind = seen[node.name], types[node.name]
            largest = np.abs(values).max(axis=0)
            # A channel has as many bits of what it varies by, if that is less than its magnitude.
            scale = np.where(
                np.ptp(values, axis=0) > 2.0**-20 * largest, np.ptp(values, axis=0).clip(None, largest), largest
            )
            assert np.all(kind.frac <= bits - 1 - np.floor(np.log2(np.maximum(scale, 2.0**-60)))), (seed, node)
            # A sign, and a spare bit against data that calibration has not seen.
            assert np.all(kind.width <= kind.frac + math.ceil(math.log2(largest.max())) + 3), (seed, node)
        for row in measure(network, Circuit(compiled.network, compiled.program), [x]).rows:
            worst, size = row.own_worst or 0.0, float(np.ptp(seen[str(row.layer)]))
            largest = max(float(np.max(np.abs(seen[str(row.layer)]))), size)
            assert worst * size <= _WIDE * 2.0**-bits * largest * math.sqrt(x.shape[1]), (seed, row)


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
@pytest.mark.parametrize("layer", _TABULATED, ids=str)
def test_tables_are_as_accurate_as_the_budget(layer: Layer, bits: int) -> None:
    rng = np.random.default_rng(bits)
    x = np.rint(rng.normal(0.0, 2.0, (200, 5)) * 1024.0) / 1024.0
    x = np.abs(x).clip(2.0**-5) if isinstance(layer, Power | Logarithm) else x
    fine = Settings({"result": FixedFormat(True, 15, 10)})
    nodes = (NetworkNode("x", Input((5,)), settings=fine), NetworkNode("y", layer, ("x",)))
    network = Network((nodes[0], replace(nodes[1], settings=Settings(bits=Bits(bits, bits)))), ("x",), ("y",))
    found = Emulator(compile_network(network, [x]).program).run([x])[0]
    wanted = network.evaluate([x])["y"]
    assert np.max(np.abs(found - wanted)) <= 3.0 * 2.0**-bits * np.max(np.abs(wanted))


def test_weights_have_the_bits_of_the_budget() -> None:
    for bits in (2, 5, 9, 20):
        network, _, _ = compiled_with({"weight": bits}, bits)
        for node in network.nodes:
            if isinstance(node.layer, Dense):
                assert bits - 1 <= held_constant(node, "weight", node.layer.kernel).formats[0].width <= bits + 1
                assert held_constant(node, "bias", node.layer.weights()["bias"]).formats[0].width >= 14


@pytest.mark.parametrize("bits", [6, {"weight": 4, "result": 9}])
def test_emulator_equals_oracle(bits: Any) -> None:
    for seed in range(4):
        assert_equal_to_oracle(all_visible(compiled_with(bits, seed)[1].program), seed, 4)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("bits", [6, {"weight": 4, "result": 9}])
def test_cpp_agrees(tmp_path: Path, bits: Any) -> None:
    _, compiled, x = compiled_with(bits, 1)
    target = Target(tmp_path, "dut", "xcvu13p-flga2577-2-e", 10.0, backend="vitis")
    model = Model(compiled.network, compiled.program, target)
    np.testing.assert_array_equal(model.csim_predict(x), model.predict(x))


@pytest.mark.slow
@pytest.mark.ci
def test_fewer_bits_are_smaller_circuits() -> None:
    with np.load(MODELS / "bitsmith_3layer_test.npz", allow_pickle=False) as data:
        x = data["inputs"]
    told = [explain(THREE, THREE_WEIGHTS, calibration=x, bits=bits).estimate for bits in (6, 8, 12, 16)]
    sizes = [estimate.size.lut for estimate in told if estimate is not None]
    assert len(sizes) == 4 and sizes == sorted(sizes) and sizes[1] < 0.6 * sizes[-1]


def test_what_is_said_of_a_budget() -> None:
    model = convert(DIGITS, calibration=images(), bits=8)
    assert model.notes[0] == "auto keeps 8 bits of weights and results instead of 16."
    of_grid = convert(DIGITS, calibration=images(), bits=16).notes
    assert len(of_grid) == 1 and "are multiples of 0.0625" in of_grid[0]
    config = {"LayerName": {"fc1": {"Bits": {"weight": 3}}, "fc2": {"Bits": 12}}}
    notes = convert(DIGITS, config=config, calibration=images()).notes
    assert notes == (
        "auto keeps 3 bits of weights and 16 of results instead of 16, in 'fc1'.",
        "auto keeps 12 bits of weights and results instead of 16, in 'fc2'.",
        *of_grid,
    )


@pytest.mark.parametrize("bits", [5, 6, 8, 12, 20])
def test_what_a_budget_costs_is_not_told(bits: int) -> None:
    model = convert(DIGITS, calibration=images(), bits=bits)
    assert not model.fidelity.problems
    assert not model.losses(images())  # a value that is rounded to 0 where nothing else is possible is not lost


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (2, "layer 'fc1': auto keeps 2 bits, and it differs from its float meaning by"),
        ({"weight": 2, "result": 8}, "give it Bits: {weight: 7}"),
        ({"weight": 8, "result": 2}, "layer 'fc1': auto keeps 2 bits of results, and"),
    ],
)
def test_a_budget_with_which_results_are_of_no_use_is_told(bits: Any, said: str) -> None:
    with pytest.warns(FidelityWarning) as told:
        convert(DIGITS, calibration=images(), bits=bits)
    (warning,) = told
    assert said in str(warning.message)


def _normalized() -> tuple[Network, Floats]:
    """A dense layer into which a normalization is folded, and inputs."""
    rng = np.random.default_rng(0)
    nodes = (
        NetworkNode("x", Input((8,))),
        NetworkNode("dense", Dense(as_weights(rng.standard_normal((8, 4))), as_weights(np.zeros(4))), ("x",)),
        NetworkNode("scaler", BatchNormalization(as_weights([0.3, 1.7, 2.0, 0.9]), as_weights(np.ones(4))), ("dense",)),
    )
    return Network(nodes, ("x",), ("scaler",)), rng.standard_normal((64, 8))


@pytest.mark.parametrize("choice", [{"Bits": {"weight": 5}}, {"Precision": {"weight": "fixed<6,3>"}}])
def test_weights_of_a_layer_into_which_another_is_folded_are_not_blamed_on_us(choice: dict[str, object]) -> None:
    network, x = _normalized()
    network = resolve(network, {"LayerName": {"dense": choice}})
    compiled = compile_network(network, [x])
    assert compiled.network.node("dense").folded
    assert not certify(network, compiled.network, compiled.program, [x]).problems


def test_a_folded_normalization_keeps_the_bits_of_its_results() -> None:
    network, x = _normalized()
    network = resolve(network, {"LayerName": {"scaler": {"Bits": {"result": 5}}}})
    program = compile_network(network, [x]).program
    assert program.nodes[program.outputs[0].node].type.max_width <= 7


@pytest.mark.parametrize(
    ("bits", "fmt"), [(2, "2,2"), (4, "4,3"), (8, "8,4"), (12, "12,5"), (16, "16,6"), (20, "20,6")]
)
def test_inputs_without_data(bits: int, fmt: str) -> None:
    assert str(Input((3,)).default_format(bits)) == f"fixed<{fmt},RND,SAT>"
    assert Input((3,), integer=True).default_format(bits) == Input((3,), integer=True).default_format(16)
    network = resolve(Network((NetworkNode("x", Input((3,))),), ("x",), ("x",)), None, bits)
    assert f"it is fixed<{fmt},RND,SAT>" in compile_network(network).notes[-1]


def test_calibrated_inputs() -> None:
    x = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.float64)
    for layer, bits, width in ((Input((3,)), 6, 6), (Input((3,)), 8, 8), (Input((3,), integer=True), 6, 8)):
        network = resolve(Network((NetworkNode("x", layer),), ("x",), ("x",)), None, bits)
        program = compile_network(network, [x]).program
        assert program.nodes[0].type.max_width == width, (layer, bits)


def test_formats_are_what_they_are_in_any_budget() -> None:
    config = {"LayerName": {"fc1": {"Precision": {"result": "fixed<14,8,RND,SAT>"}}}}
    model = convert(DIGITS, config=config, calibration=images(), bits=6)
    found = next(row.result for row in model.design().layers if row.name == "fc1")
    assert found is not None and found.frac_max == 6


def test_project_files(tmp_path: Path) -> None:
    path = tmp_path / "project.yml"
    path.write_text(f"KerasModel: {DIGITS}\nHLSConfig:\n  Model:\n    Bits: {{weight: 6, result: 8}}\n")
    assert "auto keeps 6 bits of weights and 8 of results instead of 16." in convert_from_config(path).notes


def test_command_line(tmp_path: Path) -> None:
    def ran(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["convert", str(DIGITS), "--output-dir", str(tmp_path / "p"), *arguments])
        return f"{result.exit_code} {' '.join(result.output.split())}"

    assert "auto keeps 8 bits of weights and results instead of 16." in ran("--bits", "8")
    assert "auto keeps 6 bits of weights and 8 of results" in ran("--bits", "weight=6,result=8")
    for text, said in (("x", "accepted: 8, or weight=6,result=8"), ("weight=", "--bits"), ("30", "from 2 to 24")):
        assert (found := ran("--bits", text)).startswith("1 ") and said in found
