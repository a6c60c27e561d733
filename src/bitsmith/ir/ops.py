"""The closed set of core ops. Every op is exact, except :class:`Cast`, which is the only one that loses anything.

Ops carry constants and structure; operands and result types live in :class:`bitsmith.ir.program.Node`. Arrays in ops
are read-only. A tensor's last axis is its *channels*, the leading axes are *positions*.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir.ladders import Ladder
from bitsmith.ir.types import Fracs, IntArray, Ints, Overflow, Rounding, machine

if TYPE_CHECKING:
    from bitsmith.ir.program import Program


Positions: TypeAlias = npt.NDArray[np.int64]
"""Positions of elements along an axis, or in row-major order."""


class Relation(enum.Enum):
    """Relations of :class:`Compare`."""

    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"
    GE = "ge"
    GT = "gt"


RELATIONS: Mapping[Relation, np.ufunc] = {
    Relation.LT: np.less,
    Relation.LE: np.less_equal,
    Relation.EQ: np.equal,
    Relation.NE: np.not_equal,
    Relation.GE: np.greater_equal,
    Relation.GT: np.greater,
}
"""The functions of relations, of arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class _Op:
    """Equality and hashing by value, arrays included."""

    @property
    def arity(self) -> range:
        """Numbers of operands that the op may have."""
        raise NotImplementedError

    def key(self) -> tuple[object, ...]:
        """A hashable value that is equal for equal ops."""
        return (type(self).__name__, *(_hashable(getattr(self, f.name)) for f in fields(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Op) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())


def _hashable(value: object) -> object:
    if not isinstance(value, np.ndarray):
        return value
    short = machine(value)
    return value.shape, tuple(value.ravel().tolist()) if short is None else short.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf(_Op):
    arity: ClassVar[range] = range(1)


@dataclass(frozen=True, slots=True, eq=False)
class _Unary(_Op):
    arity: ClassVar[range] = range(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Binary(_Op):
    arity: ClassVar[range] = range(2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Commutative(_Binary):
    """An op whose two operands may change places."""


@dataclass(frozen=True, slots=True, eq=False)
class Input(_Leaf):
    """An input of the program. Real numbers become raw ones by this cast before they reach the circuit.

    ``frac``, ``lo`` and ``hi`` are those of the declared format and broadcast to ``shape``. Rounding
    changes no code of ``ladders``.
    """

    name: str
    shape: tuple[int, ...]
    frac: Fracs
    lo: Ints
    hi: Ints
    rounding: Rounding
    overflow: Overflow
    ladders: tuple[Ladder, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Const(_Leaf):
    """A constant tensor: element = ``raw * 2**-frac``; ``frac`` broadcasts to the shape of ``raw``."""

    raw: Ints
    frac: Fracs


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(_Leaf):
    """A constant tensor as :class:`Const`, whose values may be loaded into hardware later: any within ``lo..hi``.

    ``name`` says which tensor of its layer it is, ``external`` that it comes from outside for each sample. ``frac``, ``lo`` and
    ``hi`` broadcast to the shape of ``raw``, the values at present. Nothing may be concluded from those.
    """

    name: str
    raw: Ints
    frac: Fracs
    lo: Ints
    hi: Ints
    external: bool


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(_Unary):
    """The same elements in row-major order under another shape."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Transpose(_Unary):
    """Axes permuted: result axis ``k`` is operand axis ``perm[k]``."""

    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Slice(_Unary):
    """``x[start:stop:step]`` per axis, with ``0 <= start < stop <= n`` and ``step >= 1``."""

    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Concat(_Op):
    """Operands one after another along ``axis``."""

    axis: int

    arity: ClassVar[range] = range(1, (1 << 20) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pad(_Unary):
    """Zeros before and after, per axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Gather(_Unary):
    """Slices of the operand picked by constant ``indices`` along ``axis``, whose place the axes of ``indices`` take."""

    indices: Positions
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Broadcast(_Unary):
    """The operand repeated along axes of size 1 (and new leading axes) up to ``shape``."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Window(_Unary):
    """Sliding windows over the first ``len(size)`` axes, zero-padded by ``padding`` (before, after) per axis.

    ``(p1..pk, rest)`` becomes ``(q1..qk, size1..sizek, rest)`` with
    ``q = (p + before + after - dilation * (size - 1) - 1) // stride + 1``.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Linear(_Unary):
    """``x @ W`` over the last axis; ``W = weights * 2**-frac`` is constant, of shape (n_in, n_out).

    ``frac`` broadcasts to the shape of ``weights``. These are in 64-bit integers where a program is built of weights that fit.
    """

    weights: IntArray
    frac: Fracs


@dataclass(frozen=True, slots=True, eq=False)
class MatMul(_Binary):
    """``x @ y`` of two variables, ``(..., n, k) @ (..., k, m)``, leading axes broadcast."""


@dataclass(frozen=True, slots=True, eq=False)
class Add(Commutative):
    """``x + y``, broadcasting."""

    ufunc: ClassVar[np.ufunc] = np.add


@dataclass(frozen=True, slots=True, eq=False)
class Sub(_Binary):
    """``x - y``, broadcasting."""

    ufunc: ClassVar[np.ufunc] = np.subtract


@dataclass(frozen=True, slots=True, eq=False)
class Mul(Commutative):
    """``x * y``, broadcasting."""


@dataclass(frozen=True, slots=True, eq=False)
class Neg(_Unary):
    """``-x``."""


@dataclass(frozen=True, slots=True, eq=False)
class Shift(_Unary):
    """``x * 2**amount``; ``amount`` broadcasts to the shape of ``x``. Free: only ``frac`` changes."""

    amount: Fracs


@dataclass(frozen=True, slots=True, eq=False)
class Max(Commutative):
    """The larger of ``x`` and ``y``, broadcasting."""

    ufunc: ClassVar[np.ufunc] = np.fmax
    """For numbers the same as ``np.maximum``, and sooner, since it takes its result by position."""


@dataclass(frozen=True, slots=True, eq=False)
class Min(Commutative):
    """The smaller of ``x`` and ``y``, broadcasting."""

    ufunc: ClassVar[np.ufunc] = np.fmin


@dataclass(frozen=True, slots=True, eq=False)
class Abs(_Unary):
    """``|x|``."""


@dataclass(frozen=True, slots=True, eq=False)
class Compare(_Binary):
    """1 where ``x relation y`` holds, else 0; broadcasting."""

    relation: Relation


@dataclass(frozen=True, slots=True, eq=False)
class Select(_Op):
    """``x`` where ``condition`` is not 0, else ``y``; operands (condition, x, y), broadcasting."""

    arity: ClassVar[range] = range(3, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Sum(_Unary):
    """The sum over ``axes`` (sorted, not negative), which disappear."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AMax(_Unary):
    """The largest element over ``axes`` (sorted, not negative), which disappear."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table(_Unary):
    """``values[raw(x) - first] * 2**-frac``: a look-up by the raw value of ``x``.

    ``values`` has shape (..., n): its leading axes broadcast to the shape of ``x`` (a table per element or per
    channel); ``frac`` broadcasts to the shape of ``x``. Every raw value that the type of ``x`` allows must have an
    entry.
    """

    first: int
    values: Ints
    frac: Fracs


@dataclass(frozen=True, slots=True, eq=False)
class Cast(_Unary):
    """``x`` rounded to multiples of ``2**-frac`` and then brought into the raw interval ``lo..hi``: the only lossy op.

    WRAP is modulo ``hi - lo + 1``; SAT clamps; SAT_ZERO gives 0 outside; SAT_SYM clamps to ``max(lo, -hi)..hi``,
    for which ``hi`` must not be negative.
    The arrays broadcast to the shape of ``x``.
    """

    frac: Fracs
    lo: Ints
    hi: Ints
    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True, slots=True, eq=False)
class Scan(_Op):
    """A recurrence over the first axis. Operands: ``states`` initial states, then sequences of equal first size T.

    ``body`` takes (states..., one slice of each sequence...) and returns (next states..., y); the result stacks the y
    along a new first axis of size T. The body's inputs declare the state types: initial and next states must lie within
    them.

    The first ``kept`` states live on: their initial values are those of the first sample after a reset, and each later
    sample goes on with what the one before it left. So samples are in order.
    """

    body: Program
    states: int
    kept: int

    @property
    def arity(self) -> range:
        count = len(self.body.inputs)
        return range(count, count + 1)


Movement: TypeAlias = Reshape | Transpose | Slice | Concat | Pad | Gather | Broadcast | Window
"""Ops that move, repeat or drop elements and compute nothing."""

Plain: TypeAlias = Add | Sub | Mul | Neg | Max | Min | Abs | Compare | Select
"""Ops without arrays that compute each element of the result from one element of each operand."""

Elementwise: TypeAlias = Plain | Shift | Table | Cast
"""Ops that compute each element of the result from one element of each operand."""

Op: TypeAlias = Input | Const | Parameter | Movement | Linear | MatMul | Elementwise | Sum | AMax | Scan
"""All ops. A new one is added here; the type checker then names the places that must handle it (docs/add-a-core-op.md)."""
