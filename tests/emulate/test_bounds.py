"""Bounds on integers are those of their definitions, computed with Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.emulate.bounds import (
    NumberKind,
    can_share_scale,
    cast_kind,
    has_room,
    has_safe_exponents,
    magnitude,
    magnitude_bits,
    narrowest,
    overflows,
    partial_products,
    partial_sums,
    storable,
)
from bitsmith.ir.ops import Cast, MatMul, Sum
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import Overflow, Rounding, TensorType, objects
from tests.ir.oracle import bring_inside, round_to_integer

FRACS = st.integers(-3, 3)
BITS = st.sampled_from([3, 12, 22, 24, 25, 40, 53, 54, 70])


@st.composite
def types(draw: st.DrawFn, count: int) -> TensorType:
    """Elements of any widths and signs."""
    tops = [1 << draw(BITS) for _ in range(count)]
    ends = [sorted(draw(st.tuples(st.integers(-top, top), st.integers(-top, top)))) for top in tops]
    lo, hi = zip(*ends, strict=True)
    return TensorType.of((count,), np.array([draw(FRACS) for _ in range(count)]), objects(lo), objects(hi))


@pytest.mark.parametrize("power", [24, 53])
def test_kinds_hold_all_integers_up_to_a_power_of_two(power: int) -> None:
    kind, wider = {24: (NumberKind.FLOAT32, NumberKind.FLOAT64), 53: (NumberKind.FLOAT64, NumberKind.LIMBS)}[power]
    assert (narrowest(1 << power), narrowest((1 << power) + 1)) == (kind, wider)
    number = {24: np.float32, 53: np.float64}[power]
    assert int(number((1 << power) - 1)) + 1 == int(number(1 << power)) == int(number((1 << power) + 1))


@given(types(3), st.lists(st.integers(-(1 << 45), 1 << 45), min_size=6, max_size=6), st.booleans())
def test_magnitudes_and_sums_of_products(x: TensorType, numbers: list[int], few: bool) -> None:
    greatest = _tops(x)
    assert np.broadcast_to(magnitude(x), 3).tolist() == greatest
    assert magnitude_bits(x) == max(greatest).bit_length()
    assert storable(x) is narrowest(max(greatest))
    weights = np.array([number % 15 - 7 if few else number for number in numbers]).reshape(3, 2)
    sums = [sum(top * abs(int(weight)) for top, weight in zip(greatest, weights[:, k], strict=True)) for k in range(2)]
    for form in (weights, objects(weights)):
        assert partial_products(form, x) == max(sums)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("top", "weight"), [(20, 40), (30, 30), (30, 31), (31, 31), (40, 30), (30, 40), (61, 61), (3, 2)]
)
def test_sums_of_products_of_any_width(top: int, weight: int, rows: int, sign: int) -> None:
    """Of operands of several positions, whose widest counts."""
    lo, hi = (np.full((2, rows), 0, dtype=np.object_) for _ in range(2))
    hi[1] = 1 << top
    lo[0, 0] = -(1 << top) - 1
    x = TensorType.of((2, rows), np.array([0]), lo, hi)
    weights = np.array([[1, sign << weight]] * rows)
    sums = [
        sum((1 << top) + (k == 0) for k in range(rows)),
        sum(((1 << top) + (k == 0)) << weight for k in range(rows)),
    ]
    assert partial_products(weights, x) == partial_products(objects(weights), x) == max(sums)


@given(st.lists(types(3), min_size=1, max_size=3), st.booleans())
def test_partial_sums_stay_within_the_sum_of_magnitudes(args: list[TensorType], product: bool) -> None:
    """In units of the last place of the result."""
    if product:
        pairs = ((1, 3), args[0]), ((3, 1), args[-1])
        x, y = (TensorType.of(shape, *(part.reshape(shape) for part in kind.full())) for shape, kind in pairs)
        fracs = [int(one + other) for one, other in zip(x.full()[0].flat, y.full()[0].flat, strict=True)]
        tops = [one * other for one, other in zip(_tops(x), _tops(y), strict=True)]
        found = partial_sums(MatMul(), [x, y])
    else:
        fracs, tops = [int(frac) for frac in args[0].full()[0]], _tops(args[0])
        found = partial_sums(Sum((0,)), args[:1])
    assert found == sum(top << max(fracs) - frac for top, frac in zip(tops, fracs, strict=True))


def _tops(x: TensorType) -> list[int]:
    _, lo, hi = x.full()
    return [max(abs(int(low)), abs(int(high))) for low, high in zip(lo.flat, hi.flat, strict=True)]


MODES = st.tuples(st.sampled_from(list(Rounding)), st.sampled_from(list(Overflow)))


@given(types(2), types(2), MODES)
def test_casts_overflow_where_some_rounded_value_is_outside(
    x: TensorType, to: TensorType, modes: tuple[Rounding, Overflow]
) -> None:
    rounding, overflow = modes
    _, least, most = to.full()
    frac = np.broadcast_to(to.frac, (2,))
    op = Cast(frac, least, most, rounding, overflow)
    lo, hi = rounded_range(x, op.frac, op.rounding)
    ends = []
    for k in range(2):
        unit = Fraction(2) ** int(frac[k] - np.broadcast_to(x.frac, (2,))[k])
        ends.append([round_to_integer(int(part[k]) * unit, rounding) for part in x.full()[1:]])
    assert [list(pair) for pair in zip(lo, hi, strict=True)] == ends
    outside = [
        not least[k] <= value <= most[k] or bring_inside(value, int(least[k]), int(most[k]), overflow) != value
        for k in range(2)
        for value in ends[k]
    ]
    assert overflows(op, lo, hi) == any(outside)


@given(types(1), types(1), MODES, st.sampled_from([NumberKind.FLOAT32, NumberKind.FLOAT64, NumberKind.LIMBS]))
def test_casts_are_exact_in_their_kind(
    x: TensorType, to: TensorType, modes: tuple[Rounding, Overflow], stored: NumberKind
) -> None:
    """All that is met on the way has room: rounded values, and, where these overflow, sums with the ends of the range."""
    op = Cast(to.frac, to.lo, to.hi, *modes)
    kind = cast_kind(op, x, stored)
    assert kind >= stored
    lo, hi = rounded_range(x, op.frac, op.rounding)
    ends = [abs(int(end)) for end in (*lo, *hi)]
    met = [2 * max(*ends, *(abs(int(end)) for end in (*to.lo, *to.hi)))] if overflows(op, lo, hi) else ends
    exact = [k for k in NumberKind if k >= stored and max(met) <= 1 << k.bits]
    assert kind is exact[0]


@given(types(2), FRACS, st.sampled_from([NumberKind.FLOAT32, NumberKind.FLOAT64]))
def test_a_half_is_added_where_sums_stay_exact(x: TensorType, frac: int, kind: NumberKind) -> None:
    op = Cast(np.array([frac]), objects([-1]), objects([1]), Rounding.RND, Overflow.SAT)
    own, lo, hi = x.full()
    sums = []
    for k, top in enumerate(map(max, zip(abs(lo), abs(hi), strict=True))):
        fine = max(int(own[k]), frac + 1)  # the unit in which both are integers
        sums.append(int(top) * 2 ** (fine - int(own[k])) + 2 ** (fine - frac - 1))
    assert has_room(op, x, kind) == (max(sums) <= 1 << kind.bits)


@pytest.mark.parametrize(
    ("kind", "most"), [(NumberKind.FLOAT32, 60), (NumberKind.FLOAT64, 500), (NumberKind.LIMBS, 5000)]
)
def test_scales_stay_clear_of_the_ends_of_exponents(kind: NumberKind, most: int) -> None:
    x = TensorType.of((2,), np.array([0, 3]), objects([-1]), objects([1]))
    for scale in (most - 1, 3 - most + 1):
        assert has_safe_exponents(kind, x, np.array([scale]))
    for scale in (most, 3 - most, most + 3):
        assert has_safe_exponents(kind, x, np.array([scale])) == (kind is NumberKind.LIMBS)
    apart = most - 20 if kind is NumberKind.FLOAT32 else most - 200
    types_of = [
        [TensorType.of((1,), np.array([frac]), objects([0]), objects([1])) for frac in (0, end)]
        for end in (apart - 1, apart)
    ]
    several = TensorType.of((2,), np.array([0, apart]), objects([0]), objects([1]))
    assert can_share_scale(kind, [several]) == (kind is NumberKind.LIMBS)
    assert can_share_scale(kind, types_of[0])
    assert can_share_scale(kind, types_of[1]) == (kind is NumberKind.LIMBS)
