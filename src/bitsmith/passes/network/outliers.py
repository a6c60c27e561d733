"""Samples of calibration data that lie far outside all others.

A sample is an outlier if a channel of an input is more than ``2**_AFAR`` times as large there as in the typical sample, which
is the median of those where it is not 0. Only few samples can be outliers.

Ranges hold them, or, where the user wants them to saturate, are those of all other samples. In either case steps follow from
the others (:mod:`bitsmith.passes.network.channels`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Outliers
from bitsmith.passes.network.calibration import looked_at

Samples: TypeAlias = npt.NDArray[np.bool_]
"""True for some of the samples."""

_AFAR = 6
_LEAST_SAMPLES = 16
"""Fewer say nothing of what is typical."""

_MEDIAN_SAMPLES = 256
_FEW = 50
"""At most one of so many samples can be an outlier."""


@dataclass(frozen=True, slots=True)
class Outlying:
    """Outliers among the samples of an input, and the range of both in the channel where they differ most."""

    samples: Samples
    channel: int
    reached: float
    others: float


def settle_outliers(network: Network, calibration: Sequence[Floats]) -> tuple[list[Floats], tuple[str, ...]]:
    """The calibration data (a batch per input) without samples that are to saturate, and what is said of outliers."""
    batches = looked_at(calibration)
    kept = np.ones(len(batches[0]), dtype=np.bool_)
    notes = []
    for name, batch in zip(network.inputs, batches, strict=True):
        rare = outlying(batch)
        if rare is None:
            continue
        count = int(np.count_nonzero(rare.samples))
        where = f" at index {rare.channel} of its last axis" if batch.ndim > 1 and batch.shape[-1] > 1 else ""
        note = (
            f"{count} of {len(batch)} calibration samples of input {name!r} "
            f"reach{'es' * (count == 1)} {rare.reached:.4g}{where}; "
            f"the others stay within {rare.others:.4g}. "
        )
        if network.node(name).settings.outliers is Outliers.SATURATE:
            kept &= ~rare.samples
            notes.append(note + "Ranges are those of the others: such inputs saturate.")
        else:
            notes.append(note + "Ranges hold both; Outliers: saturate takes those of the others.")
    return [batch[kept] for batch in batches], tuple(notes)


def outlying(batch: Floats) -> Outlying | None:
    """The outliers among the samples of an input, if there are any."""
    count, channels = len(batch), batch.shape[-1] if batch.ndim > 1 else 1
    if count < _LEAST_SAMPLES:
        return None
    positions = batch.reshape(count, -1, channels)
    large = np.maximum(positions.max(axis=1), -positions.min(axis=1))
    most = max(count // _FEW, 1)
    far = large > np.ldexp(_medians(large[:: -(-count // _MEDIAN_SAMPLES)]), _AFAR)
    samples = np.asarray((far & (far.sum(axis=0) <= most)).any(axis=1))
    if not 0 < np.count_nonzero(samples) <= most:
        return None
    reached, others = large[samples].max(axis=0), large[~samples].max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        channel = int(np.nanargmax(reached / others))
    return Outlying(samples, channel, float(reached[channel]), float(others[channel]))


def _medians(magnitudes: Floats) -> Floats:
    """Return the median of the nonzero elements of each column; infinite without any."""
    ordered = np.sort(magnitudes, axis=0)
    zeros = np.count_nonzero(ordered == 0.0, axis=0)
    middle = np.minimum(zeros + (len(ordered) - zeros) // 2, len(ordered) - 1)
    found = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return np.where(found > 0.0, found, np.inf)
