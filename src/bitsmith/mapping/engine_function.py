"""The token function of an engine: what is done to the sums of all its layers, in one circuit.

Raw values have no fractional bits. Layers that do the same but for places of the binary point share a circuit: their sums
are shifted to one place first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.engine_units import Following, Unit, frac_of
from bitsmith.passes import simplify


@dataclass(frozen=True, slots=True, eq=False)
class TokenFunction:
    """The program of an `Engine`, and the biases of its layers in the units in which it takes them."""

    program: Program
    biases: tuple[Ints, ...]


def token_function(units: Sequence[Unit]) -> TokenFunction:
    """The function for ``units`` in turn."""
    groups = _groups(units)
    fracs = {number: _bias_frac(units, group) for group in groups for number in group}
    biases = tuple(
        objects(unit.bias << (fracs[number] + frac_of(unit.kind) - unit.bias_frac)) for number, unit in enumerate(units)
    )
    builder = ProgramBuilder()
    least, most = zip(*(unit.total.raw_range for unit in units), strict=True)
    total = _input(builder, "sum", min(-1, *least), max(1, *most))
    bias = _input(builder, "bias", min(int(each.min()) for each in biases), max(int(each.max()) for each in biases))
    layer = _input(builder, "layer", 0, max(len(units) - 1, 1))
    made = _Functions(builder, units, total, bias, layer)
    results = [(group, made.function(group, fracs[group[0]])) for group in groups]
    *inner, (_, given) = results
    kept = made.chosen(inner) if inner else total
    given = builder.apply(ops.Shift(np.array([-frac_of(units[-1].kind)], dtype=np.int64)), given)
    return TokenFunction(simplify(builder.program([("stored", kept), ("given", given)])), biases)


def _input(builder: ProgramBuilder, name: str, lo: int, hi: int) -> Value:
    zero = np.zeros(1, dtype=np.int64)
    return builder.apply(ops.Input(name, (1,), zero, objects([lo]), objects([hi]), Rounding.TRN, Overflow.WRAP))


def _cast(frac: int, lo: int, hi: int, overflow: Overflow) -> ops.Cast:
    return ops.Cast(np.array([frac], dtype=np.int64), objects([lo]), objects([hi]), Rounding.TRN, overflow)


def _groups(units: Sequence[Unit]) -> list[list[int]]:
    """Numbers of units that do the same to their sums; the last one's is by itself, at the end."""
    found: dict[object, list[int]] = {}
    for number, unit in enumerate(units[:-1]):
        key = tuple((one.op.key(), one.frac, one.const and one.const.key(), one.is_first) for one in _centered(unit))
        found.setdefault((key, bool(np.any(unit.bias != 0))), []).append(number)
    return [*found.values(), [len(units) - 1]]


def _centered(unit: Unit) -> tuple[Following, ...]:
    """What is done to sums, if the result is taken to have no fractional bits."""
    return tuple(_moved(one, frac_of(unit.kind)) for one in unit.following)


def _moved(one: Following, by: int) -> Following:
    const = one.const
    if const is not None and not isinstance(one.op, ops.Mul):
        const = replace(const, frac=const.frac - by)
    frac = one.frac - by if isinstance(one.op, ops.Table) else 0
    if isinstance(one.op, ops.Cast | ops.Table):
        return Following(replace(one.op, frac=one.op.frac - by), frac, const, one.is_first)
    return Following(one.op, 0, const, one.is_first)


def _bias_frac(units: Sequence[Unit], group: Sequence[int]) -> int:
    """Fractional bits of the biases of a group, whose results have none."""
    return max(units[number].bias_frac - frac_of(units[number].kind) for number in group)


@dataclass(frozen=True, slots=True)
class _Functions:
    builder: ProgramBuilder
    units: Sequence[Unit]
    total: Value
    bias: Value
    layer: Value

    def function(self, group: Sequence[int], bias_frac: int) -> Value:
        """The results of the units of a group, as raw values."""
        value = self._aligned(group)
        if any(bool(np.any(self.units[number].bias != 0)) for number in group):
            bias = self.builder.apply(ops.Shift(np.array([-bias_frac], dtype=np.int64)), self.bias)
            value = self.builder.apply(ops.Add(), value, bias)
        for one in _centered(self.units[group[0]]):
            if isinstance(one.op, ops.Table):
                value = self._within(one.op, one.frac, value)
            args = [value] if one.const is None else [value, self.builder.apply(one.const)]
            value = self.builder.apply(one.op, *(reversed(args) if one.is_first else args))
        kinds = [self.units[number].kind for number in group]
        return self._known(value, 0, kinds)

    def _aligned(self, group: Sequence[int]) -> Value:
        """The sum, its binary point where the unit has it."""
        places: dict[int, list[int]] = {}
        for number in group:
            unit = self.units[number]
            places.setdefault(frac_of(unit.total) - frac_of(unit.kind), []).append(number)
        shifted = []
        for frac, members in places.items():
            value = self.builder.apply(ops.Shift(np.array([-frac], dtype=np.int64)), self.total)
            shifted.append((members, self._known(value, frac, [self.units[number].total for number in members])))
        return self.chosen(shifted)

    def chosen(self, values: Sequence[tuple[Sequence[int], Value]]) -> Value:
        """The value of the layer, of those that layers have."""
        *others, (_, value) = values
        for members, other in others:
            flags = [int(number in members) for number in range(self.layer.type.span.hi + 1)]
            table = ops.Table(0, objects(flags), np.zeros(1, dtype=np.int64))
            value = self.builder.apply(ops.Select(), self.builder.apply(table, self.layer), other, value)
        return value

    def _known(self, value: Value, frac: int, kinds: Sequence[TensorType]) -> Value:
        """``value``, whose raw values with ``frac`` are known to be of ``kinds``: bits are left out."""
        least, most = zip(*(kind.raw_range for kind in kinds), strict=True)
        lo, hi = min(least), max(most)
        bits = max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0)
        return self.builder.apply(_cast(frac, -(1 << bits) if lo < 0 else 0, (1 << bits) - 1, Overflow.WRAP), value)

    def _within(self, table: ops.Table, frac: int, value: Value) -> Value:
        """``value``, which is known to have an entry, with as many fractional bits as ``table`` takes."""
        last = table.first + table.values.shape[-1] - 1
        return self.builder.apply(_cast(frac, table.first, last, Overflow.SAT), value)
