"""Units that an engine can execute: parts of a core program that are sums of products over windows, and functions of these sums.

A unit is a product with constants, a pooling, or the sum of two tensors; what is added, rounded and looked up after it belongs
to it as long as all positions have that done alike. What is done so to a tensor that others read, too, is a unit of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.dataflow.engine_layer import windows_over
from bitsmith.dataflow.tokens import union_type
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.ir.scaling import machine_weights, raised
from bitsmith.ir.types import Fracs, IntArray, Ints, TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId, parts_of
from bitsmith.mapping.engine.places import Band, Tensor
from bitsmith.mapping.engine.steps import Following, const_by_channel, frac_of, steps_of
from bitsmith.mapping.grouped import grouped_product
from bitsmith.mapping.sweeps import Windows, windows_of

_AXES = 2
"""Number of axes of windows."""

_FEW = 256
"""Weights that are compared before all."""

_MOST_FORKED = 8
"""Steps from one op to the next one in which ways that fork have to meet again."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Properties of a unit that multiplies two computed operands, of as many blocks as there are heads.

    Args:
        held: the second operand, which has heads inside of positions.
        by_window: columns of weights are positions of it, and steps are channels; or the other way round.
        inner: heads are inside of positions of the source, not outside.
        turned: so they are in the result.
    """

    held: NodeId
    by_window: bool
    inner: bool
    turned: bool


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A layer for an engine: windows over ``sources`` (two of them: rows of their numbers), of which the ``result`` is made.

    Args:
        name: the user's layer.
        nodes: all that it replaces.
        ranges: the least and the greatest number of the sources: once if they are alike.
        op, grid: windows over rows and columns.
        channels: of a position, in ``blocks``.
        weights: (blocks, or 1 if all have the same; steps; columns), in units of 2**-(sum's frac - source's frac).
        fracs: fractional bits of the sums of each column of all blocks; ``sums`` are their types.
        exact: the range of the raw values of all sums.
        total: the same with room for other weights, if these may come.
        bias: of each column of all blocks, with ``bias_frac``.
        functions: what is done to a sum, each way once; ``chosen`` is the one of each column of all blocks.
        kind: the type of each number of the result.
        greatest: the windows' greatest elements are taken, not their sums.
        room: the magnitude of biases that may come in place of ``bias``; 0: none do.
        parts: those of rows and columns in which the sources are.
        apiece: a window of each part is computed at once.
        leaves: the result leaves the engine, although it is not the last one.
        computed: of a product of two computed operands; the weights are the least number that may come, and greatest ones.
        band: some rows of it alone; None: all.
    """

    name: str
    nodes: frozenset[NodeId]
    sources: tuple[NodeId, ...]
    ranges: tuple[tuple[int, int], ...]
    result: NodeId
    op: ops.Window
    grid: tuple[int, int]
    channels: int
    blocks: int
    weights: IntArray
    fracs: Fracs
    exact: tuple[int, int]
    total: tuple[int, int]
    sums: TensorType
    bias: Ints
    bias_frac: int
    functions: tuple[tuple[Following, ...], ...]
    chosen: Ints
    kind: TensorType
    greatest: bool
    room: int
    parts: tuple[int, int]
    apiece: bool
    leaves: bool
    computed: Computed | None
    band: Band | None

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The tensors of its sources."""
        return self.band.reads if self.band else tuple((source, 0) for source in self.sources)

    @property
    def makes(self) -> Tensor:
        """The tensor that has its result."""
        return self.band.makes if self.band else (self.result, 0)

    def frac(self, function: int) -> int:
        """Fractional bits of the sums of the columns that have a function."""
        return int(self.fracs[self.chosen == function][0])

    @property
    def positions(self) -> int:
        """Windows that are computed at once."""
        return math.prod(self.parts) if self.apiece else 1

    @property
    def windows(self) -> int:
        """Windows of a part, which are computed in turn."""
        return math.prod(windows_over(self.op, self.grid)) // self.positions

    @property
    def is_single(self) -> bool:
        """Return True if each result is a function of one number: worth an engine's turn only between other units."""
        of_one = len(self.sources) == 1 and math.prod(self.op.size) == 1 and self.weights.shape[1:] == (1, 1)
        return of_one and not (self.is_product or self.computed)

    @property
    def is_in_place(self) -> bool:
        """Return True if each result is of the numbers at its place in the sources, which are read before it is written."""
        moves = self.op.stride != (1, 1) or any(map(any, self.op.padding))
        return len(self.sources) > 1 or (self.is_single and not moves)

    @property
    def is_product(self) -> bool:
        """Return True if it multiplies with trained weights."""
        if self.computed is not None:
            return False
        weights = self.weights.reshape(-1)
        differ = (
            bool(np.any(some != weights[0])) for some in (weights[:_FEW], weights)
        )  # mostly among few of millions
        return len(self.sources) == 1 and not self.greatest and any(differ)


