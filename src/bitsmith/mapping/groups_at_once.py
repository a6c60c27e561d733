"""Products in groups with weights from outside where tokens hold whole positions: several groups at once, the others in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bitsmith.dataflow.kinds import WidthConverter
from bitsmith.dataflow.tokens import Stream, regrouped
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.folding import (
    Folding,
    LoadedMatrix,
    Matrix,
    MultiplierStyle,
    area_of_regrouping,
    choose_folding,
    divisors,
    matrix_of_blocks,
)
from bitsmith.mapping.grouped import parameter_of_groups
from bitsmith.mapping.parameters import product_with_parameter
from bitsmith.mapping.products import with_type_of


@dataclass(frozen=True, slots=True)
class _Turns:
    """The folding of the product of each group, and in how many ``turns`` the groups are multiplied."""

    folding: Folding
    turns: int


def groups_at_once(builder: DataflowBuilder, node: Node) -> StepId | None:
    """``(*positions, groups, 1, n) @ (groups, n, m)`` where the second operand is of a parameter; None of anything else.

    None, too, where no multipliers are shared: then one word of all weights is as good, and needs no memory before the products.
    """
    x, _ = builder.operands(node)
    found = parameter_of_groups(builder, node)
    if found is None or builder.is_constant(x):
        return None
    factor, places = found
    (groups, n, m), kind = places.shape, builder.program.nodes[x].type
    axes = min(builder.grid_axes(x), len(kind.shape) - 3)
    cycles = builder.directives.reuse_factor(node.layer)
    if builder.directives.parallel:
        cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
    vectors, block = math.prod(kind.shape[axes:-2]), builder.directives.block
    whole = builder.directives.parallel and axes == 0
    matrix = Matrix.of(LoadedMatrix(factor, (n, m)), kind, node.type, vectors, block, whole=whole)
    chosen = _chosen(replace(matrix, column_pairs=False, vector_pairs=False), groups, cycles)
    folding, turns = chosen.folding, chosen.turns
    if turns * folding.cycles == 1:
        return None
    sets, width = groups // turns, m // folding.groups
    in_order = places.reshape(turns, sets, n, folding.groups, width).transpose(2, 0, 3, 1, 4)
    weights = matrix_of_blocks(factor, in_order.reshape(n, groups * m))
    chunks = _chunks(builder, x, axes, groups, chosen)
    grid = (*kind.shape[:axes], folding.serial)
    parts = turns * folding.groups
    results = product_with_parameter(builder, weights, chunks, folding.steps, parts, grid, sets=sets)
    lanes = builder.stream(results).token.shape[0]
    if (lanes > sets and parts > 1) or (sets > 1 and folding.groups > 1):
        results = builder.regroup(results, grid, (turns, folding.groups, lanes // sets, sets, width))
        results = builder.token_op(ops.Transpose((2, 0, 3, 1, 4)), (results,), grid)
    return with_type_of(builder, results, node, node.type.shape[:axes], node.type.shape[axes:])


def _chosen(matrix: Matrix, groups: int, cycles: int) -> _Turns:
    """The folding that takes the least area for vectors of all groups, ``matrix.vectors``, in at most so many cycles."""
    areas = dict[_Turns, float]()
    for turns in divisors(groups):
        if turns <= cycles:
            part = replace(matrix, vectors=matrix.vectors // turns, sets=groups // turns)
            folding = choose_folding(part, cycles // turns, MultiplierStyle.LOADED)
            lanes = part.vectors // folding.serial
            held = area_of_regrouping(lanes * turns * matrix.n, lanes * matrix.n, matrix.operand) if turns > 1 else 0.0
            areas[_Turns(folding, turns)] = part.area(folding) + held
    return min(areas, key=lambda one: (areas[one], one.turns * one.folding.cycles))


def _chunks(builder: DataflowBuilder, x: NodeId, axes: int, groups: int, chosen: _Turns) -> StepId:
    """Tokens (lanes, n / steps) of ``x``: some positions' numbers of the groups of a turn, for each part of their results."""
    kind, folding, turns = builder.program.nodes[x].type, chosen.folding, chosen.turns
    grid, n = (*kind.shape[:axes], folding.serial), kind.shape[-1]
    positions, sets = math.prod(kind.shape[axes:-3]) // folding.serial, groups // turns
    steps, lanes = folding.steps, positions * sets
    size = -(-n // steps)
    step = builder.regroup(builder.with_grid(x, axes), grid, (positions * groups, n))
    if steps * size > n:
        step = builder.token_op(ops.Pad((0, 0), (0, steps * size - n)), (step,), grid)
    cut = builder.token_op(ops.Reshape((positions, turns, sets, steps, size)), (step,), grid)
    step = builder.token_op(ops.Transpose((1, 3, 0, 2, 4)), (cut,), grid)
    if turns > 1 and folding.groups > 1:
        step = builder.regroup(step, (*grid, turns), (steps, lanes, size))
    token = regrouped(builder.stream(step).token, (lanes, size))
    stream = Stream((*grid, turns * folding.groups * steps), token)
    return builder.add(WidthConverter(folding.groups), (step,), stream)
