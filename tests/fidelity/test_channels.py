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


@pytest.mark.parametrize("seed", range(12))
def test_figures_of_a_channel_are_those_of_its_own_numbers(seed: int) -> None:
    """Errors in the mean and at worst beside its own range; what the layer adds, less two steps, beside its magnitudes."""
    rng = np.random.default_rng(seed)
    before = WANTED + rng.normal(size=3) * [0.1, 0.03, 0.01] * rng.normal(size=WANTED.shape)
    found = before + rng.normal(size=3) * [0.3, 0.05, 0.02] * rng.normal(size=WANTED.shape)
    sizes, largest, step = np.ptp(WANTED, axis=0), np.abs(WANTED).max(axis=0), 2.0**-12
    whole = WANTED.max() - WANTED.min()
    made = Channels(
        *(WANTED, -1, spans(WANTED), np.full(3, step)),
        *(deviation(WANTED, found, whole), deviation(before, found, whole)),
    )
    off, own = found - WANTED, found - before
    for channel in (made.lost(), made.astray()):
        assert channel is not None
        k = channel.index
        assert (channel.size, channel.step) == (pytest.approx(sizes[k]), step)
        assert channel.largest == pytest.approx(max(sizes[k], largest[k]))
        figures = (channel.error, channel.worst, channel.added)
        means = [np.sqrt((part[:, k] ** 2).mean()) for part in (off, own)]
        right = (means[0] / sizes[k], np.abs(off[:, k]).max() / sizes[k], means[1] / sizes[k])
        assert figures == pytest.approx(right)
        spare = [(each - 2 * step) / channel.largest for each in (means[1], np.abs(own[:, k]).max())]
        assert (channel.own, channel.own_worst) == pytest.approx(spare)
