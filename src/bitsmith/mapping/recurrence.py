"""Recurrences that share hardware: states go round through the processes of a step's ops, a few channels at a time.

What a step computes is the same for all of them, but for what it waits for. So the body is laid out like any other program,
with the steps as an axis before all others, and each state is a stream that later processes give back (`Feedback`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.processes import Feedback, Rom, Stream, regrouped, union_type
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import objects
from bitsmith.mapping.areas import area_of_op, area_of_steps
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.folding import MultiplierStyle, divisors


def recurrence(
    builder: DataflowBuilder, op: ops.Scan, node: Node, placed: Callable[[DataflowBuilder, Node], StepId]
) -> StepId | None:
    """The results of a recurrence whose products take several cycles; None where they do not, or it cannot be laid out so.

    ``placed``: lays out a node.
    """
    directives, steps = builder.directives, node.type.shape[0]
    cycles = directives.reuse_factor(node.layer) // (steps if directives.parallel else 1)
    style = directives.multiplier_style(node.layer)
    if cycles < 2 or steps == 1 or not directives.feedback or style is MultiplierStyle.GRAPHS:
        return None
    program = _over_steps(op.body, steps, node.layer)
    if program is None:
        return None
    inner = DataflowBuilder(program, replace(directives, reuse={node.layer: cycles}, parallel=False, positions={}))
    inner.steps, inner.native_forms, inner.layer = builder.steps, builder.native_forms, node.layer
    begun = len(inner.steps)
    loops = _states(builder, inner, op, node, cycles)
    for arg, index in zip(builder.operands(node)[op.states :], program.inputs[op.states :], strict=True):
        inner.step_of[NodeId(index)] = builder.as_stream(arg, 1)
    for index, each in enumerate(program.nodes):
        if not isinstance(each.op, ops.Const | ops.Input):
            inner.step_of[NodeId(index)] = placed(inner, each)
    *following, result = (NodeId(output.node) for output in program.outputs)
    for loop, state in zip(loops, following, strict=True):
        stream = inner.stream(loop)
        back = inner.cast_to(inner.regroup(inner.step_of[state], stream.grid, stream.token.shape), stream.token)
        inner.steps[loop] = replace(inner.steps[loop], args=(inner.steps[loop].args[0], back))
    found = inner.step_of[result]
    alone = sum(_area_of_node(program, each, steps) for each in program.nodes)
    return found if area_of_steps(inner, begun, found) < alone else None


def _area_of_node(program: Program, node: Node, steps: int) -> float:
    """Look-up tables of what a step needs of ``node``, laid out for all channels."""
    return area_of_op(node.op, program.types(node.args), node.type) / steps


def _states(builder: DataflowBuilder, inner: DataflowBuilder, op: ops.Scan, node: Node, cycles: int) -> list[StepId]:
    """The streams of the states, the initial ones given: as few channels at a time as one of so many cycles needs."""
    steps, found = node.type.shape[0], list[StepId]()
    widest = max(math.prod(each.type.shape) for each in op.body.nodes if not isinstance(each.op, ops.Const))
    for arg, index in zip(builder.operands(node)[: op.states], inner.program.inputs, strict=False):
        shape = inner.program.nodes[index].type.shape[1:]
        size = math.prod(shape)
        part = next(part for part in divisors(size) if widest <= cycles * part or part == size)
        token = regrouped(union_type(inner.program.nodes[index].type, 1), (part,))
        first = _initial(builder, arg, Stream((size // part,), token))
        loop = inner.add(Feedback(steps), (first, first), Stream((steps, size // part), token))
        inner.step_of[NodeId(index)] = inner.with_native_form(loop, (steps,), shape)
        found.append(loop)
    return found


def _initial(builder: DataflowBuilder, arg: NodeId, stream: Stream) -> StepId:
    """The value of ``arg`` as the tokens of ``stream``."""
    node = builder.program.nodes[arg]
    if not isinstance(node.op, ops.Const):
        return builder.cast_to(
            builder.regroup(builder.as_stream(arg, 0), stream.grid, stream.token.shape), stream.token
        )
    raw = objects(np.broadcast_to(node.op.raw, node.type.shape).reshape(stream.shape))
    frac = np.broadcast_to(node.op.frac, node.type.shape).reshape(stream.shape)
    return builder.add(Rom(rescale(raw, frac, np.broadcast_to(stream.token.frac, stream.shape))), (), stream)


def _over_steps(body: Program, steps: int, layer: str) -> Program | None:
    """``body`` for all steps at once, as an axis before the others; None if that is not written here for one of its ops."""
    builder, values = ProgramBuilder(), list[Value]()
    with builder.layer(layer):
        for node in body.nodes:
            value = _on_all(builder, node, [values[arg] for arg in node.args], body, steps)
            if value is None:
                return None
            values.append(value)
    if any(isinstance(body.nodes[output.node].op, ops.Const | ops.Input) for output in body.outputs):
        return None
    return builder.program([(output.name, values[output.node]) for output in body.outputs])


def _on_all(builder: ProgramBuilder, node: Node, args: list[Value], body: Program, steps: int) -> Value | None:
    """A node on all steps at once; constants stay as they are."""
    constant = [isinstance(body.nodes[arg].op, ops.Const) for arg in node.args]
    match node.op:
        case ops.Const():
            return builder.apply(node.op)
        case ops.Input():
            return builder.apply(replace(node.op, shape=(steps, *node.op.shape)))
        case _ if not args or all(constant):
            return None
        case ops.Linear():
            return builder.apply(node.op, *args)
        case ops.Reshape(shape):
            return builder.apply(ops.Reshape((steps, *shape)), *args)
        case ops.Slice(start, stop, step):
            return builder.apply(ops.Slice((0, *start), (steps, *stop), (1, *step)), *args)
        case ops.Concat(axis) if not any(constant):
            return builder.apply(ops.Concat(axis + 1), *args)
        case _ if isinstance(node.op, ops.Elementwise):
            aligned = [
                arg if fixed else _aligned(builder, arg, len(node.type.shape) + 1)
                for arg, fixed in zip(args, constant, strict=True)
            ]
            return builder.apply(node.op, *aligned)
        case _:
            return None


def _aligned(builder: ProgramBuilder, value: Value, rank: int) -> Value:
    """``value`` with axes of one element after its first up to ``rank`` axes."""
    first, *rest = value.shape
    return (
        value if len(value.shape) == rank else builder.reshape(value, (first, *(1,) * (rank - len(value.shape)), *rest))
    )
