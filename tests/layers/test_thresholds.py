"""Thresholds on grids, where numbers of few digits stay on their side."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.layers.thresholds import kept_thresholds, raw_threshold, rounded_threshold


def _rounded(number: float, frac: int) -> int:
    return math.floor(math.ldexp(number, frac) + 0.5)


@pytest.mark.parametrize(
    ("bound", "number"),
    [
        ((float(np.float32(1.6)) + float(np.float32(1.8))) / 2, 1.7),
        ((float(np.float32(12.78)) + float(np.float32(12.8))) / 2, 12.79),
        (0.9899999797344208, 0.99),
        (-1.7000000476837158, -1.7),
    ],
)
def test_numbers_of_data_halfway_between_others_stay_on_their_side(bound: float, number: float) -> None:
    given = float(np.float32(number))
    for frac in range(3, 24):
        assert (_rounded(given, frac) <= rounded_threshold(bound, frac)) == (given <= bound)


@given(st.integers(-(10**6) + 1, 10**6 - 1), st.integers(-4, 6), st.sampled_from([-0.5, 0.0, 0.5]), st.integers(-2, 30))
def test_thresholds_move_by_a_step_at_most_and_only_to_keep_sides(
    digits: int, places: int, side: float, frac: int
) -> None:
    number = float(np.float32(float(Decimal(digits).scaleb(-places))))
    step = float(np.spacing(np.float32(abs(number))))
    bound = number + side * step
    raw, found = raw_threshold(bound, frac), rounded_threshold(bound, frac)
    assert abs(found - raw) <= 1
    nearest = _rounded(number, frac)
    shown = Decimal(nearest) * Decimal(2) ** -frac
    if len(shown.normalize().as_tuple().digits) > 6:
        assert (nearest <= found) == (number <= bound)


@given(st.integers(-999, 999), st.integers(0, 4), st.integers(4, 12))
def test_bounds_on_the_grid_are_themselves(raw: int, few: int, frac: int) -> None:
    bound = raw / 2**few
    assert rounded_threshold(bound, frac) == bound * 2**frac == raw_threshold(bound, frac)


@pytest.mark.parametrize("bound", [math.inf, 1e300, -1e300, 0.10001234, 1 / 3, 0.0, 1e-320])
def test_other_bounds_are_rounded_as_numbers_are(bound: float) -> None:
    """So that a bound, which may be a number of the data, stays on its side."""
    wanted = raw_threshold(bound, 5) if math.isinf(bound) else math.floor(Fraction(bound) * 2**5 + Fraction(1, 2))
    assert rounded_threshold(bound, 5) == wanted


@pytest.mark.parametrize("number", [873.2, 0.15, -1.7, 0.06235])
@pytest.mark.parametrize("places", [-1, 0, 1])
def test_numbers_of_double_precision_stay_on_their_side_of_bounds_next_to_them(number: float, places: int) -> None:
    bound = number + places * math.ulp(number)
    for frac in range(12, 40):
        assert (_rounded(number, frac) <= rounded_threshold(bound, frac)) == (number <= bound)


@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_thresholds_keep_all_data_on_their_sides_if_any_do(seed: int, frac: int) -> None:
    """And move no further than that needs."""
    rng = np.random.default_rng(seed)
    edges = np.unique(rng.normal(size=int(rng.integers(1, 5))).round(int(rng.integers(1, 4))))
    beside = [edges, np.nextafter(edges, 9.0), np.nextafter(edges, -9.0), rng.normal(size=4)]
    data = np.sort(rng.choice(np.concatenate(beside), int(rng.integers(0, 12))))
    raw = [_rounded(number, frac) for number in data.tolist()]
    kept = kept_thresholds(edges, frac, data)
    sides = [[number <= edge for number in data] for edge in edges]
    alike = any(
        a == b and one != other
        for own in sides
        for (a, one), (b, other) in product(zip(raw, own, strict=True), repeat=2)
    )
    assert (kept is None) == alike
    if kept is None:
        return
    for edge, own, threshold in zip(edges.tolist(), sides, kept, strict=True):
        usual = rounded_threshold(edge, frac)
        assert [number <= threshold for number in raw] == own
        assert threshold == usual or [number <= usual for number in raw] != own
