"""The float model as the limits of ``auto`` change it: what saturation alone does, whatever jumps or rounds elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.notes import Left
from bitsmith.fidelity.losses import LossyCasts
from bitsmith.fidelity.predictions import float_outputs_and_shown
from bitsmith.fidelity.shortfall import furthest
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode, Revision


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
        if not (_fits(lo, shape) and _fits(hi, shape)):
            lo, hi = lo.min(), hi.max()  # the layer's last ops move elements
        return np.clip(result, lo, hi)

    return revised


def outputs_differ(network: Network, emulator: Emulator, batches: Sequence[Batch]) -> bool:
    """True if an output for some samples differs from the float model's by 1 % of its range."""
    inputs = [batch.astype(np.float64) for batch in batches]
    wanted, shown = float_outputs_and_shown(network, inputs)
    return furthest(network, wanted, emulator.run(batches), shown).wrong


def _fits(bound: Floats, shape: tuple[int, ...]) -> bool:
    pairs = zip(bound.shape[::-1], shape[::-1], strict=False)
    return len(bound.shape) <= len(shape) and all(size in (1, whole) for size, whole in pairs)
