"""Values outside the formats of inputs and the limits of ``auto``, and whether outputs show what the circuit takes them for.

The float model is computed with what saturation, or wrapping, makes of these alone, whatever jumps or rounds elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.bounds import least
from bitsmith.emulate.notes import Left
from bitsmith.fidelity.losses import LossyCasts
from bitsmith.fidelity.predictions import float_outputs_and_shown, most_compared
from bitsmith.fidelity.shortfall import float_outputs, furthest
from bitsmith.layers.layer import Floats, broadcasts
from bitsmith.layers.network import Network, NetworkNode, Revision


def outputs_show(network: Network, emulator: Emulator, batches: Sequence[Batch]) -> bool:
    """True if an output of the float model changes by 1 % of its range once values outside are what the circuit takes them for.

    Only samples furthest outside are looked at, and some others for the range.
    """
    rows = _rows(emulator, batches, most_compared(network, every=False))
    inputs = [batch[rows].astype(np.float64) for batch in batches]
    taken = [_taken(emulator, index, x) for index, x in enumerate(inputs)]
    wanted, shown = float_outputs_and_shown(network, inputs)
    found = float_outputs(network, taken)
    if any(np.any(np.isfinite(x) != np.isfinite(y)) for x, y in zip(wanted, found, strict=True)):
        return True
    return furthest(network, wanted, found, shown).wrong


def limiting(lossy: LossyCasts, left: Left) -> Revision | None:
    """Return what limits the results of layers as the casts do that were ``left``; None if some are steps of a layer."""
    known = {id(each.cast): each for each in lossy.casts if each.limits}
    casts = [known[id(cast)] for cast in left.casts if id(cast) in known]
    if any(each.variable != "result" for each in casts):
        return None
    bounds = {
        each.layer: [np.ldexp(bound.astype(np.float64), -each.cast.frac) for bound in (each.cast.lo, each.cast.hi)]
        for each in casts
    }

    def revised(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
        if node.name not in bounds:
            return result
        lo, hi = bounds[node.name]
        shape = result.shape[1:]
        if not (broadcasts(lo.shape, shape) and broadcasts(hi.shape, shape)):
            lo, hi = lo.min(), hi.max()  # the layer's last ops move elements
        return np.clip(result, lo, hi)

    return revised


def outputs_differ(network: Network, emulator: Emulator, batches: Sequence[Batch]) -> bool:
    """True if an output for some samples differs from the float model's by 1 % of its range."""
    inputs = [batch.astype(np.float64) for batch in batches]
    wanted, shown = float_outputs_and_shown(network, inputs)
    return furthest(network, wanted, emulator.run(batches), shown).wrong


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
