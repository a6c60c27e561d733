"""Patterns as keys, and the search's bookkeeping."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bitsmith.netlist import sharing as sharing_module
from bitsmith.netlist.adders import Adder, InputRange, Nodes
from bitsmith.netlist.csd import digit_masks
from bitsmith.netlist.patterns import ColumnEntry, Pattern, matches_of
from bitsmith.netlist.sharing import Sharing


def columns_of(shape: tuple[int, int], seed: int) -> list[list[ColumnEntry]]:
    weights = np.random.default_rng(seed).integers(-128, 128, shape)
    return [[ColumnEntry(row, *digit_masks(int(w))) for row, w in enumerate(column) if w] for column in weights.T]


def full_adders(nodes: Nodes) -> int:
    return sum(adder.cost(*nodes.range_of(adder)) for adder in nodes.adders)


def test_keys_are_read_back() -> None:
    patterns = [
        Pattern(a, b, shift, opposite)
        for a, b, shift, opposite in itertools.product((0, 3, 1 << 23), (3, 1 << 23), (-120, -1, 0, 5), (0, 1))
    ]
    assert [Pattern.of(pattern.key) for pattern in patterns] == patterns
    assert sorted(patterns) == sorted(patterns, key=lambda pattern: pattern.key)


@pytest.mark.parametrize(
    ("pattern", "adder", "cost"),
    [
        (Pattern(0, 1, 3, 0), Adder(0, 1, 0, 3, False), 9),  # the low bits of input 0 pass
        (Pattern(0, 1, 3, 1), Adder(0, 1, 0, 3, True), 9),
        (Pattern(0, 1, -3, 1), Adder(1, 0, 0, 3, True), 9),  # they would not, if input 1 were subtracted
    ],
)
def test_the_lower_operand_is_not_subtracted(pattern: Pattern, adder: Adder, cost: int) -> None:
    nodes = Nodes([InputRange(-128, 127)] * 2)
    assert pattern.adder() == adder
    assert adder.cost(*nodes.range_of(adder)) == cost
    wrong = Adder(1, 0, 3, 0, True)
    assert wrong.cost(*nodes.range_of(wrong)) == 12


def test_a_digit_is_in_one_occurrence_only() -> None:
    assert matches_of([0b10101, 0], [0b10101, 0], Pattern(0, 0, 2, 0)) == [(0, 0)]
    assert matches_of([0b10001, 0b100], [0b10001, 0b100], Pattern(0, 0, 2, 1)) == [(0, 0)]


def most_saving(sharing: Sharing) -> tuple[int, int, int]:
    """What the best of all patterns saves, its newer node and its key, all counted."""
    keys = {
        key
        for digits in sharing._digits
        for digit in digits.values()
        for key in sharing._keys((other for other in digits.values() if other < digit), digit)
    }
    patterns = [Pattern.of(key) for key in keys]
    saved = [sharing._saving(pattern, len(sharing._occurrences(pattern))) for pattern in patterns]
    return max((saving, pattern.b, -pattern.key) for saving, pattern in zip(saved, patterns, strict=True))


@pytest.mark.parametrize("few_steps", [0, 1 << 40])
@pytest.mark.parametrize("latest", [None, 5, 7])
def test_patterns_are_taken_as_if_counted_each_time(
    latest: int | None, few_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, and where many are looked up together."""
    monkeypatch.setattr(sharing_module, "_FEW_STEPS", few_steps)
    shared, counted = (Sharing([InputRange(-128, 127)] * 6, columns_of((6, 6), 4), range(6), latest) for _ in range(2))
    shared.run()
    counted._choose_forms()
    while (best := most_saving(counted))[0] > 0:
        pattern = Pattern.of(-best[2])
        counted._extract(pattern, counted._occurrences(pattern))
    assert shared._digits == counted._digits


def test_numbers_are_written_in_the_form_that_has_more_in_common() -> None:
    """Of 3x + y and x + y, 2x + x + y has a pattern in common; without the second, 3x stays 4x - x."""
    columns = [[ColumnEntry(0, *digit_masks(3)), ColumnEntry(1, 1, 0)], [ColumnEntry(0, 1, 0), ColumnEntry(1, 1, 0)]]
    for used, digits in ((columns, {(0, 1), (0, 0), (1, 0)}), (columns[:1], {(0, 2), (0, 0), (1, 0)})):
        sharing = Sharing([InputRange(-128, 127)] * 2, used, range(len(used)), None)
        sharing._choose_forms()
        assert sharing._digits[0].keys() == digits


@pytest.mark.parametrize(
    "latest",
    [
        pytest.param(None, marks=(pytest.mark.slow, pytest.mark.ci)),
        pytest.param(6, marks=(pytest.mark.slow, pytest.mark.ci)),
        8,
    ],
)
def test_cost_is_that_of_the_adders_and_falls(latest: int | None) -> None:
    inputs = [InputRange(-128, 127)] * 8
    sharing = Sharing(inputs, columns_of((8, 8), 0), range(8), latest)
    sharing.run()
    costs = [sharing.cost]
    for _ in range(3):
        sharing.improve(4, 1 << 40)
        costs.append(sharing.cost)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]
    nodes = Nodes(inputs)
    roots = sharing.build(nodes)
    assert not any(root.minus for root in roots)
    # Equal sums of two outputs, which the search does not see, are made once.
    assert 0 <= costs[-1] - full_adders(nodes) <= 0.01 * costs[-1]
    assert latest is None or max(nodes.arrivals[root.node] for root in roots) <= latest


def summed(weights: list[int], latest: int | None, effort: int) -> tuple[int, int, bool]:
    """Full adders and adders of one column of these weights, and whether its sum comes out negated."""
    inputs = [InputRange(-128, 127)] * len(weights)
    columns = [[ColumnEntry(row, *digit_masks(w)) for row, w in enumerate(weights) if w]]
    sharing = Sharing(inputs, columns, [0], latest)
    sharing.run()
    sharing.improve(effort, 1 << 20)
    nodes = Nodes(inputs)
    (root,) = sharing.build(nodes)
    return sharing.cost, len(nodes.adders), root.minus


@pytest.mark.parametrize("effort", [0, 8])
def test_a_sum_of_subtractions_is_not_negated(effort: int) -> None:
    assert summed([-1, -1], None, effort) == (18, 2, False)  # x - y - 2x


@pytest.mark.parametrize("effort", [0, 8])
def test_no_digit_more_where_there_is_no_time(effort: int) -> None:
    assert summed([-1, -1], 1, effort) == (20, 1, True)  # x + y, its negation, and one for the level of that
