"""Channels of a layer that are far off beside their own range, and those to which the layer adds most."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.fidelity.channels import LEAST_ERROR, Channels
from bitsmith.fidelity.deviation import deviation, spans
from bitsmith.layers.layer import Floats

WANTED = np.random.default_rng(0).uniform(-1.0, 1.0, (400, 3)) * [8.0, 1.0, 0.25]


def channels(found: Floats, own: Floats, step: float = 2.0**-20) -> Channels:
    ranges = spans(WANTED)
    size = ranges.whole.size
    return Channels(WANTED, -1, ranges, np.full(3, step), deviation(WANTED, found, size), deviation(own, found, size))


@pytest.mark.parametrize("index", range(3))
def test_the_channel_that_is_off_by_most_of_its_own_range_is_lost(index: int) -> None:
    """All are off by an eighth of the smallest one's range, which is little of the others'; one more by a fifth of its own."""
    shares = np.where(np.arange(3) == index, 0.2, 0.0)
    found = WANTED + shares * np.ptp(WANTED, axis=0) + 2.0**-10
    lost = channels(found, WANTED).lost()
    assert lost is not None and lost.index == index
    assert lost.error == pytest.approx(0.2, abs=0.01) and lost.size == pytest.approx(np.ptp(WANTED[:, index]))


@pytest.mark.parametrize(("share", "far"), [(0.9, False), (1.1, True)])
def test_channels_that_are_hardly_off_are_not(share: float, far: bool) -> None:
    found = WANTED + np.array([0.0, 0.0, share * LEAST_ERROR * np.ptp(WANTED[:, 2])])
    assert (channels(found, WANTED).lost() is not None) is far


def test_a_layer_adds_nothing_but_what_it_was_not_given() -> None:
    """What its operands had lost before is not its own, nor is what two steps of its format explain."""
    off = WANTED + np.array([0.0, 0.1, 0.0])
    assert channels(off, off).astray() is None
    worst = channels(off, WANTED).astray()
    assert worst is not None and worst.index == 1
    assert channels(off, WANTED, step=0.06).astray() is None and channels(off, WANTED, step=0.04).astray() is not None
