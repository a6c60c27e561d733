"""Obstacles: the resource and the layer that keep a program from fitting a part, however slow it may be.

In: a program that no reuse factors make fit, and the part. Out: the resource that its smallest circuit has too little of, and the
layer that takes most of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bitsmith.devices import Part
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import Fit, slowest, slowest_in_turn
from bitsmith.estimate.needs import Need, needs
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import weights_of

_MEMORY = "memory blocks"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The resource that stands in the way.

    Attributes:
        smallest: the smallest circuit that was found.
        need: how much of the resource that takes, of how much.
        layer: the layer that takes most of it; empty if what there is lies between layers.
        taken: how much that layer takes.
        weighted: the layer has weights.
    """

    smallest: Fit
    need: Need
    layer: str
    taken: int
    weighted: bool

    def __str__(self) -> str:
        need = self.need
        short = "" if need.lacking else f", more than the {need.comfortably:.0%} that leave room for wires"
        most = f", most of them for layer {self.layer!r} ({self.taken:,})" if self.layer else ""
        return f"about {need}{short}{most}"


def way_out(obstacle: Obstacle, part: Part) -> str:
    """Return what the user may do about an obstacle."""
    ways = "a larger part, fewer bits, more pruning, or a smaller network"
    if obstacle.need.resource != _MEMORY or not obstacle.weighted:
        return ways
    large = part.family.large
    empty = f"; {large.name} is empty at first, so that it holds no weights" if large is not None and part.large else ""
    external = f"Weights: external for layer {obstacle.layer!r}, whose weights then come in with every frame"
    if obstacle.smallest.directives.weights_rate is None:
        external = f"WeightMemory and Strategy: Shared, with weights in a memory outside; or {external}"
    return f"{ways}; or {external}{empty}"


def obstacle(program: Program, part: Part, directives: Directives) -> Obstacle:
    """The obstacle of a program in ``part``, by its smallest circuit."""
    least = smallest(program, part, directives)
    need = _scarcest(least.size, part)
    layer, taken = _most(least.size, need)
    weighted = any(node.layer == layer and weights_of(program, node) is not None for node in program.nodes)
    return Obstacle(least, need, layer, taken, weighted)


def slowest_ways(program: Program, part: Part, directives: Directives) -> list[Fit]:
    """The layouts of tokens with the greatest reuse factors, side by side and in turn, whether they fit ``part`` or not."""
    tokens = replace(directives, reuse={}, parallel=False)
    return [*filter(None, (slowest(program, part, tokens), slowest_in_turn(program, part, tokens)))]


def smallest(program: Program, part: Part, directives: Directives) -> Fit:
    """The circuit that crowds ``part`` least of the slowest ones: side by side, in tokens, in turn."""
    least = min(slowest_ways(program, part, directives), key=lambda found: crowding(found.size, part))
    most, together = crowding(least.size, part), replace(directives, reuse={}, parallel=True)
    whole = slowest(program, part, together, lambda size: crowding(size, part) <= most)
    return whole if crowding(whole.size, part) <= most else least


def crowding(size: Size, part: Part) -> float:
    """Times what may be used of the scarcest resource of ``part`` that a circuit of ``size`` needs; to 1 it fits."""
    return _scarcest(size, part).share


def takers(size: Size, part: Part) -> dict[str, float]:
    """Return how much each layer takes of the resource of ``part`` that is scarcest for a circuit of ``size``."""
    return _taken(size, _scarcest(size, part))


def _taken(size: Size, need: Need) -> dict[str, float]:
    return {layer: need.among(cells) for layer, cells in size.shares.items() if layer}


def _scarcest(size: Size, part: Part) -> Need:
    return max(needs(size, part), key=lambda need: need.share)


def _most(size: Size, need: Need) -> tuple[str, int]:
    """The layer that takes most of a resource, and how much."""
    taken = {layer: round(count) for layer, count in _taken(size, need).items()}
    layer = max(taken, key=lambda name: taken[name], default="")
    return (layer, taken[layer]) if taken.get(layer) else ("", 0)
