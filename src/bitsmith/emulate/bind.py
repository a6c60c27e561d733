"""Binds each node of a program: the one place that knows which op is handled where."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never, cast

import numpy as np

from bitsmith.emulate import arithmetic
from bitsmith.emulate.bounds import NumberKind, least, limb_count
from bitsmith.emulate.casts import bind_cast, bind_table
from bitsmith.emulate.floats import Kernel
from bitsmith.emulate.limbs import Limbs
from bitsmith.emulate.linear import bind_linear
from bitsmith.emulate.notes import RangeNotes
from bitsmith.emulate.storage import StoragePlan
from bitsmith.emulate.transfer import load_raw, read_raw
from bitsmith.emulate.wiring import bind_wiring
from bitsmith.emulate.workspace import Array, StoredValue, Workspace, constant, copy_limbs
from bitsmith.ir import ops
from bitsmith.ir.program import Node


def bind(
    plan: StoragePlan,
    batch: int,
    wanted: Sequence[int],
    notes: RangeNotes | None = None,
    *,
    guards_inputs: bool = False,
) -> Workspace:
    """A workspace with steps for all nodes that ``wanted`` nodes need; their buffers and the inputs' live on.

    With ``guards_inputs`` its :meth:`~Workspace.run_quick` looks at the inputs too, if each of them can be guarded.
    """
    ws = Workspace(plan, batch, notes)
    ws.guards_inputs = guards_inputs
    ws.keep([*wanted, *plan.program.inputs])
    # Inputs are written before the first step: they must not share a buffer with an earlier node's temporaries.
    inputs = set(plan.program.inputs)
    for index in sorted(plan.needed, key=lambda index: (index not in inputs, index)):
        ws.node = index
        ws.finish(_bind_node(ws, plan.program.nodes[index]))
    return ws


def _bind_node(ws: Workspace, node: Node) -> StoredValue:
    op = node.op
    match op:
        case ops.Input():
            return _bind_input(ws, op)
        case ops.Const() | ops.Parameter():
            return constant(op, ws.plan.storage[ws.node], node.type)
        case ops.Linear():
            return bind_linear(ws, node.args)
        case ops.MatMul():
            return arithmetic.bind_matmul(ws, node.args)
        case ops.Add() | ops.Sub() | ops.Max() | ops.Min():
            return arithmetic.bind_pairwise(ws, op, node.args)
        case ops.Mul():
            return arithmetic.bind_product(ws, node.args)
        case ops.Neg() | ops.Abs():
            return arithmetic.bind_sign(ws, op, node.args)
        case ops.Shift():
            return arithmetic.bind_shift(ws, op, node.args)
        case ops.Compare():
            return arithmetic.bind_compare(ws, op, node.args)
        case ops.Select():
            return arithmetic.bind_select(ws, node.args)
        case ops.Sum() | ops.AMax():
            return arithmetic.bind_reduction(ws, op, node.args)
        case ops.Table():
            return bind_table(ws, op, node.args)
        case ops.Cast():
            return bind_cast(ws, op, node.args)
        case ops.Scan():
            return _bind_scan(ws, op, node.args)
        case _ if isinstance(op, ops.Movement):
            return bind_wiring(ws, op, node.args)
        case _:
            assert_never(op)


def _bind_input(ws: Workspace, op: ops.Input) -> StoredValue:
    storage, type_ = ws.plan.storage[ws.node], ws.plan.type(ws.node)
    if ws.guards_inputs and op.lo.size == op.hi.size == 1:
        lo, hi = least(op).item(), op.hi.item()
        # With a bit of room all numbers that are outside stay so when they are converted.
        tellable = storage.kind is not NumberKind.LIMBS and 2 * max(-lo, hi) < 1 << storage.kind.bits
        guarded = ws.guarded(storage, lo, hi) if tellable else None
        if guarded is not None:
            return guarded
    ws.guards_inputs = False
    count = limb_count(type_) if storage.kind is NumberKind.LIMBS else 1
    return ws.new(type_.shape, storage, type_, count=count)


def _bind_scan(ws: Workspace, op: ops.Scan, args: tuple[int, ...]) -> StoredValue:
    """The body has a workspace of its own, which runs once per step of the sequence: of all samples at once, or in turn."""
    plan = ws.plan.bodies[ws.node]
    storage, type_ = ws.plan.storage[ws.node], ws.plan.type(ws.node)
    results = [output.node for output in op.body.outputs]
    body = bind(plan, 1 if op.kept else ws.batch, results, ws.notes.alone() if op.kept else ws.notes)
    inputs = [body.values[index] for index in op.body.inputs]
    operands = [
        ws.fetch(arg, x.storage.kind, x.storage.scale if index < op.states else x.storage.scale[None])
        for index, (arg, x) in enumerate(zip(args, inputs, strict=True))
    ]
    body.node = len(op.body.nodes)
    following = [
        body.fetch(node, x.storage.kind, x.storage.scale)
        for node, x in zip(results[:-1], inputs[: op.states], strict=True)
    ]
    scale = np.broadcast_to(storage.scale, (*storage.scale.shape,))[0]
    y = body.fetch(results[-1], storage.kind, scale)
    result = ws.new(type_.shape, storage, type_, count=limb_count(type_) if storage.kind is NumberKind.LIMBS else 1)
    states, sequences = inputs[: op.states], list(zip(inputs[op.states :], operands[op.states :], strict=True))
    moves = _moves(states, following)
    if op.kept:
        ws.do(partial(_in_turn, ws, ws.node, op.kept, body, states, operands, sequences, y, result, moves))
        return result
    begin = [
        copy for state, initial in zip(states, operands, strict=False) for copy in _copies(state.parts, initial.parts)
    ]
    times = [
        (
            [copy for x, row in sequences for copy in _copies(x.parts, [part[time] for part in row.parts])],
            _copies([part[time] for part in result.parts], y.parts),
        )
        for time in range(type_.shape[0])
    ]

    def step() -> None:
        for copy in begin:
            copy()
        for before, after in times:
            for copy in before:
                copy()
            body.run()
            for copy in after:
                copy()
            for copy in moves:
                copy()

    ws.do(step)
    return result


def _in_turn(
    ws: Workspace,
    node: int,
    kept: int,
    body: Workspace,
    states: Sequence[StoredValue],
    initial: Sequence[StoredValue],
    sequences: Sequence[tuple[StoredValue, StoredValue]],
    y: StoredValue,
    result: StoredValue,
    moves: Sequence[Kernel],
) -> None:
    """Run the recurrence ``node`` for one sample after another; each begins with the ``kept`` states of the one before."""
    known = ws.states.get(node)
    for state, raw in zip(states, known or (), strict=False):
        load_raw(state, raw)
    for sample in range(ws.samples):
        fresh = 0 if known is None and sample == 0 else kept
        for state, first in zip(states[fresh:], initial[fresh:], strict=False):
            _copy(state.parts, _of_sample(first.parts, sample))
        for time in range(result.type.shape[0]):
            for x, rows in sequences:
                _copy(x.parts, _of_sample([part[time] for part in rows.parts], sample))
            body.run()
            _copy(_of_sample([part[time] for part in result.parts], sample), y.parts)
            for move in moves:
                move()
        ws.notes.include(body.notes, sample)
    if ws.samples:
        ws.states[node] = [read_raw(state, 1).copy() for state in states[:kept]]


def _of_sample(parts: Sequence[Array], sample: int) -> list[Array]:
    """The part of a sample of arrays, which are the same for all where they have one only."""
    return [part if part.shape[-1] == 1 else part[..., sample : sample + 1] for part in parts]


def _copy(target: Sequence[Array], source: Sequence[Array]) -> None:
    for copy in _copies(target, source):
        copy()


def _moves(states: Sequence[StoredValue], following: Sequence[StoredValue]) -> list[Kernel]:
    """Steps that make the next states the states."""
    targets = [part for state in states for part in state.parts]
    alone = not any(
        np.may_share_memory(part, target) for value in following for part in value.parts for target in targets
    )
    if alone:
        pairs = zip(states, following, strict=True)
        return [copy for state, value in pairs for copy in _copies(state.parts, value.parts)]
    # A next state may be (a view of) another state, so all are copied before any is overwritten.
    shadows = [[np.empty_like(part) for part in state.parts] for state in states]
    first = [copy for shadow, value in zip(shadows, following, strict=True) for copy in _copies(shadow, value.parts)]
    return first + [
        copy for state, shadow in zip(states, shadows, strict=True) for copy in _copies(state.parts, shadow)
    ]


def _copies(target: Sequence[Array], source: Sequence[Array]) -> list[Kernel]:
    """Steps that write ``source`` into ``target``, floats or limbs."""
    if len(target) == len(source):
        return [partial(np.copyto, to, part) for to, part in zip(target, source, strict=True)]
    return [partial(copy_limbs, target, cast(Limbs, tuple(source)))]
