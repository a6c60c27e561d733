"""Windows as single tokens, out of a circular memory: the steps of a loop that takes tokens and gives those of windows.

Tokens of a frame are numbered as they come, and so is the padding, with numbers that may be negative or beyond the frame. From
the first tap of a window to its last one there are equally many, whatever the window. So a window may be read once the token of
its last tap has come, and the place of a token is free once the first tap of a window is after it.

A step of the loop gives the next token of the window if it may, and takes the next token if there is room: what it does
depends on its number alone.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bitsmith.dataflow.kinds import Sweep
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.tokens import Grid
from bitsmith.hls.assembly import indented
from bitsmith.ir.infer import window_positions

SETTLED = 16
"""Steps from a write to the first read of what was written where the tool is promised that they are apart."""

_FEW_PLACES = 64
"""Memories of so many places are written and read in one cycle of a pipeline anyway: nothing is promised of them."""


@dataclass(frozen=True, slots=True)
class Level:
    """A loop around the reads of windows: a variable that goes from ``start`` to ``last``, and what follows from a step of it.

    Args:
        onward: places from a read to the next one.
        further: tokens from the first tap of the window to that of the next one.
    """

    name: str
    start: int
    step: int
    last: int
    onward: int
    further: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SweepLoop:
    """The loop of a sweep.

    Args:
        places: of the memory, a power of two.
        ahead: tokens that may have come after the first tap of the window that is read.
        span: tokens from the first tap of a window to its last one, both included.
        first: the number of the first window's first tap.
        distance: steps from a write to the first read of what was written, at least.
        takes, fills: tokens that were taken, and given, at the end of each step.
    """

    tokens: int
    places: int
    ahead: int
    span: int
    first: int
    distance: int
    levels: tuple[Level, ...]
    takes: Polyline
    fills: Polyline

    @property
    def steps(self) -> int:
        """Steps of a frame."""
        return len(self.takes)

    @property
    def is_apart(self) -> bool:
        """Return True if no read waits for the write of a step shortly before."""
        return self.distance > 1


def sweep_loop(process: Process) -> SweepLoop:
    assert isinstance(process.kind, Sweep)
    return _sweep_loop(process.kind, process.kind.positions(process.takes[0]))


@lru_cache(maxsize=256)
def _sweep_loop(kind: Sweep, positions: Grid) -> SweepLoop:
    op, copies = kind.op, kind.blocks * kind.parts
    axes = range(len(positions))
    units = [copies * math.prod(positions[axis + 1 :]) for axis in axes]
    tokens = copies * math.prod(positions)
    span = copies + sum(
        units[axis] * dilation * (taps - 1)
        for axis, (taps, dilation) in enumerate(zip(op.size, op.dilation, strict=True))
    )
    levels = _levels(kind, positions, units)
    moves = [level.further for level in levels if level.further > 0]
    # A place or more beside those of a window, for what the next one needs to come meanwhile.
    places = 1 << (min(span + min(moves, default=0), tokens) - 1).bit_length()
    ahead = min(places, span + max(moves, default=0))
    distance = SETTLED if places > _FEW_PLACES else 1
    firsts = np.zeros(1, dtype=np.int64)
    for axis in axes:
        origins = np.arange(_windows(kind, positions, axis)) * op.stride[axis] - op.padding[axis][0]
        firsts = (firsts[:, None] + origins * units[axis]).ravel()
    if places >= tokens:
        ahead = tokens - int(firsts[0])  # there is always room
    takes, fills = _followed(firsts.tolist(), kind.reads, tokens, span, ahead, distance)
    return SweepLoop(tokens, places, ahead, span, int(firsts[0]), distance, tuple(levels), takes, fills)


def _windows(kind: Sweep, positions: Grid, axis: int) -> int:
    """Windows along an axis."""
    op = kind.op
    return window_positions(positions[axis], op.size[axis], op.stride[axis], op.dilation[axis], op.padding[axis])


def _levels(kind: Sweep, positions: Grid, units: Sequence[int]) -> list[Level]:
    """The loops that are there, the innermost first."""
    op, levels = kind.op, list[Level]()
    back = 0  # places from the first read of all inner loops to their last one
    returned = 0  # and tokens from their first window to their last one

    def add(name: str, count: int, unit: int, start: int = 0, step: int = 1, *, moves: bool = False) -> None:
        nonlocal back, returned
        if count == 1:
            return
        further = unit - returned if moves else 0
        levels.append(Level(name, start, step, start + (count - 1) * step, unit - back, further))
        back += (count - 1) * unit
        returned += (count - 1) * unit if moves else 0

    add("part", kind.parts, 1)
    for axis in reversed(range(len(units))):
        add(f"tap{axis}", op.size[axis], op.dilation[axis] * units[axis], step=op.dilation[axis])
    add("turn", kind.times, 0)
    add("block", kind.blocks, kind.parts)
    for axis in reversed(range(len(units))):
        stride, before = op.stride[axis], op.padding[axis][0]
        add(f"from{axis}", _windows(kind, positions, axis), stride * units[axis], -before, stride, moves=True)
    return levels


def _followed(
    firsts: Sequence[int], reads: int, tokens: int, span: int, ahead: int, distance: int
) -> tuple[Polyline, Polyline]:
    """Tokens taken and given at the end of each step, for windows whose first taps are ``firsts``."""
    begun, came = [0], [0]  # the step at which each window's turn comes, and tokens until then
    taken, passed = [(-1, 0)], [(-1, 0)]  # corners
    for number, first in enumerate(firsts):
        start, have = begun[-1], came[-1]
        wanted, most = min(first + span, tokens), max(have, min(first + ahead, tokens))
        if wanted > have:
            there = start + wanted - have
        else:  # a token that came while an earlier window was read
            before = bisect_left(came, wanted) - 1
            there = begun[before] + wanted - came[before] if wanted > 0 else 0
        begins = max(start, there + distance - 1)
        end = begins + reads
        now = min(most, have + end - start)
        taken += [(start - 1, have), (start - 1 + now - have, now), (end - 1, now)]
        passed += [(begins - 1, number * reads), (end - 1, (number + 1) * reads)]
        begun.append(end)
        came.append(now)
    end = begun[-1] + tokens - came[-1]  # what no window needs
    taken.append((end - 1, tokens))
    passed.append((end - 1, len(firsts) * reads))
    return _counts(taken), _counts(passed)


def _counts(corners: Sequence[tuple[int, int]]) -> Polyline:
    """The sequence with such corners, of which the first is in front of it."""
    places, values = np.array(corners, dtype=np.int64).T
    whole = Polyline.through(places + 1, values)
    return whole.part(1, len(whole))


def sweep_lines(
    loop: SweepLoop, process: Process, take: Sequence[str], give: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Lines that declare what the loop counts, and those of a step.

    ``take`` are lines that put a token into place ``write_at`` of the memory, ``give`` lines that give the one at place
    ``read_at``, or zeros if it is not ``real``.
    """
    state = [("came", 0), ("read_at", loop.first % loop.places), ("write_at", 0)]
    state += [("first", loop.first)] if _moves(loop) else []
    state += [("settled", 0), ("arrivals", 0)] if loop.is_apart else []
    declared = [f"int {name} = {value};" for name, value in state]
    declared += [f"int {level.name} = {level.start};" for level in loop.levels]
    settled = "settled" if loop.is_apart else "came"
    first = "first" if _moves(loop) else str(loop.first)
    ready = f"{settled} >= {min(loop.first + loop.span, loop.tokens)}"
    ends = len(loop.fills) > 1 and loop.fills[-2] == loop.fills[-1]  # tokens are taken after the last read
    if _moves(loop):
        ready = f"{settled} - first >= {loop.span} || {settled} == {loop.tokens}"
    if ends:
        ready = f"!done && ({ready})"
    declared += ["bool done = false;"] if ends else []
    mask = loop.places - 1
    room = [f"({'done || ' if ends else ''}came - {first} < {loop.ahead})"] if loop.places < loop.tokens else []
    step = [
        f"const bool takes = {' && '.join([f'came < {loop.tokens}', *room])};",
        f"if ({ready}) {{",
        f"    const bool real = {' && '.join(_inside(process)) or 'true'};",
        *map(indented, give),
        "    int onward = 1;",
        *map(indented, _advanced(loop.levels, ["done = true;"] if ends else [])),
        f"    read_at = (read_at + onward) & {mask};",
        "}",
    ]
    taken = [*take, "came++;", f"write_at = (write_at + 1) & {mask};"]
    if loop.is_apart:
        bits = loop.distance - 1
        step += [f"settled += arrivals >> {bits - 1};"]
        step += [f"arrivals = ((arrivals << 1) & {(1 << bits) - 1}) | (takes ? 1 : 0);"]
    step += ["if (takes) {", *map(indented, taken), "}"]
    again = [f"{name} = {value};" for name, value in state] + (["done = false;"] if ends else [])
    step += [f"if (i == {loop.steps - 1}) {{", *map(indented, again), "}"]
    return declared, step


