"""Tensors of an engine in parts: a window of each is computed at once, where windows have as many parts as their operand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.dataflow.engine import windows_over
from bitsmith.mapping.builder import DataflowBuilder
from bitsmith.mapping.engine.units import Unit


@dataclass(frozen=True, slots=True)
class Share:
    """Windows that a unit computes at once, and numbers of a part of its operand; 0: this is not in parts."""

    positions: int
    part: int


WHOLE = Share(1, 0)


def shares_of(builder: DataflowBuilder, units: Sequence[Unit], positions: int) -> list[Share]:
    """Return how the units compute so many windows at once, if tensors are in as many parts; one where they cannot.

    A unit that takes one window at once makes a tensor that is not in parts. None is, if a sum had operands of either kind.
    """
    whole, shares = [WHOLE] * len(units), list[Share]()
    if positions == 1 or not _divides(units[0], positions):
        return whole
    parts = {units[0].sources[0]}
    for unit in units:
        own = [source in parts for source in unit.sources]
        several = all(own) and _divides(unit, positions) and unit is not units[-1]
        if any(own) and not several and len(own) > 1:
            return whole
        size = math.prod(builder.shape(unit.sources[0]))
        shares.append(Share(positions if several else 1, size // positions if any(own) else 0))
        parts |= {unit.result} if several else set()
    return shares


def _divides(unit: Unit, positions: int) -> bool:
    """Return True if windows are in as many parts as what they are over: by rows, or where these are one by columns."""
    rows, columns = windows_over(unit.op, unit.grid)
    if rows > 1:
        return rows % positions == 0 and unit.op.stride[0] * rows == unit.grid[0] and len(unit.sources) == 1
    single = unit.op.size[1] == 1 and unit.op.padding == ((0, 0), (0, 0))
    alone = single and (unit.grid[0] == 1 or len(unit.sources) > 1)
    return alone and columns % positions == 0 and unit.op.stride[1] * columns == unit.grid[1]
