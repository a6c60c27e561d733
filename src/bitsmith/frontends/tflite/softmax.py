"""Softmax in the kernels' fixed-point arithmetic.

Of 8 bits, exponentials come from a table, and the reciprocal of their sum from three steps of Newton and Raphson on 32 bits
(gemmlowp), or each code from a quotient that is the same. Of 16 bits, both come from tables of 513 places with straight lines
between them.

The kernels multiply an exponential by a reciprocal of 32 bits. Their code is that of ``round(256 * e / total)`` but where this is
within the reciprocal's error of a half. A numerator near ``512 * e`` has the code ``floor((numerator + total) / (2 * total))``
of the kernels for all totals, or for all but a few, which are exceptions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.ops import activations
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.frontends.tflite.call import Call, Operand, checked, limits_of
from bitsmith.frontends.tflite.fixed_layers import FixedLayers, rounded
from bitsmith.frontends.tflite.fixedpoint import Fixed, Integers, divided, interpolated, shifted
from bitsmith.frontends.tflite.requantize import Multiplier, exact
from bitsmith.frontends.tflite.wide import straight_lines
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Rounding
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.integer import WholeQuotient
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.reduction import Reduction

SUM_BITS = 19
"""Fractional bits of the sum of exponentials."""

CODES = 255
"""The greatest code."""

_MOST_ROOM = 32 - (SUM_BITS + 1)
"""Leading zeros of a sum that is 1, the least."""

_UNIT = np.float64(2.0 / 65535)
"""Steps of functions of 16 bits."""

_MOST = 1 << 12
"""Elements from which on the sum of exponentials, 1 each at most, may not stay within 32 bits."""

_MOST_TOTAL_BITS = 24
"""Totals of so many bits differ by more than the kernels' errors: 8.5 * 2**-29 of the reciprocal, and half a step of the product.
So codes fall as totals rise."""

_NEAR = 2
"""Totals beside the exact place of a step within which the kernels have it: these errors are less than a step of totals."""

_MOST_EXCEPTIONS = 8
"""With more rows of them the reciprocal takes less area."""


def real_softmax(call: Call) -> Value:
    """Softmax of numbers along the last axis."""
    x, beta = call.value(0), call.options.number("beta")
    scaled = x if beta == 1.0 else multiply(call.build.within("scaled"), x, constant(beta))
    return activations.softmax(call.build, scaled, -1)


def softmax(call: Call) -> Value:
    """Softmax of codes along the last axis."""
    x, result = call.operand(0), checked(call.result)
    axis, beta = x.value.rank - 1, call.options.number("beta")
    if x.value.shape[x.value.axis(axis)] >= _MOST:
        raise UnsupportedError(f"SOFTMAX of {x.value.dims[-1]} elements", accepted=f"less than {_MOST}")
    types = (x.tensor.dtype, "int16") if x.tensor.dtype == "int8" else (x.tensor.dtype,)
    if result.dtype not in types or limits_of(result)[0] != (-(1 << 15) if x.is_wide else 0):
        raise call.error(f"SOFTMAX of {x.tensor.dtype} as {result.dtype}, with another zero point than it has")
    greatest = Reducer(Reduction.MAX).of(call.build.within("greatest"), x.value, [axis], keepdims=True)
    below = subtract(call.build.within("difference"), x.value, greatest)
    below = call.clipped(below, (x.limits[0] - x.limits[1], 0), "below")
    return _of_16_bits(call, x, below, beta) if x.is_wide else _of_8_bits(call, x, below, beta)


def _total(build: Builder, x: Value) -> Value:
    return Reducer(Reduction.SUM).of(build.within("total"), x, [x.rank - 1], keepdims=True)


def _headroom(build: Builder, total: Value, least: int, count: int) -> Value:
    """``2**n`` for the ``n`` leading zeros of ``total``, a number of 32 bits from ``least`` to ``count * least``."""
    low, high = least.bit_length(), (count * least).bit_length()
    if low == high:
        return constant(2.0 ** (32 - low))
    bits = range(low, high)
    steps, levels = [2.0**bit for bit in bits], [2.0 ** (32 - bit) for bit in (*bits, high)]
    return build.emit(Staircase(as_weights(steps), as_weights(levels)), total, suffix="headroom")


def _of_8_bits(call: Call, x: Operand, below: Value, beta: float) -> Value:
    build, exponentials = call.build, _exponentials(x, beta)
    parts, places = divided(exponentials, 31 - SUM_BITS), as_weights(0.0)
    total = _total(build, build.emit(Lookup(places, -255, exact(parts)), below, suffix="part"))
    count = x.value.shape[-1]
    found = quotients(exponentials, count) if call.result.dtype != "int16" else None
    if found is not None:
        total = call.clipped(total, (1 << SUM_BITS, count << SUM_BITS), "denominator")
        return _by_quotients(build, below, total, found)
    fine = build.emit(Lookup(places, -255, exact(exponentials)), below, suffix="exp")
    room = _headroom(build, total, 1 << SUM_BITS, count)
    reciprocal = _reciprocal(build.within("reciprocal"), multiply(build.within("normal"), total, room))
    product = multiply(build.within("product"), fine, reciprocal)
    scaled = rounded(build, product, 31, Rounding.RND, "scaled")
    bits = 16 if call.result.dtype == "int16" else 8
    # Codes change at multiples of a power of 2, which is the least where the room is greatest.
    unused = 43 - bits - 1 - _MOST_ROOM
    upper = rounded(build, scaled, unused, Rounding.TRN, "upper")
    moved = multiply(build.within("moved"), upper, room)
    return rounded(build, moved, 43 - bits - unused, Rounding.RND_INF, "", (0, (1 << bits) - 1))


def _by_quotients(build: Builder, below: Value, total: Value, quotients: Quotients) -> Value:
    """Codes of differences ``below`` the greatest operand."""
    numerator = build.emit(Lookup(as_weights(0.0), -255, exact(quotients.numerators)), below, suffix="numerator")
    dividend = add(build.within("dividend"), numerator, total)
    divisor = multiply(build.within("divisor"), total, constant(2.0))
    code = build.joined(WholeQuotient(Whole.FLOOR), dividend, divisor, suffix="quotient")
    for number, (change, totals) in enumerate(quotients.exceptions):
        within = build.within(f"exception{number}")
        at = within.emit(Lookup(as_weights(0.0), -255, exact(totals)), below, suffix="total")
        hit = compare(within, Relation.EQ, total, at, "hit")
        code = add(within, code, multiply(within.within("change"), hit, constant(float(change))))
    return rounded(build, code, 0, Rounding.TRN, "", (0, CODES))


def _exponentials(x: Operand, beta: float) -> Integers:
    """``exp`` of differences from -255 to 0, with 31 fractional bits; 0 where kernels skip them."""
    multiplier = Multiplier.of(min(beta * float(x.scale) * (1 << 26), 2.0**31 - 1.0))
    if multiplier.shift < 0 or multiplier.mantissa <= 0:
        raise UnsupportedError(f"SOFTMAX with beta {beta:g} of steps of {x.scale:g}", accepted="larger steps")
    radius = int(np.floor(31.0 * (1 << 26) / (1 << multiplier.shift)))
    places = np.arange(-255, 1)
    kept = places >= -radius
    scaled = np.where(kept, multiplier.applied(np.where(kept, places, 0)), 0)
    return np.where(kept, Fixed(32).exp_of_negative(scaled, 5), 0)


def _reciprocal(build: Builder, normal: Value) -> Value:
    """``2**62 / normal`` of numbers from ``2**31`` to ``2**32``, as gemmlowp has it."""
    layers = FixedLayers(build, Fixed(32))
    half = rounded(build, normal, 1, Rounding.TRN, "half", (1 << 30, (1 << 31) - 1))
    return layers.raised(layers.newton(half), 1, "")


def _of_16_bits(call: Call, x: Operand, below: Value, beta: float) -> Value:
    build = call.build
    factor = float(np.float32(x.scale * np.float32(beta))) / (10.0 / 65535.0)
    limits = (-65535, 0)
    places = call.rescaled(below, [factor], limits, "places", most=65535)
    centered = call.shifted(places, 32767, "centered")
    table = interpolated(np.exp, np.float64((10.0 / 65535) * -65535), np.float64(0.0), _UNIT)
    fine = straight_lines(build.within("exp"), centered, table, 7)
    total = _total(build, fine)
    room = _headroom(build, total, 32767, x.value.shape[-1])
    normal = rounded(build, multiply(build.within("normal"), total, room), 15, Rounding.RND, "sum")
    moved = call.clipped(call.shifted(normal, -(1 << 15) - (1 << 16), "offset"), (-32768, 32767), "place")
    inverse = interpolated(lambda value: 1.0 / (1.0 + value), np.float64(0.0), np.float64(1.0 / 65535) * 65535, _UNIT)
    reciprocal = straight_lines(build.within("reciprocal"), moved, inverse, 7)
    product = multiply(build.within("product"), fine, reciprocal)
    scaled = multiply(build.within("scaled"), product, room)
    return rounded(build, scaled, 31, Rounding.RND, "", (0, 32767))


@dataclass(frozen=True, slots=True, eq=False)
class Quotients:
    """The numerator of each exponential, and exceptions: a change, and the total at which the code of each has it, or 0."""

    numerators: Integers
    exceptions: tuple[tuple[int, Integers], ...]


def kernel_codes(exponentials: Integers, totals: Integers) -> Integers:
    """The codes that the kernels give, by a reciprocal of ``totals``."""
    bits = np.frexp(totals.astype(np.float64))[1].astype(np.int64)
    half = np.clip((totals << 32 - bits) >> 1, 1 << 30, (1 << 31) - 1)
    reciprocal = shifted(Fixed(32).newton(half), 1)
    scaled = (exponentials * reciprocal + (1 << 30)) >> 31
    return np.minimum(divided(scaled, 43 - 8 - (32 - bits)), CODES)


def quotients(exponentials: Integers, count: int) -> Quotients | None:
    """Numerators for exponentials with 31 fractional bits, the greatest last, of which ``count`` add up.

    None where too many codes are others, or ``count`` is large.
    """
    parts = divided(exponentials, 31 - SUM_BITS)
    most = count * int(parts[-1])
    if most.bit_length() > _MOST_TOTAL_BITS:
        return None
    rows = list[tuple[int, dict[int, int]]]()
    for place, (exponential, part) in enumerate(zip(exponentials.tolist(), parts.tolist(), strict=True)):
        least = int(parts[-1]) + (0 if place == len(parts) - 1 else part)
        rows.append(_numerator(exponential, least, most) if least <= most else (0, {}))
    exceptions = tuple(_in_rows([changes for _, changes in rows]))
    if len(exceptions) > _MOST_EXCEPTIONS:
        return None
    return Quotients(np.array([numerator for numerator, _ in rows], dtype=np.int64), exceptions)


def _in_rows(changes: Sequence[Mapping[int, int]]) -> Iterator[tuple[int, Integers]]:
    """Totals by their change and the place of their exponential, in as few rows as have all of them."""
    for change in (1, -1):
        totals = [[total for total, by in one.items() if by == change] for one in changes]
        for row in itertools.zip_longest(*totals, fillvalue=0):
            yield change, np.array(row, dtype=np.int64)


def _numerator(exponential: int, least: int, most: int) -> tuple[int, dict[int, int]]:
    """The numerator with the fewest exceptions for totals ``least..most``, and the changes of these."""
    odd = 2 * np.arange(1, CODES + 1) - 1  # a code of k or more is a numerator of at least total * (2 * k - 1)
    last = np.clip(_last(exponential), least - 1, most)
    low, high = np.where(last < least, 0, last * odd), np.where(last < most, (last + 1) * odd, 1 << 62)
    first, end = int(low.max()), int(high.min())
    if first < end:
        return _roundest(first, end), {}
    tried = np.unique([*low, *(high - 1)[last < most]])
    wrong = ((tried[:, None] < low) | (tried[:, None] >= high)).sum(axis=1)
    numerator = int(tried[wrong.argmin()])
    found = np.clip(numerator // odd, least - 1, most)
    changes = dict[int, int]()
    for given, wanted in zip(found.tolist(), last.tolist(), strict=True):
        changes |= dict.fromkeys(range(given + 1, wanted + 1), 1) | dict.fromkeys(range(wanted + 1, given + 1), -1)
    return numerator, changes


def _last(exponential: int) -> Integers:
    """The greatest total of which the code is at least 1, 2 and so on up to the greatest."""
    codes = np.arange(1, CODES + 1)
    exact = (exponential << 9) // ((2 * codes - 1) << 31 - SUM_BITS)
    near = np.maximum(exact[:, None] + np.arange(-_NEAR, _NEAR + 1), 1)
    reached = kernel_codes(np.full_like(near, exponential), near) >= codes[:, None]
    return np.asarray(near[:, 0] - 1 + reached.sum(axis=1), dtype=np.int64)


def _roundest(first: int, end: int) -> int:
    """The number from ``first`` to below ``end`` that ends in the most zeros."""
    zeros = 0
    while -(-first >> zeros + 1) << zeros + 1 < end and zeros < first.bit_length():
        zeros += 1
    return -(-first >> zeros) << zeros
