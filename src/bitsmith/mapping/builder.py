"""A token network in the making: ops on tokens, processes, and what regroups and reorders tokens between them.

In: a program and directives. Out: steps, one of which has the value of each node. The rules for each kind of core op
(`bitsmith.mapping.partition`) are written in terms of what is here.

A tensor travels as *tokens*, one for each position of its *grid*, which are its leading axes. An image of shape (4, 6, 3) with
the grid (4, 6) is 24 tokens of shape (3,)::

    position    (0,0)  (0,1)  (0,2)  (0,3)  ...  (3,5)
    tokens      [rgb]  [rgb]  [rgb]  [rgb]  ...  [rgb]        grid (4, 6), token (3,)

A layer that handles two positions in a cycle makes the same elements in the same order in fewer tokens. This is the *native
form* of its result, from which the tokens above are regrouped for those who want them::

    tokens      [rgb    rgb]  [rgb    rgb]  ...               grid (12,),  token (2, 3)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NewType

import numpy as np
import numpy.typing as npt

from bitsmith.base.graphs import reached
from bitsmith.base.lately import lately
from bitsmith.dataflow.kinds import Kind, Reduce, Reorder, Rom, WidthConverter
from bitsmith.dataflow.tokens import Grid, Stream, regrouped, union_type
from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Positions
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead, simplify
from bitsmith.passes.program.pad_windows import pad_windows

NodeId = NewType("NodeId", int)
"""A node of the program."""

StepId = NewType("StepId", int)
"""A step of the builder."""


@dataclass(frozen=True, slots=True)
class Port:
    """A result of a process with several, of which the first operand is a step; the others are what it needs for this one."""

    number: int


@dataclass(frozen=True, slots=True)
class Step:
    """An op on tokens, a process, one of its results, or a constant token, whose stream has no grid and meets tokens at any."""

    kind: ops.Op | Kind | Port
    args: tuple[StepId, ...]
    stream: Stream
    layer: str


class DataflowBuilder:
    """The steps so far, and the one that has the value of each node."""

    def __init__(self, program: Program, directives: Directives) -> None:
        self.program = program
        self.directives = directives
        self.steps: list[Step] = []
        self.step_of: dict[NodeId, StepId] = {}
        """The step that has a node's value."""
        self.native_forms: dict[StepId, StepId] = {}
        """For each step, its native form, where that has tokens of another size."""
        self.layer = ""
        self.numbers = {id(node): NodeId(index) for index, node in enumerate(program.nodes)}
        self.readers = readers_of(program)
        self._with_grid: dict[tuple[NodeId, int], StepId] = {}
        self._repeated: dict[tuple[StepId, Grid, bytes], StepId] = {}

    def add(self, kind: ops.Op | Kind | Port, args: tuple[StepId, ...], stream: Stream) -> StepId:
        """A new step."""
        self.steps.append(Step(kind, args, stream, self.layer))
        return StepId(len(self.steps) - 1)

    def token_op(self, op: ops.Op, args: Sequence[StepId], grid: Grid) -> StepId:
        """An op on the tokens of operands of one grid (or constants)."""
        return self.add(op, tuple(args), Stream(grid, infer(op, [self.stream(arg).token for arg in args])))

    def reduced(self, op: ops.Sum | ops.AMax, step: StepId, count: int, grid: Grid) -> StepId:
        """The sum, or the greatest, of each ``count`` tokens in a row, at the positions of ``grid``."""
        token = self.stream(step).token
        several = TensorType.of((count, *token.shape), *(part[None] for part in parts_of(token)))
        return self.add(Reduce(op, count), (step,), Stream(grid, infer(replace(op, axes=(0,)), [several])))

    def stream(self, step: StepId) -> Stream:
        """The tokens of a step."""
        return self.steps[step].stream

    def operands(self, node: Node) -> list[NodeId]:
        """The nodes that ``node`` reads."""
        return list(map(NodeId, node.args))

    def reading(self, node: NodeId) -> list[NodeId]:
        """The nodes that read ``node``."""
        return [self.numbers[id(reader)] for reader in self.readers[id(self.program.nodes[node])]]

    def is_constant(self, node: NodeId) -> bool:
        return isinstance(self.program.nodes[node].op, ops.Const)

    def is_parameter(self, node: NodeId) -> bool:
        return isinstance(self.program.nodes[node].op, ops.Parameter)

    def shape(self, node: NodeId) -> tuple[int, ...]:
        return self.program.nodes[node].type.shape

    def node_stream(self, node: NodeId) -> Stream:
        return self.stream(self.step_of[node])

    def grid_axes(self, node: NodeId) -> int:
        """The number of leading axes of a node's value that are its grid."""
        return 0 if self.is_constant(node) else len(self.node_stream(node).grid)

    def common_grid_axes(self, node: Node) -> int:
        """The number of leading axes of a node's value along which some operand, broadcast to it, comes in tokens."""
        rank = len(node.type.shape)
        args = [arg for arg in self.operands(node) if self.grid_axes(arg)]
        return max((self.grid_axes(arg) + rank - len(self.shape(arg)) for arg in args), default=0)

    def with_grid(self, node: NodeId, axes: int) -> StepId:
        """The step that has a node's value with the first ``axes`` axes as grid."""
        if (node, axes) not in self._with_grid:
            shape = self.shape(node)
            step = self.native_form(node) if axes < self.grid_axes(node) else self.step_of[node]
            self._with_grid[node, axes] = self.regroup(step, shape[:axes], shape[axes:])
        return self._with_grid[node, axes]

    def is_late(self, node: Node, step: StepId) -> bool:
        """Return True if ``step``, the value of ``node`` of whole tensors, takes more tokens than its layer has cycles.

        So may any step between it and the operands. If these take as many themselves, the node is not what is late.
        """
        cycles, last = self.directives.reuse_factor(node.layer), self.native_forms.get(step, step)
        seen = {self.made(arg) for arg in self.operands(node) if not self.is_constant(arg)}
        if not self.directives.parallel or any(self.stream(made).tokens > cycles for made in seen):
            return False
        between = reached({last} - seen, lambda one: {*self.steps[one].args} - seen)
        return any(self.stream(one).tokens > cycles for one in between)

    def native_parallelism(self, node: NodeId) -> int:
        """The number of positions in a token of a node's native form; 1 if a position takes several tokens."""
        if self.is_constant(node):
            return 1
        number, rest = divmod(self.node_stream(node).tokens, self.stream(self.made(node)).tokens)
        return max(number, 1) if rest == 0 else 1

    def made(self, node: NodeId) -> StepId:
        """The step in whose tokens a node's value is made."""
        return self.native_forms.get(self.step_of[node], self.step_of[node])

    def native_form(self, node: NodeId) -> StepId:
        """The step that has a node's value in tokens of `native_parallelism` positions."""
        return self.made(node) if self.native_parallelism(node) > 1 else self.step_of[node]

    def with_native_form(self, step: StepId, grid: Grid, shape: tuple[int, ...]) -> StepId:
        """``step`` as tokens of ``shape`` at ``grid``, of which it is the native form if its tokens have another size."""
        regrouped_step = self.regroup(step, grid, shape)
        if self.stream(regrouped_step).tokens != self.stream(step).tokens:
            self.native_forms[regrouped_step] = step
        return regrouped_step

    def grouped(self, node: NodeId, number: int, axes: int) -> StepId:
        """The step that has a node's value in tokens of ``number`` positions each, its first ``axes`` axes being the grid.

        A value of shape (4, 6, 3) in groups of 2 positions over 2 axes: 12 tokens of shape (2, 3).
        """
        shape = self.shape(node)
        return self.regroup(self.native_form(node), (math.prod(shape[:axes]) // number,), (number, *shape[axes:]))

    def regroup(self, step: StepId, grid: Grid, shape: tuple[int, ...]) -> StepId:
        """The elements of ``step``, in the same order, as tokens of ``shape`` at the positions of ``grid``.

        Tokens of 6 elements become tokens of 4 through tokens of 2: one width converter makes tokens smaller, one larger.
        """
        form, want = self.native_forms.get(step), math.prod(shape)
        if form is not None and want < self.stream(step).token.size > self.stream(form).token.size:
            return self.regroup(form, grid, shape)
        have = self.stream(step)
        if (have.grid, have.token.shape) == (grid, shape):
            return step
        if math.prod(have.shape) != math.prod(grid) * want:
            raise ProgramError(f"tokens {shape} at {grid} of a tensor {have.shape}", where=f"layer {self.layer!r}")
        if have.token.size == want:
            return self._viewed(step, grid, shape)
        between = math.gcd(have.token.size, want)
        if between not in (have.token.size, want):
            parts = Stream((math.prod(have.shape) // between,), regrouped(have.token, (between,)))
            step = self.add(WidthConverter(), (step,), parts)
        return self.add(WidthConverter(), (step,), Stream(grid, regrouped(self.stream(step).token, shape)))

    def _viewed(self, step: StepId, grid: Grid, shape: tuple[int, ...]) -> StepId:
        """The same tokens under other shapes."""
        viewed = self.token_op(ops.Reshape(shape), (step,), grid)
        if step in self.native_forms:
            self.native_forms[viewed] = self.native_forms[step]
        return viewed

    def operand(self, node: NodeId, axes: int) -> StepId:
        """A node's value with the first ``axes`` axes as grid; a constant as a token constant where one is enough."""
        return self.constant(node, axes) if self.is_constant(node) else self.with_grid(node, axes)

    def constant(self, node: NodeId, axes: int, grid: Grid | None = None) -> StepId:
        """A constant node as a token constant where it is the same at all positions of its first ``axes`` axes, else as a ROM.

        ``grid``: the positions at which it is wanted, if not its own.
        """
        kind = self.program.nodes[node].type
        return self.constant_tokens(self._const(node), kind, axes, kind.shape[:axes] if grid is None else grid)

    def constant_tokens(self, op: ops.Const, kind: TensorType, axes: int, grid: Grid) -> StepId:
        """A constant of type ``kind`` as a token constant or a ROM, for the positions of ``grid``."""
        tokens, token = _tokens(op, kind, axes)
        if bool(np.all(tokens == tokens[:1])):
            return self.token_constant(np.asarray(tokens[0], dtype=np.object_), token.frac)
        source = np.broadcast_to(np.arange(len(tokens)).reshape(kind.shape[:axes]), grid).ravel()
        return self.add(Rom(objects(tokens[source])), (), Stream(grid, token))

    def token_constant(self, raw: Ints, frac: Positions) -> StepId:
        return self.token_op(ops.Const(raw, frac), (), ())

    def as_stream(self, node: NodeId, axes: int) -> StepId:
        """A node's value as a stream, even if it is constant."""
        if not self.is_constant(node):
            return self.with_grid(node, axes)
        kind = self.program.nodes[node].type
        tokens, token = _tokens(self._const(node), kind, axes)
        return self.add(Rom(tokens), (), Stream(kind.shape[:axes], token))

    def _const(self, node: NodeId) -> ops.Const:
        op = self.program.nodes[node].op
        assert isinstance(op, ops.Const)
        return op

    def broadcast(self, node: NodeId, grid: Grid, rank: int) -> StepId:
        """A node's value as tokens at the positions of ``grid``, the leading axes of a result of ``rank`` axes.

        A value of shape (6, 3) for a result of shape (4, 6, 3) with the grid (4, 6): its 6 tokens, 4 times over.
        """
        shape = self.shape(node)
        axes = max(len(grid) - (rank - len(shape)), 0)
        if self.is_constant(node):
            return self.constant(node, axes, grid)
        step = self.with_grid(node, axes)
        if shape[:axes] == grid:
            return step
        have = (1,) * (len(grid) - axes) + shape[:axes]
        source = np.broadcast_to(np.arange(math.prod(have)).reshape(have), grid).ravel()
        kind, stream = self.steps[step].kind, Stream(grid, self.stream(step).token)
        if isinstance(kind, Rom) and math.prod(have) == 1:
            return self.add(replace(kind, raw=kind.raw[source]), (), stream)
        return self.repeated(step, source, grid)

    def repeated(self, step: StepId, source: Positions, grid: Grid) -> StepId:
        """The tokens ``source`` of a step at the positions of ``grid``: one process for all ops that read them so."""
        own = self.steps[step]
        # Functions of one number, with no fewer bits than it has, are computed of it after it is repeated once.
        moving = [arg for arg in own.args if not isinstance(self.steps[arg].kind, ops.Const)]
        widens = len(moving) == 1 and own.stream.bits >= self.stream(moving[0]).bits
        if widens and isinstance(own.kind, ops.Neg | ops.Shift | ops.Cast | ops.Add):
            args = [self.repeated(arg, source, grid) if arg in moving else arg for arg in own.args]
            return self.token_op(own.kind, args, grid)
        key = step, grid, source.tobytes()
        if key not in self._repeated:
            self._repeated[key] = self.add(Reorder(source), (step,), Stream(grid, self.stream(step).token))
        return self._repeated[key]

    def truncated(self, step: StepId, kind: TensorType) -> StepId:
        """``step``, whose values are known to be of type ``kind``, in number formats that hold it: bits are left out."""
        widths = kind.width
        signed = np.asarray(kind.lo < 0, dtype=np.bool_)
        one = objects(np.ones_like(widths))
        lo = np.where(signed, -(one << objects(np.maximum(widths - 1, 0))), 0)
        hi = (one << objects(np.where(signed, widths - 1, widths))) - 1
        cast = ops.Cast(kind.frac, objects(lo), objects(hi), Rounding.TRN, Overflow.WRAP)
        return self.token_op(cast, (step,), self.stream(step).grid)

    def cast_to(self, step: StepId, kind: TensorType) -> StepId:
        """``step``, whose values are known to be of type ``kind``, in that type."""
        stream = self.stream(step)
        if stream.token == kind:
            return step
        cast = ops.Cast(kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT)
        return self.token_op(cast, (step,), stream.grid)

    def gather(
        self, step: StepId, tokens: Positions, elements: Positions, grid: Grid, shape: tuple[int, ...]
    ) -> StepId:
        """Tokens ``tokens`` of ``step`` (-1: zeros), and of each its elements ``elements`` (-1: zero), under new shapes."""
        stream = self.stream(step)
        if not bool(np.array_equal(tokens, np.arange(stream.tokens))):
            kind = with_zero(stream.token) if bool(np.any(tokens < 0)) else stream.token
            step = self.add(Reorder(tokens), (step,), Stream(grid, kind))
        token = self.stream(step).token
        if bool(np.array_equal(elements, np.arange(token.size))):
            return self.token_op(ops.Reshape(shape), (step,), grid)
        flat = self.token_op(ops.Reshape((token.size,)), (step,), grid)
        zeros = np.asarray(elements < 0, dtype=np.bool_)
        if bool(np.any(zeros)):
            flat = self.token_op(ops.Pad((0,), (1,)), (flat,), grid)
            elements = np.where(zeros, token.size, elements)
        picked = self.token_op(ops.Gather(elements, 0), (flat,), grid)
        viewed = self.token_op(ops.Reshape(shape), (picked,), grid)
        return self.cast_to(viewed, _with_zeros_alike(self.stream(viewed).token, zeros.reshape(shape)))

    def on_whole_tensors(self, node: Node) -> StepId:
        """The op on whole operands, one token per frame."""
        return self.token_op(node.op, [self.operand(arg, 0) for arg in self.operands(node)], ())


def builder_of(program: Program, directives: Directives) -> DataflowBuilder:
    """A builder without steps, of what of ``program`` is laid out."""
    return DataflowBuilder(_laid_out(program, frozenset() if directives.taps else directives.engine), directives)


@lately(2)
def _laid_out(program: Program, in_turn: frozenset[str]) -> Program:
    return simplify(pad_windows(drop_dead(program, keep_probes=False), in_turn))


def _tokens(op: ops.Const, kind: TensorType, axes: int) -> tuple[Ints, TensorType]:
    """The tokens of a constant of type ``kind`` with the first ``axes`` axes as grid, in units of their type."""
    token = union_type(kind, axes)
    raw = rescale(np.broadcast_to(op.raw, kind.shape), op.frac, np.broadcast_to(token.frac, token.shape))
    return objects(raw).reshape(-1, *token.shape), token


def parts_of(kind: TensorType) -> tuple[Ints, Ints, Ints]:
    """The arrays of a type: frac, lo and hi."""
    return objects(kind.frac), kind.lo, kind.hi


def _with_zeros_alike(kind: TensorType, zeros: npt.NDArray[np.bool_]) -> TensorType:
    """``kind`` with ``zeros`` in the scale of their channel's other elements: channels then have one scale at all positions."""
    frac, _, _ = kind.full()
    if kind.frac.size == 1 or not bool(np.any(zeros)):
        return kind
    others = np.where(zeros, int(frac.min()), frac).max(axis=tuple(range(frac.ndim - 1)))
    alike = np.where(zeros, others, frac)
    return kind if bool(np.array_equal(alike, frac)) else TensorType.of(kind.shape, alike, kind.lo, kind.hi)


def with_zero(kind: TensorType) -> TensorType:
    """``kind``, which also holds 0."""
    return TensorType.of(kind.shape, kind.frac, np.minimum(kind.lo, 0), np.maximum(kind.hi, 0))


def readers_of(program: Program) -> dict[int, list[Node]]:
    """The nodes that read a node, by its identity."""
    readers: dict[int, list[Node]] = {id(node): [] for node in program.nodes}
    for node in program.nodes:
        for arg in node.args:
            readers[id(program.nodes[arg])].append(node)
    return readers
