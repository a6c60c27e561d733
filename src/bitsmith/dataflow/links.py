"""The FIFOs between sequencers, and what moves through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.timing import Sequencer


@dataclass(frozen=True, slots=True)
class Link:
    """A FIFO: sequencer and row that fills it, sequencer and row that takes from it."""

    writer: int
    row: int
    reader: int
    column: int
    names: tuple[int, int, int, int]
    constant: int | None
    """Slots, where the producer only gives constants and never waits: enough for a token in every cycle."""
    bits: int
    """Bits of a token."""
    slice: int
    """Registers each way: tokens come, and slots are seen to be free, so many cycles later."""

    @property
    def within(self) -> bool:
        """True if this is the memory within a process."""
        return self.names[-1] < 0

    def slots(self, depth: int) -> int:
        """Slots of a FIFO that needs ``depth`` of them; a memory that is read by address has as many as its addresses.

        What waits for the last one to be free would otherwise often wait for what it makes, around a whole network, in turn.
        """
        return 1 << (depth - 1).bit_length() if self.within and self.constant is None else depth

    def memory_bits(self, depth: int) -> int:
        """Bits on chip of a FIFO that needs ``depth`` slots; 0 of a memory that has a fixed size, or is outside."""
        return 0 if self.within and self.constant is not None else self.bits * self.slots(depth)


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Tokens of a FIFO over all frames.

    Args:
        filling: for each token, the action that makes it.
        taking: for each token, the action that takes it.
        need: how many of a frame must have come before each action of the reader.
        taken: how many of a frame that takes.
        fills: how many of a frame are made when an action of the writer is done.
    """

    filling: Polyline
    taking: Polyline
    need: Polyline
    taken: int
    fills: Polyline
    frames: int

    @staticmethod
    def of(link: Link, sequencers: Sequence[Sequencer]) -> Moves:
        """The tokens of ``link`` in one frame."""
        writer, reader = sequencers[link.writer], sequencers[link.reader]
        fills, takes = writer.fills[link.row], reader.takes[link.column]
        return Moves(fills.rises(), takes.rises(), reader.needs[link.column], takes[-1], fills, 1)

    def over(self, frames: int) -> Moves:
        """The tokens of so many frames, of those of one."""
        filling, taking = self.filling.repeated(frames, len(self.fills)), self.taking.repeated(frames, len(self.need))
        return replace(self, filling=filling, taking=taking, frames=frames)

    @property
    def needed(self) -> Polyline:
        """Return how many must have come before each action of the reader."""
        return self.need.repeated(self.frames, self.taken).running_max()

    @property
    def filled(self) -> Polyline:
        """Return how many are made when an action of the writer is done."""
        return self.fills.repeated(self.frames, self.fills[-1])


def indices(moving: Polyline, counts: Polyline, spare: int) -> tuple[int, Polyline] | None:
    """The first of ``counts`` above ``spare``; and from it on, which action moves the last token but ``spare`` of each count."""
    first = int(counts.below(np.array(spare + 1)))
    if first == len(counts):
        return None
    return first, moving.of_indices(counts.part(first, len(counts)).plus(-spare - 1))


def round_trips(link: Link, sequencers: Sequence[Sequencer], moves: Moves) -> Iterator[tuple[int, int, Polyline]]:
    """Sequencers that ``link`` slows down if it has one slot: cycles beyond their gaps, and how often before each action."""
    writer, reader = sequencers[link.writer], sequencers[link.reader]
    needed, filled = moves.needed, moves.filled
    begun = needed.rises()
    held = moves.taking.plus_each(begun, -1)
    """Actions from the first one that needs a token to the one that takes it."""
    if len(held) == 1 or held != Polyline.line(len(held), held[0], 0):
        return
    there_and_back = writer.latency + 2 + 2 * link.slice
    if filled == Polyline.line(len(filled), 1):
        cycles = there_and_back + held[0] * reader.gap
        yield link.writer, cycles - writer.gap, Polyline.line(len(filled), 0)
    if begun.part(1, len(begun)) == moves.taking.part(0, len(begun) - 1).plus(1):
        waited = needed.plus(-1).raised(0, Polyline.line(len(needed), 0, 0))  # not for the first token
        yield link.reader, there_and_back - reader.gap, waited
