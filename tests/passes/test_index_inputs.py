"""Inputs that only embeddings read."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.logic import Comparison
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten, Reshape
from bitsmith.passes.network.calibration import generated
from bitsmith.passes.network.index_inputs import index_inputs


def _network(*nodes: NetworkNode, output: str) -> Network:
    return Network((NetworkNode("x", Input((2, 3))), *nodes), ("x",), (output,))


def _rows(entries: int) -> Embedding:
    return Embedding(as_weights(np.zeros((entries, 2))))


def _noted(network: Network) -> int | None:
    layer = index_inputs(network).node("x").layer
    assert isinstance(layer, Input)
    return layer.entries


@pytest.mark.parametrize("entries,bits", [(1, 1), (2, 1), (3, 2), (256, 8), (257, 9)])
def test_bits_of_an_index(entries: int, bits: int) -> None:
    network = index_inputs(_network(NetworkNode("rows", _rows(entries), ("x",)), output="rows"))
    layer = network.node("x").layer
    assert isinstance(layer, Input)
    found = layer.default_format(16)
    assert (found.width, found.signed, found.frac) == (bits, False, 0)


def test_the_largest_of_several_tables_behind_other_shapes() -> None:
    flat, square = NetworkNode("flat", Flatten(), ("x",)), NetworkNode("square", Reshape((3, 2)), ("x",))
    small, large = NetworkNode("small", _rows(5), ("flat",)), NetworkNode("large", _rows(9), ("square",))
    join = NetworkNode("join", Add(), ("small2", "large"))
    small2 = NetworkNode("small2", Reshape((3, 2, 2)), ("small",))
    assert _noted(_network(flat, square, small, small2, large, join, output="join")) == 9


def test_other_readers() -> None:
    rows = NetworkNode("rows", _rows(5), ("x",))
    assert _noted(_network(rows, NetworkNode("sum", Add(), ("x", "x")), output="rows")) is None
    assert _noted(_network(rows, output="x")) is None
    given = NetworkNode("flat", Flatten(), ("x",), settings=Settings({"result": FixedFormat(True, 8, 0)}))
    assert _noted(_network(given, NetworkNode("rows", _rows(5), ("flat",)), output="rows")) is None


def test_comparisons_with_an_index_leave_an_index() -> None:
    """As those of masks do."""
    rows = NetworkNode("rows", _rows(5), ("x",))
    for value, entries in ((0.0, 5), (3.0, 5), (0.5, None), (-1.0, None)):
        constant = NetworkNode("k", Constant(as_weights([value])))
        mask = NetworkNode("mask", Comparison(Relation.NE), ("x", "k"))
        assert _noted(_network(constant, mask, rows, output="rows")) == entries
    assert _noted(_network(constant, mask, output="mask")) is None


def test_generated_inputs_of_a_table_that_are_read_as_numbers_too_are_indices() -> None:
    rows, total = NetworkNode("rows", _rows(5), ("x",)), NetworkNode("sum", Add(), ("x", "x"))
    network = index_inputs(_network(rows, total, output="rows"))
    (batch,) = generated(network, 200)
    assert set(batch.ravel().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
