"""Adder graphs equal the matrix product, and are small, shallow and reproducible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import ProgramError, RangeError
from bitsmith.ir.types import IntArray
from bitsmith.netlist import adder_graph, naive_graph
from bitsmith.netlist.adder_graph import Adder, AdderGraph, GraphOutput, InputRange, Search, solve, solved_naively
from bitsmith.netlist.adders import Nodes, width_of
from bitsmith.netlist.csd import count_digits, digit_masks, estimate
from tests.netlist.checks import compiled

BYTE = InputRange(-128, 127)
GREEDY = Search(effort=0)
SHORT = Search(effort=3)


Solve = Callable[[IntArray, Sequence[InputRange], Search], AdderGraph]


def naive(weights: IntArray, inputs: Sequence[InputRange], search: Search) -> AdderGraph:
    return solved_naively(weights.T.tolist(), inputs, search)


both = pytest.mark.parametrize("solver", [solve, naive])
"""The solver that is there, compiled or not, and the naive one."""


def product(weights: IntArray, x: list[int]) -> list[int]:
    """``weights.T @ x`` on Python integers."""
    return [sum(int(w) * v for w, v in zip(column, x, strict=True)) for column in weights.T.tolist()]


def check_structure(graph: AdderGraph) -> None:
    for k, adder in enumerate(graph.adders, start=graph.n_inputs):
        assert 0 <= adder.a < k and 0 <= adder.b < k
        assert min(adder.shift_a, adder.shift_b) == 0
    used = {n for adder in graph.adders for n in (adder.a, adder.b)} | {o.node for o in graph.outputs}
    assert set(range(graph.n_inputs, graph.n_inputs + len(graph.adders))) <= used


def random_matrix(shape: tuple[int, int], bits: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=shape)


@st.composite
def matrices(draw: st.DrawFn) -> IntArray:
    """Matrices with zeros, repeated, negated and shifted columns, and entries from 1 to 70 bits."""
    n_in = draw(st.integers(0, 6))
    bits = draw(st.sampled_from([1, 2, 4, 8, 40, 70]))
    entry = st.one_of(st.just(0), st.sampled_from([1, -1, 2, -4]), st.integers(-(2**bits), 2**bits))
    if draw(st.booleans()):
        entry = entry.map(lambda w: -abs(w))
    columns: list[list[int]] = []
    for _ in range(draw(st.integers(0, 7))):
        if columns and draw(st.integers(0, 3)) == 0:
            factor = draw(st.sampled_from([1, -1, 2, -8]))
            columns.append([factor * w for w in draw(st.sampled_from(columns))])
        else:
            columns.append(draw(st.lists(entry, min_size=n_in, max_size=n_in)))
    matrix = np.empty((n_in, len(columns)), dtype=object)
    for j, column in enumerate(columns):
        matrix[:, j] = column
    return matrix


@compiled
@pytest.mark.parametrize(
    ("column", "least", "any_depth"),
    [((-4, 3, -2), 29, 29), ((-1, -2, -3), 28, 27), ((-1, 1, -1), 19, 19), ((2, -1, 3), 28, 28), ((5,), 9, 9)],
)
def test_small_columns_are_as_small_as_can_be(column: tuple[int, ...], least: int, any_depth: int) -> None:
    """The figures are the least of all graphs with shifts up to 4, by exhaustion; an adder more takes 8 full adders."""
    weights, inputs = np.array([column]).T, [BYTE] * len(column)
    for depth, bits in ((0, least), (None, any_depth)):
        graph = solve(weights, inputs, Search(extra_depth=depth))
        assert graph.cost(inputs) == bits and not any(output.negate for output in graph.outputs)


@compiled
@pytest.mark.parametrize(
    ("columns", "bits"),
    [
        (((-1, -1),), 18),  # x - y - 2x: 9 and 9; -(x + y) would be 9 and 10
        (((-1, -1, -1),), 29),
        (((1, -1, 1, -1), (-1, 1, -1, 1)), 38),  # both differences of x + z and y + w
    ],
)
def test_outputs_are_not_negated(columns: tuple[tuple[int, ...], ...], bits: int) -> None:
    weights = np.array(columns).T
    inputs = [BYTE] * len(weights)
    graph = solve(weights, inputs, Search(extra_depth=None))
    assert graph.cost(inputs) == bits and not any(output.negate for output in graph.outputs)


@both
@given(matrices(), st.data())
@settings(max_examples=150)
def test_equals_product(solver: Solve, weights: IntArray, data: st.DataObject) -> None:
    arrivals = data.draw(st.lists(st.integers(0, 5), min_size=weights.shape[0], max_size=weights.shape[0]))
    inputs = [InputRange(-128, 127, t) for t in arrivals]
    graph = solver(weights, inputs, SHORT)
    check_structure(graph)
    x = data.draw(st.lists(st.integers(-128, 127), min_size=len(inputs), max_size=len(inputs)))
    assert graph.evaluate(x) == product(weights, x)


@both
@given(matrices(), st.data())
@settings(max_examples=60)
def test_no_output_is_later_than_summed_alone(solver: Solve, weights: IntArray, data: st.DataObject) -> None:
    n_in = weights.shape[0]
    arrivals = data.draw(st.lists(st.integers(0, 5), min_size=n_in, max_size=n_in))
    inputs = [InputRange(0, 1, t) for t in arrivals]
    graph = solver(weights, inputs, SHORT)
    times = graph.arrivals(inputs)
    bounds = [0]
    for column in weights.T.tolist():
        load = sum(sum(m.bit_count() for m in digit_masks(w)) << t for w, t in zip(column, arrivals, strict=True))
        bounds.append((load - 1).bit_length() if load else 0)
    assert max((times[o.node] for o in graph.outputs if o.node is not None), default=0) <= max(bounds)


@both
def test_no_output_is_later_where_its_terms_fill_the_time(solver: Solve) -> None:
    inputs = [InputRange(0, 1, 0), InputRange(0, 1, 1)]
    graph = solver(
        np.array([[6], [19]]), inputs, Search()
    )  # two digits at time 0 and three at time 1: 2 + 3 * 2 = 2**3
    assert graph.arrivals(inputs)[graph.outputs[0].node or 0] == 3


@both
@given(matrices(), st.data())
@settings(max_examples=60)
def test_ranges_hold(solver: Solve, weights: IntArray, data: st.DataObject) -> None:
    n_in = weights.shape[0]
    bounds = [sorted(data.draw(st.tuples(st.integers(-9, 9), st.integers(-9, 9)))) for _ in range(n_in)]
    graph = solver(weights, [InputRange(lo, hi) for lo, hi in bounds], SHORT)
    nodes = Nodes([InputRange(lo, hi) for lo, hi in bounds])
    x = [data.draw(st.integers(lo, hi)) for lo, hi in bounds]
    values = list(x)
    for adder in graph.adders:
        node = nodes.add(adder)
        values.append(adder.apply(values[adder.a], values[adder.b]))
        lo, hi = nodes.ranges[node]
        assert lo <= values[node] <= hi
        assert nodes.width(node) == width_of(lo, hi)


@pytest.mark.parametrize(
    ("lo", "hi", "bits"), [(0, 0, 0), (0, 1, 1), (0, 255, 8), (-1, 0, 1), (-1, 1, 2), (-128, 127, 8), (-129, 0, 9)]
)
def test_width(lo: int, hi: int, bits: int) -> None:
    assert width_of(lo, hi) == bits


@both
def test_powers_of_two_and_zeros_are_free(solver: Solve) -> None:
    weights = np.array([[0, 4, 0, -1], [0, 0, 1, 0]])
    graph = solver(weights, [BYTE, BYTE], Search())
    assert graph.adders == ()
    assert graph.outputs == (
        GraphOutput(None, 0, False),
        GraphOutput(0, 2, False),
        GraphOutput(1, 0, False),
        GraphOutput(0, 0, True),
    )


@both
def test_columns_equal_up_to_sign_and_shift_share_one_sum(solver: Solve) -> None:
    column = np.array([3, 7, -5])
    graph = solver(np.stack([column, column * 4, -column, column], axis=1), [BYTE] * 3, Search())
    alone = solver(column[:, None], [BYTE] * 3, Search())
    assert len(graph.adders) <= len(alone.adders) + 1
    assert [o.shift for o in graph.outputs] == [0, 2, 0, 0]


def test_negation_becomes_a_turned_subtraction() -> None:
    graph = solve(np.array([[1, -1], [-1, 1]]), [BYTE, BYTE])
    assert graph.adders == (Adder(0, 1, 0, 0, True), Adder(1, 0, 0, 0, True))
    assert not any(o.negate for o in graph.outputs)


def test_negative_only_column_is_negated_once() -> None:
    graph = solve(np.array([[-1], [-1]]), [BYTE, BYTE])
    assert graph.outputs == (GraphOutput(2, 0, True),)
    assert len(graph.adders) == 1


@both
def test_shared_pattern_is_built_once(solver: Solve) -> None:
    graph = solver(np.array([[5]]), [BYTE], Search())
    assert graph.adders == (Adder(0, 0, 0, 2, False),)
    assert len(solver(np.array([[0b10100101]]), [BYTE], Search()).adders) == 2


@compiled
@pytest.mark.parametrize(
    ("shape", "bits", "full_adders", "depth"),
    [((8, 8), 8, 1165, 5), ((16, 16), 4, 2300, 5), ((32, 32), 4, 8412, 6), ((16, 64), 8, 15521, 6)],
)
def test_size_and_depth_on_random_matrices(shape: tuple[int, int], bits: int, full_adders: int, depth: int) -> None:
    graph = solve(random_matrix(shape, bits, 0), [BYTE] * shape[0], GREEDY)
    assert graph.cost([BYTE] * shape[0]) <= full_adders
    assert graph.depth() <= depth


@compiled
def test_large_matrices_share_within_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_matrix((24, 12), 6, 3)
    whole = solve(weights, [BYTE] * 24, GREEDY)
    monkeypatch.setattr(adder_graph, "_PAIR_LIMIT", 10_000)
    adder_graph._remembered.cache_clear()
    cut = solve(weights, [BYTE] * 24, GREEDY)
    x = random_matrix((24, 1), 8, 4)[:, 0].tolist()
    assert cut.evaluate(x) == product(weights, x)
    assert len(whole.adders) < len(cut.adders) < count_digits(weights).sum() - 12
    assert cut.depth() == whole.depth()
    adder_graph._remembered.cache_clear()


def test_same_under_every_hash_seed() -> None:
    code = (
        "import numpy as np; from bitsmith.netlist.adder_graph import InputRange, solve; "
        "w = np.random.default_rng(1).integers(-128, 128, size=(12, 12)); "
        "print(solve(w, [InputRange(-8, 7, k % 3) for k in range(12)]))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(runs) == 1
    assert "Adder(" in runs.pop()


@pytest.mark.parametrize("seed", range(4))
def test_the_lower_operand_is_not_subtracted(seed: int) -> None:
    """Its lowest bits pass through then; only an output whose sign is turned round pays for them."""
    graph = naive(random_matrix((8, 6), 6, seed), [BYTE] * 8, GREEDY)
    inner = {node for adder in graph.adders for node in (adder.a, adder.b)} - {o.node for o in graph.outputs}
    assert not any(a.subtract and a.shift_a for k, a in enumerate(graph.adders, start=8) if k in inner)


@given(st.integers(-(2**80), 2**80))
@settings(max_examples=100)
def test_digit_masks_are_the_non_adjacent_form(value: int) -> None:
    plus, minus = digit_masks(value)
    digits = plus | minus
    assert plus - minus == value
    assert plus & minus == 0
    assert digits & (digits << 1) == 0


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
@settings(max_examples=50)
def test_count_digits(values: list[int]) -> None:
    expected = [sum(m.bit_count() for m in digit_masks(v)) for v in values]
    assert count_digits(np.array(values)).tolist() == expected
    assert count_digits(np.array(values, dtype=object)).tolist() == expected


@pytest.mark.parametrize("weights", [np.ones((2, 2)), np.array([[1, 2.5]], dtype=object)])
def test_refuses_what_is_not_integer(weights: npt.NDArray[Any]) -> None:
    with pytest.raises(RangeError, match="not all integers"):
        solve(weights, [BYTE] * weights.shape[0])


@pytest.mark.parametrize("weights", [np.ones(3, dtype=int), np.ones((3, 2), dtype=int)])
def test_refuses_a_matrix_that_does_not_fit(weights: npt.NDArray[np.int64]) -> None:
    with pytest.raises(ProgramError, match="2 inputs"):
        solve(weights, [BYTE, BYTE])


@compiled
@pytest.mark.parametrize(
    ("shape", "bits", "density"), [((32, 32), 4, 1.0), ((16, 64), 8, 1.0), ((48, 24), 6, 0.3), ((20, 20), 12, 0.5)]
)
def test_estimate_is_near_the_solution(shape: tuple[int, int], bits: int, density: float) -> None:
    weights = random_matrix(shape, bits, 6)
    weights[np.random.default_rng(7).random(shape) >= density] = 0
    assert estimate(weights) == pytest.approx(len(solve(weights, [BYTE] * shape[0], GREEDY).adders), rel=0.15)


@compiled
@pytest.mark.parametrize("shape", [(16, 16), (64, 24), (24, 64)])
def test_estimate_of_signs_is_what_pairs_take_that_columns_share(shape: tuple[int, int]) -> None:
    signs = np.random.default_rng(0).choice([-1, 1], shape)
    made = len(solve(signs, [BYTE] * shape[0], GREEDY).adders)
    assert estimate(signs) == pytest.approx(made, rel=0.3)
    assert estimate(signs * np.array([[1], [8]] * (shape[0] // 2))) == estimate(signs)


def test_estimate_counts_equal_columns_once() -> None:
    weights = random_matrix((16, 16), 8, 2)
    repeated = np.concatenate([weights, -weights, weights * 4, np.zeros_like(weights)], axis=1)
    assert estimate(repeated) == estimate(weights)


@pytest.mark.parametrize(
    "weights", [np.zeros((3, 2), dtype=int), np.array([[8, 0], [0, -1]]), np.zeros((0, 0), dtype=int)]
)
def test_estimate_of_wiring_is_zero(weights: npt.NDArray[np.int64]) -> None:
    assert estimate(weights) == 0


@compiled
@pytest.mark.parametrize(
    ("weights", "inputs", "full_adders"),
    [
        ([1, 4, 16], InputRange(0, 3), 0),
        ([-4, -1], InputRange(0, 3), 0),
        ([4, -1], InputRange(0, 3), 5),
        ([1, 2], InputRange(0, 3), 3),
        ([1, 4], InputRange(-1, 3), 3),
        ([1, 4, 5], InputRange(0, 3), 5),
    ],
)
def test_terms_without_a_common_bit_are_joined_for_nothing(
    weights: list[int], inputs: InputRange, full_adders: int
) -> None:
    graph = solve(np.array(weights)[:, None], [inputs] * len(weights))
    assert graph.cost([inputs] * len(weights)) == full_adders
    sample = [inputs.hi, inputs.lo, 1][: len(weights)]
    assert graph.evaluate(sample) == [int(np.dot(sample, weights))]


INTERVALS = st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(lambda x: (x[0], x[0] + x[1]))


@given(INTERVALS, INTERVALS, st.integers(-4, 4), st.booleans())
def test_sums_that_are_wiring_carry_nothing(a: tuple[int, int], b: tuple[int, int], shift: int, minus: bool) -> None:
    """Where operands have no bit in common, a sum is the bits of both; and its range is that of all operands."""
    adder = Adder(0, 1, max(-shift, 0), max(shift, 0), minus)
    pairs = [(x, y) for x in range(a[0], a[1] + 1) for y in range(b[0], b[1] + 1)]
    results = [adder.apply(*pair) for pair in pairs]
    assert adder.range(a, b) == (min(results), max(results))
    shifted = [(x << adder.shift_a, y << adder.shift_b) for x, y in pairs]
    lower = a if shift > 0 else b
    if adder.joins(a, b):
        assert not minus and shift and adder.paid(a, b) == 0
        assert [x | y for x, y in shifted] == results and all(x & y == 0 for x, y in shifted)
    elif not minus and shift and lower[0] >= 0:
        assert lower[1] >= 1 << abs(shift)


def test_no_pairs_are_shared_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the square of the digits of each column."""
    columns = random_matrix((8, 6), 6, 1).T.tolist()
    pairs = sum(
        sum(mask.bit_count() for weight in column for mask in digit_masks(weight)) ** 2 // 2 for column in columns
    )

    def made(limit: int) -> int:
        monkeypatch.setattr(naive_graph, "_PAIR_LIMIT", limit)
        nodes = Nodes([BYTE] * 8)
        naive_graph.solve(columns, nodes, None)
        return len(nodes.adders)

    assert made(pairs) == made(10**9) < made(pairs - 1) == made(0)


