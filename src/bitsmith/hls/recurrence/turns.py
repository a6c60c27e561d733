"""States of a recurrence that need not be copied: memories with a half for those of this step, and one for the next ones.

The halves change places after each step. So a loop may read the states while it writes the next ones, and none passes these on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import WidthConverter
from bitsmith.hls.recurrence.parts import Part, PartLoop, PartMemory, Slices
from bitsmith.hls.scalar import common_format

_PORTS = 2
"""Reads and writes in one step of a loop that memories of all families have ports for."""


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
