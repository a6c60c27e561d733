"""Parts of a step of a recurrence that become one loop: tokens go from one to the next without a memory.

A loop begins when the pipeline of the one before it is empty, and takes its steps besides. So fewer loops are faster ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.hls.recurrence.parts import Fed, Operand, Part, PartLoop, Slices
from bitsmith.hls.scalar import common_format


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
