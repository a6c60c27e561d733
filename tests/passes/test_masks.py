"""Constants in front of a softmax that leave elements out: all magnitudes and spellings become one mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.logic import Where
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings, SoftmaxImplementation, Weights
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape, Slice
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.masks import fold_masks

N = 4
CAUSAL = np.tri(N) > 0
SCORES = np.random.default_rng(1).normal(size=(200, 2, N, N)) * 3.0
LEVELS = {"-inf": -np.inf, "finfo.min": float(np.finfo(np.float32).min), "-1e9": -1e9, "-1e4": -1e4}
AUTO = 2.0**-12
"""Accuracy of a softmax with all settings automatic, on inputs of 16 bits."""
EXACT = 1e-9


class Chain:
    """A network of layers in a row; further operands are constants, and None stands for what came before."""

    def __init__(self, *shape: int) -> None:
        self.nodes = [NetworkNode("x", Input(shape))]
        self.last = "x"

    def then(self, layer: Layer, *operands: object, name: str | None = None, **changes: object) -> Chain:
        name = name or f"{type(layer).__name__.lower()}{len(self.nodes)}"
        inputs = []
        for operand in operands or (None,):
            if operand is None:
                inputs.append(self.last)
            elif isinstance(operand, str):
                inputs.append(operand)
            else:
                inputs.append(f"c{len(self.nodes)}")
                self.nodes.append(NetworkNode(inputs[-1], Constant(as_weights(np.asarray(operand, dtype=np.float64)))))
        self.nodes.append(NetworkNode(name, layer, tuple(inputs), **changes))  # type: ignore[arg-type]
        self.last = name
        return self

    def network(self, *outputs: str) -> Network:
        return Network(tuple(self.nodes), ("x",), outputs or (self.last,))


def softmax(x: Floats, kept: Floats, axis: int = -1) -> Floats:
    """In float64; exactly 0 where not kept."""
    shown = np.where(kept, x, -np.inf)
    powers = np.exp(shown - shown.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def run(network: Network, x: Floats) -> Floats:
    """By the emulator."""
    return Emulator(compile_network(network, [x]).program).run([x])[0]


def folded(network: Network, x: Floats, calibrated: bool = True) -> Floats:
    """In floats, with the masks folded: nothing in front of a softmax is large any more."""
    network = fold_masks(network, [x] if calibrated else None)
    results = network.evaluate([x])
    for node in network.nodes:
        if isinstance(node.layer, Softmax):
            assert np.max(np.abs(results[node.inputs[0]])) < 100.0
    return results[network.outputs[0]]


def added(chain: Chain, kept: Floats, level: float) -> Chain:
    return chain.then(Add(), None, np.where(kept, 0.0, level))


def added_first(chain: Chain, kept: Floats, level: float) -> Chain:
    return chain.then(Add(), np.where(kept, 0.0, level), None)


def subtracted(chain: Chain, kept: Floats, level: float) -> Chain:
    return chain.then(Subtract(), None, np.where(kept, 0.0, -level))


def chosen(chain: Chain, kept: Floats, level: float) -> Chain:
    return chain.then(Where(), kept, None, level)


def filled(chain: Chain, kept: Floats, level: float) -> Chain:
    return chain.then(Where(), ~kept, level, None)


def multiplied(chain: Chain, kept: Floats, level: float) -> Chain:
    """``x * kept + (1 - kept) * level``."""
    return chain.then(Multiply(), None, kept).then(Add(), None, np.where(kept, 0.0, level))


def folded_constants(chain: Chain, kept: Floats, level: float) -> Chain:
    """The mask is computed of constants."""
    chain.nodes += [
        NetworkNode("kept", Constant(as_weights(np.where(kept, 0.0, level).ravel()))),
        NetworkNode("mask", Reshape(kept.shape), ("kept",)),
    ]
    return chain.then(Add(), "mask", None)


SPELLINGS = [added, added_first, subtracted, chosen, filled, multiplied, folded_constants]


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_causal_mask(spelling: Callable[..., Chain], level: float) -> None:
    network = spelling(Chain(2, N, N), CAUSAL, level).then(Softmax()).network()
    found = folded(network, SCORES)
    assert np.max(np.abs(found - softmax(SCORES, CAUSAL))) < EXACT
    assert not found[:, :, ~CAUSAL].any()


@pytest.mark.parametrize("spelling", [added, chosen])
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_the_circuit_is_accurate(spelling: Callable[..., Chain], level: float) -> None:
    network = spelling(Chain(2, N, N), CAUSAL, level).then(Softmax()).network()
    assert np.max(np.abs(run(network, SCORES) - softmax(SCORES, CAUSAL))) < AUTO


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("calibrated", [True, False])
def test_between_scaling_and_views(level: float, calibrated: bool) -> None:
    half = BatchNormalization(as_weights(np.full(N, 0.5)), as_weights(np.zeros(N)))
    chain = added(Chain(2, N, N).then(Multiply(), None, 0.25), CAUSAL, level)
    chain = chain.then(half).then(Identity()).then(Permute((0, 2, 1))).then(Multiply(), None, 2.0)
    network = chain.then(Reshape((2 * N, N))).then(Permute((1, 0))).then(Softmax(0)).then(Flatten()).network()
    found = folded(network, SCORES, calibrated).reshape(-1, N, 2, N)
    # The network's softmax is along the columns of the transposed scores' rows.
    scores = (SCORES * 0.25).transpose(0, 1, 3, 2).reshape(-1, 2 * N, N).transpose(0, 2, 1)
    kept = np.broadcast_to(CAUSAL.T, (2, N, N)).reshape(2 * N, N).T
    assert np.max(np.abs(found.reshape(scores.shape) - softmax(scores, kept, axis=1))) < EXACT


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_a_mask_of_keys_is_a_normalization_of_frontends(level: float) -> None:
    kept = np.array([1, 1, 0, 1]) > 0
    layer = BatchNormalization(as_weights(np.full(N, 0.5)), as_weights(np.where(kept, 0.25, level)))
    network = Chain(2, N, N).then(layer).then(Softmax()).network()
    assert np.max(np.abs(folded(network, SCORES) - softmax(SCORES * 0.5, kept))) < EXACT


@pytest.mark.parametrize("first", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("second", LEVELS.values(), ids=LEVELS)
def test_two_masks(first: float, second: float) -> None:
    keys = np.array([1, 0, 1, 1]) > 0
    network = filled(added(Chain(2, N, N), CAUSAL, first), keys & CAUSAL[-1], second).then(Softmax()).network()
    assert np.max(np.abs(folded(network, SCORES) - softmax(SCORES, CAUSAL & keys))) < EXACT


def test_a_mask_beside_that_of_the_softmax() -> None:
    own = np.array([1, 0, 1, 1])
    network = added(Chain(N, N), CAUSAL, -1e9).then(Softmax(-1, as_weights(own))).network()
    assert np.max(np.abs(folded(network, SCORES[:, 0]) - softmax(SCORES[:, 0], CAUSAL & (own > 0)))) < EXACT


def test_parts_of_a_mask_for_several_softmax_layers() -> None:
    chain = added(Chain(2, N, N), CAUSAL, -1e9)
    total = chain.last
    for k in range(2):
        chain.last = total
        chain.then(Slice((k, 0, 0), (k + 1, N, N), (1, 1, 1)), name=f"part{k}").then(Softmax(), name=f"y{k}")
    network = chain.network("y0", "y1")
    results = Emulator(compile_network(network, [SCORES]).program).run([SCORES])
    for k in range(2):
        assert np.max(np.abs(results[k] - softmax(SCORES[:, k : k + 1], CAUSAL))) < AUTO


def test_what_is_added_besides_stays() -> None:
    bias = np.random.default_rng(2).normal(size=(2, N, N))
    network = Chain(2, N, N).then(Add(), None, np.where(CAUSAL, bias, -1e9)).then(Softmax()).network()
    assert np.max(np.abs(folded(network, SCORES) - softmax(SCORES + bias, CAUSAL))) < EXACT


def test_a_bias_that_depends_on_the_input_may_follow() -> None:
    chain = added(Chain(N, N), CAUSAL, -1e9)
    network = chain.then(Add(), None, "x").then(Softmax()).network()
    x = SCORES[:, 0]
    assert np.max(np.abs(folded(network, x) - softmax(2 * x, CAUSAL))) < EXACT


def test_an_operand_of_fewer_axes_is_repeated() -> None:
    x = SCORES[:, 0, 0]
    for spelling in (added, chosen):
        network = spelling(Chain(N), CAUSAL, -np.inf).then(Softmax()).network()
        assert np.max(np.abs(folded(network, x) - softmax(x[:, None].repeat(N, 1), CAUSAL))) < EXACT


def test_the_network_then_holds_a_mask_and_no_constant() -> None:
    network = fold_masks(added(Chain(2, N, N), CAUSAL, -1e9).then(Softmax(), name="y").network(), [SCORES])
    assert [(node.name, node.layer.kind, node.folded) for node in network.nodes] == [
        ("x", "Input", False),
        ("add1", "Identity", True),
        ("y", "Softmax", False),
    ]
    layer = network.node("y").layer
    assert isinstance(layer, Softmax) and layer.mask is not None
    np.testing.assert_array_equal(layer.mask, CAUSAL)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("spelling", [each for each in SPELLINGS if each is not multiplied])
def test_nothing_is_left_of_a_mask_however_it_is_written(spelling: Callable[..., Chain], level: float) -> None:
    """Neither a choice nor a sum: the function reads the scores themselves, or a view of them."""
    network = fold_masks(spelling(Chain(2, N, N), CAUSAL, level).then(Softmax(), name="y").network(), [SCORES])
    read, kinds = network.node("y"), list[str]()
    while read.inputs:
        (name,) = read.inputs
        read = network.node(name)
        kinds.append(read.layer.kind)
    assert kinds[-1] == "Input" and set(kinds[:-1]) <= {"Identity", "Broadcast"}, kinds


# Where arithmetic stays


def _unchanged(network: Network, data: Sequence[Floats] | None = None) -> bool:
    return fold_masks(network, data) is network or fold_masks(network, data).nodes == network.nodes


def test_a_level_that_operands_reach_is_arithmetic() -> None:
    network = added(Chain(N, N), CAUSAL, -100.0).then(Softmax()).network()
    x = SCORES[:, 0] * 20.0
    assert _unchanged(network, [x])
    assert np.max(np.abs(run(network, x) - softmax(x + np.where(CAUSAL, 0.0, -100.0), np.ones_like(x)))) < 0.01
    assert not _unchanged(network, [SCORES[:, 0]])


@pytest.mark.parametrize("spread", [0.25, 1.0, 8.0])
def test_scores_may_be_twice_as_far_apart_as_in_calibration(spread: float) -> None:
    """Then what is masked still counts ``exp(-60)`` of the greatest at most, and above that arithmetic stays."""
    x = SCORES[:, 0] * spread / np.ptp(SCORES[:, 0])
    for more, masked in ((0.01, True), (-0.01, False)):
        network = added(Chain(N, N), CAUSAL, -60.0 - 2.0 * spread - more).then(Softmax()).network()
        assert _unchanged(network, [x]) is not masked


@pytest.mark.parametrize("distance,masked", [(10.0, False), (90.0, True)])
def test_a_bias_that_grows_with_the_distance(distance: float, masked: bool) -> None:
    steps = -distance * np.abs(np.arange(N)[:, None] - np.arange(N))
    network = Chain(N, N).then(Add(), None, steps).then(Softmax()).network()
    x = SCORES[:, 0] / 3.0
    assert _unchanged(network, [x]) is not masked
    assert np.max(np.abs(run(network, x) - softmax(x + steps, np.ones_like(x)))) < 2.0**-8


def test_levels_that_scores_reach_are_added_beside_a_mask() -> None:
    steps = -30.0 * np.abs(np.arange(N)[:, None] - np.arange(N)) * 2.5
    steps[0, 1], steps[2, :] = -61.0, [-1e4, -np.inf, -1e4 - 3.0, -1e4 - 100.0]
    network = Chain(N, N).then(Add(), None, steps).then(Softmax(), name="y").network()
    x = SCORES[:, 0] / 3.0
    assert np.max(np.abs(folded(network, x) - softmax(x + steps, np.ones_like(x)))) < EXACT
    layer = fold_masks(network, [x]).node("y").layer
    assert isinstance(layer, Softmax) and layer.mask is not None
    np.testing.assert_array_equal(layer.mask, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("after", [True, False])
def test_what_others_read_stays(after: bool) -> None:
    chain = added(Chain(N, N), CAUSAL, -1000.0)
    total = chain.last
    chain.then(Softmax(), name="y")
    chain.last = total
    network = chain.then(ReLU(), name="z").network("y", "z") if after else chain.network("y", total)
    folded = fold_masks(network, [SCORES[:, 0]])
    assert folded.node(total) == network.node(total)
    for name, result in network.evaluate([SCORES[:, 0]]).items():
        np.testing.assert_allclose(folded.evaluate([SCORES[:, 0]])[name], result, atol=EXACT)


def test_another_axis_is_no_mask() -> None:
    """Elements of one row that are all shifted alike; of another axis' rows one is left out."""
    level = np.array([[0.0], [-1e4]])
    network = Chain(2, N).then(Add(), None, level).then(Softmax(0)).network()
    x = SCORES[:, 0, :2]
    assert np.max(np.abs(run(network, x) - np.array([[1.0] * N, [0.0] * N]))) < AUTO


