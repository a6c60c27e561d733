"""Functions of one variable as look-up tables: exact where the operand has few values, binned or interpolated otherwise.

A function is split into what is linear far out and a bounded rest, ``f(x) = left * min(x, 0) + right * max(x, 0) + g(x)``;
only ``g`` is tabulated. Where ``g`` no longer changes (to the entries' precision) the operand saturates, which changes nothing.
With at most ``EXACT_ENTRIES`` values left (or the user's table size) every operand value has its own, correctly rounded entry.
Otherwise the operand is cut into ``TableSize`` bins of a power-of-two size and, by default, interpolated linearly between the
bins' ends, with an error of at most ``step**2 / 8 * max|g''|`` plus one rounding. A table size left open is the least power of
two from ``DEFAULT_ENTRIES`` to ``EXACT_ENTRIES`` that keeps this error below a quarter of the result's step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import ConfigError, RangeError
from bitsmith.ir.builder import Value
from bitsmith.ir.types import Ints, Overflow, Rounding, objects
from bitsmith.layers.auto import to_raw
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.settings import Binning

EXACT_ENTRIES = 4096
"""Most entries of a table that gives each operand value its own entry without being asked for."""

DEFAULT_ENTRIES = 1024
"""Fewest bins of a table whose size the user leaves open."""

MAX_ENTRIES = 1 << 16
_SCAN_POINTS = 1 << 16
_OCTAVE_POINTS = 64
"""Points per doubling of the distance from 0 in a coarse scan."""

ENTRY_BITS = 60
"""Most bits of an entry."""

_GUARD_BITS = 2
"""Bits of interpolated entries behind the result's, so that only the result's rounding counts."""

_FRACTION_BITS = 10
"""Bits of the position within a bin that interpolation uses at least."""


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function and its slopes far to the left and far to the right."""

    name: str
    evaluate: Callable[[Floats], Floats]
    left: float = 0.0
    right: float = 0.0

    def rest(self, x: Floats) -> Floats:
        """``g``: the function without its linear parts."""
        linear = self.left * np.minimum(x, 0.0) + self.right * np.maximum(x, 0.0)
        return np.asarray(self.evaluate(x) - linear, dtype=np.float64)


def tabulated(
    lowering: Lowering,
    x: Value,
    function: Function,
    frac: int,
    variable: str = "table",
    bounds: tuple[float, float] | None = None,
) -> Value:
    """``function(x)``; entries have the user's format of ``variable`` or ``frac`` fractional bits.

    ``bounds`` are the real values between which the table lies, if the user limits it; beyond, its end entries hold.
    """
    builder = lowering.builder
    result = _rest_table(lowering, uniform(lowering, x), function, frac, variable, bounds)
    zero = builder.const(0)
    for slope, part in ((function.right, builder.max), (function.left, builder.min)):
        if slope != 0.0:
            linear = part(x, zero)
            if slope != 1.0:
                linear = builder.mul(linear, _slope(lowering, slope, x, frac))
            result = builder.add(result, linear)
    return result


def _slope(lowering: Lowering, slope: float, x: Value, frac: int) -> Value:
    """``slope`` in the user's format of ``param``, or so precise that its product with ``x`` is within an eighth of a step."""
    if lowering.format("param") is not None:
        return lowering.const("param", as_weights(slope))
    largest = max(abs(bound) for bound in x.type.real_range())
    places = max(frac + _GUARD_BITS + 1 + max(math.frexp(largest)[1], 0), 0)
    return lowering.builder.const(round(math.ldexp(slope, places)), places)


def uniform(lowering: Lowering, x: Value) -> Value:
    """``x`` with one ``frac`` and one range for all elements: one table serves all. Lossless."""
    frac = int(x.type.frac.max())
    if x.type.frac.size == x.type.lo.size == x.type.hi.size == 1:
        return x
    shift = frac - objects(x.type.frac)
    lo, hi = int((x.type.lo << shift).min()), int((x.type.hi << shift).max())
    return lowering.builder.cast_to(x, frac, lo, hi, Rounding.TRN, Overflow.WRAP)


