"""A core program as a network of processes that pass tokens: what folded and streamed hardware is made of.

A tensor travels as one token per position of its *grid* (its leading axes, in row-major order); a token holds the elements of
the remaining axes. Every process takes and gives a fixed number of tokens per frame, a frame being one sample, whatever the
data are: the network is a static data-flow graph (E. Lee, D. Messerschmitt, "Synchronous Data Flow", Proc. IEEE 75(9), 1987),
whose schedules can be known in advance. There are few kinds of process, and none knows a layer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.dataflow.kinds import Kind, Rom, Sink, Source
from bitsmith.dataflow.timing import ProcessTiming
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir.program import Program


@dataclass(frozen=True, slots=True)
class OutputPort:
    """Result ``port`` of process ``process``."""

    process: int
    port: int = 0


@dataclass(frozen=True, slots=True)
class Process:
    """A process with its operands, the streams as it takes and gives them, and the user's layers that it comes from.

    The stream that an operand gives and the one that is taken have the same tokens, perhaps under another grid and shape.
    ``slices`` are registers each way on the way of each operand; none if empty.
    """

    kind: Kind
    args: tuple[OutputPort, ...]
    takes: tuple[Stream, ...]
    results: tuple[Stream, ...]
    layers: tuple[str, ...] = ()
    slices: tuple[int, ...] = ()

    def slice(self, operand: int) -> int:
        """Registers each way between what makes an operand and its FIFO."""
        return self.slices[operand] if self.slices else 0

    def timing(self, latency: int) -> ProcessTiming:
        """The actions, cycle by cycle; ``latency`` is that of the pipeline of a kind that has one (else 0)."""
        return self.kind.timing(self.takes, self.results, latency)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Network:
    """Processes, operands first, but for what is given back to a `Feedback`, or to later visits of an `Engine`."""

    processes: tuple[Process, ...]

    def stream(self, source: OutputPort) -> Stream:
        """The stream that ``source`` gives."""
        return self.processes[source.process].results[source.port]

    def refills(self, number: int, operand: int) -> bool:
        """Return True if an operand of process ``number`` comes from a table of its own.

        The table has the next token in the cycle in which one is taken. So one slot does what two do elsewhere.
        """
        source = self.processes[number].args[operand]
        if not isinstance(self.processes[source.process].kind, Rom):
            return False
        return sum(process.args.count(source) for process in self.processes) == 1

    @property
    def programs(self) -> Sequence[Program]:
        """The programs of token functions."""
        return [process.kind.logic.program for process in self.processes if process.kind.logic.program is not None]

    @property
    def sources(self) -> tuple[int, ...]:
        """Processes that are inputs, in the program's order, and those through which weights come."""
        return tuple(k for k, process in enumerate(self.processes) if isinstance(process.kind, Source))

    @property
    def sinks(self) -> tuple[int, ...]:
        """Processes that are outputs, in the program's order."""
        return tuple(k for k, process in enumerate(self.processes) if isinstance(process.kind, Sink))


def gives_back(consumer: int, source: OutputPort) -> bool:
    """Return True if an operand of process ``consumer`` is made later than that."""
    return source.process >= consumer


def kind_name(kind: type[Kind]) -> str:
    """The name of a kind of process, in words: ``width converter``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
