"""Steps applied to each sum of an engine: ops of single numbers, in one form for all layers."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.rounding import dropped, folded
from bitsmith.ir.types import Ints, Overflow, Span, TensorType, objects

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """An op after a sum, on numbers of which the first has ``frac`` fractional bits.

    Each of its ``operands`` is a constant, or the number of a value: 0 is the sum, and 1 is made by the first step, and so on.
    ``reach``: of what a cast rounds to.
    """

    op: ops.Op
    frac: int
    operands: tuple[int | ops.Const, ...]
    reach: tuple[int, int] = (0, 0)

    @property
    def values(self) -> tuple[int, ...]:
        """The operands that are no constants."""
        return tuple(one for one in self.operands if not isinstance(one, ops.Const))

    @property
    def consts(self) -> tuple[ops.Const, ...]:
        """The constants among the operands."""
        return tuple(one for one in self.operands if isinstance(one, ops.Const))

    @property
    def clamps(self) -> bool:
        """Return True for a cast that saturates, if it cuts anything."""
        return isinstance(self.op, ops.Cast) and self.op.overflow is Overflow.SAT

    @property
    def has_places(self) -> bool:
        """Return True if its result has fractional bits of its own, whatever those of its operand are worth."""
        return isinstance(self.op, ops.Cast | ops.Table)

    def applied(self, kinds: Sequence[Span]) -> Span:
        """Raw values of its result for values of these ``kinds``; of a cast that saturates they follow from its ``reach``."""
        if isinstance(self.op, ops.Cast) and self.op.overflow is Overflow.SAT:
            limits = int(self.op.lo[0]), int(self.op.hi[0])
            lo, hi = (folded(end, *limits, Overflow.SAT) for end in self.reach)
            return Span(int(self.op.frac[0]), lo, hi)
        return span_of(infer(self.op, [_type_of(one, kinds) for one in self.operands]))


def _type_of(operand: int | ops.Const, kinds: Sequence[Span]) -> TensorType:
    """The type of an operand, by itself or of those ``kinds``."""
    if isinstance(operand, ops.Const):
        return infer(operand, ())
    kind = kinds[operand]
    return TensorType.of((1,), kind.frac, kind.lo, kind.hi)


def span_of(kind: TensorType) -> Span:
    """The raw values of a number's type."""
    return Span(frac_of(kind), *kind.raw_range)


def frac_of(kind: TensorType) -> int:
    """The fractional bits of a number's type."""
    return int(kind.frac.item(0))


def by_channel(values: Ints, shape: Sequence[int], axes: Sequence[int]) -> Ints | None:
    """The value of each channel (place along ``axes``) of ``values``, which broadcast to ``shape``; None if positions differ."""
    whole = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    moved = whole.transpose([*others, *axes])
    rows = moved.reshape(-1, *moved.shape[len(others) :])
    alike = bool(np.all(rows == rows[:1]))
    return objects(np.broadcast_to(rows[0], [shape[axis] for axis in axes]).reshape(-1)) if alike else None


def const_by_channel(const: ops.Const, shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, int]] | None:
    """Raw values and fractional bits of a constant for each channel; None if it differs by position."""
    raw, frac = (by_channel(objects(part), shape, axes) for part in (const.raw, const.frac))
    if raw is None or frac is None:
        return None
    return [(int(one), int(places)) for one, places in zip(raw, frac, strict=True)]


def steps_of(
    node: Node, before: TensorType, operands: Sequence[int | ops.Const], axes: Sequence[int]
) -> list[Following] | None:
    """The steps of ``node`` for each place along ``axes`` of a first value of type ``before``: the same object of equal ones.

    None if it is no such op.
    """
    scalars = _scalars(node, before, axes)
    fracs = by_channel(objects(before.frac), before.shape, axes)
    is_product = isinstance(node.op, ops.Mul) and not any(isinstance(one, ops.Const) for one in operands)
    if scalars is None or fracs is None or is_product:
        return None
    taken = list[Sequence[int | ops.Const]]()
    for operand in operands:
        if not isinstance(operand, ops.Const):
            taken.append((operand,) * len(scalars))
            continue
        numbers = const_by_channel(operand, node.type.shape, axes)
        if numbers is None:
            return None
        taken.append(_once(lambda raw, places: ops.Const(objects([raw]), np.array([places], dtype=np.int64)), numbers))
    rows = [*zip(scalars, fracs.tolist(), zip(*taken, strict=True), strict=True)]
    keys = [(id(op), frac, *map(id, those)) for op, frac, those in rows]
    made = {key: Following(op, int(frac), those) for key, (op, frac, those) in zip(keys, rows, strict=True)}
    return [made[key] for key in keys]


def _once(make: Callable[..., _Made], rows: Iterable[tuple[int, ...]]) -> list[_Made]:
    """Objects made of the numbers of each row, one for equal rows."""
    listed = [*rows]
    made = {row: make(*row) for row in dict.fromkeys(listed)}
    return [made[row] for row in listed]


