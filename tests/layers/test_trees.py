"""Decision trees: what remains of them in circuits, against a walk from each root."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.layers import decisions
from bitsmith.layers.decisions import Choices, Conditions, reduced
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.trees import Trees
from tests.properties import few

Rng = np.random.Generator

MOST = 4
"""Most bounds of a decision."""


def random_trees(rng: Rng, features: int = 3, trees: int = 4, outputs: int = 2, bounds: int = MOST) -> Trees:
    """Trees that ask for the same few numbers again and again, also where the answer is known, with infinite ones among them."""
    rows: list[tuple[int, list[float]]] = []
    branches: list[list[int]] = []
    leaves = 6

    def grown(depth: int) -> int:
        if depth == 0 or rng.random() < 0.2:
            return -1 - int(rng.integers(leaves))
        place = len(rows)
        count = 1 if rng.random() < 0.5 or bounds == 1 else int(rng.integers(2, bounds + 1))
        own = np.unique(np.where(rng.random(count) < 0.05, np.inf, rng.integers(-6, 7, count) / 4))
        rows.append((int(rng.integers(features)), [*own, *[-np.inf] * (bounds - own.size)]))
        branches.append([0, 0])
        branches[place] = [grown(depth - 1), grown(depth - 1)]
        return place

    roots = np.array([grown(int(rng.integers(1, 6))) for _ in range(trees)])
    kinds, numbers_of = np.array([kind for kind, _ in rows]), np.array([some for _, some in rows]).reshape(-1, bounds)
    arrays = kinds.astype(np.int64), as_weights(numbers_of), np.array(branches).reshape(-1, 2)
    numbers = rng.integers(-8, 9, (leaves + 1, outputs)) / 8
    return Trees(features, *arrays, roots, as_weights(numbers[:-1]), as_weights(numbers[-1]))


def walked(trees: Trees, sample: Floats) -> Floats:
    total = trees.base.copy()
    for root in trees.roots.tolist():
        place = root
        while place >= 0:
            holds = sum(sample[trees.features[place]] <= bound for bound in trees.thresholds[place]) % 2
            place = int(trees.branches[place, 0 if holds else 1])
        total += trees.leaves[-1 - place]
    return total


def _program(trees: Trees) -> Program:
    nodes = (NetworkNode("x", Input((trees.size,))), NetworkNode("trees", trees, ("x",)))
    return compile_network(Network(nodes, ("x",), ("trees",))).program


def _decisions(trees: Trees) -> int:
    return sum(node.type.size for node in _program(trees).nodes if isinstance(node.op, ops.Compare))


@few("seed", range(25), 10, judged=True)
def test_circuits_and_reference_walk_from_each_root(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some trees are tables, others choices of numbers."""
    monkeypatch.setattr(decisions, "_MOST_BITS", seed % 5)
    rng = np.random.default_rng(seed)
    trees = random_trees(rng)
    x = rng.integers(-9, 10, (300, trees.size)) / 4
    wanted = np.array([walked(trees, sample) for sample in x])
    np.testing.assert_array_equal(trees.reference([x]), wanted)
    np.testing.assert_array_equal(Emulator(_program(trees)).run([x])[0], wanted)


def _chosen(choices: Choices, holds: list[int]) -> list[int]:
    places = list(choices.leaves)
    for level in choices.levels:
        places += [places[first] if holds[condition] else places[second] for condition, first, second in level]
    return [places[place] for place in choices.results]