RANGES = st.sampled_from(
    [InputRange(0, 1), InputRange(-128, 127), InputRange(0, 255), InputRange(-3, 0), InputRange(0, 9)]
)
DIGITS = st.sampled_from([0, 0, 1, 2, 4, 8, 16, -1, -2, -4, -8, -16])


@given(
    st.lists(RANGES, min_size=4, max_size=4), st.lists(st.lists(DIGITS, min_size=4, max_size=4), min_size=3, max_size=6)
)
def test_the_pair_that_saves_most_full_adders_is_shared_first(
    inputs: list[InputRange], columns: list[list[int]]
) -> None:
    """Of weights of one digit, where no two pairs of a kind have a term in common: by all that could be shared."""
    saved = dict[tuple[int, int, int, bool], int]()
    for column in columns:
        for a, b in combinations(range(4), 2):
            if column[a] and column[b]:
                first, second = (abs(column[k]).bit_length() - 1 for k in (a, b))
                pair = (a, b, second - first, (column[a] < 0) != (column[b] < 0))
                saved[pair] = saved.get(pair, -1) + 1
    for (a, b, shift, opposite), count in saved.items():
        one, other = Adder(a, b, max(-shift, 0), max(shift, 0), opposite), (inputs[a], inputs[b])
        if opposite and shift < 0:
            one, other = Adder(b, a, 0, -shift, True), (inputs[b], inputs[a])
        values = [one.apply(x, y) for x in (other[0].lo, other[0].hi) for y in (other[1].lo, other[1].hi)]
        is_wiring = one.joins((other[0].lo, other[0].hi), (other[1].lo, other[1].hi))
        saved[a, b, shift, opposite] = 0 if is_wiring else count * one.cost(min(values), max(values))
    nodes = Nodes(inputs)
    naive_graph.solve(columns, nodes, None)
    most = max(saved.values(), default=0)
    if most:
        found = nodes.adders[0]
        a, b = sorted((found.a, found.b))
        shift = found.shift_b - found.shift_a if (a, b) == (found.a, found.b) else found.shift_a - found.shift_b
        assert saved[a, b, shift, found.subtract] == most


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_pair_is_shared_exactly_where_both_columns_stay_in_time(arrivals: list[int]) -> None:
    """A column can be summed by a time as many doublings of it have room for all terms, each of ``2**arrival``."""
    after = 2 ** (max(arrivals[2:]) + 1)
    alone, shared = (
        max((2**first + rest - 1).bit_length() for first in arrivals[:2])
        for rest in (2 ** arrivals[2] + 2 ** arrivals[3], after)
    )
    for limit in {alone, shared}:
        nodes = Nodes([InputRange(-128, 127, arrival) for arrival in arrivals])
        terms = naive_graph.solve([[1, 0, 1, 1], [0, 1, 1, 1]], nodes, limit)
        assert len(nodes.adders) == (3 if limit >= shared else 4)
        assert all(term and nodes.arrivals[term.node] <= limit for term in terms)
