"""Quantization as core ops: a cast where the grid is one of powers of two, else the smallest exact multiplication.

A quantizer of an operand with finitely many values is a staircase. ``floor((x * m + c) / 2**k)`` is the same staircase for
suitable integers ``m``, ``c`` and ``k``, which :mod:`bitsmith.layers.quantization.multiplication` finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.rounding import rounded_exactly
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects, width_of
from bitsmith.layers.quantization.multiplication import Steps, multiplied, roundest
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals, binary_exponents

_FEW_VALUES = 64
"""Operands with no more values than that are looked up: a bit of the result is one look-up table of a device then."""

_TABLE_VALUES = 4096
"""Most values of an operand for which a table stands in where no multiplication is exact."""

MOST_STEPS = 1 << 17

FACTOR_BITS = 18
"""The widest factor that multiplier blocks of all families take but the smallest: a program is one for all parts."""

_SAVED_BITS, _SHARE = 2, 4
"""A factor is saturated before a product if that saves so many bits; a share of those left if these are too many for a block."""

_HALF = Fraction(1, 2)

_LATER = (Overflow.WRAP, Overflow.SAT_ZERO)
"""Overflow of codes out of range, applied after all codes are known."""


def quantized_values(builder: ProgramBuilder, x: Value, quantizer: Quantizer) -> Value:
    """``x`` on the grid: codes times steps.

    Raises:
        UnsupportedError: as :func:`quantized`.
    """
    fracs = quantizer.fracs
    if fracs is not None and quantizer.keeps_scale:
        return builder.cast_to(x, fracs, quantizer.lo, quantizer.hi, quantizer.rounding, quantizer.overflow)
    return times(builder, quantized(builder, x, quantizer), quantizer.step)


def quantized(builder: ProgramBuilder, x: Value, quantizer: Quantizer) -> Value:
    """The codes of ``x``: integers, with ``frac`` 0.

    Raises:
        UnsupportedError: a staircase that is neither a multiplication nor small enough for a table.
    """
    fracs = quantizer.fracs
    if fracs is not None:
        on_grid = builder.cast_to(x, fracs, quantizer.lo, quantizer.hi, quantizer.rounding, quantizer.overflow)
        return builder.shift(on_grid, fracs)
    codes = _requantized(builder, x, quantizer)
    if quantizer.overflow is Overflow.SAT:
        return codes
    return builder.cast_to(codes, 0, quantizer.lo, quantizer.hi, Rounding.TRN, quantizer.overflow)


def times(builder: ProgramBuilder, x: Value, factor: Rationals) -> Value:
    """``x * factor``; a factor that is not a binary number has 53 bits."""
    exponents = binary_exponents(factor)
    if exponents is not None:
        return builder.shift(x, exponents) if np.any(exponents) else x
    return builder.mul(x, constant(builder, factor))


def constant(builder: ProgramBuilder, values: Rationals) -> Value:
    """Fractions as a constant; those that are not binary numbers have 53 bits."""
    parts = [_binary(value) for value in values.ravel()]
    raw = np.array([raw for raw, _ in parts], dtype=np.object_).reshape(values.shape)
    return builder.const(raw, np.array([frac for _, frac in parts], dtype=np.int64).reshape(values.shape))


def _binary(value: Fraction) -> tuple[int, int]:
    """``raw`` and ``frac`` of a binary number, or of the nearest one of 53 bits."""
    if _is_binary(value):
        return value.numerator, value.denominator.bit_length() - 1
    frac = 53 - math.frexp(float(value))[1]
    return round(value * Fraction(2) ** frac), frac


@dataclass(frozen=True, slots=True)
class Staircase:
    """A quantizer on the raw values ``least..most`` of one element: ``round(x * factor + offset)``, codes within ``lo..hi``."""

    factor: Fraction
    offset: Fraction
    least: int
    most: int
    lo: int
    hi: int
    rounding: Rounding

    def code(self, raw: int) -> int:
        """The code of one value."""
        return min(max(rounded_exactly(raw * self.factor + self.offset, self.rounding), self.lo), self.hi)

    @property
    def is_long(self) -> bool:
        """Return True if there are more steps than are looked at."""
        return abs(self.code(self.most) - self.code(self.least)) > MOST_STEPS

    def rising(self) -> Staircase:
        """The same of ``-x``, if it falls."""
        if self.factor > 0:
            return self
        return Staircase(-self.factor, self.offset, -self.most, -self.least, self.lo, self.hi, self.rounding)

    def steps(self) -> tuple[Ints, Ints]:
        """The codes that begin within the range, in order, and from which raw value on each is reached."""
        first, last = self.code(self.least), self.code(self.most)
        if self.is_long:
            raise UnsupportedError(
                f"a quantizer whose operand spans {last - first} steps of a scale that is not a power of two",
                accepted=f"at most {MOST_STEPS}",
            )
        codes = np.array(range(first + 1, last + 1), dtype=np.object_)
        return codes, _starts(codes, self)

    def span(self) -> tuple[int, int]:
        """The raw values below and above which all have one code."""
        if self.is_long:
            return self.least, self.most
        rising = self.rising()
        least, most = rising.code(rising.least), rising.code(rising.most)
        if least == most:
            return self.least, self.least
        first, last = _starts(objects([least + 1, most]), rising)
        first, last = int(first) - 1, int(last)
        return (first, last) if rising is self else (-last, -first)


def _starts(codes: Ints, of: Staircase) -> Ints:
    """The least raw value with each code or a greater one, for a factor above 0."""
    halves, opens = _edges(codes, of.rounding)
    (a, b), (p, q) = of.factor.as_integer_ratio(), of.offset.as_integer_ratio()
    # x * a / b + p / q >= halves / 2
    numerator, denominator = (halves * q - 2 * p) * b, 2 * q * a
    starts = objects(-(-numerator // denominator))
    return objects(starts + ((starts * denominator == numerator) & opens))


def _edges(codes: Ints, rounding: Rounding) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Twice the number from which on each code is reached, and whether that number itself still has the code before it."""
    no = np.zeros(codes.shape, dtype=bool)
    match rounding:
        case Rounding.TRN:
            return 2 * codes, no
        case Rounding.TRN_ZERO:
            above = codes > 0
            return objects(np.where(above, 2 * codes, 2 * codes - 2)), ~above.astype(bool)
        case Rounding.RND:
            opens = no
        case Rounding.RND_MIN_INF:
            opens = ~no
        case Rounding.RND_CONV:
            opens = (codes % 2 == 1).astype(bool)
        case Rounding.RND_INF:
            opens = (codes < 1).astype(bool)
        case Rounding.RND_ZERO:
            opens = (codes > 0).astype(bool)
    return objects(2 * codes - 1), opens


