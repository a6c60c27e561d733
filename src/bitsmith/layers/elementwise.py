"""Functions of one variable that need no table, or a table of one period: magnitude, sign, integers, sine."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.enclosure import Enclosure
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Unary
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.tables import Function, tabulated
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_PHASE_GUARD_BITS = 3
_MOST_TURNS = 256


class Whole(enum.Enum):
    """Ways to an integer."""

    FLOOR = "floor"
    CEIL = "ceil"
    TRUNC = "trunc"
    ROUND = "round"
    """Halves to the even neighbor."""


class Wave(enum.Enum):
    """Periodic functions."""

    SIN = "sin"
    COS = "cos"


@dataclass(frozen=True, slots=True, eq=False)
class Absolute(Unary):
    """``|x|``."""

    traits: ClassVar[Traits] = computed(Scales.POSITIVE, Exactness.EXACT, elementwise=True, affine=False)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        (x,) = operands
        return Enclosure(np.maximum(np.maximum(x.least, -x.most), 0.0), x.magnitude, x.error)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.abs(inputs[0])

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(lowering.builder.abs(inputs[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Sign(Unary):
    """-1, 0 or 1."""

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def turning(self, least: float, most: float) -> tuple[float, ...]:
        return ()

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.sign(inputs[0])

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, zero = lowering.builder, lowering.builder.const(0)
        above = builder.compare(inputs[0], Relation.GT, zero)
        return lowering.result(builder.sub(above, builder.compare(inputs[0], Relation.LT, zero)))


@dataclass(frozen=True, slots=True, eq=False)
class WholeNumber(Unary):
    """``x`` rounded to an integer, ``way`` says how."""

    way: Whole

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True

    def turning(self, least: float, most: float) -> tuple[float, ...]:
        return ()

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        functions = {Whole.FLOOR: np.floor, Whole.CEIL: np.ceil, Whole.TRUNC: np.trunc, Whole.ROUND: np.rint}
        return np.asarray(functions[self.way](inputs[0]), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        modes = {
            Whole.FLOOR: Rounding.TRN,
            Whole.CEIL: Rounding.TRN,
            Whole.TRUNC: Rounding.TRN_ZERO,
            Whole.ROUND: Rounding.RND_CONV,
        }
        if self.way is Whole.CEIL:
            x = builder.neg(x)
        frac = np.minimum(x.type.frac, 0)
        lo, hi = rounded_range(x.type, frac, modes[self.way])
        x = builder.cast_to(x, frac, lo, hi, modes[self.way], Overflow.SAT)
        return lowering.result(builder.neg(x) if self.way is Whole.CEIL else x)


@dataclass(frozen=True, slots=True, eq=False)
class Sinusoid(Unary):
    """The sine or cosine of ``x``, by a table of one period; as accurate far from 0 as near it."""

    wave: Wave

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=True, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("table", "result")
    options: ClassVar[frozenset[str]] = frozenset({"table_size", "binning"})
    bounded: ClassVar[bool] = True

    def turning(self, least: float, most: float) -> tuple[float, ...] | None:
        quarter = math.pi / 2.0
        if most - least > _MOST_TURNS:
            return None
        return tuple(quarter * k for k in range(math.floor(least / quarter), math.ceil(most / quarter) + 1))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return {Wave.SIN: np.sin, Wave.COS: np.cos}[self.wave](inputs[0])

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        fmt = lowering.format("result")
        frac = lowering.result_frac() if fmt is None else fmt.frac
        # A turn is 2 pi, so that an error of the angle counts 2 pi times: three bits.
        kept = max(frac, 1) + _PHASE_GUARD_BITS + 1
        places = kept + max(math.ceil(math.log2(max(abs(bound) for bound in x.type.real_range()) + 1.0)), 0) + 1
        turns = builder.mul(x, builder.const(_inverse_turn(places), places))
        phase = builder.cast_to(turns, kept, 0, (1 << kept) - 1, Rounding.RND, Overflow.WRAP)
        wave = {Wave.SIN: np.sin, Wave.COS: np.cos}[self.wave]
        table = Function(
            self.wave.value, lambda t: np.asarray(wave(2.0 * math.pi * t), dtype=np.float64), (0.25, 0.5, 0.75)
        )
        return lowering.result(tabulated(lowering, phase, table, frac + 2))


_INVERSE_TURN = 0x28BE60DB9391054A7F09D5F47D4D377036D8A5664F10E410
"""``2**192 / (2 * pi)``, rounded down (computed by Machin's formula, as the tests do)."""


def _inverse_turn(places: int) -> int:
    """``1 / (2 * pi)`` in steps of ``2**-places``.

    Raises:
        UnsupportedError: more than are known.
    """
    if places > 192:
        raise UnsupportedError(f"a sine of {places} bits of its angle", accepted="at most 192")
    return _INVERSE_TURN >> (192 - places)


EXAMPLES = (
    Example(Sinusoid(Wave.SIN), ((2,),)),
    Example(Absolute(), ((2,),)),
    Example(Sign(), ((2,),)),
    Example(WholeNumber(Whole.ROUND), ((2,),)),
)
