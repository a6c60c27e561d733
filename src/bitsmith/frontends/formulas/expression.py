"""Expressions as values: numbers, names of inputs, and functions of expressions. Equal ones are one, and computed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.errors import UnsupportedError

MOST_DEPTH = 200
"""Most functions within each other."""

MOST_PARTS = 20_000
"""Most numbers, names and functions of all formulas of a model."""

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Name:
    """An input."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A function, by its name in :data:`bitsmith.frontends.formulas.functions.FUNCTIONS`, of operands."""

    function: str
    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        if self.function.isidentifier():
            return f"{self.function}({', '.join(map(str, self.operands))})"
        operands = (
            f"({x})" if isinstance(x, Call) and not x.function.isidentifier() else str(x) for x in self.operands
        )
        return f" {self.function} ".join(operands)


Expression: TypeAlias = Number | Name | Call


def parts(*expressions: Expression) -> Iterator[Expression]:
    """All parts of expressions and themselves, operands first, equal ones once.

    Raises:
        UnsupportedError: too many.
    """
    done: set[Expression] = set()

    def within(expression: Expression) -> Iterator[Expression]:
        if expression in done:
            return
        if isinstance(expression, Call):
            for operand in expression.operands:
                yield from within(operand)
        done.add(expression)
        if len(done) > MOST_PARTS:
            raise UnsupportedError(f"formulas of more than {MOST_PARTS} parts", accepted="shorter ones")
        yield expression

    for expression in expressions:
        yield from within(expression)


def names_of(*expressions: Expression) -> tuple[str, ...]:
    """The inputs of expressions by name, numbers within names as numbers: x2 is before x10."""
    names = {part.name for part in parts(*expressions) if isinstance(part, Name)}
    return tuple(sorted(names, key=_natural))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def shown(expression: Expression) -> str:
    """An expression as errors and reports have it, cut off where it is long."""
    text = str(expression)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
