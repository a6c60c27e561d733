"""Changes that make a model fit its part: fewer bits, or reuse factors.

In: what a model was compiled from, and its layouts. Out: points, the nearest to what was asked for first. Fewer bits cost
accuracy; reuse factors, and layers that take turns on multipliers, cost cycles and no accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from typing import TypeVar

from bitsmith.base.progress import tell
from bitsmith.compiler import Source
from bitsmith.errors import CapacityError
from bitsmith.errors.remedies import Remedy, build, convert, remedy
from bitsmith.estimate.fit import Fit, fits, packed_luts
from bitsmith.estimate.obstacle import Obstacle, crowding, obstacle, way_out
from bitsmith.fidelity.judgement import LEAST_ERROR
from bitsmith.fidelity.samples import samples
from bitsmith.fidelity.scores import Yardstick
from bitsmith.layers.settings import Bits
from bitsmith.model.points import RESULTS, WEIGHTS, Layouts, Point, compiled_with

_MOST = 8.0
"""Times the part's look-up tables beyond which no bits are tried: a network of few bits has a seventh of those of 16."""

_MOST_TURNS = 1 << 12
"""Reuse factors up to which layers are lowered again."""

_Found = TypeVar("_Found")


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
    if packed_luts(asked.as_asked.size, asked.part) > _MOST * asked.part.luts:
        return None
    return _most_exact(source, asked, lambda tried: tried.as_asked if fits(tried.as_asked.size, tried.part) else None)


def _most_exact(source: Source, asked: Layouts, tried: Callable[[Layouts], Fit | None]) -> Point | None:
    """The point with the least error of those ``tried`` with other bits; None if the user chose these, or all are of no use."""
    if source.changed is None:
        return None
    yardstick = Yardstick.of(source.network, samples(source.network, source.calibration))

    def with_bits(bits: Bits) -> Point | None:
        tell(f"fit: {bits}")
        keys = {"Model": {"Bits": asdict(bits)}}
        laid_out = replace(asked, compiled=compiled_with(source, keys))
        found = tried(laid_out)
        if found is None:
            return None
        return laid_out.point(found, keys, bits).scored(yardstick, yardstick.of_program(laid_out.compiled.program))

    best = min(edge(with_bits), key=lambda point: point.loss, default=None)
    return None if best is None or best.loss > LEAST_ERROR else best


def _lowered_again(source: Source, asked: Layouts) -> Iterator[tuple[dict[str, object], Layouts]]:
    """Keys of rising reuse factors of layers that are lowered by them, up to all in turn, and layouts of what they make."""
    names = [node.name for node in asked.compiled.network.nodes if node.layer.lowered_by_reuse]
    factor, size = 2, asked.as_asked.size
    while names and source.changed is not None and factor <= _MOST_TURNS:
        tell(f"fit: {', '.join(names)} in {factor} turns")
        keys: dict[str, object] = {"LayerName": {name: {"ReuseFactor": factor} for name in names}}
        layouts = Layouts.of(compiled_with(source, keys), asked.target)
        yield keys, layouts
        if layouts.as_asked.size == size and size.interval > 1:
            return
        factor, size = 2 * factor, layouts.as_asked.size


def _in_turn(source: Source, asked: Layouts) -> Point | None:
    """The point of the least of these factors with which the circuit fits; of the greatest, if others help; None without one."""
    keys, layouts = dict[str, object](), asked
    for keys, layouts in _lowered_again(source, asked):
        if fits(layouts.as_asked.size, asked.part):
            return layouts.point(layouts.as_asked, keys, None)
    found = None if layouts is asked else layouts.fitting()
    return None if found is None else layouts.point(found, keys, None)


def choices(source: Source | None, asked: Layouts) -> Iterator[Point]:
    """Return points that fit, the nearest to the user's request first: fewer bits, reuse factors, or else both."""
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
        in_turn = _in_turn(source, asked)
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
    yield from choices(source, asked)
    able = [asked, *(() if source is None else (layouts for _, layouts in _lowered_again(source, asked)))]
    lacking = obstacle_of(min(able, key=lambda layouts: crowding(layouts.as_asked.size, layouts.part)))
    raise CapacityError(
        f"no reuse factors make the circuit fit {asked.part.name}: the smallest takes {lacking} (estimated)",
        where="fit",
        remedy=way_out(lacking, asked.part),
    )


def obstacle_of(asked: Layouts) -> Obstacle:
    """The resource and the layer that keep a program from fitting its part."""
    tell("fit: what is in the way")
    return obstacle(asked.program, asked.part, asked.asked)


def ways_out(found: Iterable[Point]) -> Remedy:
    """Return what the user may do, with configurations to paste."""
    listed = list(found)
    lines = [remedy(f"{point}: ", point.argued) for point in listed]
    lines += [remedy(point.margin) for point in listed if point.margin]
    if any(point.bits is not None for point in listed):
        lines.append(remedy(convert(fit=True), " takes the first of these by itself"))
    if any(point.bits is None for point in listed):
        lines.append(remedy(build(fit=True), " takes the reuse factors, which change no result"))
    lines += [] if listed else [remedy("a larger part, fewer bits, more pruning")]
    verified, forced = build(synth=False), build(force=True)
    last = remedy(verified, " verifies the circuit all the same; ", forced, " runs the tools")
    return remedy(*(part for line in lines for part in (line, "\n    ")), last)
