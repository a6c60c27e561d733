"""Lays a core program out as a network of processes.

In: a program, the reuse factor of each layer, and whether tensors come and go whole (``io_parallel``) or a token per position
(``io_stream``). Out: the processes. Two steps: each node becomes *steps* (ops on tokens, or processes) with regrouping and
reordering put between them; then neighboring ops on tokens of one grid become token functions.

The rules are stated per kind of core op. What has no better rule takes its operands whole, as one token per frame.
"""

import math
from dataclasses import replace
from typing import assert_never

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow.kinds import Reorder, Scan, Sink, Source
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.tokens import Stream, regrouped, union_type
from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.mapping.builder import DataflowBuilder, NodeId, Step, StepId, builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.elementwise import elementwise
from bitsmith.mapping.engine.alike import alike_parts
from bitsmith.mapping.engine.engines import engines, placed_region
from bitsmith.mapping.engine.fetched import memory_rates
from bitsmith.mapping.engine.room import executed
from bitsmith.mapping.fusion import fuse
from bitsmith.mapping.joined_constants import joined_constants
from bitsmith.mapping.matmul import matmul
from bitsmith.mapping.movement import concat, move, reshape, window
from bitsmith.mapping.parameters import whole_parameter
from bitsmith.mapping.products import linear
from bitsmith.mapping.recurrence import recurrence, repetition
from bitsmith.mapping.slices import sliced
from bitsmith.mapping.sweeps import multiplied_in_parts, reduced, reduced_in_parts


@lately(3)
def partition(program: Program, directives: Directives) -> Network:
    """The processes of ``program``."""
    network = fuse(_steps(builder_of(program, directives)))
    return sliced(joined_constants(network) if directives.tables else network, directives.slices)


def _reduce(builder: DataflowBuilder, op: ops.Sum | ops.AMax, node: Node) -> StepId:
    """Within tokens first, then over tokens."""
    for in_narrow_tokens in (reduced, reduced_in_parts):
        narrow = in_narrow_tokens(builder, op, node)
        if narrow is not None:
            return narrow
    (arg,) = builder.operands(node)
    axes, number = builder.grid_axes(arg), builder.native_parallelism(arg)
    inside = tuple(axis - axes for axis in op.axes if axis >= axes)
    if number > 1 and len(inside) == len(op.axes):
        step = builder.grouped(arg, number, axes)
        step = builder.token_op(
            replace(op, axes=tuple(axis + 1 for axis in inside)), (step,), builder.stream(step).grid
        )
        return builder.with_native_form(step, node.type.shape[:axes], node.type.shape[axes:])
    step = builder.operand(arg, axes)
    grid = builder.stream(step).grid
    if inside:
        step = builder.token_op(replace(op, axes=inside), (step,), grid)
    over = [axis for axis in op.axes if axis < axes]
    if not over:
        return step
    kept = [axis for axis in range(axes) if axis not in over]
    places = np.arange(math.prod(grid)).reshape(grid).transpose([*kept, *over]).ravel()
    if not bool(np.all(places == np.arange(len(places)))):
        step = builder.add(Reorder(places), (step,), builder.stream(step))
    number = math.prod(grid[axis] for axis in over)
    step = builder.reduced(op, step, number, tuple(grid[axis] for axis in kept))
    return multiplied_in_parts(builder, node, step)


def _scan(builder: DataflowBuilder, op: ops.Scan, node: Node) -> StepId:
    if (
        builder.directives.parallel
        and not op.kept
        and builder.directives.reuse.get(node.layer, 1) == 1
        and not any(map(builder.grid_axes, builder.operands(node)))
    ):
        return builder.on_whole_tensors(node)
    repeated = repetition(builder, op, node)
    shared = recurrence(builder, op, node, _placed) if repeated is None else repeated
    if shared is not None:
        return shared
    args = []
    for k, (arg, body_input) in enumerate(zip(builder.operands(node), op.body.inputs, strict=True)):
        args.append(builder.cast_to(builder.as_stream(arg, int(k >= op.states)), op.body.nodes[body_input].type))
    result = op.body.nodes[op.body.outputs[-1].node].type
    steps = node.type.shape[0]
    return builder.add(Scan(op.body, op.states, steps, op.kept), tuple(args), Stream((steps,), result))


