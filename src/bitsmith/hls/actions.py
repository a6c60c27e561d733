"""Actions of a loop's step that takes or gives some tokens only, as numbers that kernels know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.dataflow.timing import reorder_timing
from bitsmith.dataflow.tokens import Grid, Numbers
from bitsmith.hls.assembly import indented
from bitsmith.ir import ops

_TAKE, _GIVE, _GIVE_ZEROS = 1, 2, 4
"""Numbers of ``kernels::action``."""


def order_actions(source: Numbers, tokens: int) -> Numbers:
    """The actions at the head of a FIFO of ``tokens`` tokens, for them to leave as ``source`` says: each is taken once needed."""
    (sequencer,) = reorder_timing(source, tokens).sequencers
    needs, taken, filled = (row.dense() for (row,) in (sequencer.needs, sequencer.takes, sequencer.fills))
    takes, gives = np.diff(np.maximum.accumulate(needs), prepend=0), np.diff(filled, prepend=0)
    given = np.where(needs > np.append(0, taken[:-1]), _GIVE, _GIVE_ZEROS)
    return np.asarray(_TAKE * takes + given * gives, dtype=np.int64)


def axis_flags(op: ops.Window, grid: Grid, axis: int) -> Numbers:
    """For each place along an axis of the padded tensor: whether tokens there are real, and whether windows end there."""
    before, after = op.padding[axis]
    flags = np.zeros(before + grid[axis] + after, dtype=np.int64)
    flags[before : before + grid[axis]] |= _TAKE
    flags[op.dilation[axis] * (op.size[axis] - 1) :: op.stride[axis]] |= _GIVE
    return flags


def advanced(sizes: Sequence[int]) -> list[str]:
    """Lines that move ``at0``, ``at1``, ... on by one in row-major order."""
    axis = len(sizes) - 1
    if axis == 0:
        return ["at0++;"]
    inner = [f"at{axis} = 0;", *advanced(sizes[:-1])]
    return [f"at{axis}++;", f"if (at{axis} == {sizes[axis]}) {{", *map(indented, inner), "}"]
