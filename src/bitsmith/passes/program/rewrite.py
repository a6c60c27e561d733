"""Rebuilds programs node by node, with replacements: what most passes are made of."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType, objects


class Rewriter:
    """A program under reconstruction."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._inferred: dict[tuple[int, tuple[int, ...]], tuple[Op, TensorType]] = {}

    def type(self, index: int) -> TensorType:
        """The type of new node ``index``."""
        return self.nodes[index].type

    def infer(self, op: Op, args: tuple[int, ...]) -> TensorType:
        """The type of ``op`` on the nodes ``args``; asked again of the same op, as it was."""
        place = id(op), args
        if place not in self._inferred:
            self._inferred[place] = op, infer(op, [self.type(arg) for arg in args])
        return self._inferred[place][1]

    def keep(self, op: Op, args: tuple[int, ...], result: TensorType) -> None:
        """Take ``result`` as the type of ``op`` on the nodes ``args``, without inferring it again."""
        self._inferred[id(op), args] = op, result

    def append(self, op: Op, args: tuple[int, ...], layer: str) -> int:
        """Add a node, with the tightest type; its index."""
        self.nodes.append(Node(op, args, self.infer(op, args), layer))
        return len(self.nodes) - 1


Rule = Callable[[Rewriter, Op, tuple[int, ...], str], int | None]
"""Gives the new node that stands for an op on new operands, or None to keep the op."""


def rewrite(program: Program, rule: Rule) -> Program:
    """``program`` with ``rule`` applied to each node, operands first, bodies of scans included.

    The type of a node is inferred again only where the rule has changed the op or the type of an operand.
    All values keep their fractional bits, since raw outputs, tables and scans depend on them: where a tighter range
    needs fewer, a lossless cast restores them.
    """
    new = Rewriter()
    place: list[int] = []
    for node in program.nodes:
        op = replace(node.op, body=rewrite(node.op.body, rule)) if isinstance(node.op, ops.Scan) else node.op
        args = tuple(place[arg] for arg in node.args)
        if op is node.op and all(
            new.type(arg) is program.nodes[old].type for arg, old in zip(args, node.args, strict=True)
        ):
            new.keep(op, args, node.type)
        replaced = rule(new, op, args, node.layer)
        index = new.append(op, args, node.layer) if replaced is None else replaced
        place.append(_with_frac(new, index, node))
    return moved(program, tuple(new.nodes), place)


def moved(program: Program, nodes: tuple[Node, ...], place: list[int]) -> Program:
    """A program of ``nodes`` whose outputs and probes are those of ``program`` at their new places."""
    return Program(
        nodes,
        tuple(Output(output.name, place[output.node]) for output in program.outputs),
        tuple(Output(probe.name, place[probe.node]) for probe in program.probes),
    )


def _with_frac(new: Rewriter, index: int, node: Node) -> int:
    have, want = new.type(index), node.type.frac
    if bool(np.all(have.frac == want)):
        return index
    # Values are on both grids, so that a coarser one loses nothing: a zero may have had any.
    up, down = objects(np.maximum(want - have.frac, 0)), objects(np.maximum(have.frac - want, 0))
    lo, hi = objects(-(-(have.lo << up) >> down)), objects((have.hi << up) >> down)
    return new.append(ops.Cast(want, lo, hi, Rounding.TRN, Overflow.SAT), (index,), node.layer)
