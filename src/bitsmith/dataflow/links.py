"""The FIFOs between sequencers, and what moves through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """Places, where the producer only gives constants and never waits: enough for a token in every cycle."""
    bits: int
    """Bits of a token."""
    slice: int
    """Registers each way: tokens come, and places are seen to be free, so many cycles later."""

    @property
    def within(self) -> bool:
        """True if this is the memory within a process."""
        return self.names[-1] < 0


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Tokens of a FIFO over all frames.

    Args:
        needed: how many must have come before each action of the reader.
        filled: how many are made when an action of the writer is done.
        filling: for each token, the action that makes it.
        taking: for each token, the action that takes it.
    """

    needed: Polyline
    filled: Polyline
    filling: Polyline
    taking: Polyline

    @staticmethod
    def of(link: Link, sequencers: Sequence[Sequencer], frames: int) -> Moves:
        """The tokens of ``link`` in so many frames."""
        writer, reader = sequencers[link.writer], sequencers[link.reader]
        fills, takes = writer.fills[link.row], reader.takes[link.column]
        return Moves(
            reader.needs[link.column].repeated(frames, takes[-1]).running_max(),
            fills.repeated(frames, fills[-1]),
            fills.rises().repeated(frames, writer.actions),
            takes.rises().repeated(frames, reader.actions),
        )


def indices(moving: Polyline, counts: Polyline, spare: int) -> tuple[int, Polyline] | None:
    """The first of ``counts`` above ``spare``; and from it on, which action moves the last token but ``spare`` of each count."""
    first = int(counts.below(np.array(spare + 1)))
    if first == len(counts):
        return None
    return first, moving.of_indices(counts.part(first, len(counts)).plus(-spare - 1))


def round_trips(link: Link, sequencers: Sequence[Sequencer], moves: Moves) -> Iterator[tuple[int, int, Polyline]]:
    """Sequencers that ``link`` slows down if it has one place: cycles beyond their gaps, and how often before each action."""
    writer, reader = sequencers[link.writer], sequencers[link.reader]
    begun = moves.needed.rises()
    held = moves.taking.plus_each(begun, -1)
    """Actions from the first one that needs a token to the one that takes it."""
    if len(held) == 1 or held != Polyline.line(len(held), held[0], 0):
        return
    there_and_back = writer.latency + 2 + 2 * link.slice
    if moves.filled == Polyline.line(len(moves.filled), 1):
        cycles = there_and_back + held[0] * reader.gap
        yield link.writer, cycles - writer.gap, Polyline.line(len(moves.filled), 0)
    if begun.part(1, len(begun)) == moves.taking.part(0, len(begun) - 1).plus(1):
        waited = moves.needed.plus(-1).raised(0, Polyline.line(len(moves.needed), 0, 0))  # not for the first token
        yield link.reader, there_and_back - reader.gap, waited
