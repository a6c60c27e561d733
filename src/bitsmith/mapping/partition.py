"""Lays a core program out as a network of processes.

In: a program, the reuse factor of each layer, and whether tensors come and go whole (``io_parallel``) or a token per position
(``io_stream``). Out: the processes. Two steps: each node becomes *steps* (ops on tokens, or processes) with regrouping and
reordering put between them; then neighbouring ops on tokens of one grid become token functions.

The rules are stated per kind of core op. What has no better rule takes its operands whole, as one token per frame.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import assert_never

import numpy as np

from bitsmith.dataflow.processes import Network, Reduce, Reorder, Scan, Sink, Source, Stream, hull, regrouped
from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import TensorType
from bitsmith.mapping.builder import DataflowBuilder, Step, parts_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.elementwise import elementwise
from bitsmith.mapping.fusion import clustered
from bitsmith.mapping.movement import concat, move, reshape, window
from bitsmith.mapping.parameters import whole_parameter
from bitsmith.mapping.products import linear, matmul
from bitsmith.passes import drop_dead, simplify


def partition(program: Program, directives: Directives) -> Network:
    """The processes of ``program``."""
    return clustered(_steps(DataflowBuilder(simplify(drop_dead(program, keep_probes=False)), directives)))


def _reduce(draft: DataflowBuilder, op: ops.Sum | ops.AMax, node: Node) -> int:
    """Within tokens first, then over tokens."""
    (arg,) = node.args
    axes, number = draft.axes(arg), draft.at_once(arg)
    inside = tuple(axis - axes for axis in op.axes if axis >= axes)
    if number > 1 and len(inside) == len(op.axes):
        step = draft.several(arg, number, axes)
        step = draft.token_op(
            replace(op, axes=tuple(axis + 1 for axis in inside)), (step,), draft.steps[step].stream.grid
        )
        return draft.made(step, node.type.shape[:axes], node.type.shape[axes:])
    step = draft.operand(arg, axes)
    grid = draft.steps[step].stream.grid
    if inside:
        step = draft.token_op(replace(op, axes=inside), (step,), grid)
    over = [axis for axis in op.axes if axis < axes]
    if not over:
        return step
    kept = [axis for axis in range(axes) if axis not in over]
    places = np.arange(math.prod(grid)).reshape(grid).transpose([*kept, *over]).ravel()
    stream = draft.steps[step].stream
    if not bool(np.all(places == np.arange(len(places)))):
        step = draft.put(Reorder(places), (step,), stream)
    number = math.prod(grid[axis] for axis in over)
    several = TensorType.of((number, *stream.token.shape), *(part[None] for part in parts_of(stream.token)))
    token = infer(replace(op, axes=(0,)), [several])
    return draft.put(Reduce(op, number), (step,), Stream(tuple(grid[axis] for axis in kept), token))


def _scan(draft: DataflowBuilder, op: ops.Scan, node: Node) -> int:
    if (
        draft.directives.parallel
        and draft.directives.reuse.get(node.layer, 1) == 1
        and not any(map(draft.axes, node.args))
    ):
        return draft.whole(node)
    args = []
    for k, (arg, body_input) in enumerate(zip(node.args, op.body.inputs, strict=True)):
        args.append(draft.converted(draft.streamed(arg, int(k >= op.states)), op.body.nodes[body_input].type))
    result = op.body.nodes[op.body.outputs[-1].node].type
    steps = node.type.shape[0]
    return draft.put(Scan(op.body, op.states, steps), tuple(args), Stream((steps,), result))


def _input(draft: DataflowBuilder, op: ops.Input, kind: TensorType) -> int:
    axes = 0 if draft.directives.parallel else max(len(op.shape) - 1, 0)
    grid, token = op.shape[:axes], hull(kind, axes)
    number = draft.directives.at_once(draft.layer, grid)
    if number == 1:
        return draft.put(Source(op.name), (), Stream(grid, token))
    several = Stream((math.prod(grid) // number,), regrouped(token, (number, *token.shape)))
    return draft.made(draft.put(Source(op.name), (), several), grid, token.shape)


def _placed(draft: DataflowBuilder, node: Node) -> int:
    op = node.op
    if node.args and all(map(draft.is_constant, node.args)):
        return draft.whole(node)
    match op:
        case ops.Input():
            return _input(draft, op, node.type)
        case ops.Parameter():
            return whole_parameter(draft, op, node)
        case (
            ops.Add()
            | ops.Sub()
            | ops.Mul()
            | ops.Neg()
            | ops.Shift()
            | ops.Max()
            | ops.Min()
            | ops.Abs()
            | ops.Compare()
            | ops.Select()
            | ops.Table()
            | ops.Cast()
        ):
            return elementwise(draft, op, node)
        case ops.Linear():
            return linear(draft, op, node)
        case ops.MatMul():
            return matmul(draft, node)
        case ops.Sum() | ops.AMax():
            return _reduce(draft, op, node)
        case ops.Window():
            return window(draft, op, node)
        case ops.Reshape():
            return reshape(draft, op, node)
        case ops.Scan():
            return _scan(draft, op, node)
        case ops.Concat():
            return concat(draft, op, node)
        case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast():
            return move(draft, op, node)
        case ops.Const():
            raise ProgramError("a constant is placed by the nodes that read it")
        case _:
            assert_never(op)


def _steps(draft: DataflowBuilder) -> list[Step]:
    """All steps, operands first."""
    for index, node in enumerate(draft.program.nodes):
        if isinstance(node.op, ops.Const):
            continue
        draft.layer = node.layer
        draft.of[index] = _placed(draft, node)
    for output in draft.program.outputs:
        node = draft.program.nodes[output.node]
        whole = 0 if draft.directives.parallel else max(len(node.type.shape) - 1, 0)
        number = draft.directives.at_once(node.layer, node.type.shape[:whole])
        step = draft.streamed(output.node, whole)
        if number > 1 and not draft.is_constant(output.node):
            step = draft.several(output.node, number, whole)
        draft.put(Sink(output.name), (step,), draft.steps[step].stream)
    return draft.steps
