"""Changes that make a model fit its part: fewer bits, or reuse factors.

In: the network as it was configured, its program, and what is wanted of its layout. Out: choices, each with its size and as a
configuration. Fewer bits cost accuracy; reuse factors, and layers that take turns on multipliers, cost cycles and no accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from bitsmith.base.progress import tell
from bitsmith.building.job import Target
from bitsmith.compiler import Compiled, Source, compile_network
from bitsmith.config import IOType
from bitsmith.devices import Part
from bitsmith.errors import CapacityError
from bitsmith.errors.remedies import Call, Remedy, build, convert, given, remedy
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import Fit, fastest_in_turn, fits, in_turn, packed_luts, proposal
from bitsmith.estimate.obstacle import Obstacle, obstacle, way_out
from bitsmith.estimate.size import estimate_layout
from bitsmith.fidelity.judgement import LEAST_ERROR
from bitsmith.fidelity.samples import samples
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.program import Program
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Bits, Settings, Strategy
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead

WEIGHTS, RESULTS = (3, 4, 5, 6, 8, 10, 16), (6, 7, 8, 10, 12, 16)
"""Bits that are tried."""

_MOST = 8.0
"""Times the part's look-up tables beyond which no bits are tried: a network of few bits has a seventh of those of 16."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to fit a part.

    Attributes:
        size: what follows.
        part: that it fits.
        directives: the layout.
        bits: of the budget, if not the user's; ``compiled`` is the program with them, ``error`` its mean error.
        faster: a layout that fits, too, but crowds the multiplier blocks.
    """

    size: Size
    part: Part
    directives: Directives
    bits: Bits | None = None
    compiled: Compiled | None = None
    error: float = 0.0
    faster: Fit | None = None

    @property
    def fit(self) -> Fit:
        """The layout with its size."""
        return Fit(self.directives, self.size)

    @property
    def io_type(self) -> IOType:
        """Way in which data enter and leave the circuit."""
        return IOType.PARALLEL if self.directives.parallel else IOType.STREAM

    @property
    def configuration(self) -> dict[str, object]:
        """The keys of the configuration that say it."""
        model: dict[str, object] = {} if self.bits is None else {"Bits": asdict(self.bits)}
        same = self.fit.of_all if self.fit.in_turn else None
        if self.fit.in_turn:
            model |= {"Strategy": Strategy.SHARED.value} | ({} if same is None else {"ReuseFactor": same})
        chosen: dict[str, object] = {"Model": model} if model else {}
        if self.fit.reuse and same is None:
            chosen["LayerName"] = {name: {"ReuseFactor": factor} for name, factor in self.fit.reuse.items()}
        return chosen

    @property
    def argued(self) -> Call:
        """The arguments that say it."""
        if self.directives.parallel:
            return given(config=self.configuration)
        return given(config=self.configuration, io_type=IOType.STREAM.value)

    @property
    def note(self) -> str:
        """Note in reports."""
        effect = "no result changes" if self.bits is None else "results are less accurate"
        return f"Chosen to fit {self.part.name}: {self}; {effect}.{f' {self.margin}' if self.margin else ''}"

    @property
    def margin(self) -> str:
        """Text on the resources left for routing, and the faster layout without them; empty if none are."""
        if self.faster is None:
            return ""
        blocks = f"{self.faster.size.dsp:,} instead of {self.size.dsp:,} of {self.part.dsps:,} multiplier blocks"
        return f"{self.faster.description} is faster and fits, too, with {blocks}, more than half of which may not be routed."

    def network(self, network: Network) -> Network:
        """A compiled network with the reuse factors, and the strategy if layers take turns."""

        def chosen(name: str, settings: Settings) -> Settings:
            strategy = Strategy.SHARED if self.fit.in_turn else settings.strategy
            return replace(settings, reuse_factor=self.directives.reuse_factor(name), strategy=strategy)

        return network.with_nodes([replace(node, settings=chosen(node.name, node.settings)) for node in network.nodes])

    def __str__(self) -> str:
        said = [] if self.bits is None else [str(self.bits)]
        said += [self.fit.description] if self.fit.reuse or not self.directives.parallel else []
        packed = packed_luts(self.size, self.part)
        return f"{', '.join(said)} (about {packed:,} of {self.part.luts:,} LUTs)"


def size_of(program: Program, directives: Directives, target: Target) -> Size:
    """The expected size of a program's circuit, with stages as the clock of ``target`` wants them."""
    family = target.known_part.family
    return estimate_layout(drop_dead(program, keep_probes=False), directives, family, target.budget_ns(family))


def compiled_with(source: Source, keys: Mapping[str, object]) -> Compiled:
    """The network with ``keys`` of a configuration besides the user's, as a conversion makes it."""
    assert source.changed is not None
    return compile_network(source.changed(keys), source.calibration)


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


