"""Lays a core program out as a network of processes.

In: a program, the reuse factor of each layer, and whether tensors come and go whole (``io_parallel``) or a token per position
(``io_stream``). Out: the processes. Two steps: each node becomes *steps* (ops on tokens, or processes) with regrouping and
reordering put between them; then neighbouring ops on tokens of one grid become token functions.

The rules are stated per kind of core op. What has no better rule takes its operands whole, as one token per frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.builder import Builder, Value
from bitsmith.ir.infer import infer, linear_weights, rescale
from bitsmith.ir.ops import Ints
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType, objects
from bitsmith.ir.wiring import Move, Positions, moved
from bitsmith.passes import drop_dead, simplify
from bitsmith.plan.folding import Cut, Matrix, Products, cut, cut_of_tokens
from bitsmith.plan.formats import common_cast
from bitsmith.plan.processes import (
    Entry,
    Exit,
    Fold,
    Grid,
    Kind,
    Map,
    Merge,
    Network,
    Process,
    Reduce,
    Regroup,
    Reorder,
    Rom,
    Scan,
    Source,
    Stream,
    Window,
    hull,
    regrouped,
)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the user wants of the layout, by layer name; and tensors whole or in tokens.

    Args:
        reuse: cycles for a layer's products: for all positions if tensors are whole, else for each token. 1 if absent.
        parallel: tensors come and go whole.
        products: what a layer's products are made of; CHEAPEST if absent.
    """

    reuse: Mapping[str, int]
    parallel: bool
    products: Mapping[str, Products] = field(default_factory=dict)

    def cycles(self, layer: str) -> int:
        """Cycles for a layer's products."""
        return self.reuse.get(layer, 1)

    def made_of(self, layer: str) -> Products:
        """What a layer's products are made of."""
        return self.products.get(layer, Products.CHEAPEST)

    def unrolled(self, program: Program) -> bool:
        """Whether everything of ``program`` is to stand side by side, for a sample per cycle."""
        return self.parallel and not any(self._shares(program, node) for node in program.nodes)

    def _shares(self, program: Program, node: Node) -> bool:
        """Whether hardware of a node is used several times for a sample."""
        if self.cycles(node.layer) == 1:
            return False
        if not isinstance(node.op, ops.Linear):
            return isinstance(node.op, ops.Scan)
        kind = program.nodes[node.args[0]].type
        matrix = Matrix.of(node.op, kind, node.type, math.prod(kind.shape[:-1]), whole=True)
        return cut(matrix, self.cycles(node.layer), self.made_of(node.layer)).cycles > 1


def partition(program: Program, demand: Demand) -> Network:
    """The processes of ``program``."""
    steps = _Steps(simplify(drop_dead(program, keep_probes=False)), demand).run()
    return _Clusters(steps).network()


@dataclass(frozen=True, slots=True)
class _Step:
    """An op on tokens, a process, or (``stream`` without tokens' worth: grid of any) a constant token."""

    kind: ops.Op | Kind
    args: tuple[int, ...]
    stream: Stream
    layer: str


_ELEMENTWISE = (
    ops.Add, ops.Sub, ops.Mul, ops.Neg, ops.Shift, ops.Max, ops.Min, ops.Abs, ops.Compare, ops.Select, ops.Table, ops.Cast
)  # fmt: skip


