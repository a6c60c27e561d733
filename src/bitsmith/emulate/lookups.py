"""Replaces long computations on one narrow tensor by tables, where a look-up takes less time.

In: a program and its wanted nodes. Out: a program whose wanted nodes have the same values; some are tables now. What a table
holds was computed by the ops that it stands for, an entry for each raw value of their operand.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.emulate.bounds import overflows
from bitsmith.errors import BitsmithError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import IntArray, Ints, Overflow, Rounding, TensorType, objects

MOST_ENTRIES = 1 << 17
"""Entries of one table: a float32 for each of them fits into the caches of a processor."""

MOST_TOGETHER = 1 << 20
LEAST_PASSES = 8
"""Passes over an array that take longer than making an index of it and the look-up."""

Evaluate = Callable[[Program, Ints], IntArray]
"""Raw values of the only output of a program for raw values of its only input."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """The nodes ``members``, in order, compute the last one from ``root`` and constants, element by element."""

    root: int
    members: tuple[int, ...]


def with_tables(
    program: Program, wanted: Collection[int], watched: Collection[ops.Cast], evaluate: Evaluate
) -> Program:
    """``program`` with tables where they save time; the casts ``watched`` stay where a value may leave its range."""
    nodes = [_with_body(node, watched, evaluate) for node in program.nodes]
    known: dict[Program, ops.Table] = {}
    room = MOST_TOGETHER
    for chain in _chains(program, wanted, watched):
        function = _of_one_element(program, chain)
        entries = _entries(program.nodes[chain.root].type)
        if function is None or entries > room:
            continue
        room -= entries
        if function not in known:
            known[function] = _table(function, evaluate)
        nodes[chain.members[-1]] = replace(program.nodes[chain.members[-1]], op=known[function], args=(chain.root,))
    return replace(program, nodes=tuple(nodes))


def _with_body(node: Node, watched: Collection[ops.Cast], evaluate: Evaluate) -> Node:
    if not isinstance(node.op, ops.Scan):
        return node
    body = node.op.body
    body = with_tables(body, {output.node for output in body.outputs}, watched, evaluate)
    return replace(node, op=replace(node.op, body=body))


def _chains(program: Program, wanted: Collection[int], watched: Collection[ops.Cast]) -> list[_Chain]:
    """Return chains worth a table: from where one narrow tensor is all that varies to where something else reads."""
    roots: list[int] = []
    for index in range(len(program.nodes)):
        roots.append(_root(program, index, roots, watched))
    read = {
        arg
        for index, node in enumerate(program.nodes)
        for arg in node.args
        if roots[arg] != arg and roots[index] != roots[arg]
    }
    ends = sorted(read | {index for index in wanted if roots[index] != index})
    chains = (_Chain(roots[end], _members(program, roots[end], end)) for end in ends)
    return [chain for chain in chains if _passes(program, chain) >= LEAST_PASSES]


def _root(program: Program, index: int, roots: list[int], watched: Collection[ops.Cast]) -> int:
    """The only tensor that element ``k`` of node ``index`` depends on by its element ``k``; the node itself, if there is none."""
    node = program.nodes[index]
    found = {roots[arg] for arg in node.args if not _is_number(program.nodes[arg])}
    if len(found) != 1 or _alike(node.op) is None:
        return index
    (root,) = found
    kind = program.nodes[root].type
    if kind.shape != node.type.shape or kind.frac.size > 1 or _entries(kind) > MOST_ENTRIES:
        return index
    if isinstance(node.op, ops.Cast) and node.op in watched and _leaves(program, node.op, node.args[0]):
        return index
    return root


def _is_number(node: Node) -> bool:
    """True for a constant whose elements are all the same."""
    return isinstance(node.op, ops.Const) and node.type.lo.size == node.type.frac.size == 1


def _entries(kind: TensorType) -> int:
    return int(kind.hi.max()) - int(kind.lo.min()) + 1


def _leaves(program: Program, op: ops.Cast, operand: int) -> bool:
    return overflows(op, *rounded_range(program.nodes[operand].type, op.frac, op.rounding))


def _alike(op: Op) -> Op | None:
    """``op`` for tensors without axes, if it does the same to each element; else None."""
    match op:
        case ops.Cast() if op.frac.size == op.lo.size == op.hi.size == 1:
            return replace(op, frac=op.frac.reshape(()), lo=op.lo.reshape(()), hi=op.hi.reshape(()))
        case ops.Shift() if op.amount.size == 1:
            return replace(op, amount=op.amount.reshape(()))
        case ops.Table() if op.frac.size == 1 and op.values.size == op.values.shape[-1]:
            return replace(op, values=op.values.reshape(-1), frac=op.frac.reshape(()))
        case ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs():
            return op
        case ops.Compare() | ops.Select():
            return op
        case _:
            return None


def _members(program: Program, root: int, end: int) -> tuple[int, ...]:
    """The nodes between ``root`` and ``end``, constants included."""
    return tuple(sorted(reached([end], lambda node: {*program.nodes[node].args} - {root})))


def _passes(program: Program, chain: _Chain) -> int:
    """About how many times the emulator goes over the array."""
    total = 0
    for index in chain.members:
        op = program.nodes[index].op
        match op:
            case ops.Cast():
                wraps = op.overflow is Overflow.WRAP and _leaves(program, op, program.nodes[index].args[0])
                total += 4 if wraps else 1
            case ops.Table():
                total += 4
            case ops.Select() | ops.Compare():
                total += 2
            case ops.Const() | ops.Shift():
                pass
            case _:
                total += 1
    return total


def _of_one_element(program: Program, chain: _Chain) -> Program | None:
    """``chain`` for one element, or None if an element of its own type might be something else than among others."""
    kind = program.nodes[chain.root].type
    frac, lo, hi = kind.frac.reshape(()), objects(kind.lo.min()), objects(kind.hi.max())
    op: Op = ops.Input("x", (), frac, lo, hi, Rounding.TRN, Overflow.SAT, ())
    nodes = [Node(op, (), infer(op, ()))]
    place = {chain.root: 0}
    for index in chain.members:
        node = program.nodes[index]
        if isinstance(node.op, ops.Const):
            op = ops.Const(node.type.lo.reshape(()), node.type.frac.reshape(()))
        else:
            alike = _alike(node.op)
            assert alike is not None
            op = alike
        args = tuple(place[arg] for arg in node.args)
        try:
            inferred = infer(op, [nodes[arg].type for arg in args])
        except BitsmithError:  # a table that lacks entries for values which only other elements have
            return None
        if inferred.frac.item() != node.type.frac.max() or node.type.frac.size > 1:
            return None
        place[index] = len(nodes)
        nodes.append(Node(op, args, inferred))
    return Program(tuple(nodes), (Output("y", len(nodes) - 1),))


def _table(function: Program, evaluate: Evaluate) -> ops.Table:
    """The function of one element as a table."""
    kind = function.nodes[0].type
    first = int(kind.lo.item())
    values = objects(evaluate(function, objects(np.arange(_entries(kind))) + first))
    values.setflags(write=False)
    return ops.Table(first, values, function.nodes[-1].type.frac)
