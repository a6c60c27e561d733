"""Orders of axes in which tensors are stored, by what NumPy makes of stored arrays."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import BitsmithError
from bitsmith.layers.axis_order import Order, common, stored, unchanged
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.quantization.lookup import Lookup
from tests.layers.test_traits import CLASSES, instances, operands, result

SIZES = (2, 3, 4)


@st.composite
def stored_shapes(draw: st.DrawFn) -> tuple[Shape, Order]:
    """A shape that broadcasts to (2, 3, 4), and an order of its axes; a single axis's order is that of its elements."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.sampled_from([1, size])) for size in SIZES[3 - rank :])
    return shape, tuple(draw(st.permutations(range(rank)))) if rank > 1 else unchanged(shape)


@given(st.lists(stored_shapes(), min_size=1, max_size=3))
def test_operands_broadcast_as_they_are_stored_where_they_have_a_common_order(drawn: list[tuple[Shape, Order]]) -> None:
    shapes, orders = [shape for shape, _ in drawn], [order for _, order in drawn]
    values = [np.arange(np.prod(shape), dtype=np.float64).reshape(shape) * 10.0**k for k, shape in enumerate(shapes)]
    parts = [stored(part, order, shape) for part, (shape, order) in zip(values, drawn, strict=True)]
    whole: np.ndarray = np.asarray(sum(np.broadcast_arrays(*values)))
    found = common(orders, shapes)
    if found is not None:
        assert np.array_equal(sum(np.broadcast_arrays(*parts)), stored(whole, found, whole.shape))
        return
    # Refused, though they may: two orders of all axes, or fewer axes beside those that are not at their places.
    rank = max(map(len, shapes))
    full = {order for shape, order in drawn if len(shape) == rank and shape != (1,)}
    few = [(shape, order) for shape, order in drawn if len(shape) < rank and np.prod(shape) > 1]
    order = next(iter(full), tuple(range(rank)))
    apart = [order[rank - len(shape) :] != tuple(range(rank - len(shape), rank)) for shape, _ in few]
    turned = [own != tuple(range(len(shape))) for shape, own in few if len(shape) > 1]
    assert len(full) > 1 or any(apart) or any(turned)


def _orders(shape: Shape) -> list[Order]:
    """Some orders of a tensor of ``shape``: all of up to three axes."""
    if len(shape) == 1:
        return [unchanged(shape), unchanged(shape)[::-1], (*unchanged(shape)[1:], 0)]
    return list(permutations(range(len(shape))))[:24]


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_layers_in_another_order_compute_the_same(layer: type[Layer]) -> None:
    """On the shapes of the examples, and on those with further axes before them where the layer takes any."""
    rng = np.random.default_rng(5)
    for instance, shapes in instances(layer)[:4]:
        for more in ((), (2,), (3, 2)):
            larger = [(*more, *shape) for shape in shapes]
            try:
                target = instance.output_shape(larger)
                batch = operands(instance, larger, rng, samples=2)
            except (BitsmithError, ValueError, KeyError, IndexError):
                continue
            if len(target) and layer is not Lookup:
                _check_orders(instance, larger, target, batch, rng)


def _check_orders(
    instance: Layer, shapes: list[Shape], target: Shape, batch: list[Floats], rng: np.random.Generator
) -> None:
    wanted = result(instance, batch)
    for order in _orders(target):
        giving = instance.giving(order, target)
        if giving is not None:
            expected = np.stack([stored(sample, order, target) for sample in wanted])
            np.testing.assert_allclose(result(giving, batch), expected, rtol=1e-9, atol=1e-12)
    drawn = [_orders(shape) for shape in shapes]
    for _ in range(12):
        orders = [own[int(rng.integers(len(own)))] if own else () for own in drawn]
        found = instance.reordered(orders, shapes)
        if found is not None:
            parts = [
                np.stack([stored(sample, order, shape) for sample in x]) if shape else x
                for x, order, shape in zip(batch, orders, shapes, strict=True)
            ]
            expected = np.stack([stored(sample, found[1], target) for sample in wanted])
            np.testing.assert_allclose(result(found[0], parts), expected, rtol=1e-9, atol=1e-12)