@dataclass(frozen=True, slots=True)
class _Multiplication:
    """``floor((x * factor + term) / 2**drop)``."""

    factor: int
    term: int
    drop: int


@lru_cache(maxsize=4096)
def _multiplication(of: Staircase) -> _Multiplication | None:
    """The multiplication of fewest bits that is the same on the whole range; None if there is none."""
    rising = of.rising()
    if of.is_long and _is_binary(of.factor) and _is_binary(of.offset):
        return None  # which is a multiplication as it is
    codes, starts = rising.steps()
    if not codes.size:
        return _Multiplication(0, of.code(of.least), 0)
    # What is not a tie is at least 1 / (2 * finest) away from one, so that this many bits do wherever ties are not in the way.
    finest = math.lcm(rising.factor.denominator, rising.offset.denominator)
    drops = (rising.most - rising.least).bit_length() + max(finest, int(codes[-1] - codes[0])).bit_length() + 4
    product = multiplied(rising.factor, drops, [Steps.of(rising, codes, starts, rising.least, rising.most)])
    if product is None:
        return None
    factor, drop, (bounds,) = product
    return _Multiplication(factor if rising is of else -factor, roundest(*bounds, drop + 1), drop)


def _requantized(builder: ProgramBuilder, x: Value, quantizer: Quantizer) -> Value:
    """The codes by a grid of any scale, saturated unless they wrap."""
    axes, wraps = alike(x, quantizer.shape), quantizer.overflow in _LATER
    x = builder.aligned(x, axes)
    steps = _staircases(x.type.union(axes), quantizer)
    every: set[Staircase] = set(steps.ravel())
    widest = max(each.most for each in every) - min(each.least for each in every)
    if widest < _FEW_VALUES:
        return _looked_up(builder, x, steps)
    found = {each: _multiplication(each) for each in every}
    fracs = np.broadcast_to(objects(x.type.frac), np.broadcast_shapes(x.type.frac.shape, steps.shape))
    if all(each is not None for each in found.values()):
        parts = [_parts(found[each]) for each in steps.ravel()]
        rounding = Rounding.TRN
    elif all(_is_binary(each.factor) and _is_binary(each.offset) for each in every):
        parts = [(*_binary(each.factor), *_binary(each.offset)) for each in steps.ravel()]
        rounding = quantizer.rounding
    elif widest < _TABLE_VALUES:
        return _looked_up(builder, x, steps)
    elif quantizer.rounding is Rounding.RND_CONV or (quantizer.rounding in _SIDES and not wraps):
        return builder.add(*(_requantized(builder, x, part) for part in _addends(quantizer)))
    else:
        raise UnsupportedError(
            "a quantizer whose ties no multiplication rounds as it does",
            accepted=f"operands of at most {_TABLE_VALUES} values, scales that are powers of two, or another rounding",
        )
    factor, drop, term, places = (_like(steps, column) for column in zip(*parts, strict=True))
    spans = {each: each.span() for each in every}
    x = saturated(builder, x, *(_like(steps, [spans[each][end] for each in steps.ravel()]) for end in (0, 1)))
    total = builder.add(builder.mul(x, builder.const(factor, drop - fracs)), builder.const(term, places))
    lo, hi = _like(steps, [each.lo for each in steps.ravel()]), _like(steps, [each.hi for each in steps.ravel()])
    return builder.cast_to(total, 0, lo, hi, rounding, Overflow.SAT)


