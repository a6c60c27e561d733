"""Parts of a program between visits of an engine that differ in parameters alone: one circuit computes all of them, in turn.

Softmax and normalizations of a transformer's blocks are such parts, each of one tensor, of which it makes the operand of a visit.
The engine waits for one of them at a time. Their operands follow each other through the same processes, as along an axis before
all others, and what differs is looked up by the number of the part.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.kinds import Interleave, Reorder, Rom
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.areas import area_of_op
from bitsmith.mapping.builder import DataflowBuilder, NodeId, Port, StepId
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Unit, element
from bitsmith.mapping.engine.visits import visits_of
from bitsmith.mapping.formats import common_cast, whole_range
from bitsmith.mapping.recurrence import aligned
from bitsmith.mapping.sweeps import narrow

_LUTS = 60
"""Look-up tables, about, with which an operand gets to a circuit for several, and a result to its reader."""

Placed: TypeAlias = Callable[[DataflowBuilder, Node], StepId]
"""Lays out a node."""


@dataclass(frozen=True, slots=True)
class Part:
    """``nodes`` in order that are made of a ``source``; nothing else reads any but the last one, which an engine reads.

    ``more``: others read that one as well, or it is an output.
    """

    source: NodeId
    nodes: tuple[NodeId, ...]
    more: bool


@dataclass(slots=True, eq=False)
class Together:
    """``parts`` in turn as one ``program`` of all of them, which gives raw values of their results.

    ``joins`` and ``made`` are the steps with all operands, and with all results; ``operands`` those of each part so far.
    """

    parts: Sequence[Part]
    program: Program
    joins: StepId = field(init=False)
    made: StepId = field(init=False)
    operands: dict[NodeId, StepId] = field(default_factory=dict)

    def place(self, builder: DataflowBuilder, part: Part, placed: Placed) -> None:
        """Lay out what makes the result of ``part``, after the parts before it."""
        kind = element(self.program.nodes[self.program.inputs[0]].type)
        operand = builder.cast_to(narrow(builder, part.source, 1, ()), kind)
        if not self.operands:
            self.joins, self.made = self._made(builder, operand, kind, placed)
        self.operands[part.nodes[-1]] = operand
        args = tuple(self.operands.get(one.nodes[-1], operand) for one in self.parts)
        builder.steps[self.joins] = replace(builder.steps[self.joins], args=args)
        if part.more:
            builder.step_of[part.nodes[-1]] = self._result(builder, part)

    def _result(self, builder: DataflowBuilder, part: Part) -> StepId:
        """The step that has the result of ``part`` alone, which comes no sooner than its operand."""
        kind, stream = builder.program.nodes[part.nodes[-1]].type, builder.stream(self.made)
        count, number = stream.tokens // len(self.parts), self.parts.index(part)
        all_parts = builder.add(Port(0), (self.made, self.operands[part.nodes[-1]]), stream)
        own = Stream((count,), stream.token)
        step = builder.add(Reorder(np.arange(number * count, number * count + count)), (all_parts,), own)
        step = builder.token_op(ops.Shift(np.array(-frac_of(element(kind)))), (step,), own.grid)
        return builder.with_native_form(builder.cast_to(step, element(kind)), kind.shape[:-1], kind.shape[-1:])

    def _made(
        self, builder: DataflowBuilder, operand: StepId, kind: TensorType, placed: Placed
    ) -> tuple[StepId, StepId]:
        """The steps of all parts, whose operands are of a ``kind``, and all are this one at first."""
        inner = DataflowBuilder(self.program, replace(builder.directives, parallel=False, positions={}))
        inner.steps, inner.native_forms, inner.layer = builder.steps, builder.native_forms, builder.layer
        count, tokens = len(self.parts), builder.stream(operand).tokens
        source, turn = np.repeat(np.arange(count), tokens), TensorType.of((1,), 0, 0, count - 1)
        joins = inner.add(Interleave(source), (operand,) * count, Stream(source.shape, kind))
        for index in map(NodeId, self.program.inputs):
            *grid, last = inner.shape(index)
            if index == self.program.inputs[0]:
                inner.step_of[index] = inner.with_native_form(joins, tuple(grid), (last,))
                continue
            step = inner.add(Rom(objects(np.arange(count)).reshape(-1, 1)), (), Stream((count,), turn))
            for more in (math.prod(grid) // count, last):  # tables of what is done over and over are small
                tokens = inner.stream(step).tokens
                step = inner.repeated(step, np.repeat(np.arange(tokens), more), (tokens * more,))
            inner.step_of[index] = inner.with_native_form(step, tuple(grid), (last,))
        for number, node in enumerate(self.program.nodes):
            if not isinstance(node.op, ops.Const | ops.Input):
                inner.layer = node.layer
                inner.step_of[NodeId(number)] = placed(inner, node)
        return joins, narrow(inner, NodeId(self.program.outputs[0].node), 1, ())


def alike_parts(builder: DataflowBuilder, engines: Sequence[Sequence[Unit]]) -> dict[NodeId, tuple[Together, Part]]:
    """The nodes of parts between visits of ``engines`` that one circuit computes, if that takes less than one for each."""
    shared = dict[NodeId, tuple[Together, Part]]()
    for units in engines:
        visits, groups, ways = visits_of(units), dict[object, list[Part]](), list[dict[object, Part]]()
        inside = frozenset[NodeId]().union(*(unit.nodes for unit in units))
        for source in dict.fromkeys(visit[0].sources[0] for visit in visits if len(visits) > 1):
            ways.append({_structure(builder, part): part for part in _before(builder, source, inside)})
        often = Counter(chain.from_iterable(ways))
        for way in filter(None, ways):
            structure = max(way, key=lambda one: (often[one], len(way[one].nodes)))
            part, parts = way[structure], groups.setdefault(structure, [])
            # What others read is made before what follows in the program: so are all parts of the engine's visits before.
            if not (part.more and any(other.source > part.nodes[-1] for other in parts)):
                parts.append(part)
        for parts in groups.values():
            program = _in_turn(builder, parts) if len(parts) > 1 else None
            if program is None:
                continue
            alone = sum(_area(builder.program, [builder.program.nodes[one] for one in part.nodes]) for part in parts)
            places = len(parts) + sum(part.more for part in parts)
            if _area(program, program.nodes) + places * _LUTS < alone:
                together = Together(parts, program)
                shared |= {one: (together, part) for part in parts for one in part.nodes}
    return shared


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
    more = result in outputs or not inside >= {*builder.reading(result)}
    while left:
        place = max(left)
        node = builder.program.nodes[place]
        if len(left) == 1 and taken and builder.shape(place) == builder.shape(result):
            part = Part(place, tuple(sorted(taken)), more)
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
    """Equal for parts that differ in parameters alone."""
    places = {part.source: -1} | {node: number for number, node in enumerate(part.nodes)}
    rows = list[object]([builder.shape(part.source)])
    for place in part.nodes:
        node = builder.program.nodes[place]
        fixed = isinstance(node.op, ops.Cast | ops.Shift | ops.Table)
        args = tuple(map(places.get, builder.operands(node)))
        rows.append((type(node.op).__name__ if fixed else node.op.key(), node.type.shape, args))
    return tuple(rows)


def _in_turn(builder: DataflowBuilder, parts: Sequence[Part]) -> Program | None:
    """The program of ``parts`` as along an axis before all others; None if it is not written here for one of their ops."""
    nodes, target = builder.program.nodes, ProgramBuilder()
    sources = [element(nodes[part.source].type) for part in parts]
    frac = max(map(frac_of, sources))
    ends = [end << (frac - frac_of(one)) for one in sources for end in one.raw_range]
    turns = _Turns(target, len(parts), builder.shape(parts[0].source))
    values: dict[int, Value] = {-1: turns.input("x", turns.shape, frac, min(ends), max(ends))}
    sums = {-1: 0}
    places = [{part.source: -1} | {node: number for number, node in enumerate(part.nodes)} for part in parts]
    for number, those in enumerate(zip(*(part.nodes for part in parts), strict=True)):
        row = [nodes[place] for place in those]
        before = (places[0].get(NodeId(arg), -1) for arg in row[0].args)
        turns.sums = max(map(sums.__getitem__, before))
        sums[number] = turns.sums + isinstance(row[0].op, ops.Sum | ops.AMax)
        with target.layer(row[0].layer):
            args = list[Value]()
            for beside in zip(*(one.args for one in row), strict=True):
                place = places[0].get(NodeId(beside[0]))
                consts = [nodes[one].op for one in beside]
                arg = values[place] if place is not None else turns.constant(consts, row[0].type.shape)
                if arg is None:
                    return None
                args.append(arg)
            kinds = [nodes[one.args[0]].type for one in row]
            alike = [one for one in map(_of_one_format, row, kinds) if one is not None]
            value = turns.applied(alike, kinds, args, row[0]) if len(alike) == len(row) else None
        if value is None:
            return None
        values[number] = value
    results = [element(nodes[part.nodes[-1]].type) for part in parts]
    raws = [ops.Shift(np.array(frac_of(one))) for one in results]
    last, types = nodes[parts[0].nodes[-1]], [nodes[part.nodes[-1]].type for part in parts]
    value = turns.applied(raws, types, [values[len(values) - 2]], last)
    lows, highs = zip(*(one.raw_range for one in results), strict=True)
    low, high = whole_range(min(lows), max(highs))
    cast = ops.Cast(np.array(0), objects(low), objects(high), Rounding.TRN, Overflow.WRAP)
    return None if value is None else target.program([("y", target.apply(cast, value))])


def _of_one_format(node: Node, kind: TensorType) -> ops.Op | None:
    """The op on an operand of a ``kind``, whose limits by channel say no more than that; None if they do.

    Of what is looked up the range of each channel is not known: there such limits would take whole positions at once.
    """
    op = node.op
    by_channel = isinstance(op, ops.Cast) and max(op.frac.size, op.lo.size, op.hi.size) > 1
    return common_cast(op, kind) if isinstance(op, ops.Cast) and by_channel else op


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

    def input(self, name: str, shape: tuple[int, ...], frac: int, low: int, high: int) -> Value:
        """An operand, of one format."""
        ends, places = (objects([low]), objects([high])), np.array([frac], dtype=np.int64)
        return self.builder.apply(ops.Input(name, shape, places, *ends, Rounding.TRN, Overflow.WRAP))

    def looked_up(self, raws: Ints, frac: int, shape: tuple[int, ...]) -> Value | None:
        """Numbers of each part, one or one for each channel, for results of a ``shape``; None if that is not the operand's."""
        positions, builder = self.own[:-1], self.builder
        whole = (*positions, 1) if shape == positions else shape
        if whole not in (self.own, (*positions, 1)) or raws.shape[1] not in (1, whole[-1]):
            return None
        key = self.sums, whole
        if key not in self.turns:
            self.turns[key] = self.input(f"turn{len(self.turns)}", (self.count, *whole), 0, 0, self.count - 1)
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
        *others, last = dict.fromkeys(keys)
        value = self._variant(*last, args)
        for variant in others:
            flag = self.looked_up(
                objects(np.array([[one == variant] for one in keys], dtype=np.int64)), 0, node.type.shape
            )
            if flag is None:
                return None
            value = builder.apply(ops.Select(), flag, self._variant(*variant, args), value)
        return value

    def _variant(self, op: ops.Op, frac: int, args: Sequence[Value]) -> Value:
        """The result of an op; a table has entries for numbers of ``frac`` fractional bits."""
        if isinstance(op, ops.Table):
            low, high = objects([op.first]), objects([op.first + op.values.shape[-1] - 1])
            args = [self.builder.apply(ops.Cast(np.array([frac]), low, high, Rounding.TRN, Overflow.SAT), *args)]
        return self.builder.apply(op, *args)
