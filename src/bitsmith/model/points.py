"""Circuits of one network with different bits of weights and of results: the size of each, and its score.

In: what a model was compiled from, a target, and a yardstick. Out: points, made by the compiler that every conversion takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from bitsmith.base.project import digest
from bitsmith.building.job import Target, directives_of
from bitsmith.compiler import Compiled, Source, compile_network
from bitsmith.devices import part_or_typical
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import fits
from bitsmith.estimate.size import estimate_layout
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.layers.settings import Bits
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead

WEIGHTS, RESULTS = (3, 4, 5, 6, 8, 10, 16), (6, 7, 8, 10, 12, 16)
"""Bits that are tried."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Point:
    """A circuit.

    Attributes:
        bits: those of the whole model.
        size: about how large it is.
        fits: whether that is within the part, with room for routing.
        score: what the test data say of it, in units of the yardstick.
        loss: how much worse than the float model's score that is.
        compiled: its network and program.
    """

    bits: Bits
    size: Size
    fits: bool
    score: float
    loss: float
    compiled: Compiled


def size_of(program: Program, directives: Directives, target: Target) -> Size:
    """The expected size of a program's circuit, with stages as the clock of ``target`` wants them."""
    family = part_or_typical(target.part).family
    return estimate_layout(drop_dead(program, keep_probes=False), directives, family, target.budget_ns(family))


def compiled_with(source: Source, bits: Bits) -> Compiled:
    """The network with ``bits`` for the whole model, as a conversion makes it."""
    assert source.budgeted is not None
    return compile_network(source.budgeted(bits), source.calibration)


def points(
    source: Source, target: Target, yardstick: Yardstick, weights: Sequence[int], results: Sequence[int]
) -> Iterator[Point]:
    """A point for each of the bits of ``weights`` and ``results`` that make another circuit than fewer bits do."""
    known = set[str]()
    for result, weight in product(sorted(set(results)), sorted(set(weights))):
        compiled = compiled_with(source, Bits(weight, result))
        content = digest(to_text(drop_dead(compiled.program, keep_probes=False)))
        if content not in known:
            yield _point(compiled, Bits(weight, result), target, yardstick)
        known.add(content)


def _point(compiled: Compiled, bits: Bits, target: Target, yardstick: Yardstick) -> Point:
    directives = directives_of(compiled.network, target.io_type, target.latency, target.circuit_part)
    size = size_of(compiled.program, directives, target)
    score = yardstick.of_program(compiled.program)
    return Point(bits, size, fits(size, part_or_typical(target.part)), score, yardstick.loss(score), compiled)


def edge(tried: Callable[[Bits], _Found | None]) -> Iterator[_Found]:
    """Return the successes of ``tried`` at the edge of what fits: for each number of bits of results the most of weights.

    Areas grow with both. Nothing is tried further where the fewest bits of both fail.
    """
    if tried(Bits(WEIGHTS[0], RESULTS[0])) is None:
        return
    weights = list(WEIGHTS)
    for result in RESULTS:
        while weights:
            found = tried(Bits(weights[-1], result))
            if found is not None:
                yield found
                break
            weights.pop()
