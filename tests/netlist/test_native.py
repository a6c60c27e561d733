"""The compiled solver against the naive one: as right, and smaller; and its graphs as a text beside this file.

``python -m tests.netlist.test_native`` writes the text again; look at the difference before it is committed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.types import IntArray
from bitsmith.netlist import adder_graph, native
from bitsmith.netlist.adder_graph import InputRange, Search, solve, solved_naively
from tests.netlist.checks import compiled
from tests.netlist.test_adder_graph import matrices, product, random_matrix

pytestmark = compiled

GRAPHS = Path(__file__).parent / "graphs.txt"


def graphs() -> str:
    """Adders, full adders, depth and a digest of the graphs of random matrices, by their limits and shapes."""
    lines = list[str]()
    for seed in range(120):
        rng = np.random.default_rng(seed)
        (rows, columns), bits = rng.integers(1, 15, 2) * (6 if seed % 30 == 0 else 1), int(rng.integers(1, 13))
        weights = rng.integers(-(2**bits), 2**bits + 1, (rows, columns))
        weights[rng.random((rows, columns)) < 0.5 * (seed % 2)] = 0
        bounds = rng.integers(0, 5, (rows, 3)) * ((-9, 90, 1) if seed % 5 else (-1, 1, 0))
        inputs = [InputRange(lo, lo + size, time) for lo, size, time in bounds.tolist()]
        search = Search((0, 1, 24, 60)[seed % 4], extra_depth=(0, 1, None)[seed % 3])
        adder_graph._remembered.cache_clear()
        with patch.object(adder_graph, "_PAIR_LIMIT", 2000 if seed % 7 == 0 else 1 << 40):
            graph = solve(weights, inputs, search)
        adders = hashlib.sha256(repr((graph.adders, graph.outputs)).encode()).hexdigest()[:8]
        figures = f"{len(graph.adders)} {graph.cost(inputs)} {graph.depth()} {adders}"
        lines.append(
            f"{seed} {rows}x{columns} of {bits} effort {search.effort} extra {search.extra_depth}: {figures}\n"
        )
    return "".join(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="other libraries of C++ may sort what is equal in another order")
def test_graphs_are_as_they_were() -> None:
    """Circuits are the same on every machine, and change or grow only where that is meant."""
    assert graphs() == GRAPHS.read_text(), "if graphs are meant to be so: python -m tests.netlist.test_native"


@given(matrices(), st.data())
@settings(max_examples=100)
def test_equals_the_product_for_inputs_of_all_ranges_and_times(weights: IntArray, data: st.DataObject) -> None:
    rows = weights.shape[0]
    bounds = data.draw(st.lists(st.tuples(st.integers(-300, 300), st.integers(0, 500)), min_size=rows, max_size=rows))
    times = data.draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    search = Search(data.draw(st.integers(0, 20)), extra_depth=data.draw(st.sampled_from([0, 1, None])))
    inputs = [InputRange(lo, lo + size, time) for (lo, size), time in zip(bounds, times, strict=True)]
    sample = [data.draw(st.integers(i.lo, i.hi)) for i in inputs]
    assert solve(weights, inputs, search).evaluate(sample) == product(weights, sample)


@pytest.mark.parametrize("extra_depth", [0, 2, None])
def test_small_matrices_cost_no_more_than_by_the_naive_solver(extra_depth: int | None) -> None:
    """Each with few full adders more at most, and less in all."""
    search, costs = Search(extra_depth=extra_depth), []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        weights = rng.integers(-40, 41, rng.integers(1, 6, 2))
        bounds = rng.integers(0, 5, (len(weights), 3)) * (-9, 90, 1)
        inputs = [InputRange(lo, lo + size, time) for lo, size, time in bounds.tolist()]
        naive = solved_naively(weights.T.tolist(), inputs, search)
        costs.append((solve(weights, inputs, search).cost(inputs), naive.cost(inputs)))
    assert all(cost <= 1.1 * most + 12 for cost, most in costs)
    assert sum(cost for cost, _ in costs) < 0.97 * sum(most for _, most in costs)


@pytest.mark.parametrize(
    ("shape", "bits", "ratio"), [((24, 24), 8, 0.9), ((40, 10), 4, 0.95), ((6, 60), 6, 0.95), ((12, 12), 24, 0.9)]
)
def test_costs_less_where_there_is_much_to_share(shape: tuple[int, int], bits: int, ratio: float) -> None:
    weights, inputs = random_matrix(shape, bits, 1), [InputRange(-128, 127, k % 3) for k in range(shape[0])]
    naive = solved_naively(weights.T.tolist(), inputs, Search())
    assert solve(weights, inputs).cost(inputs) < ratio * naive.cost(inputs)


@pytest.mark.parametrize("extra_depth", [0, None])
def test_rows_cut_into_blocks(monkeypatch: pytest.MonkeyPatch, extra_depth: int | None) -> None:
    monkeypatch.setattr(adder_graph, "_PAIR_LIMIT", 10_000)
    adder_graph._remembered.cache_clear()
    weights, inputs = random_matrix((24, 12), 6, 3), [InputRange(-128, 127)] * 24
    sample = random_matrix((24, 1), 8, 4)[:, 0].tolist()
    graph = solve(weights, inputs, Search(2, extra_depth=extra_depth))
    assert graph.evaluate(sample) == product(weights, sample)
    adder_graph._remembered.cache_clear()


@pytest.mark.parametrize(
    ("weights", "inputs"),
    [
        ([[1 << 62, 3]], [InputRange(0, 1)]),
        ([[1 << 70, 3]], [InputRange(0, 1)]),
        ([[5, 3]], [InputRange(0, 1 << 61)]),
        ([[5, 3]], [InputRange(0, 1 << 55)]),  # 40 times as much has 61 bits
        ([[5, 3]], [InputRange(0, 1, 60)]),
    ],
)
def test_leaves_to_the_naive_solver_what_does_not_fit(weights: list[list[int]], inputs: list[InputRange]) -> None:
    array = np.array(weights, dtype=np.object_)
    assert native.solve(array, inputs, (1000, 1, 1000, 0)) is None
    assert solve(array, inputs).evaluate([1]) == weights[0]


@pytest.mark.skipif(os.name == "nt", reason="signals of threads")
@pytest.mark.parametrize(("size", "effort"), [(16, 1 << 30), (192, 0)])
def test_other_threads_run_and_ctrl_c_ends_a_solve(size: int, effort: int) -> None:
    """In the search, and while several threads look patterns of a large matrix up."""
    weights = random_matrix((size, size), 8, 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            native.solve(weights, [InputRange(-128, 127)] * size, (1 << 40, effort, 1 << 40, 0))
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    GRAPHS.write_text(graphs())
