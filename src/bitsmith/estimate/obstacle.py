"""Obstacles: the resource and the layers that keep a program from fitting a part, however slow it may be.

In: a program that no reuse factors make fit, and the part. Out: the resource that its smallest circuit has too little of, and the
layers that take most of it.
"""

import operator
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

from bitsmith.devices.family import Part
from bitsmith.errors.remedies import Call, Remedy, given, remedy
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import Fit, fastest_in_turn, only_in_tokens, slowest, slowest_in_turn
from bitsmith.estimate.needs import Need, fits, needs
from bitsmith.estimate.size import estimate_without_fifos, plans_long
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import weights_of

_MEMORY = "memory blocks"

_NAMED = 4
"""Layers with weights from outside that are worth a remedy."""

_RATE, _MEMORY_OUTSIDE = 64.0, "64 bits, 200 MHz, 200 ns, 75 %"
"""Bits of weights in a cycle that an engine is tried with, as room hardly depends on them; a memory as users describe theirs."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The resource that stands in the way.

    Attributes:
        smallest: the smallest circuit that was found.
        need: how much of the resource that takes, of how much.
        external: the fewest layers without whose weights the resource is enough; empty if these are many, or not enough.
        fetched: the smallest circuit of layers in turn whose weights lie in a memory outside, if these are in the way; it may
            still be too large.
        stored: the smallest circuit side by side whose FIFOs lie in such a memory, if it fits and all but these has room.
    """

    smallest: Fit
    need: Need
    external: tuple[str, ...]
    fetched: Fit | None
    stored: Fit | None

    @property
    def layers(self) -> dict[str, int]:
        """The layers that take most of the resource, at most three, with how much; none if it lies between layers."""
        return self.need.most(self.smallest.size)

    def __str__(self) -> str:
        short = "" if self.need.lacking else f", more than the {self.need.comfortably:.0%} that leave room for wires"
        return f"about {self.need.said_of(self.smallest.size)}{short}"


def way_out(obstacle: Obstacle, part: Part, *, tried_bits: bool) -> Remedy:
    """Return what the user may do about an obstacle, without what was tried in vain: fewer bits, a memory of weights."""
    ways = [remedy(f"a larger part, {'' if tried_bits else 'fewer bits, '}more pruning, or a smaller network")]
    outside = None if obstacle.fetched is None else obstacle.fetched.size
    if outside is not None and not fits(outside, part):
        short = _scarcest(outside, part).said_of(outside)
        ways.append(
            remedy(f"weights in a memory outside and smaller feature maps: layers in turn still take about {short}")
        )
    elif outside is not None:
        asked = given(io_type="io_stream", strategy="shared", weight_memory=_MEMORY_OUTSIDE)
        ways.append(_outside(asked, "weights", outside, part))
    if obstacle.stored is not None:
        asked = given(io_type="io_stream", weight_memory=_MEMORY_OUTSIDE)
        ways.append(_outside(asked, "FIFOs", obstacle.stored.size, part))
    if obstacle.external:
        layers = f"layer{'s' if len(obstacle.external) > 1 else ''} {', '.join(map(repr, obstacle.external))}"
        ways.append(remedy(f"Weights: external for {layers}, whose weights then come in with every frame"))
    parts = [part for way in ways for part in ("; or ", way)][1:]
    large = part.family.large
    if len(ways) > 1 and large is not None and part.die.large:
        parts.append(f"; {large.name} is empty at first, so that it holds no weights")
    return remedy(*parts)


def _outside(asked: Call, what: str, size: Size, part: Part) -> Remedy:
    """The arguments that put ``what`` into a memory outside, with what the circuit then takes of ``part``."""
    taken = ", ".join(str(need) for need in needs(size, part) if need.needed)
    return remedy(asked, f" as your memory is, for {what} outside: at least about {taken}")