def saturated(builder: ProgramBuilder, x: Value, low: Ints, high: Ints) -> Value:
    """``x`` in the fewest bits for its raw values ``low..high``, if that saves some; of others only the side counts.

    All elements get one format, so that those of several channels can share a multiplier.
    """
    low, high, own = np.broadcast_arrays(low, high, objects(x.type.frac))
    counts = low < high
    if not bool(np.any(counts)):
        return x
    frac = int(own[counts].max())
    least, most = (int(limit(part[counts] << objects(frac - own[counts]))) for limit, part in ((min, low), (max, high)))
    bits = width_of(least, most)
    lowest = -(1 << bits - 1) if least < 0 else 0
    wide = np.broadcast_to(x.type.width, np.broadcast_shapes(x.type.width.shape, counts.shape))
    saved = int(wide[np.broadcast_to(counts, wide.shape)].max()) - bits
    if saved < (_SAVED_BITS if bits <= FACTOR_BITS else bits // _SHARE):
        return x
    return builder.cast_to(x, frac, lowest, lowest + (1 << bits) - 1, Rounding.TRN, Overflow.SAT)


_SIDES = {
    Rounding.TRN_ZERO: ((Rounding.TRN, 0), (Rounding.RND_MIN_INF, _HALF)),
    Rounding.RND_INF: ((Rounding.RND, 0), (Rounding.RND_MIN_INF, 0)),
    Rounding.RND_ZERO: ((Rounding.RND_MIN_INF, 0), (Rounding.RND, 0)),
}
"""Roundings of numbers above and below 0 in place of those that look at the sign, and the number added before."""


def _addends(quantizer: Quantizer) -> tuple[Quantizer, Quantizer]:
    """Two staircases that are multiplications and add up to one that is none.

    Halves go to even codes by ``round(v) = floor((v + 1/2) / 2) + ceil((v - 1/2) / 2)``, one for the steps to even codes and one
    for those to odd codes; what looks at the sign is one staircase above 0 and one below.
    """
    scale, offset, lo, hi = quantizer.scale, quantizer.offset, objects(quantizer.lo), objects(quantizer.hi)
    overflow = quantizer.overflow
    if quantizer.rounding is Rounding.RND_CONV:
        scale, offset = scale * 2, (offset + _HALF) / 2
        even = Quantizer.uniform(scale, lo // 2, hi // 2, Rounding.TRN, overflow, offset=offset)
        return even, Quantizer.uniform(scale, -(-lo // 2), -(-hi // 2), Rounding.RND_MIN_INF, overflow, offset=offset)
    (above, more), (below, less) = _SIDES[quantizer.rounding]
    zero = lo * 0
    return (
        Quantizer.uniform(scale, np.maximum(lo, zero), np.maximum(hi, zero), above, overflow, offset=offset + more),
        Quantizer.uniform(scale, np.minimum(lo, zero), np.minimum(hi, zero), below, overflow, offset=offset + less),
    )


def alike(x: Value, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of positions that a quantizer of ``shape`` treats alike: its staircase is to be the same there."""
    rank = len(x.shape)
    own = (1,) * (rank - len(shape)) + shape
    return tuple(axis for axis in range(rank - 1) if own[axis] == 1)


def _like(steps: Ints, values: Sequence[int]) -> Ints:
    """A number for each staircase."""
    return np.array(values, dtype=np.object_).reshape(steps.shape)


def _is_binary(value: Fraction) -> bool:
    return value.denominator & (value.denominator - 1) == 0


def _parts(found: _Multiplication | None) -> tuple[int, int, int, int]:
    return (0, 0, 0, 0) if found is None else (found.factor, found.drop, found.term, found.drop)


def _staircases(x: TensorType, quantizer: Quantizer) -> Ints:
    """The staircase of each element, in as small an array as broadcasts to ``x``."""
    wraps = quantizer.overflow in _LATER
    arrays = np.broadcast_arrays(
        quantizer.scale, quantizer.offset, quantizer.lo, quantizer.hi, objects(x.frac), x.lo, x.hi
    )
    staircases = []
    for scale, offset, lo, hi, frac, least, most in zip(*(array.ravel() for array in arrays), strict=True):
        factor = Fraction(2) ** -int(frac) / scale
        if wraps:
            ends = [rounded_exactly(raw * factor + offset, quantizer.rounding) for raw in (least, most)]
            lo, hi = min(ends), max(ends)
        staircases.append(Staircase(factor, offset, int(least), int(most), int(lo), int(hi), quantizer.rounding))
    result = np.empty(len(staircases), dtype=np.object_)
    result[:] = staircases
    return result.reshape(arrays[0].shape)


def _looked_up(builder: ProgramBuilder, x: Value, steps: Ints) -> Value:
    """The codes from a table for each element, or for all."""
    every = list(steps.ravel())
    first = min(each.least for each in every)
    last = max(each.most for each in every)
    rows = {each: [each.code(raw) for raw in range(first, last + 1)] for each in set(every)}
    values = np.array([rows[each] for each in every], dtype=np.object_)
    return builder.table(x, first, values.reshape(*steps.shape, -1) if steps.size > 1 else values.reshape(-1), 0)
