"""Actions of processes, cycle by cycle: what the timing of a kind of process is made of.

A process is one or two *sequencers*. A sequencer repeats a fixed list of actions, one list per frame, one action per cycle at
most. An action waits until all tokens that it needs are there and all slots that it fills are free; it then takes tokens and
fills slots, in that cycle. Its results are put into their slots ``latency`` cycles later and can be seen in the cycle after. A
place is free again in the cycle after its token was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.storage import Memory, differing_bits, table
from bitsmith.dataflow.tokens import Grid, Numbers, period
from bitsmith.ir import ops


@dataclass(frozen=True, slots=True, eq=False)
class Sequencer:
    """Actions of one frame. Tokens of the frame are counted, with one row per operand or result, an element per action.

    Args:
        needs: tokens that must be there.
        takes: tokens that have been taken when the action is done.
        fills: tokens that have been made when the action is done.
        gap: cycles to the next action.
        latency: cycles from an action to its results being put into their slots.
    """

    needs: tuple[Polyline, ...]
    takes: tuple[Polyline, ...]
    fills: tuple[Polyline, ...]
    gap: int = 1
    latency: int = 0

    @property
    def actions(self) -> int:
        """Actions per frame."""
        return len((*self.takes, *self.fills)[0])

    @property
    def cycles(self) -> int:
        """Fewest cycles per frame."""
        return self.actions * self.gap


@dataclass(frozen=True, slots=True)
class ProcessTiming:
    """The sequencers of a process: one, or a writer and a reader of a memory of tokens between them.

    The writer takes the process's operands and fills the memory, the reader needs and takes tokens of the memory and fills the
    process's results. ``places`` are those of the memory if they are chosen already; None: as many as the schedule needs.
    """

    sequencers: tuple[Sequencer, ...]
    places: int | None = None


def single(
    takes: Sequence[Polyline],
    fills: Sequence[Polyline],
    latency: int = 0,
    gap: int = 1,
    needs: Sequence[Polyline] | None = None,
) -> ProcessTiming:
    """The timing of one sequencer, which needs what it takes unless it ``needs`` more."""
    return ProcessTiming((Sequencer(tuple(needs or takes), tuple(takes), tuple(fills), gap, latency),))


def counted(tokens: int) -> Polyline:
    """Return counts that grow by one with each action."""
    return Polyline.line(tokens, 1)


def every(actions: int, count: int) -> Polyline:
    """Return counts that grow by one with each ``count``-th action."""
    return Polyline.staircase(actions, count, 1)


def window_actions(op: ops.Window, grid: Grid) -> tuple[Numbers, Numbers]:
    """For each token of the padded tensor, up to the last that matters: whether it is real, and whether it completes a window."""
    padded = [size + before + after for size, (before, after) in zip(grid, op.padding, strict=True)]
    inside, complete = np.zeros(padded, dtype=np.int64), np.zeros(padded, dtype=np.int64)
    inside[tuple(slice(before, before + size) for size, (before, _) in zip(grid, op.padding, strict=True))] = 1
    ends = tuple(
        slice(dilation * (taps - 1), None, stride)
        for taps, stride, dilation in zip(op.size, op.stride, op.dilation, strict=True)
    )
    complete[ends] = 1
    inside, complete = inside.ravel(), complete.ravel()
    last = int(np.flatnonzero(inside | complete)[-1])
    return inside[: last + 1], complete[: last + 1]


def sweep_bounds(op: ops.Window, positions: Grid) -> tuple[Numbers, Numbers]:
    """For each window, how many positions must have come, and how many are no longer needed once it begins.

    Those are the positions up to its last tap, and those before its first one, taps beyond the border moved onto it. A window
    that begins before the border along some axis keeps all that it has from there on.
    """
    needed, gone = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    kept = np.zeros(1, dtype=np.bool_)
    for axis, size in enumerate(positions):
        reach = op.dilation[axis] * (op.size[axis] - 1)
        before, after = op.padding[axis]
        origins = np.arange(0, size + before + after - reach, op.stride[axis]) - before
        last = np.clip(origins + reach, 0, size - 1)
        needed = (needed[:, None] * size + last).ravel()
        gone = (gone[:, None] * size + np.where(kept[:, None], 0, np.maximum(origins, 0))).ravel()
        kept = (kept[:, None] | (origins < 0)).ravel()
    return needed + 1, gone


def is_monotone(source: Numbers) -> bool:
    """Return True if tokens leave in the order in which they come, some dropped, repeated, or zeros in between."""
    real = source[source >= 0]
    return bool(np.all(np.diff(real) >= 0))


def reorder_timing(source: Numbers, tokens: int) -> ProcessTiming:
    """Without going back in the order, one sequencer at the head of the operand's FIFO; else a memory of tokens."""
    if is_monotone(source):
        need, take, fill = map(Polyline.of, _monotone(source, tokens))
        return single([take], [fill], needs=[need])
    needs = np.maximum.accumulate(source) + 1
    # After an action, the tokens before the least one that is still to come are no longer needed.
    later = np.where(source < 0, tokens, source)
    still = np.append(np.minimum.accumulate(later[::-1])[::-1][1:], tokens)
    freed = np.maximum.accumulate(np.minimum(still, needs))
    needs[-1] = freed[-1] = tokens  # the last action frees the whole frame, which must have come
    writes, reads = (counted(tokens),), (counted(len(source)),)
    write = Sequencer(writes, writes, writes)
    read = Sequencer((Polyline.of(needs),), (Polyline.of(freed),), reads, latency=1)
    return ProcessTiming((write, read))


