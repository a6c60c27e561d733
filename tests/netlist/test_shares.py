"""Shares of weights in adder graphs."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.ir.types import objects
from bitsmith.netlist.adder_graph import InputRange, solve
from bitsmith.netlist.shares import shares


@pytest.mark.parametrize("seed", range(8))
def test_shares_sum_to_the_adders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, bits = int(rng.integers(1, 12)), int(rng.integers(1, 8)), int(rng.integers(2, 9))
    weights = rng.integers(-(1 << bits), 1 << bits, (n, m)) * (rng.random((n, m)) < rng.choice([0.3, 0.8, 1.0]))
    ranges = [InputRange(-int(rng.integers(1, 200)), int(rng.integers(1, 200))) for _ in range(n)]
    graph = solve(objects(weights), ranges)
    costs = graph.paid(ranges)
    found = shares(graph, costs)
    assert sum(costs) == graph.cost(ranges)
    assert found.sum() == pytest.approx(graph.cost(ranges))
    assert np.all(found >= 0)
    assert np.all(found[weights == 0] == 0)


def test_terms_of_a_sum_have_equal_shares() -> None:
    graph = solve(objects(np.array([[1], [1], [1], [0]])), [InputRange(0, 15)] * 4)
    assert shares(graph, [1.0, 1.0]).ravel().tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0])


def test_a_single_term_takes_nothing() -> None:
    graph = solve(objects(np.array([[4, 0], [0, -8]])), [InputRange(-8, 7)] * 2)
    assert not shares(graph, graph.paid([InputRange(-8, 7)] * 2)).any()


def test_columns_that_are_equal_share_one_sum() -> None:
    graph = solve(objects(np.array([[3, 6], [5, 10]])), [InputRange(-8, 7)] * 2)
    found = shares(graph, [1.0] * len(graph.adders))
    assert found[:, 0].tolist() == pytest.approx(found[:, 1].tolist())
    assert found.sum() == pytest.approx(len(graph.adders))
