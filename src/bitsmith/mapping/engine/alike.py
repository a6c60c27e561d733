"""Parts of a program between visits of an engine that differ in parameters alone: one circuit computes all of them, in turn.

Softmax and normalizations of a transformer's blocks are such parts, each of one tensor, of which it makes the operand of a visit;
and sums of a block and its input. The engine waits for one of them at a time. Their operands follow each other through the same
processes, as along an axis before all others, and what differs is looked up by the number of the part.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TypeAlias, TypeVar

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.areas import area_of_op
from bitsmith.mapping.builder import DataflowBuilder, NodeId
from bitsmith.mapping.engine.beside import Beside, Part, Tensors, Together, raw_stream
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Unit, element
from bitsmith.mapping.engine.visits import visits_of
from bitsmith.mapping.formats import common_cast, whole_range
from bitsmith.mapping.recurrence import aligned

_LUTS = 60
"""Look-up tables, about, with which an operand gets to a circuit for several, and a result to its reader."""

_BITS = 64
"""Bits of memory, about, that are worth a look-up table."""

_FEWEST = 2
"""Parts that are worth a circuit for several."""

Key = TypeVar("Key", bound=Hashable)

Turn: TypeAlias = tuple[tuple[NodeId, ...], tuple[NodeId, ...]]
"""Operands for which something waits, and what it makes of them, in turn with others."""


def alike_parts(builder: DataflowBuilder, engines: Sequence[Sequence[Unit]]) -> Beside:
    """The parts between visits of ``engines`` that one circuit computes, if that takes less than one for each."""
    beside = Beside({}, {})
    for units in engines:
        visits = visits_of(units)
        if len(visits) == 1:
            continue
        inside = frozenset[NodeId]().union(*(unit.nodes for unit in units))
        orders: list[list[Turn]] = [
            [((visit[0].sources[0],), tuple(unit.result for unit in visit)) for visit in visits]
        ]
        for groups in (_read_by(builder, visits, inside), _sums(builder, inside, beside.circuits)):
            for parts in groups:
                _share(builder, parts, orders, beside)
    return beside


def _read_by(builder: DataflowBuilder, visits: Sequence[Sequence[Unit]], inside: Set[NodeId]) -> Iterator[list[Part]]:
    """Parts alike that each make the operand of a visit of an engine, which has the nodes ``inside``."""
    groups, ways = dict[object, list[Part]](), list[dict[object, Part]]()
    for source in dict.fromkeys(visit[0].sources[0] for visit in visits):
        ways.append({_structure(builder, part): part for part in _before(builder, source, inside)})
    often = Counter(chain.from_iterable(ways))
    for way in filter(None, ways):
        structure = max(way, key=lambda one: (often[one], len(way[one].nodes)))
        groups.setdefault(structure, []).append(way[structure])
    yield from groups.values()


def _sums(builder: DataflowBuilder, inside: Set[NodeId], taken: Mapping[NodeId, object]) -> Iterator[list[Part]]:
    """Parts alike that each add what an engine makes to another tensor, with casts after it that are not ``taken``."""
    groups, nodes = dict[object, list[Part]](), builder.program.nodes
    for index, node in enumerate(nodes):
        place, operands = NodeId(index), builder.operands(node)
        others = [arg for arg in operands if arg not in inside and not builder.is_constant(arg)]
        if not isinstance(node.op, ops.Add) or place in inside or len(others) != 1 or {*operands} <= {*others}:
            continue
        if any(builder.is_constant(arg) or builder.shape(arg) != node.type.shape for arg in operands):
            continue
        added, last = [place], builder.reading(place)
        while len(last) == 1 and last[0] not in inside and last[0] not in taken:
            reader = nodes[last[0]]
            if not isinstance(reader.op, ops.Cast) or _of_one_format(reader, nodes[added[-1]].type) is None:
                break
            added, last = [*added, last[0]], builder.reading(last[0])
        made = next(arg for arg in operands if arg in inside)
        part = Part((*others, made), tuple(added))
        groups.setdefault(_structure(builder, part), []).append(part)
    yield from groups.values()


def _share(builder: DataflowBuilder, parts: Sequence[Part], orders: list[list[Turn]], beside: Beside) -> None:
    """One circuit for ``parts`` alike, added to those that are ``beside``, if it takes less; without those that lock it up.

    The first of ``orders`` is that of the engine's visits.
    """
    kept = list[Part]()
    for part in parts:
        if not _locks(builder, [*orders, _turns_of([*kept, part])]):
            kept.append(part)
    if len(kept) < _FEWEST:
        return
    gathered = _gathered(builder, kept, [*dict.fromkeys(one for _, results in orders[0] for one in results)])
    program = _in_turn(builder, kept)
    if program is None:
        return
    together, nodes = Together(kept, program), builder.program.nodes
    shared = {one: (together, part) for part in kept for one in part.nodes}
    alone = sum(_area(builder.program, [nodes[one] for one in part.nodes]) + _waiting(builder, part) for part in kept)
    found = Beside({**beside.circuits, **shared}, {**beside.gathered, **gathered})
    places = sum(len(found.together(sources)[1]) for sources in together.sources)
    if _area(program, program.nodes) + _waiting(builder, kept[0]) + places * _LUTS < alone:
        beside.circuits.update(shared)
        beside.gathered.update(gathered)
        orders.append(_turns_of(kept))


def _waiting(builder: DataflowBuilder, part: Part) -> int:
    """Look-up tables, about, of the memory in which an operand of a part waits for another one."""
    kind = builder.program.nodes[part.sources[0]].type
    return (len(part.sources) - 1) * (_LUTS + kind.size * kind.max_width // _BITS)


def _gathered(builder: DataflowBuilder, parts: Sequence[Part], leaving: Sequence[NodeId]) -> dict[NodeId, Tensors]:
    """Operands of ``parts`` that are results of an engine, of those ``leaving`` in this order, which nothing else reads.

    The last one leaves in its own format.
    """
    gathered, outputs = dict[NodeId, Tensors](), {output.node for output in builder.program.outputs}
    for sources in zip(*(part.sources for part in parts), strict=True):
        alone = [
            one
            for one, part in zip(sources, parts, strict=True)
            if one in leaving[:-1] and {*builder.reading(one)} <= {*part.nodes} and one not in outputs
        ]
        if alone == [one for one in leaving if one in alone]:
            gathered |= dict.fromkeys(alone, tuple(alone))
    return gathered


def _turns_of(parts: Sequence[Part]) -> list[Turn]:
    return [(part.sources, (part.result,)) for part in parts]


def _locks(builder: DataflowBuilder, orders: Sequence[Sequence[Turn]]) -> bool:
    """Return True if what has its turn in some of ``orders`` would wait for what waits for it."""
    graph: dict[object, set[object]] = {index: {*node.args} for index, node in enumerate(builder.program.nodes)}
    for number, order in enumerate(orders):
        for place, (sources, results) in enumerate(order):
            graph[number, place] = {*sources, *([(number, place - 1)] if place else [])}
            for result in results:
                graph[result].add((number, place))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return True
    return False


def _area(program: Program, nodes: Sequence[Node]) -> float:
    """Look-up tables of ``nodes``, an element in a cycle; sums have an adder, and a register in place of a memory."""
    reduced = [node.type.max_width + _LUTS for node in nodes if isinstance(node.op, ops.Sum | ops.AMax)]
    return sum(reduced) + sum(area_of_op(one.op, program.types(one.args), one.type) / one.type.size for one in nodes)


def _before(builder: DataflowBuilder, result: NodeId, inside: Set[NodeId]) -> list[Part]:
    """The longest part that makes a ``result`` of one tensor outside of an engine, which has the nodes ``inside``.

    Those without casts at its beginning come before it.
    """
    parts, taken, left = list[Part](), set[NodeId](), {result}
    outputs = {output.node for output in builder.program.outputs}
    while left:
        place = max(left)
        node = builder.program.nodes[place]
        if len(left) == 1 and taken and builder.shape(place) == builder.shape(result):
            part = Part((place,), tuple(sorted(taken)))
            added = part.nodes[: -len(parts[-1].nodes)] if parts else ()
            casts = all(isinstance(builder.program.nodes[one].op, ops.Cast) for one in added)
            parts = [*(parts if casts else ()), part]
        read = place == result or (place not in outputs and taken.issuperset(builder.reading(place)))
        if place in inside or not read or isinstance(node.op, ops.Input | ops.Parameter | ops.Scan):
            break
        taken.add(place)
        left = left - {place} | {arg for arg in builder.operands(node) if not builder.is_constant(arg)}
    return parts


def _structure(builder: DataflowBuilder, part: Part) -> object:
    """Equal for parts that differ in parameters alone, and in casts of what they compute."""
    rows = _rows(builder, part)
    places, structure = _places(part, rows), list[object]([builder.shape(part.sources[0])])
    for node in (builder.program.nodes[row[0]] for row in rows):
        fixed = isinstance(node.op, ops.Cast | ops.Shift | ops.Table)
        args = [places.get(arg, len(rows)) for arg in builder.operands(node)]
        args = sorted(args) if isinstance(node.op, ops.Add) else args
        structure.append((type(node.op).__name__ if fixed else node.op.key(), node.type.shape, *args))
    return tuple(structure)


def _rows(builder: DataflowBuilder, part: Part) -> list[Tensors]:
    """The nodes of a part, each with the casts after it that are all that reads it."""
    rows = dict[NodeId, Tensors]()
    for place in part.nodes:
        node = builder.program.nodes[place]
        before = NodeId(node.args[0])
        is_after = isinstance(node.op, ops.Cast) and before in rows and [*builder.reading(before)] == [place]
        rows[place] = (*(rows.pop(before) if is_after else ()), place)
    return [*rows.values()]


def _places(part: Part, rows: Sequence[Tensors]) -> dict[NodeId, int]:
    """Numbers of the ``rows`` of a part by their nodes; less than 0 for those of which it is made."""
    sources = {source: ~number for number, source in enumerate(part.sources)}
    return sources | {node: number for number, row in enumerate(rows) for node in row}


def _in_turn(builder: DataflowBuilder, parts: Sequence[Part]) -> Program | None:
    """The program of ``parts`` as along an axis before all others, on raw values; None if one of their ops has none."""
    nodes, target = builder.program.nodes, ProgramBuilder()
    turns, values = _Turns(target, len(parts), builder.shape(parts[0].sources[0])), dict[int, Value]()
    every = [*zip(*(part.sources for part in parts), strict=True)]
    come = [turns.input(f"x{k}", turns.shape, *raw_stream(builder, one).token.raw_range) for k, one in enumerate(every)]
    for number, sources in enumerate(every):
        kinds = [nodes[one].type for one in sources]
        value = turns.applied([_lifted(kind, -1) for kind in kinds], kinds, [come[number]], nodes[sources[0]])
        if value is None:
            return None
        values[~number] = _known(target, value, kinds)
    every_rows = [_rows(builder, part) for part in parts]
    sums, places = dict.fromkeys(values, 0), _places(parts[0], every_rows[0])
    for number, those in enumerate(zip(*every_rows, strict=True)):
        row = [nodes[first] for first, *_ in those]
        before = (places.get(NodeId(arg), -1) for arg in row[0].args)
        turns.sums = max(map(sums.__getitem__, before))
        sums[number] = turns.sums + isinstance(row[0].op, ops.Sum | ops.AMax)
        with target.layer(row[0].layer):
            args = list[Value]()
            for beside in zip(*(one.args for one in row), strict=True):
                place = places.get(NodeId(beside[0]))
                consts = [nodes[one].op for one in beside]
                arg = values[place] if place is not None else turns.constant(consts, row[0].type.shape)
                if arg is None:
                    return None
                args.append(arg)
            kinds = [nodes[one.args[0]].type for one in row]
            alike = [one for one in (_of_one_format_each(nodes, each) for each in those) if one is not None]
            if len(alike) < len(those):
                return None
            value = turns.applied([op for op, *_ in alike], kinds, args, row[0])
            turns.sums = sums[number]
            value = None if value is None else turns.cast([casts for _, *casts in alike], value, row[0].type.shape)
        if value is None:
            return None
        values[number] = value
    types = [nodes[part.result].type for part in parts]
    last = values[len(every_rows[0]) - 1]
    raws = turns.applied([_lifted(kind, 1) for kind in types], types, [last], nodes[parts[0].result])
    if raws is None:
        return None
    low, high = whole_range(*raw_stream(builder, tuple(part.result for part in parts)).token.raw_range)
    cast = ops.Cast(np.array(0), objects(low), objects(high), Rounding.TRN, Overflow.WRAP)
    return target.program([("y", target.apply(cast, raws))])


def _lifted(kind: TensorType, sign: int) -> ops.Shift:
    """From elements of a ``kind`` to their raw values for ``sign`` 1, or back for -1."""
    return ops.Shift(np.array(sign * frac_of(element(kind))))


def _known(builder: ProgramBuilder, value: Value, kinds: Sequence[TensorType]) -> Value:
    """``value``, whose elements are known to be of ``kinds``: bits are left out."""
    types = [element(kind) for kind in kinds]
    frac = max(map(frac_of, types))
    ends = [end << (frac - frac_of(one)) for one in types for end in one.raw_range]
    low, high = whole_range(min(ends), max(ends))
    return builder.apply(ops.Cast(np.array(frac), objects(low), objects(high), Rounding.TRN, Overflow.WRAP), value)


def _of_one_format(node: Node, kind: TensorType) -> ops.Op | None:
    """The op on an operand of a ``kind``, whose limits by channel say no more than that; None if they do.

    Of what is looked up the range of each channel is not known: there such limits would take whole positions at once.
    """
    op = node.op
    by_channel = isinstance(op, ops.Cast) and max(op.frac.size, op.lo.size, op.hi.size) > 1
    return common_cast(op, kind) if isinstance(op, ops.Cast) and by_channel else op


def _of_one_format_each(nodes: Sequence[Node], row: Tensors) -> tuple[ops.Op, ...] | None:
    """The same of each node of a ``row``; None if one of them has none."""
    found = [_of_one_format(nodes[one], nodes[nodes[one].args[0]].type) for one in row]
    known = tuple(op for op in found if op is not None)
    return known if len(known) == len(found) else None


@dataclass(slots=True)
class _Turns:
    """A program for as many parts in turn as there are, on tensors of a shape."""

    builder: ProgramBuilder
    count: int
    own: tuple[int, ...]
    turns: dict[tuple[int, tuple[int, ...]], Value] = field(default_factory=dict)
    """The number of the part, for each element of a tensor of such a shape, after so many sums.

    One for all would hold numbers of a part back until all before are made: it has few places, and is read before and after.
    """
    sums: int = 0
    """Sums or greatest elements, one after another, that what comes next is made of."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all operands."""
        return (self.count, *self.own)

    def input(self, name: str, shape: tuple[int, ...], low: int, high: int) -> Value:
        """An operand of integers."""
        ends, places = (objects([low]), objects([high])), np.array([0], dtype=np.int64)
        return self.builder.apply(ops.Input(name, shape, places, *ends, Rounding.TRN, Overflow.WRAP, ()))

    def looked_up(self, raws: Ints, frac: int, shape: tuple[int, ...]) -> Value | None:
        """Numbers of each part, one or one for each channel, for results of a ``shape``; None if that is not the operand's."""
        positions, builder = self.own[:-1], self.builder
        whole = (*positions, 1) if shape == positions else shape
        if whole not in (self.own, (*positions, 1)) or raws.shape[1] not in (1, whole[-1]):
            return None
        key = self.sums, whole
        if key not in self.turns:
            self.turns[key] = self.input(f"turn{len(self.turns)}", (self.count, *whole), 0, self.count - 1)
        place = self.turns[key]
        if raws.shape[1] > 1:
            firsts = ops.Table(0, objects(np.arange(self.count) * raws.shape[1]), np.array(0))
            place = builder.add(
                builder.apply(firsts, place), builder.apply(ops.Const(objects(np.arange(raws.shape[1])), np.array(0)))
            )
        number = builder.apply(ops.Table(0, raws.reshape(-1), np.array(frac)), place)
        return builder.reshape(number, (self.count, *shape))

    def constant(self, consts: Sequence[ops.Op], shape: tuple[int, ...]) -> Value | None:
        """A constant of each part, for results of a ``shape``."""
        numbers = [one for one in consts if isinstance(one, ops.Const)]
        if len(numbers) < len(consts):
            return None
        if all(one == numbers[0] for one in numbers):
            return self.builder.apply(numbers[0])
        frac = max(int(one.frac.max()) for one in numbers)
        rows = [rescale(one.raw, one.frac, np.array(frac)) for one in numbers]
        size = max(row.size for row in rows)
        if any(row.size > 1 and (row.size, row.shape[-1]) != (size, size) for row in rows):
            return None
        return self.looked_up(
            objects(np.stack([np.broadcast_to(row.reshape(-1), (size,)) for row in rows])), frac, shape
        )

    def applied(
        self, alike: Sequence[ops.Op], kinds: Sequence[TensorType], args: list[Value], node: Node
    ) -> Value | None:
        """The op of each part, like that of a first ``node``, whose first operands are of these ``kinds``."""
        first, builder = alike[0], self.builder
        match first:
            case ops.Reshape(shape):
                return builder.apply(ops.Reshape((self.count, *shape)), *args)
            case ops.Transpose(perm):
                return builder.apply(ops.Transpose((0, *(axis + 1 for axis in perm))), *args)
            case ops.Sum(axes) | ops.AMax(axes):
                return builder.apply(replace(first, axes=tuple(axis + 1 for axis in axes)), *args)
        if not isinstance(first, ops.Elementwise):
            return None
        rank = len(node.type.shape) + 1
        args = [arg if isinstance(builder.origin(arg), ops.Const) else aligned(builder, arg, rank) for arg in args]
        if isinstance(first, ops.Table) and any(np.unique(kind.frac).size > 1 for kind in kinds):
            return None
        keys = [(op, frac_of(kind) * isinstance(op, ops.Table)) for op, kind in zip(alike, kinds, strict=True)]
        return self._chosen(keys, lambda key: self._variant(*key, args), node.type.shape)

    def cast(self, casts: Sequence[Sequence[ops.Op]], value: Value, shape: tuple[int, ...]) -> Value | None:
        """A ``value`` of a ``shape`` after the casts of each part."""

        def cast_by(some: tuple[ops.Op, ...]) -> Value:
            return reduce(lambda x, op: self.builder.apply(op, x), some, value)

        return self._chosen([*map(tuple, casts)], cast_by, shape)

    def _chosen(self, keys: Sequence[Key], build: Callable[[Key], Value], shape: tuple[int, ...]) -> Value | None:
        """The value that ``build`` gives for the key of each part, for results of a ``shape``; None if it is not an operand's."""
        *others, last = dict.fromkeys(keys)
        value = build(last)
        for key in others:
            flag = self.looked_up(objects(np.array([[one == key] for one in keys], dtype=np.int64)), 0, shape)
            if flag is None:
                return None
            value = self.builder.apply(ops.Select(), flag, build(key), value)
        return value

    def _variant(self, op: ops.Op, frac: int, args: Sequence[Value]) -> Value:
        """The result of an op; a table has entries for numbers of ``frac`` fractional bits."""
        if isinstance(op, ops.Table):
            low, high = objects([op.first]), objects([op.first + op.values.shape[-1] - 1])
            args = [self.builder.apply(ops.Cast(np.array([frac]), low, high, Rounding.TRN, Overflow.SAT), *args)]
        return self.builder.apply(op, *args)
