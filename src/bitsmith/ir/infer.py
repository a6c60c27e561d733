"""The type of each op's result: exact interval arithmetic on Python integers.

Every rule gives a type that holds all results for all operands of the given types; it is as tight as intervals allow.
"""

import re
from collections.abc import Sequence
from typing import assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.ir import data_movement, ops
from bitsmith.ir.data_movement import require
from bitsmith.ir.ops import Op, Relation
from bitsmith.ir.rounding import fold_overflow, rounded_range
from bitsmith.ir.scaling import machine_weights, needed_frac, rescale, settled
from bitsmith.ir.types import MAX_ELEMENTS, MAX_FRAC, Fracs, Ints, Overflow, TensorType, compact, objects

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def infer(op: Op, args: Sequence[TensorType]) -> TensorType:
    """The type of ``op`` applied to operands of types ``args``.

    Raises:
        ProgramError: operands that do not fit the op.
        RangeError: results wider than supported.
    """
    match op:
        case ops.Input():
            if not all(ladder.suits(op.shape) for ladder in op.ladders):
                raise ProgramError("ladders with other numbers than codes have, or of another shape")
            return TensorType.of(op.shape, _sane(op.frac), op.lo, op.hi)
        case ops.Const():
            return TensorType.of(op.raw.shape, _sane(op.frac), op.raw, op.raw)
        case ops.Parameter():
            return _parameter(op)
        case ops.Reshape():
            return data_movement.reshaped(op, args[0])
        case ops.Transpose():
            return data_movement.transposed(op, args[0])
        case ops.Slice():
            return data_movement.sliced(op, args[0])
        case ops.Concat():
            return data_movement.concatenated(op, args)
        case ops.Pad():
            return _pad(op, args[0])
        case ops.Gather():
            return data_movement.gathered(op, args[0])
        case ops.Broadcast():
            return _broadcast(op, args[0])
        case ops.Window():
            return _window(op, args[0])
        case ops.Linear():
            return _linear(op, args[0])
        case ops.MatMul():
            return _matmul(args[0], args[1])
        case ops.Add() | ops.Sub() | ops.Max() | ops.Min():
            return _aligned(op, args[0], args[1])
        case ops.Mul():
            return _mul(args[0], args[1])
        case ops.Neg():
            return TensorType.of(args[0].shape, args[0].frac, -args[0].hi, -args[0].lo)
        case ops.Shift():
            return TensorType.of(args[0].shape, args[0].frac - _sane(op.amount), args[0].lo, args[0].hi)
        case ops.Abs():
            lo = np.maximum(objects(np.maximum(args[0].lo, -args[0].hi)), 0)
            return TensorType.of(args[0].shape, args[0].frac, lo, np.maximum(-args[0].lo, args[0].hi))
        case ops.Compare():
            return _compare(op, args[0], args[1])
        case ops.Select():
            return _select(args[0], args[1], args[2])
        case ops.Sum() | ops.AMax():
            return _reduce(op, args[0])
        case ops.Table():
            return _table(op, args[0])
        case ops.Cast():
            return _cast(op, args[0])
        case ops.Scan():
            return _scan(op, args)
        case _:
            assert_never(op)


def _sane(fracs: Fracs) -> Fracs:
    """``fracs``, or a refusal: shifts by what an op says must fit into memory."""
    require(bool(np.all((fracs >= -MAX_FRAC) & (fracs <= MAX_FRAC))), f"more than {MAX_FRAC} fractional bits")
    return fracs


def _parameter(op: ops.Parameter) -> TensorType:
    _sane(op.frac)
    require(bool(_NAME.fullmatch(op.name)), "a parameter whose name is not made of letters, digits and underscores")
    result = TensorType.of(op.raw.shape, op.frac, op.lo, op.hi)
    require(result.frac.size == result.lo.size == result.hi.size == 1, "a parameter of more than one format")
    require(bool(np.all(op.raw >= result.lo) and np.all(op.raw <= result.hi)), "a parameter outside its range")
    return result


def _pad(op: ops.Pad, x: TensorType) -> TensorType:
    require(len(op.before) == len(op.after) == len(x.shape) and min(op.before + op.after) >= 0, "pad of {}", x)
    shape = [sum(n) for n in zip(op.before, x.shape, op.after, strict=True)]
    require(int(np.prod(shape, dtype=object)) <= MAX_ELEMENTS, f"a pad to {shape}")
    widths = tuple(zip(op.before, op.after, strict=True))
    frac, lo, hi = x.full()
    padded = np.pad(frac, widths, mode="edge")
    inner = tuple(slice(before, before + n) for before, n in zip(op.before, x.shape, strict=True))
    zeros = [np.zeros(padded.shape, dtype=np.object_) for _ in range(2)]
    zeros[0][inner], zeros[1][inner] = lo, hi
    return TensorType.of(padded.shape, padded, *zeros)


