"""The solver in C++ makes the same graphs as the one in Python."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.types import IntArray
from bitsmith.netlist import adder_graph, native
from bitsmith.netlist.adder_graph import InputRange, Search, solve, solved_in_python
from tests.netlist.test_adder_graph import matrices, random_matrix

pytestmark = pytest.mark.skipif(native.SOLVE is None, reason="the extension is not installed: pip install ./native")


def both(weights: IntArray, inputs: list[InputRange], search: Search) -> None:
    columns = [list(column) for column in weights.T.tolist()]
    assert adder_graph._solved(columns, inputs, search) == solved_in_python(columns, inputs, search)


@given(matrices(), st.data())
@settings(max_examples=150)
def test_same_graphs(weights: IntArray, data: st.DataObject) -> None:
    rows = weights.shape[0]
    bounds = data.draw(st.lists(st.tuples(st.integers(-300, 300), st.integers(0, 500)), min_size=rows, max_size=rows))
    times = data.draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    search = Search(data.draw(st.integers(0, 20)), extra_depth=data.draw(st.sampled_from([0, 1, None])))
    both(weights, [InputRange(lo, lo + size, time) for (lo, size), time in zip(bounds, times, strict=True)], search)


@pytest.mark.parametrize(
    ("shape", "bits"),
    [
        ((24, 24), 8),
        ((40, 10), 4),
        ((6, 60), 6),
        pytest.param((12, 12), 24, marks=(pytest.mark.slow, pytest.mark.ci)),
        pytest.param((48, 48), 8, marks=(pytest.mark.slow, pytest.mark.ci)),  # many patterns are looked up together
    ],
)
def test_same_graphs_of_larger_matrices(shape: tuple[int, int], bits: int) -> None:
    both(random_matrix(shape, bits, 1), [InputRange(-128, 127, k % 3) for k in range(shape[0])], Search(2))


def test_same_graphs_where_rows_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adder_graph, "_PAIR_LIMIT", 10_000)
    both(random_matrix((24, 12), 6, 3), [InputRange(-128, 127)] * 24, Search(2))


@pytest.mark.parametrize(
    ("weights", "inputs"),
    [
        ([[1 << 62, 3]], [InputRange(0, 1)]),
        ([[1 << 70, 3]], [InputRange(0, 1)]),
        ([[5, 3]], [InputRange(0, 1 << 61)]),
        ([[5, 3]], [InputRange(0, 1, 60)]),
    ],
)
def test_leaves_to_python_what_does_not_fit(weights: list[list[int]], inputs: list[InputRange]) -> None:
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
