"""Places of a sample's axes beside the batch, numbers of names that are taken, and integers of JSON."""

from __future__ import annotations

import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value, sample_shape
from bitsmith.frontends.files.json import is_integer


def test_axes_after_a_batch_in_the_middle_are_counted_without_it() -> None:
    value = Value(0, (4, 5), Batch(1))
    assert value.dims == (4, 1, 5)
    assert [value.axis(dim) for dim in (0, 2, -3, -1)] == [0, 1, 0, 1]
    with pytest.raises(MixedSamplesError):
        value.axis(1)


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (1, 2), (2, 1), (2, 3)])
def test_a_merged_batch_leaves_a_sample_all_axes(outer: int, inner: int) -> None:
    """Elements that a sample has along the axis of the batch are an axis of its own, if there are several."""
    batch, merged = Batch(0, outer, inner), outer * inner > 1
    value = Value(0, (outer * inner, 5) if merged else (5,), batch)
    assert value.is_merged is merged
    assert value.dims == (outer * inner, 5) and value.axis(1) == int(merged)
    assert value.item == (5,) and value.sizes(7) == (7 * outer * inner, 5)
    assert sample_shape(value.dims, batch) == value.shape
    if merged:
        with pytest.raises(UnsupportedError, match="whose batch is axis 0, merged with others"):
            value.plain()


@pytest.mark.parametrize(
    ("batch", "where"), [(None, "no axis"), (Batch(1), "axis 1"), (Batch(1, 2), "axis 1, merged with others")]
)
def test_operands_whose_batch_is_elsewhere_are_refused(batch: Batch | None, where: str) -> None:
    for wanted in (lambda value: value.plain(), lambda value: value.item):
        with pytest.raises(UnsupportedError) as refused:
            wanted(Value(0, (4, 2, 5), batch))
        assert refused.value.found == f"an operand whose batch is {where}"


def test_a_number_that_is_taken_is_passed_over() -> None:
    names = UniqueNames()
    assert [names.take(name) for name in ("a", "a_1", "a_2", "a", "a")] == ["a", "a_1", "a_2", "a_3", "a_4"]


def test_true_is_not_an_integer() -> None:
    assert is_integer(1) and not is_integer(True) and not is_integer(1.0)
