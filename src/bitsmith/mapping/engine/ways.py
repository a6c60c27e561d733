"""Epilogues of an engine's sums, by channels: those that can share a circuit, and their parameters.

In a way all that a cast or a table takes, and gives, is integers, and fractional bits are parameters: ways of the same steps
share a circuit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.types import Ints, Span, objects
from bitsmith.mapping.engine.steps import Following, canonical, frac_of
from bitsmith.mapping.engine.units import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """A ``value`` with so many fractional bits fewer, which then is in the ``bound``."""

    value: int
    fewer: int
    bound: Span


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Epilogue of the sums of some channels of a unit.

    Args:
        unit, function: which.
        steps: ops on integers, of the first of which biases are added to the result. The last one gives raw values of the result.
        first: fractional bits of what is 1 there.
    """

    unit: int
    function: int
    steps: tuple[Following | Moved, ...]
    first: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for those that can share a circuit."""
        return tuple(map(_structure, self.steps))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Ways that share a circuit.

    Args:
        ways: these.
        parameters: of each way and step the fractional bits that there are fewer, or the limits of a cast, the place of its first
            entry in a table, or the raw values of constants.
        tables: by step the entries of all tables, one after another.
        fracs: by step the fractional bits of constants.
        bias_frac: fractional bits of biases.
    """

    ways: tuple[Way, ...]
    parameters: tuple[tuple[int, ...], ...]
    tables: tuple[tuple[int, ...], ...]
    fracs: tuple[tuple[int, ...], ...]
    bias_frac: int


Numbers: TypeAlias = dict[tuple[int, int], int]
"""Choices, one per unit and function."""


def groups_of(units: Sequence[Unit]) -> list[Group]:
    """The ways of all units, those together that share a circuit."""
    epilogues = {
        (number, function): canonical(steps, kind)
        for number, unit in enumerate(units)
        for function, (steps, kind) in enumerate(zip(unit.functions, _summed(unit), strict=True))
    }
    casts = (steps[0] for steps, _ in epilogues.values() if len(steps) == 1 and steps[0].clamps)
    cast = next((step.op for step in casts if isinstance(step.op, ops.Cast)), None)
    rounds = cast is not None and all(steps or number < len(units) - 1 for (number, _), (steps, _) in epilogues.items())
    by_key: dict[object, list[Way]] = {}
    for (number, function), (steps, kinds) in epilogues.items():
        if not steps and cast is not None and rounds:
            steps = (_same(kinds[0], cast),)
            kinds.append(steps[0].applied(kinds))
        way = _way(units[number], number, function, steps, kinds)
        by_key.setdefault(way.key, []).append(way)
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


def _way(unit: Unit, number: int, function: int, steps: tuple[Following, ...], kinds: Sequence[Span]) -> Way:
    """The way of ``steps``: what each takes has the places that the next cast or table wants, which is where it ends."""
    wanted, ends = {len(steps): (len(steps), kinds[-1].frac)}, list[tuple[int, int]]()
    for index, step in reversed([*enumerate(steps)]):
        own = int(step.op.frac[0]) if isinstance(step.op, ops.Cast) else step.frac  # of what is 1 in a cast or a table
        ends.insert(0, (index, own) if step.has_places else wanted[index + 1])
        wanted |= dict.fromkeys(step.values, ends[0])
    first = wanted[0][1]
    fewer = unit.frac(function) - first
    sums = Moved(0, fewer, Span(fewer, *unit.total))
    moved, places, have = list[Following | Moved]([sums]), {(0, wanted[0][0]): 1}, [(1, first)]
    for index, (step, (end, work)) in enumerate(zip(steps, ends, strict=True)):
        for value in step.values:
            if (value, end) not in places and not isinstance(steps[value - 1].op, ops.Compare):
                place, now = have[value]
                bound = replace(kinds[value], frac=kinds[value].frac - work)
                moved.append(Moved(place, now - work, bound))
                places[value, end] = len(moved)
        operands = tuple(
            one if isinstance(one, ops.Const) else places.get((one, end), have[one][0]) for one in step.operands
        )
        moved.append(_relative(Following(step.op, step.frac, operands, step.reach), work))
        have.append((len(moved), kinds[index + 1].frac if step.has_places else work))
        if not step.has_places:
            places[index + 1, end] = len(moved)
    lift = frac_of(unit.kind) - kinds[-1].frac
    return Way(number, function, (*moved, Moved(len(moved), -lift, Span(0, *unit.kind.raw_range))), first)