def _broadcast(op: ops.Broadcast, x: TensorType) -> TensorType:
    try:
        fits = np.broadcast_shapes(x.shape, op.shape) == op.shape
    except ValueError:
        fits = False
    require(fits, "broadcast of {} to {}", x, op.shape)
    return TensorType.of(op.shape, x.frac, x.lo, x.hi)


def window_positions(size: int, taps: int, stride: int, dilation: int, padding: tuple[int, int]) -> int:
    """Number of window positions along one axis."""
    return (size + sum(padding) - dilation * (taps - 1) - 1) // stride + 1


def _window(op: ops.Window, x: TensorType) -> TensorType:
    rank = len(op.size)
    require(rank == len(op.stride) == len(op.dilation) == len(op.padding) and rank <= len(x.shape), "window of {}", x)
    positions = [
        window_positions(n, taps, stride, dilation, padding)
        for n, taps, stride, dilation, padding in zip(
            x.shape[:rank], op.size, op.stride, op.dilation, op.padding, strict=True
        )
    ]
    require(
        min((*positions, *op.size, *op.stride, *op.dilation)) >= 1 and min(min(p) for p in op.padding) >= 0,
        f"window {op.size} over {x.shape}",
    )
    # One type for all positions, so that the same hardware can serve each: the union over positions, padding included.
    aligned = x.union(range(rank))
    lo, hi = aligned.lo, aligned.hi
    if any(sum(p) for p in op.padding):
        lo, hi = objects(np.minimum(lo, 0)), objects(np.maximum(hi, 0))
    parts = [part.reshape((1,) * (2 * rank) + part.shape[rank:]) for part in (aligned.frac, lo, hi)]
    return TensorType.of((*positions, *op.size, *x.shape[rank:]), *parts)


def _linear(op: ops.Linear, x: TensorType) -> TensorType:
    _sane(op.frac)
    require(
        len(x.shape) >= 1 and op.weights.ndim == 2 and x.shape[-1] == op.weights.shape[0],
        "linear {} of {}",
        op.weights.shape,
        x,
    )
    weights, frac = machine_weights(op, x)
    # Only distinct positions matter: the arrays of the type are as small as they can be.
    lo = np.broadcast_to(x.lo, (*x.lo.shape[:-1], x.shape[-1]))
    hi = np.broadcast_to(x.hi, (*x.hi.shape[:-1], x.shape[-1]))
    # lo + hi of the results is that of the operands times the weights, and hi - lo that times their magnitudes.
    room = _EXACT_BITS - _bits(weights) - x.shape[-1].bit_length()
    if room < _LEAST_ROOM:
        exact = objects(weights)
        sums, widths = (lo + hi) @ exact, (hi - lo) @ np.abs(exact)
    else:
        floats = weights.astype(np.float64)
        sums, widths = _dot(lo + hi, floats, room), _dot(hi - lo, np.abs(floats, out=floats), room)
    return TensorType.of(
        (*x.shape[:-1], weights.shape[1]), frac, objects(sums - widths) >> 1, objects(sums + widths) >> 1
    )


def _dot(x: Ints, weights: npt.NDArray[np.float64], room: int) -> Ints:
    """``x @ weights`` of integers: of parts of ``x`` of ``room`` bits, whose products BLAS makes exactly in double precision."""
    result, rest, place = objects(np.zeros((), dtype=np.int64)), x, 0
    while True:
        is_last = _bits(rest) <= room
        part = rest if is_last else rest & ((1 << room) - 1)
        result = result + (objects((part.astype(np.float64) @ weights).astype(np.int64)) << place)
        if is_last:
            return objects(result)
        rest, place = rest >> room, place + room


_EXACT_BITS = 53
"""Bits of integers that are exact in double precision."""

_LEAST_ROOM = 1
"""Bits of a part of an operand: many parts take less time than products of Python's integers."""


def _bits(x: Ints | npt.NDArray[np.int64]) -> int:
    return max(int(np.max(x)).bit_length(), int(np.min(x)).bit_length())


