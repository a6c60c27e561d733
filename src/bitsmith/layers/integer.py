"""Arithmetic of integers of the frameworks: what does not fit wraps around, and quotients have no fraction."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects, width_of
from bitsmith.layers.division import whole_quotient
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, Unary
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import aligned, broadcast
from bitsmith.layers.traits import Exactness, Scales, Traits, computed


@dataclass(frozen=True, slots=True, eq=False)
class Wrap(Unary):
    """Integers in so many ``bits``, ``signed`` ones as two's complement: of others the upper bits are lost.

    An operand that may leave the limits of ``defined`` is an error: frameworks make different integers of such numbers.
    """

    bits: int
    signed: bool
    defined: tuple[int, int] | None

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x, count, least = np.floor(inputs[0]), 2.0**self.bits, -(2.0 ** (self.bits - 1)) if self.signed else 0.0
        wrapped = np.mod(x - least, count) + least  # which loses the last bits of integers of more than 53
        return np.asarray(np.where((x >= least) & (x < least + count), x, wrapped), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        least, greatest = inputs[0].type.real_range()
        if self.defined is not None and not self.defined[0] <= least <= greatest <= self.defined[1]:
            kind = f"{'' if self.signed else 'u'}int{self.bits}"
            raise RangeError(
                f"a cast of {least:g}..{greatest:g} to {kind}, of which versions of frameworks make different integers",
                accepted=f"numbers within {self.defined[0]}..{self.defined[1]}",
                remedy="clip them in the model, or give the layer in front a `result` precision within these limits",
            )
        fmt = FixedFormat(self.signed, self.bits, 0, Rounding.TRN, Overflow.WRAP)
        return lowering.cast("result", lowering.builder.cast(inputs[0], fmt))


@dataclass(frozen=True, slots=True, eq=False)
class WholeQuotient(Layer):
    """The first input over the second as an integer, ``way`` says which. Exact; that by a variable 0 is some number."""

    way: Whole

    traits: ClassVar[Traits] = replace(
        computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False), total=False
    )
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if self.way is Whole.ROUND:
            raise UnsupportedError("a quotient rounded to the nearest", accepted="down, up or towards 0")
        return broadcast(inputs, self.kind, exactly=2)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x, y = aligned(inputs)
        with np.errstate(all="ignore"):
            if self.way is Whole.CEIL:
                result = -np.floor_divide(-x, y)
            elif self.way is Whole.FLOOR:
                result = np.floor_divide(x, y)
            else:
                result = np.sign(x) * np.sign(y) * np.floor_divide(np.abs(x), np.abs(y))
        return np.asarray(result + 0.0, dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """The quotient of the magnitudes, with a sign, and one further away from 0 where that is what ``way`` says."""
        builder, zero = lowering.builder, lowering.builder.const(0)
        x, y = _integers(builder, inputs)
        size, divisor = builder.abs(x), builder.abs(y)
        if bool(np.any(divisor.type.hi == 0)):
            raise RangeError("an integer divided by 0", accepted="divisors that are not 0 throughout")
        if divisor.type.is_constant:
            every = builder.broadcast(size, np.broadcast_shapes(size.shape, divisor.shape))
            quotient = whole_quotient(builder, every, objects(divisor.type.lo << -objects(divisor.type.frac)))
        else:
            quotient = _long_quotient(builder, size, divisor)
        if self.way is not Whole.TRUNC:
            rest = builder.sub(size, builder.mul(quotient, divisor))
            further = builder.add(quotient, builder.compare(rest, Relation.NE, zero))
        if all(value.type.span.lo >= 0 for value in (x, y)):
            return lowering.result(further if self.way is Whole.CEIL else quotient)
        below = builder.compare(
            builder.compare(x, Relation.LT, zero), Relation.NE, builder.compare(y, Relation.LT, zero)
        )
        above = further if self.way is Whole.CEIL else quotient
        return lowering.result(
            builder.select(below, builder.neg(further if self.way is Whole.FLOOR else quotient), above)
        )


def _integers(builder: ProgramBuilder, values: Sequence[Value]) -> list[Value]:
    """The values in steps of which both have integers."""
    frac = max(value.type.span.frac for value in values)
    halves = []
    for value in values:
        up = objects(frac - value.type.frac)
        lo, hi = objects(value.type.lo << up), objects(value.type.hi << up)
        halves.append(builder.shift(builder.cast_to(value, frac, lo, hi, Rounding.TRN, Overflow.SAT), frac))
    return halves


def _long_quotient(builder: ProgramBuilder, x: Value, y: Value) -> Value:
    """``floor(x / y)`` for integers from 0 on, bit by bit, without restoring: ``y`` is added where too much was taken away.

    So a bit takes one addition, whose second operand is chosen in the same look-up tables.
    """
    greatest, (least, most) = x.type.span.hi, (y.type.span.lo, y.type.span.hi)
    rest, quotient, taken = x, builder.const(0), builder.neg(y)
    for bit in reversed(range((greatest // max(least, 1)).bit_length())):
        scaled = builder.shift(rest, -bit)  # of the two that have all elements, so that those of y are repeated once
        left = builder.add(scaled, taken)
        fits = builder.compare(left, Relation.GE, builder.const(0))
        limit = 1 << ((most << bit) - 1).bit_length()
        kept = builder.cast_to(left, bit, -limit, limit - 1, Rounding.TRN, Overflow.WRAP)
        rest, taken = builder.shift(kept, bit), builder.select(fits, builder.neg(y), y)
        quotient = builder.add(quotient, builder.shift(fits, bit))
    return quotient


class Bits(enum.Enum):
    """Logical operations on each bit."""

    AND = "and"
    OR = "or"
    XOR = "xor"


@dataclass(frozen=True, slots=True, eq=False)
class Bitwise(Layer):
    """The ``operation`` on the bits of two integers in two's complement."""

    operation: Bits

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind, exactly=2)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        function = {Bits.AND: np.bitwise_and, Bits.OR: np.bitwise_or, Bits.XOR: np.bitwise_xor}[self.operation]
        x, y = (np.floor(values).astype(np.int64) for values in aligned(inputs))
        return np.asarray(function(x, y), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, spans = lowering.builder, [value.type.span for value in inputs]
        least, greatest = min(span.least for span in spans), max(span.greatest for span in spans)
        count = max(width_of(math.floor(least), math.floor(greatest)), 1)
        result = builder.const(0)
        for bit in range(count):
            x, y = (builder.cast_to(value, -bit, 0, 1, Rounding.TRN, Overflow.WRAP) for value in inputs)
            plane = self._of_bits(builder, x, y, bit)
            negative = least < 0 and bit == count - 1
            result = builder.sub(result, plane) if negative else builder.add(result, plane)
        return lowering.result(result)

    def _of_bits(self, builder: ProgramBuilder, x: Value, y: Value, bit: int) -> Value:
        match self.operation:
            case Bits.AND:
                return builder.min(x, y)
            case Bits.OR:
                return builder.max(x, y)
            case Bits.XOR:
                return builder.shift(builder.compare(x, Relation.NE, y), bit)


_INTEGERS = FixedFormat(True, 5, 0, Rounding.RND, Overflow.SAT)

EXAMPLES = (
    Example(Bitwise(Bits.XOR), ((2, 3), (2, 3)), _INTEGERS),
    Example(Wrap(3, signed=True, defined=None), ((3,),), _INTEGERS),
    Example(WholeQuotient(Whole.FLOOR), ((2, 3), (2, 3))),
)
