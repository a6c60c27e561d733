"""Layers that pick and repeat elements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Broadcast, Gather, Slice, Stack
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def assert_moves(network: Network, seed: int) -> None:
    outcome = run(network, seed, samples=3)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, 3, seed)


@settings(max_examples=30)
@given(SHAPES, st.data())
def test_slice(shape: tuple[int, ...], data: st.DataObject) -> None:
    ranges = [data.draw(st.slices(size).map(lambda s, n=size: range(*s.indices(n))).filter(len)) for size in shape]
    layer = Slice(*(tuple(getattr(r, end) for r in ranges) for end in ("start", "stop", "step")))
    network = network_of(layer, [shape])
    x = np.arange(np.prod(shape)).reshape(1, *shape).astype(np.float64)
    np.testing.assert_array_equal(layer.reference([x])[0], x[0][np.ix_(*ranges)])
    assert_moves(network, 0)


@settings(max_examples=20)
@given(SHAPES, st.data())
def test_gather(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    indices = data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=5))
    assert_moves(network_of(Gather(tuple(indices), axis), [shape]), 1)


@settings(max_examples=20)
@given(SHAPES, st.data())
def test_broadcast(shape: tuple[int, ...], data: st.DataObject) -> None:
    target = tuple(data.draw(st.integers(1, 3)) if size == 1 else size for size in shape)
    assert_moves(network_of(Broadcast((*data.draw(SHAPES), *target)), [shape]), 2)


@settings(max_examples=20)
@given(SHAPES, st.integers(1, 3), st.data())
def test_stack(shape: tuple[int, ...], count: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape)))
    assert_moves(network_of(Stack(axis), [shape] * count, formats={0: FixedFormat(False, 5, 7)}), 3)


@pytest.mark.parametrize(
    "layer,shapes",
    [
        (Slice((0,), (2,), (1,)), [(3, 4)]),
        (Slice((0, 0), (2, 5), (1, 1)), [(3, 4)]),
        (Slice((2, 0), (2, 4), (1, 1)), [(3, 4)]),
        (Slice((0, 0), (2, 4), (0, 1)), [(3, 4)]),
        (Slice((0, 3), (3, -2), (1, -1)), [(3, 4)]),
        (Gather((0, 3), 0), [(3, 4)]),
        (Gather((-1,), 0), [(3, 4)]),
        (Gather((), 0), [(3, 4)]),
        (Gather((0,), 2), [(3, 4)]),
        (Broadcast((3, 5)), [(3, 4)]),
        (Broadcast((4,)), [(1, 4)]),
        (Stack(3), [(3, 4), (3, 4)]),
        (Stack(0), [(3, 4), (4, 3)]),
        (Stack(0), []),
    ],
    ids=str,
)
def test_operands_that_do_not_fit_are_refused(layer: Layer, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, shapes).shapes()


def _instances() -> dict[str, Network]:
    layers: dict[str, Layer] = {
        "slice": Slice((2, 0), (-1, 3), (-1, 2)),
        "gather": Gather((2, 0, 0), 1),
        "broadcast": Broadcast((2, 3, 4)),
    }
    result = Settings({"result": FixedFormat(True, 9, 5)})
    networks = {name: network_of(layer, [(3, 4)], result) for name, layer in layers.items()}
    return {**networks, "stack": network_of(Stack(1), [(2, 3), (2, 3)], result)}


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_instances(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slice", "stack"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_instances()[name], tmp_path)
