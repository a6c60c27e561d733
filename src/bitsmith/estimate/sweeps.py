"""The size of sliding windows: of lines of delays between taps, and of sweeps, which read single tokens from a memory.

A sweep has counters of parts, taps and windows, of tokens that are there and needed, and addresses.
"""

import math
from collections.abc import Iterable
from functools import reduce
from operator import mul, or_

import numpy as np

from bitsmith.dataflow.kinds import Sweep, Window
from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.storage import Words
from bitsmith.dataflow.timing import sweep_bounds
from bitsmith.dataflow.tokens import Stream
from bitsmith.estimate.count import Count
from bitsmith.estimate.reads import Mask, parts_read, share, with_cells
from bitsmith.ir.infer import window_positions
from bitsmith.mapping.memories import takes_block

_LUTS = ((0.0, 7.0, 1.65, 2.6, 1.7, 1.2), (2.0, 0.0, 0.4, 1.0, 3.6, 2.4))
"""Look-up tables where constants in carry chains take none, and where they take some: of bits of counters and addresses, control,
bits of what windows need more and give free, of steps of addresses, and of places along axes and those that may be beyond.

77 sweeps each of Zynq-7020, ECP5, Nexus, iCE40, and 40 of Cyclone V have 0.76 to 1.3 of that, 5 to 7 % in the median.
"""

_SHORT_DELAY, _LATE_FLAGS = 4, 2
"""Shorter delays are registers. Synthesis writes late into a block that the circuit reads in the cycle of the address: so many
flags, beside registers of the address and the word, and what chooses that word if it is not written yet."""


def count_sweep(count: Count, kind: Sweep, taken: Stream, words: int, bits: int, column: int, read: float) -> None:
    """A memory of ``words`` tokens, larger than block memory if it has a ``column``; of ``bits`` a share is ``read``."""
    op, grid, tokens = kind.op, kind.positions(taken), taken.tokens
    address, counted = max((words - 1).bit_length(), 1), max(tokens - 1, words).bit_length() + 1
    units = [tokens // math.prod(grid[: axis + 1]) for axis in range(len(grid))]  # tokens from one position to the next
    axes = tuple(zip(grid, op.size, op.stride, op.dilation, op.padding, strict=True))
    windows = [window_positions(*axis) for axis in axes]
    needed, gone = (bound.reshape(windows) * units[-1] for bound in sweep_bounds(op, grid))
    more = [np.diff(bound.ravel(), append=bound.flat[0] + tokens).reshape(windows) for bound in (needed, gone)]
    late = needed.flat[-1] < tokens  # the last window waits for tokens that none needs
    places, ends, padded, numbers = 0, 0, False, [kind.parts, kind.blocks, kind.times, *op.size]
    count.ff += sum((number - 1).bit_length() for number in numbers) + 2 * (counted + address) + 1
    for axis, ((size, taps, stride, dilation, (before, _)), number) in enumerate(zip(axes, windows, strict=True)):
        reach = dilation * (taps - 1)
        beyond, width = (number - 1) * stride - before + reach >= size, (size + before + reach).bit_length() + 1
        unlike = number == 1 or late or any(np.diff(each, axis=axis).any() for each in more)
        padded |= beyond or before > 0
        if (taps > 1 or number > 1) and (beyond or before > 0 or unlike):  # else no window differs from the others
            count.ff += width + (before > 0)
            places, ends = places + width * (taps > 1 or stride > 1), ends + width * beyond
    inside = [(size, by * dilation) for by, size, dilation in zip(units, op.size, op.dilation, strict=True)]
    begins = [(number, by * stride) for by, number, stride in zip(units, windows, op.stride, strict=True)]
    loops = [(kind.parts, 1), *inside[::-1], (kind.times, 0), (kind.blocks, kind.parts), *begins[::-1], (2, tokens)]
    steps = {by - sum((n - 1) * inner for n, inner in loops[:k]) for k, (number, by) in enumerate(loops) if number > 1}
    used = sum(_set(np.unique(each).tolist()) for each in more)
    figures = 2 * (counted + address), 1, used, _set(steps - {1} and steps, (1 << address) - 1), places, ends
    count.lut += sum(map(mul, _LUTS[count.area.constant_bits > 0], figures))
    count.lut += (
        bits * read if padded and count.area.memory.holds_pair(bits) else 0
    )  # else zeros join what chooses after it
    # A memory of blocks has a register of its own.
    count.ff += padded + (0 if count.memory(Words.BY_ADDRESS, 1 << address, bits, column, read=read) else bits * read)


def count_window(count: Count, kind: Window, process: Process, column: int, read: Mask) -> None:
    """A line of delays from tap to tap: registers between those that ``read`` a bit, memories from row to row.

    A memory has the bits that a tap behind it reads, and keeps those before it that share a cell with these.
    """
    lines, area = kind.memories(process.takes, process.results, 0), count.area
    taps = parts_read(process, 0, read)
    later = np.logical_or.accumulate(taps)  # taps in row-major order are further and further back in time
    kept = taps.copy()
    for number, line in enumerate(lines):
        if line.words >= _SHORT_DELAY:
            kept[number] = with_cells(kept[number], count.together(Words.IN_TURN, line.words, line.bits))
        kept[number + 1] |= kept[number]
    behind = np.zeros(taps.shape[1], np.int64)  # registers since the last tap that reads a bit, or the last memory
    for number, line in reversed([*enumerate(lines)]):
        deep, stays = line.words >= _SHORT_DELAY, kept[number]
        behind += 0 if deep else line.words
        ends = np.where(taps[number] | (deep & stays), behind, 0)
        for length in np.unique(ends[ends > 0]):
            count.row(int(length), float(np.count_nonzero(ends == length)))
        behind[taps[number] | deep] = 0
        memory = line.words, line.bits
        if deep and count.memory(Words.IN_TURN, *memory, column, read=share(stays, area.memory_bits)) and not column:
            count.bram -= area.memory.unread(line.words, stays.tolist())
            if not takes_block(*memory, area.memory):
                count.ff += np.count_nonzero(stays) + (line.words - 1).bit_length() + _LATE_FLAGS
                count.lut += np.count_nonzero(later[number]) * area.mux2_luts.per_bit
    # Lines that are equally long share a counter.
    count.ff += sum((words - 1).bit_length() for words in {line.words for line in lines if line.words >= _SHORT_DELAY})


def _set(numbers: Iterable[int], mask: int = -1) -> int:
    """The bits that are not 0 in all of several ``numbers``."""
    return (reduce(or_, numbers, 0) & mask).bit_count()
