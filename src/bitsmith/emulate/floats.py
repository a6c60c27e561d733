"""Rounding and overflow of float arrays that hold integers or binary fractions, as steps bound to their arrays.

Every step is exact, by the bounds that :mod:`bitsmith.emulate.storage` proves; nothing here checks them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Ints, Overflow, Rounding

FloatArray: TypeAlias = npt.NDArray[np.float32 | np.float64]
Kernel: TypeAlias = Callable[[], object]

MANY = 1 << 14
"""Elements, from which on reductions over all of an array no longer take longer to begin than to do."""


def rounder(x: FloatArray, out: FloatArray, rounding: Rounding, *, roomy: bool) -> Kernel:
    """A step that rounds ``x`` to integers; exact for any finite ``x``. ``out`` may be ``x``.

    ``roomy`` promises that adding or subtracting a half is exact, which makes some modes faster.
    """
    match rounding:
        case Rounding.RND if roomy:
            return partial(_half_up, x, out, np.asarray(0.5, x.dtype))
        case Rounding.RND_MIN_INF if roomy:
            return partial(_half_down, x, out, np.asarray(0.5, x.dtype))
        case Rounding.TRN:
            return partial(np.floor, x, out)
        case Rounding.TRN_ZERO:
            return partial(np.trunc, x, out)
        case Rounding.RND_CONV:
            return partial(np.rint, x, out)
        case Rounding.RND | Rounding.RND_ZERO | Rounding.RND_INF | Rounding.RND_MIN_INF:
            return partial(_round_half, x, out, rounding)
        case _:
            assert_never(rounding)


def _half_up(x: FloatArray, out: FloatArray, half: FloatArray) -> None:
    np.add(x, half, out)
    np.floor(out, out)


def _half_down(x: FloatArray, out: FloatArray, half: FloatArray) -> None:
    np.subtract(x, half, out)
    np.ceil(out, out)


def _round_half(x: FloatArray, out: FloatArray, rounding: Rounding) -> None:
    # ``x + 0.5`` may round; the fraction left by truncation never does.
    whole = np.trunc(x)
    rest = x - whole
    away_above = rounding in (Rounding.RND, Rounding.RND_INF)
    away_below = rounding in (Rounding.RND_MIN_INF, Rounding.RND_INF)
    up = rest >= 0.5 if away_above else rest > 0.5
    down = rest <= -0.5 if away_below else rest < -0.5
    np.add(whole, up, out)
    np.subtract(out, down, out)


def folder(x: FloatArray, lo: Ints, hi: Ints, overflow: Overflow, scratch: Callable[[], FloatArray]) -> list[Kernel]:
    """Steps that bring the integers ``x`` into ``lo..hi`` in place; the bounds broadcast against ``x``.

    ``scratch`` gives an array like ``x`` for intermediate results, if one is needed.
    """
    least, most = _bound(x, lo), _bound(x, hi)
    match overflow:
        case Overflow.SAT:
            return [partial(x.clip, least, most, x)]
        case Overflow.SAT_SYM:
            return [partial(x.clip, _bound(x, np.maximum(lo, -hi)), most, x)]
        case Overflow.SAT_ZERO:
            return [lambda: np.copyto(x, 0, where=(x < least) | (x > most))]
        case Overflow.WRAP:
            return _wrap(x, lo, np.asarray(hi - lo + 1, dtype=np.object_), scratch)
        case _:
            assert_never(overflow)


def unless_within(x: FloatArray, lo: Ints, hi: Ints, steps: Sequence[Kernel], note: Kernel | None) -> Kernel:
    """A step that takes ``steps`` only if some of ``x`` is outside ``lo..hi``, and calls ``note`` then."""
    flat = x.reshape(-1) if x.flags.c_contiguous else x
    narrowest = float(lo.max()), float(hi.min())

    def step() -> None:
        # Samples that the last chunk does not have may be anything, and are as good as outside.
        least, greatest = extremes(flat)
        if not (narrowest[0] <= least and greatest <= narrowest[1]):
            if note is not None:
                note()
            for each in steps:
                each()

    return step


def extremes(x: FloatArray) -> tuple[float, float]:
    """The least and the greatest element; NaN if there is one."""
    if x.size < MANY:
        return x.item(x.argmin()), x.item(x.argmax())
    return float(np.minimum.reduce(x, None)), float(np.maximum.reduce(x, None))


def _bound(x: FloatArray, value: Ints) -> float | FloatArray:
    """A bound as a number if there is only one (numpy is faster then), else in the precision of ``x``."""
    array = np.asarray(value)
    return float(array.ravel()[0]) if array.size == 1 else array.astype(x.dtype)


def _wrap(x: FloatArray, lo: Ints, span: Ints, scratch: Callable[[], FloatArray]) -> list[Kernel]:
    least, length = _bound(x, lo), _bound(x, span)
    if not bool(np.all((span & (span - 1)) == 0)):
        # The size of the range is not a power of two: the remainder of floats is exact, but slow.
        return [
            partial(np.subtract, x, least, out=x),
            partial(np.remainder, x, length, out=x),
            partial(np.add, x, least, out=x),
        ]
    return [partial(_wrap_binary, x, scratch(), least, length, 1 / length)]


def _wrap_binary(
    x: FloatArray, turns: FloatArray, least: float | FloatArray, span: float | FloatArray, rate: float | FloatArray
) -> None:
    np.subtract(x, least, turns)
    np.multiply(turns, rate, turns)
    np.floor(turns, turns)
    np.multiply(turns, span, turns)
    np.subtract(x, turns, x)
