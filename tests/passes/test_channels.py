"""Steps of their own for channels and trained values of unlike scale, where outputs need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.compiler import Compiled, compile_network
from bitsmith.config.precision import parse_precision
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.text import to_text
from bitsmith.ir.types import objects
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import EinsumDense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.steps import BinaryTanh
from bitsmith.layers.recurrent import LSTM
from bitsmith.layers.sample_norm import LayerNormalization
from bitsmith.layers.settings import Bits, Settings, Strategy, Weights
from bitsmith.layers.shape import Flatten
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network import channels
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from bitsmith.passes.program import simplify
from bitsmith.report.summary import held_constant


def network(shape: Shape, *layers: Layer, settings: Settings | None = None) -> Network:
    """Layers one after another, called ``layer0`` and so on; the last one has the ``settings``."""
    nodes = [NetworkNode("x", Input(shape))]
    for number, layer in enumerate(layers):
        nodes.append(NetworkNode(f"layer{number}", layer, (nodes[-1].name,)))
    nodes[-1] = NetworkNode(nodes[-1].name, layers[-1], nodes[-1].inputs, settings=settings or Settings())
    return Network(tuple(nodes), ("x",), (nodes[-1].name,))


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def dense(n: int, m: int, scale: Floats | float = 1.0, seed: int = 0) -> Dense:
    """A dense layer whose results are of the order of ``scale`` for operands of the order of 1."""
    return Dense(
        as_weights(normal(n, m, seed=seed) / np.sqrt(n) * scale), as_weights(0.1 * normal(m, seed=seed) * scale)
    )


def compensating(n: int, m: int, scale: Floats) -> Dense:
    """One for operands of the order of ``scale``."""
    made = dense(n, m)
    return Dense(as_weights(made.kernel / scale[:, None]), made.bias)


def error(made: Network, compiled: Compiled, x: Floats) -> float:
    """The greatest difference from the float model, as a share of the range of its channel."""
    (found,) = Emulator(compiled.program).run([x])
    wanted = made.evaluate([x])[made.outputs[0]]
    along = tuple(range(max(wanted.ndim - 1, 1)))
    return float(np.max(np.abs(found - wanted).max(axis=along) / np.ptp(wanted, axis=along)))


def refined(compiled: Compiled) -> dict[str, set[str]]:
    return {node.name: set(node.fracs) for node in compiled.network.nodes if node.fracs}


def plain_text(made: Network, compiled: Compiled, x: Floats | None) -> str:
    """The program of one step for each tensor."""
    return to_text(simplify(lower(made, calibrate(made, None if x is None else [x]))))


UNITS = np.array([1e4, 1.0, 1e-3])


@pytest.mark.parametrize("calibrated", [True, False])
def test_outputs_in_unlike_units(calibrated: bool) -> None:
    made, x = network((8,), dense(8, 16), ReLU(), dense(16, 3, UNITS)), normal(400, 8).clip(-4, 4)
    compiled = compile_network(made, [x] if calibrated else None)
    assert error(made, compiled, x) < 2e-3
    assert refined(compiled) == {"layer2": {"weight", "bias", "result"}}
    assert any(note.startswith("Finer steps for some channels or weights of 'layer2': ") for note in compiled.notes)


@pytest.mark.parametrize("calibrated", [True, False])
def test_neurons_of_unlike_scale_that_the_next_weights_make_up_for(calibrated: bool) -> None:
    scale = np.exp2(np.arange(-10.0, 10.0))
    made, x = network((8,), dense(8, 20, scale), ReLU(), compensating(20, 3, scale)), normal(400, 8).clip(-4, 4)
    assert error(made, compile_network(made, [x] if calibrated else None), x) < 4e-3


@pytest.mark.parametrize("seed", range(3))
def test_trials_of_few_samples_each_go_on_from_results_that_nothing_changed(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = [np.exp2(np.random.default_rng(seed).permutation(12) * 1.5 - 9.0) for _ in range(5)]
    layers = [one for scale in scales for one in (dense(12, 12, scale), ReLU(), compensating(12, 12, scale), ReLU())]
    made, x = network((12,), *layers, dense(12, 3, UNITS)), normal(64, 12, seed=seed).clip(-4, 4)
    early = made.nodes[3].name  # is read by its neighbor, and much later
    late = [*made.nodes[:-1], NetworkNode("late", Subtract(), (early, made.nodes[-2].name))]
    made = made.with_nodes([*late, replace(made.nodes[-1], inputs=("late",))])
    at_once = compile_network(made, [x])
    monkeypatch.setattr(channels, "_AT_ONCE", 1)
    one_by_one = compile_network(made, [x])
    assert refined(at_once) == refined(one_by_one) and refined(at_once)
    assert to_text(at_once.program) == to_text(one_by_one.program)


def test_trials_compute_samples_without_rounding_that_they_look_at() -> None:
    made, x = network((8,), dense(8, 9), ReLU(), dense(9, 3)), normal(40, 8)
    trial = channels._Trial.of(made, [x], calibrate(made, [x]), 1)
    assert not trial.exact
    assert not trial._changed(made, lambda node, operands, result: result, [], slice(3, 4))
    assert trial._changed(made, lambda node, operands, result: 1.5 * result, [], slice(3, 4))
    assert trial.exact.keys() == {3}


@pytest.mark.parametrize("span", [9, 20])
def test_results_of_layers_in_turn_have_one_step(span: int) -> None:
    """It is finer by a few bits where an output shows it; outputs, which no memory holds, keep steps of their own."""
    scale, in_turn = np.exp2(np.arange(float(span))), Settings(strategy=Strategy.SHARED)
    made = network((8,), dense(8, span, scale), ReLU(), compensating(span, 3, scale), dense(3, 3, UNITS))
    made, x = made.with_nodes([replace(node, settings=in_turn) for node in made.nodes]), normal(400, 8).clip(-4, 4)
    compiled = compile_network(made, [x])
    fracs = {node.name: node.fracs["result"] for node in compiled.network.nodes if "result" in node.fracs}
    assert {name: len(set(frac.tolist())) for name, frac in fracs.items()} == {"layer0": 1, "layer1": 1, "layer3": 3}
    if span == 9:
        assert error(made, compiled, x) < 4e-3


def test_results_of_layers_in_turn_have_no_bit_beyond_words_of_block_memory() -> None:
    """Eight bits and one for what calibration has not seen are a word of nine bits: no layer asks for more."""
    scale, in_turn = np.exp2(np.arange(9.0)), Settings(strategy=Strategy.SHARED, bits=Bits(8, 8))
    made = network((8,), dense(8, 9, scale), ReLU(), compensating(9, 3, scale), dense(3, 3, UNITS))
    made, x = made.with_nodes([replace(node, settings=in_turn) for node in made.nodes]), normal(400, 8).clip(-4, 4)
    compiled = compile_network(made, [x])
    fracs = {node.name for node in compiled.network.nodes if "result" in node.fracs}
    results = [node for node in compiled.program.nodes if node.layer in {"layer1", "layer2"}]
    assert fracs == {"layer3"}
    assert all(node.type.max_width <= 9 for node in results if isinstance(node.op, ops.Cast))


def test_weights_of_layers_in_turn_have_a_step_for_each_column() -> None:
    """One memory has room for ``bits`` bits of each; layers side by side have more for operands of small scale."""
    scale = np.exp2(np.arange(6.0))
    made, x = (
        network((8,), dense(8, 6, scale), ReLU(), compensating(6, 4, scale), dense(4, 3, UNITS)),
        normal(400, 8).clip(-4, 4),
    )

    def widest(strategy: Strategy) -> int:
        settings = Settings(strategy=strategy, bits=Bits(8, 8))
        compiled = compile_network(made.with_nodes([replace(node, settings=settings) for node in made.nodes]), [x])
        assert error(made, compiled, x) < 0.2
        linear = [node.op for node in compiled.program.nodes if isinstance(node.op, ops.Linear)]
        fracs = [np.broadcast_to(op.frac, op.weights.shape) for op in linear]
        raws = [abs(op.weights) << objects(frac.max(axis=0) - frac) for op, frac in zip(linear, fracs, strict=True)]
        return max(int(raw.max()) for raw in raws)

    assert widest(Strategy.SHARED) < 128 < widest(Strategy.LATENCY)


def test_outputs_in_unlike_units_of_what_jumped() -> None:
    made, x = network((8,), BinaryTanh(), dense(8, 16), ReLU(), dense(16, 3, UNITS)), normal(400, 8)
    assert error(made, compile_network(made, [x]), x) < 2e-3


def test_one_outlier_costs_the_others_nothing() -> None:
    x = normal(400, 8).clip(-1.2, 1.2)
    with_outlier = np.concatenate([x, 1000 * x[:1]])
    made = network((8,), dense(8, 16), ReLU(), dense(16, 3))
    compiled = compile_network(made, [with_outlier])
    assert error(made, compiled, x) < 4e-3
    assert error(made, compiled, with_outlier) < 3e-3  # nothing saturates


@pytest.mark.parametrize("positions", [(), (3,)])
def test_features_far_from_0(positions: tuple[int, ...]) -> None:
    scaler = BatchNormalization(as_weights(np.full(8, 3.5)), as_weights(np.full(8, -3500.0)))
    made = network((*positions, 8), scaler, dense(8, 16), ReLU(), dense(16, 3))
    x = 1000.0 + np.random.default_rng(0).uniform(-0.5, 0.5, (200, *positions, 8))
    assert error(made, compile_network(made, [x]), x) < 4e-3


def test_a_constant_is_subtracted_from_features_far_from_0() -> None:
    nodes = (
        NetworkNode("x", Input((4,))),
        NetworkNode("mean", Constant(as_weights([1000.3, 0.0123, 7.1, 3e4 / 7]))),
        NetworkNode("centered", Subtract(), ("x", "mean")),
    )
    made = Network(nodes, ("x",), ("centered",))
    x = nodes[1].layer.reference([])[0] + normal(200, 4) * [0.5, 0.001, 1.0, 0.1]
    assert error(made, compile_network(made, [x]), x) < 2e-3


@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (3, 4)])
def test_a_number_is_subtracted_from_features_far_from_0(shape: Shape) -> None:
    nodes = (
        NetworkNode("x", Input(shape)),
        NetworkNode("mean", Constant(as_weights(1000.3))),
        NetworkNode("centered", Subtract(), ("x", "mean")),
    )
    made, x = Network(nodes, ("x",), ("centered",)), 1000.3 + 0.1 * normal(200, *shape)
    assert error(made, compile_network(made, [x]), x) < 2e-3


@pytest.mark.parametrize("seed", range(12))
def test_scales_that_are_put_in_and_made_up_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(2, 24, rng.integers(3, 6))]
    scales = [np.exp2(rng.integers(-20, 21, size)) for size in sizes]
    layers: list[Layer] = []
    for before, after in pairwise(scales):
        kernel = rng.standard_normal((len(before), len(after))) / np.sqrt(len(before)) / before[:, None] * after
        layers += [Dense(as_weights(kernel), as_weights(0.3 * rng.standard_normal(len(after)) * after)), ReLU()]
    made, x = network((sizes[0],), *layers[:-1]), rng.standard_normal((100, sizes[0])) * scales[0]
    assert error(made, compile_network(made, [x]), x) < 1e-2


def kernel(*shape: int, columns: Sequence[float] = (1e4, 1.0, 1e-3, 1e2)) -> Floats:
    return as_weights(normal(*shape) * columns[: shape[-1]])


GAMMA = (1.0, 1e-2, 1e-4, 1e3, 10.0, 1.0)

TRAINED: dict[str, tuple[Shape, Layer]] = {
    "Conv": ((6, 5, 3), Conv(kernel(2, 2, 3, 4), kernel(4), (1, 2), (1, 1), ((0, 0), (1, 0)))),
    "grouped Conv": ((6, 4), Conv(kernel(2, 2, 4), None, (1,), (1,), ((0, 0),), groups=2)),
    "DepthwiseConv": ((6, 4), Conv(kernel(3, 1, 4), kernel(4), (1,), (1,), ((1, 1),), groups=4)),
    "many groups": (
        (6, 40),
        Conv(as_weights(normal(3, 1, 40) * np.exp2(np.arange(-20, 20))), None, (1,), (1,), ((1, 1),), 40),
    ),
    "ConvTranspose": ((4, 3), ConvTranspose(kernel(3, 3, 4), kernel(4), (2,), (1,), (0,), (8,))),
    "grouped ConvTranspose": ((4, 4), ConvTranspose(kernel(3, 2, 4), None, (2,), (1,), (0,), (8,), groups=2)),
    "Dense on positions": ((3, 5), Dense(kernel(5, 3), kernel(3))),
    "EinsumDense": ((3, 5), EinsumDense("ab,bcd->acd", kernel(5, 2, 3), kernel(3))),
    "EinsumDense in groups": ((3, 4), EinsumDense("ab,abd->ad", kernel(3, 4, 3))),
    "BatchNormalization": ((5, 3), BatchNormalization(kernel(3), kernel(3))),
    "LayerNormalization": ((6,), LayerNormalization((-1,), kernel(6, columns=GAMMA), as_weights(np.zeros(6)), 1e-3)),
    "LayerNormalization of one scale": (
        (3, 6),
        LayerNormalization((-1,), as_weights([1 / 3]), as_weights(1000.3 * np.arange(6)), 1e-3),
    ),
    "Activation": ((3,), Activation("softplus")),
}


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("calibrated", [True, False])
def test_every_layer_with_trained_values(kind: str, calibrated: bool) -> None:
    shape, layer = TRAINED[kind]
    made, x = network(shape, layer, Flatten()), normal(100, *shape).clip(-4, 4)
    compiled = compile_network(made, [x] if calibrated else None)
    assert error(made, compiled, x) < 4e-3


def test_an_embedding_whose_columns_have_unlike_scale() -> None:
    made, x = (
        network((2,), Embedding(kernel(9, 3))),
        np.random.default_rng(0).integers(0, 9, (50, 2)).astype(np.float64),
    )
    assert error(made, compile_network(made, [x]), x) < 2e-3


@pytest.mark.parametrize("calibrated", [True, False])
def test_what_no_output_shows_costs_nothing(calibrated: bool) -> None:
    nearly_dead = np.where(np.arange(16) % 4 == 0, 1e-4, 1.0)
    unlikely = dense(16, 4)
    unlikely = Dense(unlikely.kernel, as_weights([0.0, 0.1, 0.0, -20.0]))
    made = network((8,), dense(8, 16, nearly_dead), ReLU(), unlikely, Softmax())
    x = normal(400, 8) if calibrated else None
    compiled = compile_network(made, None if x is None else [x])
    assert not refined(compiled)
    assert to_text(compiled.program) == plain_text(made, compiled, x)


def test_only_what_matters_is_finer() -> None:
    nearly_dead = np.where(np.arange(16) % 4 == 0, 1e-4, 1.0)
    made = network((8,), dense(8, 16, nearly_dead), ReLU(), dense(16, 3, UNITS))
    assert set(refined(compile_network(made, [normal(400, 8)]))) == {"layer2"}


def test_formats_of_the_user_stay() -> None:
    fmt = parse_precision("fixed<24,16>")
    assert fmt is not None
    made = network((8,), dense(8, 3, UNITS), settings=Settings({"result": fmt, "weight": fmt}))
    (node,) = compile_network(made, [normal(100, 8)]).network.nodes[1:]
    assert set(node.fracs) <= {"bias"}


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_the_smallest_budgets_are_taken_at_their_word(bits: int) -> None:
    """Of four bits and more, channels and weights of unlike scale have theirs each; of fewer there are none to give."""
    made = network((8,), dense(8, 3, UNITS), settings=Settings(bits=Bits(bits, bits)))
    assert bool(refined(compile_network(made, [normal(100, 8)]))) == (bits >= 4)


def test_weights_that_can_be_loaded_have_one_format() -> None:
    made = network((8,), dense(8, 3, UNITS), settings=Settings(weights=Weights.RELOADABLE))
    assert refined(compile_network(made, [normal(100, 8)])) == {"layer0": {"result"}}


def test_what_jumps_shows_nothing() -> None:
    made = network((8,), dense(8, 3, UNITS), ReLU(), BinaryTanh())
    assert not refined(compile_network(made, [normal(100, 8)]))


def test_recurrent_layers_take_operands_with_several_steps() -> None:
    rng = np.random.default_rng(0)
    lstm = LSTM(
        kernel=as_weights(rng.standard_normal((3, 8)) / UNITS[:, None]),
        recurrent_kernel=as_weights(rng.standard_normal((2, 8))),
        bias=as_weights(np.zeros(8)),
    )
    made, x = network((4, 5), dense(5, 3, UNITS), lstm), normal(60, 4, 5)
    assert error(made, compile_network(made, [x]), x) < 2e-2


def test_reports_show_what_the_circuit_holds() -> None:
    made, x = network((8,), dense(8, 3, UNITS)), normal(100, 8)
    node = compile_network(made, [x]).network.nodes[1]
    held = held_constant(node, "weight", node.layer.weights()["weight"]).values
    assert np.max(np.abs(held / node.layer.weights()["weight"] - 1.0)) < 2e-2


STEEP: dict[str, tuple[Network, Floats]] = {
    "erf of a wide input": (
        network((4,), Activation("erf")),
        np.where(normal(400, 1) > 0.0, 2000.0, 1.0) * normal(400, 4),
    ),
    "softmax of large scores": (network((4,), dense(4, 5, 300.0), Softmax()), normal(400, 4)),
    "sigmoid of a large sum": (network((4,), dense(4, 3, 400.0), Activation("sigmoid")), normal(400, 4)),
}


@pytest.mark.parametrize("name", STEEP)
def test_what_a_steep_function_takes_has_steps_by_its_slope(name: str) -> None:
    """However large its operand is, it changes where that changes by about 1."""
    made, x = STEEP[name]
    compiled = compile_network(made, [x])
    assert error(made, compiled, x) < 2.0**-8
    assert refined(compiled)


def test_scores_that_no_probability_shows_keep_their_steps() -> None:
    made = network((4,), dense(4, 5, 300.0), Softmax())
    x = np.sign(normal(400, 4))
    shares = made.evaluate([x])["layer1"]
    assert np.all(np.minimum(shares, 1.0 - shares) < 1e-6)
    assert not refined(compile_network(made, [x]))