def _rest_table(
    lowering: Lowering, x: Value, function: Function, frac: int, variable: str, bounds: tuple[float, float] | None
) -> Value:
    settings = lowering.settings
    x_frac, lo, hi = int(x.type.frac.max()), int(x.type.lo.min()), int(x.type.hi.max())
    if bounds is not None:
        first = max(lo, min(hi, math.floor(math.ldexp(bounds[0], x_frac))))
        last = max(first, min(hi, math.ceil(math.ldexp(bounds[1], x_frac)) - 1))
    else:
        first, last = _domain(lowering, function, x_frac, lo, hi, frac, variable)
    limit = settings.table_size
    if limit is None and settings.binning is None:
        limit = EXACT_ENTRIES
    size = settings.table_size or _default_size(function, x_frac, first, last, frac)
    if not 2 <= size <= MAX_ENTRIES:
        raise ConfigError(
            f"a table of {size} entries",
            where=f"layer {lowering.name!r}, key TableSize",
            accepted=f"2 to {MAX_ENTRIES}",
        )
    exact = last - first < (limit or size)
    if not exact and bounds is None:
        if settings.binning in (None, Binning.LINEAR):
            first, last = _domain(lowering, function, x_frac, lo, hi, frac + _GUARD_BITS, variable)
        first, last = _whole_bins(first, last, lo, hi, size, centered=settings.binning is Binning.CENTER)
    if (first, last) != (lo, hi):
        x = lowering.builder.cast_to(x, x_frac, first, last, Rounding.TRN, Overflow.SAT)
    if exact:
        points = np.ldexp(np.arange(first, last + 1).astype(np.float64), -x_frac)
        raw, entry_frac = _entries(lowering, function.rest(points), frac, variable)
        return lowering.builder.table(x, first, raw, entry_frac)
    return _binned(lowering, x, function, frac, variable, size)


def _default_size(function: Function, x_frac: int, first: int, last: int, frac: int) -> int:
    """Bins that keep the interpolation error below a quarter of a step, within ``DEFAULT_ENTRIES..EXACT_ENTRIES``."""
    size = DEFAULT_ENTRIES
    while size < EXACT_ENTRIES:
        bits = _bin_bits(first, last, size)
        halves = np.arange((first >> bits) * 2, ((last >> bits) + 1) * 2 + 1).astype(np.float64)
        edges = function.rest(np.ldexp(halves, bits - 1 - x_frac))
        if np.max(np.abs(edges[1::2] - (edges[:-1:2] + edges[2::2]) / 2.0)) < math.ldexp(0.25, -frac):
            break
        size *= 2
    return size


def _entries(lowering: Lowering, values: Floats, frac: int, variable: str) -> tuple[Ints, int]:
    """Table entries rounded to nearest in the user's format, or with ``frac`` bits.

    Raises:
        RangeError: entries would be huge.
    """
    fmt = lowering.format(variable)
    if fmt is not None:
        return to_raw(values, fmt), fmt.frac
    greatest = float(np.max(np.abs(values), initial=0.0))
    largest = math.frexp(greatest)[1]
    if not math.isfinite(greatest) or largest + frac > ENTRY_BITS:
        raise RangeError(
            f"its function reaches {greatest:.3g} within the proven range of its input: "
            f"entries with steps of {math.ldexp(1.0, -frac):.3g} would not fit",
            where=f"layer {lowering.name!r}",
            accepted=f"table entries of at most {ENTRY_BITS} bits",
            remedy="pass calibration=X, give the result of the layer before it a precision, or give it a TableRange; "
            "for a softmax, Implementation: stable",
        )
    return objects(np.rint(np.ldexp(values, frac)).astype(np.int64)), frac


def _domain(
    lowering: Lowering, function: Function, x_frac: int, lo: int, hi: int, frac: int, variable: str
) -> tuple[int, int]:
    """The part of ``lo..hi`` outside which all entries equal the entry at its nearer end.

    A range with too many values is scanned coarsely, then what is left of it more finely, until nothing more falls away.
    """
    while True:
        exact = hi - lo < _SCAN_POINTS
        raws = _scanned(lo, hi)
        values = function.rest(np.asarray(raws * 1.0 / 2.0**x_frac, dtype=np.float64))
        entries, _ = _entries(lowering, values, frac, variable)
        moves = np.flatnonzero(entries[1:] != entries[:-1])
        if moves.size == 0:
            return lo, lo
        # Between the points of a coarse scan one more point is kept on either side.
        first = int(raws[int(moves[0])] if exact else raws[max(int(moves[0]) - 1, 0)])
        last = int(raws[int(moves[-1]) + 1] if exact else raws[min(int(moves[-1]) + 2, len(raws) - 1)])
        if exact or (first, last) == (lo, hi):
            return first, last
        lo, hi = first, last


