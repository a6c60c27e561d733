"""Functions of one variable as look-up tables: exact where the operand has few values, binned or interpolated otherwise.

A function is split into what is linear far out and a bounded rest, ``f(x) = left * min(x, 0) + right * max(x, 0) + g(x)``;
only ``g`` is tabulated. Where ``g`` no longer changes (to the entries' precision) the operand saturates, which changes nothing.
With at most ``EXACT_ENTRIES`` values left (or the user's table size) every operand value has its own, correctly rounded entry.
Otherwise the operand is cut into ``TableSize`` bins of a power-of-two size and, by default, interpolated linearly between the
bins' ends, with an error of at most ``step**2 / 8 * max|g''|`` plus one rounding. A table size left open is the least power of
two from ``DEFAULT_ENTRIES`` to ``EXACT_ENTRIES`` that keeps this error below a quarter of the result's step; of functions inside
others, which round again, the least that does, and fewer values have entries of their own (`Sizes`). So many bins as the
user says with the values at their centers cover no more than where their worst error is least: those at the ends hold beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ConfigError, RangeError
from bitsmith.errors.remedies import OPEN, given, remedy
from bitsmith.ir.builder import Value
from bitsmith.ir.types import IntArray, Ints, Overflow, Rounding, objects
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

_FINER = 4
"""Halvings of bins that are looked at, of which the outermost hold for all values beyond."""

_GUARD_BITS = 2
"""Bits of interpolated entries after the result's, so that only the result's rounding counts."""

_FRACTION_BITS = 10
"""Bits of the position within a bin that interpolation uses at least."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that a table may have which the user leaves open.

    Attributes:
        own: most values of an operand that have entries of their own.
        least: fewest bins where it has more values; there are twice as many up to `EXACT_ENTRIES`, until lines are fine.
    """

    own: int
    least: int

    def bins(self) -> tuple[int, ...]:
        """Numbers of bins, the fewest first."""
        return tuple(self.least << k for k in range((EXACT_ENTRIES // self.least).bit_length()))


ACTIVATION = Sizes(EXACT_ENTRIES, DEFAULT_ENTRIES)

INNER = Sizes(512, 16)
"""Sizes for functions inside others, which round again: lines of few bins take less memory than entries of many values."""


Way: TypeAlias = Callable[[Lowering, Value, int], Value | None]
"""A function of a value with so many fractional bits, not rounded to the result; None if it has too many bits."""


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function and its slopes far to the left and far to the right. It rises or falls between its ``turns``.

    All values of one that is ``bounded`` are within -1 to 1; one that ``jumps`` is not continuous. One of many values is computed
    ``wide``, if it has such a way: always, or, if it ``interpolates`` well, only where bins of a table are too coarse.
    """

    name: str
    evaluate: Callable[[Floats], Floats]
    turns: tuple[float, ...]
    left: float = 0.0
    right: float = 0.0
    bounded: bool = False
    jumps: bool = False
    wide: Way | None = None
    interpolates: bool = False

    def rest(self, x: Floats) -> Floats:
        """``g``: the function without its linear parts."""
        linear = self.left * np.minimum(x, 0.0) + self.right * np.maximum(x, 0.0)
        return np.asarray(self.evaluate(x) - linear, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Span:
    """Raw values ``first..last`` of an operand with ``frac`` fractional bits."""

    frac: int
    first: int
    last: int

    @classmethod
    def of(cls, x: Value) -> _Span:
        """All values of ``x``, which is uniform."""
        span = x.type.span
        return cls(span.frac, span.lo, span.hi)

    def part(self, first: int, last: int) -> _Span:
        """Other ends."""
        return _Span(self.frac, first, last)

    def between(self, bounds: tuple[float, float]) -> _Span:
        """Return the values between real ``bounds``; at least one."""
        first = max(self.first, min(self.last, math.floor(math.ldexp(bounds[0], self.frac))))
        return self.part(first, max(first, min(self.last, math.ceil(math.ldexp(bounds[1], self.frac)) - 1)))

    def points(self) -> Floats:
        """All values as real numbers."""
        return np.ldexp(np.arange(self.first, self.last + 1).astype(np.float64), -self.frac)

    def bin_bits(self, size: int) -> int:
        """The width of bins, as a power of two, of which at most ``size`` cover the values."""
        bits = max((self.last - self.first).bit_length() - size.bit_length() + 1, 0)
        while (self.last >> bits) - (self.first >> bits) + 1 > size:
            bits += 1
        return bits

    def whole_bins(self, within: _Span, size: int, *, centered: bool) -> _Span:
        """Widened ``within`` another span so that its ends lie where bins begin: there the entries at the ends hold.

        An operand that saturated within a bin would take a value between two entries, and so would all operands beyond.
        ``centered``: an entry stands for the middle of its bin, so that the bin that holds ``first`` does not do.
        """
        bits = self.bin_bits(size)
        while True:
            first = max(((self.first >> bits) - centered) << bits, within.first)
            widened = self.part(first, min(-(-self.last >> bits) << bits, within.last))
            if widened.bin_bits(size) <= bits:
                return widened
            bits += 1


def tabulated(
    lowering: Lowering,
    x: Value,
    function: Function,
    frac: int,
    variable: str = "table",
    bounds: tuple[float, float] | None = None,
    sizes: Sizes = ACTIVATION,
) -> Value:
    """``function(x)``; entries have the user's format of ``variable`` or ``frac`` fractional bits.

    ``bounds`` are the real values between which the table lies, if the user limits it; beyond, its end entries hold.
    """
    builder = lowering.builder
    result = _Table(lowering, function, frac, variable, sizes).of(uniform(lowering, x), bounds)
    zero = builder.const(0)
    for slope, part in ((function.right, builder.max), (function.left, builder.min)):
        if slope != 0.0:
            linear = part(x, zero)
            if slope != 1.0:
                linear = builder.mul(linear, _slope(lowering, slope, x, frac))
            result = builder.add(result, linear)
    return result


def is_free(lowering: Lowering, variable: str = "table") -> bool:
    """Return True if the user chose nothing of the table whose entries are ``variable``."""
    chosen = lowering.settings
    return not (chosen.table_size or chosen.table_range or chosen.binning or lowering.format(variable))


def has_own_entries(lowering: Lowering, x: Value) -> bool:
    """Return True if each value of ``x`` has an entry of its own in a table of which the user chose nothing."""
    return is_free(lowering) and x.type.span.hi - x.type.span.lo < EXACT_ENTRIES


def without_table(lowering: Lowering, x: Value, function: Function, frac: int) -> Value | None:
    """``function(x)`` where a table of bins is not as accurate, not rounded to the result; None where one is."""
    if function.wide is None or has_own_entries(lowering, x) or not is_free(lowering):
        return None
    table = _Table(lowering, function, frac, "table", ACTIVATION)
    if function.interpolates and table.is_fine(*table.bins(_Span.of(x))):
        return None
    return function.wide(lowering, x, frac)


def _slope(lowering: Lowering, slope: float, x: Value, frac: int) -> Value:
    """``slope`` in the user's format of ``param``, or so precise that its product with ``x`` is within an eighth of a step."""
    if lowering.format("param") is not None:
        return lowering.const("param", as_weights(slope))
    largest = max(abs(bound) for bound in x.type.real_range())
    places = max(frac + _GUARD_BITS + 1 + max(math.frexp(largest)[1], 0), 0)
    return lowering.builder.const(round(math.ldexp(slope, places)), places)


def uniform(lowering: Lowering, x: Value) -> Value:
    """``x`` with one ``frac`` and one range for all elements: one table serves all. Lossless."""
    if x.type.frac.size == x.type.lo.size == x.type.hi.size == 1:
        return x
    span = x.type.span
    return lowering.builder.cast_to(x, span.frac, span.lo, span.hi, Rounding.TRN, Overflow.WRAP)


@dataclass(frozen=True, slots=True, eq=False)
class _Bins:
    """Bins of ``2**bits`` values from number ``first`` on, each with the value at its center.

    Those at the ends hold beyond, and have the middle of what the function takes there; 0 where it becomes linear. The ``error``
    is its largest range within a bin.
    """

    bits: int
    first: int
    values: Floats
    error: float

    @classmethod
    def best(cls, domain: _Span, whole: _Span, size: int, function: Function) -> _Bins:
        """Those of so many bins whose error is least: finer ones leave more beyond their ends."""
        coarse = domain.whole_bins(whole, size, centered=True).bin_bits(size)
        finest = max(coarse - _FINER, 0)
        found = (cls._of(domain, whole, size, bits, function) for bits in range(coarse, finest - 1, -1))
        return min(found, key=lambda bins: bins.error)

    @classmethod
    def _of(cls, domain: _Span, whole: _Span, size: int, bits: int, function: Function) -> _Bins:
        """Those of ``2**bits`` values: around 0, on one side of it or at an end, where saturation takes few gates."""
        lowest, highest = domain.first >> bits, domain.last >> bits
        count = min(size, highest - lowest + 1)
        halves = np.arange(2 * lowest, 2 * highest + 3).astype(np.float64)
        ends = np.ldexp(np.array([whole.first, whole.last], dtype=np.float64), -whole.frac)
        shown = function.rest(np.clip(np.ldexp(halves, bits - 1 - whole.frac), *ends))
        within = np.stack([shown[:-1:2], shown[1::2], shown[2::2]])
        least, most = within.min(axis=0), within.max(axis=0)
        windows = []
        for first in (lowest, -size // 2, 0, -size, highest - count + 1):
            if not lowest <= first <= highest - count + 1:
                continue
            start, end = first - lowest, first - lowest + count
            values, parts = within[1, start:end].copy(), [np.max(most[start:end] - least[start:end])]
            for place, slope, beyond in (
                (0, function.left, slice(start + 1)),
                (-1, function.right, slice(end - 1, None)),
            ):
                low, high = least[beyond].min(), most[beyond].max()
                values[place] = (low + high) / 2.0 if slope == 0.0 else shown[place]
                parts.append(high - low)
            windows.append(cls(bits, first, values, float(max(parts))))
        return min(windows, key=lambda bins: bins.error)


@dataclass(frozen=True, slots=True)
class _Table:
    """The bounded rest of ``function`` as a table; entries have the user's format of ``variable`` or ``frac`` fractional bits."""

    lowering: Lowering
    function: Function
    frac: int
    variable: str
    sizes: Sizes

    def of(self, x: Value, bounds: tuple[float, float] | None) -> Value:
        """The rest of the function of ``x``, which is uniform: exact, or in bins where ``x`` has too many values."""
        settings, whole = self.lowering.settings, _Span.of(x)
        span = self._domain(whole) if bounds is None else whole.between(bounds)
        limit = settings.table_size
        if limit is None and settings.binning is None:
            limit = self.sizes.own
        if settings.table_size is not None and not 2 <= settings.table_size <= MAX_ENTRIES:
            raise ConfigError(
                f"a table of {settings.table_size} entries",
                where=f"layer {self.lowering.name!r}, key TableSize",
                accepted=f"2 to {MAX_ENTRIES}",
            )
        size = next((size for size in self._sizes() if self.is_fine(span, size)), self._sizes()[-1])
        exact = span.last - span.first < (limit or size)
        if not exact and bounds is None:
            if settings.binning is Binning.CENTER and settings.table_size is not None:
                return self._in_bins(x, _Bins.best(self._domain(whole), whole, size, self.function))
            span, size = self.bins(whole)
        if span != whole:
            x = self.lowering.builder.cast_to(x, span.frac, span.first, span.last, Rounding.TRN, Overflow.SAT)
        if exact:
            return self.lowering.builder.table(x, span.first, *self._entries(self.function.rest(span.points())))
        return self._binned(x, size)

    def _in_bins(self, x: Value, bins: _Bins) -> Value:
        """By the entry of the bin of ``x``; those at the ends hold beyond."""
        builder, whole, last = self.lowering.builder, _Span.of(x), bins.first + len(bins.values) - 1
        within = whole.part(max(bins.first << bins.bits, whole.first), min(((last + 1) << bins.bits) - 1, whole.last))
        if within != whole:
            x = builder.cast_to(x, within.frac, within.first, within.last, Rounding.TRN, Overflow.SAT)
        index = builder.cast_to(x, within.frac - bins.bits, bins.first, last, Rounding.TRN, Overflow.WRAP)
        return builder.table(index, bins.first, *self._entries(bins.values))

    def _entries(self, values: Floats, guard: int = 0) -> tuple[Ints, int]:
        """Entries rounded to nearest in the user's format, or with ``guard`` bits more than :attr:`frac`; and their ``frac``.

        Raises:
            RangeError: entries would be huge.
        """
        raw, frac = self._rounded(values, guard)
        return objects(raw), frac

    def _rounded(self, values: Floats, guard: int) -> tuple[IntArray, int]:
        """Return :meth:`_entries` in machine integers where these hold them."""
        fmt = self.lowering.format(self.variable)
        if fmt is not None:
            return to_raw(values, fmt), fmt.frac
        frac = self.frac + guard
        greatest = float(np.max(np.abs(values), initial=0.0))
        largest = math.frexp(greatest)[1]
        if not math.isfinite(greatest) or largest + frac > ENTRY_BITS:
            raise RangeError(
                f"its function reaches {greatest:.3g} within the proven range of its input: "
                f"entries with steps of {math.ldexp(1.0, -frac):.3g} would not fit",
                where=f"layer {self.lowering.name!r}",
                accepted=f"table entries of at most {ENTRY_BITS} bits",
                remedy=remedy(
                    *(
                        "give ",
                        given(calibration=OPEN),
                        ", or the result of the layer before it a precision, or this layer a ",
                    ),
                    "TableRange; for a softmax, Implementation: stable",
                ),
            )
        return np.rint(np.ldexp(values, frac)).astype(np.int64), frac

    def _domain(self, span: _Span, guard: int = 0) -> _Span:
        """The part of ``span`` outside which all entries equal the entry at its nearer end.

        A range with too many values is scanned coarsely, then what is left of it more finely, until nothing more falls away.
        """
        while True:
            exact = span.last - span.first < _SCAN_POINTS
            raws = _scanned(span)
            values = self.function.rest(np.asarray(raws * 1.0 / 2.0**span.frac, dtype=np.float64))
            entries, _ = self._rounded(values, guard)
            changes = np.flatnonzero(entries[1:] != entries[:-1])
            if changes.size == 0:
                return span.part(span.first, span.first)
            # Between the points of a coarse scan one more point is kept on either side.
            first = int(raws[int(changes[0])] if exact else raws[max(int(changes[0]) - 1, 0)])
            last = int(raws[int(changes[-1]) + 1] if exact else raws[min(int(changes[-1]) + 2, len(raws) - 1)])
            found = span.part(first, last)
            if exact or found == span:
                return found
            span = found

    def bins(self, whole: _Span) -> tuple[_Span, int]:
        """The part of an operand that has bins, and their number."""
        binning = self.lowering.settings.binning
        domain = self._domain(whole, guard=0 if binning in (Binning.FLOOR, Binning.CENTER) else _GUARD_BITS)
        for size in self._sizes():
            span = domain.whole_bins(whole, size, centered=binning is Binning.CENTER)
            if self.is_fine(span, size):
                break
        return span, size

    def _sizes(self) -> tuple[int, ...]:
        """The user's number of bins, or those to choose from."""
        chosen = self.lowering.settings.table_size
        return self.sizes.bins() if chosen is None else (chosen,)

    def is_fine(self, span: _Span, size: int) -> bool:
        """Return True if interpolation in ``size`` bins keeps the error below a quarter of a step."""
        bits = span.bin_bits(size)
        halves = np.arange((span.first >> bits) * 2, ((span.last >> bits) + 1) * 2 + 1).astype(np.float64)
        edges = self.function.rest(np.ldexp(halves, bits - 1 - span.frac))
        error = np.max(np.abs(edges[1::2] - (edges[:-1:2] + edges[2::2]) / 2.0))
        return bool(error < math.ldexp(0.25, -self.frac))

    def _binned(self, x: Value, size: int) -> Value:
        """By bins: the entry of the bin of ``x``, or the line between the entries at its ends."""
        builder, span = self.lowering.builder, _Span.of(x)
        bits = span.bin_bits(size)
        first, last = span.first >> bits, span.last >> bits
        binning = self.lowering.settings.binning or Binning.LINEAR
        index = builder.cast_to(x, span.frac - bits, first, last, Rounding.TRN, Overflow.WRAP)
        edges = np.ldexp(np.arange(first, last + 2).astype(np.float64), bits - span.frac)
        if binning is not Binning.LINEAR:
            offset = 0.0 if binning is Binning.FLOOR else 0.5
            points = edges[:-1] + offset * math.ldexp(1.0, bits - span.frac)
            return builder.table(index, first, *self._entries(self.function.rest(points)))
        raw, entry_frac = self._entries(self.function.rest(edges), _GUARD_BITS)
        base = builder.table(index, first, raw[:-1], entry_frac)
        # The lines run through the rounded entries, so the interpolation is continuous and monotone where the entries are.
        rise = builder.table(index, first, raw[1:] - raw[:-1], entry_frac)
        within = builder.cast_to(x, span.frac, 0, (1 << bits) - 1, Rounding.TRN, Overflow.WRAP)
        # Cutting bits off the position must not cost more than one step of the entries.
        kept = max(_FRACTION_BITS, int(np.max(np.abs(raw[1:] - raw[:-1]))).bit_length())
        if bits > kept:
            within = builder.cast_to(within, span.frac - bits + kept, 0, (1 << kept) - 1, Rounding.TRN, Overflow.SAT)
        # Shifted so that a whole bin is 1.
        return builder.add(base, builder.mul(rise, builder.shift(within, span.frac - bits)))


def _scanned(span: _Span) -> IntArray:
    """All values of ``span``, or points spread evenly over it and others that lie denser towards 0, where functions bend."""
    lo, hi = span.first, span.last
    bits = max(abs(lo), abs(hi)).bit_length()
    integers = np.dtype(np.int64 if bits < 62 else np.object_)
    steps: IntArray = np.arange(min(hi - lo + 1, _SCAN_POINTS)).astype(integers)
    if hi - lo < _SCAN_POINTS:
        return lo + steps
    octaves = np.arange(bits)[:, None] - (_OCTAVE_POINTS.bit_length() - 1)
    up, down = (np.maximum(shift, 0).astype(integers) for shift in (octaves, -octaves))
    near: IntArray = np.arange(_OCTAVE_POINTS, 2 * _OCTAVE_POINTS).astype(integers)
    near = (near << up) >> down
    inside = np.concatenate([-near.ravel(), near.ravel(), steps[:1]])
    inside = inside[(lo <= inside) & (inside <= hi)]
    quotient, rest = divmod(hi - lo, _SCAN_POINTS - 1)
    even = lo + quotient * steps + rest * steps // (_SCAN_POINTS - 1)
    points = np.sort(np.concatenate([even, inside]), kind="stable")
    return points[np.flatnonzero(np.concatenate([[True], points[1:] != points[:-1]]))]
