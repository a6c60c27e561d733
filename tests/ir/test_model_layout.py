"""Where the elements of a tensor are in the user's model, against the moves that they were made by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.layer import Floats

Move = Callable[[Floats], Floats]


@st.composite
def moved(draw: st.DrawFn) -> tuple[tuple[int, ...], Move]:
    """A shape, and a slice, turn or row of its elements."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    axis = draw(st.integers(0, len(shape) - 1))
    first = draw(st.integers(0, shape[axis] - 1))
    last = draw(st.integers(first + 1, shape[axis]))
    step = draw(st.sampled_from([1, 2]))
    perm = draw(st.permutations(range(len(shape))))
    size = math.prod(shape)
    start = draw(st.integers(0, size - 1))
    end = draw(st.integers(start + 1, size))
    moves: list[Move] = [
        lambda x: x,
        lambda x: np.take(x, range(first, last, step), axis),
        lambda x: np.take(x.transpose(perm), first % shape[perm[0]], 0),
        lambda x: np.flip(x, axis)[first % shape[0]],
        lambda x: x.ravel()[start:end],
    ]
    return shape, draw(st.sampled_from(moves))


@given(moved(), st.sampled_from([1.0, 0.25, -3.0]))
def test_elements_are_those_that_a_move_takes(case: tuple[tuple[int, ...], Move], factor: float) -> None:
    shape, move = case
    numbers = np.random.default_rng(0).normal(size=shape)
    layout = ModelLayout.of(shape, move, factor=factor)
    assert layout is not None
    wanted = factor * move(numbers)
    np.testing.assert_array_equal(layout.taken(numbers).reshape(wanted.shape), wanted)
    places = move(np.arange(numbers.size).reshape(shape)).ravel()
    assert layout.is_one_to_one == (factor == 1.0)
    assert layout.is_plain == (
        factor == 1.0 and np.shape(wanted) == shape and places.tolist() == [*range(numbers.size)]
    )
    size = math.prod(shape[1:])
    one_part = len(shape) > 1 and len({place // size for place in places.tolist()}) == 1
    assert layout.shapes == ((shape, shape[1:]) if one_part else (shape,))
    if one_part:
        part = numbers[places[0] // size]
        np.testing.assert_array_equal(layout.taken(part).reshape(wanted.shape), wanted)


@pytest.mark.parametrize("shape", [(5,), (1, 4), (3, 4), (2, 2, 3)])
def test_a_part_may_be_given_of_what_is_within_one(shape: tuple[int, ...]) -> None:
    count, size = math.prod(shape), math.prod(shape[1:])
    numbers = np.random.default_rng(2).normal(size=shape)
    for start, end in combinations(range(count + 1), 2):
        layout = ModelLayout.of(shape, partial(_between, start=start, end=end))
        assert layout is not None
        within = len(shape) > 1 and start // size == (end - 1) // size
        assert layout.shapes == ((shape, shape[1:]) if within else (shape,))
        for given_as in (numbers, numbers[start // size]) if within else (numbers,):
            np.testing.assert_array_equal(layout.taken(given_as), numbers.ravel()[start:end])


def _between(x: Floats, start: int, end: int) -> Floats:
    return x.ravel()[start:end]


@given(moved(), st.integers(1, 3))
def test_elements_that_are_sums(case: tuple[tuple[int, ...], Move], count: int) -> None:
    shape, move = case
    numbers = np.random.default_rng(1).normal(size=(count, *shape))

    def of(k: int) -> Move:
        return lambda x: move(x[k])

    layout = ModelLayout.of((count, *shape), *map(of, range(count)), factor=0.5)
    assert layout is not None and len(layout.starts) == count and not layout.is_one_to_one
    wanted = 0.5 * sum(move(numbers[k]) for k in range(count))
    np.testing.assert_allclose(layout.taken(numbers).reshape(np.shape(wanted)), wanted, atol=1e-12)
    assert layout.shapes == (((count, *shape), shape) if count == 1 else ((count, *shape),))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3), (2, 1, 4)])
def test_layouts_fit_what_they_have_a_place_for(shape: tuple[int, ...]) -> None:
    layout, size = ModelLayout.plain(shape), math.prod(shape)
    assert layout.is_plain and layout.fits(shape) and not layout.fits((*shape, 2))
    assert replace(layout, places=(tuple(range(size)),)).fits(shape)
    for starts in ((1,), (-1,), (0, 1), ()):
        assert not replace(layout, starts=starts).fits(shape)
        larger = replace(layout, shape=(shape[0] + 1, *shape[1:]), starts=starts)
        assert larger.fits(shape) == (min(starts, default=-1) >= 0)
    for factor in (math.inf, math.nan):
        assert not replace(layout, factor=factor).fits(shape)
    assert ModelLayout.of(shape, lambda x: x[:0]) is None