@pytest.mark.parametrize("settings", [Settings(skip=True)])
def test_a_skipped_softmax_shows_its_operand(settings: Settings) -> None:
    network = added(Chain(N, N), CAUSAL, -1000.0).then(Softmax(), settings=settings).network()
    assert _unchanged(network, [SCORES[:, 0]])


def test_weights_that_are_loaded_stay() -> None:
    layer = BatchNormalization(as_weights(np.ones(N)), as_weights([0.0, 0.0, 0.0, -1000.0]))
    network = Chain(N, N).then(layer, settings=Settings(weights=Weights.EXTERNAL)).then(Softmax()).network()
    assert _unchanged(network, [SCORES[:, 0]])


@pytest.mark.parametrize("implementation", SoftmaxImplementation)
def test_implementations(implementation: SoftmaxImplementation) -> None:
    x = SCORES[:, 0] / 4
    settings = Settings(implementation=implementation)
    network = added(Chain(N, N), CAUSAL, -np.inf).then(Softmax(), settings=settings).network()
    found, want = run(network, x), softmax(x, CAUSAL)
    if implementation is SoftmaxImplementation.ARGMAX:
        want = np.eye(N)[want.argmax(-1)]
    assert np.max(np.abs(found - want)) < 2 * AUTO


# Rows that are masked completely


