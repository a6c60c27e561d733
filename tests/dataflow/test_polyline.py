"""Polylines against the arrays of all their elements."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.dataflow.advance import _first_change as first_change
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.tokens import Numbers


def elements(rng: np.random.Generator, *, rising: bool) -> Numbers:
    """A sequence with stretches in line, now and then of one element: with a corner for few elements, or for many."""
    lengths = rng.integers(1, rng.choice([6, 40]), rng.integers(1, 7))
    steps = np.repeat(rng.integers(0 if rising else -3, 4, len(lengths)), lengths)
    return np.cumsum(steps) - int(steps[0]) + int(rng.integers(0, 4))


@pytest.mark.parametrize("seed", range(200))
def test_operations_are_those_of_arrays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, up = elements(rng, rising=False), elements(rng, rising=True)
    line, rising = Polyline.of(x), Polyline.of(up)

    def same(found: Polyline, wanted: Numbers) -> None:
        assert found.dense().tolist() == wanted.tolist()
        assert found == Polyline.of(wanted)  # with the same corners

    same(line, x)
    same(line.plus(3, -2), x + 3 - 2 * np.arange(len(x)))
    same(line.running_max(), np.maximum.accumulate(x))
    same(line.repeated(3, 5), np.concatenate([x, x + 5, x + 10]))
    same(line.followed_by(rising), np.concatenate([x, up]))
    start = int(rng.integers(0, len(x)))
    stop = int(rng.integers(start + 1, len(x) + 1))
    same(line.part(start, stop), x[start:stop])
    least = rng.integers(-9, 9, len(x))[start:] if seed % 2 else np.cumsum(rng.integers(-2, 3, len(x) - start))
    same(line.raised(start, Polyline.of(least)), np.append(x[:start], np.maximum(x[start:], least)))
    values = np.arange(-2, up[-1] + 3)
    assert rising.below(values).tolist() == np.searchsorted(up, values, side="left").tolist()
    indices = np.minimum(up, len(x) - 1)
    same(line.of_indices(Polyline.of(indices)), x[indices])
    if up[-1] > 0:
        same(rising.rises(), np.repeat(np.arange(len(up)), np.diff(up, prepend=0)))
    length, tread = int(rng.integers(1, 30)), int(rng.integers(1, 6))
    same(Polyline.staircase(length, tread, start), (start + np.arange(length)) // tread)
    same(Polyline.line(length, start, tread), start + tread * np.arange(length))


@pytest.mark.parametrize("seed", range(200))
def test_a_change_is_found_no_later_than_it_begins(seed: int) -> None:
    """Elements that are less are the same in both."""
    rng = np.random.default_rng(seed)
    before, after = elements(rng, rising=True), elements(rng, rising=True)
    same = int(rng.integers(0, len(before) + 1))
    after = np.concatenate([before[:same], after + (int(before[same - 1]) if same else 0)]) if seed % 3 else after
    lines = Polyline.of(before), Polyline.of(after)
    assert first_change(lines[0], lines[0]) is None and first_change(lines[0], None) == before[0]
    found = first_change(*lines)
    if found is None:
        assert before.tolist() == after.tolist()
    else:
        kept = before[before < found]
        assert after[: len(kept)].tolist() == kept.tolist()
