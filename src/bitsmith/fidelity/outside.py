"""Values outside the formats of inputs, and whether outputs show that they were saturated or wrapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.bounds import least
from bitsmith.fidelity.predictions import float_outputs_beside, most_compared
from bitsmith.fidelity.shortfall import USUAL_TOLERANCE, Expected, deviating, float_outputs
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network


def outputs_show(network: Network, emulator: Emulator, batches: Sequence[Batch]) -> bool:
    """True if an output of the float model changes by 1 % of its range once values outside are what the circuit takes them for.

    Only samples furthest outside are looked at, and some others for the range.
    """
    rows = _rows(emulator, batches, most_compared(network, every=False))
    inputs = [batch[rows].astype(np.float64) for batch in batches]
    taken = [_taken(emulator, index, x) for index, x in enumerate(inputs)]
    expected, outputs = Expected.of(network, inputs), float_outputs(network, taken)
    if any(np.any(np.isfinite(x) != np.isfinite(y)) for x, y in zip(expected.outputs, outputs, strict=True)):
        return True
    more = float_outputs_beside(network, inputs)
    return deviating(expected, outputs, more).worst > USUAL_TOLERANCE.error


def _rows(emulator: Emulator, batches: Sequence[Batch], most: int) -> list[int]:
    """The numbers of samples to look at: half of them furthest outside, half of them any."""
    excess = np.zeros(len(batches[0]))
    for op, batch in zip(emulator.inputs, batches, strict=True):
        step = np.exp2(-op.frac.astype(np.float64))
        lo, hi = least(op).astype(np.float64) * step, op.hi.astype(np.float64) * step
        beyond = np.maximum(lo - batch, batch - hi) / np.maximum(hi - lo, step)
        excess = np.maximum(excess, beyond.max(axis=tuple(range(1, beyond.ndim)), initial=0.0))
    furthest = np.argsort(-excess, kind="stable")[: -(-most // 2)]
    return sorted({*furthest.tolist(), *range(0, len(excess), -(-2 * len(excess) // most))})


def _taken(emulator: Emulator, index: int, x: Floats) -> Floats:
    """The values of an input as the circuit takes those that lie outside; rounding is left out."""
    raw, _ = emulator.quantize(index, x)
    step = np.exp2(-emulator.inputs[index].frac.astype(np.float64))
    found = raw.astype(np.float64) * step
    return np.where(np.abs(found - x) >= step, found, x)
