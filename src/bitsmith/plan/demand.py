"""What the user wants of a circuit's layout: reuse factors, and tensors whole or in tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.plan.folding import Matrix, Products, cut


@dataclass(frozen=True, slots=True)
class Demand:
    """What the user wants of the layout, by layer name; and tensors whole or in tokens.

    Args:
        reuse: cycles for a layer's products: for all positions if tensors are whole, else for each token. 1 if absent.
        parallel: tensors come and go whole.
        products: what a layer's products are made of; CHEAPEST if absent.
    """

    reuse: Mapping[str, int]
    parallel: bool
    products: Mapping[str, Products] = field(default_factory=dict)

    def cycles(self, layer: str) -> int:
        """Cycles for a layer's products."""
        return self.reuse.get(layer, 1)

    def made_of(self, layer: str) -> Products:
        """What a layer's products are made of."""
        return self.products.get(layer, Products.CHEAPEST)

    def unrolled(self, program: Program) -> bool:
        """Whether everything of ``program`` is to stand side by side, for a sample per cycle."""
        return self.parallel and not any(self._shares(program, node) for node in program.nodes)

    def _shares(self, program: Program, node: Node) -> bool:
        """Whether hardware of a node is used several times for a sample."""
        if self.cycles(node.layer) == 1:
            return False
        if not isinstance(node.op, ops.Linear):
            return isinstance(node.op, ops.Scan)
        kind = program.nodes[node.args[0]].type
        matrix = Matrix.of(node.op, kind, node.type, math.prod(kind.shape[:-1]), whole=True)
        return cut(matrix, self.cycles(node.layer), self.made_of(node.layer)).cycles > 1