@pytest.mark.parametrize("tabulated", [12, 2, 0])
@pytest.mark.parametrize("seed", range(10))
def test_what_is_left_of_trees_gives_the_same_within_a_range(
    seed: int, tabulated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the range of an input settles decisions, whether trees become tables or not."""
    monkeypatch.setattr(decisions, "_MOST_BITS", tabulated)
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, outputs=1)
    bounds = np.where(np.isfinite(trees.thresholds), trees.thresholds, 100 * np.sign(trees.thresholds)) * 4
    raw = [tuple(sorted(bound for bound in row if bound > -400)) for row in bounds.astype(np.int64).tolist()]
    lo, hi = objects(np.array([-3, 0, -1])), objects(np.array([2, 4, -1]))
    leaves = objects((trees.leaves * 8).astype(np.int64))
    left = reduced(Conditions(trees.features, raw), trees.branches, trees.roots, leaves, lo, hi).decisions()
    assert len(set(left.conditions)) == len(left.conditions)
    for _ in range(60):
        sample = np.array([rng.integers(a, b + 1) for a, b in zip(lo, hi, strict=True)])
        holds = [sum(sample[of] <= bound for bound in bounds) % 2 for of, bounds in left.conditions]
        bits, numbers = (_chosen(choices, holds) for choices in (left.bits, left.sums))
        codes = [sum(bits[bit] << place for place, bit in enumerate(code)) for code in left.codes]
        total = left.constant[0] + sum(entries[codes[code]] for code, _, entries in left.tables) + sum(numbers)
        assert total / 8 + trees.base[0] == walked(trees, sample / 4)[0]


def _single(features: list[int], bounds: list[float], branches: list[list[int]], leaves: list[float]) -> Trees:
    arrays = np.array(features), as_weights(bounds)[:, None], np.array(branches)
    return Trees(2, *arrays, np.array([0]), as_weights(leaves)[:, None], as_weights([0.0]))


def test_decisions_that_are_settled_or_make_no_difference_are_gone() -> None:
    # x0 <= 1, and then x0 <= 2, which holds, and x1 <= 0 with one leaf on both sides
    settled = _single([0, 0, 1], [1.0, 2.0, 0.0], [[1, 2], [-1, -2], [-3, -3]], [0.5, 0.25, 1.0])
    assert _decisions(settled) == 1
    alike = _single([0, 1, 1], [1.0, 0.0, 0.0], [[1, 2], [-1, -2], [-3, -4]], [0.5, 0.25, 0.5, 0.25])
    assert _decisions(alike) == 1, "two equal subtrees are one, and what chooses between them is gone"


def test_features_that_no_decision_asks_for_have_no_bits() -> None:
    trees = _single([1], [0.5], [[-1, -2]], [0.0, 1.0])
    (entry,) = (node for node in _program(trees).nodes if isinstance(node.op, ops.Input))
    lo, hi = (np.broadcast_to(bound, (2,)).tolist() for bound in (entry.type.lo, entry.type.hi))
    assert (lo[0], hi[0]) == (0, 0) and lo[1] < hi[1]


def test_trees_of_wrong_form_are_rejected() -> None:
    with pytest.raises(UnsupportedError, match="several parents"):
        _single([0, 1], [0.0, 0.0], [[1, 1], [-1, -2]], [0.0, 1.0]).output_shape([(2,)])
    with pytest.raises(UnsupportedError, match="several parents"):
        _single([0, 1], [0.0, 0.0], [[1, -1], [0, -2]], [0.0, 1.0]).output_shape([(2,)])
    for feature, branches in ((2, [[-1, -2]]), (0, [[-1, -3]]), (0, [[-1, 1]])):
        with pytest.raises(UnsupportedError, match="that there are not"):
            _single([feature], [0.0], branches, [0.0, 1.0]).output_shape([(2,)])
    with pytest.raises(UnsupportedError, match=r"of 2 features on an input of shape \(3,\)"):
        _single([0], [0.0], [[-1, -2]], [0.0, 1.0]).output_shape([(3,)])
    chain = [[k + 1, -1] for k in range(299)] + [[-1, -2]]
    with pytest.raises(UnsupportedError, match="more than 256 decisions one after another"):
        _single([0] * 300, [0.0] * 300, chain, [0.0, 1.0]).output_shape([(2,)])