def _moves(loop: SweepLoop) -> bool:
    """Return True if there are several windows."""
    return any(level.further for level in loop.levels)


def _inside(process: Process) -> list[str]:
    """Conditions for the tap that is read not to be in the padding."""
    kind = process.kind
    assert isinstance(kind, Sweep)
    conditions = list[str]()
    for axis, size in enumerate(kind.positions(process.takes[0])):
        windows, (before, _) = _windows(kind, kind.positions(process.takes[0]), axis), kind.op.padding[axis]
        stride, reach = kind.op.stride[axis], kind.op.dilation[axis] * (kind.op.size[axis] - 1)
        parts = [f"from{axis}" if windows > 1 else f"{-before}", *([f"tap{axis}"] if reach else [])]
        place = " + ".join(parts)
        if before:
            conditions.append(f"{place} >= 0")
        if (windows - 1) * stride - before + reach >= size:
            conditions.append(f"{place} < {size}")
    return conditions


def _advanced(levels: Sequence[Level], ended: Sequence[str]) -> list[str]:
    """Lines that move on to the next read, the variables of all that ends going back to their starts."""
    if not levels:
        return list(ended)
    level, *outer = levels
    further = [f"    first += {level.further};"] if level.further else []
    return [
        f"if ({level.name} == {level.last}) {{",
        f"    {level.name} = {level.start};",
        *map(indented, _advanced(outer, ended)),
        "} else {",
        f"    {level.name} += {level.step};",
        *([f"    onward = {level.onward};"] if level.onward != 1 else []),
        *further,
        "}",
    ]
