"""Sums over the least elements, and the networks of comparisons that find these."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.layers.layer import as_weights
from bitsmith.layers.nearest import Nearest, selection
from tests.properties import few

VALUES = as_weights([[0.5, 1.0], [0.25, 0.0], [0.25, 0.0], [2.0, -1.0]])


def _marked(bits: tuple[int, ...], size: int, count: int) -> list[int]:
    levels, least = selection(size, count)
    keys = list(bits)
    for level in levels:
        places = [place for pair in level for place in pair]
        assert len(set(places)) == len(places)
        for first, second in level:
            keys[first], keys[second] = min(keys[first], keys[second]), max(keys[first], keys[second])
    assert len(set(least)) == count
    return [keys[place] for place in least]


@pytest.mark.parametrize(("size", "count"), [(size, count) for size in range(1, 10) for count in range(1, size + 1)])
def test_networks_find_the_least_of_all_zeros_and_ones(size: int, count: int) -> None:
    """What holds of all zeros and ones holds of all numbers (Knuth, The Art of Computer Programming 3, 5.3.4)."""
    for bits in itertools.product((0, 1), repeat=size):
        assert sorted(_marked(bits, size, count)) == sorted(bits)[:count]


@few("size", [17, 60, 100, 333], 2)
def test_comparisons_are_few(size: int) -> None:
    """Lists of a few are merged: a comparison for the least, and so many for each of a few."""
    for count in (1, 3, 7):
        made = sum(map(len, selection(size, count)[0]))
        assert made <= size * (1 + 3 * (count > 1) + (count > 3))
        assert count > 1 or made == size - 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_of_equal_elements_that_of_the_lesser_row_counts_first(count: int) -> None:
    x = np.array([[1.0, 1.0, 3.0, 1.0], [0.0, -1.0, 5.0, 2.0]])
    orders = [[1, 0, 3, 2], [1, 0, 3, 2]]
    wanted = np.stack([VALUES[order[:count]].sum(axis=0) for order in orders])
    np.testing.assert_array_equal(Nearest(count, VALUES).reference([x]), wanted)


@pytest.mark.parametrize(("count", "shape"), [(0, (4,)), (5, (4,)), (1, (3,)), (1, (2, 4))])
def test_least_of_what(count: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedError, match="least elements"):
        Nearest(count, VALUES).output_shape([shape])
