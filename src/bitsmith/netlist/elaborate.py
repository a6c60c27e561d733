"""Turns a core program into a netlist: every element of every tensor becomes a word.

In: a program. Out: the netlist of all its positions side by side, recurrences unrolled in time. Tensors exist here as object
arrays of references; an element's real value is ``reference * 2**-frac`` with the ``frac`` of the program's type.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.indexing import rearranged
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import machine_weights
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, least_depth, solve
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.casts import Conversion, cast
from bitsmith.netlist.csd import in_blocks, signed_width
from bitsmith.netlist.netlist import Field, Netlist, WordOrigin, WordRef
from bitsmith.netlist.shares import MadeProduct

Refs: TypeAlias = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class RefTensor:
    """References in the shape of ``type``, each in units of ``2**-type.frac``."""

    refs: Refs
    type: TensorType


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """Layers whose wide constants are multiplied by blocks, and these."""

    layers: frozenset[str]
    block: MultiplierBlock


def elaborate(
    program: Program, blocks: BlockLayers | None = None, products: list[MadeProduct] | None = None
) -> Netlist:
    """The netlist of ``program``: no pipeline, dead words included.

    Products are appended to ``products``, in the program's order; those of recurrences step by step.
    """
    builder = NetlistBuilder()
    fields: list[Field] = []
    inputs: list[RefTensor] = []
    for index in program.inputs:
        node = program.nodes[index]
        if not isinstance(node.op, ops.Input):
            raise ProgramError(f"node %{index} is not an input")
        builder.enter(WordOrigin("", node.op.name))
        refs = _input(builder, fields, node.op.name, node.type)
        inputs.append(RefTensor(refs, node.type))
    values = _Elaborator(builder, "", blocks=blocks, products=products).run(program, inputs)
    outputs: list[Field] = []
    results: list[WordRef] = []
    for output in program.outputs:
        tensor = values[output.node]
        outputs += _fields(output.name, tensor.type)
        results += tensor.refs.reshape(-1).tolist()
    return builder.netlist(fields, outputs, results)


def _input(builder: NetlistBuilder, fields: list[Field], name: str, kind: TensorType) -> Refs:
    """The ports of an input; its fields are appended to ``fields``."""
    first = len(fields)
    fields += _fields(name, kind)
    ports = [builder.port(k, fields[k].lo, fields[k].hi) for k in range(first, len(fields))]
    builder.name_results(ports)
    return _array(ports, kind.shape)


def _fields(name: str, kind: TensorType) -> list[Field]:
    frac, lo, hi = (part.reshape(-1).tolist() for part in kind.full())
    return [Field(name, k, lo[k], hi[k], frac[k]) for k in range(len(frac))]


def _array(refs: Sequence[WordRef], shape: Sequence[int]) -> Refs:
    array = np.empty(len(refs), dtype=np.object_)
    for index, ref in enumerate(refs):
        array[index] = ref
    return array.reshape(tuple(shape))


def _each(function: Callable[..., WordRef], shape: Sequence[int], *arrays: Refs | npt.NDArray[np.int64]) -> Refs:
    """``function`` of corresponding elements of ``arrays``, broadcast to ``shape``."""
    columns = [np.broadcast_to(array, tuple(shape)).reshape(-1).tolist() for array in arrays]
    return _array([function(*row) for row in zip(*columns, strict=True)], shape)


class _Elaborator:
    """Evaluates a program on references.

    Args:
        builder: where words are made.
        prefix: names the step of a recurrence in the ops' names.
        graphs: adder graphs of the steps before, within a recurrence.
        blocks: where constants are multiplied by blocks.
        products: where those with constants are noted.
    """

    def __init__(
        self,
        builder: NetlistBuilder,
        prefix: str,
        layer: str = "",
        graphs: dict[object, AdderGraph] | None = None,
        blocks: BlockLayers | None = None,
        products: list[MadeProduct] | None = None,
    ) -> None:
        self._builder = builder
        self._prefix = prefix
        self._layer = layer
        self._graphs = graphs
        self._blocks = blocks
        self._products = products
        self._ops: dict[tuple[str, str], int] = {}
        self._linears: dict[int, list[Node]] = {}
        """Products with constants by the node that they multiply."""

    def run(self, program: Program, inputs: Sequence[RefTensor]) -> list[RefTensor]:
        """The values of all nodes."""
        ports = iter(inputs)
        values: list[RefTensor] = []
        self._linears = {}
        for node in program.nodes:
            if isinstance(node.op, ops.Linear):
                self._linears.setdefault(node.args[0], []).append(node)
        for node in program.nodes:
            if isinstance(node.op, ops.Input):
                values.append(next(ports))
                continue
            self._builder.enter(self._origin(node))
            args = [values[index] for index in node.args]
            refs = self._narrowed(self._apply(node, args), node.type)
            self._builder.name_results(refs.reshape(-1).tolist())
            values.append(RefTensor(refs, node.type))
        return values

    def _origin(self, node: Node) -> WordOrigin:
        """The name of an op: its kind, and a number from the second of the kind in a layer on."""
        layer = node.layer or self._layer
        kind = type(node.op).__name__.lower()
        count = self._ops[layer, kind] = self._ops.get((layer, kind), 0) + 1
        return WordOrigin(layer, self._prefix + (kind if count == 1 else f"{kind}{count}"))

    def _narrowed(self, refs: Refs, kind: TensorType) -> Refs:
        _, lo, hi = kind.full()
        return _each(self._builder.narrow, kind.shape, refs, lo, hi)

    def _apply(self, node: Node, args: Sequence[RefTensor]) -> Refs:
        builder, op, kind = self._builder, node.op, node.type
        match op:
            case ops.Input():
                raise ProgramError("an input, which is not computed")
            case ops.Parameter():
                raise ProgramError("a parameter, whose values are not constants of a netlist")
            case ops.Const():
                return _each(builder.constant, kind.shape, objects(op.raw))
            case ops.Reshape():
                return args[0].refs.reshape(op.shape)
            case ops.Transpose() | ops.Slice() | ops.Gather() | ops.Broadcast():
                return rearranged(op, args[0].refs, 0)
            case ops.Concat():
                return np.concatenate([x.refs for x in args], axis=op.axis)
            case ops.Pad():
                return rearranged(op, args[0].refs, _array([builder.constant(0)], ()))
            case ops.Window():
                rank = len(op.size)
                frac = kind.frac.reshape((1,) * rank + kind.frac.shape[2 * rank :])
                return rearranged(op, self._rescaled(args[0], frac), _array([builder.constant(0)], ()))
            case ops.Linear():
                return self._linear(op, node, args[0])
            case ops.MatMul():
                return self._matmul(args[0], args[1], kind)
            case ops.Add():
                return self._pairwise(builder.add, args, kind)
            case ops.Sub():
                return self._pairwise(builder.sub, args, kind)
            case ops.Max():
                return self._pairwise(builder.max, args, kind)
            case ops.Min():
                return self._pairwise(builder.min, args, kind)
            case ops.Mul():
                return _each(partial(self._times, node), kind.shape, args[0].refs, args[1].refs)
            case ops.Neg():
                return _each(builder.neg, kind.shape, args[0].refs)
            case ops.Shift():
                return args[0].refs
            case ops.Abs():
                return _each(builder.abs, kind.shape, args[0].refs)
            case ops.Compare():
                return self._compare(op, args[0], args[1], kind)
            case ops.Select():
                arms = [self._rescaled(x, kind.frac) for x in args[1:]]
                return _each(builder.select, kind.shape, args[0].refs, *arms)
            case ops.Sum() | ops.AMax():
                return self._reduce(op, args[0], kind)
            case ops.Table():
                return self._table(op, args[0])
            case ops.Cast():
                return self._cast(op, args[0], kind)
            case ops.Scan():
                return self._scan(op, args, node)
            case _:
                assert_never(op)

    def _shifted(self, x: WordRef, amount: int) -> WordRef:
        """``x * 2**amount``, known to be an integer."""
        if self._builder.value(x) == 0:
            return x
        return x.shifted(amount) if amount >= 0 else self._builder.drop(x, -amount)

    def _rescaled(self, x: RefTensor, frac: npt.NDArray[np.int64]) -> Refs:
        """The references of ``x`` in units of ``2**-frac``; broadcast to their common shape."""
        shape = np.broadcast_shapes(x.refs.shape, frac.shape)
        return _each(self._shifted, shape, x.refs, np.broadcast_to(frac - x.type.frac, shape))

    def _pairwise(
        self, function: Callable[[WordRef, WordRef], WordRef], args: Sequence[RefTensor], kind: TensorType
    ) -> Refs:
        return _each(function, kind.shape, self._rescaled(args[0], kind.frac), self._rescaled(args[1], kind.frac))

    def _compare(self, op: ops.Compare, x: RefTensor, y: RefTensor, kind: TensorType) -> Refs:
        frac = np.maximum(x.type.frac, y.type.frac)

        def compare(a: WordRef, b: WordRef) -> WordRef:
            return self._builder.compare(a, op.relation, b)

        return _each(compare, kind.shape, self._rescaled(x, frac), self._rescaled(y, frac))

    def _linear(self, op: ops.Linear, node: Node, x: RefTensor) -> Refs:
        """One adder graph for the weights, instantiated at each position; channels that are constant do not take part.

        It is a part of that of all products of the operand that take as long. What blocks multiply is added to it.
        """
        builder, siblings = self._builder, self._linears[node.args[0]]
        rows = x.refs.reshape(-1, x.refs.shape[-1])
        fixed = np.array([all(builder.value(ref) is not None for ref in column) for column in rows.T])
        intervals = [self._interval(column) for column in rows.T]
        own = next(k for k, sibling in enumerate(siblings) if sibling is node)
        weights = [self._weights(sibling, x.type, fixed) for sibling in siblings]
        added = [every - blocks for every, blocks in weights]
        varying, by_block = weights[own]
        graph = self._part(added, own, intervals, x.type)
        if self._products is not None:
            live = tuple(float(np.mean([builder.value(ref) is None for ref in column])) for column in rows.T)
            known = varying - by_block, by_block, graph, tuple(intervals), len(rows), live, self._graphs is not None
            self._products.append(MadeProduct(node.layer or self._layer, *known))
        results: list[WordRef] = []
        for row in rows:
            outputs = self._with_products(builder.instantiate(graph, row.tolist()), row, by_block)
            if fixed.any():
                given = objects([builder.value(ref) or 0 for ref in row[fixed]])
                offsets = given @ objects(machine_weights(op, x.type)[0])[fixed]
                outputs = [builder.add_constant(y, int(c)) for y, c in zip(outputs, offsets, strict=True)]
            results += outputs
        return _array(results, (*x.refs.shape[:-1], varying.shape[1]))

    def _part(self, added: Sequence[Ints], own: int, intervals: Sequence[InputRange], kind: TensorType) -> AdderGraph:
        """The graph of matrix ``own`` of those that multiply one operand: a part of that of all which take as long."""
        if len(added) == 1:
            return self._graph(added[0], intervals, kind)
        depths = [least_depth(matrix, intervals) for matrix in added]
        joined = [k for k, depth in enumerate(depths) if depth == depths[own]]
        graph = self._graph(np.concatenate([added[k] for k in joined], axis=1), intervals, kind)
        first = sum(added[k].shape[1] for k in joined if k < own)
        return graph.part(first, first + added[own].shape[1])

    def _weights(self, node: Node, kind: TensorType, fixed: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """The weights of channels that are not ``fixed``, and those of them that blocks multiply; 0 elsewhere."""
        assert isinstance(node.op, ops.Linear)
        varying = np.where(fixed[:, None], 0, objects(machine_weights(node.op, kind)[0]))
        return varying, self._by_block(varying, kind, node.layer or self._layer)

    def _by_block(self, weights: Ints, kind: TensorType, layer: str) -> Ints:
        """The entries of ``weights`` that blocks multiply; 0 elsewhere."""
        if self._blocks is None or layer not in self._blocks.layers:
            return np.zeros_like(weights)
        return np.where(in_blocks(weights, signed_width(kind), self._blocks.block), weights, 0)

    def _times(self, node: Node, x: WordRef, y: WordRef) -> WordRef:
        """``x * y``, by a block where one of them is a constant that is worth it."""
        builder = self._builder
        constant, other = (builder.value(y), x) if builder.value(x) is None else (builder.value(x), y)
        if constant is None or builder.value(other) is not None:
            return builder.mul(x, y)
        kind, layer = TensorType.of((), 0, builder.lo(other), builder.hi(other)), node.layer or self._layer
        return builder.mul(x, y, by_block=bool(self._by_block(objects([constant]), kind, layer).any()))

    def _with_products(self, sums: Sequence[WordRef], row: Refs, weights: Ints) -> list[WordRef]:
        """``sums`` and the products of ``row`` with each column of ``weights``."""
        builder, results = self._builder, list(sums)
        for column in np.flatnonzero((weights != 0).any(axis=0)).tolist():
            entries = zip(row.tolist(), weights[:, column].tolist(), strict=True)
            products = [builder.mul(x, builder.constant(weight), by_block=True) for x, weight in entries if weight]
            results[column] = self._total([sums[column], *products])
        return results

    def _graph(self, weights: Ints, intervals: Sequence[InputRange], kind: TensorType) -> AdderGraph:
        """The graph for operands of these intervals; within a recurrence, that of all steps that differ in ranges only.

        It takes the ranges of the operand's type then, which hold at every step.
        """
        if self._graphs is None:
            return solve(weights, intervals)
        _, lo, hi = (part.reshape(-1, kind.shape[-1])[0] for part in kind.union(range(len(kind.shape) - 1)).full())
        ranges = zip(lo.tolist(), hi.tolist(), intervals, strict=True)
        origin = min(interval.arrival for interval in intervals)
        general = tuple(InputRange(least, most, interval.arrival - origin) for least, most, interval in ranges)
        key = (weights.shape, tuple(weights.reshape(-1).tolist()), general)
        if key not in self._graphs:
            self._graphs[key] = solve(weights, general)
        return self._graphs[key]

    def _interval(self, refs: Sequence[WordRef] | Refs) -> InputRange:
        """The range and arrival of one channel over all positions."""
        builder = self._builder
        lows, highs = [builder.lo(ref) for ref in refs], [builder.hi(ref) for ref in refs]
        return InputRange(min(lows), max(highs), max(builder.depth(ref) for ref in refs))

    def _matmul(self, x: RefTensor, y: RefTensor, kind: TensorType) -> Refs:
        fracs = x.type.frac[..., :, :, None] + y.type.frac[..., None, :, :]
        left, right = x.refs[..., :, :, None], y.refs[..., None, :, :]
        shape = np.broadcast_shapes(left.shape, right.shape)
        products = _each(self._builder.mul, shape, left, right)
        want = np.expand_dims(kind.frac, -2)
        aligned = _each(self._shifted, shape, products, want - fracs)
        return self._folded(np.moveaxis(aligned, -2, -1), kind.shape, self._total)

    def _reduce(self, op: ops.Sum | ops.AMax, x: RefTensor, kind: TensorType) -> Refs:
        rank = len(x.type.shape)
        kept = [axis for axis in range(rank) if axis not in op.axes]
        want = np.expand_dims(np.broadcast_to(kind.frac, kind.shape), op.axes)
        aligned = self._rescaled(x, want).transpose(kept + list(op.axes))
        greatest = partial(self._balanced, join=self._builder.max)
        fold = self._total if isinstance(op, ops.Sum) else greatest
        return self._folded(aligned.reshape((*kind.shape, -1)), kind.shape, fold)

    def _folded(self, terms: Refs, shape: Sequence[int], fold: Callable[[Sequence[WordRef]], WordRef]) -> Refs:
        """``fold`` over the last axis."""
        return _array([fold(row.tolist()) for row in terms.reshape(-1, terms.shape[-1])], shape)

    def _total(self, terms: Sequence[WordRef]) -> WordRef:
        """The sum, earliest and narrowest terms first; constants last, where they can join a later constant."""
        constants = [value for ref in terms if (value := self._builder.value(ref)) is not None]
        varying = [ref for ref in terms if self._builder.value(ref) is None]
        total = self._balanced(varying, self._builder.add) if varying else self._builder.constant(0)
        return self._builder.add_constant(total, sum(constants))

    def _balanced(self, terms: Sequence[WordRef], join: Callable[[WordRef, WordRef], WordRef]) -> WordRef:
        """``terms`` joined two by two, those first that come first."""
        builder = self._builder

        def entry(ref: WordRef) -> tuple[int, int, int, int]:
            return (builder.depth(ref), builder.hi(ref) - builder.lo(ref), ref.word, ref.shift)

        heap = [entry(ref) for ref in terms]
        heapq.heapify(heap)
        while len(heap) > 1:
            *_, word_a, shift_a = heapq.heappop(heap)
            *_, word_b, shift_b = heapq.heappop(heap)
            heapq.heappush(heap, entry(join(WordRef(word_a, shift_a), WordRef(word_b, shift_b))))
        return WordRef(*heap[0][2:])

    def _table(self, op: ops.Table, x: RefTensor) -> Refs:
        rows = [tuple(row) for row in op.values.reshape(-1, op.values.shape[-1]).tolist()]
        numbers = np.arange(len(rows)).reshape(op.values.shape[:-1])

        def look_up(ref: WordRef, number: int) -> WordRef:
            return self._builder.rom(ref, op.first, rows[number])

        return _each(look_up, x.refs.shape, x.refs, numbers)

    def _cast(self, op: ops.Cast, x: RefTensor, kind: TensorType) -> Refs:
        def convert(ref: WordRef, drop: int, lo: int, hi: int) -> WordRef:
            return cast(self._builder, ref, Conversion(drop, lo, hi, op.rounding, op.overflow))

        drop = np.broadcast_to(x.type.frac - kind.frac, kind.shape)
        return _each(convert, kind.shape, x.refs, drop, op.lo, op.hi)

    def _scan(self, op: ops.Scan, args: Sequence[RefTensor], node: Node) -> Refs:
        if op.kept:
            raise ProgramError("states that live on between samples, in a circuit without any")
        kinds = [op.body.nodes[index].type for index in op.body.inputs]
        states = [x.refs for x in args[: op.states]]
        results: list[Refs] = []
        graphs: dict[object, AdderGraph] = {} if self._graphs is None else self._graphs
        for step in range(node.type.shape[0]):
            slices = [x.refs[step, ...] for x in args[op.states :]]
            inputs = [RefTensor(refs, kind) for refs, kind in zip([*states, *slices], kinds, strict=True)]
            prefix, layer = f"{self._prefix}step{step}_", node.layer or self._layer
            body = _Elaborator(self._builder, prefix, layer, graphs, self._blocks, self._products)
            values = body.run(op.body, inputs)
            outputs = [values[output.node].refs for output in op.body.outputs]
            states = outputs[: op.states]
            results.append(outputs[-1])
        return np.stack(results)
