"""Wires of a process's operand: elements that are the same wire, and zeros of the padding.

Synthesis makes what depends on the same wires once: elements that are computed alike from the same wires are the same, too.
Zeros are not stored, and products with them disappear.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.kinds import Map, WidthConverter
from bitsmith.dataflow.processes import Network
from bitsmith.ir import ops
from bitsmith.ir.indexing import Move, moved, rearranged
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import TensorType

WIRING: TypeAlias = ops.Input | ops.Const | ops.Parameter | ops.Movement | ops.Shift
"""Ops that take no logic."""

Moving: TypeAlias = Move | ops.Reshape | ops.Shift
"""Ops whose result has the elements of one operand, in another order."""

Wires: TypeAlias = npt.NDArray[np.int64]
"""A number per element: the same where the wires are, and -1 for zeros of the padding."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The wires of tokens in a network; of some processes those of the results that their circuits compute are known."""

    network: Network
    computed: Mapping[int, Sequence[Wires]] = field(default_factory=dict)
    _found: dict[tuple[int, int], Wires] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of_operand(self, number: int, operand: int = 0) -> Wires:
        """The wires of the flat elements of an operand of a process."""
        if (number, operand) not in self._found:
            self._found[number, operand] = self._of_operand(number, operand)
        return self._found[number, operand]

    def _of_operand(self, number: int, operand: int) -> Wires:
        process = self.network.processes[number]
        size, source = process.takes[operand].token.size, process.args[operand]
        maker = self.network.processes[source.process]
        if source.process in self.computed:
            return self.computed[source.process][source.port]
        match maker.kind:
            case WidthConverter() if maker.takes[0].token.size >= size:
                whole = maker.takes[0].token.size == size
                return self.of_operand(source.process) if whole else self.of_parts(source.process)
            case WidthConverter():
                part = self.of_operand(source.process)
                starts = np.arange(size // len(part))[:, None] * (int(part.max(initial=-1)) + 1)
                return np.where(part < 0, -1, part + starts).ravel()
            case Map() as kind:
                return self._of_nodes(source.process, kind.program)[kind.program.outputs[source.port].node]
            case _:
                return np.arange(size)

    def of_parts(self, number: int) -> Wires:
        """The wires of the flat elements of the parts that a width converter makes of a token."""
        parts = self.of_operand(number).reshape(-1, self.network.processes[number].results[0].token.size)
        return np.where(np.all(parts < 0, axis=0), -1, numbered(parts))

    def of_products(self, number: int, program: Program) -> dict[int, float]:
        """The share of zeros of the padding in the operand of each product of a token function, by node."""
        linear = [index for index, node in enumerate(program.nodes) if isinstance(node.op, ops.Linear)]
        wires = self._of_nodes(number, program) if linear else []
        return {index: float((wires[program.nodes[index].args[0]] < 0).mean()) for index in linear}

    def _of_nodes(self, number: int, program: Program) -> Sequence[Wires]:
        """The wires of all nodes of the token function of a process, of what it moves."""
        of_nodes: list[Wires] = []
        operands, first = iter(range(len(self.network.processes[number].args))), 0
        for node in program.nodes:
            match node.op:
                case ops.Input():
                    wires = self.of_operand(number, next(operands))
                    of_nodes.append(np.where(wires < 0, -1, wires + first))
                case op if isinstance(op, Moving):
                    of_nodes.append(moved_wires(op, program.nodes[node.args[0]].type.shape, of_nodes[node.args[0]]))
                case ops.Const():
                    _, same = np.unique(node.type.lo, return_inverse=True)
                    of_nodes.append(np.broadcast_to(same.reshape(node.type.lo.shape), node.type.shape).ravel() + first)
                case ops.Concat():
                    parts = [of_nodes[arg].reshape(program.nodes[arg].type.shape) for arg in node.args]
                    of_nodes.append(np.concatenate(parts, axis=node.op.axis).ravel())
                case op if isinstance(op, ops.Elementwise):
                    args = [(of_nodes[arg], program.nodes[arg].type) for arg in node.args]
                    of_nodes.append(_computed(op, args, node.type.shape) + first)
                case _:
                    of_nodes.append(np.arange(node.type.size) + first)
            first = max(first, int(of_nodes[-1].max(initial=-1)) + 1)
        return of_nodes


def numbered(parts: Wires) -> Wires:
    """Numbers of the columns of ``parts``, the same for those that are alike."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(column.tobytes(), len(numbers)) for column in parts.T], dtype=np.int64)


def _computed(op: ops.Elementwise, args: Sequence[tuple[Wires, TensorType]], shape: tuple[int, ...]) -> Wires:
    """Numbers of the results of an op, the same where they are computed alike from the same wires."""

    def over(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.broadcast_to(array, shape).ravel()

    if any(_count(wires) == math.prod(shape) for wires, _ in args):
        return np.arange(math.prod(shape))
    alike = [over(part) for wires, kind in args for part in (wires.reshape(kind.shape), kind.frac)]
    match op:
        case ops.Cast():
            alike += map(over, (op.frac, op.lo, op.hi))
        case ops.Table():
            each = op.values.shape[:-1]
            alike += map(over, (np.arange(math.prod(each)).reshape(each), op.frac))
    numbers = [np.unique(part, return_inverse=True)[1] for part in alike]
    return numbered(np.stack(numbers))


def places_in_source(program: Program, index: int) -> tuple[Node, Wires]:
    """The node whose elements a node's value has, moved, and the place there of each, -1 for zeros of the padding."""
    node, moves = _moves(program, index)
    wires = np.arange(node.type.size)
    for op, shape in moves:
        wires = moved_wires(op, shape, wires)
    return node, wires


def padding_of(program: Program, index: int) -> npt.NDArray[np.bool_] | None:
    """True for the elements of a node's value, moved, that are zeros of the padding; None if nothing is padded."""
    zeros: npt.NDArray[np.bool_] | None = None
    for op, shape in _moves(program, index)[1]:
        if zeros is None and (isinstance(op, ops.Pad) or (isinstance(op, ops.Window) and any(map(any, op.padding)))):
            zeros = np.zeros(shape, dtype=np.bool_)
        if zeros is not None and not isinstance(op, ops.Shift):
            zeros = zeros.reshape(op.shape) if isinstance(op, ops.Reshape) else rearranged(op, zeros, 1)
    return zeros


def _moves(program: Program, index: int) -> tuple[Node, Sequence[tuple[Moving, tuple[int, ...]]]]:
    """The node whose elements a node's value has, and the ops that move them, in order, with the shapes that they take."""
    moves = list[tuple[Moving, tuple[int, ...]]]()
    node = program.nodes[index]
    while isinstance(node.op, Moving):
        (arg,) = node.args
        moves.insert(0, (node.op, program.nodes[arg].type.shape))
        node = program.nodes[arg]
    return node, moves


def moved_wires(op: Moving, shape: tuple[int, ...], wires: Wires) -> Wires:
    """The wires of the result of an op that moves elements of a tensor of ``shape``."""
    if isinstance(op, ops.Reshape | ops.Shift):
        return wires
    places = moved(op, shape).ravel()
    return np.where(places < 0, -1, wires[places])


def stored(wires: Wires) -> float:
    """The share of elements that are not zeros of the padding."""
    return float((wires >= 0).mean())


def distinct(wires: Wires) -> float:
    """The share of elements that have wires of their own."""
    return _count(wires[wires >= 0]) / len(wires)


def _count(wires: Wires) -> int:
    """Number of wires that differ; those of most tensors ascend, which is seen sooner."""
    return len(wires) if bool((wires[1:] > wires[:-1]).all()) else len(np.unique(wires))


def repeats(wires: Wires) -> bool:
    """Return True if at least half of the elements that are stored are like others: registers then have each once."""
    return 2 * distinct(wires) <= stored(wires)