def element(kind: TensorType) -> TensorType:
    """A type of all elements of a tensor, of shape (1,)."""
    one = union_type(kind, len(kind.shape))
    return TensorType.of((1,), *(objects(part).reshape(1) for part in (one.frac, one.lo, one.hi)))


def units_of(builder: DataflowBuilder) -> list[Unit]:
    """The units of the program whose layers ask for an engine, in order."""
    units: list[Unit] = []
    taken: set[NodeId] = set()
    for index, node in enumerate(builder.program.nodes):
        place = NodeId(index)
        if place in taken or not node.type.shape or node.layer not in builder.directives.engine:
            continue  # a single number has no channels
        unit = _head(builder, place, node)
        if unit is not None:
            units.append(extended(builder, unit))
            taken |= units[-1].nodes
    # A part of a product in groups can look like a product.
    kept = [one for one in units if not any(one is not other and one.nodes < other.nodes for other in units)]
    return kept if builder.directives.weights_rate is None else [_roomy(one) for one in kept]


def _roomy(unit: Unit) -> Unit:
    """``unit`` if other weights and biases may come: with room for sums and biases at least twice as large as its own."""
    if not unit.is_product:
        return unit
    (least, most), bias = unit.total, max(abs(int(one)) for one in unit.bias)
    reach = 2 << max(least.bit_length(), most.bit_length())
    sums = TensorType.of(unit.sums.shape, unit.fracs, -reach, reach - 1)
    return replace(unit, total=(-reach, reach - 1), sums=sums, room=bias and 2 << bias.bit_length())


def _head(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    """The unit of a node that makes sums, without anything after it."""
    match node.op:
        case ops.Linear() | ops.Concat():
            return _product(builder, place, node)
        case ops.Sum() | ops.AMax():
            return _pooling(builder, place, node, node.op)
        case ops.Add() | ops.Sub():
            return _merge(builder, place, node) or _single(builder, place, node)
        case _:
            return _single(builder, place, node)


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
    assert isinstance(op, ops.Linear)
    rows, columns = op.weights.shape
    source = element(builder.program.nodes[windows.node].type)
    operand = TensorType.of((rows,), *(np.broadcast_to(part, (rows,)) for part in parts_of(source)))
    matrix: IntArray
    matrix, least = machine_weights(op, operand)
    if builder.directives.weights_rate is not None:  # formats that do not depend on values
        have = operand.frac[:, np.newaxis] + np.broadcast_to(op.frac, op.weights.shape)
        least = have.max(axis=0)
        matrix = raised(op.weights, least - have)
    fracs = np.maximum(least, union_type(node.type, len(node.type.shape) - 1).frac)
    weights = raised(matrix, fracs - least).reshape(rows, blocks, columns // blocks).transpose(1, 0, 2)
    return _unit(builder, place, node, windows, blocks, weights, fracs)


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
    made = _unit(builder, place, node, windows, windows.channels, objects(weights), np.array([frac]))
    return None if made is None else replace(made, greatest=isinstance(op, ops.AMax))


def _merge(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    """The sum or difference of two tensors: for each channel windows of a number of each."""
    first, second = builder.operands(node)
    if any(builder.is_constant(arg) or builder.shape(arg) != node.type.shape for arg in (first, second)):
        return None
    kinds = [element(builder.program.nodes[arg].type) for arg in (first, second)]
    fracs = [frac_of(kind) for kind in kinds]
    finest = max(fracs)
    sign = -1 if isinstance(node.op, ops.Sub) else 1
    weights = np.array([1 << (finest - fracs[0]), sign << (finest - fracs[1])], dtype=np.object_).reshape(1, 2, 1)
    *positions, channels = node.type.shape
    op, grid = ops.Window((2, 1), (1, 1), (1, 1), ((0, 0), (0, 0))), (2, math.prod(positions))
    windows = Windows(first, op, grid, (1, grid[1]), channels)
    made = _unit(builder, place, node, windows, channels, objects(weights), np.array([finest]))
    ranges = tuple(dict.fromkeys(kind.raw_range for kind in kinds))
    return None if made is None else replace(made, sources=(first, second), ranges=ranges, nodes=frozenset({place}))


def _single(builder: DataflowBuilder, place: NodeId, node: Node) -> Unit | None:
    """A function of each number of a tensor: windows of one number, and ``node`` after their sums."""
    others = [arg for arg in builder.operands(node) if not builder.is_constant(arg)]
    if len(others) != 1 or builder.shape(others[0]) != node.type.shape:
        return None
    (arg,), longest = others, None
    made = copied(builder, arg, node.layer)
    for nodes in _forks(builder, arg, place):
        longer = None if made is None else _longer(builder, made, arg, nodes)
        if longer is None:
            break
        longest = longer
    return longest


def copied(builder: DataflowBuilder, arg: NodeId, layer: str) -> Unit | None:
    """Each number of a tensor as it is: windows of one number."""
    *positions, channels = builder.shape(arg)
    grid = (positions[0], math.prod(positions[1:])) if len(positions) > 1 else (1, math.prod(positions))
    windows = Windows(arg, ops.Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))), grid, grid, channels)
    source = replace(builder.program.nodes[arg], layer=layer)
    frac = np.array([frac_of(element(source.type))])
    return _unit(builder, arg, source, windows, channels, objects(np.ones((1, 1, 1), dtype=np.object_)), frac)


