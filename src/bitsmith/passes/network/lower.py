"""Network -> core program: each layer lowers itself."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.axis_order import inverse
from bitsmith.layers.input import Input
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Weights
from bitsmith.layers.settled import exact_variables, reach, settled
from bitsmith.layers.told_codes import ladders_of


def lower(network: Network, observed: Mapping[str, ObservedRange]) -> Program:
    """The core program of ``network``; its probes are the layers' results by the user's names.

    Raises:
        RangeError: exact values wider than supported, naming the layer.
        UnsupportedError: a layer that cannot be translated faithfully.
    """
    builder = ProgramBuilder()
    values: dict[str, Value] = {}
    exact = exact_nodes(network)
    gridded = {name for name in network.inputs if network.input(name).on_grid or observed[name].on_grid}
    unsettled: set[str] = set()
    """Nodes whose values depend on weights that are not known."""
    parameters: dict[tuple[str, str], Value] = {}
    owners = _owners(network)
    for node in network.nodes:
        seen_there = observed[node.name]
        if node.settings.weights is not Weights.ONCHIP or unsettled.intersection(node.inputs):
            unsettled.add(node.name)
            seen_there = _unmeasured(seen_there)
        exactly = node.whole or node.name in exact
        trained = (node.fracs, exact_variables(node), reach(node), owners[node.name], parameters)
        ladders = ladders_of(network, node.name) if isinstance(node.layer, Input) else ()
        lowering = Lowering(node.name, builder, node.settings, seen_there, gridded, ladders, exactly, *trained)
        with builder.layer(node.name):
            values[node.name] = node.layer.lower(lowering, [values[name] for name in node.inputs])
    seen = {node.name: _in_model(builder, node, values[node.name]) for node in network.nodes}
    probes = [(node.name, seen[node.name]) for node in network.nodes if not node.folded]
    outputs = [(name, seen[node]) for name, node in zip(_distinct(network.outputs), network.outputs, strict=True)]
    return builder.program(outputs, probes)


def _owners(network: Network) -> dict[str, str]:
    """For each node the first one that has the same trained weights, as nodes have that show several results of one layer.

    Raises:
        UnsupportedError: only one of them can be given other weights.
    """
    first: dict[tuple[int, ...], NetworkNode] = {}
    owners = dict[str, str]()
    for node in network.nodes:
        owner = node.owner(first)
        if owner.settings.weights is not node.settings.weights:
            raise UnsupportedError(
                f"Weights {node.settings.weights.value!r}, where {owner.name!r}, which has the same weights, has them "
                f"{owner.settings.weights.value!r}",
                where=f"layer {node.name!r}",
                accepted="the same for both",
            )
        owners[node.name] = owner.name
    return owners


def _unmeasured(observed: ObservedRange) -> ObservedRange:
    """Values observed with the trained weights: they give steps, but no ranges."""
    inner = {name: _unmeasured(each) for name, each in observed.inner.items()}
    return replace(observed, measured=False, inner=inner)


def exact_nodes(network: Network) -> set[str]:
    """Nodes whose results ``auto`` does not round: those before jumps, and what a quantized model has settled itself."""
    return _before_jumps(network) | settled(network)


def _before_jumps(network: Network) -> set[str]:
    """Nodes whose result is read only by layers that jump, as it is or in another shape."""
    readers, before = network.readers(), set[str]()
    for node in reversed(network.nodes):
        jumping = [
            reader.layer.jumps or (reader.layer.traits.keeps and reader.name in before) for reader in readers[node.name]
        ]
        if jumping and all(jumping) and node.name not in network.outputs:
            before.add(node.name)
    return before


def _in_model(builder: ProgramBuilder, node: NetworkNode, result: Value) -> Value:
    """The result as it is in the user's model."""
    if node.order is None and node.affine is None:
        return result
    with builder.layer(node.name):
        if node.order is not None:
            back = inverse(node.order)
            one = len(result.shape) == 1
            result = builder.gather(result, back, 0) if one else builder.transpose(result, back)
        return result if node.affine is None else node.affine.lowered(builder, result)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number after those that are repeated (a model may return the same tensor twice)."""
    taken: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(1)))
        taken.append(next(c for c in candidates if c not in taken and (c == name or c not in names)))
    return taken
