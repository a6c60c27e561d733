"""The layout pass on random networks: nobody can tell, and broken passes are caught."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import BitsmithError
from bitsmith.ir.ops import Relation
from bitsmith.layers import axis_order
from bitsmith.layers.activation import HardActivation, PReLU, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Average, Concatenate, Maximum, Multiply
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction
from bitsmith.layers.resample import Crop, Pad, PadMode
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.shape import Broadcast, Flatten, Gather, Permute, Reshape, Slice, Stack
from bitsmith.layers.softmax import Softmax
from tests.passes.test_layout import (
    Drawn,
    assert_same_results,
    branches,
    decoder,
    drawn,
    lopsided,
    pixelwise,
    plain,
    residual,
    viewed,
    with_inner,
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Layers of all kinds on a few small tensors, many of them seen through permutations."""
    d = drawn(draw(st.integers(0, 1 << 16)))
    rank = draw(st.integers(1, 3))
    d.input(tuple(draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))))
    for _ in range(draw(st.integers(2, 9))):
        x = draw(st.sampled_from(list(d.shapes)[-3:]))
        if len(d.shapes[x]) > 1 and draw(st.booleans()):
            d.add(Permute(tuple(draw(st.permutations(range(len(d.shapes[x])))))), x)
            continue
        alike = [name for name, shape in d.shapes.items() if shape == d.shapes[x]]
        _grow(d, draw, x, draw(st.sampled_from(alike)))
    outputs = draw(st.lists(st.sampled_from(list(d.shapes)[-3:]), min_size=1, max_size=2, unique=True))
    return with_inner(d.network(*outputs), draw(st.booleans()))


def _grow(d: Drawn, draw: st.DrawFn, x: str, y: str) -> None:
    """One more layer, on ``x`` and perhaps ``y``, which have one shape."""
    shape = d.shapes[x]
    rank = len(shape)
    axis = draw(st.integers(0, max(rank - 1, 0)))
    kind = draw(st.sampled_from([_merged, _weighted, _along, _placed, _alone] if rank else [_alone]))
    small = np.prod(shape) <= 48
    match kind(d, draw, shape, axis):
        case Layer() as layer:
            several = isinstance(layer, Add | Maximum | Average | Concatenate | Stack)
            grows = isinstance(layer, Concatenate | Stack | Broadcast | OneHot | Pad | Gather)
            if small or not grows:
                d.add(layer, *((x, y) if several else (x,)))
            if draw(st.booleans()) and rank:
                chosen = d.add(Comparison(Relation.GT), x, y)
                d.add(Where(), chosen, y, x)
        case str() as constant:
            d.add(Multiply(), constant, x)


def _merged(d: Drawn, draw: st.DrawFn, shape: Shape, axis: int) -> Layer:
    return draw(st.sampled_from([Add(), Maximum(), Average(), Concatenate(axis - len(shape))]))


def _weighted(d: Drawn, draw: st.DrawFn, shape: Shape, axis: int) -> Layer | str:
    """Layers with trained values that broadcast, or the name of a constant that does."""
    partial = tuple(n if draw(st.booleans()) else 1 for n in shape)[draw(st.integers(0, len(shape) - 1)) :]
    size = shape[axis]
    most = np.arange(1, size + 1).reshape(size, *(1,) * (len(shape) - axis - 1)) > size // 2
    return draw(
        st.sampled_from(
            [
                d.add(Constant(d.weights(*partial))),
                PReLU(d.weights(*partial)),
                BatchNormalization(d.weights(size), d.weights(size), axis - len(shape)),
                LayerNormalization((axis,), d.weights(shape[-1]), d.weights(*partial), 0.125),
                RMSNormalization((axis - len(shape),), d.weights(*partial), 0.125),
                GroupNormalization(1, axis, d.weights(size), d.weights(size), 0.125),
                Softmax(axis, as_weights(most)),
                Dense(d.weights(shape[-1], 3)),
            ]
        )
    )


def _along(d: Drawn, draw: st.DrawFn, shape: Shape, axis: int) -> Layer:
    keepdims = draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                Softmax(axis),
                Reduce(Reduction.SUM, (axis,), keepdims=keepdims),
                ArgMax(axis, keepdims=keepdims),
                CumulativeSum(axis),
                UnitNormalization((axis,)),
            ]
        )
    )


def _placed(d: Drawn, draw: st.DrawFn, shape: Shape, axis: int) -> Layer:
    rank = len(shape)
    return draw(
        st.sampled_from(
            [
                Pad(((0, 1), *((1, 0),) * (axis > 0)), draw(st.sampled_from(PadMode)), 0.5),
                Crop(((0, 0),) * axis),
                Slice((0,) * rank, tuple(max(n - 1, 1) for n in shape), (1,) * rank),
                Gather((0, shape[axis] - 1, 0), axis),
                Stack(draw(st.integers(0, rank))),
                Broadcast(draw(st.sampled_from([shape, (2, *shape)]))),
                Flatten(),
                Reshape((*shape[:-2], -1)),
                Reshape((*shape[:axis], 1, *shape[axis:])),
                Reshape((*shape[:-1], 2 - shape[-1] % 2, -1)),
            ]
        )
    )


def _alone(d: Drawn, draw: st.DrawFn, shape: Shape, axis: int) -> Layer:
    return draw(st.sampled_from([ReLU(negative_slope=0.5), HardActivation(0.25, 0.5, 0.0, 1.0), OneHot(2), Sign()]))


@given(networks())
@settings(max_examples=15)
def test_nobody_can_tell(network: Network) -> None:
    assert_same_results(network)


@pytest.mark.slow
@given(networks())
@settings(max_examples=1000)
def test_nobody_can_tell_at_length(network: Network) -> None:
    assert_same_results(network)


def _same(network: Network) -> bool:
    try:
        assert_same_results(network)
    except (AssertionError, BitsmithError, ValueError, IndexError):
        return False
    return True


@pytest.mark.parametrize(
    ("module", "function", "mutant"),
    [
        ("passes.network.layout", "between", lambda have, want: axis_order.between(want, have)),
        ("layers.shape", "inverse", lambda given: given),
        ("layers.shape", "_reshaped", lambda given, shape, target: axis_order.unchanged(target)),
        ("layers.merge", "moved_axes", lambda axes, given, shape: tuple(axes)),
        ("layers.activation", "ordered_weights", lambda values, given, shape: values),
        ("layers.layer", "common", lambda orders, shapes: orders[0]),
        ("passes.network.lower", "inverse", lambda given: given),
        ("layers.network", "inverse", lambda given: given),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_broken_pass_is_caught(
    module: str, function: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the networks above, which are chosen; the random ones find more."""
    builds = [plain, viewed, branches, residual, decoder, pixelwise, lopsided]
    monkeypatch.setattr(importlib.import_module(f"bitsmith.{module}"), function, mutant)
    found = []
    for build in builds:
        d = drawn()
        try:
            network = d.network(build(d))
        except BitsmithError:
            continue
        found.append(_same(network))
    assert not all(found)
