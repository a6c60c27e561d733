"""Circuits of one network with different bits and reuse factors: the size of each, and its score.

In: what a model was compiled from, a target, and a yardstick. Out: points, made by the compiler that every conversion takes, and
where a circuit does not fit with the layout that ``fit`` takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from bitsmith.base.project import digest
from bitsmith.building.job import Target, directives_of
from bitsmith.compiler import Compiled, Source
from bitsmith.config import IOType
from bitsmith.errors.remedies import Call, given
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import fits
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.text import to_text
from bitsmith.layers.settings import Bits
from bitsmith.mapping.directives import Directives
from bitsmith.model.fitting import RESULTS, WEIGHTS, compiled_with, reused, size_of
from bitsmith.passes.program import drop_dead


@dataclass(frozen=True, slots=True)
class Grid:
    """Bits of the whole model to try, and reuse factors.

    Without reuse factors those of the configuration are taken, and of a circuit that does not fit also those with which it does.
    """

    weights: Sequence[int] = WEIGHTS
    results: Sequence[int] = RESULTS
    reuse: Sequence[int] = ()

    @property
    def bits(self) -> tuple[Bits, ...]:
        """All pairs, in ascending order."""
        pairs = product(sorted(set(self.results)), sorted(set(self.weights)))
        return tuple(Bits(weight, result) for result, weight in pairs)


@dataclass(frozen=True, slots=True)
class Point:
    """A circuit.

    Attributes:
        bits: those of the whole model.
        size: about how large it is, and the cycles from one result to the next.
        fits: whether that is within the part, with room for routing.
        score: what the test data say of it, in units of the yardstick.
        scores: of each output with labels.
        loss: how much worse than the float model's score that is.
        compiled: its network and program.
        configuration: the keys that make it, besides the user's.
        io_type: tensors come whole, or in tokens.
        layout: what reuse factors there are, in the words of the configuration; empty where they are the user's.
    """

    bits: Bits
    size: Size
    fits: bool
    score: float
    scores: tuple[float, ...]
    loss: float
    compiled: Compiled
    configuration: Mapping[str, object]
    io_type: IOType
    layout: str = ""

    @property
    def argued(self) -> Call:
        """The arguments that make it, besides the user's."""
        return given(config=self.configuration, io_type=self.io_type.value)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout of a program with its size, the keys that make it, and what it is called."""

    size: Size
    configuration: Mapping[str, object]
    io_type: IOType
    text: str


def points(source: Source, target: Target, yardstick: Yardstick, grid: Grid) -> Iterator[Point]:
    """The points of ``grid``, each of which is another circuit than those of fewer bits."""
    known, part = set[tuple[str, int, int]](), target.known_part
    for bits in grid.bits:
        scores: dict[str, tuple[float, ...]] = {}
        for compiled, layout in _layouts(source, target, bits, grid.reuse):
            content = digest(to_text(drop_dead(compiled.program, keep_probes=False)))
            circuit = content, layout.size.lut, layout.size.interval
            if circuit in known:
                continue
            known.add(circuit)
            if content not in scores:
                scores[content] = yardstick.of_program(compiled.program)
            each = scores[content]
            score, loss = yardstick.total(each), yardstick.loss(each)
            own = layout.configuration, layout.io_type, layout.text
            yield Point(bits, layout.size, fits(layout.size, part), score, each, loss, compiled, *own)


def _layouts(source: Source, target: Target, bits: Bits, reuse: Sequence[int]) -> Iterator[tuple[Compiled, _Layout]]:
    """The network with ``bits``, and its layouts."""
    for factor in sorted(set(reuse)) or (None,):
        compiled = compiled_with(source, bits, factor)
        directives = directives_of(compiled.network, target)
        size = size_of(compiled.program, directives, target)
        model = {"Bits": asdict(bits), **({} if factor is None else {"ReuseFactor": factor})}
        text = "" if factor is None else f"ReuseFactor {factor}"
        yield compiled, _Layout(size, {"Model": model}, target.io_type, text)
        if factor is None and not fits(size, target.known_part):
            yield from ((compiled, layout) for layout in _that_fits(compiled, directives, target, bits))


def _that_fits(compiled: Compiled, directives: Directives, target: Target, bits: Bits) -> Iterator[_Layout]:
    """The layout that ``fit`` takes, if there is one."""
    choice = reused(compiled.program, directives, target)
    if choice is not None:
        chosen = replace(choice, bits=bits)
        yield _Layout(chosen.size, chosen.configuration, chosen.io_type, chosen.fit.description)
