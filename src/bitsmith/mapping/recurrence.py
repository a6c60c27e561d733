"""Recurrences that share hardware: states go round through the processes of a step's ops, a few channels at a time.

What a step computes is the same for all of them, but for what it waits for. So the body is laid out like any other program,
with the steps as an axis before all others, and each state is a stream that later processes give back (`Feedback`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import Feedback, Rom
from bitsmith.dataflow.tokens import Stream, regrouped, union_type
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.held import held_parameters
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
    style, held = directives.multiplier_style(node.layer), held_parameters(builder.program, node)
    if not directives.feedback or (not held and (cycles < 2 or steps == 1 or style is MultiplierStyle.GRAPHS)):
        return None
    cycles = max(cycles, 1)
    program = _over_steps(op, held, steps, node.layer)
    if program is None:
        return None
    inner = DataflowBuilder(program, replace(directives, reuse={node.layer: cycles}, parallel=False, positions={}))
    inner.steps, inner.native_forms, inner.layer = builder.steps, builder.native_forms, node.layer
    begun = len(inner.steps)
    initial = {number: arg for number, arg in enumerate(builder.operands(node)[: op.states]) if number not in held}
    loops = _states(builder, inner, op, initial, cycles)
    for arg, index in zip(builder.operands(node)[op.states :], program.inputs[len(initial) :], strict=True):
        inner.step_of[NodeId(index)] = builder.as_stream(arg, 1)
    for index, each in enumerate(program.nodes):
        if not isinstance(each.op, ops.Const | ops.Input):
            inner.step_of[NodeId(index)] = placed(inner, each)
    *following, result = (NodeId(output.node) for output in program.outputs)
    for loop, state in zip(loops, following, strict=True):
        stream = inner.stream(loop)
        back = inner.cast_to(inner.regroup(inner.step_of[state], stream.grid, stream.token.shape), stream.token)
        inner.steps[loop] = replace(inner.steps[loop], args=(inner.steps[loop].args[0], back))
    step = inner.step_of[result]
    if held:
        return step  # a process of all of it would hold the weights twice
    alone = sum(area_of_op(each.op, program.types(each.args), each.type) / steps for each in program.nodes)
    return step if area_of_steps(inner, begun, step) < alone else None


def repetition(builder: DataflowBuilder, op: ops.Scan, node: Node) -> StepId | None:
    """The results of a recurrence that no step changes the states of: these are operands that come again for each step.

    None of others, and where a step has products.
    """
    unchanged = all(
        output.node == entry for output, entry in zip(op.body.outputs[:-1], op.body.inputs[: op.states], strict=True)
    )
    plain = all(isinstance(each.op, ops.Input | ops.Const | ops.Movement | ops.Elementwise) for each in op.body.nodes)
    if not op.states or op.kept or not unchanged or not plain:
        return None
    grid = (node.type.shape[0],)
    source = np.zeros(grid, dtype=np.int64)
    steps = dict[int, StepId]()
    for number, (index, arg) in enumerate(zip(op.body.inputs, builder.operands(node), strict=True)):
        each = number >= op.states
        given = builder.as_stream(arg, int(each))
        taken = builder.cast_to(given if each else builder.repeated(given, source, grid), op.body.nodes[index].type)
        steps[index] = taken
    for index, inner in enumerate(op.body.nodes):
        if isinstance(inner.op, ops.Const):
            steps[index] = builder.token_constant(inner.op.raw, inner.op.frac)
        elif not isinstance(inner.op, ops.Input):
            steps[index] = builder.token_op(inner.op, [steps[arg] for arg in inner.args], grid)
    return steps[op.body.outputs[-1].node]


def _states(
    builder: DataflowBuilder, inner: DataflowBuilder, op: ops.Scan, initial: Mapping[int, NodeId], cycles: int
) -> list[StepId]:
    """The streams of the states, by their numbers the ``initial`` ones: as few channels at a time as so many cycles allow."""
    loops, body = list[StepId](), op.body
    steps = inner.program.nodes[inner.program.inputs[0]].type.shape[0]
    numbers = [each for each in body.nodes if not isinstance(each.op, ops.Const)]
    vectors = [each for each in numbers if len(each.type.shape) < 2]  # matrices are what is held
    widest = max(math.prod(each.type.shape) for each in vectors or numbers)
    for (number, arg), index in zip(initial.items(), inner.program.inputs, strict=False):
        shape = inner.program.nodes[index].type.shape[1:]
        size = math.prod(shape)
        part = next(part for part in divisors(size) if widest <= cycles * part or part == size)
        token = regrouped(union_type(inner.program.nodes[index].type, 1), (part,))
        first = _initial(builder, arg, Stream((size // part,), token))
        loop = inner.add(Feedback(steps, number < op.kept), (first, first), Stream((steps, size // part), token))
        inner.step_of[NodeId(index)] = inner.with_native_form(loop, (steps,), shape)
        loops.append(loop)
    return loops


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


def _over_steps(op: ops.Scan, held: Mapping[int, Node], steps: int, layer: str) -> Program | None:
    """The body for all steps at once, as an axis before the others; None if that is not written here for one of its ops.

    States that are ``held`` are parameters there, and no results.
    """
    builder, values, known = ProgramBuilder(), list[Value](), list[bool]()
    loaded = {op.body.inputs[number]: parameter.op for number, parameter in held.items()}
    with builder.layer(layer):
        for index, node in enumerate(op.body.nodes):
            node = replace(node, op=loaded.get(index, node.op))
            args, fixed = [values[arg] for arg in node.args], [known[arg] for arg in node.args]
            known.append(not isinstance(node.op, ops.Input) and all(fixed))
            value = builder.apply(node.op, *args) if known[-1] else _on_all(builder, node, args, fixed, steps)
            if value is None:
                return None
            values.append(value)
    outputs = [output for number, output in enumerate(op.body.outputs) if number not in held]
    if any(known[output.node] or isinstance(op.body.nodes[output.node].op, ops.Input) for output in outputs):
        return None
    return builder.program([(output.name, values[output.node]) for output in outputs])


def _on_all(builder: ProgramBuilder, node: Node, args: list[Value], known: Sequence[bool], steps: int) -> Value | None:
    """A node on all steps at once; those of ``args`` that are ``known``, and not all are, have no axis for steps."""
    match node.op:
        case ops.Input():
            return builder.apply(replace(node.op, shape=(steps, *node.op.shape)))
        case ops.Linear():
            return builder.apply(node.op, *args)
        case ops.MatMul() if [*known] == [False, True] and node.type.shape[:-1] == (1,):
            rows = builder.reshape(args[0], (steps, args[0].shape[-1]))
            return builder.reshape(builder.apply(node.op, rows, args[1]), (steps, *node.type.shape))
        case ops.Reshape(shape):
            return builder.apply(ops.Reshape((steps, *shape)), *args)
        case ops.Slice(start, stop, step):
            return builder.apply(ops.Slice((0, *start), (steps, *stop), (1, *step)), *args)
        case ops.Concat(axis) if not any(known):
            return builder.apply(ops.Concat(axis + 1), *args)
        case _ if isinstance(node.op, ops.Elementwise):
            alike = [
                arg if fixed else aligned(builder, arg, len(node.type.shape) + 1)
                for arg, fixed in zip(args, known, strict=True)
            ]
            return builder.apply(node.op, *alike)
        case _:
            return None


def aligned(builder: ProgramBuilder, value: Value, rank: int) -> Value:
    """``value`` with axes of one element after its first up to ``rank`` axes."""
    first, *rest = value.shape
    return (
        value if len(value.shape) == rank else builder.reshape(value, (first, *(1,) * (rank - len(value.shape)), *rest))
    )
