"""Programs as the emulator executes them: the same values, with what is known of them beyond what circuits are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import TensorType, compact, objects


def settled(program: Program) -> Program:
    """``program`` with products that single matrices and narrow states make faster."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops.Scan):
            types = program.types(node.args)
            nodes[index] = replace(node, op=_with_narrow_states(ops.Scan(settled(node.op.body), node.op.states), types))
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


def _with_narrow_states(scan: ops.Scan, args: Sequence[TensorType]) -> ops.Scan:
    """``scan`` with states in the range of the first and the next ones, where their formats hold more."""
    body = scan.body
    states = dict(zip(body.inputs, zip(args, body.outputs[: scan.states], strict=False), strict=False))
    types: list[TensorType] = []
    nodes: list[Node] = []
    for index, node in enumerate(body.nodes):
        op = node.op
        if isinstance(op, ops.Input) and index in states:
            first, following = states[index]
            op = _within(op, first, body.nodes[following.node].type)
        type_ = infer(op, [types[arg] for arg in node.args])
        if type_.shape != node.type.shape or not bool(np.all(type_.frac == node.type.frac)):
            return scan
        types.append(type_)
        nodes.append(replace(node, op=op, type=type_))
    return ops.Scan(replace(body, nodes=tuple(nodes)), scan.states)


def _within(state: ops.Input, first: TensorType, following: TensorType) -> ops.Input:
    """``state`` in the range of two types, if all have the same places."""
    if not bool(np.all(first.frac == state.frac)) or not bool(np.all(following.frac == state.frac)):
        return state
    lo, hi = objects(np.minimum(first.lo, following.lo)), objects(np.maximum(first.hi, following.hi))
    return replace(state, lo=objects(compact(lo)), hi=objects(compact(hi)))