def _relative(step: Following, by: int) -> Following:
    """``step`` on what has ``by`` fractional bits less; a cast or a table gives integers."""
    op = step.op
    if isinstance(op, ops.Cast | ops.Table):
        return Following(replace(op, frac=np.zeros(1, dtype=np.int64)), 0, step.operands, step.reach)
    if isinstance(op, ops.Mul):
        return step
    moved = (ops.Const(one.raw, one.frac - by) if isinstance(one, ops.Const) else one for one in step.operands)
    return Following(op, step.frac, tuple(moved), step.reach)


def _same(kind: Span, like: ops.Cast) -> Following:
    """A cast of sums that does nothing."""
    frac = np.array([kind.frac], dtype=np.int64)
    op = replace(like, frac=frac, lo=objects([kind.lo]), hi=objects([kind.hi]))
    return Following(op, kind.frac, (0,), (kind.lo, kind.hi))


def _summed(unit: Unit) -> list[Span]:
    """The kinds of sums with biases of the columns that have each function."""
    by_function = np.argsort(unit.chosen.astype(np.int64), kind="stable")
    places, lows, highs = (objects(part)[by_function] for part in unit.sums.full())
    fracs, biases, room = objects(unit.fracs)[by_function], unit.bias[by_function], objects([unit.room])
    if np.any(biases != 0):
        fracs = np.maximum(fracs, unit.bias_frac)
        biases, room = (objects(each << fracs - unit.bias_frac) for each in (biases * (unit.room == 0), room))
    ups, starts = fracs - places, np.unique(unit.chosen[by_function].astype(np.int64), return_index=True)[1]
    least = np.minimum.reduceat((lows << ups) + biases - room, starts)
    most = np.maximum.reduceat((highs << ups) + biases + room, starts)
    return [Span(*ends) for ends in zip(fracs[starts].tolist(), least.tolist(), most.tolist(), strict=True)]


def _structure(step: Following | Moved) -> tuple[object, ...]:
    """Return the structure that all epilogues of one circuit share."""
    if isinstance(step, Moved):
        return ("Moved", step.value)
    values = tuple(None if isinstance(one, ops.Const) else one for one in step.operands)
    if step.clamps and isinstance(step.op, ops.Cast):
        return ("Cast", step.op.rounding, *values)
    if isinstance(step.op, ops.Table):
        return ("Table", step.op.first, step.op.values.shape[-1], *values)
    return (step.op.key(), *values)


def _group(units: Sequence[Unit], ways: Sequence[Way]) -> Group:
    """The ways, with parameters that do the same for each, and are the same for many."""
    columns, tables, fracs = list[Sequence[int]](), list[tuple[int, ...]](), list[tuple[int, ...]]()
    for alike in zip(*(way.steps for way in ways), strict=True):
        steps = [one for one in alike if isinstance(one, Following)]
        entries = [tuple(one.op.values.tolist()) for one in steps if isinstance(one.op, ops.Table)]
        distinct = {table: number for number, table in enumerate(dict.fromkeys(entries))}
        tables.append(tuple(entry for table in distinct for entry in table))
        consts = [*zip(*(one.consts for one in steps), strict=True)]
        fracs.append(tuple(max(int(one.frac[0]) for one in those) for those in consts))
        if not steps:
            columns.append([one.fewer for one in alike if isinstance(one, Moved)])
        elif entries:
            columns.append([len(table) * distinct[table] for table in entries])
        elif steps[0].clamps:
            columns += [_limits(steps, 0), _limits(steps, 1)]
        for those, frac in zip(consts, fracs[-1], strict=True):
            columns.append([int(one.raw[0]) << (frac - int(one.frac[0])) for one in those])
    biased = [units[way.unit].bias_frac - way.first for way in ways if np.any(units[way.unit].bias != 0)]
    return Group(tuple(ways), tuple(zip(*columns, strict=True)), tuple(tables), tuple(fracs), max(biased, default=0))


def _limits(steps: Sequence[Following], side: int) -> list[int]:
    """Limits of few values that cut what the steps' own ones cut: the least ones for ``side`` 0, the greatest for 1."""
    sign = 1 - 2 * side
    casts = [((int(one.op.lo[0]), int(one.op.hi[0])), one.reach) for one in steps if isinstance(one.op, ops.Cast)]
    pairs = [(sign * limits[side], min(sign * reach[side], sign * limits[1 - side])) for limits, reach in casts]
    free = min(max(pair) for pair in pairs)
    return [sign * (limit if limit > reach else free) for limit, reach in pairs]
