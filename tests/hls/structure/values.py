"""Values as far as they are known, and what a step touches: the notions of :mod:`tests.hls.structure.walk`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.hls.structure.tools import Array


@dataclass(frozen=True, slots=True)
class Index:
    """A constant plus symbols, each times a factor."""

    constant: int
    symbols: tuple[tuple[int, int], ...] = ()

    def plus(self, other: Index, sign: int = 1) -> Index:
        """The sum, or the difference."""
        factors = dict(self.symbols)
        for symbol, factor in other.symbols:
            factors[symbol] = factors.get(symbol, 0) + sign * factor
        kept = tuple(sorted((symbol, factor) for symbol, factor in factors.items() if factor))
        return Index(self.constant + sign * other.constant, kept)

    def times(self, factor: int) -> Index:
        """The product."""
        return Index(self.constant * factor, tuple((symbol, own * factor) for symbol, own in self.symbols if factor))


Cell = tuple[int, tuple[Index, ...]]
"""An element: its array's identity and its indices."""

Feedback = Mapping[int, int]
"""Operations on the way from what a step finds in each array (by identity) to a value."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number: its value, if it is an integer that is known, and its feedback."""

    index: Index | None = None
    feedback: Feedback = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A part of an array: indices of its first axes, and an offset along the next."""

    array: Array
    fixed: tuple[Index, ...] = ()
    offset: Index = Index(0)


@dataclass(slots=True)
class Structure:
    """A structure with arrays."""

    members: dict[str, Array]


@dataclass(slots=True)
class Box:
    """A variable's content; ``inside``: it is declared within a step."""

    content: Value | Pointer | Structure
    inside: bool = True


@dataclass(frozen=True, slots=True)
class Access:
    """A read or a write of an element."""

    array: Array
    indices: tuple[Index, ...]
    is_write: bool
    place: str


@dataclass(slots=True)
class Region:
    """A pipelined loop or function: its steps, what a step touches, and the operations in its feedback, by array."""

    function: str
    place: str
    trips: int
    marks: tuple[str, ...]
    accesses: list[Access] = field(default_factory=list)
    feedback: dict[str, tuple[int, Array | None]] = field(default_factory=dict)
    streams: dict[tuple[str, str], int] = field(default_factory=dict)
    """Reads and writes of each stream."""


UNKNOWN = Value()


def joined(*all_of: Feedback) -> Feedback:
    """The longest of each."""
    if not any(all_of):
        return {}
    found: dict[int, int] = {}
    for feedback in all_of:
        for array, operations in feedback.items():
            found[array] = max(operations, found.get(array, 0))
    return found


def combined(operator: str, left: Value, right: Value, operations: int) -> Value:
    """The value of an operation, which adds ``operations`` to its feedback."""
    feedback = joined(left.feedback, right.feedback)
    if operations and feedback:
        feedback = {array: length + operations for array, length in feedback.items()}
    return Value(_calculated(operator, left.index, right.index), feedback)


def applied(operator: str, value: Value) -> Value:
    """The value of an operation on one operand, which no feedback waits for."""
    index = value.index
    if index is not None and operator == "-":
        return Value(index.times(-1), value.feedback)
    if index is not None and operator == "!" and not index.symbols:
        return Value(Index(int(not index.constant)), value.feedback)
    return Value(None, value.feedback)


def _calculated(operator: str, left: Index | None, right: Index | None) -> Index | None:
    """The value of an operation on integers, as far as it is known."""
    if left is None or right is None:
        return None
    a, b = left.constant, right.constant
    if not left.symbols and not right.symbols:
        if operator in ("/", "%"):
            if b == 0:
                return None
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return Index(quotient if operator == "/" else a - b * quotient)
        known = _OPERATIONS.get(operator)
        return Index(int(known(a, b))) if known else None
    match operator:
        case "+":
            return left.plus(right)
        case "-":
            return left.plus(right, -1)
        case "*" if not right.symbols:
            return left.times(b)
        case "*" if not left.symbols:
            return right.times(a)
        case _:
            return None


_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
    "<<": lambda a, b: a << b if 0 <= b < 64 else 0,
    ">>": lambda a, b: a >> b if b >= 0 else 0,
}
