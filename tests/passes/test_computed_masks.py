"""Masks that depend on inputs: all spellings and magnitudes leave out the same elements, at no cost to the scores' format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.fidelity.certificate import certify
from bitsmith.ir.ops import Relation
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings, SoftmaxImplementation
from bitsmith.layers.shape import Broadcast, Permute, Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.masks import fold_masks

N = 4
RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(64, N, N)) * 3.0
MASK = (RNG.random((64, N)) < 0.6).astype(np.float64)
MASK[:, 1] = 1.0
SOME_EMPTY = MASK * (np.arange(64) > 7)[:, None]
LEVELS = {"-inf": -np.inf, "finfo.min": float(np.finfo(np.float32).min), "-1e9": -1e9, "-1e4": -1e4}
AUTO = 2.0**-12

Step = tuple[Layer, Sequence[object]]


def network(*steps: Step, settings: Settings | None = None, layer: Softmax | None = None) -> Network:
    """Steps on the scores ``x`` and the mask ``m``; operands are names, constants, or None for what came before."""
    nodes = [NetworkNode("x", Input((N, N))), NetworkNode("m", Input((N,)))]
    last = "m"
    for number, (made, operands) in enumerate((*steps, (layer or Softmax(), [None]))):
        inputs = []
        for place, operand in enumerate(operands):
            name = last if operand is None else operand
            if not isinstance(name, str):
                name = f"c{number}_{place}"
                nodes.append(NetworkNode(name, Constant(as_weights(np.asarray(operand, dtype=np.float64)))))
            inputs.append(name)
        last = f"n{number}"
        nodes.append(NetworkNode(last, made, tuple(inputs), settings=settings or Settings()))
    return Network(tuple(nodes), ("x", "m"), (last,))


NUMBERS = np.where(MASK > 0.0, -3.0 * RNG.random((64, N)), -1e9)


def test_an_input_that_holds_a_level_and_numbers_has_the_format_of_the_numbers() -> None:
    made = network((Add(), ["x", "m"]))
    x, m = SCORES, np.broadcast_to(NUMBERS[:, None], (64, N, N))
    made = made.with_nodes([replace(node, layer=Input((N, N))) if node.name == "m" else node for node in made.nodes])
    compiled = compile_network(made, [x, m])
    layer = compiled.network.node("m").layer
    assert isinstance(layer, Input) and layer.floor and -64.0 < layer.floor < -63.9
    (found,), outside = Emulator(compiled.program).run_watched([x, m])[:2]
    np.testing.assert_allclose(found, softmax(x + m, m > -1e8), atol=2.0**-9)
    assert outside[1] == np.count_nonzero(m < -64.0)
    assert not certify(made, compiled.network, compiled.program, [x, m]).message
    # Another reader may ask for the level.
    shown = replace(made, outputs=(*made.outputs, "m"))
    layer = compile_network(shown, [x, m]).network.node("m").layer
    assert isinstance(layer, Input) and layer.floor is None


def softmax(x: Floats, kept: Floats) -> Floats:
    """In float64; 0 where not kept."""
    shown = np.where(kept != 0.0, x, -np.inf)
    powers = np.exp(shown - np.maximum(shown.max(axis=-1, keepdims=True), -1e6))
    return np.asarray(powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1e-9))


IS_ON, IS_OFF = Comparison(Relation.GT), Comparison(Relation.LE)


def chosen(level: float) -> list[Step]:
    return [(IS_ON, ("m", 0.5)), (Where(), (None, "x", level))]


def filled(level: float) -> list[Step]:
    return [(IS_OFF, ("m", 0.5)), (Where(), (None, level, "x"))]


def added(level: float) -> list[Step]:
    """As PyTorch makes numbers of truth values."""
    return [(IS_ON, ("m", 0.5)), (Where(), (None, 0.0, level)), (Add(), ("x", None))]


def raised(level: float) -> list[Step]:
    """What is kept has more added to it, as by a bias that became part of the mask."""
    return [(Multiply(), ("m", -level)), (Add(), (None, level + 2.5)), (Add(), ("x", None))]


def through_views(level: float) -> list[Step]:
    views = [
        (Reshape((1, N)), (None,)),
        (Broadcast((N, N)), (None,)),
        (Permute((1, 0)), (None,)),
        (Permute((1, 0)), (None,)),
    ]
    return [*added(level)[:2], *views, (Add(), (None, "x"))]


def multiplied(level: float) -> list[Step]:
    """``(1 - mask) * level + scores``."""
    return [(Subtract(), (1.0, "m")), (Multiply(), (None, level)), (Add(), (None, "x"))]


def normalized(level: float) -> list[Step]:
    """The same as frontends write it."""
    return [(BatchNormalization(as_weights([-level] * N), as_weights([level] * N)), ("m",)), (Add(), (None, "x"))]


def before_scaling(level: float) -> list[Step]:
    return [*chosen(level), (Multiply(), (None, 0.5)), (Multiply(), (None, 2.0))]


SPELLINGS = [chosen, filled, added, raised, through_views, multiplied, normalized, before_scaling]
CASES = [
    (spelling, level)
    for spelling in SPELLINGS
    for level in LEVELS
    if level != "-inf" or spelling in (chosen, filled, added, through_views, before_scaling)
]


def run(made: Network, x: Floats, m: Floats, *, calibrated: bool = True) -> Floats:
    """By the emulator."""
    return Emulator(compile_network(made, [x, m] if calibrated else None).program).run([x, m])[0]


@pytest.mark.parametrize(("spelling", "level"), CASES, ids=[f"{made.__name__} {level}" for made, level in CASES])
def test_elements_are_left_out(spelling: Callable[[float], list[Step]], level: str) -> None:
    made = network(*spelling(LEVELS[level]))
    folded = fold_masks(made, [SCORES, MASK])
    assert all(np.abs(result).max() < 30.0 for result in folded.evaluate([SCORES, MASK]).values())
    assert np.abs(run(made, SCORES, MASK) - softmax(SCORES, MASK[:, None])).max() < AUTO


@pytest.mark.parametrize("spelling", [added, multiplied, normalized])
def test_a_mask_that_is_all_there_is_shares_alike(spelling: Callable[[float], list[Step]]) -> None:
    """The softmax of a mask without scores."""
    made = network(*spelling(-1e9)[:-1])
    folded = fold_masks(made, [SCORES, MASK])
    assert all(np.abs(result).max() < 30.0 for result in folded.evaluate([SCORES, MASK]).values())
    assert np.abs(run(made, SCORES, MASK) - softmax(np.zeros((64, N)), MASK)).max() < AUTO


@pytest.mark.parametrize("spelling", [filled, normalized, multiplied])
def test_without_data(spelling: Callable[[float], list[Step]]) -> None:
    found = run(network(*spelling(-1e9)), SCORES, MASK, calibrated=False)
    assert np.abs(found - softmax(SCORES, MASK[:, None])).max() < 4 * AUTO


def test_an_input_that_is_taken_for_a_mask_is_noted() -> None:
    notes = compile_network(network(*normalized(-1e9))).notes
    assert any("'m'" in note and "0 and 1 only" in note for note in notes)
    assert not any("0 and 1 only" in note for note in compile_network(network(*chosen(-1e9))).notes)


@pytest.mark.parametrize("implementation", SoftmaxImplementation)
def test_implementations(implementation: SoftmaxImplementation) -> None:
    made = network(*added(-1e9), settings=Settings(implementation=implementation))
    wanted = softmax(SCORES, MASK[:, None])
    if implementation is SoftmaxImplementation.ARGMAX:
        wanted = (wanted == wanted.max(axis=-1, keepdims=True)).astype(np.float64)
    assert np.abs(run(made, SCORES, MASK) - wanted).max() < 4 * AUTO


@pytest.mark.parametrize(
    ("level", "spelling", "wanted"),
    [
        ("-inf", chosen, np.zeros_like(SCORES)),
        ("-1e9", chosen, np.full_like(SCORES, 1.0 / N)),
        ("-1e4", chosen, np.full_like(SCORES, 1.0 / N)),
        ("-1e9", added, np.full_like(SCORES, 1.0 / N)),
        ("-1e4", added, softmax(SCORES, np.ones(N))),
    ],
)
def test_rows_of_which_nothing_is_left(level: str, spelling: Callable[[float], list[Step]], wanted: Floats) -> None:
    found = run(network(*spelling(LEVELS[level])), SCORES, SOME_EMPTY)
    assert np.abs(found[:8] - wanted[:8]).max() < AUTO
    assert np.abs(found[8:] - softmax(SCORES, MASK[:, None])[8:]).max() < AUTO


def test_beside_masks_that_are_constants() -> None:
    kept = np.tri(N)
    steps = [*added(-1e9), (Add(), (None, np.where(kept, 0.25, -1e9)))]
    made = network(*steps, layer=Softmax(mask=as_weights(np.arange(N) < N - 1)))
    every = MASK[:, None] * kept * (np.arange(N) < N - 1)
    some = every.any(axis=-1)
    assert np.abs(run(made, SCORES, MASK) - softmax(SCORES, every))[some].max() < AUTO


@pytest.mark.parametrize("spelling", [chosen, added])
def test_rows_of_which_a_constant_mask_leaves_nothing(spelling: Callable[[float], list[Step]]) -> None:
    """What is kept is left out by the constant: all others have the level, alike."""
    constant = np.arange(N) < N - 1
    mask = MASK.copy()
    mask[:8] = ~constant
    found = run(network(*spelling(-1e9), layer=Softmax(mask=as_weights(constant))), SCORES, mask)
    assert np.abs(found[:8] - constant / (N - 1)).max() < AUTO
    assert np.abs(found[8:] - softmax(SCORES, mask[:, None] * constant)[8:]).max() < AUTO


def test_numbers_that_are_added_to_scores() -> None:
    given = np.where(MASK > 0.0, 0.0, -1e9)
    assert np.abs(run(network((Add(), ("x", "m"))), SCORES, given) - softmax(SCORES, MASK[:, None])).max() < AUTO


@pytest.mark.parametrize("level", [-20.0, -100.0])
def test_a_level_that_scores_reach_is_arithmetic(level: float) -> None:
    made = network(*chosen(level))
    folded = fold_masks(made, [10.0 * SCORES, MASK])
    assert [node.name for node in folded.nodes] == [node.name for node in made.nodes]
    wanted = softmax(np.where(MASK[:, None] > 0.0, 10.0 * SCORES, level), np.ones(N))
    assert np.abs(run(made, 10.0 * SCORES, MASK) - wanted).max() < 2.0**-8


def summed(level: float) -> list[Step]:
    """A mask of ``level`` and one of a far greater magnitude, which leaves out other elements."""
    deep = [(IS_ON, ("x", 0.0)), (Where(), (None, 0.0, -1e9))]
    return [*added(level)[:2], *deep, (Add(), ("n1", None)), (Add(), ("x", None))]


def chosen_twice(level: float) -> list[Step]:
    return [*chosen(level), (IS_ON, ("x", 0.0)), (Where(), (None, "n1", -1e9))]


@pytest.mark.parametrize("spelling", [summed, chosen_twice])
def test_of_two_levels_scores_reach_the_higher_one_first(spelling: Callable[[float], list[Step]]) -> None:
    for level, scores in ((-100.0, 40.0 * SCORES), (-1e4, SCORES)):
        made, row = network(*spelling(level)), MASK.copy()
        row[::2] = 0.0
        folded = fold_masks(made, [scores, row])
        reached = [node.name for node in folded.nodes] == [node.name for node in made.nodes]
        assert reached == (level == -100.0)
        (found,), (wanted,) = (list(one.evaluate([scores, row]).values())[-1:] for one in (folded, made))
        some = ((row[:, None] > 0.0) & (scores > 0.0)).any(axis=-1) | reached
        np.testing.assert_allclose(found[some], wanted[some], atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, -1.0])
@pytest.mark.parametrize("spelling", [chosen, added])
def test_what_is_left_out_counts_again_after_other_factors_than_positive_ones(
    spelling: Callable[[float], list[Step]], factor: float
) -> None:
    factors = [1.0, 2.0, factor, 1.0]
    for scaled in (
        (Multiply(), (None, factors)),
        (BatchNormalization(as_weights(factors), as_weights([0.0] * N)), [None]),
    ):
        made = network(*spelling(-1e3), scaled)
        folded = fold_masks(made, [SCORES, MASK])
        assert [node.name for node in folded.nodes] == [node.name for node in made.nodes]
        found, wanted = (one.evaluate([SCORES, MASK])[made.outputs[0]] for one in (folded, made))
        np.testing.assert_array_equal(found, wanted)
