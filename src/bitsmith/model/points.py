"""Circuits of one network with different bits and reuse factors: the size of each, and its score.

In: what a model was compiled from, a target, and a yardstick. Out: points, made by the compiler that every conversion takes, and
where a circuit does not fit with the layout that ``fit`` takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product

from bitsmith.base.project import digest
from bitsmith.building.job import Target, directives_of
from bitsmith.compiler import Compiled, Source
from bitsmith.config import IOType
from bitsmith.config.reading import leaves, put
from bitsmith.devices import Part
from bitsmith.errors.remedies import Call, given
from bitsmith.estimate import fit, obstacle
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import Fit, fits, paced
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.text import to_text
from bitsmith.layers.settings import Bits
from bitsmith.mapping.directives import Directives
from bitsmith.model.fitting import RESULTS, WEIGHTS, Choice, compiled_with, reused, size_of
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
        own: the bits of layers that have others than the whole model.
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
    own: Mapping[str, Bits] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The bits in words."""
        weight, result = self.ranges
        return f"{weight} bits of weights and {result} of results" if self.own else str(self.bits)

    @property
    def ranges(self) -> tuple[str, str]:
        """The bits of weights, and of results, from the least to the most of all layers."""
        every = [self.bits, *self.own.values()]
        weights, results = [bits.weight for bits in every], [bits.result for bits in every]
        return _range(weights), _range(results)

    @property
    def argued(self) -> Call:
        """The arguments that make it, besides the user's."""
        return given(config=self.configuration, io_type=self.io_type.value)


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of a program with its size, the keys that make it, and what its reuse factors are called."""

    size: Size
    directives: Directives
    configuration: Mapping[str, object]
    io_type: IOType
    text: str = ""

    def point(
        self,
        bits: Bits,
        compiled: Compiled,
        target: Target,
        yardstick: Yardstick,
        scores: tuple[float, ...],
        text: str,
        own: Mapping[str, Bits] | None = None,
    ) -> Point:
        """The circuit that it makes of a network."""
        score, loss, fitting = yardstick.total(scores), yardstick.loss(scores), fits(self.size, target.known_part)
        known = self.size, fitting, score, scores, loss, compiled, self.configuration, self.io_type
        return Point(bits, *known, text, own or {})


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def points(source: Source, target: Target, yardstick: Yardstick, grid: Grid) -> Iterator[Point]:
    """The points of ``grid``, each of which is another circuit than those of fewer bits.

    All layouts of the first network that does not fit are looked at, and those of the others near the one that is found.
    """
    known, near = set[tuple[str, int, int]](), None
    for bits in grid.bits:
        scores: dict[str, tuple[float, ...]] = {}
        for factor in sorted(set(grid.reuse)) or (None,):
            model = {"Bits": asdict(bits), **({} if factor is None else {"ReuseFactor": factor})}
            compiled = compiled_with(source, {"Model": model})
            content = digest(to_text(drop_dead(compiled.program, keep_probes=False)))
            part = target.known_part if factor is None else None
            for layout in layouts(compiled, target, {"Model": model}, part, near):
                near = layout.size.interval if layout.text else near
                circuit = content, layout.size.lut, layout.size.interval
                if circuit in known:
                    continue
                known.add(circuit)
                if content not in scores:
                    scores[content] = yardstick.of_program(compiled.program)
                named = layout.text or (f"ReuseFactor {factor}" if factor is not None else "")
                yield layout.point(bits, compiled, target, yardstick, scores[content], named)


def layouts(
    compiled: Compiled, target: Target, keys: Mapping[str, object], part: Part | None, near: int | None = None
) -> Iterator[Layout]:
    """A network that ``keys`` make as it is laid out, and if that does not fit ``part`` also as ``fit`` would lay it out.

    Reuse factors are sought ``near`` the interval of a network like it.
    """
    directives = directives_of(compiled.network, target)
    size = size_of(compiled.program, directives, target)
    yield Layout(size, directives, keys, target.io_type)
    if part is not None and not fits(size, part):
        choice = reused(compiled.program, directives, target, part, near)
        if choice is not None:
            keys = merged(keys, choice.configuration)
            yield Layout(choice.size, choice.directives, keys, choice.io_type, choice.fit.description)


def slower(compiled: Compiled, target: Target, keys: Mapping[str, object], interval: int) -> Iterator[Layout]:
    """A network that ``keys`` make with the reuse factors that a result every ``interval`` cycles allows; none at 1."""
    own = directives_of(compiled.network, target)
    program = drop_dead(compiled.program, keep_probes=False)
    directives = paced(program, own, interval)
    if interval > 1 and directives.reuse != own.reuse:
        choice = Choice(size_of(program, directives, target), target.known_part, directives)
        keys = merged(keys, choice.configuration)
        yield Layout(choice.size, directives, keys, choice.io_type, choice.fit.description)


def shorter(
    compiled: Compiled, target: Target, keys: Mapping[str, object], part: Part, interval: int
) -> Iterator[Layout]:
    """A network that ``keys`` make with the reuse factors of the least interval below ``interval``, if one fits ``part``."""
    directives, program = directives_of(compiled.network, target), drop_dead(compiled.program, keep_probes=False)
    if sooner := fit.sooner(program, part, directives, target.budget_ns(part.family), interval):
        yield _layout(sooner, keys, part)


def smallest(compiled: Compiled, target: Target, keys: Mapping[str, object], part: Part) -> Layout:
    """A network that ``keys`` make with the reuse factors that crowd ``part`` least, whether it fits or not."""
    directives, program = directives_of(compiled.network, target), drop_dead(compiled.program, keep_probes=False)
    return _layout(obstacle.smallest(program, part, directives), keys, part)


def _layout(found: Fit, keys: Mapping[str, object], part: Part) -> Layout:
    """The layout of reuse factors that were found."""
    choice = Choice(found.size, part, found.directives)
    return Layout(found.size, found.directives, merged(keys, choice.configuration), choice.io_type, found.description)


def merged(keys: Mapping[str, object], more: Mapping[str, object]) -> dict[str, object]:
    """A configuration with the keys of another besides."""
    found = dict(keys)
    for path, value in leaves(more):
        put(found, path, value)
    return found
