"""Types of tensors over several elements: bounds in units that all elements share."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import ProgramError, RangeError
from bitsmith.ir.ops import Const
from bitsmith.ir.types import MAX_FRAC, IntArray, TensorType, machine, objects, width_of, widths_of
from tests.ir.test_data_movement import shapes_of, types

KIND = TensorType.of((2, 2), np.array([[0, 3], [1, 2]]), np.array([[-5, 0], [-8, 3]]), np.array([[7, 9], [-2, 90]]))
"""The elements -5..7, 0..9/8, -4..-1 and 3/4..45/2."""


def test_a_union_holds_every_value_along_its_axes() -> None:
    one = KIND.union((0,))
    assert one.frac.tolist() == [[1, 3]]
    assert (one.lo.tolist(), one.hi.tolist()) == ([[-10, 0]], [[14, 180]])
    whole = KIND.union()
    assert (whole.frac.item(), whole.lo.item(), whole.hi.item()) == (3, -40, 180)


def test_a_span_is_in_the_finest_unit() -> None:
    span = KIND.span
    assert (span.frac, span.lo, span.hi, span.step) == (3, -40, 180, Fraction(1, 8))
    assert KIND.real_range() == (-5.0, 22.5)


def bounds(kind: TensorType) -> np.ndarray:
    """The least and the greatest number of each element, along a last axis, by their definition."""
    frac, lo, hi = kind.full()
    pairs = [
        [Fraction(int(raw)) / 2 ** int(f) for raw in ends]
        for f, *ends in zip(*map(np.ravel, (frac, lo, hi)), strict=True)
    ]
    return np.array(pairs, dtype=object).reshape(*kind.shape, 2)


@given(st.data())
def test_units_of_several_elements_are_by_definition(data: st.DataObject) -> None:
    """Aligned elements have the numbers that they had, united ones those of all of them, in the finest unit of any."""
    kind = data.draw(types(data.draw(shapes_of(data.draw(st.sampled_from([1, 4, 6, 12]))))))
    some = data.draw(st.sets(st.integers(0, len(kind.shape) - 1)))
    for axes in (None, tuple(sorted(some))):
        along = tuple(range(len(kind.shape))) if axes is None else axes
        aligned, union = kind.aligned(axes), kind.union(axes)
        finest = np.broadcast_to(np.max(kind.full()[0], axis=along, keepdims=True), kind.shape)
        assert (aligned.full()[0] == finest).all() and (union.full()[0] == finest).all()
        own, united = bounds(kind), bounds(union)
        assert (bounds(aligned) == own).all()
        assert (united[..., 0] == own[..., 0].min(axis=along, keepdims=True)).all()
        assert (united[..., 1] == own[..., 1].max(axis=along, keepdims=True)).all()
        assert aligned.contains(aligned) and union.contains(aligned) and union.shape == aligned.shape == kind.shape
        assert aligned.contains(union) == bool((bounds(aligned) == united).all())
    span, (least, greatest) = kind.span, (own[..., 0].min(), own[..., 1].max())
    assert (span.frac, span.least, span.greatest) == (int(kind.full()[0].max()), least, greatest)
    assert kind.real_range() == (float(least), float(greatest))
    assert kind.raw_range == (min(map(int, kind.full()[1].flat)), max(map(int, kind.full()[2].flat)))
    assert kind.is_constant == bool((own[..., 0] == own[..., 1]).all())


@pytest.mark.parametrize("kind", [list, tuple])
@given(
    st.lists(st.integers(-(1 << 66), 1 << 66) | st.sampled_from([0, -1, 1 << 63, (1 << 64) - 1, -(1 << 63)])), st.data()
)
def test_integers_of_any_size_and_type_stay_what_they_are(kind: type, numbers: list[int], data: st.DataObject) -> None:
    fitting = {number: [int] for number in numbers}
    for number, types_of in fitting.items():
        types_of += [own for own in (np.int64, np.uint64) if np.iinfo(own).min <= number <= np.iinfo(own).max]
    mixed = kind(data.draw(st.sampled_from(fitting[number]))(number) for number in numbers)
    array = objects(mixed)
    assert array.tolist() == numbers
    assert array.dtype == np.object_ and {type(number) for number in array} <= {int}


@pytest.mark.parametrize("values", [[0.5, 1], (1.0,), np.ones(2), [1 << 70, 0.5], ["1"]], ids=repr)
def test_numbers_that_are_no_integers_are_rejected(values: Any) -> None:
    with pytest.raises(ProgramError, match="where integers are needed"):
        objects(values)


@pytest.mark.parametrize(
    "one, other, equal",
    [
        (np.arange(3), objects([0, 1, 2]), True),
        (objects([0, 1, 2]), objects([[0, 1, 2]]), False),
        (objects([1 << 80, 2]), objects([1 << 80, 2]), True),
        (objects([1 << 80, 2]), objects([1 << 80, 3]), False),
        (np.array([1 << 63], dtype=np.uint64), objects([-(1 << 63)]), False),
    ],
)
def test_ops_are_equal_by_the_values_of_their_arrays(one: IntArray, other: IntArray, equal: bool) -> None:
    left, right = Const(objects(one), np.asarray(0)), Const(objects(other), np.asarray(0))
    assert (left == right, hash(left) == hash(right)) == (equal, equal)


def test_machine_integers_are_those_that_fit() -> None:
    assert machine(objects([1 << 63])) is None
    found = machine(objects([-1 << 63, 7]))
    assert found is not None and found.tolist() == [-1 << 63, 7]


def test_arrays_of_a_type_cannot_be_written() -> None:
    """Whoever shares a type would write into all of its tensors."""
    made = TensorType.of(
        (2, 3), np.zeros((2, 3), np.int64), objects(np.full((2, 3), -4)), objects(np.arange(6).reshape(2, 3))
    )
    for part in (made.frac, made.lo, made.hi):
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 0


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(-2, 2), st.integers(0, 70), st.integers(-2, 2)), min_size=1))
def test_widths_of_many_elements_are_those_of_each(drawn: list[tuple[int, int, int, int]]) -> None:
    ends = [sorted((near - (1 << low), (1 << high) + far)) for low, near, high, far in drawn]
    lo, hi = (objects(np.array(bounds, dtype=np.object_)) for bounds in zip(*ends, strict=True))
    assert widths_of(lo, hi).tolist() == [width_of(least, most) for least, most in ends]
    above = objects(np.array([abs(least) for least, _ in ends], dtype=np.object_))
    assert widths_of(above, above).tolist() == [abs(least).bit_length() for least, _ in ends]


@pytest.mark.parametrize("place", range(3))
def test_types_are_refused_for_a_single_element(place: int) -> None:
    """Of which the scale is out of range, or the interval empty."""
    shape, at = (3,), np.arange(3) == place
    assert TensorType.of(shape, np.where(at, MAX_FRAC, 0), -1, 1).frac[place] == MAX_FRAC
    for sign in (-1, 1):
        with pytest.raises(RangeError, match="a scale out of range"):
            TensorType.of(shape, np.where(at, sign * (MAX_FRAC + 1), 0), -1, 1)
    assert TensorType.of(shape, 0, np.where(at, 1, 0), 1).lo[place] == 1
    with pytest.raises(ProgramError, match="least value exceeds its greatest"):
        TensorType.of(shape, 0, np.where(at, 2, 0), 1)
