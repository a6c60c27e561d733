"""Epilogues of an engine's sums, by channels: those that can share a circuit, and their parameters.

In a way all that a cast or a table takes, and gives, is integers, and fractional bits are parameters: ways of the same steps
share a circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.types import Ints, Overflow, TensorType, objects
from bitsmith.mapping.engine.steps import Following, canonical, frac_of
from bitsmith.mapping.engine.units import Unit


@dataclass(frozen=True, slots=True)
class Bound:
    """The range of a value, in units of ``2**-frac``."""

    lo: int
    hi: int
    frac: int

    def raw(self, frac: int) -> tuple[int, int]:
        """In units of ``2**-frac``."""
        if frac < self.frac:
            return self.lo >> (self.frac - frac), self.hi >> (self.frac - frac)
        return self.lo << (frac - self.frac), self.hi << (frac - self.frac)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Epilogue of the sums of some channels of a unit.

    Args:
        unit, function: which.
        steps: ops on integers. The last cast or table before a step, and the next one, say what is one.
        comes: what comes to the first step, without a bias, and after each cast or table to the next; None to others.
        first: fractional bits of what is 1 in the first step.
        lift: fractional bits of the whole tensor more than those of the result.
    """

    unit: int
    function: int
    steps: tuple[Following, ...]
    comes: tuple[Bound | None, ...]
    first: int
    lift: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for those that can share a circuit."""
        return tuple(map(_structure, self.steps))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Ways that share a circuit.

    Args:
        ways: these.
        parameters: of each way and step the fractional bits of what comes, and the limits of a cast, the place of its first entry
            in a table, or the raw value of a constant; and at the end the lift.
        tables: by step the entries of all tables, one after another.
        fracs: by step the fractional bits of constants.
        bias_frac: fractional bits of biases.
    """

    ways: tuple[Way, ...]
    parameters: tuple[tuple[int, ...], ...]
    tables: tuple[tuple[int, ...], ...]
    fracs: tuple[int, ...]
    bias_frac: int


Numbers: TypeAlias = dict[tuple[int, int], int]
"""Choices, one per unit and function."""


def groups_of(units: Sequence[Unit]) -> list[Group]:
    """The ways of all units, those together that share a circuit."""
    by_key: dict[object, list[Way]] = {}
    for number, unit in enumerate(units):
        for function in range(len(unit.functions)):
            way = _way(unit, number, function)
            by_key.setdefault(way.key, []).append(way)
    alone = by_key.get((), [])
    casts = (ways[0].steps[0].op for ways in by_key.values() if len(ways[0].steps) == 1)
    cast = next((op for op in casts if isinstance(op, ops.Cast) and op.overflow is Overflow.SAT), None)
    if cast is not None and all(way.unit < len(units) - 1 for way in alone):
        like = by_key[_structure(Following(cast, 0)),]
        like += [_rounded(units[way.unit], way, cast) for way in by_key.pop((), [])]
    return [_group(units, ways) for ways in by_key.values()]


def numbered(units: Sequence[Unit], groups: Sequence[Group]) -> tuple[Numbers, tuple[Ints, ...]]:
    """The choices of all ways, and those of each column of all units, or of all together if it is the unit's number."""
    alike: dict[object, list[tuple[int, int]]] = {}
    for index, group in enumerate(groups):
        for way, parameters in zip(group.ways, group.parameters, strict=True):
            alike.setdefault((index, parameters), []).append((way.unit, way.function))
    distinct = {way: number for number, ways in enumerate(alike.values()) for way in ways}
    if len({(unit, number) for (unit, _), number in distinct.items()}) == len(units):
        return {way: way[0] for way in distinct}, tuple(objects([number]) for number in range(len(units)))
    choices = ([distinct[number, function] for function in unit.chosen.tolist()] for number, unit in enumerate(units))
    return distinct, tuple(objects(one) for one in choices)


def _way(unit: Unit, number: int, function: int) -> Way:
    kinds = [_summed(unit, function)]
    steps = canonical(unit.functions[function], kinds[0])
    for step in steps:
        kinds.append(step.applied(kinds[-1]))
    work, works = frac_of(kinds[-1]), list[int]()
    for step in reversed(steps):
        work = _works_on(step, work)
        works.insert(0, work)
    comes: list[Bound | None] = [Bound(*unit.total, unit.frac(function) - work)]
    for step, kind, place in zip(steps, kinds[1:], works[1:], strict=False):
        ends = isinstance(step.op, ops.Cast | ops.Table)
        comes.append(Bound(*kind.raw_range, frac_of(kind) - place) if ends else None)
    moved = tuple(_relative(step, place) for step, place in zip(steps, works, strict=True))
    return Way(number, function, moved, tuple(comes[: len(steps)]), work, frac_of(unit.kind) - frac_of(kinds[-1]))


