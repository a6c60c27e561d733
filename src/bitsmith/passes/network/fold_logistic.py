"""Spellings of the sigmoid and of softplus by exponentials become these functions, which are bounded or grow slowly.

An exponential spans more than any fixed-point format has, so that ``auto`` has steps for its largest values only.
Before: ``exp(z) -> 1 + -> reciprocal``. After: ``-z -> sigmoid``. A quotient ``y / (1 + exp(z))`` becomes ``y * sigmoid(-z)``,
and ``log(1 + exp(z))`` softplus. Nodes with a format or a trace of the user's stay.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.layers.activation import Activation
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.merge import Multiply
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Divide, Logarithm, Power


def fold_logistic(network: Network) -> Network:
    """Return ``network`` with sigmoid and softplus in place of what spells them."""
    names = {node.name for node in network.nodes}
    spellings = _Spellings({node.name: node for node in network.nodes}, network.shapes(), names)
    return network.with_nodes([part for node in network.nodes for part in spellings.replaced(node)]).without_unread(
        network
    )


@dataclass(frozen=True, slots=True)
class _Spellings:
    """The nodes of a network and the shapes of their results, by name, and the names that are ``taken``."""

    nodes: Mapping[str, NetworkNode]
    shapes: Mapping[str, Shape]
    taken: set[str]

    def replaced(self, node: NetworkNode) -> list[NetworkNode]:
        """Return the nodes that stand for ``node``, which comes last."""
        layer = node.layer
        if isinstance(layer, Logarithm) and layer.base == math.e:
            operand = self._exponent(node.inputs[0]) if layer.offset == 1 else self._beyond_one(node.inputs[0])
            if operand is not None and layer.offset in (0, 1):
                return [replace(node, layer=Activation("softplus"), inputs=(operand,))]
        if isinstance(layer, Power) and layer.exponent == -1.0 and (operand := self._beyond_one(node.inputs[0])):
            negative = self._negative(node, operand)
            return [negative, replace(node, layer=Activation("sigmoid"), inputs=(negative.name,))]
        if isinstance(layer, Divide) and (operand := self._beyond_one(node.inputs[1])):
            negative = self._negative(node, operand)
            name = free_name(f"{node.name}_sigmoid", self.taken)
            sigmoid = NetworkNode(name, Activation("sigmoid"), (negative.name,), inner=True)
            return [negative, sigmoid, replace(node, layer=Multiply(), inputs=(node.inputs[0], name))]
        return [node]

    def _beyond_one(self, name: str) -> str | None:
        """Return ``z`` of ``1 + exp(z)``."""
        node = self.nodes[name]
        layer = node.layer
        ones = isinstance(layer, BatchNormalization) and bool(
            np.all(layer.scale == 1.0) and np.all(layer.offset == 1.0)
        )
        return self._exponent(node.inputs[0]) if ones and _is_plain(node) else None

    def _exponent(self, name: str) -> str | None:
        """Return ``z`` of ``exp(z)``."""
        node = self.nodes[name]
        spelled = isinstance(node.layer, Activation) and node.layer.function == "exponential" and _is_plain(node)
        return node.inputs[0] if spelled and self.shapes[name] else None

    def _negative(self, node: NetworkNode, name: str) -> NetworkNode:
        """The negative of a node's result, in front of ``node``."""
        before = self.nodes[name]
        layer, source = before.layer, name
        if isinstance(layer, BatchNormalization) and _is_plain(before):
            layer, source = replace(layer, scale=-layer.scale, offset=-layer.offset), before.inputs[0]
        else:
            channels = self.shapes[name][-1]
            layer = BatchNormalization(as_weights(-np.ones(channels)), as_weights(np.zeros(channels)))
        return NetworkNode(free_name(f"{node.name}_negative", self.taken), layer, (source,), inner=True)


def _is_plain(node: NetworkNode) -> bool:
    """Return True unless the user, or the model, decides the node's own result."""
    return not (node.settings.precision or node.settings.trace or node.quantizers)
