"""Steps applied to each sum of an engine: ops of single numbers, in one form for all layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.types import Ints, Overflow, TensorType, objects


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """An op after a sum, on one number of ``frac`` fractional bits.

    Its other operand, if it has one, is ``const``; ``is_first``: that is its first one. ``reach``: of what a cast rounds to.
    """

    op: ops.Op
    frac: int
    const: ops.Const | None = None
    is_first: bool = False
    reach: tuple[int, int] = (0, 0)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for those that do the same."""
        return (self.op.key(), self.frac, self.const and self.const.key(), self.is_first)

    @property
    def clamps(self) -> bool:
        """Return True for a cast that saturates, if it cuts anything."""
        return isinstance(self.op, ops.Cast) and self.op.overflow is Overflow.SAT

    def applied(self, kind: TensorType) -> TensorType:
        """The type of its result for operands of ``kind``."""
        args = [kind] if self.const is None else [kind, infer(self.const, ())]
        return infer(self.op, args[::-1] if self.is_first else args)


def frac_of(kind: TensorType) -> int:
    """The fractional bits of a number's type."""
    return int(np.asarray(kind.frac).reshape(-1)[0])


def by_channel(values: Ints, shape: Sequence[int]) -> Ints | None:
    """Return the value of each channel of ``values``, which broadcast to ``shape``; None if positions differ."""
    if values.ndim < 2 or values.size == values.shape[-1]:
        return objects(np.broadcast_to(values.reshape(-1), (shape[-1],)))
    rows = values.reshape(-1, values.shape[-1])
    return by_channel(rows[0], shape) if bool(np.all(rows == rows[:1])) else None


def const_by_channel(const: ops.Const, shape: Sequence[int], columns: int) -> list[tuple[int, int]] | None:
    """Raw values and fractional bits of a constant for each of so many columns; None if it differs by position."""
    raw, frac = (by_channel(objects(part), shape) for part in (const.raw, const.frac))
    if raw is None or frac is None or len(raw) != columns:
        return None
    return [(int(one), int(places)) for one, places in zip(raw, frac, strict=True)]


def steps_of(
    node: Node, before: TensorType, const: ops.Const | None, is_first: bool, columns: int
) -> list[Following] | None:
    """Return the steps of ``node`` for each column of an operand of type ``before``; None if it is no such op."""
    scalars = _scalars(node, before)
    fracs = by_channel(objects(before.frac), before.shape)
    if scalars is None or fracs is None or len(scalars) != columns:
        return None
    pairs = zip(scalars, fracs.tolist(), strict=True)
    if const is None:
        return [Following(op, int(frac)) for op, frac in pairs]
    operands = const_by_channel(const, node.type.shape, columns)
    if operands is None:
        return None
    singles = (ops.Const(objects([raw]), np.array([places], dtype=np.int64)) for raw, places in operands)
    return [Following(op, int(frac), one, is_first) for (op, frac), one in zip(pairs, singles, strict=True)]


def _scalars(node: Node, before: TensorType) -> list[ops.Op] | None:
    """Ops of single numbers that do to each channel what a node does; None if there are none such."""
    op, shape = node.op, before.shape
    match op:
        case ops.Cast():
            parts = [by_channel(objects(part), shape) for part in (op.frac, op.lo, op.hi)]
            fracs, lows, highs = parts
            if fracs is None or lows is None or highs is None:
                return None
            return [
                ops.Cast(_single(frac), objects([lo]), objects([hi]), op.rounding, op.overflow)
                for frac, lo, hi in zip(fracs, lows, highs, strict=True)
            ]
        case ops.Shift():
            amounts = by_channel(objects(op.amount), shape)
            return None if amounts is None else [ops.Shift(_single(amount)) for amount in amounts]
        case ops.Table():
            fracs, tables = by_channel(objects(op.frac), shape), _tables_by_channel(op.values, shape[-1])
            if fracs is None or tables is None:
                return None
            return [replace(op, values=one, frac=_single(frac)) for one, frac in zip(tables, fracs, strict=True)]
        case ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs():
            return [op] * shape[-1]
        case _:
            return None


def _tables_by_channel(values: Ints, channels: int) -> list[Ints] | None:
    """The entries for each channel; None if they differ by position."""
    if values.ndim > 2 and math.prod(values.shape[:-2]) > 1:
        return None
    rows = values.reshape(-1, values.shape[-1])
    return [objects(rows[k % len(rows)]) for k in range(channels)]


def _single(value: int) -> np.typing.NDArray[np.int64]:
    return np.array([value], dtype=np.int64)


def canonical(function: Sequence[Following], kind: TensorType) -> tuple[Following, ...]:
    """Fewer steps that do the same to numbers of type ``kind``.

    Casts that neither round nor cut are left out, those that cut nothing saturate, and rectifiers join the cast beside them.
    """
    steps, kinds = list[Following](), [kind]
    for origin in function:
        step = origin
        if isinstance(origin.op, ops.Cast):
            step = _cast(origin.op, kinds[-1])
            bound = _bound(steps[-1], int(origin.op.frac[0])) if steps else None
            if bound is not None and step.clamps:
                del steps[-1], kinds[-1]
                step = _bounded(_cast(step.op, kinds[-1]), bound, after=False)
            if kinds[-1] == step.applied(kinds[-1]):
                continue
        elif steps and steps[-1].clamps:
            bound = _bound(origin, frac_of(kinds[-1]))
            if bound is not None:
                kinds.pop()
                step = _bounded(steps.pop(), bound, after=True)
        steps.append(step)
        kinds.append(step.applied(kinds[-1]))
    return tuple(steps)


def _bound(step: Following, frac: int) -> tuple[bool, int] | None:
    """Return True for a least value, False for a greatest one, and its raw value; None if a step is something else."""
    if not isinstance(step.op, ops.Max | ops.Min) or step.const is None:
        return None
    raw, places = int(step.const.raw[0]), int(step.const.frac[0])
    if raw == 0:
        return isinstance(step.op, ops.Max), 0
    if places > frac:
        return None
    return isinstance(step.op, ops.Max), raw << (frac - places)


def _cast(op: ops.Op, kind: TensorType) -> Following:
    """A cast of numbers of type ``kind``, which saturates unless it wraps."""
    if not isinstance(op, ops.Cast):
        raise AssertionError(f"{op} is not a cast")
    beyond = objects([1 << max(64, 2 * kind.max_width + 64)])
    lo, hi = infer(replace(op, lo=-beyond, hi=beyond - 1, overflow=Overflow.WRAP), [kind]).raw_range
    if op.overflow is Overflow.SAT_SYM:
        op = replace(op, lo=np.maximum(op.lo, -op.hi), overflow=Overflow.SAT)
    if int(op.lo[0]) <= lo and hi <= int(op.hi[0]):
        op = replace(op, overflow=Overflow.SAT)
    return Following(op, frac_of(kind), reach=(lo, hi))


def _bounded(step: Following, bound: tuple[bool, int], after: bool) -> Following:
    """A cast that saturates, with a least or a greatest value after, or before it."""
    if not isinstance(step.op, ops.Cast):
        raise AssertionError(f"{step.op} is not a cast")
    (is_least, value), lo, hi = bound, int(step.op.lo[0]), int(step.op.hi[0])
    if not after:
        value = min(max(value, lo), hi)
    limits = (max(lo, value), max(hi, value)) if is_least else (min(lo, value), min(hi, value))
    return replace(step, op=replace(step.op, lo=objects([limits[0]]), hi=objects([limits[1]])))
