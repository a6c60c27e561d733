"""Tokens that a circuit writes into a memory outside and takes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.dataflow.logic import NO_LOGIC, Logic
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.storage import no_memories
from bitsmith.dataflow.timing import ProcessTiming, Sequencer, counted
from bitsmith.dataflow.tokens import Numbers, Streams
from bitsmith.ir.types import Ints


@dataclass(frozen=True, slots=True)
class Outside:
    """Tokens in a memory ``name`` outside of the circuit, which are written in order and read in ``spans`` (first, count).

    Spans may overlap, come in any order, and leave tokens out. The memory has room for a frame: the next one is written when all
    of this one is read, and has been written. Where the only span is the whole frame, each place is free as soon as its token is
    read: this is a FIFO. Nothing is kept on chip.

    Args:
        gap: cycles from one token to the next one, each way.
        latency: cycles from the transfer in which a token leaves the circuit to the one in which it can come back: 1 or more.
    """

    name: str
    spans: tuple[tuple[int, int], ...]
    gap: int
    latency: int

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def is_fifo(self, tokens: int) -> bool:
        """Return True if frames of so many ``tokens`` are read in order, each once."""
        return self.spans == ((0, tokens),)

    @property
    def source(self) -> Numbers:
        """The token that each read gives."""
        return np.concatenate([np.arange(first, first + count) for first, count in self.spans])

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [tokens[0][self.source]]

    def needs(self, tokens: int) -> Numbers:
        """Tokens of a frame that must be there for each read: for the last one all, since others take their places then."""
        needs = np.maximum.accumulate(self.source) + 1
        needs[-1] = tokens
        return needs

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """A writer, and a reader whose last action frees all places, or each its own."""
        tokens = takes[0].tokens
        needs = self.needs(tokens)
        freed = needs if self.is_fifo(tokens) else np.where(np.arange(len(needs)) < len(needs) - 1, 0, tokens)
        write = Sequencer(*((counted(tokens),),) * 3, gap=self.gap, latency=self.latency - 1)
        read = Sequencer((Polyline.of(needs),), (Polyline.of(freed),), (counted(len(needs)),), gap=self.gap)
        return ProcessTiming((write, read), tokens)


def tensors_outside(tokens: Sequence[int]) -> Iterator[str]:
    """A note on memories outside in which FIFOs or maps of engines are, in each so many ``tokens`` of a frame."""
    if tokens:
        buffers = f"{len(tokens)} buffer{'s' * (len(tokens) > 1)}"
        yield (
            f"Tensors without room on chip lie in {buffers} of the memory outside: {sum(tokens):,} tokens are written with each "
            "frame, and read."
        )
