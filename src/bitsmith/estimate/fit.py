"""Reuse factors with which a program fits a part.

In: a program, a part, and what its products are made of. Out: the least interval between samples whose circuit is estimated to
fit, and the reuse factors for it. Method: bisection over the interval for the first with nearly room, and a look at each after
it; FIFOs take longest to plan, and come last. A layer that multiplies at ``k`` positions after one another may take a ``k``-th of
the interval for each. Areas hardly grow with the interval, since more cycles admit every layout of fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, product
from types import MappingProxyType
from typing import TypeVar

from bitsmith.devices.family import Part
from bitsmith.estimate.bisection import first_around, first_step, first_with_room
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import fits, limited, needs
from bitsmith.estimate.products import products_of
from bitsmith.estimate.size import Possible, estimate_layout, plans_long
from bitsmith.ir.program import Program
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import regions_of
from bitsmith.mapping.folding import MultiplierStyle, weights_of

_ROUTED_BLOCKS = 0.5
"""The share of multiplier blocks that nextpnr can route: these are in few rows, where wires crowd (decision 22)."""

_STEPS_PER_OCTAVE = 4

_STEEP = 4
"""Power of what the shortest interval lacks by which it counts as longer."""

_NEARLY = 1.25
"""Times the room within which needs may rise from one interval to a longer one, as multipliers become of another kind."""

_FAR = 4
"""Times what there is that many tokens take at least where whole tensors need no look."""

_LOOKED = 3
"""Intervals that are looked at with their FIFOs before the longest one is: mostly one has room. One where that takes long."""

_Way = TypeVar("_Way")


@dataclass(frozen=True, slots=True)
class Fit:
    """A layout that is estimated to fit. ``reuse`` names the layers with a reuse factor above 1.

    ``styles``: what products are made of where that was not asked for: adder graphs, which leave multiplier blocks to others, or
    the cheapest of layers without an engine that they could share. ``faster``: one that fits, too, but takes more of these
    blocks than are routed without trouble.
    """

    directives: Directives
    size: Size
    styles: Mapping[str, MultiplierStyle]
    faster: Fit | None

    @property
    def reuse(self) -> Mapping[str, int]:
        """Reuse factors by layer."""
        return {name: factor for name, factor in self.directives.reuse.items() if factor > 1}

    @property
    def in_turn(self) -> bool:
        """Return True if layers take turns on the multipliers of an engine."""
        return bool(self.directives.engine)

    @property
    def of_all(self) -> int | None:
        """The reuse factor of all layers; None if it is not the same."""
        factors = set(self.directives.reuse.values())
        return factors.pop() if len(factors) == 1 else None

    @property
    def description(self) -> str:
        """The choice, in the words of the configuration."""
        factors = ", ".join(f"{name}: {factor}" for name, factor in self.reuse.items())
        everywhere = self.directives.parallel or self.in_turn or self.size.shares.keys() <= self.reuse.keys()
        same = len(set(self.reuse.values())) == 1 and everywhere
        chosen = (
            f"ReuseFactor {next(iter(self.reuse.values()))} for the model" if same else f"ReuseFactor {factors or 1}"
        )
        chosen = f"Strategy Shared and {chosen}" if self.in_turn else chosen
        for style in dict.fromkeys(self.styles.values()):
            layers = [name for name, changed in self.styles.items() if changed is style]
            some = "" if self.size.shares.keys() - {""} <= {*layers} else f" for {', '.join(layers)}"
            chosen += f", Strategy {style.value.capitalize()}{some}"
        return f"{'io_parallel' if self.directives.parallel else 'io_stream'} with {chosen}"


def _has_room(size: Size, part: Part, blocks: float) -> bool:
    """Return True if a circuit fits into the share ``blocks`` of the multiplier blocks."""
    return fits(size, part) and size.dsp <= blocks * part.die.dsps


def _with_margin(part: Part, ways: Sequence[_Way], search: Callable[[_Way, float], Fit | None]) -> Fit | None:
    """The layout that a ``search`` finds for the first of ``ways`` that has one.

    It may take all multiplier blocks, or the share that is routed, then with the faster layout beside it. Where that share is
    too little, the layout crowds the blocks.
    """

    def fitted(blocks: float) -> Fit | None:
        return next(filter(None, (search(way, blocks) for way in ways)), None)

    fastest = fitted(1.0)
    if fastest is None or fastest.size.dsp <= _routed(part) * part.die.dsps:
        return fastest
    routed = fitted(_routed(part))
    return fastest if routed is None else replace(routed, faster=fastest)


def proposal(program: Program, part: Part, directives: Directives, budget_ns: float, near: int | None) -> Fit | None:
    """The fastest layout of ``program`` that fits ``part``, of whole tensors if one does, else of tokens; None without one.

    Where nextpnr routes the part, layouts that crowd the multiplier blocks are taken if no other fits. Nothing of ``directives``
    changes but reuse factors, and whether tensors come whole; no layers share an engine. The interval of a program like it may be
    ``near``.
    """
    styles = dict.fromkeys(sorted(directives.engine), MultiplierStyle.CHEAPEST)
    apart = replace(directives, reuse={}, engine=frozenset(), products={**directives.products, **styles})
    kinds = (False,) if only_in_tokens(program, part, apart) else (True, False)
    ways = [_Paces.of(program, part, replace(apart, parallel=parallel), styles) for parallel in kinds]
    return _with_margin(part, ways, lambda way, blocks: way.fastest(blocks, budget_ns, near))


def only_in_tokens(program: Program, part: Part, directives: Directives) -> bool:
    """Return True if whole tensors need no look: tokens are many, each of which they would hold, and lack room by far."""
    least = slowest(program, part, replace(directives, parallel=False), _never)
    far = max(need.share for need in needs(least.size, part)) > _FAR
    return far and plans_long(program, least.directives, part.family)


def sooner(program: Program, part: Part, directives: Directives, budget_ns: float, below: int) -> Fit | None:
    """The fastest layout of tokens with an interval ``below`` some cycles that fits ``part``; None without one.

    Every interval with nearly enough look-up tables is looked at: bisection misses layouts where a shorter interval takes fewer
    multiplier blocks, registers or memories. Layers that are adder graphs at the first of these intervals may be so at all.
    """
    paces, share = _Paces.of(program, part, replace(directives, reuse={}, parallel=False)), _routed(part)
    first = paces.roomy()
    for step, way in product(range(first, _step(below)), paces.ways(first)):
        if _has_room(way.laid_out(step, possible=way.nearly).size, part, share):
            found = way.laid_out(step, budget_ns)
            if found.size.interval < below and _has_room(found.size, part, share):
                return found
    return None


def pace(program: Program, part: Part, directives: Directives, near: float) -> float:
    """About the least interval of tokens with room in ``part``, as far as rough sizes tell, sought from ``near`` on."""
    paces, least = _Paces.of(program, part, replace(directives, reuse={}, parallel=False)), math.inf
    routed = limited(part, {"dsp": int(_routed(part) * part.die.dsps)})
    for way in reversed(paces.ways(paces.least)):
        least = min(least, way.pace(routed, near, least))
    return least


def _routed(part: Part) -> float:
    """The share of the multiplier blocks of a part that are routed without trouble."""
    return _ROUTED_BLOCKS if part.family.place_and_route else 1.0


@dataclass(frozen=True, slots=True)
class _Paces:
    """Layouts of a program by their intervals, in steps of a fraction of an octave from ``least`` to ``most``.

    Rough estimates, without circuits of token functions, are kept, and those that lack FIFOs, too, in ``bare``.
    """

    program: Program
    part: Part
    wanted: Directives
    layers: Mapping[str, tuple[int, int]]
    least: int
    most: int
    rough: dict[int, Fit]
    bare: dict[int, Fit]
    styles: Mapping[str, MultiplierStyle]

    @staticmethod
    def of(
        program: Program, part: Part, wanted: Directives, styles: Mapping[str, MultiplierStyle] = MappingProxyType({})
    ) -> _Paces:
        """The layouts of ``program`` with all reuse factors; ``styles`` are those of ``wanted`` that were not asked for."""
        layers = products_of(program, wanted)
        least = 0 if wanted.parallel else _step(max((tokens for tokens, _ in layers.values()), default=1))
        most = _step(max((tokens * cycles for tokens, cycles in layers.values()), default=1)) + 1
        return _Paces(program, part, wanted, layers, least, most, {}, {}, styles)

    def ways(self, step: int) -> tuple[_Paces, ...]:
        """These, and those in which layers of weights stay adder graphs that take no multiplier blocks at a step, or one more."""
        shares, cheapest = self.laid_out(step).size.shares, MultiplierStyle.CHEAPEST
        layers = dict.fromkeys(node.layer for node in self.program.nodes if weights_of(self.program, node) is not None)
        plain = [name for name in layers if name in shares and self.wanted.multiplier_style(name) is cheapest]
        rising = sorted(plain, key=lambda name: shares[name].dsp)
        free = sum(not shares[name].dsp for name in plain)
        sets = dict.fromkeys((tuple(rising[:free]), tuple(rising[:free] + rising[free:][-1:])))

        def with_graphs(layers: tuple[str, ...]) -> _Paces:
            graphs = dict.fromkeys(layers, MultiplierStyle.GRAPHS)
            wanted = replace(self.wanted, products={**self.wanted.products, **graphs})
            return replace(self, wanted=wanted, rough={}, bare={}, styles={**self.styles, **graphs})

        return self, *(with_graphs(layers) for layers in sets if layers)

    def pace(self, part: Part, near: float, best: float) -> float:
        """About the least interval up to ``best`` with room in ``part``, sought from ``near`` on; infinite without one.

        It is nearer to the interval before if that lacks less. The shortest of all counts by what it lacks, and the longest.
        """

        def taken(step: int) -> tuple[float, int]:
            size = self.laid_out(step).size
            return max(need.share for need in needs(size, part)), size.interval

        share, interval = taken(self.least)
        rushed = interval * max(share, 1.0) ** _STEEP
        last = self.most if math.isinf(best) else min(_step(int(best)), self.most)
        first = self._first(last, near, lambda step: taken(step)[0] <= 1)
        if first is None:
            return min(rushed, math.prod(taken(last)) if last == self.most else math.inf)
        (share, before), (_, interval) = taken(max(first - 1, self.least)), taken(first)
        return min(rushed, interval - max(interval - before, 0) / max(share, 1.0))

    def _first(self, last: int, near: float, able: Callable[[int], bool]) -> int | None:
        """The first step to ``last`` that is ``able``, as all later ones are, about an interval ``near``; None without one."""
        if last < self.least or not able(last):
            return None
        start = last if math.isinf(near) else min(max(_step(int(near)), self.least), last)
        return first_around(start, self.least, last, able)

    def nearly(self, size: Size) -> bool:
        """Return True if there is about room for a circuit of ``size``, multiplier blocks apart."""
        return self._fullest(size) <= _NEARLY

    def _fullest(self, size: Size) -> float:
        """The greatest share of what there is that a circuit of ``size`` takes, multiplier blocks apart."""
        return max(need.share for need in needs(size, self.part) if need.label != "DSP")

    def laid_out(self, step: int, budget_ns: float | None = None, possible: Possible = None) -> Fit:
        """The layout of a step; its estimate is rough without ``budget_ns``, and may lack FIFOs if it is not ``possible``."""
        if budget_ns is None and step in self.rough:
            return self.rough[step]
        if budget_ns is None and possible is not None and step in self.bare and not possible(self.bare[step].size):
            return self.bare[step]
        directives = _paced(self.layers, self.wanted, round(2 ** (step / _STEPS_PER_OCTAVE)))
        judged = list[bool]()

        def judge(size: Size) -> bool:
            if budget_ns is None:
                self.bare[step] = Fit(directives, size, self.styles, None)
            judged.append(possible is not None and possible(size))
            return judged[-1]

        size = estimate_layout(self.program, directives, self.part.family, budget_ns, judge if possible else None)
        found = Fit(directives, size, self.styles, None)
        if budget_ns is None and all(judged):
            self.rough[step] = found
        return found

    def fastest(self, blocks: float, budget_ns: float, near: int | None) -> Fit | None:
        """The first layout that fits into the share ``blocks`` of the multiplier blocks; None without one.

        Rough estimates say which ones are worth the estimate that reports have. Bisection leaves out layouts with far too many
        look-up tables, registers and memories. Multiplier blocks do not fall steadily, since small multipliers are made of
        look-up tables: all layouts after these are looked at. Bisection alone, ``near`` some interval, may miss the first.
        """

        def possible(size: Size) -> bool:
            return self.nearly(size) and size.dsp <= blocks * self.part.die.dsps

        def able(step: int, planned: Possible = possible) -> bool:
            size = self.laid_out(step, possible=planned).size
            return _has_room(size, self.part, blocks) if planned is possible or step in self.rough else possible(size)

        if near is None:
            steps = self._worth(blocks, lambda step: able(step, _never), able)
        else:
            low = self._first(self.most, near, able)
            steps = iter(()) if low is None else filter(able, range(low, self.most + 1))
        worth = (self.laid_out(step, budget_ns, possible) for step in steps)
        return next((found for found in worth if _has_room(found.size, self.part, blocks)), None)

    def _worth(self, blocks: float, promising: Callable[[int], bool], able: Callable[[int], bool]) -> Iterator[int]:
        """Steps that may have room: first ones that are ``promising`` without FIFOs, later ones that are ``able`` with them.

        Where a look takes long, ones that lack multiplier blocks by far are left out, too. The search begins where each block
        multiplies in each cycle.
        """
        if self._lacks(self.most, 1.0, _never):
            return
        long, most = self.most in self.bare, blocks * self.part.die.dsps

        def nearly(step: int) -> bool:
            size = self.laid_out(step, possible=_never).size
            return self.nearly(size) and (not long or size.dsp <= _NEARLY * most)

        products = sum(tokens * cycles for tokens, cycles in self.layers.values())
        bare = self._first(self.most, products / most if products and most else math.inf, nearly)
        steps = filter(promising, range(self.most if bare is None else bare, self.most + 1))
        yield from islice(steps, 1 if long else _LOOKED)
        if (following := next(steps, None)) is None or self._lacks(self.most, 1.0, self.nearly):
            return

        def roomy(step: int) -> bool:
            return not self._lacks(step, _NEARLY, self.nearly)

        low = first_around(following, following, self.most, roomy)
        yield from filter(able, range(low, self.most + 1))

    def _lacks(self, step: int, share: float, possible: Possible) -> bool:
        """Return True if a layout takes more than so many times what there is, multiplier blocks apart."""
        return self._fullest(self.laid_out(step, possible=possible).size) > share

    def roomy(self) -> int:
        """The first step with nearly room for look-up tables; one after the last without it."""

        def room(step: int, possible: Possible = self.nearly) -> bool:
            luts = needs(self.laid_out(step, possible=possible).size, self.part)[0]
            return luts.share <= _NEARLY

        if not room(self.most, _never):
            return self.most + 1
        low = first_step(self.least, self.most, lambda step: room(step, _never))
        if room(low):
            return low
        return first_step(low, self.most, room) if room(self.most) else self.most + 1


def _never(_: Size) -> bool:
    """Return False: FIFOs that take long to plan are left out."""
    return False


def slowest(program: Program, part: Part, wanted: Directives, possible: Possible = None) -> Fit:
    """The layout with the greatest reuse factors, whether it fits or not; without FIFOs if it is not ``possible``."""
    paces = _Paces.of(program, part, wanted)
    return paces.laid_out(paces.most, possible=possible)


def in_turn(
    program: Program, part: Part, wanted: Directives, budget_ns: float | None, blocks: float = 1.0
) -> Fit | None:
    """The layout with the reuse factors of ``wanted`` in which layers take turns on the multipliers of engines.

    None if that leaves too few cycles, or does not fit into the share ``blocks`` of the multiplier blocks of ``part``.
    """
    found = _in_turn(program, part, wanted, budget_ns, lambda size: _has_room(size, part, blocks))
    return found if found is not None and _has_room(found.size, part, blocks) else None


def _in_turn(
    program: Program, part: Part, wanted: Directives, budget_ns: float | None, possible: Possible
) -> Fit | None:
    layers = frozenset(node.layer for node in program.nodes)
    directives = replace(wanted, products=dict.fromkeys(layers, MultiplierStyle.SHARED), engine=layers)
    with_blocks = replace(directives, block=part.family.area.block)
    regions = regions_of(builder_of(program, with_blocks))
    if not regions or any(region.row is None for region in regions):
        return None
    return Fit(directives, estimate_layout(program, with_blocks, part.family, budget_ns, possible), {}, None)


def slowest_in_turn(program: Program, part: Part, wanted: Directives, possible: Possible) -> Fit | None:
    """The layout of `in_turn` with the greatest reuse factor, as :func:`slowest`; None if there are no engines."""
    reuse = _same_for_all(program, _most_steps_in_turn(program, wanted))
    return _in_turn(program, part, replace(wanted, reuse=reuse), None, possible)


def fastest_in_turn(program: Program, part: Part, directives: Directives, budget_ns: float | None) -> Fit | None:
    """The layout of `in_turn` with the least reuse factor for all layers that fits ``part``; None without one.

    Tensors come whole only where ``directives`` want it.
    """
    ways = [replace(directives, parallel=parallel) for parallel in ((True, False) if directives.parallel else (False,))]
    return _with_margin(part, ways, lambda way, blocks: _least_in_turn(program, part, way, blocks, budget_ns))


def _least_in_turn(
    program: Program, part: Part, wanted: Directives, blocks: float, budget_ns: float | None
) -> Fit | None:
    """The layout that `first_with_room` finds over the reuse factor, in steps of a fraction of an octave."""

    def at(step: int) -> Directives:
        return replace(wanted, reuse=_same_for_all(program, step))

    def possible(step: int) -> bool:
        found = _in_turn(program, part, at(step), budget_ns, _never)
        return found is not None and _has_room(found.size, part, blocks)

    tried = cache(lambda step: in_turn(program, part, at(step), budget_ns, blocks))
    most = _most_steps_in_turn(program, wanted)
    least = _in_turn(program, part, at(most), budget_ns, _never)
    # Faster ones may have shorter tables, by a twentieth.
    if least is None or max(need.share for need in needs(least.size, part)) > _NEARLY:
        return None
    step = first_with_room(0, most, possible, lambda step: tried(step) is not None)
    return None if step is None else tried(step)


def _most_steps_in_turn(program: Program, wanted: Directives) -> int:
    counts = products_of(program, wanted).values()
    longest = max((tokens for tokens, _ in counts), default=1)
    return _step(2 + 4 * sum(tokens * cycles for tokens, cycles in counts) // longest)


def _same_for_all(program: Program, step: int) -> dict[str, int]:
    return dict.fromkeys({node.layer for node in program.nodes}, round(2 ** (step / _STEPS_PER_OCTAVE)))


def paced(program: Program, directives: Directives, interval: int) -> Directives:
    """``directives`` with the reuse factors that a frame in every ``interval`` cycles leaves to each layer."""
    return _paced(products_of(program, directives), directives, interval)


def _paced(layers: Mapping[str, tuple[int, int]], directives: Directives, interval: int) -> Directives:
    reuse = {name: min(max(interval // tokens, 1), cycles) for name, (tokens, cycles) in layers.items()}
    return replace(directives, reuse=reuse)


def _step(interval: int) -> int:
    return math.ceil(math.log2(interval) * _STEPS_PER_OCTAVE)
