"""Programs as the emulator executes them: the same values, with constants where circuits have parameters."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.held import held_parameters
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Ints


def settled(program: Program) -> Program:
    """``program`` with products with constant matrices, which are faster, where those are known here."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops.Scan):
            nodes[index] = _with_known_states(program, node, node.op)
        elif isinstance(node.op, ops.MatMul):
            nodes[index] = _with_constant(program, node)
    return replace(program, nodes=tuple(nodes))


def _with_known_states(program: Program, node: Node, op: ops.Scan) -> Node:
    """A recurrence whose states that are parameters all the time are in its body."""
    held = held_parameters(program, node)
    body = list(op.body.nodes)
    for number, parameter in held.items():
        body[op.body.inputs[number]] = parameter
    outputs = tuple(output for number, output in enumerate(op.body.outputs) if number not in held)
    inner = settled(replace(op.body, nodes=tuple(body), outputs=outputs))
    args = tuple(arg for number, arg in enumerate(node.args) if number not in held)
    return replace(node, op=ops.Scan(inner, op.states - len(held), op.kept), args=args)


def _with_constant(program: Program, node: Node) -> Node:
    """A product with a parameter, the values of which are known here, as that with a constant."""
    factor, x = program.nodes[node.args[1]], program.nodes[node.args[0]].type
    matrix = _values(program, factor)
    if matrix is not None and matrix.ndim == 2 and math.prod(x.frac.shape[:-1]) == 1:
        frac = np.broadcast_to(factor.type.frac, factor.type.shape)
        return replace(node, op=ops.Linear(matrix, frac), args=node.args[:1])
    return node


def _values(program: Program, node: Node) -> Ints | None:
    """The raw values of a parameter, or of a part of one; None of anything else."""
    if isinstance(node.op, ops.Parameter):
        return node.op.raw
    if not isinstance(node.op, ops.Slice):
        return None
    whole = _values(program, program.nodes[node.args[0]])
    if whole is None:
        return None
    return whole[tuple(map(slice, node.op.start, node.op.stop, node.op.step))]
