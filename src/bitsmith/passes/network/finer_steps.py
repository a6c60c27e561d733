"""Steps that are finer than the rule of ``auto`` has them, for inputs of a smaller scale than that of generated ones.

Before: a network that generated inputs were run through. After: the same with :attr:`NetworkNode.fracs` of inputs about which
nothing is known, and of results that ``auto`` rounds. Ranges stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import Fracs
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.passes.network.lower import exact_nodes

_MOST_BITS = 24
"""Bits of an input on a grid of the circuit's own up to which it gets more: single precision tells no more apart."""


@dataclass(frozen=True, slots=True)
class Finer:
    """Fractional bits of inputs and of results beyond those of the rule."""

    inputs: int = 0
    results: int = 0


def with_finer_steps(network: Network, observed: Mapping[str, ObservedRange], finer: Finer) -> Network:
    """``network`` with steps that are so much finer; ``observed`` is what generated inputs showed."""
    shapes, exact, unknown = network.shapes(), exact_nodes(network), network.unknown_inputs()
    nodes = []
    for node in network.nodes:
        fracs: dict[str, Fracs] = {}
        layer = node.layer
        if isinstance(layer, Input):
            if (grid := layer.own_grid) is not None:
                spare = max(_MOST_BITS - int(grid.bits.max()), 0)
                node = replace(node, layer=replace(layer, quantizer=grid.finer(min(finer.inputs, spare))))
            elif node.name in unknown and not layer.integer and finer.inputs:
                formats = layer.stated_formats(node.settings.result_bits)
                least = [fmt.frac + finer.inputs for fmt in formats]
                fracs = {"result": np.broadcast_to(np.array(least), shapes[node.name][-1:] or (1,))}
        elif finer.results and not node.layer.traits.keeps and not isinstance(node.layer, Constant):
            fracs = _of_results(node, observed[node.name], finer.results, shapes[node.name], exact=node.name in exact)
        known = {name: np.maximum(frac, node.fracs.get(name, frac)) for name, frac in fracs.items()}
        nodes.append(
            replace(node, fracs={**node.fracs, **known}, finer=0 if isinstance(node.layer, Input) else finer.results)
        )
    return network.with_nodes(nodes)


def _of_results(
    node: NetworkNode, observed: ObservedRange, more: int, shape: Shape, *, exact: bool
) -> dict[str, Fracs]:
    """The fractional bits of a result and of what is observed inside the layer, as far as ``auto`` decides them."""
    lowering = Lowering(node.name, ProgramBuilder(), node.settings, observed, (), ())
    names = [name for name in ("result", *observed.inner) if name not in node.settings.precision]
    found = {name: np.full(shape[-1:] or (1,), lowering.result_frac(name) + more, dtype=np.int64) for name in names}
    if exact:
        found.pop("result", None)
    return found