class _Steps:
    """From nodes to steps."""

    def __init__(self, program: Program, demand: Demand) -> None:
        self._program = program
        self._demand = demand
        self._steps: list[_Step] = []
        self._of: dict[int, int] = {}
        """The step that has a node's value."""
        self._at: dict[tuple[int, int], int] = {}
        self._parts: dict[int, int] = {}
        """Of a step that gathers tokens, the step with the same elements in the same order in smaller ones."""
        self._layer = ""
        self._readers = _readers(program)

    def run(self) -> list[_Step]:
        """All steps, operands first."""
        for index, node in enumerate(self._program.nodes):
            if isinstance(node.op, ops.Const):
                continue
            self._layer = node.layer
            self._of[index] = self._placed(node)
        for output in self._program.outputs:
            node = self._program.nodes[output.node]
            whole = 0 if self._demand.parallel else max(len(node.type.shape) - 1, 0)
            step = self._streamed(output.node, whole)
            self._put(Exit(output.name), (step,), self._steps[step].stream)
        return self._steps

    def _put(self, kind: ops.Op | Kind, args: tuple[int, ...], stream: Stream) -> int:
        self._steps.append(_Step(kind, args, stream, self._layer))
        return len(self._steps) - 1

    def _token_op(self, op: ops.Op, args: Sequence[int], grid: Grid) -> int:
        """An op on the tokens of operands of one grid (or constants)."""
        return self._put(op, tuple(args), Stream(grid, infer(op, [self._steps[arg].stream.token for arg in args])))

    def _is_constant(self, index: int) -> bool:
        return isinstance(self._program.nodes[index].op, ops.Const)

    def _shape(self, index: int) -> tuple[int, ...]:
        return self._program.nodes[index].type.shape

    def _stream(self, index: int) -> Stream:
        return self._steps[self._of[index]].stream

    def _axes(self, index: int) -> int:
        """How many leading axes of a node's value are its grid."""
        return 0 if self._is_constant(index) else len(self._stream(index).grid)

    def _level(self, index: int, axes: int) -> int:
        """The step that has a node's value with the first ``axes`` axes as grid."""
        if (index, axes) not in self._at:
            step, shape = self._of[index], self._shape(index)
            self._at[index, axes] = self._regroup(step, shape[:axes], shape[axes:])
        return self._at[index, axes]

    def _regroup(self, step: int, grid: Grid, shape: tuple[int, ...]) -> int:
        """The elements of ``step``, in the same order, as tokens of ``shape`` at the positions of ``grid``."""
        have, want = self._steps[step].stream, math.prod(shape)
        if (have.grid, have.token.shape) == (grid, shape):
            return step
        if have.token.size == want:
            return self._token_op(ops.Reshape(shape), (step,), grid)
        between = math.gcd(have.token.size, want)
        if between not in (have.token.size, want):
            parts = Stream((math.prod(have.shape) // between,), regrouped(have.token, (between,)))
            step = self._put(Regroup(), (step,), parts)
        return self._put(Regroup(), (step,), Stream(grid, regrouped(self._steps[step].stream.token, shape)))

    def _constant(self, index: int, axes: int, grid: Grid | None = None) -> int:
        """A constant node as a token constant where it is the same at all positions of its first ``axes`` axes, else as a ROM.

        ``grid``: the positions at which it is wanted, if not its own.
        """
        node = self._program.nodes[index]
        assert isinstance(node.op, ops.Const)
        return self._constant_tokens(node.op, node.type, axes, self._shape(index)[:axes] if grid is None else grid)

    def _constant_tokens(self, op: ops.Const, kind: TensorType, axes: int, wanted: Grid) -> int:
        token = hull(kind, axes)
        raw = rescale(np.broadcast_to(op.raw, kind.shape), op.frac, np.broadcast_to(token.frac, token.shape))
        tokens = objects(raw).reshape(-1, *token.shape)
        if bool(np.all(tokens == tokens[:1])):
            return self._token_constant(np.asarray(tokens[0], dtype=np.object_), token.frac)
        places = np.broadcast_to(np.arange(len(tokens)).reshape(kind.shape[:axes]), wanted).ravel()
        return self._put(Rom(objects(tokens[places])), (), Stream(wanted, token))

    def _token_constant(self, raw: Ints, frac: Positions) -> int:
        const = ops.Const(raw, frac)
        return self._put(const, (), Stream((), infer(const, [])))

    def _streamed(self, index: int, axes: int) -> int:
        """A node's value as a stream, even if it is constant."""
        if not self._is_constant(index):
            return self._level(index, axes)
        node = self._program.nodes[index]
        assert isinstance(node.op, ops.Const)
        token = hull(node.type, axes)
        raw = rescale(
            np.broadcast_to(node.op.raw, node.type.shape), node.op.frac, np.broadcast_to(token.frac, token.shape)
        )
        return self._put(Rom(objects(raw).reshape(-1, *token.shape)), (), Stream(node.type.shape[:axes], token))

    def _placed(self, node: Node) -> int:
        op = node.op
        if node.args and all(map(self._is_constant, node.args)):
            return self._whole(node)
        match op:
            case ops.Input():
                return self._input(op, node.type)
            case _ if isinstance(op, _ELEMENTWISE):
                return self._elementwise(node)
            case ops.Linear():
                return self._linear(op, node)
            case ops.MatMul():
                return self._matmul(node)
            case ops.Sum() | ops.AMax():
                return self._reduce(op, node)
            case ops.Window():
                return self._window(op, node)
            case ops.Reshape():
                return self._reshape(op, node)
            case ops.Scan():
                return self._scan(op, node)
            case ops.Concat():
                return self._concat(op, node)
            case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast():
                return self._moved(op, node)
            case _:
                raise ProgramError(f"no rule for {type(op).__name__}")

    def _whole(self, node: Node) -> int:
        """The op on whole operands, one token per frame."""
        return self._token_op(node.op, [self._operand(arg, 0) for arg in node.args], ())

    def _operand(self, index: int, axes: int) -> int:
        return self._constant(index, axes) if self._is_constant(index) else self._level(index, axes)

    def _input(self, op: ops.Input, kind: TensorType) -> int:
        axes = 0 if self._demand.parallel else max(len(op.shape) - 1, 0)
        return self._put(Entry(op.name), (), Stream(op.shape[:axes], hull(kind, axes)))

    def _elementwise(self, node: Node) -> int:
        """At the finest grid of the operands; operands that lack axes of it are repeated."""
        by_parts = self._elementwise_by_parts(node)
        if by_parts is not None:
            return by_parts
        shape = node.type.shape
        axes = max(
            (self._axes(arg) + len(shape) - len(self._shape(arg)) for arg in node.args if self._axes(arg)), default=0
        )
        op = _on_tokens(node.op, axes, len(shape))
        if op is None:
            return self._whole(node)
        return self._token_op(op, [self._spread(arg, shape[:axes], len(shape)) for arg in node.args], shape[:axes])

    def _elementwise_by_parts(self, node: Node) -> int | None:
        """At the finer grid of an operand that is made in parts; None if there is none, or positions differ in type."""
        shape = node.type.shape
        wholes = [self._of[arg] for arg in node.args if not self._is_constant(arg) and self._shape(arg) == shape]
        constants = sum(map(self._is_constant, node.args))
        if not wholes or len(wholes) + constants < len(node.args) or not all(one in self._parts for one in wholes):
            return None
        parts = [self._parts[one] for one in wholes]
        stream = self._steps[parts[0]].stream
        viewed = _viewed(node.op, shape, stream.shape)
        op = None if viewed is None else _on_tokens(viewed, len(stream.grid), len(stream.shape))
        if op is None and isinstance(node.op, ops.Cast):
            op = common_cast(node.op, self._program.nodes[node.args[0]].type)
        if op is None or any(self._steps[part].stream.shape != stream.shape for part in parts):
            return None
        args = [
            self._viewed_constant(arg, shape, stream) if self._is_constant(arg) else self._parts[self._of[arg]]
            for arg in node.args
        ]
        grid = self._steps[wholes[0]].stream.grid
        return self._gathered(self._token_op(op, args, stream.grid), grid, shape[len(grid) :])

    def _viewed_constant(self, index: int, shape: tuple[int, ...], stream: Stream) -> int:
        """A constant that broadcasts to ``shape``, as tokens like those of ``stream``."""
        node = self._program.nodes[index]
        assert isinstance(node.op, ops.Const)
        if math.prod(self._shape(index)) == 1:
            return self._token_constant(objects(node.op.raw.reshape(())), node.op.frac.reshape(()))
        raw, frac = (
            np.broadcast_to(objects(part), shape).reshape(stream.shape) for part in (node.op.raw, node.op.frac)
        )
        const = ops.Const(objects(raw), frac.astype(np.int64))
        return self._constant_tokens(const, infer(const, []), len(stream.grid), stream.grid)

    def _gathered(self, step: int, grid: Grid, shape: tuple[int, ...]) -> int:
        """``step`` as tokens of ``shape`` at ``grid``, known to be made of smaller ones if they are."""
        whole = self._regroup(step, grid, shape)
        if self._steps[whole].stream.tokens < self._steps[step].stream.tokens:
            self._parts[whole] = step
        return whole

    def _spread(self, index: int, grid: Grid, rank: int) -> int:
        """A node's value as tokens at the positions of ``grid``, the leading axes of a result of ``rank`` axes."""
        shape = self._shape(index)
        axes = max(len(grid) - (rank - len(shape)), 0)
        if self._is_constant(index):
            return self._constant(index, axes, grid)
        step = self._level(index, axes)
        if shape[:axes] == grid:
            return step
        have = (1,) * (len(grid) - axes) + shape[:axes]
        source = np.broadcast_to(np.arange(math.prod(have)).reshape(have), grid).ravel()
        return self._put(Reorder(source), (step,), Stream(grid, self._steps[step].stream.token))

    def _linear(self, op: ops.Linear, node: Node) -> int:
        (arg,) = node.args
        layer, kind = node.layer, self._program.nodes[arg].type
        flattened = self._flattened(arg)
        if flattened is not None and self._demand.made_of(layer) is not Products.GRAPHS:
            return self._accumulated(op, flattened, node)
        axes = min(self._axes(arg), len(kind.shape) - 1)
        whole = self._demand.parallel and axes == 0
        matrix = Matrix.of(op, kind, node.type, math.prod(kind.shape[axes:-1]), whole=whole)
        cycles = self._demand.cycles(layer)
        if self._demand.parallel:
            cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
        chosen = cut(matrix, cycles, self._demand.made_of(layer))
        if chosen.cycles == 1:
            step = self._level(arg, axes)
            return self._token_op(op, (step,), self._steps[step].stream.grid)
        return self._folded(op, node, axes, chosen)

    def _flattened(self, index: int) -> int | None:
        """A streamed tensor of which node ``index`` is the flat form, where a single vector comes of many tokens."""
        node = self._program.nodes[index]
        if not isinstance(node.op, ops.Reshape) or len(node.type.shape) != 1:
            return None
        (arg,) = node.args
        return arg if not self._is_constant(arg) and self._stream(arg).tokens > 1 else None

    def _accumulated(self, op: ops.Linear, index: int, node: Node) -> int:
        """Products of each token as it comes, added up over the frame; of a frame that comes again for each group of results."""
        stream = self._stream(index)
        matrix = Matrix.of(op, self._program.nodes[index].type, node.type, 1, whole=False)
        chosen = cut_of_tokens(matrix, stream.tokens, self._demand.cycles(node.layer), self._demand.made_of(node.layer))
        steps, groups = chosen.steps, chosen.groups
        chunks = self._regroup(self._of[index], (steps,), (1, math.prod(stream.shape) // steps))
        if groups > 1:
            token = self._steps[chunks].stream.token
            chunks = self._put(Reorder(np.tile(np.arange(steps), groups)), (chunks,), Stream((groups * steps,), token))
        results = self._fold(op, chunks, steps, groups, ())
        return self._product(results, node, (), node.type.shape)

    def _folded(self, op: ops.Linear, node: Node, axes: int, chosen: Cut) -> int:
        """A matrix product over several cycles: at several positions after one another, in tiles of the matrix."""
        (arg,) = node.args
        shape, (n, m) = self._shape(arg), op.weights.shape
        steps, groups = chosen.steps, chosen.groups
        lanes, size = math.prod(shape[axes:-1]) // chosen.serial, -(-n // steps)
        grid = (*shape[:axes], chosen.serial)
        kept = axes if lanes > 1 else len(shape) - 1
        place, shape_there = node.type.shape[:kept], node.type.shape[kept:]
        vectors = self._regroup(self._level(arg, axes), grid, (lanes, n))
        if not chosen.multipliers:
            result = self._token_op(op, (vectors,), grid)
            return self._gathered(result, place, shape_there)
        if steps * size > n:
            vectors = self._token_op(ops.Pad((0, 0), (0, steps * size - n)), (vectors,), grid)
        cut_up = self._token_op(ops.Reshape((lanes, steps, size)), (vectors,), grid)
        if lanes > 1:
            cut_up = self._token_op(ops.Transpose((1, 0, 2)), (cut_up,), grid)
        chunk = regrouped(self._steps[cut_up].stream.token, (lanes, size))
        chunks = self._put(Regroup(groups), (cut_up,), Stream((*grid, groups * steps), chunk))
        if lanes == 1 or groups == 1:
            return self._product(self._fold(op, chunks, steps, groups, grid), node, place, shape_there)
        results = self._fold(op, chunks, steps, groups, grid)
        whole = self._regroup(results, grid, (groups, lanes, m // groups))
        whole = self._token_op(ops.Transpose((1, 0, 2)), (whole,), grid)
        return self._narrowed(self._regroup(whole, shape[:axes], (*shape[axes:-1], m)), hull(node.type, axes))

    def _product(self, results: int, node: Node, grid: Grid, shape: tuple[int, ...]) -> int:
        """The results of a fold, which are the elements of a product in order, in the formats and at the places of that."""
        token = self._steps[results].stream.token
        kind = regrouped(hull(node.type, len(grid)), token.shape)
        return self._gathered(self._narrowed(results, kind), grid, shape)

    def _fold(self, op: ops.Linear, chunks: int, steps: int, groups: int, grid: Grid) -> int:
        """Tokens (lanes, m / groups) of the product of tokens (lanes, n / steps), at ``grid`` and the groups."""
        stream = self._steps[chunks].stream
        lanes, size = stream.token.shape
        n, m = op.weights.shape
        width = -(-m // groups)
        weights, frac = np.zeros((steps * size, groups * width), dtype=np.object_), np.zeros((1, 1), dtype=np.int64)
        weights[:n, :m], frac = op.weights, op.frac
        padded = np.zeros((steps * size, groups * width), dtype=np.int64)
        padded[:n, :m] = frac
        each = hull(stream.token, 1)  # one type for all lanes
        full = TensorType.of((steps, size), *(objects(part).reshape(1, -1) for part in (each.frac, each.lo, each.hi)))
        operand = infer(ops.Reshape((steps * size,)), [full])
        linear = ops.Linear(weights, padded)
        matrix, fracs = linear_weights(linear, operand)
        most = int(fracs.max())
        matrix = objects(matrix << objects(most - fracs))
        result = infer(linear, [operand])
        token = hull(infer(ops.Reshape((groups, width)), [result]), 1)
        lo, hi = (objects(part << objects(most - token.frac)) for part in (token.lo, token.hi))
        kind = TensorType.of((lanes, width), most, lo.reshape(1, -1), hi.reshape(1, -1))
        tiles = matrix.reshape(steps, size, groups, width).transpose(2, 0, 1, 3)
        return self._put(Fold(objects(tiles), most), (chunks,), Stream((*grid, groups), kind))

    def _narrowed(self, step: int, kind: TensorType) -> int:
        """``step``, whose values are known to be of type ``kind``, in number formats that hold it: bits are left out."""
        stream = self._steps[step].stream
        widths = kind.width
        signed = np.asarray(kind.lo < 0, dtype=np.bool_)
        one = objects(np.ones_like(widths))
        lo = np.where(signed, -(one << objects(np.maximum(widths - 1, 0))), 0)
        hi = (one << objects(np.where(signed, widths - 1, widths))) - 1
        cast = ops.Cast(kind.frac, objects(lo), objects(hi), Rounding.TRN, Overflow.WRAP)
        return self._token_op(cast, (step,), stream.grid)

    def _matmul(self, node: Node) -> int:
        """Row by row of the first operand where that is how it comes; the second one whole but for batch axes."""
        x, y = node.args
        shape = node.type.shape
        rank = len(shape)
        rows = not self._is_constant(x) and self._axes(x) + rank - len(self._shape(x)) >= rank - 1 and self._axes(x) > 0
        if rows:
            grid = shape[:-1]
            left = self._spread(x, grid, rank)
            left = self._token_op(ops.Reshape((1, self._shape(x)[-1])), (left,), grid)
            right = self._spread(y, shape[:-2], rank)
            if not isinstance(self._steps[right].kind, ops.Const):
                kept = np.repeat(np.arange(math.prod(shape[:-2])), shape[-2])
                right = self._put(Reorder(kept), (right,), Stream(grid, self._steps[right].stream.token))
            return self._token_op(ops.Reshape((shape[-1],)), (self._token_op(node.op, (left, right), grid),), grid)
        axes = max((self._axes(arg) + rank - len(self._shape(arg)) for arg in node.args if self._axes(arg)), default=0)
        grid = shape[: min(axes, rank - 2)]
        return self._token_op(node.op, [self._spread(arg, grid, rank) for arg in (x, y)], grid)

    def _reduce(self, op: ops.Sum | ops.AMax, node: Node) -> int:
        """Within tokens first, then over tokens."""
        (arg,) = node.args
        step, axes = self._operand(arg, self._axes(arg)), self._axes(arg)
        grid = self._steps[step].stream.grid
        inside = tuple(axis - axes for axis in op.axes if axis >= axes)
        if inside:
            step = self._token_op(replace(op, axes=inside), (step,), grid)
        over = [axis for axis in op.axes if axis < axes]
        if not over:
            return step
        kept = [axis for axis in range(axes) if axis not in over]
        places = np.arange(math.prod(grid)).reshape(grid).transpose([*kept, *over]).ravel()
        stream = self._steps[step].stream
        if not bool(np.all(places == np.arange(len(places)))):
            step = self._put(Reorder(places), (step,), stream)
        number = math.prod(grid[axis] for axis in over)
        several = TensorType.of((number, *stream.token.shape), *(part[None] for part in _parts(stream.token)))
        token = infer(replace(op, axes=(0,)), [several])
        return self._put(Reduce(op, number), (step,), Stream(tuple(grid[axis] for axis in kept), token))

    def _window(self, op: ops.Window, node: Node) -> int:
        (arg,) = node.args
        if self._axes(arg) == 0 and self._demand.parallel:
            return self._whole(node)
        rank = len(op.size)
        step = self._level(arg, rank)
        token = self._steps[step].stream.token
        full = TensorType.of(self._shape(arg), *(part.reshape((1,) * rank + part.shape) for part in _parts(token)))
        result = hull(infer(op, [full]), rank)
        return self._put(Window(op), (step,), Stream(node.type.shape[:rank], result))

    def _reshape(self, op: ops.Reshape, node: Node) -> int:
        (arg,) = node.args
        step, stream = self._of[arg], self._stream(arg)
        for axes in range(len(op.shape) + 1):
            if math.prod(op.shape[:axes]) == stream.tokens:
                return self._regroup(step, op.shape[:axes], op.shape[axes:])
        if len(op.shape) == 1 and all(isinstance(reader.op, ops.Linear) for reader in self._readers[id(node)]):
            return step  # its readers take the tokens as they come
        axes = max(len(op.shape) - 1, 0)
        return self._regroup(step, op.shape[:axes], op.shape[axes:])

    def _scan(self, op: ops.Scan, node: Node) -> int:
        if self._demand.parallel and self._demand.reuse.get(node.layer, 1) == 1 and not any(map(self._axes, node.args)):
            return self._whole(node)
        args = []
        for k, (arg, body_input) in enumerate(zip(node.args, op.body.inputs, strict=True)):
            args.append(self._converted(self._streamed(arg, int(k >= op.states)), op.body.nodes[body_input].type))
        result = op.body.nodes[op.body.outputs[-1].node].type
        steps = node.type.shape[0]
        return self._put(Scan(op.body, op.states, steps), tuple(args), Stream((steps,), result))

    def _converted(self, step: int, kind: TensorType) -> int:
        """``step``, whose values are known to be of type ``kind``, in that type."""
        stream = self._steps[step].stream
        if stream.token == kind:
            return step
        cast = ops.Cast(kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT)
        return self._token_op(cast, (step,), stream.grid)

    def _concat(self, op: ops.Concat, node: Node) -> int:
        shape = node.type.shape
        axes = min(max(map(self._axes, node.args)), len(shape) - 1)
        if op.axis >= axes:
            inner = ops.Concat(op.axis - axes)
            grid = shape[:axes]
            args = [
                self._constant(arg, axes, grid) if self._is_constant(arg) else self._level(arg, axes)
                for arg in node.args
            ]
            return self._token_op(inner, args, grid)
        kind = hull(node.type, axes)
        args = [self._converted(self._streamed(arg, axes), kind) for arg in node.args]
        source = [np.full(self._shape(arg)[:axes], k) for k, arg in enumerate(node.args)]
        return self._put(Merge(np.concatenate(source, axis=op.axis).ravel()), tuple(args), Stream(shape[:axes], kind))

    def _moved(self, op: Move, node: Node) -> int:
        """Tokens moved as they are, and the same move of elements within each; single elements where that is not enough."""
        (arg,) = node.args
        if self._axes(arg) == 0:
            return self._whole(node)
        step, stream = self._of[arg], self._stream(arg)
        source = moved(op, self._shape(arg))
        rank = len(node.type.shape)
        for axes in (*range(rank - 1, -1, -1), rank):
            rows = source.reshape(math.prod(node.type.shape[:axes]), -1)
            found = _split(rows, stream.token.size)
            if found is not None:
                return self._rearranged(step, *found, node.type.shape[:axes], node.type.shape[axes:])
        single = self._regroup(step, (source.size,) if source.size == stream.tokens else self._shape(arg), ())
        return self._rearranged(single, source.ravel(), np.zeros(1, dtype=np.int64), node.type.shape, ())

    def _rearranged(self, step: int, tokens: Positions, elements: Positions, grid: Grid, shape: tuple[int, ...]) -> int:
        """Tokens ``tokens`` of ``step`` (-1: zeros), and of each its elements ``elements`` (-1: zero), under new shapes."""
        stream = self._steps[step].stream
        if not bool(np.array_equal(tokens, np.arange(stream.tokens))):
            kind = _with_zero(stream.token) if bool(np.any(tokens < 0)) else stream.token
            step = self._put(Reorder(tokens), (step,), Stream(grid, kind))
        token = self._steps[step].stream.token
        if bool(np.array_equal(elements, np.arange(token.size))):
            return self._token_op(ops.Reshape(shape), (step,), grid)
        flat = self._token_op(ops.Reshape((token.size,)), (step,), grid)
        if bool(np.any(elements < 0)):
            flat = self._token_op(ops.Pad((0,), (1,)), (flat,), grid)
            elements = np.where(elements < 0, token.size, elements)
        picked = self._token_op(ops.Gather(elements, 0), (flat,), grid)
        return self._token_op(ops.Reshape(shape), (picked,), grid)


def _parts(kind: TensorType) -> tuple[Ints, Ints, Ints]:
    return objects(kind.frac), kind.lo, kind.hi


def _with_zero(kind: TensorType) -> TensorType:
    return TensorType.of(kind.shape, kind.frac, np.minimum(kind.lo, 0), np.maximum(kind.hi, 0))


def _split(rows: Positions, size: int) -> tuple[Positions, Positions] | None:
    """Rows of element numbers as token numbers and numbers within each token, if each row is of one token, all in one way."""
    empty = np.all(rows < 0, axis=1)
    full = rows[~empty]
    if len(full) == 0:
        return None
    inside = np.where(full[0] < 0, -1, full[0] % size)
    tokens = np.max(full, axis=1) // size
    expected = np.where(inside < 0, -1, tokens[:, None] * size + inside)
    if not bool(np.array_equal(full, expected)):
        return None
    numbers = np.full(len(rows), -1, dtype=np.int64)
    numbers[~empty] = tokens
    return numbers, inside


def _readers(program: Program) -> dict[int, list[Node]]:
    readers: dict[int, list[Node]] = {id(node): [] for node in program.nodes}
    for node in program.nodes:
        for arg in node.args:
            readers[id(program.nodes[arg])].append(node)
    return readers


def _on_tokens(op: ops.Op, axes: int, rank: int) -> ops.Op | None:
    """An element-wise op on tensors of ``rank`` axes as one on tokens without the first ``axes``; None if positions differ."""
    kept = rank - axes
    match op:
        case ops.Cast():
            parts = [_tail(part, kept) for part in (op.frac, op.lo, op.hi)]
            if any(part is None for part in parts):
                return None
            frac, lo, hi = (objects(part) for part in parts if part is not None)
            return ops.Cast(frac.astype(np.int64), lo, hi, op.rounding, op.overflow)
        case ops.Shift():
            amount = _tail(op.amount, kept)
            return None if amount is None else ops.Shift(objects(amount).astype(np.int64))
        case ops.Table():
            values, frac_ = _tail(op.values, kept + 1), _tail(op.frac, kept)
            if values is None or frac_ is None:
                return None
            return ops.Table(op.first, objects(values), objects(frac_).astype(np.int64))
        case _:
            return op


def _viewed(op: ops.Op, shape: tuple[int, ...], view: tuple[int, ...]) -> ops.Op | None:
    """An element-wise op on tensors of ``shape`` as one on the same elements under the shape ``view``; None for many tables."""

    def seen(array: Ints | Positions) -> Ints:
        return objects(array.reshape(()) if array.size == 1 else np.broadcast_to(objects(array), shape).reshape(view))

    match op:
        case ops.Cast():
            return ops.Cast(seen(op.frac).astype(np.int64), seen(op.lo), seen(op.hi), op.rounding, op.overflow)
        case ops.Shift():
            return ops.Shift(seen(op.amount).astype(np.int64))
        case ops.Table():
            entries = op.values.shape[-1]
            if op.values.size > entries:
                return None
            return ops.Table(op.first, objects(op.values.reshape(entries)), seen(op.frac).astype(np.int64))
        case _:
            return op


def _tail(array: Ints | Positions, kept: int) -> Ints | Positions | None:
    """``array`` without the axes in front of its last ``kept`` ones; None if it varies along them."""
    extra = array.ndim - kept
    if extra <= 0:
        return array
    first = array[(0,) * extra]
    return first if bool(np.all(array == first)) else None


class _Clusters:
    """From steps to processes: connected ops on tokens of equal number become one token function.

    A step's *stage* counts the processes on the way to it. Ops of one stage can stand in one function: a way out of it
    and back would lead through a process to a later stage.
    """

    def __init__(self, steps: Sequence[_Step]) -> None:
        self._steps = steps
        self._live = self._reached()
        self._stage: dict[int, int] = {}
        self._group: dict[int, int] = {}
        self._processes: list[Process] = []
        self._sources: dict[int, Source] = {}
        for number in self._live:
            self._place(number)

    def _reached(self) -> list[int]:
        """The steps that some output needs."""
        live: set[int] = set()
        for number in range(len(self._steps) - 1, -1, -1):
            step = self._steps[number]
            if number in live or isinstance(step.kind, Exit | Entry):
                live.update((number, *step.args))
        return sorted(live)

    def _is_op(self, number: int) -> bool:
        return isinstance(self._steps[number].kind, ops.Op)

    def _is_constant(self, number: int) -> bool:
        return isinstance(self._steps[number].kind, ops.Const)

    def _place(self, number: int) -> None:
        step = self._steps[number]
        if self._is_constant(number):
            return
        args = [arg for arg in step.args if not self._is_constant(arg)]
        latest = max((self._stage[arg] for arg in args), default=0)
        self._stage[number] = latest + int(not self._is_op(number))
        if isinstance(step.kind, Exit):
            self._stage[number] = len(self._steps)  # outputs come last, in the program's order
        if not self._is_op(number):
            return
        self._group[number] = number
        for arg in args:
            if self._is_op(arg) and self._stage[arg] == latest and self._steps[arg].stream.tokens == step.stream.tokens:
                self._join(number, arg)

    def _root(self, number: int) -> int:
        while self._group[number] != number:
            self._group[number] = self._group[self._group[number]]
            number = self._group[number]
        return number

    def _join(self, a: int, b: int) -> None:
        self._group[self._root(a)] = self._root(b)

    def network(self) -> Network:
        """The processes in an order in which each follows its operands."""
        groups: dict[int, list[int]] = {}
        for number in self._live:
            if number in self._group:
                groups.setdefault(self._root(number), []).append(number)
        units = [
            (self._stage[number], 0, [number])
            for number in self._live
            if number in self._stage and not self._is_op(number)
        ]
        units += [(self._stage[root], 1, group) for root, group in groups.items()]
        for _, is_map, members in sorted(units, key=lambda unit: (unit[0], unit[1], unit[2])):
            if is_map:
                self._map(members)
            else:
                self._process(members[0])
        return Network(tuple(self._processes))

    def _plain(self, number: int) -> int:
        """The step whose tokens have the same bits: reshaping a token does nothing."""
        while isinstance(self._steps[number].kind, ops.Reshape) and not self._is_constant(self._steps[number].args[0]):
            number = self._steps[number].args[0]
        return number

    def _process(self, number: int) -> None:
        step = self._steps[number]
        assert not isinstance(step.kind, ops.Op)
        args = tuple(self._sources[self._plain(arg)] for arg in step.args)
        takes = tuple(self._steps[arg].stream for arg in step.args)
        results = () if isinstance(step.kind, Exit) else (step.stream,)
        self._processes.append(Process(step.kind, args, takes, results, (step.layer,) if step.layer else ()))
        self._sources[number] = Source(len(self._processes) - 1)

    def _map(self, members: Sequence[int]) -> None:
        """A token function of what ``members`` take from outside."""
        inside = set(members)
        outer = {
            arg for number in self._live if number not in inside for arg in map(self._plain, self._steps[number].args)
        }
        results = [number for number in members if number in outer]
        if not results:
            return  # reshapes that nothing but their readers' view of them is left of
        builder, values = Builder(), dict[int, Value]()
        taken: dict[int, Value] = {}
        for number in members:
            step = self._steps[number]
            assert isinstance(step.kind, ops.Op)
            with builder.layer(step.layer):
                args = []
                for arg in step.args:
                    if arg in inside:
                        args.append(values[arg])
                    elif isinstance(constant := self._steps[arg].kind, ops.Const):
                        args.append(builder.apply(constant))
                    else:
                        args.append(self._taken(builder, taken, arg))
                values[number] = builder.apply(step.kind, *args)
        program = builder.program([(f"y{k}", values[number]) for k, number in enumerate(results)])
        layers = tuple(dict.fromkeys(self._steps[number].layer for number in members if self._steps[number].layer))
        sources = tuple(self._sources[number] for number in taken)
        takes = tuple(self._steps[number].stream for number in taken)
        for port, number in enumerate(results):
            self._sources[number] = Source(len(self._processes), port)
        streams = tuple(self._steps[number].stream for number in results)
        self._processes.append(Process(Map(simplify(program)), sources, takes, streams, layers))

    def _taken(self, builder: Builder, taken: dict[int, Value], arg: int) -> Value:
        """An operand from outside, in the shape in which it is taken."""
        source, shape = self._plain(arg), self._steps[arg].stream.token.shape
        if source not in taken:
            kind = self._steps[source].stream.token
            taken[source] = builder.apply(
                ops.Input(f"x{len(taken)}", kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.WRAP)
            )
        return builder.reshape(taken[source], shape)
