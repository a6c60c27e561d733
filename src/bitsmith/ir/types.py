"""Fixed-point formats and tensor types.

A value is ``raw * 2**-frac`` with an integer ``raw``. A *format* is what a user writes (``fixed<16,6,RND,SAT>``); a
*tensor type* is what is proved of a tensor: per element a ``frac`` and an exact interval ``lo <= raw <= hi``. Integers
are Python's, so no range is ever approximated.
"""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError, RangeError

_Array = TypeVar("_Array", bound=npt.NDArray[np.generic])

Ints: TypeAlias = npt.NDArray[np.object_]
"""Python integers."""

Fracs: TypeAlias = npt.NDArray[np.int64]
"""Numbers of fractional bits."""

IntArray: TypeAlias = npt.NDArray[np.integer] | npt.NDArray[np.object_]
IntLike: TypeAlias = int | Sequence[int] | IntArray

MAX_WIDTH = 512
"""Widest element in bits; wider needs a cast (a guard against run-away exact products)."""

MAX_FRAC = 1 << 14
"""Most fractional bits, either way (a guard against shifts that would not fit into memory)."""

MAX_ELEMENTS = 1 << 26
"""Largest tensor in elements; a guard against hostile shapes."""


class Rounding(enum.Enum):
    """Treatment of fractional bits that a cast drops (names of IEEE 1666 SystemC, chapter 7, without the ``SC_`` prefix)."""

    TRN = "TRN"
    TRN_ZERO = "TRN_ZERO"
    RND = "RND"
    RND_ZERO = "RND_ZERO"
    RND_INF = "RND_INF"
    RND_MIN_INF = "RND_MIN_INF"
    RND_CONV = "RND_CONV"


class Overflow(enum.Enum):
    """Treatment of values outside the range of a cast (names of IEEE 1666 SystemC, chapter 7)."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_ZERO = "SAT_ZERO"
    SAT_SYM = "SAT_SYM"


@dataclass(frozen=True, slots=True)
class FixedFormat:
    """A fixed-point format as users write it: ``width`` bits, ``width - frac`` of them integer bits (sign included)."""

    signed: bool
    width: int
    frac: int
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise RangeError(f"a format of {self.width} bits", accepted=f"1 to {MAX_WIDTH} bits")
        if self.frac > MAX_WIDTH or self.integer > MAX_WIDTH:
            raise RangeError(
                f"a format with {self.integer} integer and {self.frac} fractional bits",
                accepted=f"at most {MAX_WIDTH} of either, so that all values are ordinary floating-point numbers",
            )

    @property
    def integer(self) -> int:
        """Integer bits, the sign included (the second parameter of ``ap_fixed``)."""
        return self.width - self.frac

    @property
    def lo(self) -> int:
        """Least raw value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Greatest raw value."""
        return (1 << (self.width - int(self.signed))) - 1

    def __str__(self) -> str:
        return format_text([self])


def format_text(formats: Iterable[FixedFormat]) -> str:
    """Formats of the same modes as one text; numbers that differ from the least to the greatest: ``fixed<7..16,-3..9>``."""
    listed = list(formats)
    name = "fixed" if any(fmt.signed for fmt in listed) else "ufixed"
    width, integer = span_text([fmt.width for fmt in listed]), span_text([fmt.integer for fmt in listed])
    modes = ""
    if (listed[0].rounding, listed[0].overflow) != (Rounding.TRN, Overflow.WRAP):
        modes = f",{listed[0].rounding.value},{listed[0].overflow.value}"
    return f"{name}<{width},{integer}{modes}>"


def frozen(array: IntArray | Ints) -> Ints:
    """The array, read-only."""
    array = np.array(array, dtype=np.object_)
    array.setflags(write=False)
    return array


def span_text(numbers: Collection[int]) -> str:
    """``3..9``, or ``3`` where all are the same."""
    least, most = min(numbers), max(numbers)
    return str(most) if least == most else f"{least}..{most}"


def objects(values: IntLike) -> Ints:
    """An array of Python integers, on which numpy's arithmetic cannot overflow."""
    array = np.asarray(values)
    if array.dtype.kind in ("f", "O") and not isinstance(values, np.ndarray):
        # NumPy makes floats of unsigned integers of 64 bits beside negative ones, and keeps its own integers beside larger ones.
        try:
            return np.asarray(_whole(np.array(values, dtype=np.object_)), dtype=np.object_)
        except TypeError as error:
            raise ProgramError(f"values of type {array.dtype} where integers are needed") from error
    if array.dtype.kind == "O":
        return array
    if array.dtype.kind not in "iub":
        raise ProgramError(f"values of type {array.dtype} where integers are needed")
    return array.astype(np.object_)


_whole = np.frompyfunc(operator.index, 1, 1)


