"""Circuits of one model: their networks, how these are laid out, and what test data say of them.

In: what a model was compiled from, a target, and a yardstick. Out: points, made by the compiler that every conversion takes, and
where a circuit does not fit with the layout that ``fit`` takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Protocol

from bitsmith.base.project import digest
from bitsmith.building.job import Target, circuit_program, directives_of
from bitsmith.compiler import Compiled, Source, compile_network
from bitsmith.config.reading import leaves, put
from bitsmith.config.values import IOType, blocks_value
from bitsmith.devices.family import Part
from bitsmith.errors.remedies import Call, given
from bitsmith.estimate import fit, obstacle
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import Fit, fastest_in_turn, in_turn, paced, proposal
from bitsmith.estimate.needs import fits, packed_luts
from bitsmith.estimate.size import Possible, estimate_layout, guess_layout
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Bits, Settings, Strategy
from bitsmith.mapping.directives import Directives, require_pipeline
from bitsmith.passes.program import drop_dead

WEIGHTS, RESULTS = (3, 4, 5, 6, 8, 10, 16), (6, 7, 8, 10, 12, 16)
"""Bits that are tried."""


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


class Translated(Protocol):
    """A network and its program: what was compiled, or a model."""

    @property
    def network(self) -> Network:
        """The layers with their settings."""

    @property
    def program(self) -> Program:
        """The exact meaning of the network."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on choices that the user should know of."""


