"""The meaning of core programs: a deliberately naive evaluator on exact fractions, one sample at a time.

Every other execution of a program is judged by this one, so it is written from the definitions alone: it shares no
arithmetic with :mod:`bitsmith.ir.rounding`, with type inference or with the emulator. It is slow on purpose.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.ops import Op, Relation
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType

Fractions: TypeAlias = npt.NDArray[np.object_]
"""Arrays of ``Fraction``."""

HALF = Fraction(1, 2)


States: TypeAlias = dict[int, list[Fractions]]
"""What recurrences left that keep states between samples, by their node."""


def evaluate(program: Program, inputs: Sequence[Ints], states: States | None = None) -> list[Ints]:
    """Raw outputs for one sample of raw ``inputs`` (one array per input, in the shape of the input).

    It is the first sample after a reset, or goes on with ``states``, which become those after it.
    """
    values = evaluate_nodes(program, inputs, states)
    return [values[output.node] for output in program.outputs]


def evaluate_nodes(program: Program, inputs: Sequence[Ints], states: States | None = None) -> list[Ints]:
    """Raw values of all nodes for one sample of raw ``inputs``.

    Raises:
        ProgramError: a value that its node's type cannot express.
    """
    reals = [_real(_array(raw), op.frac) for raw, op in zip(inputs, program.input_ops(), strict=True)]
    return [
        _raw(value, node, f"node %{index}")
        for index, (value, node) in enumerate(zip(_run(program, reals, states), program.nodes, strict=True))
    ]


def round_to_integer(value: Fraction, rounding: Rounding) -> int:
    """``value`` rounded to an integer, from the definition of each mode."""
    below = math.floor(value)
    if value == below:
        return below
    above = below + 1
    match rounding:
        case Rounding.TRN:
            return below
        case Rounding.TRN_ZERO:
            return below if value > 0 else above
        case _ if value - below != HALF:
            return below if value - below < HALF else above
        case Rounding.RND:
            return above
        case Rounding.RND_ZERO:
            return below if value > 0 else above
        case Rounding.RND_INF:
            return above if value > 0 else below
        case Rounding.RND_MIN_INF:
            return below
        case Rounding.RND_CONV:
            return below if below % 2 == 0 else above
        case _:
            assert_never(rounding)


def bring_inside(value: int, lo: int, hi: int, overflow: Overflow) -> int:
    """``value`` brought into ``lo..hi``, from the definition of each mode."""
    if overflow is Overflow.SAT_SYM:
        lo = max(lo, -hi)
    if lo <= value <= hi:
        return value
    match overflow:
        case Overflow.WRAP:
            offset = value - lo
            return lo + offset - (hi - lo + 1) * math.floor(Fraction(offset, hi - lo + 1))
        case Overflow.SAT | Overflow.SAT_SYM:
            return lo if value < lo else hi
        case Overflow.SAT_ZERO:
            return 0
        case _:
            assert_never(overflow)


def cast_real(op: ops.Cast | ops.Input, values: Fractions) -> Ints:
    """Raw results of the cast ``op`` for real ``values``."""

    def cast(value: Fraction, frac: int, lo: int, hi: int) -> int:
        return bring_inside(round_to_integer(value * _power(int(frac)), op.rounding), int(lo), int(hi), op.overflow)

    return _each(cast, values, op.frac, op.lo, op.hi)


def apply(op: Op, args: Sequence[Fractions], types: Sequence[TensorType]) -> Fractions:
    """The result of one op on real values; ``types`` are those of the operands. Inputs are not ops in this sense."""
    match op:
        case ops.Input():
            raise ProgramError("an input has no operands to evaluate")
        case ops.Const() | ops.Parameter():
            return _real(op.raw, op.frac)
        case ops.Reshape():
            return args[0].reshape(op.shape)
        case ops.Transpose():
            return args[0].transpose(op.perm)
        case ops.Slice():
            return args[0][tuple(map(slice, op.start, op.stop, op.step))]
        case ops.Concat():
            return np.concatenate(args, axis=op.axis)
        case ops.Pad():
            return _pad(op, args[0])
        case ops.Gather():
            return np.take(args[0], op.indices, axis=op.axis)
        case ops.Broadcast():
            return np.broadcast_to(args[0], op.shape)
        case ops.Window():
            return _window(op, args[0])
        case ops.Linear():
            return _matmul(args[0][..., None, :], _real(op.weights, op.frac))[..., 0, :]
        case ops.MatMul():
            return _matmul(args[0], args[1])
        case ops.Add():
            return _array(args[0] + args[1])
        case ops.Sub():
            return _array(args[0] - args[1])
        case ops.Mul():
            return _array(args[0] * args[1])
        case ops.Neg():
            return _array(-args[0])
        case ops.Shift():
            return _each(lambda x, n: x * _power(int(n)), args[0], op.amount)
        case ops.Max():
            return _each(max, *args)
        case ops.Min():
            return _each(min, *args)
        case ops.Abs():
            return _each(abs, args[0])
        case ops.Compare():
            return _each(lambda x, y: Fraction(int(_holds(op.relation, x, y))), *args)
        case ops.Select():
            return _each(lambda c, x, y: x if c != 0 else y, *args)
        case ops.Sum():
            return _reduce(op.axes, sum, args[0])
        case ops.AMax():
            return _reduce(op.axes, max, args[0])
        case ops.Table():
            return _table(op, args[0], types[0])
        case ops.Cast():
            return _real(cast_real(op, args[0]), op.frac)
        case ops.Scan():
            return _scan(op, args)[0]
        case _:
            assert_never(op)


def _run(program: Program, inputs: Sequence[Fractions], states: States | None = None) -> list[Fractions]:
    remaining = iter(inputs)
    values: list[Fractions] = []
    left = {} if states is None else states
    for index, node in enumerate(program.nodes):
        if isinstance(node.op, ops.Input):
            values.append(next(remaining))
        elif isinstance(node.op, ops.Scan):
            operands = [values[arg] for arg in node.args]
            result, last = _scan(node.op, [*left.get(index, operands[: node.op.kept]), *operands[node.op.kept :]])
            left[index] = last[: node.op.kept]
            values.append(result)
        else:
            operands = [values[arg] for arg in node.args]
            values.append(apply(node.op, operands, program.types(node.args)))
    return values


@cache
def _power(exponent: int) -> Fraction:
    """``2**exponent``."""
    return Fraction(2) ** exponent


def _real(raw: Ints, frac: npt.NDArray[np.int64]) -> Fractions:
    return _each(_fraction, raw, frac)


def _fraction(raw: int, frac: int) -> Fraction:
    """``raw * 2**-frac``."""
    return Fraction(int(raw), 1 << int(frac)) if frac >= 0 else Fraction(int(raw) << -int(frac))


def _units(value: Fraction, frac: int, lo: int, hi: int) -> int | None:
    """``value * 2**frac``; None if it is no integer of ``lo..hi``."""
    up = int(frac)
    units, left = divmod(value.numerator << max(up, 0), value.denominator << max(-up, 0))
    return units if left == 0 and lo <= units <= hi else None


def _raw(value: Fractions, node: Node, where: str) -> Ints:
    if value.shape != node.type.shape:
        raise ProgramError(f"a value of shape {value.shape}, its type is {node.type}", where=where)
    raw = _each(_units, value, node.type.frac, node.type.lo, node.type.hi)
    if None in raw.ravel().tolist():
        raise ProgramError(f"a value outside its type {node.type}", where=where)
    return raw


def _array(value: object) -> Fractions:
    """numpy turns results of rank 0 into bare objects; this turns them back."""
    return np.asarray(value, dtype=np.object_)


def _filled(shape: Sequence[int], value: Fraction) -> Fractions:
    result = np.empty(tuple(shape), dtype=np.object_)
    result.fill(value)
    return result


def _each(function: Callable[..., object], *arrays: Ints | npt.NDArray[np.int64]) -> Fractions:
    return _array(np.frompyfunc(function, len(arrays), 1)(*arrays))


def _holds(relation: Relation, x: Fraction, y: Fraction) -> bool:
    match relation:
        case Relation.LT:
            return x < y
        case Relation.LE:
            return x <= y
        case Relation.EQ:
            return x == y
        case Relation.NE:
            return x != y
        case Relation.GE:
            return x >= y
        case Relation.GT:
            return x > y
        case _:
            assert_never(relation)


def _reduce(axes: tuple[int, ...], fold: Callable[[list[Fraction]], object], x: Fractions) -> Fractions:
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose([*kept, *axes])
    result = np.empty(rows.shape[: len(kept)], dtype=np.object_)
    for index in np.ndindex(*result.shape):
        result[index] = fold(list(np.asarray(rows[index], dtype=np.object_).ravel()))
    return result


def _matmul(x: Fractions, y: Fractions) -> Fractions:
    leading = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x = np.broadcast_to(x, (*leading, *x.shape[-2:]))
    y = np.broadcast_to(y, (*leading, *y.shape[-2:]))
    result = np.empty((*leading, x.shape[-2], y.shape[-1]), dtype=np.object_)
    for *at, row, column in np.ndindex(*result.shape):
        products = [x[(*at, row, k)] * y[(*at, k, column)] for k in range(x.shape[-1])]
        result[(*at, row, column)] = sum(products, Fraction(0))
    return result


def _pad(op: ops.Pad, x: Fractions) -> Fractions:
    padded = _filled([sum(n) for n in zip(op.before, x.shape, op.after, strict=True)], Fraction(0))
    padded[tuple(slice(before, before + n) for before, n in zip(op.before, x.shape, strict=True))] = x
    return padded


def _window(op: ops.Window, x: Fractions) -> Fractions:
    rank = len(op.size)
    positions = [
        (n + before + after - dilation * (size - 1) - 1) // stride + 1
        for n, (before, after), dilation, size, stride in zip(
            x.shape[:rank], op.padding, op.dilation, op.size, op.stride, strict=True
        )
    ]
    result = _filled((*positions, *op.size, *x.shape[rank:]), Fraction(0))
    for place in itertools.product(*map(range, (*positions, *op.size))):
        source = tuple(
            place[k] * op.stride[k] + place[rank + k] * op.dilation[k] - op.padding[k][0] for k in range(rank)
        )
        if all(0 <= s < n for s, n in zip(source, x.shape[:rank], strict=True)):
            result[place] = x[source]
    return result


def _table(op: ops.Table, x: Fractions, kind: TensorType) -> Fractions:
    size = op.values.shape[-1]
    values = np.broadcast_to(op.values, (*x.shape, size))
    frac, entry_frac = np.broadcast_to(kind.frac, x.shape), np.broadcast_to(op.frac, x.shape)
    result = np.empty(x.shape, dtype=np.object_)
    for index in np.ndindex(*x.shape):
        entry = x[index] * _power(int(frac[index])) - op.first
        if entry.denominator != 1 or not 0 <= entry < size:
            raise ProgramError(f"entry {entry} of a table of {size}")
        result[index] = Fraction(values[(*index, int(entry))]) * _power(-int(entry_frac[index]))
    return result


def _scan(op: ops.Scan, args: Sequence[Fractions]) -> tuple[Fractions, list[Fractions]]:
    """The results of all steps, and the states after the last one."""
    states, sequences = list(args[: op.states]), args[op.states :]
    results = []
    for step in range(sequences[0].shape[0]):
        values = _run(op.body, [*states, *(_array(sequence[step]) for sequence in sequences)])
        *states, result = (values[output.node] for output in op.body.outputs)
        results.append(result)
    return np.stack(results), states
