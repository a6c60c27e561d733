"""Computes equal things once.

Before: ``%3 = add %0 %1`` and ``%4 = add %1 %0``. After: ``%3`` alone, used twice.
"""

from dataclasses import replace

from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.passes.program.rewrite import moved


def share(program: Program) -> Program:
    """The program with equal ops on equal operands merged; the first one's layer is kept."""
    nodes: list[Node] = []
    place: list[int] = []
    seen: dict[object, int] = {}
    for node in program.nodes:
        op = replace(node.op, body=share(node.op.body)) if isinstance(node.op, ops.Scan) else node.op
        node = Node(op, tuple(place[arg] for arg in node.args), node.type, node.layer)
        index = len(nodes) if isinstance(op, ops.Input | ops.Parameter) else seen.setdefault(identity(node), len(nodes))
        if index == len(nodes):
            nodes.append(node)
        place.append(index)
    return moved(program, tuple(nodes), place)


def identity(node: Node) -> object:
    """A value that is equal for equal computations."""
    args = tuple(sorted(node.args)) if isinstance(node.op, ops.Commutative) else node.args
    return node.op, args, node.type