def _input(builder: DataflowBuilder, op: ops.Input, node: Node) -> StepId:
    axes = 0 if builder.directives.parallel else max(len(op.shape) - 1, 0)
    grid, token = op.shape[:axes], union_type(node.type, axes)
    number = builder.directives.parallelism(builder.layer, grid)
    if number == 1:
        return multiplied_in_parts(builder, node, builder.add(Source(op.name), (), Stream(grid, token)))
    several = Stream((math.prod(grid) // number,), regrouped(token, (number, *token.shape)))
    return builder.with_native_form(builder.add(Source(op.name), (), several), grid, token.shape)


def _placed(builder: DataflowBuilder, node: Node) -> StepId:
    """Place ``node`` position by position, or on whole tensors where its layer has too few cycles for that."""
    step = _placed_as_it_comes(builder, node)
    if not builder.is_late(node, step):
        return step
    args = [arg for arg in builder.operands(node) if not builder.is_constant(arg)]
    before = {arg: builder.step_of[arg] for arg in args}
    builder.step_of |= {arg: builder.with_grid(arg, 0) for arg in args}
    whole = _placed_as_it_comes(builder, node)
    late = builder.is_late(node, whole)
    builder.step_of |= before
    return step if late else whole


def _placed_as_it_comes(builder: DataflowBuilder, node: Node) -> StepId:
    op = node.op
    lasting = isinstance(op, ops.Scan) and op.kept > 0  # of which each frame differs
    if node.args and not lasting and all(map(builder.is_constant, builder.operands(node))):
        return builder.on_whole_tensors(node)
    if isinstance(op, ops.Elementwise):
        return elementwise(builder, op, node)
    match op:
        case ops.Input():
            return _input(builder, op, node)
        case ops.Parameter():
            return whole_parameter(builder, op, node)
        case ops.Linear():
            return linear(builder, op, node)
        case ops.MatMul():
            return matmul(builder, node)
        case ops.Sum() | ops.AMax():
            return _reduce(builder, op, node)
        case ops.Window():
            return window(builder, op, node)
        case ops.Reshape():
            return reshape(builder, op, node)
        case ops.Scan():
            return _scan(builder, op, node)
        case ops.Concat():
            return concat(builder, op, node)
        case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast():
            return move(builder, op, node)
        case ops.Const():
            raise ProgramError("a constant is placed by the nodes that read it")
        case _:
            assert_never(op)


def _steps(builder: DataflowBuilder) -> list[Step]:
    """All steps, operands first."""
    placed = list(engines(builder))
    rates = memory_rates(builder, [(executed(builder, region.units, row), row) for region, row in placed])
    shared = {place: (*one, rate) for one, rate in zip(placed, rates, strict=True) for place in one[0].nodes}
    turns, beside = dict[NodeId, dict[NodeId, StepId]](), alike_parts(builder, [region.units for region, _ in placed])
    for index, node in enumerate(builder.program.nodes):
        if isinstance(node.op, ops.Const):
            continue
        if NodeId(index) in shared:
            region, row, rate = shared[NodeId(index)]
            if index in region.results:
                own = turns.setdefault(region.results[-1], {})
                builder.step_of[NodeId(index)] = placed_region(builder, region, row, rate, own, NodeId(index), beside)
            continue
        builder.layer = node.layer
        if NodeId(index) in beside.circuits:
            beside.place(builder, NodeId(index), _placed)
            continue
        builder.step_of[NodeId(index)] = _placed(builder, node)
    for output in builder.program.outputs:
        place = NodeId(output.node)
        node = builder.program.nodes[place]
        whole = 0 if builder.directives.parallel else max(len(node.type.shape) - 1, 0)
        number = builder.directives.parallelism(node.layer, node.type.shape[:whole])
        step = builder.as_stream(place, whole)
        if number > 1 and not builder.is_constant(place):
            step = builder.grouped(place, number, whole)
        builder.add(Sink(output.name), (step,), builder.stream(step))
    return builder.steps