def machine(values: IntArray) -> npt.NDArray[np.int64] | None:
    """``values`` in 64-bit integers, with which numpy is fast; None if some do not fit."""
    try:
        return (objects(values) if values.dtype == np.uint64 else values).astype(np.int64, copy=False)
    except OverflowError:
        return None


def short(values: IntArray) -> IntArray:
    """``values`` in 64-bit integers if all fit, read-only if they were not so."""
    words = machine(values)
    if words is None or words is values:
        return values
    words.setflags(write=False)
    return words


def compact(array: _Array) -> _Array:
    """The smallest array that broadcasts to ``array``: axes along which all slices agree shrink to size 1."""
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            first = cast(_Array, array[(slice(None),) * axis + (slice(0, 1),)])
            if (array == first).all():
                array = first
    return array


def _any(found: object) -> bool:
    """Return True if some element is; what numpy makes of arrays without axes is none."""
    return bool(found.any()) if isinstance(found, np.ndarray) else bool(found)


def low_zeros(value: int) -> int:
    """Return the trailing zero bits of ``value``, 0 for 0."""
    return (value & -value).bit_length() - 1 if value else 0


def width_of(lo: int, hi: int) -> int:
    """Bits that hold all of ``lo..hi``: two's complement if ``lo < 0``, plain binary otherwise (0 bits for 0..0)."""
    if lo >= 0:
        return hi.bit_length()
    return max(-lo - 1, hi).bit_length() + 1


_widths = np.frompyfunc(width_of, 2, 1)
_EXACT = 1 << 53
"""Integers below this are exact floating-point numbers, whose exponents tell how many bits they have."""