def _unit(
    builder: DataflowBuilder, place: NodeId, node: Node, windows: Windows, blocks: int, weights: IntArray, fracs: Fracs
) -> Unit | None:
    """The unit of windows and weights; ``fracs`` are those of the sums of each column, or of all."""
    op, grid = windows.op, windows.grid
    if len(op.size) > _AXES:
        return None
    lacks = _AXES - len(op.size)
    ones = (1,) * lacks
    op = ops.Window((*ones, *op.size), (*ones, *op.stride), (*ones, *op.dilation), (*((0, 0),) * lacks, *op.padding))
    rows, columns = *ones, *grid
    bias = np.zeros(blocks * weights.shape[2], dtype=np.object_)
    sums, fracs = union_type(node.type, len(node.type.shape) - 1), np.broadcast_to(fracs, bias.shape)
    if sums.shape != bias.shape:
        return None
    places, lows, highs = sums.full()
    lift = fracs - places
    if np.any(lift < 0):
        return None
    exact = int(np.min(lows << objects(lift))), int(np.max(highs << objects(lift)))
    distinct, chosen = np.unique(fracs, return_inverse=True)
    nodes = _between(builder, place, windows.node)
    return Unit(
        name=node.layer,
        nodes=nodes,
        sources=(windows.node,),
        ranges=(element(builder.program.nodes[windows.node].type).raw_range,),
        result=place,
        op=op,
        grid=(rows, columns),
        channels=windows.channels,
        blocks=blocks,
        weights=weights,
        fracs=fracs,
        exact=exact,
        total=exact,
        sums=sums,
        bias=objects(bias),
        bias_frac=0,
        functions=((),) * len(distinct),
        chosen=objects(chosen),
        kind=element(node.type),
        greatest=False,
        room=0,
        parts=(1, 1),
        apiece=False,
        leaves=False,
        computed=None,
        band=None,
    )


def _between(builder: DataflowBuilder, place: NodeId, source: NodeId) -> frozenset[NodeId]:
    """``place`` and all that it is made of after ``source``."""

    def after(nodes: Sequence[NodeId]) -> list[NodeId]:
        return [node for node in nodes if node > source and not builder.is_constant(node)]

    return frozenset(reached(after([place]), lambda node: after(builder.operands(builder.program.nodes[node]))))


