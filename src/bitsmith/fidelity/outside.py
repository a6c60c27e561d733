"""Values outside the formats of inputs and the limits of ``auto``, and whether outputs show what the circuit takes them for.

The float model is computed with what saturation, or wrapping, makes of these alone, whatever jumps or rounds elsewhere.
"""

from collections.abc import Sequence

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.bounds import least
from bitsmith.fidelity.losses import LossyCast
from bitsmith.fidelity.predictions import float_outputs_and_shown, most_compared
from bitsmith.fidelity.shortfall import USUAL_TOLERANCE, Expected, apart, float_outputs
from bitsmith.ir.types import Overflow
from bitsmith.layers.layer import Floats, broadcasts
from bitsmith.layers.network import Network, NetworkNode, Revision
from bitsmith.passes.network.index_inputs import look_ups


def outputs_show(network: Network, emulator: Emulator, batches: Sequence[Batch]) -> bool:
    """True if an output of the float model changes by 1 % of its range once values outside are what the circuit takes them for.

    So it is if the model computes indices of no row. Only samples furthest outside are looked at, and some others for the range.
    """
    rows = _rows(emulator, batches, most_compared(network, every=False))
    inputs = [batch[rows].astype(np.float64) for batch in batches]
    taken = [_taken(emulator, index, x) for index, x in enumerate(inputs)]
    of_inputs, errors = {each.layer for found in look_ups(network).values() for each in found}, list[bool]()

    def noted(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
        indices = node.layer.traits.indices
        if indices is not None and node.name not in of_inputs:
            errors.append(bool(np.any((operands[0] <= indices.start - 1) | (operands[0] >= indices.stop))))
        return result

    wanted, shown = float_outputs_and_shown(network, inputs, noted)
    found = float_outputs(network, taken)
    if any(errors) or any(np.any(np.isfinite(x) != np.isfinite(y)) for x, y in zip(wanted, found, strict=True)):
        return True
    return any(each.wrong for each in apart(Expected(network, inputs, wanted), found, shown, USUAL_TOLERANCE.error))


def limiting(casts: Sequence[LossyCast]) -> Revision | None:
    """Return what limits the results of layers as ``casts`` do that saturate; None if some are steps of a layer."""
    if not all(each.of_result for each in casts):
        return None
    bounds: dict[str, list[tuple[Floats, Floats, bool]]] = {}
    for each in casts:
        cast, frac = each.cast, each.cast.frac
        lo, hi = (np.ldexp(bound.astype(np.float64), -frac) for bound in (least(cast), cast.hi))
        bounds.setdefault(each.layer, []).append((lo, hi, cast.overflow is Overflow.SAT_ZERO))

    def revised(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
        shape = result.shape[1:]
        for lo, hi, to_zero in bounds.get(node.name, ()):
            if not (broadcasts(lo.shape, shape) and broadcasts(hi.shape, shape)):
                lo, hi = lo.min(), hi.max()  # the layer's last ops move elements
            limited = np.clip(result, lo, hi)
            result = np.where(limited == result, result, 0.0) if to_zero else limited
        return result

    return revised


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
