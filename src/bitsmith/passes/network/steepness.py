"""Tensors that lead to a steep function, and how fine their steps have to be for it.

A softmax, a sigmoid or an erf changes where its operand changes by about 1, however large the operand is. By the rule of ``auto``
the steps of an operand of hundreds are no longer small beside that, nor are those of the tensors that it is computed of. What
rounding each of them does to the operand is looked at by itself.

Where the user states the ranges of all inputs, what rounding does to the outputs is looked at in the same way.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.ir.types import Fracs
from bitsmith.layers.auto import AUTO_BITS, ObservedRange, least_bits
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode

_GUARD_BITS = 2
_MOST_BITS = 16
"""Bits that a tensor may get beyond those of the rule."""

_MOST_LOOKED_AT = 64
"""Tensors, the nearest to the functions first."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """The fractional bits that the rule gives the result of a node, or one of its trained tensors, whose ``values`` they are.

    The rule has a budget of so many ``bits``.
    """

    node: str
    variable: str
    bits: int
    frac: Fracs
    values: Floats | None = None

    def applied(self, values: Floats) -> Floats:
        """``values`` with these steps."""
        return np.ldexp(np.rint(np.ldexp(values, self.frac)), -self.frac)


def steep_operands(network: Network, observed: Mapping[str, ObservedRange]) -> tuple[str, ...]:
    """The tensors of large numbers that a steep function takes: one whose results are within -1 to 1, without a jump."""
    return tuple(
        dict.fromkeys(
            node.inputs[0]
            for node in network.nodes
            if node.layer.bounded
            and not node.layer.jumps
            and not node.settings.skip
            and observed[node.inputs[0]].amplitude >= _least_amplitude(network.node(node.inputs[0]))
        )
    )


def shares_of_outputs(network: Network, seen: Mapping[str, ObservedRange]) -> dict[str, float]:
    """The changes of outputs that one rounding may cause, a step of these; none unless the ranges of all inputs are stated."""
    if any(network.input(name).least is None for name in network.inputs):
        return {}
    return {name: math.ldexp(seen[name].amplitude or 1.0, 1 - AUTO_BITS) for name in network.outputs}


def _least_amplitude(node: NetworkNode) -> float:
    """The magnitude of a result below which its steps by the rule are small enough."""
    bits = node.settings.bits.result
    return 2.0 ** (bits - least_bits(bits))


def fine_steps(
    network: Network, allowed: Mapping[str, float], tensors: Sequence[Rounded], inputs: Sequence[Floats]
) -> Iterator[tuple[Rounded, Fracs]]:
    """Those tensors whose steps change a result by more than is ``allowed``, and the fractional bits that they need."""
    kept = {node.name for node in network.ancestors(allowed)} | {*network.inputs}
    before = network.with_nodes([node for node in network.nodes if node.name in kept])
    wanted: dict[str, Floats] = {}
    jumping: dict[str, Floats] = {}
    for node, _, result in before.evaluation(inputs):
        if node.name in allowed:
            wanted[node.name] = result
        if node.layer.jumps:
            jumping[node.name] = result
    for tensor in tensors[:_MOST_LOOKED_AT]:
        off = _change(before, tensor, inputs, wanted, allowed, jumping)
        if off > 1.0:
            more = min(math.ceil(math.log2(off)) + _GUARD_BITS, _MOST_BITS)
            yield tensor, np.asarray(tensor.frac + more)


def _change(
    network: Network,
    rounded: Rounded,
    inputs: Sequence[Floats],
    wanted: Mapping[str, Floats],
    allowed: Mapping[str, float],
    held: Mapping[str, Floats],
) -> float:
    """The most by which rounding a tensor changes a result that is ``wanted``, beside what is ``allowed``."""
    values = rounded.values
    if values is not None:
        node = network.node(rounded.node)
        changed = replace(node, layer=node.layer.with_weights({rounded.variable: rounded.applied(values)}))
        network = network.with_nodes([changed if each is node else each for each in network.nodes])

    def in_steps(node: NetworkNode, _: Sequence[Floats], result: Floats) -> Floats:
        return rounded.applied(result) if values is None and node.name == rounded.node else result

    most = 0.0
    for node, _, result in network.evaluation(inputs, in_steps, held):
        if node.name in wanted:
            change = float(np.nanmax(np.abs(result - wanted[node.name]), initial=0.0))
            most = max(most, change / allowed[node.name])
    return most if math.isfinite(most) else 0.0
