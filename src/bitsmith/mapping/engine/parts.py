"""Tensors of an engine in parts of rows and columns: a window of each is computed at once, where windows have the same parts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bitsmith.dataflow.engine_layer import Grid, windows_over
from bitsmith.ir import ops
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.folding import divisors
from bitsmith.mapping.sweeps import Exchange, narrow, reordered

_MOST_PARTS = 64


def parts_for(units: Sequence[Unit]) -> Iterator[Grid]:
    """Parts of rows and columns that windows of products can have."""
    grids = [windows_over(unit.op, unit.grid) for unit in units if unit.is_product]
    down, across = ({each for grid in grids for each in divisors(grid[axis])} for axis in range(2))
    yield from sorted((one, other) for one in down for other in across if 1 < one * other <= _MOST_PARTS)


def in_parts(builder: DataflowBuilder, units: Sequence[Unit], parts: Grid) -> list[Unit]:
    """Return the units with operands in so many parts of rows and columns, of each of which they compute a window at once.

    A unit that takes one window at once makes a tensor that is not in parts. None is, if a sum had operands of either kind, or if
    what is read has rows and columns of its own.
    """
    source, whole, divided = units[0].sources[0], list(units), list[Unit]()
    grids = {source: grid_of(builder.shape(source))}
    if len(units[0].sources) > 1 or any(size % count for size, count in zip(grids[source], parts, strict=True)):
        return whole
    for unit in units:
        seen = {grids.get(one) for one in unit.sources}
        grid = seen.pop()
        if grid is None and not seen:
            divided.append(unit)
            continue
        own = None if grid is None or seen else _divided(unit, grid, parts)
        if grid is None or own is None:
            return whole
        if unit is units[-1]:
            own = replace(own, apiece=False)
        if own.apiece:
            grids[unit.result] = windows_over(own.op, own.grid) if len(unit.sources) == 1 else grid
        elif len(unit.sources) > 1:
            return whole
        divided.append(own)
    return divided


def across(builder: DataflowBuilder, source: NodeId, count: int) -> StepId:
    """Tokens of the number of each of ``count`` parts of columns that is at the same place in its part."""
    *_, columns, channels = builder.shape(source)
    size = min(
        each for each in divisors(channels) if each >= min(count, channels)
    )  # no wider than the engine's pace needs
    rows, own = math.prod(builder.shape(source)) // (columns * channels), columns // count * (channels // size)
    tokens = narrow(builder, source, size, (rows, count * own))
    moved = reordered(builder, tokens, Exchange(rows, count, own, 1))
    beside = builder.token_op(ops.Transpose((1, 0)), (builder.regroup(moved, (rows, own), (count, size)),), (rows, own))
    return builder.regroup(beside, (rows * own * size,), (count,))


def _divided(unit: Unit, grid: Grid, parts: Grid) -> Unit | None:
    """``unit`` over an operand of such rows and columns in parts; None if it has others."""
    if len(unit.sources) > 1:
        return replace(unit, parts=(1, math.prod(parts)), apiece=True)
    fitted = regridded(unit, grid)
    if fitted is None:
        return None
    unit, windows = fitted, windows_over(fitted.op, grid)
    axes = zip(grid, windows, unit.op.stride, parts, strict=True)
    apiece = all(count == 1 or (steps * stride == size and steps % count == 0) for size, steps, stride, count in axes)
    return replace(unit, parts=parts, apiece=apiece)


def grid_of(shape: Sequence[int]) -> Grid:
    """Rows and columns of a tensor whose last axis has channels."""
    *places, _ = shape
    return (math.prod(places[:-1]), places[-1]) if places else (1, 1)


def regridded(unit: Unit, grid: Grid) -> Unit | None:
    """``unit`` over a source of such rows and columns; None if it has others."""
    op, positions = unit.op, math.prod(grid)
    if unit.grid != grid and op.size == op.stride == (1, 1) and not any(map(any, op.padding)):
        if math.prod(unit.grid) == positions:
            return replace(unit, grid=grid)
        if unit.grid == (1, 1) and unit.blocks == 1 and unit.channels % positions == 0:
            return replace(unit, op=replace(op, size=grid), grid=grid, channels=unit.channels // positions)
    return unit if unit.grid == grid else None