def _matmul(x: TensorType, y: TensorType) -> TensorType:
    require(len(x.shape) >= 2 and len(y.shape) >= 2 and x.shape[-1] == y.shape[-2], "matmul of {} and {}", x, y)
    left = TensorType.of((*x.shape, 1), x.frac[..., None], x.lo[..., None], x.hi[..., None])
    right = TensorType.of(
        (*y.shape[:-2], 1, *y.shape[-2:]), y.frac[..., None, :, :], y.lo[..., None, :, :], y.hi[..., None, :, :]
    )
    products = _mul(left, right)
    return _reduce(ops.Sum((len(products.shape) - 2,)), products)


def _common(x: TensorType, y: TensorType) -> Fracs:
    return settled(np.maximum(needed_frac(x), needed_frac(y)))


def _aligned(op: ops.Add | ops.Sub | ops.Max | ops.Min, x: TensorType, y: TensorType) -> TensorType:
    shape = _broadcast_shape(x, y)
    frac = _common(x, y)
    xlo, xhi, ylo, yhi = (
        rescale(raw, have, frac) for raw, have in ((x.lo, x.frac), (x.hi, x.frac), (y.lo, y.frac), (y.hi, y.frac))
    )
    match op:
        case ops.Add():
            return TensorType.of(shape, frac, xlo + ylo, xhi + yhi)
        case ops.Sub():
            return TensorType.of(shape, frac, xlo - yhi, xhi - ylo)
        case ops.Max():
            return TensorType.of(shape, frac, np.maximum(xlo, ylo), np.maximum(xhi, yhi))
        case ops.Min():
            return TensorType.of(shape, frac, np.minimum(xlo, ylo), np.minimum(xhi, yhi))
        case _:
            assert_never(op)


def _broadcast_shape(*types: TensorType) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(x.shape for x in types))
    except ValueError as error:
        raise ProgramError(f"shapes {[x.shape for x in types]} do not broadcast") from error


def _mul(x: TensorType, y: TensorType) -> TensorType:
    corners = [objects(a * b) for a in (x.lo, x.hi) for b in (y.lo, y.hi)]
    lo, hi = corners[0], corners[0]
    for corner in corners[1:]:
        lo, hi = objects(np.minimum(lo, corner)), objects(np.maximum(hi, corner))
    return TensorType.of(_broadcast_shape(x, y), x.frac + y.frac, lo, hi)


def _compare(op: ops.Compare, x: TensorType, y: TensorType) -> TensorType:
    frac = _common(x, y)
    xlo, xhi = rescale(x.lo, x.frac, frac), rescale(x.hi, x.frac, frac)
    ylo, yhi = rescale(y.lo, y.frac, frac), rescale(y.hi, y.frac, frac)
    below, not_above = xhi < ylo, xhi <= ylo
    above, not_below = xlo > yhi, xlo >= yhi
    same = (xlo == xhi) & (ylo == yhi) & (xlo == ylo)
    always, never = {
        Relation.LT: (below, not_below),
        Relation.LE: (not_above, above),
        Relation.EQ: (same, below | above),
        Relation.NE: (below | above, same),
        Relation.GE: (not_below, below),
        Relation.GT: (above, not_above),
    }[op.relation]
    return TensorType.of(_broadcast_shape(x, y), 0, np.where(always, 1, 0), np.where(never, 0, 1))


def _select(condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
    frac = _common(x, y)
    xlo, xhi = rescale(x.lo, x.frac, frac), rescale(x.hi, x.frac, frac)
    ylo, yhi = rescale(y.lo, y.frac, frac), rescale(y.hi, y.frac, frac)
    always = (condition.lo > 0) | (condition.hi < 0)
    never = (condition.lo == 0) & (condition.hi == 0)
    lo = np.where(always, xlo, np.where(never, ylo, np.minimum(xlo, ylo)))
    hi = np.where(always, xhi, np.where(never, yhi, np.maximum(xhi, yhi)))
    return TensorType.of(_broadcast_shape(condition, x, y), frac, lo, hi)


def _reduce(op: ops.Sum | ops.AMax, x: TensorType) -> TensorType:
    require(
        list(op.axes) == sorted(set(op.axes)) and bool(op.axes) and op.axes[0] >= 0 and op.axes[-1] < len(x.shape),
        "reduction over axes {} of {}",
        op.axes,
        x,
    )
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in op.axes)
    aligned = x.aligned(op.axes)
    match op:
        case ops.Sum():
            lo, hi = _sum_over(aligned.lo, op.axes, x.shape), _sum_over(aligned.hi, op.axes, x.shape)
        case ops.AMax():
            lo, hi = (objects(part.max(axis=op.axes, keepdims=True)) for part in (aligned.lo, aligned.hi))
        case _:
            assert_never(op)
    parts = [np.squeeze(part, axis=op.axes) for part in (aligned.frac, lo, hi)]
    return TensorType.of(shape, *(objects(np.asarray(part)) for part in parts))


