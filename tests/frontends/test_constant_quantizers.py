"""Quantizers of trained tensors follow these to the layers that store them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bitsmith.frontends.builder import grids
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.ops import arithmetic, contraction, shape
from bitsmith.frontends.ops.selection import part
from bitsmith.frontends.ops.spatial import Taps, convolution, kernel_of
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats

CODES = np.random.default_rng(3).integers(-8, 8, (4, 6))
SCALES = np.array([0.3, 0.5, 0.7, 0.11]).reshape(4, 1)
"""A scale for each row."""


def rows() -> Value:
    """A trained matrix whose rows have scales of their own."""
    return constant(CODES * SCALES, "weights", quantizer=Quantizer.uniform(SCALES, -8, 7))


def builder() -> Builder:
    draft = Draft()
    return Builder(draft, draft.begin("one"), "model")


def operand(build: Builder, *sizes: int) -> Value:
    return build.input((1, *sizes), Batch(0), Kind.REAL)


MOVES: dict[str, Callable[[Builder, Value], Value]] = {
    "transposed": lambda build, x: build.permuted(x, (1, 0)),
    "reshaped": lambda build, x: build.viewed(x, (2, 12), None),
    "unsqueezed": lambda build, x: shape.unsqueeze(build, x, [0, 3]),
    "expanded": lambda build, x: shape.expand(build, x, [(3, 4, 6)] * 3),
    "sliced": lambda build, x: part(build, x, {0: range(1, 4, 2), 1: range(5, -1, -1)}),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_keep_the_quantizer(name: str) -> None:
    build = builder()
    moved = MOVES[name](build, rows())
    steps = MOVES[name](build, constant(np.broadcast_to(SCALES, CODES.shape)))
    assert moved.quantizer is not None
    assert moved.quantizer.holds(moved.elements)
    np.testing.assert_array_equal(np.broadcast_to(as_floats(moved.quantizer.step), moved.shape), steps.elements)


def stored(build: Builder, y: Value) -> dict[str, np.ndarray]:
    """The scales of the tensors of the layer that made ``y``, all of which have quantizers."""
    assert isinstance(y.node, int)
    node = build.draft.nodes[y.node]
    assert set(node.quantizers) == set(node.layer.weights())
    for name, values in node.layer.weights().items():
        assert node.quantizers[name].holds(values)
    return {name: as_floats(one.step) for name, one in node.quantizers.items()}


@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products_take_them(transposed: bool) -> None:
    build = builder()
    bias = constant(np.arange(4.0), quantizer=grids.integers(np.arange(4.0)))
    weights = build.permuted(rows(), (1, 0)) if transposed else rows()
    text = "ij,jk->ik" if transposed else "ij,kj->ik"
    found = stored(build, contraction.affine_product(build, text, operand(build, 6), weights, bias, alpha=0.5))
    np.testing.assert_array_equal(found["weight"], 0.5 * SCALES.T)
    assert found["bias"].item() == 1.0


def test_convolutions_take_them() -> None:
    build = builder()
    kernel = shape.unsqueeze(build, rows(), [2]).moved(lambda values: kernel_of(values, 1, transposed=False))
    assert kernel.quantizer is not None
    taps = Taps((1,), (1,), (1,), ((0, 0),))
    y = convolution(build, operand(build, 5, 6), kernel, None, taps)
    np.testing.assert_array_equal(stored(build, y)["weight"], SCALES.T[None])


def test_sums_and_products_take_them() -> None:
    build = builder()
    row = part(build, rows(), {0: range(1)})
    found = stored(build, arithmetic.add(build, operand(build, 6), row))
    assert (found["scale"].item(), found["bias"].max()) == (1.0, 0.3)
    found = stored(build, arithmetic.multiply(build, operand(build, 6), row))
    assert (found["scale"].max(), found["bias"].item()) == (0.3, 1.0)


def test_a_factor_of_a_constant_is_one_of_its_grid() -> None:
    """All numbers that are quantized, those on the grid and others, become as many times what they were."""
    quantizer = Quantizer.uniform(SCALES, -8, 7, Rounding.RND, Overflow.SAT)
    numbers = np.random.default_rng(4).uniform(-3.0, 3.0, (4, 50))
    np.testing.assert_array_equal(grids.times(quantizer, 0.25).applied(numbers / 4), quantizer.applied(numbers) / 4)


def test_constants_take_them() -> None:
    build = builder()
    arithmetic.multiply(build, operand(build, 4, 6), rows())
    (factor,) = (node for node in build.draft.nodes if node.label == "weights")
    assert factor.quantizers["weight"].holds(CODES * SCALES)