@lately(512)
def order_flags(source: Numbers, tokens: int) -> Numbers:
    """By action of what keeps the order: whether it needs the head of the FIFO, bit 0; takes it, bit 1; gives a token, bit 2."""
    need, take, fill = _monotone(source, tokens)
    before = np.concatenate([[0], take[:-1]])
    return np.asarray((need > before) | (take > before) << 1 | np.diff(fill, prepend=0) << 2, dtype=np.int64)


def order_bits(source: Numbers, tokens: int) -> int:
    """Flip-flops of the counter of actions: without going back in the order, it goes as far as these repeat."""
    if not is_monotone(source):
        return (len(source) - 1).bit_length() + 1
    return (period(order_flags(source, tokens)) - 1).bit_length()


def order_table(source: Numbers, tokens: int, depth: int) -> Memory:
    """The table by which a memory of ``depth`` tokens is read."""
    rows, width = reorder_rows(source, tokens, depth)
    return table(len(rows), width, differing_bits(rows))


def reorder_rows(source: Numbers, tokens: int, depth: int) -> tuple[list[int], int]:
    """The words of the table by which a memory of ``depth`` tokens is read, and their bits.

    From the lowest bit on: the place of a token in its frame, if zeros are given instead, and the tokens that must be there
    and that are freed, both counted from the first that is not yet freed.
    """
    read = reorder_timing(source, tokens).sequencers[-1]
    taken, low, count = read.takes[0].dense(), max(depth - 1, 1).bit_length(), depth.bit_length()
    before = np.concatenate([[0], taken[:-1]])
    places = np.maximum(source, 0) % (1 << low)
    parts = [
        (places, low),
        ((source < 0).astype(source.dtype), 1),
        (read.needs[0].dense() - before, count),
        (taken - before, count),
    ]
    rows, width = [0] * len(source), 0
    for part, bits in parts:
        rows = [row | number << width for row, number in zip(rows, part.tolist(), strict=True)]
        width += bits
    return rows, width


def _monotone(source: Numbers, tokens: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return the tokens that actions at the head of a FIFO need, have taken and have filled.

    Each gives the head (and keeps it, if it comes again), gives zeros, or drops the head.
    """
    count, real = len(source), source >= 0
    places = np.minimum.accumulate(np.where(real, np.arange(count), count)[::-1])[::-1]
    following = np.append(source, -1)[np.append(places[1:], count)]
    after = np.maximum.accumulate(np.where(real, source + (following != source), 0))
    before = np.append(0, after)  # taken before each place, and before the end
    actions = np.append(np.where(real, source - before[:-1], 0) + 1, tokens - before[-1])
    ends = np.cumsum(actions)
    fills, gives = np.repeat(np.arange(count + 1), actions), ends[:-1] - 1
    takes = np.arange(1, len(fills) + 1) + (before - ends + actions)[fills]
    takes[gives] = after
    needs = takes.copy()
    needs[gives] = np.where(real, source + 1, after)
    fills[gives] += 1
    return needs, takes, fills


def product_latency(n: int, chain: int = 1) -> int:
    """Cycles from the last action of a result of a folded product over ``n`` operands at once to its put.

    Registers are after the operands (two), the products and every second level of the adder tree, and in the accumulator. Where
    blocks add up ``chain`` products each (more than one), there is one after each of these sums.
    """
    sums = -(-n // chain)
    return 4 + (chain if chain > 1 else 0) + (sums - 1).bit_length() // 2


REDUCE_LATENCY = 1
"""Cycles from the last action of a result of a reduction to its put."""