def widths_of(lo: Ints, hi: Ints) -> npt.NDArray[np.int64]:
    """Return :func:`width_of` of each element, in machine numbers where these are exact: large tensors have millions."""
    try:
        least, most = lo.astype(np.int64), hi.astype(np.int64)
    except OverflowError:
        return np.asarray(_widths(lo, hi), dtype=np.int64)
    magnitudes = np.maximum(np.where(least < 0, ~least, 0), most)
    if magnitudes.max() >= _EXACT:
        return np.asarray(_widths(lo, hi), dtype=np.int64)
    bits: npt.NDArray[np.int64] = np.frexp(magnitudes.astype(np.float64))[1] + np.asarray(least < 0, dtype=np.int64)
    return bits


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers ``lo..hi`` in steps of ``2**-frac``: raw bounds that mean the same for all elements of a tensor."""

    frac: int
    lo: int
    hi: int

    def raw(self, frac: int) -> tuple[int, int]:
        """The bounds in units of ``2**-frac``."""
        up, down = max(frac - self.frac, 0), max(self.frac - frac, 0)
        return self.lo << up >> down, self.hi << up >> down

    @property
    def step(self) -> Fraction:
        """The distance between neighbors."""
        return Fraction(2) ** -self.frac

    @property
    def least(self) -> Fraction:
        """The least number."""
        return self.lo * self.step

    @property
    def greatest(self) -> Fraction:
        """The greatest number."""
        return self.hi * self.step


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TensorType:
    """The proved type of a tensor: its shape (no batch axis), and per element ``frac`` and the interval ``lo..hi``.

    Both bounds are raw values, each in units of its own element's ``2**-frac``, so those of several elements are compared or
    added only after :meth:`aligned`, :meth:`union` or :attr:`span`. The three arrays have the rank of ``shape`` and broadcast
    to it; they are kept as small as possible, so that equal types have equal arrays. Build one with :meth:`of`.
    """

    shape: tuple[int, ...]
    frac: npt.NDArray[np.int64]
    lo: Ints
    hi: Ints

    @staticmethod
    def of(shape: Sequence[int], frac: IntLike, lo: IntLike, hi: IntLike) -> TensorType:
        """Make a type; the arrays need only broadcast to ``shape``.

        Raises:
            RangeError: an element wider than ``MAX_WIDTH`` bits, or too many elements.
            ProgramError: an empty interval or arrays that do not fit the shape.
        """
        dims = tuple(map(int, shape))
        if min(dims, default=1) < 1 or math.prod(dims) > MAX_ELEMENTS:
            raise RangeError(f"a tensor of shape {dims}", accepted=f"at least 1 and at most {MAX_ELEMENTS} elements")
        shifts = _fitted(frac if isinstance(frac, np.ndarray) and frac.dtype == np.int64 else objects(frac), dims)
        if _any((shifts > MAX_FRAC) | (shifts < -MAX_FRAC)):
            raise RangeError(
                "a tensor with a scale out of range", accepted=f"at most {MAX_FRAC} fractional bits either way"
            )
        least, greatest = (objects(_fitted(objects(part), dims)) for part in (lo, hi))
        if _any(least > greatest):
            raise ProgramError("a type whose least value exceeds its greatest")
        result = TensorType(dims, shifts.astype(np.int64, copy=False), least, greatest)
        if result.max_width > MAX_WIDTH:
            raise RangeError(
                f"exact values of {result.max_width} bits",
                accepted=f"at most {MAX_WIDTH} bits",
                remedy="give this layer or the one before it a result precision, which casts its values",
            )
        for part in (result.frac, result.lo, result.hi):
            part.setflags(write=False)
        return result

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def width(self) -> npt.NDArray[np.int64]:
        """Bits per element (broadcasts to the shape)."""
        if self.lo.size == self.hi.size == 1:
            return np.full(self.lo.shape, self.max_width, dtype=np.int64)
        return widths_of(self.lo, self.hi)

    @property
    def max_width(self) -> int:
        """Bits of the widest element."""
        if self.lo.size == self.hi.size == 1:
            return width_of(self.lo.item(), self.hi.item())
        return int(self.width.max())

    @property
    def is_constant(self) -> bool:
        """True if every element has one possible value."""
        return bool(np.all(self.lo == self.hi))

    def contains(self, other: TensorType) -> bool:
        """True if every value of ``other`` (same ``frac``) is a value of this type."""
        return (
            self.shape == other.shape
            and bool(np.all(self.frac == other.frac))
            and bool(np.all(self.lo <= other.lo))
            and bool(np.all(self.hi >= other.hi))
        )

    def full(self) -> tuple[npt.NDArray[np.int64], Ints, Ints]:
        """``frac``, ``lo`` and ``hi`` broadcast to the shape (read-only views)."""
        return (
            np.broadcast_to(self.frac, self.shape),
            np.broadcast_to(self.lo, self.shape),
            np.broadcast_to(self.hi, self.shape),
        )

    def aligned(self, axes: Sequence[int] | None = None) -> TensorType:
        """The same values with one ``frac`` along ``axes`` (all, if None): the greatest, which loses nothing."""
        along = None if axes is None else tuple(axes)
        frac = np.asarray(np.max(self.frac, axis=along, keepdims=True))
        if frac.shape == self.frac.shape:
            return self
        shift = objects(frac - self.frac)
        return TensorType.of(self.shape, frac, objects(self.lo << shift), objects(self.hi << shift))

    def union(self, axes: Sequence[int] | None = None) -> TensorType:
        """The least type with one ``frac`` and one interval along ``axes`` (all, if None) that holds every value."""
        along = None if axes is None else tuple(axes)
        one = self.aligned(axes)
        lo, hi = np.min(one.lo, axis=along, keepdims=True), np.max(one.hi, axis=along, keepdims=True)
        return TensorType.of(self.shape, one.frac, objects(lo), objects(hi))

    @property
    def span(self) -> Span:
        """The least span that holds every value of every element."""
        frac = int(self.frac.max())
        shift = objects(frac - self.frac)
        return Span(frac, int(np.min(self.lo << shift)), int(np.max(self.hi << shift)))

    @property
    def raw_range(self) -> tuple[int, int]:
        """Least and greatest raw value of any element, whatever it is worth: only for the bits of words that hold each."""
        if self.lo.size == self.hi.size == 1:
            return int(self.lo.item()), int(self.hi.item())
        return int(np.min(self.lo)), int(np.max(self.hi))

    def real_range(self) -> tuple[float, float]:
        """Least and greatest real value over all elements; infinite beyond floating-point numbers."""
        span = self.span
        least, greatest = np.ldexp(np.array([span.lo, span.hi], dtype=np.float64), -span.frac)
        return float(least), float(greatest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorType):
            return NotImplemented
        return self.shape == other.shape and all(
            a.shape == b.shape and bool(np.all(a == b))
            for a, b in ((self.frac, other.frac), (self.lo, other.lo), (self.hi, other.hi))
        )

    def __hash__(self) -> int:
        return hash((self.shape, tuple(self.frac.ravel()), tuple(self.lo.ravel()), tuple(self.hi.ravel())))

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        widths = self.width
        least, most = int(widths.min()), int(widths.max())
        bits = f"{most}" if least == most else f"{least}..{most}"
        signed = "s" if bool(np.any(self.lo < 0)) else "u"
        fracs = sorted({int(f) for f in self.frac.ravel()})
        frac = f"{fracs[0]}" if len(fracs) == 1 else f"{fracs[0]}..{fracs[-1]}"
        return f"{shape} {signed}{bits} frac {frac}"

    __repr__ = __str__


def _fitted(array: IntArray, shape: tuple[int, ...]) -> IntArray:
    if array.ndim > len(shape):
        raise ProgramError(f"an array of shape {array.shape} for a tensor of shape {shape}")
    array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if array.size == 1:
        return array.copy()
    if any(have not in (1, want) for have, want in zip(array.shape, shape, strict=True)):
        raise ProgramError(f"an array of shape {array.shape} for a tensor of shape {shape}")
    return compact(array).copy()