NOTHING = CAUSAL & (np.arange(N) != 2)[:, None]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_row_of_infinity_is_refused(spelling: Callable[..., Chain]) -> None:
    network = spelling(Chain(2, N, N), NOTHING, -np.inf).then(Softmax(), name="weights").network()
    with pytest.raises(UnsupportedError, match=r"layer 'weights': a softmax of rows in which all elements are -inf"):
        compile_network(network)


@pytest.mark.parametrize("level", [-1e3, -1e4])
@pytest.mark.parametrize("spelling", [added, added_first, subtracted])
def test_of_a_row_of_a_finite_constant_differences_count(spelling: Callable[..., Chain], level: float) -> None:
    network = spelling(Chain(2, N, N), NOTHING, level).then(Softmax()).network()
    want = softmax(SCORES, NOTHING | (np.arange(N) == 2)[:, None])
    assert np.max(np.abs(folded(network, SCORES) - want)) < EXACT


@pytest.mark.parametrize("level", [-1e9, LEVELS["finfo.min"]])
@pytest.mark.parametrize("spelling", [added, subtracted, chosen, filled, multiplied])
def test_a_row_of_a_constant_that_floats_round_to_is_uniform(spelling: Callable[..., Chain], level: float) -> None:
    network = spelling(Chain(2, N, N), NOTHING, level).then(Softmax()).network()
    with np.errstate(over="ignore"):
        floats = (SCORES * NOTHING).astype(np.float32) + np.where(NOTHING, 0.0, level).astype(np.float32)
    assert np.max(np.abs(folded(network, SCORES) - softmax(floats.astype(np.float64), np.ones_like(CAUSAL)))) < 1e-5


