"""A layout in the making: ops on tokens, processes, and what regroups and reorders tokens between them.

In: a program and what is wanted of its layout. Out: steps, each of which has the value of a node, in tokens of some size. The
rules for each kind of core op (`bitsmith.mapping.partition`) are written in terms of what is here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.processes import Grid, Kind, Reorder, Rom, Stream, WidthConverter, regrouped, union_type
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Positions
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.directives import Directives


@dataclass(frozen=True, slots=True)
class Step:
    """An op on tokens, a process, or (``stream`` without tokens' worth: grid of any) a constant token."""

    kind: ops.Op | Kind
    args: tuple[int, ...]
    stream: Stream
    layer: str


class DataflowBuilder:
    """The steps so far, and the one that has the value of each node."""

    def __init__(self, program: Program, directives: Directives) -> None:
        self.program = program
        self.directives = directives
        self.steps: list[Step] = []
        self.step_of: dict[int, int] = {}
        """The step that has a node's value."""
        self._with_grid: dict[tuple[int, int], int] = {}
        self.native_forms: dict[int, int] = {}
        """Of a step, the one with the same elements in the same order in tokens of the size in which they are made."""
        self.layer = ""
        self.readers = readers_of(program)

    def add(self, kind: ops.Op | Kind, args: tuple[int, ...], stream: Stream) -> int:
        self.steps.append(Step(kind, args, stream, self.layer))
        return len(self.steps) - 1

    def token_op(self, op: ops.Op, args: Sequence[int], grid: Grid) -> int:
        """An op on the tokens of operands of one grid (or constants)."""
        return self.add(op, tuple(args), Stream(grid, infer(op, [self.steps[arg].stream.token for arg in args])))

    def is_constant(self, index: int) -> bool:
        return isinstance(self.program.nodes[index].op, ops.Const)

    def is_parameter(self, index: int) -> bool:
        return isinstance(self.program.nodes[index].op, ops.Parameter)

    def shape(self, index: int) -> tuple[int, ...]:
        return self.program.nodes[index].type.shape

    def stream(self, index: int) -> Stream:
        return self.steps[self.step_of[index]].stream

    def grid_axes(self, index: int) -> int:
        """How many leading axes of a node's value are its grid."""
        return 0 if self.is_constant(index) else len(self.stream(index).grid)

    def with_grid(self, index: int, axes: int) -> int:
        """The step that has a node's value with the first ``axes`` axes as grid."""
        if (index, axes) not in self._with_grid:
            shape = self.shape(index)
            step = self.native_form(index) if axes < self.grid_axes(index) else self.step_of[index]
            self._with_grid[index, axes] = self.regroup(step, shape[:axes], shape[axes:])
        return self._with_grid[index, axes]

    def native_parallelism(self, index: int) -> int:
        """How many positions of a node's value are made at once: 1 if that is fewer than its tokens have."""
        form = None if self.is_constant(index) else self.native_forms.get(self.step_of[index])
        if form is None:
            return 1
        several, rest = divmod(self.stream(index).tokens, self.steps[form].stream.tokens)
        return max(several, 1) if rest == 0 else 1

    def native_form(self, index: int) -> int:
        """The step that has a node's value in tokens of as many positions as are made at once."""
        return self.native_forms[self.step_of[index]] if self.native_parallelism(index) > 1 else self.step_of[index]

    def grouped(self, index: int, number: int, axes: int) -> int:
        """The step that has a node's value as tokens of ``number`` positions each, positions being its first ``axes`` axes."""
        step, shape = self.native_form(index), self.shape(index)
        return self.regroup(step, (math.prod(shape[:axes]) // number,), (number, *shape[axes:]))

    def regroup(self, step: int, grid: Grid, shape: tuple[int, ...]) -> int:
        """The elements of ``step``, in the same order, as tokens of ``shape`` at the positions of ``grid``."""
        have, want = self.steps[step].stream, math.prod(shape)
        if (have.grid, have.token.shape) == (grid, shape):
            return step
        if have.token.size == want:
            return self._viewed(step, grid, shape)
        between = math.gcd(have.token.size, want)
        if between not in (have.token.size, want):
            parts = Stream((math.prod(have.shape) // between,), regrouped(have.token, (between,)))
            step = self.add(WidthConverter(), (step,), parts)
        return self.add(WidthConverter(), (step,), Stream(grid, regrouped(self.steps[step].stream.token, shape)))

    def _viewed(self, step: int, grid: Grid, shape: tuple[int, ...]) -> int:
        """The same tokens under other shapes."""
        viewed = self.token_op(ops.Reshape(shape), (step,), grid)
        if step in self.native_forms:
            self.native_forms[viewed] = self.native_forms[step]
        return viewed

    def constant(self, index: int, axes: int, grid: Grid | None = None) -> int:
        """A constant node as a token constant where it is the same at all positions of its first ``axes`` axes, else as a ROM.

        ``grid``: the positions at which it is wanted, if not its own.
        """
        node = self.program.nodes[index]
        assert isinstance(node.op, ops.Const)
        return self.constant_tokens(node.op, node.type, axes, self.shape(index)[:axes] if grid is None else grid)

    def constant_tokens(self, op: ops.Const, kind: TensorType, axes: int, wanted: Grid) -> int:
        token = union_type(kind, axes)
        raw = rescale(np.broadcast_to(op.raw, kind.shape), op.frac, np.broadcast_to(token.frac, token.shape))
        tokens = objects(raw).reshape(-1, *token.shape)
        if bool(np.all(tokens == tokens[:1])):
            return self.token_constant(np.asarray(tokens[0], dtype=np.object_), token.frac)
        places = np.broadcast_to(np.arange(len(tokens)).reshape(kind.shape[:axes]), wanted).ravel()
        return self.add(Rom(objects(tokens[places])), (), Stream(wanted, token))

    def token_constant(self, raw: Ints, frac: Positions) -> int:
        const = ops.Const(raw, frac)
        return self.add(const, (), Stream((), infer(const, [])))

    def as_stream(self, index: int, axes: int) -> int:
        """A node's value as a stream, even if it is constant."""
        if not self.is_constant(index):
            return self.with_grid(index, axes)
        node = self.program.nodes[index]
        assert isinstance(node.op, ops.Const)
        token = union_type(node.type, axes)
        raw = rescale(
            np.broadcast_to(node.op.raw, node.type.shape), node.op.frac, np.broadcast_to(token.frac, token.shape)
        )
        return self.add(Rom(objects(raw).reshape(-1, *token.shape)), (), Stream(node.type.shape[:axes], token))

    def operand(self, index: int, axes: int) -> int:
        return self.constant(index, axes) if self.is_constant(index) else self.with_grid(index, axes)

    def broadcast(self, index: int, grid: Grid, rank: int) -> int:
        """A node's value as tokens at the positions of ``grid``, the leading axes of a result of ``rank`` axes."""
        shape = self.shape(index)
        axes = max(len(grid) - (rank - len(shape)), 0)
        if self.is_constant(index):
            return self.constant(index, axes, grid)
        step = self.with_grid(index, axes)
        if shape[:axes] == grid:
            return step
        have = (1,) * (len(grid) - axes) + shape[:axes]
        source = np.broadcast_to(np.arange(math.prod(have)).reshape(have), grid).ravel()
        kind = self.steps[step].kind
        if isinstance(kind, Rom) and math.prod(have) == 1:
            again = replace(kind, raw=kind.raw[source])
            return self.add(again, (), Stream(grid, self.steps[step].stream.token))
        return self.add(Reorder(source), (step,), Stream(grid, self.steps[step].stream.token))

    def with_native_form(self, step: int, grid: Grid, shape: tuple[int, ...]) -> int:
        """``step`` as tokens of ``shape`` at ``grid``, known to be made in tokens of another size if it is."""
        whole = self.regroup(step, grid, shape)
        if self.steps[whole].stream.tokens != self.steps[step].stream.tokens:
            self.native_forms[whole] = step
        return whole

    def truncated(self, step: int, kind: TensorType) -> int:
        """``step``, whose values are known to be of type ``kind``, in number formats that hold it: bits are left out."""
        stream = self.steps[step].stream
        widths = kind.width
        signed = np.asarray(kind.lo < 0, dtype=np.bool_)
        one = objects(np.ones_like(widths))
        lo = np.where(signed, -(one << objects(np.maximum(widths - 1, 0))), 0)
        hi = (one << objects(np.where(signed, widths - 1, widths))) - 1
        cast = ops.Cast(kind.frac, objects(lo), objects(hi), Rounding.TRN, Overflow.WRAP)
        return self.token_op(cast, (step,), stream.grid)

    def cast_to(self, step: int, kind: TensorType) -> int:
        """``step``, whose values are known to be of type ``kind``, in that type."""
        stream = self.steps[step].stream
        if stream.token == kind:
            return step
        cast = ops.Cast(kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT)
        return self.token_op(cast, (step,), stream.grid)

    def gather(self, step: int, tokens: Positions, elements: Positions, grid: Grid, shape: tuple[int, ...]) -> int:
        """Tokens ``tokens`` of ``step`` (-1: zeros), and of each its elements ``elements`` (-1: zero), under new shapes."""
        stream = self.steps[step].stream
        if not bool(np.array_equal(tokens, np.arange(stream.tokens))):
            kind = with_zero(stream.token) if bool(np.any(tokens < 0)) else stream.token
            step = self.add(Reorder(tokens), (step,), Stream(grid, kind))
        token = self.steps[step].stream.token
        if bool(np.array_equal(elements, np.arange(token.size))):
            return self.token_op(ops.Reshape(shape), (step,), grid)
        flat = self.token_op(ops.Reshape((token.size,)), (step,), grid)
        if bool(np.any(elements < 0)):
            flat = self.token_op(ops.Pad((0,), (1,)), (flat,), grid)
            elements = np.where(elements < 0, token.size, elements)
        picked = self.token_op(ops.Gather(elements, 0), (flat,), grid)
        return self.token_op(ops.Reshape(shape), (picked,), grid)

    def on_whole_tensors(self, node: Node) -> int:
        """The op on whole operands, one token per frame."""
        return self.token_op(node.op, [self.operand(arg, 0) for arg in node.args], ())


def parts_of(kind: TensorType) -> tuple[Ints, Ints, Ints]:
    return objects(kind.frac), kind.lo, kind.hi


def with_zero(kind: TensorType) -> TensorType:
    return TensorType.of(kind.shape, kind.frac, np.minimum(kind.lo, 0), np.maximum(kind.hi, 0))


def readers_of(program: Program) -> dict[int, list[Node]]:
    readers: dict[int, list[Node]] = {id(node): [] for node in program.nodes}
    for node in program.nodes:
        for arg in node.args:
            readers[id(program.nodes[arg])].append(node)
    return readers
