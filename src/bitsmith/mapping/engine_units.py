"""What an engine can execute: parts of a core program that are sums of products over windows, and functions of these sums.

A unit is a product with constants, a pooling, or the sum of two tensors; what is added, rounded and looked up after it belongs
to it as long as all elements have that done alike, but for one bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.processes import union_type
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.scaling import linear_weights
from bitsmith.ir.types import Ints, Overflow, TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId
from bitsmith.mapping.sweeps import Windows, grouped_product, windows_of

_AXES = 2
"""Of windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """An op after a sum, on one number of ``frac`` fractional bits.

    Its other operand, if it has one, is ``const``; ``is_first``: that is its first one.
    """

    op: ops.Op
    frac: int
    const: ops.Const | None = None
    is_first: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A layer for an engine: windows over ``sources`` (two of them: rows of their numbers), of which the ``result`` is made.

    Args:
        name: the user's layer.
        nodes: all that it replaces.
        op, grid: windows over rows and columns.
        channels: of a position, in ``blocks``.
        weights: (blocks, or 1 if all have the same; steps; columns), in units of 2**-(sum's frac - source's frac).
        total: the type of sums.
        bias: of each column of all blocks, with ``bias_frac``.
        following: what is done to each sum.
        kind: the type of each number of the result.
    """

    name: str
    nodes: frozenset[NodeId]
    sources: tuple[NodeId, ...]
    result: NodeId
    op: ops.Window
    grid: tuple[int, int]
    channels: int
    blocks: int
    weights: Ints
    total: TensorType
    bias: Ints
    bias_frac: int
    following: tuple[Following, ...]
    kind: TensorType
    greatest: bool = False

    @property
    def is_product(self) -> bool:
        """Return True if it multiplies with trained weights."""
        return len(self.sources) == 1 and not self.greatest and bool(np.any(self.weights != self.weights.flat[0]))


def element(kind: TensorType) -> TensorType:
    """A type of all elements of a tensor, of shape (1,)."""
    one = union_type(kind, len(kind.shape))
    return TensorType.of((1,), *(objects(part).reshape(1) for part in (one.frac, one.lo, one.hi)))


def frac_of(kind: TensorType) -> int:
    """The fractional bits of a number's type."""
    return int(np.asarray(kind.frac).reshape(-1)[0])


def units_of(builder: DataflowBuilder) -> list[Unit]:
    """The units of the program whose layers ask for an engine, in order."""
    numbers = {id(node): NodeId(index) for index, node in enumerate(builder.program.nodes)}
    found: list[Unit] = []
    taken: set[NodeId] = set()
    for index, node in enumerate(builder.program.nodes):
        place = NodeId(index)
        if place in taken or node.layer not in builder.directives.engine:
            continue
        unit = _head(builder, place, node)
        if unit is not None:
            found.append(_extended(builder, unit, numbers))
            taken |= found[-1].nodes
    # A part of a product in groups can look like a product.
    return [one for one in found if not any(one is not other and one.nodes < other.nodes for other in found)]


