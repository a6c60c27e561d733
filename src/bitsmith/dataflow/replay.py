"""Constants that lie in a memory outside of the circuit, and the process that gives them over and over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import ClassVar

import numpy as np

from bitsmith.dataflow.logic import NO_LOGIC, Logic
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.storage import Memory, Words, differing_bits, table
from bitsmith.dataflow.timing import ProcessTiming, Sequencer, counted
from bitsmith.dataflow.tokens import Numbers, Streams
from bitsmith.ir.types import Ints, objects


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Constant tokens that lie in a memory outside of the circuit, and come in order with each frame.

    Args:
        words: gives them, which takes seconds where they are millions: plans do without.
        gap: cycles from one token to the next, as fast as that memory is.
    """

    words: Callable[[], Ints]
    gap: int

    @staticmethod
    def of(raw: Ints, gap: int) -> StoredWeights:
        """These tokens."""
        return StoredWeights(partial(objects, raw), gap)

    @cached_property
    def raw(self) -> Ints:
        """The tokens, (tokens, *token shape), in units of the stream's type."""
        return self.words()


@dataclass(frozen=True, slots=True)
class Replay:
    """Parts of a frame, each of so many tokens, which come over and over: ``parts`` are (tokens, times).

    A memory of ``places`` holds the part that is read, and as much of the next ones as there is room for.
    """

    parts: tuple[tuple[int, int], ...]
    places: int

    logic: ClassVar[Logic] = NO_LOGIC

    @property
    def runs(self) -> list[tuple[int, int, int]]:
        """Parts in a row that are alike: the tokens and the times of each, and how many there are."""
        return [(*part, len(list(alike))) for part, alike in groupby(self.parts)]

    @property
    def count_bits(self) -> tuple[int, int, int]:
        """Bits of the last token and the last time of a part, and of the last part of a run; 0 if no two in a row are alike."""
        tokens, times, parts = ((max(column) - 1).bit_length() for column in zip(*self.runs, strict=True))
        return max(tokens, 1), max(times, 1), parts

    @property
    def rows(self) -> list[int]:
        """The last token, the last time and the last part of each run, one above the other in a word."""
        tokens, times, _ = self.count_bits
        return [last - 1 | (time - 1) << tokens | (part - 1) << tokens + times for last, time, part in self.runs]

    @property
    def table(self) -> Memory:
        """The memory of these rows."""
        rows = self.rows
        return table(len(rows), sum(self.count_bits), differing_bits(rows))

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        return [Memory(self.places, takes[0].bits, Words.BY_ADDRESS, stays=False), self.table]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [tokens[0][self.source]]

    @property
    def source(self) -> Numbers:
        """The token that each action gives."""
        ends = np.cumsum([tokens for tokens, _ in self.parts])
        return np.concatenate(
            [np.tile(np.arange(end - n, end), times) for (n, times), end in zip(self.parts, ends, strict=True)]
        )

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """A writer takes tokens as long as a place is free; a token is read when it is there, and freed when it comes last."""
        needs, taken = list[tuple[int, int]](), list[tuple[int, int]]()
        action = count = 0
        for tokens, times in self.parts:
            last = action + tokens * times - 1
            needs += [(action, count + 1), (action + tokens - 1, count + tokens), (last, count + tokens)]
            taken += [(action, count)] if times > 1 else []
            taken += [(last - tokens, count)] if times > 1 else []
            taken += [(last - tokens + 1, count + 1), (last, count + tokens)]
            action, count = last + 1, count + tokens
        rows = [Polyline.through(*map(np.array, zip(*dict(each).items(), strict=True))) for each in (needs, taken)]
        write = Sequencer(*((counted(count),),) * 3)
        read = Sequencer((rows[0],), (rows[1],), (counted(action),), latency=1)
        return ProcessTiming((write, read), self.places)