def _scanned(lo: int, hi: int) -> Ints:
    """All of ``lo..hi``, or points spread evenly over it and others that lie denser towards 0, where functions bend."""
    if hi - lo < _SCAN_POINTS:
        return objects(np.arange(lo, hi + 1))
    points = {lo + (hi - lo) * k // (_SCAN_POINTS - 1) for k in range(_SCAN_POINTS)}
    octaves = max(abs(lo), abs(hi)).bit_length()
    near = {(_OCTAVE_POINTS + k << e) // _OCTAVE_POINTS for e in range(octaves) for k in range(_OCTAVE_POINTS)}
    points |= {sign * point for point in near | {0} for sign in (-1, 1) if lo <= sign * point <= hi}
    return objects(sorted(points))


def _bin_bits(first: int, last: int, size: int) -> int:
    """The width of bins, as a power of two, of which at most ``size`` cover ``first..last``."""
    bits = max((last - first).bit_length() - size.bit_length() + 1, 0)
    while (last >> bits) - (first >> bits) + 1 > size:
        bits += 1
    return bits


def _whole_bins(first: int, last: int, lo: int, hi: int, size: int, *, centered: bool) -> tuple[int, int]:
    """``first..last`` widened within ``lo..hi`` so that its ends lie where bins begin: there the entries at the ends hold.

    An operand that saturated within a bin would take a value between two entries, and so would all operands beyond.
    ``centered``: an entry stands for the middle of its bin, so that the bin that holds ``first`` does not do.
    """
    bits = _bin_bits(first, last, size)
    while True:
        widened = max(((first >> bits) - centered) << bits, lo), min(-(-last >> bits) << bits, hi)
        if _bin_bits(*widened, size) <= bits:
            return widened
        bits += 1


def _binned(lowering: Lowering, x: Value, function: Function, frac: int, variable: str, size: int) -> Value:
    builder = lowering.builder
    x_frac, lo, hi = int(x.type.frac.max()), int(x.type.lo.min()), int(x.type.hi.max())
    bits = _bin_bits(lo, hi, size)
    first, last = lo >> bits, hi >> bits
    binning = lowering.settings.binning or Binning.LINEAR
    index = builder.cast_to(x, x_frac - bits, first, last, Rounding.TRN, Overflow.WRAP)
    edges = np.ldexp(np.arange(first, last + 2).astype(np.float64), bits - x_frac)
    if binning is not Binning.LINEAR:
        offset = 0.0 if binning is Binning.FLOOR else 0.5
        points = edges[:-1] + offset * math.ldexp(1.0, bits - x_frac)
        raw, entry_frac = _entries(lowering, function.rest(points), frac, variable)
        return builder.table(index, first, raw, entry_frac)
    raw, entry_frac = _entries(lowering, function.rest(edges), frac + _GUARD_BITS, variable)
    base = builder.table(index, first, raw[:-1], entry_frac)
    # The lines run through the rounded entries, so the interpolation is continuous and monotone where the entries are.
    rise = builder.table(index, first, raw[1:] - raw[:-1], entry_frac)
    within = builder.cast_to(x, x_frac, 0, (1 << bits) - 1, Rounding.TRN, Overflow.WRAP)
    # Cutting bits off the position must not cost more than one step of the entries.
    kept = max(_FRACTION_BITS, int(np.max(np.abs(raw[1:] - raw[:-1]))).bit_length())
    if bits > kept:
        within = builder.cast_to(within, x_frac - bits + kept, 0, (1 << kept) - 1, Rounding.TRN, Overflow.SAT)
    # Shifted so that a whole bin is 1.
    return builder.add(base, builder.mul(rise, builder.shift(within, x_frac - bits)))
