"""The token function of an engine: what is done to the sums of all its layers, in one circuit.

What is done alike but for places of the binary point, limits and constants shares a circuit: sums are shifted to one place first,
and limits and constants come from tables. A number, the choice, says which of them: that of the layer, or where channels of a
layer differ one that is stored for each channel. Other circuits share multipliers alone, where a part has too few of these.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.devices.family import Part
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, Overflow, Rounding, Span, objects
from bitsmith.mapping.engine.steps import Following, frac_of
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.engine.ways import Group, Moved, Numbers, Way, groups_of, numbered
from bitsmith.passes.program import simplify

_MOST = 0.5
"""The share of a part's multiplier blocks, or look-up tables, that products with factors of the choice may take."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenFunction:
    """The program of an `Engine`, and the biases and choices of its layers as it takes them.

    ``fracs`` are the fractional bits of the bias of each column of all blocks, for each unit.
    """

    program: Program
    fracs: tuple[tuple[int, ...], ...]
    biases: tuple[Ints, ...]
    choices: tuple[Ints, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Product:
    """A product of a value with the factor of each choice, of so many fractional bits."""

    value: Value
    factors: Mapping[int, int]
    frac: int

    @property
    def reach(self) -> Span:
        """Raw values that it may have."""
        ends = [one * factor for one in self.value.type.raw_range for factor in self.factors.values()]
        return Span(0, min(ends), max(ends))


def token_function(units: Sequence[Unit], part: Part | None) -> TokenFunction:
    """The function for ``units`` in turn, with one multiplier for all factors where ``part`` has no room for several."""
    groups = groups_of(units)
    found = _made(units, groups, shares=False)
    return found if part is None or _has_room(found.program, part) else _made(units, groups, shares=True)


def _has_room(program: Program, part: Part) -> bool:
    """Return True if products of two values leave room in ``part`` for others."""
    of_two = [
        program.types(node.args)
        for node in program.nodes
        if isinstance(node.op, ops.Mul) and not any(isinstance(program.nodes[arg].op, ops.Const) for arg in node.args)
    ]
    areas = [part.family.area.multiplier(x.max_width, y.max_width) for x, y in of_two]
    blocks, luts = (sum(taken) for taken in zip(*areas, strict=True)) if areas else (0, 0)
    return blocks <= _MOST * part.die.dsps and luts <= _MOST * part.die.luts


def _made(units: Sequence[Unit], groups: Sequence[Group], *, shares: bool) -> TokenFunction:
    """The function; ``groups`` of ways whose circuits differ share a multiplier, or have one each."""
    numbers, choices = numbered(units, groups)
    places = {(way.unit, way.function): way.first + group.bias_frac for group in groups for way in group.ways}
    fracs = tuple(tuple(places[number, one] for one in unit.chosen) for number, unit in enumerate(units))
    biases = tuple(map(biases_of, units, fracs))
    rooms = [unit.room << (max(own) - unit.bias_frac) for unit, own in zip(units, fracs, strict=True) if unit.room]
    lows, highs = ([int(end(each)) for each in biases] for end in (np.min, np.max))
    builder = ProgramBuilder()
    least, most = zip(*(unit.total for unit in units), strict=True)
    total = _input(builder, "sum", min(-1, *least), max(1, *most))
    bias = _input(
        builder, "bias", min([*lows, *(-room for room in rooms)]), max([*highs, *(room - 1 for room in rooms)])
    )
    choice = _input(builder, "choice", 0, max(1, *numbers.values()))
    functions = _Functions(builder, units, numbers, choice, shares)
    results = [*zip(groups, functions.functions(groups, total, bias), strict=True)]
    last = len(units) - 1
    kept = functions.result(results, lambda way: way.unit != last) if last else total
    given = functions.result(results, lambda way: way.unit == last)
    given = builder.apply(ops.Shift(np.array([-frac_of(units[-1].kind)], dtype=np.int64)), given)
    return TokenFunction(simplify(builder.program([("stored", kept), ("given", given)])), fracs, biases, choices)


def _input(builder: ProgramBuilder, name: str, lo: int, hi: int) -> Value:
    zero = np.zeros(1, dtype=np.int64)
    return builder.apply(ops.Input(name, (1,), zero, objects([lo]), objects([hi]), Rounding.TRN, Overflow.WRAP, ()))


def _cast(frac: int, lo: int, hi: int, overflow: Overflow, rounding: Rounding = Rounding.TRN) -> ops.Cast:
    return ops.Cast(np.array([frac], dtype=np.int64), objects([lo]), objects([hi]), rounding, overflow)


def biases_of(unit: Unit, fracs: Sequence[int]) -> Ints:
    """The biases of a unit, each with so many fractional bits."""
    values = [raw and raw << (frac - unit.bias_frac) for raw, frac in zip(unit.bias.tolist(), fracs, strict=True)]
    return objects(np.array(values, dtype=np.object_))


@dataclass(frozen=True, slots=True)
class _Functions:
    builder: ProgramBuilder
    units: Sequence[Unit]
    numbers: Numbers
    choice: Value
    shares: bool

    def functions(self, groups: Sequence[Group], total: Value, bias: Value) -> list[Value]:
        """The results of the ways of each group, as raw values."""
        running = {index: self._function(group, total, bias) for index, group in enumerate(groups)}
        results, products = dict[int, Value](), dict[int, Value]()
        while running:
            wanted = dict[int, _Product]()
            for index, function in [*running.items()]:
                try:
                    wanted[index] = function.send(products.get(index))
                except StopIteration as end:
                    results[index] = end.value
                    del running[index]
            products = dict(zip(wanted, self._multiplied([*wanted.values()]), strict=True))
        return [results[index] for index in range(len(groups))]

    def _function(self, group: Group, total: Value, bias: Value) -> Generator[_Product, Value | None, Value]:
        """The results of the ways of a group; products are asked for where groups share these."""
        numbers = [self.numbers[way.unit, way.function] for way in group.ways]
        units = [self.units[way.unit] for way in group.ways]
        columns = iter([dict(zip(numbers, each, strict=True)) for each in zip(*group.parameters, strict=True)])
        added = self._moved(bias, -group.bias_frac) if any(bool(np.any(unit.bias != 0)) for unit in units) else None
        values = [total]
        for index, step in enumerate(group.ways[0].steps):
            if isinstance(step, Following) and self.shares and isinstance(step.op, ops.Mul):
                product = yield _Product(values[step.values[0]], next(columns), group.fracs[index][0])
                assert product is not None, "what was asked for"
                values.append(product)
                continue
            if isinstance(step, Following):
                values.append(self._applied(values, step, group, index, columns))
                continue
            places = {number: -fewer for number, fewer in next(columns).items()}
            those = (way.steps[index] for way in group.ways)
            bounds = [one.bound for one in those if isinstance(one, Moved)]
            values.append(self._shifted(values[step.value], places, [*zip(numbers, bounds, strict=True)]))
            if index == 0 and added is not None:
                values[-1] = self.builder.apply(ops.Add(), values[-1], added)
        return values[-1]

    def _multiplied(self, products: Sequence[_Product]) -> list[Value]:
        """The products, of which one is wanted at a time: by one multiplier of raw values, but for constants."""
        shared = [one for one in products if len({*one.factors.values()}) > 1]
        if len(shared) > 1:
            wholes = [(set(one.factors), self._moved(one.value, frac_of(one.value.type))) for one in shared]
            factors = {number: factor for one in shared for number, factor in one.factors.items()}
            raw = self.builder.apply(ops.Mul(), self._chosen(wholes), self._parameter(factors, 0))

        def multiplied(one: _Product) -> Value:
            if len(shared) < 2 or one not in shared:
                return self.builder.apply(ops.Mul(), one.value, self._parameter(one.factors, one.frac))
            return self._moved(self._known(raw, 0, [one.reach]), -frac_of(one.value.type) - one.frac)

        return [multiplied(one) for one in products]

    def _applied(
        self, values: Sequence[Value], step: Following, group: Group, index: int, columns: Iterator[Mapping[int, int]]
    ) -> Value:
        """The result of a step on ``values``, with limits, constants or the place of a table of ``columns``."""
        if step.clamps:
            return self._clamped(values[step.values[0]], step.op, next(columns), next(columns))
        if isinstance(step.op, ops.Table):
            value = values[step.values[0]]
            last = step.op.first + step.op.values.shape[-1] - 1
            value = self.builder.apply(_cast(0, step.op.first, last, Overflow.SAT), value)
            places = next(columns)
            if any(places.values()):
                value = self.builder.apply(ops.Add(), value, self._parameter(places, 0))
            entries = objects(np.array(group.tables[index], dtype=np.object_))
            return self.builder.apply(replace(step.op, values=entries), value)
        fracs = iter(group.fracs[index])
        args = (
            self._parameter(next(columns), next(fracs)) if isinstance(one, ops.Const) else values[one]
            for one in step.operands
        )
        return self.builder.apply(step.op, *args)

    def result(self, results: Sequence[tuple[Group, Value]], takes: Callable[[Way], bool]) -> Value:
        """The raw value of the result, of those of all groups, for the ways that it ``takes``."""
        ways = [([way for way in group.ways if takes(way)], value) for group, value in results]
        chosen = [
            ({self.numbers[way.unit, way.function] for way in members}, value) for members, value in ways if members
        ]
        kinds = [self.units[way.unit].kind for members, _ in ways for way in members]
        return self._known(self._chosen(chosen), 0, [Span(0, *kind.raw_range) for kind in kinds])

    def _moved(self, value: Value, amount: int) -> Value:
        return self.builder.apply(ops.Shift(np.array([amount], dtype=np.int64)), value)

    def _shifted(self, value: Value, amounts: Mapping[int, int], known: Sequence[tuple[int, Span]]) -> Value:
        """``value`` times two to the power of the amount of the choice; results are ``known`` to be in the bound of a choice."""
        distinct = sorted(set(amounts.values()))
        least, span = distinct[0], distinct[-1] - distinct[0]
        if span.bit_length() >= len(distinct) - 1:
            moved = []
            for amount in distinct:
                members = {number for number, one in amounts.items() if one == amount}
                own = [bound for number, bound in known if number in members]
                other = self._moved(value, amount)
                moved.append((members, self._known(other, frac_of(other.type), own)))
            return self._chosen(moved)
        value = self._moved(value, least)
        for bit in range(span.bit_length()):
            members = {number for number, amount in amounts.items() if (amount - least) >> bit & 1}
            chosen = self._chosen([(members, self._moved(value, 1 << bit)), (set(), value)])
            value = self._known(chosen, frac_of(chosen.type), [bound for _, bound in known])
        return value

    def _chosen(self, values: Sequence[tuple[Set[int], Value]]) -> Value:
        """The value of the choice, of those for some choices each, the last for all others."""
        *others, (_, value) = values
        for members, other in others:
            flags = self._looked_up([int(number in members) for number in range(self._choices)], 0)
            value = self.builder.apply(ops.Select(), flags, other, value)
        return value

    @property
    def _choices(self) -> int:
        return self.choice.type.span.hi + 1

    def _looked_up(self, values: Sequence[int], frac: int) -> Value:
        """The value of the choice."""
        table = ops.Table(0, objects(np.array(values, dtype=np.object_)), np.array([frac], dtype=np.int64))
        return self.builder.apply(table, self.choice)

    def _parameter(self, values: Mapping[int, int], frac: int) -> Value:
        """The raw value of the choice, of those for some choices."""
        some = next(iter(values.values()))
        if len(set(values.values())) == 1:
            return self.builder.const(some, frac)
        return self._looked_up([values.get(number, some) for number in range(self._choices)], frac)

    def _clamped(self, value: Value, op: ops.Op, lows: Mapping[int, int], highs: Mapping[int, int]) -> Value:
        """``value`` rounded as ``op`` does, between limits."""
        if not isinstance(op, ops.Cast):
            raise AssertionError(f"{op} is not a cast")
        if len(set(lows.values())) > 1 or len(set(highs.values())) > 1:
            beyond = 1 << max(64, 2 * value.type.max_width + 64)
            value = self.builder.apply(_cast(0, -beyond, beyond - 1, Overflow.WRAP, op.rounding), value)
            if len(set(highs.values())) > 1:
                value = self.builder.apply(ops.Min(), value, self._parameter(highs, 0))
            if len(set(lows.values())) > 1:
                value = self.builder.apply(ops.Max(), value, self._parameter(lows, 0))
        limits = min(lows.values()), max(highs.values())
        return self.builder.apply(_cast(0, *limits, Overflow.SAT, op.rounding), value)

    def _known(self, value: Value, frac: int, bounds: Sequence[Span]) -> Value:
        """``value``, whose raw values with ``frac`` are known to be in one of ``bounds``: bits are left out."""
        least, most = zip(*(bound.raw(frac) for bound in bounds), strict=True)
        lo, hi = min(least), max(most)
        bits = max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0)
        return self.builder.apply(_cast(frac, -(1 << bits) if lo < 0 else 0, (1 << bits) - 1, Overflow.WRAP), value)
