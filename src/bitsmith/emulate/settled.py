"""Programs as the emulator executes them: the same values, with constants where circuits have parameters."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program


def settled(program: Program) -> Program:
    """``program`` with products with constant matrices, which are faster, where those are known here."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops.Scan):
            nodes[index] = replace(node, op=ops.Scan(settled(node.op.body), node.op.states))
        elif isinstance(node.op, ops.MatMul):
            nodes[index] = _with_constant(program, node)
    return replace(program, nodes=tuple(nodes))


def _with_constant(program: Program, node: Node) -> Node:
    """A product with a parameter, the values of which are known here, as that with a constant."""
    factor, x = program.nodes[node.args[1]], program.nodes[node.args[0]].type
    if isinstance(factor.op, ops.Parameter) and factor.op.raw.ndim == 2 and math.prod(x.frac.shape[:-1]) == 1:
        frac = np.broadcast_to(factor.type.frac, factor.type.shape)
        return replace(node, op=ops.Linear(factor.op.raw, frac), args=node.args[:1])
    return node