def extended(builder: DataflowBuilder, unit: Unit) -> Unit:
    """``unit`` with what is done to its results by all that reads them, whatever shape positions have meanwhile."""
    outputs = {output.node for output in builder.program.outputs}
    last, reshaped = unit.result, frozenset[NodeId]()
    while True:
        readers = builder.reading(last)
        if not readers or last in outputs:
            return unit
        reader, computed = builder.program.nodes[readers[0]], unit.computed
        apart = computed is not None and not computed.turned
        if apart and len(readers) == 1 and isinstance(reader.op, ops.Transpose) and reader.op.perm == (1, 0, 2):
            assert computed is not None
            unit = replace(
                unit, nodes=unit.nodes | {*readers}, result=readers[0], computed=replace(computed, turned=True)
            )
            last = unit.result
            continue
        if len(readers) == 1 and isinstance(reader.op, ops.Reshape):
            if apart or _axes(unit, reader.type.shape) is None:
                return unit
            last, reshaped = readers[0], reshaped | {readers[0]}
            continue
        nodes = next((each for each in _forks(builder, last, readers[0]) if {*readers} <= {*each}), [])
        longer = _longer(builder, unit, last, nodes) if nodes else None
        if longer is None:
            return unit
        unit = replace(longer, nodes=longer.nodes | reshaped)
        last, reshaped = unit.result, frozenset()


def _axes(unit: Unit, shape: Sequence[int]) -> Sequence[int] | None:
    """The axes of ``shape`` that have a place for each result of a window, mostly the last ones; None if none have."""
    if unit.computed is not None and not unit.computed.turned:
        return 0, len(shape) - 1
    ranks = range(len(shape) - 1, -1, -1)
    return next((range(rank, len(shape)) for rank in ranks if math.prod(shape[rank:]) == len(unit.bias)), None)


def _forks(builder: DataflowBuilder, last: NodeId, first: NodeId) -> Iterator[list[NodeId]]:
    """Nodes that are made of ``last``, in order, from ``first`` on to one that alone is read by others; each time a few more."""
    place, outputs = first, {output.node for output in builder.program.outputs}
    for _ in range(_MOST_FORKED):
        nodes = _between(builder, place, last)
        inside = nodes - {place}
        if any(builder.shape(one) != builder.shape(last) for one in nodes):
            return
        if all(one not in outputs and nodes.issuperset(builder.reading(one)) for one in inside):
            yield sorted(nodes)
        readers = builder.reading(place)
        if not readers or place in outputs:
            return
        place = max(readers)


def _longer(builder: DataflowBuilder, unit: Unit, last: NodeId, nodes: Sequence[NodeId]) -> Unit | None:
    """``unit`` and ``nodes``, which read its result as ``last`` has it; None if that is not the same for all positions."""
    place, forks = {last: len(unit.functions[0])}, sum(last in builder.program.nodes[one].args for one in nodes) > 1
    axes = _axes(unit, builder.shape(last))
    if axes is None:
        return None
    for number in nodes:
        node = builder.program.nodes[number]
        args = [builder.program.nodes[arg] for arg in builder.operands(node)]
        operands = [
            each.op if isinstance(each.op, ops.Const) else place.get(arg)
            for arg, each in zip(builder.operands(node), args, strict=True)
        ]
        known = [one for one in operands if one is not None]
        consts = [one for one in known if isinstance(one, ops.Const)]
        if len(known) < len(operands) or len(consts) == len(known):
            return None
        if isinstance(node.op, ops.Add) and consts and not (forks or any(unit.functions) or np.any(unit.bias != 0)):
            added = const_by_channel(consts[0], node.type.shape, axes)
            if added is not None:
                finest = max(frac for _, frac in added)
                bias = [raw << (finest - frac) for raw, frac in added]
                unit = replace(unit, bias=objects(np.array(bias, dtype=np.object_)), bias_frac=finest)
                place[number] = 0
                continue
        before = next(each.type for one, each in zip(known, args, strict=True) if not isinstance(one, ops.Const))
        steps = steps_of(node, before, known, axes)
        if steps is None:
            return None
        unit = _followed(unit, steps)
        place[number] = len(unit.functions[0])
    kind = element(builder.program.nodes[nodes[-1]].type)
    return replace(unit, nodes=unit.nodes | {*nodes}, result=nodes[-1], kind=kind)


def _followed(unit: Unit, steps: Sequence[Following]) -> Unit:
    """``unit`` with a step more for each column."""
    numbers = dict[tuple[int, Following], int]()
    functions = list[tuple[Following, ...]]()
    chosen = list[int]()
    for number, step in zip(unit.chosen.tolist(), steps, strict=True):
        key = (number, step)
        if key not in numbers:
            numbers[key] = len(functions)
            functions.append((*unit.functions[number], step))
        chosen.append(numbers[key])
    return replace(unit, functions=tuple(functions), chosen=objects(chosen))
