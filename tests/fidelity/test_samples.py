"""Samples that are generated where there are none: numbers that inputs take; and those that are taken of many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bitsmith.fidelity.samples import SAMPLES, samples
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings


def _network(layer: Input, fmt: FixedFormat | None = None) -> Network:
    settings = Settings() if fmt is None else Settings({"result": fmt})
    return Network((NetworkNode("x", layer, settings=settings), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))


@pytest.mark.parametrize("fmt", [None, FixedFormat(True, 40, 24)])
@pytest.mark.parametrize("entries", [1, 2, 3, 5, 8, 100])
def test_indices_are_those_of_rows(entries: int, fmt: FixedFormat | None) -> None:
    (x,) = samples(_network(Input((7,), integer=True, entries=entries), fmt), None)
    assert set(np.unique(x)) <= set(range(entries)) and (entries > 8 or set(np.unique(x)) == set(range(entries)))


@pytest.mark.parametrize("fmt", [FixedFormat(True, 6, 0), FixedFormat(False, 3, -1), FixedFormat(True, 4, -2)])
def test_numbers_of_formats_without_a_fraction_are_whole_and_within(fmt: FixedFormat) -> None:
    (x,) = samples(_network(Input((7,)), fmt), None)
    assert (x == np.rint(x)).all() and x.min() >= fmt.lo * 2.0**-fmt.frac and x.max() <= fmt.hi * 2.0**-fmt.frac
    assert np.ptp(x) > 0


def test_other_numbers_have_fractions() -> None:
    for fmt in (None, FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)):
        (x,) = samples(_network(Input((7,)), fmt), None)
        assert (x != np.ldexp(np.rint(np.ldexp(x, 4)), -4)).any() and (x == x.astype(np.float32)).all()


@pytest.mark.parametrize("total", [1, 2, SAMPLES - 1, SAMPLES, SAMPLES + 1, 5 * SAMPLES + 3])
def test_of_calibration_data_some_all_over_are_taken(total: int) -> None:
    data = np.arange(float(total))[:, None]
    (x,) = samples(_network(Input((1,))), [data])
    assert len(x) == min(total, SAMPLES) and (x[0], x[-1]) == (0.0, total - 1)
    gaps = {after - before for before, after in pairwise(x.ravel().tolist())}
    assert not gaps or max(gaps) - min(gaps) <= 1
    large = Network((NetworkNode("x", Input((1 << 17,))), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))
    assert len(samples(large, [np.broadcast_to(data, (total, 1 << 17))])[0]) == min(total, 8)
