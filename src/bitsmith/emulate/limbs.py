"""Integers beyond 63 bits as tuples of int64 arrays, least significant first.

A number is ``sum(limb[k] * 2**(30 * k))``. All limbs but the last are in ``0..2**30 - 1``; the last is signed and may
use up to 62 bits, so that L limbs hold magnitudes below ``2**(30 * (L - 1) + 62)`` and one limb is a plain int64 array.
All functions are exact provided that the result fits the limbs asked for; the caller's types prove that it does.
Arrays broadcast as in numpy. Knows nothing of programs.
"""

import itertools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir.rounding import drop_words
from bitsmith.ir.types import Ints, Rounding

BITS = 30
MASK = (1 << BITS) - 1
TOP_BITS = 62
"""Bits of magnitude that the last limb may use."""

Int64s: TypeAlias = npt.NDArray[np.int64]
Limbs: TypeAlias = tuple[Int64s, ...]
Computation: TypeAlias = Callable[[], Limbs]
LimbFunction: TypeAlias = Callable[[Limbs], Limbs]


def limbs_for(bits: int) -> int:
    """Limbs that hold every magnitude below ``2**bits``."""
    return 1 + max(0, -(-(bits - TOP_BITS) // BITS))


def from_objects(values: Ints, count: int) -> Limbs:
    """Python integers as ``count`` limbs."""
    parts = [np.asarray((values >> (BITS * k)) & MASK).astype(np.int64) for k in range(count - 1)]
    return (*parts, np.asarray(values >> (BITS * (count - 1))).astype(np.int64))


def to_objects(x: Limbs) -> Ints:
    """The Python integers."""
    result: Ints = x[-1].astype(np.object_)
    for part in reversed(x[:-1]):
        result = (result << BITS) + part.astype(np.object_)
    return result


def to_float(x: Limbs) -> npt.NDArray[np.float64]:
    """The nearest float64 (exact up to 53 bits)."""
    result = x[-1].astype(np.float64)
    for part in reversed(x[:-1]):
        result = result * float(1 << BITS) + part
    rounded = np.abs(result) >= 1 << 53
    if np.any(rounded):  # maybe more than once
        result[rounded] = to_objects(tuple(np.broadcast_to(part, result.shape)[rounded] for part in x)).astype(
            np.float64
        )
    return result


def normalize(parts: list[Int64s]) -> Limbs:
    """Limbs whose carries are done; ``parts`` may hold any int64 numbers whose carries do not overflow."""
    done: list[Int64s] = []
    carry: Int64s | None = None
    for part in parts[:-1]:
        total = part if carry is None else part + carry
        done.append(total & MASK)
        carry = total >> BITS
    return (*done, parts[-1] if carry is None else parts[-1] + carry)


def resize(x: Limbs, count: int) -> Limbs:
    """The same numbers in ``count`` limbs."""
    parts = list(x)
    while len(parts) < count:
        top = parts.pop()
        parts += [top & MASK, top >> BITS]
    while len(parts) > count:
        top = parts.pop()
        parts[-1] = parts[-1] + (top << BITS)
    return tuple(parts)


def narrowed(x: Limbs) -> Limbs:
    """The same numbers without last limbs that only repeat signs: those of most numbers, whatever their types allow."""
    parts = list(x)
    while len(parts) > 1 and parts[-1].min() >= -1 and parts[-1].max() <= 0:
        top = parts.pop()
        parts[-1] = parts[-1] + (top << BITS) if top.any() else parts[-1]
    return tuple(parts)


def add(x: Limbs, y: Limbs, count: int) -> Limbs:
    """``x + y``."""
    return normalize([a + b for a, b in zip(resize(x, count), resize(y, count), strict=True)])


def subtract(x: Limbs, y: Limbs, count: int) -> Limbs:
    """``x - y``."""
    return normalize([a - b for a, b in zip(resize(x, count), resize(y, count), strict=True)])


def negate(x: Limbs) -> Limbs:
    """``-x``."""
    return normalize([-part for part in x])


def multiply(x: Limbs, y: Limbs, count: int) -> Limbs:
    """``x * y``."""
    if len(x) == len(y) == count == 1:
        return (x[0] * y[0],)
    # Two more limbs leave 2 bits and a sign in the last, so that every partial product is below 2**60.
    left, right = resize(x, len(x) + 2), resize(y, len(y) + 2)
    columns: list[Int64s] = [np.zeros(1, dtype=np.int64)] * (len(left) + len(right) + 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            product = a * b
            columns[i + j] = columns[i + j] + (product & MASK)
            columns[i + j + 1] = columns[i + j + 1] + (product >> BITS)
    return resize(normalize(columns), count)


def less(x: Limbs, y: Limbs) -> npt.NDArray[np.bool_]:
    """Return where ``x < y``."""
    count = max(len(x), len(y))
    result: npt.NDArray[np.bool_] | None = None
    for a, b in zip(resize(x, count), resize(y, count), strict=True):
        result = a < b if result is None else (a < b) | ((a == b) & result)
    assert result is not None
    return result


def equal(x: Limbs, y: Limbs) -> npt.NDArray[np.bool_]:
    """Return where ``x == y``."""
    count = max(len(x), len(y))
    result = np.asarray(True)
    for a, b in zip(resize(x, count), resize(y, count), strict=True):
        result = result & (a == b)
    return result


def select(condition: npt.NDArray[np.bool_], x: Limbs, y: Limbs, count: int) -> Limbs:
    """``x`` where ``condition``, else ``y``."""
    return tuple(np.where(condition, a, b) for a, b in zip(resize(x, count), resize(y, count), strict=True))


def maximum(x: Limbs, y: Limbs) -> Limbs:
    """The greater of the two."""
    if len(x) == len(y) == 1:
        return (np.maximum(x[0], y[0]),)
    return select(less(x, y), y, x, max(len(x), len(y)))


def minimum(x: Limbs, y: Limbs) -> Limbs:
    """The lesser of the two."""
    if len(x) == len(y) == 1:
        return (np.minimum(x[0], y[0]),)
    return select(less(x, y), x, y, max(len(x), len(y)))


def total(x: Limbs, axes: tuple[int, ...], count: int) -> Limbs:
    """The sum over ``axes``; up to 2**30 elements."""
    if len(x) == count == 1:
        return (np.sum(x[0], axis=axes),)
    return resize(normalize([np.sum(part, axis=axes) for part in resize(x, len(x) + 1)]), count)


def greatest(x: Limbs, axis: int) -> Limbs:
    """The greatest along ``axis``, found by halving it."""
    while (size := x[0].shape[axis]) > 1:
        half = size // 2
        first, second = ((slice(None),) * axis + (slice(s, s + half),) for s in (0, half))
        rest = (slice(None),) * axis + (slice(2 * half, None),)
        folded = maximum(tuple(part[first] for part in x), tuple(part[second] for part in x))
        if size % 2:
            folded = tuple(np.concatenate([a, b[rest]], axis=axis) for a, b in zip(folded, x, strict=True))
        x = folded
    return tuple(part.squeeze(axis) for part in x)


def shift(x: Limbs, amount: Int64s, count: int) -> Limbs:
    """``floor(x * 2**amount)``; ``amount`` may differ from element to element."""
    return round_shift(x, -amount, Rounding.TRN, count)


def round_shift(x: Limbs, drop: Int64s, rounding: Rounding, count: int) -> Limbs:
    """``x / 2**drop`` rounded to integers; a negative ``drop`` multiplies. ``count`` limbs hold the result."""
    x, distinct = narrowed(x), np.unique(drop)
    if len(distinct) == 1:
        return _round_one(x, int(distinct[0]), rounding, count)
    words = drop_words(x[0], drop, rounding) if len(x) == 1 else None
    if words is not None:
        return resize((words,), count)
    results = tuple[Int64s, ...]()
    shape = np.broadcast_shapes(drop.shape, *(part.shape for part in x))
    same = drop.shape[-1] == 1  # for all samples
    drops = np.broadcast_to(drop[..., 0], shape[:-1]) if same else np.broadcast_to(drop, shape)
    for n in distinct:
        chosen = drops == n
        parts = _round_one(tuple(np.broadcast_to(part, shape)[chosen] for part in x), int(n), rounding, count)
        results = results or tuple(np.empty(shape, np.int64) for _ in parts)
        for whole, part in zip(results, parts, strict=True):
            whole[chosen] = part
    return results


def _shift_one(x: Limbs, amount: int, count: int) -> Limbs:
    if amount == 0:
        return resize(x, count)
    if amount > 0:
        if len(x) == count == 1:
            return (x[0] << amount,)
        words, bits = divmod(amount, BITS)
        shifted = [part << bits for part in resize(x, len(x) + 1)]
        return resize(normalize([np.zeros_like(x[0])] * words + shifted), count)
    words, bits = divmod(-amount, BITS)
    if words >= len(x):
        # Everything but the sign may be gone; numpy shifts int64 by 64 and more as mathematics does.
        return resize((x[-1] >> (-amount - BITS * (len(x) - 1)),), count)
    kept = x[words:]
    parts = [(low >> bits) + ((high << (BITS - bits)) & MASK) for low, high in itertools.pairwise(kept)]
    return resize((*parts, kept[-1] >> bits), count)


def _round_one(x: Limbs, drop: int, rounding: Rounding, count: int) -> Limbs:
    if drop <= 0 or rounding is Rounding.TRN:
        return _shift_one(x, -drop, count)
    wide = max(len(x), limbs_for(drop)) + 1
    negative = x[-1] < 0
    match rounding:
        case Rounding.TRN_ZERO:
            extra = negative.astype(np.int64)
            nudge = tuple(extra * part for part in _number((1 << drop) - 1, wide))
            return _shift_one(add(x, nudge, wide), -drop, count)
        case Rounding.RND:
            tie_up = np.ones(1, dtype=np.int64)
        case Rounding.RND_MIN_INF:
            tie_up = np.zeros(1, dtype=np.int64)
        case Rounding.RND_ZERO:
            tie_up = negative.astype(np.int64)
        case Rounding.RND_INF:
            tie_up = (~negative).astype(np.int64)
        case Rounding.RND_CONV:
            tie_up = _shift_one(x, -drop, len(x))[0] & 1
    nudge = add(_number((1 << (drop - 1)) - 1, wide), (tie_up,), wide)
    return _shift_one(add(x, nudge, wide), -drop, count)


def _number(value: int, count: int) -> Limbs:
    return from_objects(np.asarray([value], dtype=np.object_), count)


def wrapper(lo: Ints, span: Ints, count: int) -> LimbFunction:
    """A function that brings numbers into ``lo..lo + span - 1``, modulo ``span``.

    ``count`` limbs must hold the operand minus ``lo``, and the result.
    """
    base = from_objects(lo, count)
    if bool(np.all((span & (span - 1)) == 0)):
        masks = from_objects(span - 1, count)
        return lambda x: add(tuple(a & m for a, m in zip(subtract(x, base, count), masks, strict=True)), base, count)
    if count == 1:
        divisor = span.astype(np.int64)
        return lambda x: (np.mod(x[0] - base[0], divisor) + base[0],)
    # Sizes beyond 62 bits that are not powers of two: users cannot write them, but programs can have them.
    return lambda x: from_objects((to_objects(x) - lo) % span + lo, count)
