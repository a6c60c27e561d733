"""Changes that make a model fit its part: fewer bits, or reuse factors.

In: what a model was compiled from, and its layouts. Out: points, the nearest to what was asked for first. Fewer bits cost
accuracy; reuse factors, and layers that take turns on multipliers, cost cycles and no accuracy.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from bitsmith.base.progress import tell
from bitsmith.compiler import Source
from bitsmith.errors import CapacityError
from bitsmith.errors.remedies import Remedy, build, convert, remedy
from bitsmith.estimate.fit import Fit
from bitsmith.estimate.needs import fits, needs, packed_luts
from bitsmith.estimate.obstacle import Obstacle, crowding, obstacle, way_out
from bitsmith.fidelity.samples import samples
from bitsmith.fidelity.scores import Yardstick
from bitsmith.fidelity.shortfall import LEAST_ERROR
from bitsmith.layers.settings import Bits
from bitsmith.model.points import RESULTS, WEIGHTS, Layouts, Point, compiled_with

_MOST = 8.0
"""Times the part's look-up tables beyond which no bits are tried: a network of few bits has a seventh of those of 16."""

_ROUGH, _ROUGHLY = ("LUT", "DSP"), 2.0
"""Resources of which rough sizes tell enough, and times the room beyond which no circuit is made for an exact size.

In 22 layouts that had 1.00 to 1.38 times the look-up tables, and as many multiplier blocks.
"""

_MOST_TURNS = 1 << 12
"""Reuse factors up to which layers are lowered again."""

_Found = TypeVar("_Found")


def tries_bits(source: Source | None) -> bool:
    """Return True if a network may have other bits: the user chose none for the whole model."""
    return source is not None and source.changed is not None


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


def fewer_bits(source: Source, asked: Layouts) -> Point | None:
    """The bits of weights and results with the least error that make the circuit fit; None without some."""
    if packed_luts(asked.as_asked.size, asked.part) > _MOST * asked.part.die.luts:
        return None

    def fitting(tried: Layouts) -> Fit | None:
        rough = (need.share for need in needs(tried.rough, tried.part) if need.label in _ROUGH)
        if max(rough) > _ROUGHLY:
            return None
        return tried.as_asked if fits(tried.as_asked.size, tried.part) else None

    return _most_exact(source, asked, fitting)


def _most_exact(source: Source, asked: Layouts, tried: Callable[[Layouts], Fit | None]) -> Point | None:
    """The point with the least error of those ``tried`` with other bits; None if the user chose these, or all are of no use."""
    if not tries_bits(source):
        return None
    yardstick = Yardstick.of(source.network, samples(source.network, source.calibration))

    def with_bits(bits: Bits) -> Point | None:
        tell(f"fit: {bits}")
        keys = {"Model": {"Bits": bits.keys}}
        laid_out = Layouts(compiled_with(source, keys), asked.asked, asked.target, None)
        found = tried(laid_out)
        if found is None:
            return None
        return laid_out.point(found, keys, bits).scored(yardstick, yardstick.of_program(laid_out.compiled.program))

    best = min(edge(with_bits), key=lambda point: point.loss, default=None)
    return None if best is None or best.loss > LEAST_ERROR else best


@dataclass(slots=True)
class _Turns:
    """Keys of rising reuse factors of layers that are lowered by them, up to all in turn, and layouts of what they make.

    They are made when somebody asks for them first, and kept.
    """

    source: Source | None
    asked: Layouts
    made: list[tuple[dict[str, object], Layouts]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[dict[str, object], Layouts]]:
        for place in count():
            if place == len(self.made) and (following := self._following()) is not None:
                self.made.append(following)
            if place == len(self.made):
                return
            yield self.made[place]

    def _following(self) -> tuple[dict[str, object], Layouts] | None:
        """Those of twice the factor; None if there is nothing more to gain."""
        names = [node.name for node in self.asked.compiled.network.nodes if node.layer.lowered_by_reuse]
        sizes = [layouts.as_asked.size for layouts in (self.asked, *(layouts for _, layouts in self.made))]
        factor, settled = 1 << len(sizes), sizes[-2:-1] == sizes[-1:] and sizes[-1].interval > 1
        if not names or self.source is None or self.source.changed is None or factor > _MOST_TURNS or settled:
            return None
        tell(f"fit: {', '.join(names)} in {factor} turns")
        keys: dict[str, object] = {"LayerName": {name: {"ReuseFactor": factor} for name in names}}
        return keys, Layouts.of(compiled_with(self.source, keys), self.asked.target)