def obstacle(program: Program, part: Part, directives: Directives) -> Obstacle:
    """The obstacle of a program in ``part``, by its smallest circuit."""
    least = smallest(program, part, directives)
    need = _scarcest(least.size, part)
    if need.resource != _MEMORY:
        return Obstacle(least, need, (), None, None)
    bare, room = estimate_without_fifos(program, least.directives, part.family), need.comfortably * need.available
    stored = _stored(program, part, directives) if fits(bare, part) else None
    taken = need.by_layer(bare)
    weighted = {node.layer for node in program.nodes if weights_of(program, node) is not None} & taken.keys()
    layers = sorted(weighted, key=lambda layer: -taken[layer])
    left = list(accumulate((taken[layer] for layer in layers), operator.sub, initial=float(need.needed)))
    if left[-1] > room:  # whatever becomes of weights; a plan with these in a memory outside may take a minute
        return Obstacle(least, need, (), None, stored)
    fewest = next(number for number, blocks in enumerate(left) if blocks <= room)
    external = tuple(layers[:fewest]) if fewest <= _NAMED else ()
    fetched = None if stored else _fetched(program, part, directives)
    smaller = fetched is not None and crowding(fetched.size, part) < crowding(least.size, part)
    return Obstacle(least, need, external, fetched if smaller else None, stored)


def _fetched(program: Program, part: Part, directives: Directives) -> Fit | None:
    """The smallest circuit in turn whose weights lie outside; None if they do as it is.

    The slowest may have too deep FIFOs. Faster ones are tried, too, unless plans of FIFOs take long: one of these may take a
    minute.
    """
    if directives.weights_rate is not None:
        return None
    tokens = replace(directives, reuse={}, parallel=False, weights_rate=_RATE)
    found = slowest_in_turn(program, part, tokens, partial(fits, part=part))
    if found is None or fits(found.size, part) or plans_long(program, found.directives, part.family):
        return found
    return fastest_in_turn(program, part, tokens, None) or found


def _stored(program: Program, part: Part, directives: Directives) -> Fit | None:
    """The smallest circuit side by side with FIFOs outside, if it fits; None if they lie there as it is."""
    if directives.weights_rate is not None:
        return None
    tokens = replace(directives, reuse={}, parallel=False, weights_rate=_RATE)
    least = slowest(program, part, tokens, partial(fits, part=part))
    return least if fits(least.size, part) else None


def slowest_ways(program: Program, part: Part, directives: Directives) -> list[Fit]:
    """The layouts of tokens with the greatest reuse factors, side by side and in turn, whether they fit ``part`` or not.

    What does not fit without its FIFOs comes without them where they take long to plan.
    """
    tokens, room = replace(directives, reuse={}, parallel=False), partial(fits, part=part)
    return [*filter(None, (way(program, part, tokens, room) for way in (slowest, slowest_in_turn)))]


def smallest(program: Program, part: Part, directives: Directives) -> Fit:
    """The circuit that crowds ``part`` least of the slowest ones: side by side, in tokens, in turn."""
    least = min(slowest_ways(program, part, directives), key=lambda found: crowding(found.size, part))
    most, together = crowding(least.size, part), replace(directives, reuse={}, parallel=True)
    if only_in_tokens(program, part, replace(directives, reuse={})):
        return least
    whole = slowest(program, part, together, lambda size: crowding(size, part) <= most)
    return whole if crowding(whole.size, part) <= most else least


def crowding(size: Size, part: Part) -> float:
    """Times what may be used of the scarcest resource of ``part`` that a circuit of ``size`` needs; to 1 it fits."""
    return _scarcest(size, part).share


def takers(size: Size, part: Part) -> dict[str, float]:
    """Return how much each layer takes of the resource of ``part`` that is scarcest for a circuit of ``size``."""
    return _scarcest(size, part).by_layer(size)


def _scarcest(size: Size, part: Part) -> Need:
    return max(needs(size, part), key=lambda need: need.share)