def test_a_softmax_without_a_mask_stays_beside_one() -> None:
    network = added(Chain(2, N, N), CAUSAL, -np.inf).then(Softmax()).then(Softmax()).network()
    np.testing.assert_allclose(folded(network, SCORES), softmax(softmax(SCORES, CAUSAL), np.ones_like(CAUSAL)))


# -inf that is not a mask


@pytest.mark.parametrize(
    "network",
    [
        added(Chain(N, N), CAUSAL, -np.inf).then(ReLU(), name="reader").network(),
        added(Chain(N, N), CAUSAL, -np.inf).network(),
        added(Chain(N, N), CAUSAL, -np.inf).then(Multiply(), None, None).then(Softmax()).network(),
        Chain(N).then(BatchNormalization(as_weights(np.ones(N)), as_weights([0, 0, 0, -np.inf]))).network(),
    ],
    ids=["activation", "output", "square", "normalization"],
)
def test_other_uses_of_infinity_are_refused(network: Network) -> None:
    """The layer that has or reads it is named."""
    said = r"layer '(add|batchnormalization)1': -inf\n  accepted: -inf only as a softmax mask"
    with pytest.raises(UnsupportedError, match=said):
        compile_network(network)


def test_numbers_as_low_as_infinity_are_refused_by_their_value() -> None:
    network = added(Chain(N, N), CAUSAL, -1e30).then(ReLU(), name="reader").network()
    with pytest.raises(UnsupportedError, match=r"layer 'add1': -1e\+30\n.*mask, other numbers above -1e\+30"):
        compile_network(network)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_as_torch(level: float) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(SCORES, dtype=torch.float32)
    want = {
        added: torch.softmax(x + torch.tensor(np.where(CAUSAL, 0.0, level), dtype=torch.float32), -1),
        filled: torch.softmax(x.masked_fill(torch.tensor(~CAUSAL), level), -1),
    }
    for spelling, result in want.items():
        network = spelling(Chain(2, N, N), CAUSAL, level).then(Softmax()).network()
        assert np.max(np.abs(folded(network, SCORES) - result.numpy())) < 1e-5


def test_what_may_be_nan_is_not_a_mask() -> None:
    """-inf times 0: no bound of the product is known, and no element beside it can be called small."""
    kept = np.where(np.arange(N) == 1, 0.0, 1.0)
    chain = added(Chain(N, N), np.arange(N) != 1, -np.inf).then(Multiply(), None, np.broadcast_to(kept, (N, N)))
    with np.errstate(invalid="ignore"), pytest.raises(UnsupportedError, match="-inf"):
        fold_masks(chain.then(Softmax()).network(), [SCORES[:, 0]])
