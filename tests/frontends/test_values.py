"""Places of a sample's axes beside the batch, numbers of names that are taken, and integers of JSON."""

from __future__ import annotations

import pytest

from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value
from bitsmith.frontends.files.json import is_integer


def test_axes_after_a_batch_in_the_middle_are_counted_without_it() -> None:
    value = Value(0, (4, 5), Batch(1))
    assert value.dims == (4, 1, 5)
    assert [value.axis(dim) for dim in (0, 2, -3, -1)] == [0, 1, 0, 1]
    with pytest.raises(MixedSamplesError):
        value.axis(1)


def test_a_merged_batch_leaves_a_sample_all_axes() -> None:
    value = Value(0, (6, 5), Batch(0, 2, 3))
    assert value.dims == (6, 5) and value.axis(1) == 1


def test_a_number_that_is_taken_is_passed_over() -> None:
    names = UniqueNames()
    assert [names.take(name) for name in ("a", "a_1", "a_2", "a", "a")] == ["a", "a_1", "a_2", "a_3", "a_4"]


def test_true_is_not_an_integer() -> None:
    assert is_integer(1) and not is_integer(True) and not is_integer(1.0)
