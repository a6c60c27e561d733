"""Rounding and overflow of raw integers: of one, and of arrays of them, element by element.

Definitions: IEEE 1666-2011 (SystemC), 7.10.9 "Quantization modes" and 7.10.10 "Overflow modes".
"""

import math
from fractions import Fraction
from functools import partial
from typing import TypeAlias, TypeVar, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Fracs, IntArray, Ints, Overflow, Rounding, TensorType, machine, objects

_Number = TypeVar("_Number", int, Fraction, npt.NDArray[np.int64], npt.NDArray[np.float64])
_Truth: TypeAlias = bool | npt.NDArray[np.bool_]

_BITS = 61
"""Bits of numbers that machine numbers hold twice, with their sign."""

_MANY = 16
"""Elements from which on a few operations on arrays take less time than one for each element."""


def dropped(raw: int, drop: int, rounding: Rounding) -> int:
    """``raw / 2**drop`` rounded to an integer; a negative ``drop`` multiplies, which is exact."""
    if drop <= 0:
        return raw << -drop
    floor, rest = raw >> drop, raw & ((1 << drop) - 1)
    return floor + bool(_goes_up(floor, rest, 1 << (drop - 1), rounding))


def rounded_exactly(value: Fraction, rounding: Rounding) -> int:
    """``value`` rounded to an integer."""
    floor = math.floor(value)
    return floor + bool(_goes_up(Fraction(floor), value - floor, Fraction(1, 2), rounding))


def _goes_up(floor: _Number, rest: _Number, half: _Number, rounding: Rounding) -> _Truth:
    """Return True if ``rest`` beyond ``floor`` is rounded up; ``half`` is that of a tie."""
    tie_up: _Truth
    match rounding:
        case Rounding.TRN:
            return rest < 0  # never
        case Rounding.TRN_ZERO:
            return (floor < 0) & (rest > 0)
        case Rounding.RND:
            tie_up = True
        case Rounding.RND_MIN_INF:
            tie_up = False
        case Rounding.RND_ZERO:
            tie_up = floor < 0
        case Rounding.RND_INF:
            tie_up = floor >= 0
        case Rounding.RND_CONV:
            tie_up = floor % 2 == 1
        case _:
            assert_never(rounding)
    up: _Truth = (rest > half) | ((rest == half) & tie_up)
    return up


def rounded(values: npt.NDArray[np.float64], rounding: Rounding) -> npt.NDArray[np.float64]:
    """Real ``values`` rounded to integers."""
    direct = {Rounding.TRN: np.floor, Rounding.TRN_ZERO: np.trunc, Rounding.RND_CONV: np.rint}.get(rounding)
    if direct is not None:
        return np.asarray(direct(values), dtype=np.float64)
    floor, half = np.asarray(np.floor(values), dtype=np.float64), np.asarray(0.5, dtype=np.float64)
    return np.where(_goes_up(floor, values - floor, half, rounding), floor + 1.0, floor)


def folded(raw: int, lo: int, hi: int, overflow: Overflow) -> int:
    """``raw`` brought into ``lo..hi``."""
    match overflow:
        case Overflow.WRAP:
            return (raw - lo) % (hi - lo + 1) + lo
        case Overflow.SAT:
            return min(max(raw, lo), hi)
        case Overflow.SAT_SYM:
            return min(max(raw, lo, -hi), hi)
        case Overflow.SAT_ZERO:
            return raw if lo <= raw <= hi else 0
        case _:
            assert_never(overflow)


_dropped = {rounding: np.frompyfunc(partial(dropped, rounding=rounding), 2, 1) for rounding in Rounding}
_folded = {overflow: np.frompyfunc(partial(folded, overflow=overflow), 3, 1) for overflow in Overflow}


def drop_bits(raw: IntArray, drop: IntArray, rounding: Rounding) -> Ints:
    """`dropped` of each element, in machine numbers where these are many and hold them."""
    many = raw.size + drop.size > _MANY
    words, drops = (machine(raw), machine(drop)) if many else (None, None)
    found = None if words is None or drops is None else drop_words(words, drops, rounding)
    return objects(_dropped[rounding](objects(raw), objects(drop)) if found is None else found)


def drop_words(
    words: npt.NDArray[np.int64], drops: npt.NDArray[np.int64], rounding: Rounding
) -> npt.NDArray[np.int64] | None:
    """`dropped` of each machine number; None if one may not hold the result, or what comes before."""
    least, most = int(drops.min()), int(drops.max())
    if most > _BITS or max(int(words.max()), ~int(words.min())).bit_length() > _BITS + min(least, 0):
        return None
    down, up = np.maximum(drops, 0), np.maximum(-drops, 0)
    floor = words >> down
    if least < 0:
        floor <<= up
    if rounding is Rounding.TRN or most <= 0:
        return floor
    whole = 1 << down
    return floor + _goes_up(floor, (words & (whole - 1)) << 1, whole, rounding)


def rounded_range(kind: TensorType, frac: Fracs, rounding: Rounding) -> tuple[Ints, Ints]:
    """The raw range of a type after rounding to ``frac``, before any overflow is dealt with."""
    drop = kind.frac - frac
    return drop_bits(kind.lo, drop, rounding), drop_bits(kind.hi, drop, rounding)


def fold_overflow(raw: Ints, lo: Ints, hi: Ints, overflow: Overflow) -> Ints:
    """`folded` of each element."""
    return objects(_folded[overflow](objects(raw), objects(lo), objects(hi)))