def fewer_bits(source: Source, size: Size, directives: Directives, target: Target) -> Choice | None:
    """The bits of weights and results with the least error that make the circuit fit; None without some."""
    part = target.known_part
    if packed_luts(size, part) > _MOST * part.luts:
        return None

    def tried(compiled: Compiled) -> Choice | None:
        found = size_of(compiled.program, directives, target)
        return Choice(found, part, directives) if fits(found, part) else None

    return _most_exact(source, tried)


def _most_exact(source: Source, tried: Callable[[Compiled], Choice | None]) -> Choice | None:
    """The choice with the least error of those ``tried`` with other bits; None if the user chose these, or all are of no use."""
    if source.changed is None:
        return None
    yardstick = Yardstick.of(source.network, samples(source.network, source.calibration))

    def with_bits(bits: Bits) -> Choice | None:
        tell(f"fit: {bits}")
        compiled = compiled_with(source, {"Model": {"Bits": asdict(bits)}})
        found = tried(compiled)
        if found is None:
            return None
        return replace(
            found, bits=bits, compiled=compiled, error=yardstick.loss(yardstick.of_program(compiled.program))
        )

    best = min(edge(with_bits), key=lambda choice: choice.error, default=None)
    return None if best is None or best.error > LEAST_ERROR else best


def reused(
    program: Program, directives: Directives, target: Target, part: Part | None = None, near: int | None = None
) -> Choice | None:
    """Reuse factors with which the circuit fits ``part``, or the target's, without any loss of accuracy; None without some.

    Of layers beside each other, or if these do not fit, in turn; in turn, too, if that was asked for, or is as fast as asked for.
    Intervals ``near`` that of a program like it are looked at first.
    """
    part, program = part or target.known_part, drop_dead(program, keep_probes=False)
    budget_ns = target.budget_ns(part.family)
    found = None
    if any(factor > 1 for factor in directives.reuse.values()):
        found = in_turn(program, part, directives, budget_ns)
    if found is None and not directives.engine:
        found = proposal(program, part, directives, budget_ns, near)
    found = found or fastest_in_turn(program, part, directives, budget_ns)
    return None if found is None else Choice(found.size, part, found.directives, faster=found.faster)


def choices(source: Source | None, program: Program, directives: Directives, target: Target) -> Iterator[Choice]:
    """Return choices that fit, the nearest to the user's request first: fewer bits, reuse factors, or else both."""
    narrow = None
    if source is not None:
        narrow = fewer_bits(source, size_of(program, directives, target), directives, target)
        if narrow is not None:
            yield narrow
    tell("fit: reuse factors")
    shared = reused(program, directives, target)
    if shared is not None:
        yield shared
    elif source is not None:
        both = _most_exact(source, lambda compiled: reused(compiled.program, directives, target))
        if both is not None and (narrow is None or both.configuration != narrow.configuration):
            yield both


def ways_to_fit(source: Source, program: Program, directives: Directives, target: Target) -> Iterator[Choice | None]:
    """None if the circuit fits as it is, else all :func:`choices`, and when these have run out an error.

    Raises:
        CapacityError: nothing more fits.
    """
    size = size_of(program, directives, target)
    part = target.known_part
    if fits(size, part):
        yield None
        return
    yield from choices(source, program, directives, target)
    raise nothing_fits(program, directives, part)


def layout_that_fits(program: Program, directives: Directives, target: Target) -> Choice | None:
    """Reuse factors with which the circuit fits; None if it fits as it is.

    Raises:
        CapacityError: there are none.
    """
    size = size_of(program, directives, target)
    part = target.known_part
    if fits(size, part):
        return None
    found = reused(program, directives, target)
    if found is None:
        raise nothing_fits(program, directives, part)
    return found


def obstacle_of(program: Program, directives: Directives, part: Part) -> Obstacle:
    """The resource and the layer that keep a program from fitting ``part``."""
    tell("fit: what is in the way")
    return obstacle(drop_dead(program, keep_probes=False), part, directives)


def nothing_fits(program: Program, directives: Directives, part: Part) -> CapacityError:
    """The error of a program that no choice fits into its part."""
    lacking = obstacle_of(program, directives, part)
    return CapacityError(
        f"no reuse factors make the circuit fit {part.name}: the smallest takes {lacking} (estimated)",
        where="fit",
        remedy=way_out(lacking, part),
    )


def ways_out(found: Iterable[Choice]) -> Remedy:
    """Return what the user may do, with configurations to paste."""
    listed = list(found)
    lines = [remedy(f"{choice}: ", choice.argued) for choice in listed]
    lines += [remedy(choice.margin) for choice in listed if choice.margin]
    if any(choice.bits is not None for choice in listed):
        lines.append(remedy(convert(fit=True), " takes the first of these by itself"))
    if any(choice.bits is None for choice in listed):
        lines.append(remedy(build(fit=True), " takes the reuse factors, which change no result"))
    lines += [] if listed else [remedy("a larger part, fewer bits, more pruning")]
    verified, forced = build(synth=False), build(force=True)
    last = remedy(verified, " verifies the circuit all the same; ", forced, " runs the tools")
    return remedy(*(part for line in lines for part in (line, "\n    ")), last)
