"""Rounding and overflow of a word: one addition and some wiring for the first, comparisons of top bits for the second.

Definitions: IEEE 1666-2011 (SystemC), 7.10.9 "Quantization modes" and 7.10.10 "Overflow modes".
"""

from dataclasses import dataclass
from typing import assert_never

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import WordRef


@dataclass(frozen=True, slots=True)
class Conversion:
    """Drop ``drop`` fractional bits (negative: append zeros), then bring the result into ``lo..hi``."""

    drop: int
    lo: int
    hi: int
    rounding: Rounding
    overflow: Overflow


def cast(builder: NetlistBuilder, x: WordRef, to: Conversion) -> WordRef:
    """``x`` converted."""
    rectified = builder.rectified(x)
    if rectified is None:
        return _fold_overflow(builder, _round(builder, x, to.drop, to.rounding), to.lo, to.hi, to.overflow)
    # Rounding never changes a sign, so the rectifier may come after it, where it joins the saturation, and the constant
    # added for rounding joins the bias before the rectifier.
    rounded = _round(builder, rectified, to.drop, to.rounding)
    if to.overflow in (Overflow.SAT, Overflow.SAT_SYM) and to.lo <= 0 <= to.hi:
        return _saturate(builder, rounded, 0, to.hi)
    positive = builder.max(rounded, builder.constant(0))
    return _fold_overflow(builder, positive, to.lo, to.hi, to.overflow)


def _round(builder: NetlistBuilder, x: WordRef, drop: int, rounding: Rounding) -> WordRef:
    """``x / 2**drop`` rounded to an integer: ``floor((x + tie) / 2**drop)`` with a ``tie`` that depends on the mode."""
    if drop <= x.shift:
        return x.shifted(-drop)
    drop -= x.shift
    word = WordRef(x.word)
    half = 1 << (drop - 1)
    match rounding:
        case Rounding.TRN:
            tied = word
        case Rounding.RND:
            tied = builder.add_constant(word, half)
        case Rounding.RND_MIN_INF:
            tied = builder.add_constant(word, half - 1)
        case Rounding.RND_ZERO:
            tied = _add_either(builder, word, builder.below(word, 0), half, half - 1)
        case Rounding.RND_INF:
            tied = _add_either(builder, word, builder.below(word, 0), half - 1, half)
        case Rounding.RND_CONV:
            tied = _add_either(builder, word, builder.bit(word, drop), half, half - 1)
        case Rounding.TRN_ZERO:
            tied = _add_either(builder, word, builder.below(word, 0), 2 * half - 1, 0)
        case _:
            assert_never(rounding)
    return builder.drop(tied, drop)


def _add_either(builder: NetlistBuilder, x: WordRef, condition: WordRef, true: int, false: int) -> WordRef:
    return builder.add(x, builder.select(condition, builder.constant(true), builder.constant(false)))


def _fold_overflow(builder: NetlistBuilder, x: WordRef, lo: int, hi: int, overflow: Overflow) -> WordRef:
    if lo <= builder.lo(x) and builder.hi(x) <= hi and overflow is not Overflow.SAT_SYM:
        return x
    match overflow:
        case Overflow.WRAP:
            return _wrap(builder, x, lo, hi)
        case Overflow.SAT:
            return _saturate(builder, x, lo, hi)
        case Overflow.SAT_SYM:
            return _saturate(builder, x, max(lo, -hi), hi)
        case Overflow.SAT_ZERO:
            zero = builder.constant(0)
            inside = builder.select(builder.above(x, hi), zero, x)
            inside = builder.select(builder.below(x, lo), zero, inside)
            return builder.narrow(inside, min(lo, 0), max(hi, 0))
        case _:
            assert_never(overflow)


def _saturate(builder: NetlistBuilder, x: WordRef, lo: int, hi: int) -> WordRef:
    """``x`` clamped; both comparisons look at ``x`` itself, so that they run side by side.

    The upper one, which reads more bits, chooses last: a register then sets its bits by it, where synthesis finds that.
    """
    least, most = min(max(builder.lo(x), lo), hi), max(min(builder.hi(x), hi), lo)
    lower = builder.select(builder.below(x, lo), builder.constant(lo), x)
    clamped = builder.select(builder.above(x, hi), builder.constant(hi), lower)
    return builder.narrow(clamped, least, most)


def _wrap(builder: NetlistBuilder, x: WordRef, lo: int, hi: int) -> WordRef:
    """``x`` modulo ``hi - lo + 1``, in ``lo..hi``."""
    size = hi - lo + 1
    bits = size.bit_length() - 1
    if size == 1 << bits:
        if lo == -(size >> 1) and bits:
            return builder.low(x, bits, signed=True)
        return builder.add_constant(builder.low(builder.add_constant(x, -lo), bits, signed=False), lo)
    # Not a power of two: subtract the multiples of the size by binary division.
    multiples = -((builder.lo(x) - lo) // size)
    rest = builder.add_constant(x, multiples * size - lo)
    for power in range((builder.hi(rest) // size).bit_length() - 1, -1, -1):
        step = size << power
        less = builder.select(builder.below(rest, step), rest, builder.add_constant(rest, -step))
        rest = builder.narrow(less, 0, step - 1)
    return builder.add_constant(rest, lo)
