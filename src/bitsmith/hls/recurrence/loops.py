"""Parts of a step of a recurrence that become one loop, and states that need not be copied.

In a loop tokens go from one part to the next without a memory. It begins when the pipeline of the one before it is empty, and
takes its steps besides. So fewer loops are faster ones. Memories of states have a half for those of this step, and one for the
next ones, which change places after each step. So a loop may read the states while it writes the next ones, and none passes
these on.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.kinds import WidthConverter
from bitsmith.hls.recurrence.parts import Fed, Operand, Part, PartLoop, PartMemory, Slices
from bitsmith.hls.scalar import common_format

_PORTS = 2
"""Reads and writes in one step of a loop that memories of all families have ports for."""


def joined(parts: Sequence[Part]) -> tuple[PartLoop, ...]:
    """``parts``, which are in order, as loops."""
    loops = list[list[Part]]()
    for part in parts:
        loops.append([part])
        if not isinstance(part.process.kind, kinds.Map | kinds.WidthConverter):
            continue
        for number in reversed(range(len(loops) - 1)):
            fed = _fed(loops[number], part)
            if fed is None:
                continue
            if _can_go_back(loops, number, fed):
                loops[number].append(fed)
                loops.pop()
            elif _can_go_on(loops, number, fed):
                loops[-1] = [*loops.pop(number), fed]
            else:
                continue
            break
    return tuple(map(tuple, _without_unread(loops)))


def _fed(loop: Sequence[Part], part: Part) -> Part | None:
    """``part`` with tokens from one that is in ``loop``; None if it takes none as that makes them."""
    for number, maker in enumerate(loop):
        operands = tuple(_direct(number, maker, part, k) for k in range(len(part.operands)))
        if operands != part.operands:
            return replace(part, operands=operands)
    return None


def _direct(number: int, maker: Part, part: Part, operand: int) -> Operand:
    """An operand of ``part``, from ``maker`` if these are its very tokens."""
    source, stream = part.operands[operand], part.process.takes[operand]
    for result, target in enumerate(maker.targets):
        result_stream = maker.process.results[result]
        if (
            isinstance(source, Slices)
            and target is not None
            and source.memory == target.memory
            and result_stream.token.size == stream.token.size
            and common_format(result_stream.token) == common_format(stream.token)
            and bool(np.array_equal(source.places, target.places))
            and bool(np.array_equal(source.places, np.arange(len(source.places))))
        ):
            return Fed(number, result)
    return source


def _reads(parts: Iterable[Part]) -> set[int]:
    return set[int]().union(*(part.reads for part in parts))


def _writes(parts: Iterable[Part]) -> set[int]:
    return set[int]().union(*(part.writes for part in parts))


def _can_go_back(loops: Sequence[Sequence[Part]], number: int, part: Part) -> bool:
    """Return True if ``part``, which comes last, may as well be in loop ``number``."""
    passed = [one for loop in loops[number:-1] for one in loop]
    return not part.reads & _writes(passed) and not part.writes & (_reads(passed) | _writes(passed))


def _can_go_on(loops: Sequence[Sequence[Part]], number: int, part: Part) -> bool:
    """Return True if loop ``number`` may as well come last, with ``part`` in it."""
    loop, passed = loops[number], [one for other in loops[number + 1 : -1] for one in other]
    own = _writes(loop)
    free = not own & (_reads(passed) | _writes(passed)) and not _reads(loop) & _writes(passed)
    return free and not part.reads & own and not part.writes & (_reads(loop) | own)


def _without_unread(loops: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """``loops`` that write only what is read from memory in this step or the next one."""
    read = {number for loop in loops for number in _reads(loop)}

    def kept(target: Slices | None) -> Slices | None:
        return target if target is not None and target.memory in read else None

    return [[replace(part, targets=tuple(map(kept, part.targets))) for part in loop] for loop in loops]


def in_turns(
    loops: Sequence[PartLoop], memories: Sequence[PartMemory], states: int
) -> tuple[tuple[PartLoop, ...], tuple[PartMemory, ...]]:
    """Loops without those that pass next states on, where these can be written into the other half of the memory at once."""
    left, kept = list(loops), list(memories)
    for number in reversed(range(len(loops))):
        passed = _passed(left[number])
        if passed is None:
            continue
        source, target = passed
        before, state = kept[source.memory], kept[target.memory]
        rest = [*left[:number], *left[number + 1 :]]
        uses = max((_uses(loop, {source.memory, target.memory}) for loop in rest), default=0)
        alike = before.elements == state.elements and common_format(before.token) == common_format(state.token)
        if source.memory < states or before.turns or not alike or uses > _PORTS:
            continue
        left = [tuple(_moved(part, source.memory, target.memory) for part in loop) for loop in rest]
        kept[target.memory] = replace(state, row=math.lcm(before.row, state.row), turns=True)
    return tuple(left), tuple(kept)


def _passed(loop: PartLoop) -> tuple[Slices, Slices] | None:
    """The whole memories from and to which a loop passes numbers on, if it does nothing else."""
    first = loop[0]
    if len(loop) > 1 or not isinstance(first.process.kind, WidthConverter) or first.gives != (None,):
        return None
    (source,), (target,) = first.operands, first.targets
    in_order = np.arange(first.process.takes[0].tokens)
    if not isinstance(source, Slices) or target is None:
        return None
    same = np.array_equal(source.places, in_order) and np.array_equal(target.places, in_order)
    return (source, target) if same else None


def _uses(loop: PartLoop, memories: set[int]) -> int:
    """Reads and writes of ``memories`` in each step of a loop."""
    read_or_written = [
        *(slices for part in loop for slices in part.operands),
        *(slices for part in loop for slices in part.targets),
    ]
    return sum(isinstance(slices, Slices) and slices.memory in memories for slices in read_or_written)


def _moved(part: Part, source: int, target: int) -> Part:
    """``part`` with the half of memory ``target`` that a step makes in place of memory ``source``."""

    def instead(slices: Slices) -> Slices:
        return replace(slices, memory=target, made=True) if slices.memory == source else slices

    operands = (instead(each) if isinstance(each, Slices) else each for each in part.operands)
    return replace(part, operands=tuple(operands), targets=tuple(each and instead(each) for each in part.targets))