def _sum_over(part: Ints, axes: tuple[int, ...], shape: tuple[int, ...]) -> Ints:
    """The sum over ``axes`` (kept with size 1) of an array that stands for its broadcast to ``shape``."""
    repeats = 1
    for axis in axes:
        if part.shape[axis] == 1:
            repeats *= shape[axis]
    return np.asarray(np.sum(part, axis=axes, keepdims=True) * repeats, dtype=np.object_)


def _table(op: ops.Table, x: TensorType) -> TensorType:
    _sane(op.frac)
    size = op.values.shape[-1]
    require(
        bool(np.all(x.lo >= op.first)) and bool(np.all(x.hi < op.first + size)),
        "a table of raw values {}..{} for {}, whose range is wider",
        op.first,
        op.first + size - 1,
        x,
    )
    rank = len(x.shape)
    values = op.values.reshape((1,) * (rank + 1 - op.values.ndim) + op.values.shape)
    shape = np.broadcast_shapes(x.lo.shape, x.hi.shape, values.shape[:-1])
    first = np.broadcast_to(x.lo - op.first, shape)
    last = np.broadcast_to(x.hi - op.first, shape)
    rows = np.broadcast_to(values, (*shape, size))
    lo, hi = np.empty(shape, dtype=np.object_), np.empty(shape, dtype=np.object_)
    for index in np.ndindex(*shape):
        reached = rows[index][first[index] : last[index] + 1]
        lo[index], hi[index] = min(reached), max(reached)
    return TensorType.of(x.shape, op.frac, lo, hi)


def _cast(op: ops.Cast, x: TensorType) -> TensorType:
    _sane(op.frac)
    require(bool(np.all(op.lo <= op.hi)), "a cast to an empty range")
    require(op.overflow is not Overflow.SAT_SYM or bool(np.all(op.hi >= 0)), "SAT_SYM to a range of negative values")
    lo, hi = rounded_range(x, op.frac, op.rounding)
    inside = (lo >= op.lo) & (hi <= op.hi)
    match op.overflow:
        case Overflow.WRAP:
            out_lo, out_hi = np.where(inside, lo, op.lo), np.where(inside, hi, op.hi)
        case Overflow.SAT | Overflow.SAT_SYM:
            out_lo = fold_overflow(lo, op.lo, op.hi, op.overflow)
            out_hi = fold_overflow(hi, op.lo, op.hi, op.overflow)
        case Overflow.SAT_ZERO:
            outside = (hi < op.lo) | (lo > op.hi)
            clamped_lo, clamped_hi = objects(np.maximum(lo, op.lo)), objects(np.minimum(hi, op.hi))
            out_lo = np.where(inside, lo, np.where(outside, 0, objects(np.minimum(clamped_lo, 0))))
            out_hi = np.where(inside, hi, np.where(outside, 0, objects(np.maximum(clamped_hi, 0))))
        case _:
            assert_never(op.overflow)
    return TensorType.of(x.shape, op.frac, compact(out_lo), compact(out_hi))


def _scan(op: ops.Scan, args: Sequence[TensorType]) -> TensorType:
    inputs = [op.body.nodes[index].type for index in op.body.inputs]
    require(len(inputs) == len(args) and len(args) - op.states >= 1, "scan operands do not match its body")
    require(0 <= op.kept <= op.states, f"{op.kept} of {op.states} states that are kept")
    steps = {x.shape[0] for x in args[op.states :] if x.shape}
    require(len(steps) == 1, "scan sequences of different lengths")
    require(len(op.body.outputs) == op.states + 1, "a scan body returns its next states and one result")
    outputs = [op.body.nodes[output.node].type for output in op.body.outputs]
    for index in range(op.states):
        require(inputs[index].contains(args[index]), f"initial state {index} outside the body's state type")
        require(inputs[index].contains(outputs[index]), f"next state {index} outside the body's state type")
    for declared, given in zip(inputs[op.states :], args[op.states :], strict=True):
        require(given.frac.shape[0] == 1, "a scan sequence whose fractional bits change from step to step")
        require(declared.contains(step_type(given)), "a scan sequence outside the body's input type {}", declared)
    y = outputs[-1]
    return TensorType.of((steps.pop(), *y.shape), *(part[None] for part in (y.frac, y.lo, y.hi)))


def step_type(sequence: TensorType) -> TensorType:
    """The type of each step of a sequence along the first axis."""
    one = sequence.union((0,))
    return TensorType.of(sequence.shape[1:], one.frac[0], one.lo[0], one.hi[0])
