"""Channels-first networks, and others with permutations: what the pass leaves of them, and that nobody can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Concatenate, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Crop, Pad
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape, Slice
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm
from bitsmith.passes.network.layout import layout
from bitsmith.passes.network.lower import lower
from bitsmith.passes.program import drop_dead, simplify

INPUT = FixedFormat(True, 6, 3)


@dataclass
class Drawn:
    """A network under construction; ``add`` gives the new node's name."""

    rng: np.random.Generator
    step: float = 1 / 8
    nodes: list[NetworkNode] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def add(self, layer: Layer, *inputs: str, name: str = "", chosen: Settings | None = None) -> str:
        name = name or f"n{len(self.nodes)}"
        self.shapes[name] = layer.output_shape([self.shapes[one] for one in inputs])
        self.nodes.append(NetworkNode(name, layer, inputs, settings=chosen or Settings()))
        return name

    def input(self, shape: Shape, name: str = "x") -> str:
        return self.add(Input(shape), name=name, chosen=Settings({"result": INPUT}))

    def weights(self, *shape: int) -> Floats:
        return as_weights(self.rng.integers(-8, 9, shape) * self.step)

    def network(self, *outputs: str) -> Network:
        inputs = tuple(node.name for node in self.nodes if isinstance(node.layer, Input))
        return Network(tuple(self.nodes), inputs, outputs)

    def last(self, x: str) -> str:
        """Channels from the first axis to the last."""
        rank = len(self.shapes[x])
        return self.add(Permute((*range(1, rank), 0)), x)

    def first(self, x: str) -> str:
        """Channels from the last axis to the first."""
        rank = len(self.shapes[x])
        return self.add(Permute((rank - 1, *range(rank - 1))), x)

    def conv(self, x: str, channels: int, size: int = 3, groups: int = 1, name: str = "") -> str:
        """A convolution on channels-first tensors that keeps their size."""
        x = self.last(x)
        kernel = self.weights(size, size, self.shapes[x][-1] // groups, channels)
        sides = (size // 2, size // 2)
        conv = Conv(kernel, self.weights(channels), (1, 1), (1, 1), (sides, sides), groups)
        return self.first(self.add(conv, x, name=name))

    def pool(self, x: str) -> str:
        return self.first(self.add(MaxPool((2, 2), (2, 2)), self.last(x)))

    def normalised(self, x: str, axis: int = 0) -> str:
        size = self.shapes[x][axis]
        return self.add(BatchNormalization(self.weights(size), self.weights(size), axis), x)

    def dense(self, x: str, units: int) -> str:
        return self.add(Dense(self.weights(self.shapes[x][-1], units), self.weights(units)), x)


def drawn(seed: int = 0) -> Drawn:
    return Drawn(np.random.default_rng(seed))


def circuit(network: Network) -> Program:
    """What is built of ``network``."""
    return drop_dead(compile_network(network).program, keep_probes=False)


def moving(program: Program) -> Counter[str]:
    """How many ops of each kind put elements elsewhere, by where their operand comes from."""
    return Counter(
        f"{type(node.op).__name__} of {type(program.nodes[node.args[0]].op).__name__}"
        for node in program.nodes
        if isinstance(node.op, ops.Transpose | ops.Gather)
    )


AT_THE_INPUT = Counter({"Transpose of Input": 1})


def plain(d: Drawn) -> str:
    x = d.input((3, 8, 8))
    x = d.add(ReLU(), d.normalised(d.conv(x, 4)))
    x = d.add(Identity(), d.pool(x))
    x = d.add(ReLU(), d.conv(x, 5))
    return d.dense(d.add(Identity(), d.add(Flatten(), x)), 3)


def viewed(d: Drawn) -> str:
    x = d.pool(d.conv(d.input((2, 4, 4)), 3))
    return d.dense(d.add(ReLU(), d.normalised(d.add(Reshape((-1,)), x))), 2)


def residual(d: Drawn) -> str:
    x = d.add(ReLU(), d.conv(d.input((2, 4, 4)), 3))
    y = d.normalised(d.conv(d.add(PReLU(d.weights(3, 1, 1)), d.conv(x, 3)), 3))
    x = d.add(ReLU(), d.add(Add(), x, y))
    return d.dense(d.add(Flatten(), x), 2)


def residual_of_the_input(d: Drawn) -> str:
    x = d.input((2, 4, 4))
    return d.dense(d.add(Flatten(), d.add(Add(), x, d.conv(x, 2))), 2)


def separable(d: Drawn) -> str:
    x = d.conv(d.input((3, 4, 4)), 4)
    x = d.add(ReLU(max_value=6.0), d.normalised(d.conv(x, 4, groups=4)))
    x = d.conv(x, 6, size=1)
    return d.dense(d.add(Reduce(Reduction.MEAN, (0, 1)), d.last(x)), 2)


def branches(d: Drawn) -> str:
    x = d.add(ReLU(), d.conv(d.input((2, 4, 4)), 3))
    x = d.add(Concatenate(0), d.conv(x, 2, size=1), d.conv(x, 3), x)
    flat = [d.add(Flatten(), d.pool(x)), d.add(Flatten(), d.conv(x, 2)), d.input((3,), "z")]
    return d.dense(d.add(Concatenate(), *flat), 2)


def attended(d: Drawn) -> str:
    """Squeeze and excitation: channels are weighted by what the whole image says."""
    x = d.conv(d.input((2, 4, 4)), 3)
    weights = d.first(d.add(Reduce(Reduction.MEAN, (0, 1), keepdims=True), d.last(x)))
    weights = d.add(HardActivation(1 / 4, 1 / 2, 0.0, 1.0), d.conv(d.add(ReLU(), d.conv(weights, 2, 1)), 3, 1))
    return d.dense(d.add(Reduce(Reduction.MEAN, (0, 1)), d.last(d.add(Multiply(), x, weights))), 2)


def pixelwise(d: Drawn) -> str:
    x = d.conv(d.input((2, 4, 4)), 3)
    x = d.add(Multiply(), d.add(Constant(d.weights(3, 1, 1)), name="gain"), x)
    x = d.add(Pad(((0, 0), (1, 0), (0, 2))), x)
    x = d.add(Softmax(0), d.conv(d.add(Crop(((0, 0), (0, 1))), x), 4))
    return d.dense(d.add(Reduce(Reduction.MAX, (1, 2)), x), 2)


def lopsided(d: Drawn) -> str:
    """Operands of fewer axes, in another order, and a result that is permuted."""
    x = d.add(Permute((1, 2, 0)), d.input((2, 3, 3)))
    x = d.add(Add(), d.add(Constant(d.weights(2))), d.add(Add(), x, d.add(Permute((1, 0, 2)), x)))
    return d.add(ReLU(), d.add(Permute((1, 2, 0)), d.add(Dense(d.weights(2, 4)), x)))


def decoder(d: Drawn) -> str:
    """Dense layers, then images: what is reshaped comes in the right order."""
    x = d.add(ReLU(), d.dense(d.add(ReLU(), d.dense(d.input((3,)), 4)), 18))
    x = d.conv(d.add(Reshape((2, 3, 3)), d.normalised(x)), 3)
    return d.dense(d.add(Flatten(), x), 2)


def test_a_decoder_moves_nothing() -> None:
    d = drawn()
    network = d.network(decoder(d))
    assert not moving(circuit(network))
    assert_same_results(network)


@pytest.mark.parametrize(
    "build",
    [plain, viewed, residual, residual_of_the_input, separable, branches, attended, pixelwise],
    ids=lambda build: build.__name__,
)
def test_channels_first_networks_move_nothing_but_their_input(build: Callable[[Drawn], str]) -> None:
    d = drawn()
    network = d.network(build(d))
    program = circuit(network)
    assert moving(program) == AT_THE_INPUT
    assert_same_results(network)


def test_what_goes_out_as_an_image_is_moved_at_the_end() -> None:
    d = drawn()
    out = d.add(Activation("sigmoid"), d.normalised(d.conv(d.add(ReLU(), d.conv(d.input((2, 4, 4)), 3)), 2)))
    program = circuit(d.network(out))
    assert sum(moving(program).values()) == 2
    (output,) = program.outputs
    assert isinstance(program.nodes[output.node].op, ops.Transpose)


@pytest.mark.parametrize(
    "steps", [[], [Flatten()], [Dense(np.eye(4), np.zeros(4)), ReLU()], [Reduce(Reduction.MAX, (0, 1, 2))]]
)
def test_functions_after_a_convolution_of_one_channel_take_one_number_at_a_time(steps: list[Layer]) -> None:
    """And not a row of the image, whose view is as cheap before them as after them."""
    d = drawn()
    first = x = d.add(ReLU(), d.conv(d.input((1, 3, 4)), 1))
    x = second = d.add(Activation("sigmoid"), d.add(Add(), x, d.conv(x, 1)))
    for step in steps:
        x = d.add(step, x)
    network = with_inner(d.network(x))
    laid = layout(network)
    assert [laid.shapes()[name] for name in (first, second)] == [(3, 4, 1)] * 2
    (output,) = circuit(network).outputs
    assert circuit(network).nodes[output.node].type.shape == d.shapes[x]
    assert_same_results(network)


def test_tokens_of_an_image_need_no_move() -> None:
    """As vision transformers have it: flatten(2).transpose(1, 2)."""
    d = drawn()
    x = d.add(Reshape((4, 9)), d.conv(d.input((2, 3, 3)), 4))
    x = d.dense(d.add(Permute((1, 0)), x), 5)
    assert moving(circuit(d.network(x))) == AT_THE_INPUT


def test_one_move_serves_all_that_read_the_input_so() -> None:
    d = drawn()
    x = d.input((4, 3, 3))
    parts = [d.add(Slice((k, 0, 0), (k + 2, 3, 3), (1, 1, 1)), x) for k in (0, 2)]
    out = [d.dense(d.add(Flatten(), d.conv(part, 2)), 2) for part in parts]
    network = d.network(*out)
    assert moving(circuit(network)) == AT_THE_INPUT
    assert_same_results(network)


def test_channels_last_models_with_transposes_around_convolutions() -> None:
    """As tf2onnx writes them: the model is channels-last, its convolutions are not, and ours are."""
    d = drawn()

    def conv(x: str, channels: int) -> str:
        return d.last(d.conv(d.first(x), channels))

    x = d.add(ReLU(), conv(d.input((4, 4, 2)), 3))
    x = d.add(Add(), x, d.add(Constant(d.weights(3)), name="shift"))
    x = d.dense(d.add(Flatten(), conv(x, 2)), 2)
    assert not moving(circuit(d.network(x)))


def test_normalisations_fold_across_what_was_a_permutation() -> None:
    d = Drawn(np.random.default_rng(0), step=1 / 9)  # a trained kernel, not a quantized one
    out = d.normalised(d.conv(d.input((2, 4, 4)), 3, name="conv"))
    network = fold_batchnorm(layout(d.network(out)))
    assert isinstance(network.node(out).layer, Identity)
    assert network.node("conv").folded
    assert not any(isinstance(node.op, ops.Mul) for node in circuit(d.network(out)).nodes)


@pytest.mark.parametrize(
    ("shape", "axis", "folds"),
    [
        ((4, 1), 0, True),
        ((1, 4), 1, True),
        ((1, 4, 1), -2, True),
        ((4,), 0, True),
        ((2, 2), 1, False),
        ((4, 1), 1, False),
    ],
)
def test_normalisations_fold_across_axes_of_one_element(shape: Shape, axis: int, folds: bool) -> None:
    d = Drawn(np.random.default_rng(0), step=1 / 9)
    dense = d.dense(d.input((3,)), 4)
    network = d.network(d.normalised(d.add(Reshape(shape), dense), axis))
    folded = fold_batchnorm(network)
    assert isinstance(folded.node(network.outputs[0]).layer, Identity) is folds
    assert [node.folded for node in folded.nodes[1:3]] == [folds] * 2
    x = batches(network)
    np.testing.assert_allclose(
        folded.evaluate(x)[network.outputs[0]], network.evaluate(x)[network.outputs[0]], rtol=1e-9, atol=1e-9
    )


def test_normalisations_fold_along_several_positions_only_as_channels() -> None:
    """As tf2onnx writes a convolution along one axis: with an axis of one element that goes behind it."""
    d = Drawn(np.random.default_rng(0), step=1 / 9)
    x = d.conv(d.input((2, 4, 1)), 3, name="conv")
    out = d.normalised(d.add(Reshape((3, 4)), x), 0)
    network = fold_batchnorm(layout(d.network(out)))
    assert isinstance(network.node(out).layer, Identity)
    seen, given = network.evaluate(batches(network))[out], d.network(out)
    np.testing.assert_allclose(seen, given.evaluate(batches(given))[out], rtol=1e-9, atol=1e-9)


def test_normalisations_stay_where_the_result_between_is_seen() -> None:
    d = Drawn(np.random.default_rng(0), step=1 / 9)
    x = d.conv(d.input((2, 4, 4)), 3)
    out = d.normalised(x)
    network = d.network(out)
    rounded = Settings({"result": FixedFormat(True, 8, 4)})
    nodes = [replace(node, settings=rounded) if node.name == x else node for node in network.nodes]
    for seen in (network.with_nodes(nodes), replace(network, outputs=(out, x))):
        assert isinstance(fold_batchnorm(layout(seen)).node(out).layer, BatchNormalization)


def test_what_jumps_gets_exact_results_in_either_layout() -> None:
    d = Drawn(np.random.default_rng(0), step=1 / 9)
    network = d.network(d.add(Sign(), d.conv(d.input((2, 3, 3)), 3)))
    assert not any(isinstance(node.op, ops.Cast) for node in circuit(network).nodes)


def test_networks_without_permutations_are_left_alone() -> None:
    d = drawn()
    network = d.network(d.dense(d.add(Flatten(), d.input((2, 3))), 2))
    assert layout(network) is network


def test_a_precision_of_a_permuted_tensor_keeps_its_meaning() -> None:
    d = drawn()
    x = d.conv(d.input((2, 3, 3)), 3)
    x = d.add(Permute((0, 2, 1)), x, name="turned", chosen=Settings({"result": FixedFormat(True, 5, 1)}))
    network = d.network(d.add(Flatten(), d.conv(x, 2)))
    assert_same_results(network)
    _, traced, _ = Emulator(compile_network(network).program).trace(batches(network))
    assert traced["turned"].shape[1:] == (3, 3, 3)
    assert np.all(traced["turned"] * 2 == np.rint(traced["turned"] * 2))
    assert np.abs(traced["turned"]).max() <= 8


def test_the_view_that_a_frontend_gives_is_kept() -> None:
    d = drawn()
    network = d.network(d.add(ReLU(), d.conv(d.input((2, 3, 3)), 4, name="conv"), name="relu"))
    view = [replace(node, order=(1, 2, 0)) if node.name == "conv" else node for node in network.nodes]
    network = network.with_nodes(view)
    assert network.evaluate(batches(network))["conv"].shape[1:] == (4, 3, 3)
    assert_same_results(network)


def with_inner(network: Network, inner: bool = True) -> Network:
    """``network``, whose permutations (but those that are results) may be a frontend's own."""
    return network.with_nodes(
        [
            replace(node, inner=inner and isinstance(node.layer, Permute) and node.name not in network.outputs)
            for node in network.nodes
        ]
    )


@pytest.mark.parametrize("build", [plain, residual_of_the_input, branches, attended, decoder])
def test_permutations_of_a_frontend_go(build: Callable[[Drawn], str]) -> None:
    d = drawn()
    network = with_inner(d.network(build(d)))
    assert_same_results(network)
    left = [node for node in layout(network).nodes if isinstance(node.layer, Permute)]
    assert [node.name for node in left] == ["x_permuted"] * (build is not decoder)
    assert [node.order for node in left] == [(1, 2, 0)] * len(left)


def test_what_goes_out_has_the_name_of_the_layer() -> None:
    d = drawn()
    out = d.conv(d.input((2, 3, 3)), 4, name="conv")
    network = with_inner(d.network(out, d.dense(d.add(Flatten(), d.add(ReLU(), out)), 2)))
    inner = [
        replace(node, inner=isinstance(node.layer, Permute), order=(1, 2, 0) if node.name == "conv" else None)
        for node in network.nodes
    ]
    laid = layout(network.with_nodes(inner))
    assert laid.outputs == ("conv", network.outputs[1])
    assert [node.name for node in laid.nodes if isinstance(node.layer, Permute)] == ["x_permuted"]
    for before, after in zip(network.outputs, laid.outputs, strict=True):
        x = batches(network)
        np.testing.assert_array_equal(laid.evaluate(x)[after], network.evaluate(x)[before])


def batches(network: Network, samples: int = 4) -> list[Floats]:
    rng = np.random.default_rng(1)
    return [rng.integers(-32, 32, (samples, *network.shapes()[name])) / 8 for name in network.inputs]


def assert_same_results(network: Network) -> None:
    """Nobody can tell that the pass ran: not by floats, results, traces, names, or shapes."""
    laid = layout(network)
    kept = [node for node in network.nodes if not node.inner or node.name in network.outputs]
    assert [node.name for node in laid.nodes if node.name in network.shapes()] == [node.name for node in kept]
    assert not any(node.inner for node in laid.nodes)
    x = batches(network)
    before, after = network.evaluate(x), laid.evaluate(x)
    for node in kept:
        np.testing.assert_allclose(after[node.name], before[node.name], rtol=1e-9, atol=1e-9, err_msg=node.name)
        found = laid.node(node.name)
        assert found.settings == node.settings
        assert found.shape_in_model(laid.shapes()[node.name]) == before[node.name].shape[1:]
    seen = calibrate(network, None)
    expected = simplify(lower(network, seen))
    # The same observations: float sums of another order may differ in their last bit.
    observed = dict(seen)
    for node in laid.nodes:  # what the pass inserts moves what it reads
        if node.name not in observed:
            observed[node.name] = observed[node.inputs[0]]
    got = simplify(lower(laid, observed))
    (outputs, traced, _), (laid_outputs, laid_traced, _) = (Emulator(one).trace(x) for one in (expected, got))
    for a, b in zip(outputs, laid_outputs, strict=True):
        np.testing.assert_array_equal(a, b)
    for node in kept:
        np.testing.assert_array_equal(laid_traced[node.name], traced[node.name], err_msg=node.name)


def _fewest_moves(steps: list[Layer]) -> int:
    """Of a chain on axes 0, 1, 2, all of them larger than 1: a dense layer reads along the last stored axis, others any."""
    stored, axes = {(0, 1, 2): 0}, (0, 1, 2)
    for layer in [*steps, None]:
        if isinstance(layer, Permute):
            axes = tuple(axes[k] for k in layer.perm)
        elif isinstance(layer, Dense) or layer is None:
            ends = [order for order in permutations(range(3)) if order == axes or (layer and order[-1] == axes[-1])]
            stored = {end: min(cost + (start != end) for start, cost in stored.items()) for end in ends}
    return min(stored.values())


@pytest.mark.parametrize("seed", range(40))
def test_chains_have_the_fewest_moves(seed: int) -> None:
    """Beside all orders that each tensor may be stored in."""
    d = drawn(seed)
    x, steps = d.input((2, 3, 4)), list[Layer]()
    for _ in range(int(d.rng.integers(2, 7))):
        size = d.shapes[x][-1]
        kinds = [Permute(tuple(map(int, d.rng.permutation(3)))), ReLU(), Softmax(int(d.rng.integers(3)))]
        steps.append([*kinds, Dense(d.weights(size, size)), kinds[0]][int(d.rng.integers(5))])
        x = d.add(steps[-1], x)
    network = layout(d.network(x))
    moves = [node.layer.perm for node in network.nodes if isinstance(node.layer, Permute)]
    moves += [network.node(x).order or (0, 1, 2)]  # what goes out is moved at last
    assert sum(move != (0, 1, 2) for move in moves) == _fewest_moves(steps)