def _scalars(node: Node, before: TensorType, axes: Sequence[int]) -> Sequence[ops.Op] | None:
    """Ops of single numbers that do to each channel what a node does, the same object to channels alike; None without such."""
    op, shape = node.op, before.shape
    match op:
        case ops.Cast():
            parts = [by_channel(objects(part), shape, axes) for part in (op.frac, op.lo, op.hi)]
            fracs, lows, highs = parts
            if fracs is None or lows is None or highs is None:
                return None
            cast = op
            return _once(
                lambda frac, lo, hi: replace(cast, frac=_single(frac), lo=objects([lo]), hi=objects([hi])),
                zip(fracs.tolist(), lows.tolist(), highs.tolist(), strict=True),
            )
        case ops.Shift():
            amounts = by_channel(objects(op.amount), shape, axes)
            return None if amounts is None else _once(lambda by: ops.Shift(_single(by)), zip(amounts.tolist()))
        case ops.Table():
            *own, entries = op.values.shape
            rows, first = objects(op.values.reshape(-1, entries)), dict[tuple[int, ...], int]()
            alike = [first.setdefault(tuple(row), number) for number, row in enumerate(rows.tolist())]
            parts = [by_channel(objects(part), shape, axes) for part in (op.frac, np.array(alike).reshape(own))]
            fracs, numbers = parts
            if fracs is None or numbers is None:
                return None
            table = op
            return _once(
                lambda frac, number: replace(table, values=rows[number], frac=_single(frac)),
                zip(fracs.tolist(), numbers.tolist(), strict=True),
            )
        case _:
            return [op] * math.prod(shape[axis] for axis in axes) if isinstance(op, ops.Plain) else None


def _single(value: int) -> np.typing.NDArray[np.int64]:
    return np.array([value], dtype=np.int64)


def canonical(function: Sequence[Following], kind: Span) -> tuple[tuple[Following, ...], list[Span]]:
    """Fewer steps that do the same to numbers of ``kind``, and the kinds of those and of what each step makes.

    Casts that neither round nor cut are left out, those that cut nothing saturate, and rectifiers join the cast beside them.
    """
    steps, kinds, places = list[Following](), [kind], [0]
    left = Counter(one for step in function for one in step.values)  # steps that read a value,
    readers = [left[0]]  # and one that is kept
    for number, origin in enumerate(function, 1):
        operands = tuple(one if isinstance(one, ops.Const) else places[one] for one in origin.operands)
        step = Following(origin.op, origin.frac, operands)
        before = steps[-1] if step.values == (len(steps),) and steps and readers[-1] == 1 else None
        if isinstance(origin.op, ops.Cast):
            (value,) = step.values
            step = _cast(origin.op, value, kinds[value])
            bound = _bound(before, int(origin.op.frac[0])) if before else None
            if before and bound is not None and step.clamps:
                del steps[-1], kinds[-1], readers[-1]
                (value,) = before.values
                step = _bounded(_cast(step.op, value, kinds[value]), bound, after=False)
            result = step.applied(kinds)
            if kinds[value] == result:
                places.append(value)
                readers[value] += left[number] - 1
                continue
        elif before and before.clamps:
            bound = _bound(step, kinds[-1].frac)
            if bound is not None:
                del kinds[-1], readers[-1]
                step = _bounded(steps.pop(), bound, after=True)
        kinds.append(result if isinstance(origin.op, ops.Cast) else step.applied(kinds))
        steps.append(step)
        places.append(len(steps))
        readers.append(left[number])
    return tuple(steps), kinds


def _bound(step: Following, frac: int) -> tuple[bool, int] | None:
    """Return True for a least value, False for a greatest one, and its raw value; None if a step is something else."""
    if not isinstance(step.op, ops.Max | ops.Min) or not step.consts:
        return None
    (const,) = step.consts
    raw, places = int(const.raw[0]), int(const.frac[0])
    if raw == 0:
        return isinstance(step.op, ops.Max), 0
    if places > frac:
        return None
    return isinstance(step.op, ops.Max), raw << (frac - places)


def _cast(op: ops.Op, value: int, kind: Span) -> Following:
    """A cast of a value of ``kind``, which saturates unless it wraps."""
    if not isinstance(op, ops.Cast):
        raise AssertionError(f"{op} is not a cast")
    drop = kind.frac - int(op.frac[0])
    lo, hi = (dropped(end, drop, op.rounding) for end in (kind.lo, kind.hi))
    if op.overflow is Overflow.SAT_SYM:
        op = replace(op, lo=np.maximum(op.lo, -op.hi), overflow=Overflow.SAT)
    if int(op.lo[0]) <= lo and hi <= int(op.hi[0]):
        op = replace(op, overflow=Overflow.SAT)
    return Following(op, kind.frac, (value,), (lo, hi))


def _bounded(step: Following, bound: tuple[bool, int], after: bool) -> Following:
    """A cast that saturates, with a least or a greatest value after, or before it."""
    if not isinstance(step.op, ops.Cast):
        raise AssertionError(f"{step.op} is not a cast")
    (is_least, value), lo, hi = bound, int(step.op.lo[0]), int(step.op.hi[0])
    if not after:
        value = min(max(value, lo), hi)
    limits = (max(lo, value), max(hi, value)) if is_least else (min(lo, value), min(hi, value))
    return replace(step, op=replace(step.op, lo=objects([limits[0]]), hi=objects([limits[1]])))
