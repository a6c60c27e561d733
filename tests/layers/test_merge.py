"""Layers that join branches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers import merge
from bitsmith.layers.layer import Layer
from bitsmith.layers.settings import Settings
from tests.layers.lowered import network_of, run

SHAPES = [[(4,), (4,)], [(2, 3), (1, 3)], [(2, 3), (3,)], [(2, 3), (2, 1), (1, 1)], [(4,), (4,), (4,)]]
EXACT: list[Layer] = [merge.Add(), merge.Maximum(), merge.Minimum()]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("layer", EXACT, ids=lambda layer: layer.kind)
def test_sums_and_extremes_are_exact(layer: Layer, shapes: list[tuple[int, ...]]) -> None:
    formats = {1: FixedFormat(False, 7, 3), 2: FixedFormat(True, 5, 8)}
    outcome = run(network_of(layer, shapes, formats=formats))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


def test_subtract() -> None:
    outcome = run(network_of(merge.Subtract(), [(2, 3), (3,)]))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_multiply_rounds_once(shapes: list[tuple[int, ...]]) -> None:
    outcome = run(network_of(merge.Multiply(), shapes))
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= outcome.step / 2


def exactly_rounded(value: np.ndarray, fmt: FixedFormat) -> np.ndarray:
    """``value``, a multiple of 1/(count * 2**frac) held as (numerator, count), rounded by the definition of the mode."""
    numerator, count = value
    floor, rest = np.divmod(numerator, count)
    match fmt.rounding:
        case Rounding.TRN:
            up = np.zeros_like(rest, dtype=bool)
        case Rounding.TRN_ZERO:
            up = (numerator < 0) & (rest > 0)
        case _:
            tie = 2 * rest == count
            above = 2 * rest > count
            upward = {
                Rounding.RND: np.ones_like(tie),
                Rounding.RND_MIN_INF: np.zeros_like(tie),
                Rounding.RND_INF: numerator > 0,
                Rounding.RND_ZERO: numerator < 0,
                Rounding.RND_CONV: floor % 2 == 1,
            }[fmt.rounding]
            up = above | (tie & upward)
    return np.clip(floor + up, fmt.lo, fmt.hi)


@settings(max_examples=20)
@given(st.integers(2, 7), st.sampled_from(list(Rounding)), st.integers(-2, 7), st.booleans(), st.integers(0, 100))
def test_average_is_correctly_rounded(count: int, rounding: Rounding, frac: int, signed: bool, seed: int) -> None:
    result = FixedFormat(True, 16, frac, rounding, Overflow.SAT)
    source = FixedFormat(signed, 6, 3)
    network = network_of(
        merge.Average(), [(8,)] * count, Settings({"result": result}), dict.fromkeys(range(count), source)
    )
    outcome = run(network, seed, samples=12)
    numerator = np.rint(outcome.real * count * 8).astype(np.int64) << 7
    expected = exactly_rounded((numerator, count << (10 - frac)), result)
    np.testing.assert_array_equal(outcome.fixed * 2.0**frac, expected)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_concatenate(axis: int) -> None:
    outcome = run(network_of(merge.Concatenate(axis), [(2, 3), (2, 3), (2, 3)]))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize(
    "layer,shapes",
    [
        (merge.Add(), [(4,)]),
        (merge.Add(), [(4,), (3,)]),
        (merge.Subtract(), [(4,), (4,), (4,)]),
        (merge.Concatenate(2), [(2, 3), (2, 3)]),
        (merge.Concatenate(0), [(2, 3), (2, 4)]),
    ],
    ids=str,
)
def test_operands_that_do_not_fit_are_refused(layer: Layer, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, shapes).shapes()
