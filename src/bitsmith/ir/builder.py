"""Writes core programs: each method appends one op and infers its type."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ladders import Ladder
from bitsmith.ir.ops import Op, Relation
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.scaling import trailing_zeros
from bitsmith.ir.types import FixedFormat, IntLike, Overflow, Rounding, TensorType, frozen, objects, short


@dataclass(frozen=True, slots=True)
class Value:
    """The result of an op in a program under construction."""

    index: int
    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, no batch axis."""
        return self.type.shape


def _fracs(values: IntLike) -> npt.NDArray[np.int64]:
    return np.asarray(objects(values), dtype=np.int64)


class ProgramBuilder:
    """Collects nodes; :meth:`program` hands out the finished program."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._layer = ""

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        """Ops written inside belong to the user's layer ``name``; range errors name it."""
        before, self._layer = self._layer, name
        try:
            yield
        except BitsmithError as error:
            if error.where:
                raise
            raise type(error)(
                error.found, where=f"layer {name!r}", accepted=error.accepted, remedy=error.remedy
            ) from error
        finally:
            self._layer = before

    def apply(self, op: Op, *args: Value) -> Value:
        """Append ``op`` with operands ``args``."""
        for arg in args:
            if arg.index >= len(self._nodes) or self._nodes[arg.index].type is not arg.type:
                raise ProgramError(f"an operand of {type(op).__name__} that belongs to another program")
        result = infer(op, [arg.type for arg in args])
        self._nodes.append(Node(op, tuple(arg.index for arg in args), result, self._layer))
        return Value(len(self._nodes) - 1, result)

    def origin(self, value: Value) -> Op:
        """The op that a value, or that whose elements it picks, is the result of."""
        node = self._nodes[value.index]
        while isinstance(node.op, ops.Gather | ops.Slice | ops.Reshape | ops.Transpose):
            node = self._nodes[node.args[0]]
        return node.op

    def program(self, outputs: Sequence[tuple[str, Value]], probes: Sequence[tuple[str, Value]] = ()) -> Program:
        """The finished program with named ``outputs`` and ``probes``."""
        return Program(
            tuple(self._nodes),
            tuple(Output(name, value.index) for name, value in outputs),
            tuple(Output(name, value.index) for name, value in probes),
        )

    def input(self, name: str, shape: Sequence[int], *formats: FixedFormat, ladders: tuple[Ladder, ...] = ()) -> Value:
        """An input of one format, or of one for each element of the last axis, all with the modes of the first."""
        columns = np.array([(fmt.frac, fmt.lo, fmt.hi) for fmt in formats], dtype=np.object_).T
        frac, lo, hi = columns if len(formats) > 1 else columns[:, 0]
        first = formats[0]
        return self.apply(
            ops.Input(name, tuple(shape), _fracs(frac), frozen(lo), frozen(hi), first.rounding, first.overflow, ladders)
        )

    def const(self, raw: IntLike, frac: IntLike = 0) -> Value:
        """A constant ``raw * 2**-frac``; trailing zero bits are moved into the scale, element by element."""
        integers = objects(raw)
        zeros = trailing_zeros(integers)
        fracs = np.broadcast_to(_fracs(frac), integers.shape)
        return self.apply(ops.Const(frozen(integers >> zeros), np.where(integers == 0, 0, fracs - zeros)))

    def parameter(self, name: str, raw: IntLike, fmt: FixedFormat, *, external: bool = False) -> Value:
        """A tensor of ``fmt`` whose values may be loaded into hardware later; at present ``raw * 2**-frac``."""
        lo, hi = frozen(objects(fmt.lo)), frozen(objects(fmt.hi))
        return self.apply(ops.Parameter(name, frozen(objects(raw)), _fracs(fmt.frac), lo, hi, external))

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """``x`` under another shape, row-major."""
        return x if x.shape == tuple(shape) else self.apply(ops.Reshape(tuple(shape)), x)

    def transpose(self, x: Value, perm: Sequence[int]) -> Value:
        """Axes of ``x`` permuted."""
        return x if list(perm) == list(range(len(perm))) else self.apply(ops.Transpose(tuple(perm)), x)

    def slice(self, x: Value, start: Sequence[int], stop: Sequence[int], step: Sequence[int] | None = None) -> Value:
        """A box of ``x``."""
        return self.apply(ops.Slice(tuple(start), tuple(stop), tuple(step or (1,) * len(x.shape))), x)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        """Values one after another along ``axis`` (may be negative)."""
        return self.apply(ops.Concat(axis % len(xs[0].shape)), *xs)

    def pad(self, x: Value, before: Sequence[int], after: Sequence[int]) -> Value:
        """Zeros around ``x``."""
        return self.apply(ops.Pad(tuple(before), tuple(after)), x)

    def gather(self, x: Value, indices: npt.ArrayLike, axis: int) -> Value:
        """Slices of ``x`` picked along ``axis`` (may be negative)."""
        return self.apply(ops.Gather(np.asarray(indices, dtype=np.int64), axis % len(x.shape)), x)

    def broadcast(self, x: Value, shape: Sequence[int]) -> Value:
        """``x`` repeated up to ``shape``."""
        return x if x.shape == tuple(shape) else self.apply(ops.Broadcast(tuple(shape)), x)

    def window(
        self,
        x: Value,
        size: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        padding: Sequence[tuple[int, int]],
    ) -> Value:
        """Sliding windows over the leading axes."""
        return self.apply(ops.Window(tuple(size), tuple(stride), tuple(dilation), tuple(padding)), x)

    def linear(self, x: Value, weights: IntLike, frac: IntLike = 0) -> Value:
        """``x @ (weights * 2**-frac)`` over the last axis."""
        integers = objects(weights)
        op = ops.Linear(short(frozen(integers)), np.broadcast_to(_fracs(frac), integers.shape))
        return self.apply(op, self.unify(x))

    def unify(self, x: Value) -> Value:
        """``x`` with one ``frac`` per channel, the largest over positions: a lossless cast, or ``x`` if that is so already."""
        return self.aligned(x, range(len(x.shape) - 1))

    def aligned(self, x: Value, axes: Sequence[int] | None = None) -> Value:
        """``x`` with one ``frac`` along ``axes`` (all, if None): a lossless cast, or ``x`` if that is so already."""
        to = x.type.aligned(axes)
        return x if to is x.type else self.cast_to(x, to.frac, to.lo, to.hi, Rounding.TRN, Overflow.SAT)

    def matmul(self, x: Value, y: Value) -> Value:
        """``x @ y`` over the last two axes."""
        return self.apply(ops.MatMul(), x, y)

    def add(self, x: Value, y: Value) -> Value:
        """``x + y``."""
        return self.apply(ops.Add(), x, y)

    def sub(self, x: Value, y: Value) -> Value:
        """``x - y``."""
        return self.apply(ops.Sub(), x, y)

    def mul(self, x: Value, y: Value) -> Value:
        """``x * y``."""
        return self.apply(ops.Mul(), x, y)

    def neg(self, x: Value) -> Value:
        """``-x``."""
        return self.apply(ops.Neg(), x)

    def shift(self, x: Value, amount: IntLike) -> Value:
        """``x * 2**amount``."""
        return self.apply(ops.Shift(_fracs(amount)), x)

    def max(self, x: Value, y: Value) -> Value:
        """The greater of the two."""
        return self.apply(ops.Max(), x, y)

    def min(self, x: Value, y: Value) -> Value:
        """The lesser of the two."""
        return self.apply(ops.Min(), x, y)

    def abs(self, x: Value) -> Value:
        """``|x|``."""
        return self.apply(ops.Abs(), x)

    def compare(self, x: Value, relation: Relation, y: Value) -> Value:
        """1 where the relation holds, else 0."""
        return self.apply(ops.Compare(relation), x, y)

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        """``x`` where ``condition`` is not 0, else ``y``."""
        return self.apply(ops.Select(), condition, x, y)

    def sum(self, x: Value, axes: Sequence[int]) -> Value:
        """The sum over ``axes`` (may be negative)."""
        return self.apply(ops.Sum(_sorted_axes(x, axes)), x)

    def amax(self, x: Value, axes: Sequence[int]) -> Value:
        """The greatest element over ``axes`` (may be negative)."""
        return self.apply(ops.AMax(_sorted_axes(x, axes)), x)

    def table(self, x: Value, first: int, values: IntLike, frac: IntLike) -> Value:
        """``values[raw(x) - first] * 2**-frac``."""
        return self.apply(ops.Table(first, frozen(objects(values)), _fracs(frac)), x)

    def cast(self, x: Value, fmt: FixedFormat) -> Value:
        """``x`` in format ``fmt``, with its rounding and overflow modes."""
        return self.apply(
            ops.Cast(_fracs(fmt.frac), frozen(objects(fmt.lo)), frozen(objects(fmt.hi)), fmt.rounding, fmt.overflow), x
        )

    def cast_to(
        self, x: Value, frac: IntLike, lo: IntLike, hi: IntLike, rounding: Rounding, overflow: Overflow
    ) -> Value:
        """``x`` with per-element ``frac`` and range."""
        return self.apply(ops.Cast(_fracs(frac), frozen(objects(lo)), frozen(objects(hi)), rounding, overflow), x)

    def scan(self, body: Program, states: Sequence[Value], sequences: Sequence[Value], kept: int = 0) -> Value:
        """The recurrence ``body`` over the first axis of ``sequences``; the first ``kept`` states live on between samples."""
        return self.apply(ops.Scan(body, len(states), kept), *states, *sequences)


def _sorted_axes(x: Value, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(axis % len(x.shape) for axis in axes))