def _head(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    """The unit of a node that makes sums, without anything after it."""
    match node.op:
        case ops.Linear() | ops.Concat():
            return _product(builder, place, node)
        case ops.Sum() | ops.AMax():
            return _pooling(builder, place, node, node.op)
        case ops.Add() | ops.Sub():
            return _merge(builder, place, node)
        case _:
            return None


def _product(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    grouped = grouped_product(builder, node)
    if grouped is not None:
        op, windows, blocks = grouped.op, grouped.windows, grouped.groups
    elif isinstance(node.op, ops.Linear):
        found = windows_of(builder, builder.operands(node)[0], len(node.type.shape) - 1)
        if found is None:
            return None
        op, windows, blocks = node.op, found, 1
    else:
        return None
    rows, columns = op.weights.shape
    source = element(builder.program.nodes[windows.node].type)
    operand = TensorType.of((rows,), *(np.broadcast_to(objects(part), (rows,)) for part in _parts(source)))
    matrix, fracs = linear_weights(op, operand)
    finest = max(int(np.max(fracs)), frac_of(element(node.type)))
    matrix = objects(matrix << objects(finest - fracs))
    weights = objects(matrix.reshape(rows, blocks, columns // blocks).transpose(1, 0, 2))
    return _unit(builder, place, node, windows, blocks, weights, finest)


def _parts(kind: TensorType) -> tuple[Ints, Ints, Ints]:
    return objects(kind.frac), kind.lo, kind.hi


def _pooling(builder: DataflowBuilder, place: NodeId, node: Node, op: ops.Sum | ops.AMax) -> Unit | None:
    """The sum, or the greatest, over the taps of windows or over all positions."""
    (arg,) = builder.operands(node)
    shape = builder.shape(arg)
    axes = len(shape) - 1 - len(op.axes)
    if axes < 0 or op.axes != tuple(range(axes, len(shape) - 1)):
        return None
    windows = windows_of(builder, arg, axes)
    if axes == 0 and not builder.is_constant(arg):
        ones, none = (1,) * len(op.axes), ((0, 0),) * len(op.axes)
        windows = Windows(arg, ops.Window(shape[:-1], ones, ones, none), shape[:-1], ones, shape[-1])
    if windows is None or windows.taps != math.prod(shape[axes:-1]) or windows.channels != shape[-1]:
        return None
    weights = np.ones((1, windows.taps, 1), dtype=np.object_)
    frac = frac_of(element(builder.program.nodes[windows.node].type))
    made = _unit(builder, place, node, windows, windows.channels, objects(weights), frac)
    return None if made is None else replace(made, greatest=isinstance(op, ops.AMax))


def _merge(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    """The sum or difference of two tensors: windows of a number of each."""
    first, second = builder.operands(node)
    if any(builder.is_constant(arg) or builder.shape(arg) != node.type.shape for arg in (first, second)):
        return None
    fracs = [frac_of(element(builder.program.nodes[arg].type)) for arg in (first, second)]
    finest = max(fracs)
    sign = -1 if isinstance(node.op, ops.Sub) else 1
    weights = np.array([1 << (finest - fracs[0]), sign << (finest - fracs[1])], dtype=np.object_).reshape(1, 2, 1)
    op, grid = ops.Window((2, 1), (1, 1), (1, 1), ((0, 0), (0, 0))), (2, math.prod(node.type.shape))
    windows = Windows(first, op, grid, (1, grid[1]), 1)
    made = _unit(builder, place, node, windows, 1, objects(weights), finest)
    return None if made is None else replace(made, sources=(first, second), nodes=frozenset({place}))


def _unit(
    builder: DataflowBuilder, place: NodeId, node: Node, windows: Windows, blocks: int, weights: Ints, frac: int
) -> Unit | None:
    op, grid = windows.op, windows.grid
    if len(op.size) > _AXES:
        return None
    lacks = _AXES - len(op.size)
    ones = (1,) * lacks
    op = ops.Window((*ones, *op.size), (*ones, *op.stride), (*ones, *op.dilation), (*((0, 0),) * lacks, *op.padding))
    rows, columns = *ones, *grid
    kind = element(node.type)
    lift = frac - frac_of(kind)
    if lift < 0:
        return None
    total = TensorType.of((1,), frac, kind.lo << lift, kind.hi << lift)
    bias = np.zeros(blocks * weights.shape[2], dtype=np.object_)
    nodes = _between(builder, place, windows.node)
    return Unit(
        node.layer,
        nodes,
        (windows.node,),
        place,
        op,
        (rows, columns),
        windows.channels,
        blocks,
        weights,
        total,
        objects(bias),
        0,
        (),
        kind,
    )


def _between(builder: DataflowBuilder, place: NodeId, source: NodeId) -> frozenset[NodeId]:
    """``place`` and all that it is made of from ``source`` on."""
    found, left = set[NodeId](), [place]
    while left:
        one = left.pop()
        if one not in found and one != source and not builder.is_constant(one):
            found.add(one)
            left += builder.operands(builder.program.nodes[one])
    return frozenset(found)


def _extended(builder: DataflowBuilder, unit: Unit, numbers: Mapping[int, NodeId]) -> Unit:
    """``unit`` with what is done to its results by all that reads them."""
    outputs = {output.node for output in builder.program.outputs}
    while True:
        node = builder.program.nodes[unit.result]
        readers = builder.readers[id(node)]
        if len(readers) != 1 or unit.result in outputs or readers[0].type.shape != node.type.shape:
            return unit
        longer = _followed(builder, unit, readers[0])
        if longer is None:
            return unit
        place = numbers[id(readers[0])]
        unit = replace(longer, nodes=unit.nodes | {place}, result=place, kind=element(readers[0].type))


def _followed(builder: DataflowBuilder, unit: Unit, node: Node) -> Unit | None:
    """``unit`` and ``node``, which reads its result; None if that is not the same function of each number."""
    kind = builder.program.nodes[unit.result].type
    op, frac = _scalar(node.op, kind), frac_of(element(kind))
    if op is None:
        return None
    others = [arg for arg in builder.operands(node) if arg != unit.result]
    if not others:
        return replace(unit, following=(*unit.following, Following(op, frac)))
    const = builder.program.nodes[others[0]].op
    if not isinstance(const, ops.Const):
        return None
    raw, fracs = (np.broadcast_to(part, node.type.shape) for part in (const.raw, objects(const.frac)))
    is_first = builder.operands(node)[0] == others[0]
    value, places = _same(raw), _same(fracs)
    if value is not None and places is not None:
        one = ops.Const(objects([value]), np.array([places], dtype=np.int64))
        return replace(unit, following=(*unit.following, Following(op, frac, one, is_first)))
    if not isinstance(op, ops.Add) or unit.following or bool(np.any(unit.bias != 0)):
        return None
    finest = max(int(np.max(fracs)), 0)
    values = objects(raw << objects(finest - fracs)).reshape(-1, node.type.shape[-1])
    if len(unit.bias) != values.shape[1] or bool(np.any(values != values[0])):
        return None
    return replace(unit, bias=objects(values[0]), bias_frac=finest)


def _cast(op: ops.Cast, kind: TensorType) -> ops.Cast | None:
    """A cast into one range, where ranges of their own are no narrower than what comes into them."""
    frac = _same(objects(op.frac))
    if frac is None:
        return None
    lo, hi = TensorType.of(kind.shape, op.frac, op.lo, op.hi).raw_range
    overflow = op.overflow
    if not (np.all(op.lo == lo) and np.all(op.hi == hi)):
        if overflow is Overflow.SAT_SYM:
            return None
        beyond = objects(1 << max(64, 2 * kind.max_width + 64))
        rounded = infer(replace(op, lo=-beyond, hi=beyond - 1, overflow=Overflow.WRAP), [kind])
        saturates = op.overflow is Overflow.SAT
        if not np.all((saturates & (op.lo == lo)) | (rounded.lo >= op.lo)):
            return None
        if not np.all((saturates & (op.hi == hi)) | (rounded.hi <= op.hi)):
            return None
        overflow = Overflow.SAT
    return ops.Cast(np.array([frac], dtype=np.int64), objects([lo]), objects([hi]), op.rounding, overflow)


def _same(values: Ints) -> int | None:
    """The value that all have."""
    flat = np.asarray(values).reshape(-1)
    return int(flat[0]) if bool(np.all(flat == flat[0])) else None


def _scalar(op: ops.Op, kind: TensorType) -> ops.Op | None:
    """An op that does to each number what ``op`` does to those of type ``kind``; None if there is none such."""
    match op:
        case ops.Cast():
            return _cast(op, kind)
        case ops.Shift():
            amount = _same(objects(op.amount))
            return None if amount is None else ops.Shift(np.array([amount], dtype=np.int64))
        case ops.Table():
            frac = _same(objects(op.frac))
            if frac is None or op.values.ndim > 1 or _same(objects(kind.frac)) is None:
                return None
            return replace(op, frac=np.array([frac], dtype=np.int64))
        case ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs():
            return op
        case _:
            return None
