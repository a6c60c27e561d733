"""Products of layers: what reuse factors are for.

In: a program, and directives. Out: the tokens at which each layer multiplies or pools, and the most cycles for each.
"""

import math

from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.dataflow.processes import Process
from bitsmith.devices.family import Family
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import matrix_shape, weights_of
from bitsmith.mapping.multipliers import multipliers


def products_of(program: Program, directives: Directives) -> dict[str, tuple[int, int]]:
    """Return, per layer that a reuse factor is for, the tokens at which it multiplies or pools, and the most cycles for each."""
    factors: dict[str, tuple[int, int]] = {}
    for node in program.nodes:
        here = (_pooled(program, node) or _paired(program, node)) if not directives.parallel else None
        factor = weights_of(program, node)
        if factor is not None:
            grid = program.nodes[node.args[0]].type.shape[:-1]
            positions, (n, m) = math.prod(grid), matrix_shape(factor)
            number = positions if directives.parallel else directives.parallelism(node.layer, grid)
            here = positions // number, number * n * m
        if here is not None:
            before = factors.get(node.layer, (1, 1))
            factors[node.layer] = max(here[0], before[0]), max(here[1], before[1])
    return factors


def _paired(program: Program, node: Node) -> tuple[int, int] | None:
    """The rows of a product of two variables, and the products of one; None if it is something else."""
    if not isinstance(node.op, ops.MatMul):
        return None
    *rows, k = program.nodes[node.args[0]].type.shape
    return math.prod(rows), k * node.type.shape[-1]


def _pooled(program: Program, node: Node) -> tuple[int, int] | None:
    """The positions of a sum (or the greatest) over windows, and the elements of one; None if it is something else."""
    if not isinstance(node.op, ops.Sum | ops.AMax):
        return None
    positions, elements = math.prod(node.type.shape[:-1]), program.nodes[node.args[0]].type.size
    over_channels = len(program.nodes[node.args[0]].type.shape) - 1 in node.op.axes
    return None if over_channels or not node.type.shape else (positions, elements // positions)


def block_ns(process: Process, family: Family) -> float:
    """The slowest stage of the multiplier blocks of a folded product; 0 of one without any, and of other processes."""
    kind, block = process.kind, family.area.block
    if block is None or not isinstance(kind, FoldedProduct):
        return 0.0
    array = multipliers(kind, process.takes[0].token, process.results[0].token, block)
    return family.delays.staged_multiplier(array.number, array.weight)[1] if array.blocks else 0.0
