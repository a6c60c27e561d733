"""A recurrence as one process in C++: loops over the steps of its parts, and memories between them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.tokens import Numbers
from bitsmith.ir.types import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """The tokens of a part's operand or result: token ``k`` is slice ``places[k]`` of a memory, in units of tokens.

    ``made``: of the half that this step writes, of a memory whose halves take turns. ``once``: written in the first frame only.
    """

    memory: int
    places: Numbers
    made: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Fed:
    """The tokens that a part before, in the same loop, has just made: result ``result`` of part ``part`` of the loop."""

    part: int
    result: int


Operand: TypeAlias = Slices | Fed | int
"""In a memory; from a part of the same loop; or the next ones of an operand of the whole."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process as it is in one step of the recurrence; one that is a width converter passes tokens on as they are.

    ``targets`` are the places of results, and ``gives`` the results of the whole that they are, if any.
    """

    process: Process
    operands: tuple[Operand, ...]
    targets: tuple[Slices | None, ...]
    gives: tuple[int | None, ...]

    @property
    def reads(self) -> set[int]:
        """Memories of operands."""
        return {operand.memory for operand in self.operands if isinstance(operand, Slices)}

    @property
    def writes(self) -> set[int]:
        """Memories of results."""
        return {target.memory for target in self.targets if target is not None}


PartLoop: TypeAlias = tuple[Part, ...]
"""Parts that are one loop: all after the first one take the tokens that others before them have just made."""


@dataclass(frozen=True, slots=True)
class PartMemory:
    """A memory of rows of so many elements, whose type is that of tokens of such a type.

    ``turns``: it has two halves of ``elements``, one for what the step before made and one for what this one does, which change
    places after each step.
    """

    token: TensorType
    elements: int
    row: int
    turns: bool = False


@dataclass(frozen=True, slots=True)
class Recurrence(Process):
    """A circle of processes as one. Its first operands are the initial states, for the first memories, in the same order."""

    loops: tuple[PartLoop, ...] = ()
    memories: tuple[PartMemory, ...] = ()
    states: int = 0
    lasting: frozenset[int] = frozenset()
    """States that live on between frames: their memories begin with the initial ones in the first frame after a reset only."""

    @property
    def rounds(self) -> int:
        """Steps of the recurrence."""
        assert isinstance(self.kind, kinds.Feedback)
        return self.kind.rounds

    @property
    def kept(self) -> set[int]:
        """The memories that are left."""
        return {number for loop in self.loops for part in loop for number in part.reads | part.writes}

    def initial(self, state: int) -> Part:
        """The loop that takes an initial state."""
        stream = self.takes[state]
        passed = Process(kinds.WidthConverter(), (), (stream,), (stream,))
        target = Slices(state, np.arange(stream.tokens), once=state in self.lasting)
        return Part(passed, (state,), (target,), (None,))