def _works_on(step: Following, after: int) -> int:
    """The fractional bits of what is 1 in a step, if it is ``after`` in the next one."""
    match step.op:
        case ops.Cast() as op:
            return int(op.frac[0])
        case ops.Table():
            return step.frac
        case _:
            return after


def _relative(step: Following, by: int) -> Following:
    """``step`` on what has ``by`` fractional bits less; a cast or a table gives integers."""
    op, const = step.op, step.const
    if isinstance(op, ops.Cast | ops.Table):
        return replace(step, op=replace(op, frac=np.zeros(1, dtype=np.int64)), frac=0)
    if const is not None and not isinstance(op, ops.Mul):
        const = replace(const, frac=const.frac - by)
    return replace(step, const=const)


def _rounded(unit: Unit, way: Way, like: ops.Cast) -> Way:
    """A way of no steps with a cast that does nothing."""
    kind = _summed(unit, way.function)
    lo, hi = (objects([one]) for one in kind.raw_range)
    same = Following(replace(like, lo=lo, hi=hi), 0, reach=kind.raw_range)
    sums = Bound(*unit.total, unit.frac(way.function) - frac_of(kind))
    return replace(way, steps=(same,), comes=(sums,), first=frac_of(kind))


def _summed(unit: Unit, function: int) -> TensorType:
    """The type of sums with biases of the columns that have a function."""
    columns = unit.chosen == function
    places, lows, highs = (objects(part)[columns] for part in unit.sums.full())
    frac = max(unit.frac(function), unit.bias_frac) if np.any(unit.bias != 0) else unit.frac(function)
    ups, room = frac - places, unit.room and unit.room << (frac - unit.bias_frac)
    biases = [0 if room else raw and raw << (frac - unit.bias_frac) for raw in unit.bias[columns]]
    return TensorType.of(
        (1,), frac, int(np.min((lows << ups) + biases)) - room, int(np.max((highs << ups) + biases)) + room
    )


def _structure(step: Following) -> tuple[object, ...]:
    """Return the structure that all epilogues of one circuit share."""
    if step.clamps and isinstance(step.op, ops.Cast):
        return ("Cast", step.op.rounding)
    if isinstance(step.op, ops.Table):
        return ("Table", step.op.first, step.op.values.shape[-1])
    return (step.op.key(), step.is_first)


def _group(units: Sequence[Unit], ways: Sequence[Way]) -> Group:
    """The ways, with parameters that do the same for each, and are the same for many."""
    columns, tables, fracs = list[Sequence[int]](), list[tuple[int, ...]](), list[int]()
    for index, step in enumerate(ways[0].steps):
        steps, comes = [way.steps[index] for way in ways], [way.comes[index] for way in ways]
        columns.append([0 if bound is None else bound.frac for bound in comes])
        frac, entries = 0, [tuple(one.op.values.tolist()) for one in steps if isinstance(one.op, ops.Table)]
        distinct = {table: number for number, table in enumerate(dict.fromkeys(entries))}
        tables.append(tuple(entry for table in distinct for entry in table))
        if entries:
            columns.append([len(table) * distinct[table] for table in entries])
        elif step.clamps:
            columns += [_limits(steps, 0), _limits(steps, 1)]
        elif step.const is not None:
            consts = [one.const for one in steps if one.const is not None]
            frac = max(int(one.frac[0]) for one in consts)
            columns.append([int(one.raw[0]) << (frac - int(one.frac[0])) for one in consts])
        fracs.append(frac)
    columns.append([way.lift for way in ways])
    biased = [units[way.unit].bias_frac - way.first for way in ways if np.any(units[way.unit].bias != 0)]
    return Group(tuple(ways), tuple(zip(*columns, strict=True)), tuple(tables), tuple(fracs), max(biased, default=0))


def _limits(steps: Sequence[Following], side: int) -> list[int]:
    """Limits of few values that cut what the steps' own ones cut: the least ones for ``side`` 0, the greatest for 1."""
    sign = 1 - 2 * side
    casts = [((int(one.op.lo[0]), int(one.op.hi[0])), one.reach) for one in steps if isinstance(one.op, ops.Cast)]
    pairs = [(sign * limits[side], min(sign * reach[side], sign * limits[1 - side])) for limits, reach in casts]
    free = min(max(pair) for pair in pairs)
    return [sign * (limit if limit > reach else free) for limit, reach in pairs]