@dataclass(frozen=True, slots=True)
class Point:
    """A circuit.

    Attributes:
        compiled: its network and program.
        fit: how it is laid out, about how large it is, and the cycles from one result to the next.
        part: what it is to fit, with room for routing.
        configuration: the keys that make it, besides the user's.
        layout: what reuse factors there are, in the words of the configuration; empty where they are the user's.
        bits: those of the whole model; None: the user's.
        own: the bits of layers that have others than the whole model.
        scores: what test data say of each output with labels; empty where none were asked.
        score: the same in one number, in units of the yardstick.
        loss: how much worse than the float model's score that is.
        fitting: scores on the data that were fitted on.
        excess: by how much the metric is worse than a goal allows, on the worse of both parts of the data.
        latency: cycles from a sample to its result; None where no goal wants them.
        clock_ps: the period that is reached even if its estimate is as wrong as it ever was; None where no goal wants it.
    """

    compiled: Translated
    fit: Fit
    part: Part
    configuration: Mapping[str, object]
    layout: str
    bits: Bits | None
    own: Mapping[str, Bits] = field(default_factory=dict)
    scores: tuple[float, ...] = ()
    score: float = 0.0
    loss: float = 0.0
    fitting: tuple[float, ...] = ()
    excess: float = 0.0
    latency: int | None = None
    clock_ps: int | None = None

    def scored(self, yardstick: Yardstick, scores: tuple[float, ...]) -> Point:
        """The circuit with what the test data of ``yardstick`` say of it."""
        return replace(self, scores=scores, score=yardstick.total(scores), loss=yardstick.loss(scores))

    @property
    def size(self) -> Size:
        """About how large it is, and the cycles from one result to the next."""
        return self.fit.size

    @property
    def fits(self) -> bool:
        """Return True if that is within the part, with room for routing."""
        return fits(self.size, self.part)

    @property
    def figures(self) -> dict[str, int]:
        """Area and speed, by the names of the bounds of goals."""
        size = self.size
        area = {"lut": packed_luts(size, self.part), "ff": size.ff, "dsp": size.dsp, "bram": size.bram}
        wanted = {"latency": self.latency, "clock_ps": self.clock_ps}
        return {**area, "interval": size.interval, **{name: most for name, most in wanted.items() if most is not None}}

    def rank(self, minimized: str) -> tuple[float, ...]:
        """The figure that is to be least, and then interval, area and loss: of several points the least rank is the best."""
        figures = self.figures
        return figures[minimized], figures["interval"], figures["lut"], self.loss

    @property
    def io_type(self) -> IOType:
        """Way in which data enter and leave the circuit."""
        return IOType.PARALLEL if self.fit.directives.parallel else IOType.STREAM

    @property
    def text(self) -> str:
        """The bits in words."""
        weight, result = self.ranges
        return f"{weight} bits of weights and {result} of results" if self.own else str(self.bits)

    @property
    def ranges(self) -> tuple[str, str]:
        """The bits of weights, and of results, from the least to the most of all layers."""
        every = [bits for bits in (self.bits, *self.own.values()) if bits is not None]
        return _range([bits.weight for bits in every]), _range([bits.result for bits in every])

    @property
    def argued(self) -> Call:
        """The arguments that make it, besides the user's."""
        if not self.layout:
            return given(config=self.configuration)
        return given(config=self.configuration, io_type=self.io_type.value)

    @property
    def note(self) -> str:
        """Note in reports of what was chosen to fit."""
        effect = "no result changes" if self.bits is None else "results are less accurate"
        return f"Chosen to fit {self.part.name}: {self}; {effect}.{f' {self.margin}' if self.margin else ''}"

    @property
    def margin(self) -> str:
        """Text on the resources left for routing, and the faster layout without them; empty if none are."""
        faster = self.fit.faster
        if faster is None:
            return ""
        blocks = f"{faster.size.dsp:,} instead of {self.size.dsp:,} of {self.part.die.dsps:,} multiplier blocks"
        return (
            f"{faster.description} is faster and fits, too, with {blocks}, more than half of which may not be routed."
        )

    def network(self, network: Network) -> Network:
        """A compiled network with the reuse factors, and the strategy if layers take turns."""

        def chosen(name: str, settings: Settings) -> Settings:
            strategy = Strategy.SHARED if self.fit.in_turn else settings.strategy
            strategy = Strategy(self.fit.styles[name].value) if name in self.fit.styles else strategy
            return replace(settings, reuse_factor=self.fit.directives.reuse_factor(name), strategy=strategy)

        return network.with_nodes([replace(node, settings=chosen(node.name, node.settings)) for node in network.nodes])

    def __str__(self) -> str:
        said = [] if self.bits is None else [str(self.bits)]
        said += [self.fit.description] if self.fit.reuse or not self.fit.directives.parallel else []
        pace = f", a result every {self.size.interval:,} cycles" if self.size.interval > 1 else ""
        return f"{', '.join(said)} (about {packed_luts(self.size, self.part):,} of {self.part.die.luts:,} LUTs{pace})"


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Layouts:
    """Layouts of a network for a target: the one that is ``asked`` for, and others with reuse factors that are sought."""

    compiled: Translated
    asked: Directives
    target: Target
    known: Size | None

    @staticmethod
    def of(compiled: Translated, target: Target, known: Size | None = None) -> Layouts:
        """The layouts of a network whose settings say what is asked for, the size of which may be ``known``."""
        return Layouts(compiled, directives_of(compiled.network, target), target, known)

    @cached_property
    def program(self) -> Program:
        """The program of a frame, without results that no output needs."""
        return drop_dead(circuit_program(self.compiled.program, self.target), keep_probes=False)

    @property
    def part(self) -> Part:
        """The target's part."""
        return self.target.known_part

    @property
    def budget_ns(self) -> float:
        """The time of a stage."""
        return self.target.budget_ns(self.part.family)

    @cached_property
    def rough(self) -> Size:
        """The size of what is asked for, roughly."""
        return guess_layout(self.program, self.asked, self.part.family, self.budget_ns)

    @cached_property
    def as_asked(self) -> Fit:
        """The layout that is asked for."""
        return self._laid_out(self.asked) if self.known is None else Fit(self.asked, self.known, {}, None)

    def _laid_out(self, directives: Directives) -> Fit:
        return Fit(directives, size_of(self.program, directives, self.target), {}, None)

    def fitting(self, part: Part | None = None, near: int | None = None) -> Fit | None:
        """Reuse factors with which the circuit fits ``part``, or the target's, without any loss of accuracy; None without some.

        Of layers beside each other, or if these do not fit, in turn; first in turn if that was asked for, or is as fast as asked
        for. Intervals ``near`` that of a program like it are looked at first. What is to have no valid signals has no factors.
        """
        if not self.asked.valid:
            return None
        part, layout = part or self.part, None
        if any(factor > 1 for factor in self.asked.reuse.values()):
            layout = in_turn(self.program, part, self.asked, self.budget_ns)
        if layout is None and not self.asked.engine:
            layout = proposal(self.program, part, self.asked, self.budget_ns, near)
        layout = layout or fastest_in_turn(self.program, part, self.asked, self.budget_ns)
        if layout is None and self.asked.engine:
            layout = proposal(self.program, part, self.asked, self.budget_ns, near)
        return layout

    def ways(self, part: Part, near: int | None = None) -> Iterator[Fit]:
        """The layout that is asked for, and if that does not fit ``part`` also the one that ``fit`` would take, as `fitting`."""
        yield self.as_asked
        if not fits(self.as_asked.size, part) and (found := self.fitting(part, near)) is not None:
            yield found

    def slower(self, interval: int) -> Iterator[Fit]:
        """The layout with the reuse factors that a result every ``interval`` cycles allows; none at 1."""
        directives = paced(self.program, self.asked, interval)
        if interval > 1 and directives.reuse != self.asked.reuse:
            yield self._laid_out(directives)

    def sooner(self, part: Part, below: int) -> Iterator[Fit]:
        """The layouts with the least interval ``below`` some cycles that fit ``part``, of layers side by side and in turn."""
        in_tokens = fit.sooner(self.program, part, self.asked, self.budget_ns, below)
        if in_tokens is not None:
            yield in_tokens
            below = in_tokens.size.interval
        turns = fastest_in_turn(self.program, part, replace(self.asked, parallel=False), self.budget_ns)
        if turns is not None and turns.size.interval < below:
            yield turns

    def pace(self, part: Part, near: float) -> float:
        """About the least interval with which it has room in ``part``; that of a network like it is ``near``."""
        return self.rough.interval if fits(self.rough, part) else fit.pace(self.program, part, self.asked, near)

    def slowest(self, part: Part) -> list[Fit]:
        """The layouts of tokens with the greatest reuse factors, side by side and in turn, whether they fit ``part`` or not."""
        return obstacle.slowest_ways(self.program, part, self.asked)

    def smallest(self, part: Part) -> Fit:
        """The layout with the reuse factors that crowd ``part`` least, whether it fits or not."""
        return obstacle.smallest(self.program, part, self.asked)

    def point(self, layout: Fit, keys: Mapping[str, object], bits: Bits | None) -> Point:
        """The circuit of a layout of a network that ``keys`` make; those of factors and memories that were sought follow."""
        bram = self.target.bram
        keys = keys if bram is None else merged(keys, {"Model": {"BRAM": blocks_value(bram)}})
        if layout.directives == self.asked:
            return Point(self.compiled, layout, self.part, keys, "", bits)
        return Point(
            self.compiled, layout, self.part, merged(keys, keys_of(layout, self.asked)), layout.description, bits
        )