def _in_turn(asked: Layouts, turns: _Turns) -> Point | None:
    """The point of the least of these factors with which the circuit fits; of the greatest, if others help; None without one."""
    keys, layouts = dict[str, object](), asked
    for keys, layouts in turns:
        if fits(layouts.as_asked.size, asked.part):
            return layouts.point(layouts.as_asked, keys, None)
    found = None if layouts is asked else layouts.fitting()
    return None if found is None else layouts.point(found, keys, None)


def choices(source: Source | None, asked: Layouts, turns: _Turns | None = None) -> Iterator[Point]:
    """Return points that fit, the nearest to the user's request first: fewer bits, reuse factors, or else both.

    Layouts of layers that are lowered again are kept in ``turns``, if there are some.
    """
    narrow = None
    if source is not None:
        narrow = fewer_bits(source, asked)
        if narrow is not None:
            yield narrow
    tell("fit: reuse factors")
    shared = asked.fitting()
    if shared is not None:
        yield asked.point(shared, {}, None)
    elif source is not None:
        in_turn = _in_turn(asked, turns or _Turns(source, asked))
        if in_turn is not None:
            yield in_turn
        both = _most_exact(source, asked, Layouts.fitting)
        if both is not None and (narrow is None or both.configuration != narrow.configuration):
            yield both


def ways_to_fit(source: Source | None, asked: Layouts) -> Iterator[Point | None]:
    """None if the circuit fits as it is, else all :func:`choices`, and when these have run out an error.

    Raises:
        CapacityError: nothing more fits.
    """
    if fits(asked.as_asked.size, asked.part):
        yield None
        return
    turns = _Turns(source, asked)
    yield from choices(source, asked, turns)
    if not asked.asked.valid:
        raise CapacityError(
            f"Interface 'ap_none' takes no reuse factors, without which the circuit does not fit {asked.part.name}",
            where="fit",
            remedy="leave Interface out, or take fewer Bits or a larger part",
        )
    lacking = obstacle_of(
        min(
            (asked, *(layouts for _, layouts in turns)),
            key=lambda layouts: crowding(layouts.as_asked.size, layouts.part),
        )
    )
    raise CapacityError(
        f"no reuse factors make the circuit fit {asked.part.name}: the smallest takes {lacking} (estimated)",
        where="fit",
        remedy=way_out(lacking, asked.part, tried_bits=tries_bits(source)),
    )


def obstacle_of(asked: Layouts) -> Obstacle:
    """The resource and the layer that keep a program from fitting its part."""
    tell("fit: what is in the way")
    return obstacle(asked.program, asked.part, asked.asked)


def what_fits(source: Source | None, asked: Layouts) -> Remedy:
    """Return all :func:`choices` in words, or what the user may do where there are none."""
    tried_bits = tries_bits(source)
    return ways_out(choices(source, asked), lambda: way_out(obstacle_of(asked), asked.part, tried_bits=tried_bits))


def ways_out(found: Iterable[Point], otherwise: Callable[[], Remedy]) -> Remedy:
    """Return what the user may do, with configurations to paste; ``otherwise`` if nothing was found."""
    listed = list(found)
    lines = [remedy(f"{point}: ", point.argued) for point in listed]
    lines += [remedy(point.margin) for point in listed if point.margin]
    if any(point.bits is not None for point in listed):
        lines.append(remedy(convert(fit=True), " takes the first of these by itself"))
    if any(point.bits is None for point in listed):
        lines.append(remedy(build(fit=True), " takes the reuse factors, which change no result"))
    lines += [] if listed else [otherwise()]
    verified, forced = build(synth=False), build(force=True)
    last = remedy(verified, " verifies the circuit all the same; ", forced, " runs the tools")
    return remedy(*(part for line in lines for part in (line, "\n    ")), last)
