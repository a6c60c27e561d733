"""Rounding and overflow of raw integers; works on Python integers and on object arrays alike.

Definitions: IEEE 1666-2011 (SystemC), 7.10.9 "Quantization modes" and 7.10.10 "Overflow modes".
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from bitsmith.ir.types import Ints, Overflow, Rounding, objects


def drop_bits(raw: Ints, drop: Ints, rounding: Rounding) -> Ints:
    """``raw / 2**drop`` rounded to integers, element-wise; a negative ``drop`` multiplies, which is exact."""
    raw, drop = objects(raw), objects(drop)  # numpy turns results of rank 0 into bare integers; this turns them back
    down, up = objects(np.maximum(drop, 0)), objects(np.maximum(-drop, 0))
    raw = objects(raw << up)
    floor = objects(raw >> down)
    if rounding is Rounding.TRN:
        return floor
    unit = objects(raw * 0 + 1)
    size = objects(unit << down)
    if rounding is Rounding.TRN_ZERO:
        return np.where((raw < 0) & (floor * size != raw), floor + 1, floor)
    match rounding:
        case Rounding.RND:
            tie_up = unit
        case Rounding.RND_MIN_INF:
            tie_up = objects(unit * 0)
        case Rounding.RND_ZERO:
            tie_up = np.where(raw < 0, unit, unit * 0)
        case Rounding.RND_INF:
            tie_up = np.where(raw >= 0, unit, unit * 0)
        case Rounding.RND_CONV:
            tie_up = objects(floor & 1)
        case _:
            assert_never(rounding)
    rounded = (raw + (size >> 1) - 1 + tie_up) >> down
    return np.where(down == 0, raw, rounded)


def fold_overflow(raw: Ints, lo: Ints, hi: Ints, overflow: Overflow) -> Ints:
    """Raw values brought into ``lo..hi``, element-wise."""
    raw, lo, hi = objects(raw), objects(lo), objects(hi)
    match overflow:
        case Overflow.WRAP:
            return objects((raw - lo) % (hi - lo + 1) + lo)
        case Overflow.SAT:
            return objects(np.minimum(objects(np.maximum(raw, lo)), hi))
        case Overflow.SAT_SYM:
            return objects(np.minimum(objects(np.maximum(raw, objects(np.maximum(lo, -hi)))), hi))
        case Overflow.SAT_ZERO:
            return np.where((raw < lo) | (raw > hi), raw * 0, raw)
        case _:
            assert_never(overflow)
