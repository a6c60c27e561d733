"""Orders of axes in which tensors are stored, by what NumPy makes of stored arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.layers.axis_order import Order, common, stored, unchanged
from bitsmith.layers.layer import Shape

SIZES = (2, 3, 4)


@st.composite
def operands(draw: st.DrawFn) -> tuple[Shape, Order]:
    """A shape that broadcasts to (2, 3, 4), and an order of its axes; a single axis's order is that of its elements."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.sampled_from([1, size])) for size in SIZES[3 - rank :])
    return shape, tuple(draw(st.permutations(range(rank)))) if rank > 1 else unchanged(shape)


@given(st.lists(operands(), min_size=1, max_size=3))
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