def keys_of(layout: Fit, asked: Directives) -> dict[str, object]:
    """The keys of a configuration that lay a circuit out so, beside those of what was ``asked`` for."""
    same = layout.of_all if layout.in_turn else None
    model = {"Strategy": Strategy.SHARED.value} if layout.in_turn else {}
    if same is not None:
        return {"Model": {**model, "ReuseFactor": same}}
    layers: dict[str, dict[str, object]] = {
        name: {"ReuseFactor": factor}
        for name, factor in layout.directives.reuse.items()
        if factor > 1 or asked.reuse_factor(name) > 1
    }
    for name, style in layout.styles.items():
        layers.setdefault(name, {})["Strategy"] = Strategy(style.value).value
    return {key: value for key, value in (("Model", model), ("LayerName", layers)) if value}


def size_of(program: Program, directives: Directives, target: Target, possible: Possible = None) -> Size:
    """The expected size of a program's circuit, with stages as the clock of ``target`` wants them, as `estimate_layout`."""
    family, program = target.known_part.family, drop_dead(program, keep_probes=False)
    return estimate_layout(program, directives, family, target.budget_ns(family), possible)


def compiled_with(source: Source, keys: Mapping[str, object]) -> Compiled:
    """The network with ``keys`` of a configuration besides the user's, as a conversion makes it."""
    assert source.changed is not None
    return compile_network(source.changed(keys), source.calibration, source.known)


def points(source: Source, target: Target, yardstick: Yardstick, grid: Grid) -> Iterator[Point]:
    """The points of ``grid``, each of which is another circuit than those of fewer bits.

    All layouts of the first network that does not fit are looked at, and those of the others near the one that is found.

    Raises:
        ConfigError: reuse factors that the target's interface or latency forbids.
    """
    known, near = set[tuple[str, int, int]](), None
    for bits in grid.bits:
        scores: dict[str, tuple[float, ...]] = {}
        for factor in sorted(set(grid.reuse)) or (None,):
            keys = {"Model": {"Bits": bits.keys, **({} if factor is None else {"ReuseFactor": factor})}}
            laid_out = Layouts.of(compiled_with(source, keys), target)
            require_pipeline(laid_out.program, replace(laid_out.asked, block=laid_out.part.family.delays.block))
            content = digest(to_text(laid_out.program))
            for layout in laid_out.ways(laid_out.part, near) if factor is None else (laid_out.as_asked,):
                near = near if layout is laid_out.as_asked else layout.size.interval
                circuit = content, layout.size.lut, layout.size.interval
                if circuit in known:
                    continue
                known.add(circuit)
                if content not in scores:
                    scores[content] = yardstick.of_program(laid_out.compiled.program)
                point = laid_out.point(layout, keys, bits).scored(yardstick, scores[content])
                yield point if factor is None else replace(point, layout=f"ReuseFactor {factor}")


def merged(keys: Mapping[str, object], more: Mapping[str, object]) -> dict[str, object]:
    """A configuration with the keys of another besides."""
    found = dict(keys)
    for path, value in leaves(more):
        put(found, path, value)
    return found
