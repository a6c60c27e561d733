"""Remedies after an error, as values: text and calls, which each caller renders as its users type them.

``str`` of one is for Python; `bitsmith.cli.wording` renders the same for the command line.
"""

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


class Open(enum.Enum):
    """The value of an argument that is the user's to choose."""

    OPEN = enum.auto()


OPEN = Open.OPEN

NAMED = (
    "name the arguments: config={...}, calibration=x; of convert also output_dir='folder', of explore test=(x, labels)"
)
"""The remedy for an argument in the place of another."""

Argument: TypeAlias = "str | int | Open | Mapping[str, object]"
"""A value that can be typed, one that the user chooses, or a configuration."""


class Function(enum.Enum):
    """The functions that remedies name; commands have the same names."""

    CONVERT = "convert"
    BUILD = "build"
    PREDICT = "predict"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments by name, in order: of a function, or without one of the call that failed."""

    function: Function | None
    arguments: tuple[tuple[str, Argument], ...]


@dataclass(frozen=True, slots=True)
class Remedy:
    """Text and calls, in order."""

    parts: tuple[str | Call, ...]

    def rendered(self, render: Callable[[Call], str]) -> str:
        """Return the text, with calls as ``render`` has them."""
        return "".join(part if isinstance(part, str) else render(part) for part in self.parts)

    def __str__(self) -> str:
        return self.rendered(in_python)


def remedy(*parts: str | Call | Remedy) -> Remedy:
    """A remedy of text, calls and other remedies."""
    return Remedy(tuple(one for part in parts for one in (part.parts if isinstance(part, Remedy) else (part,))))


def given(**arguments: Argument) -> Call:
    """Arguments for the call that failed."""
    return Call(None, tuple(arguments.items()))


def convert(**arguments: Argument) -> Call:
    """A conversion with ``arguments`` beside those that the user gave."""
    return Call(Function.CONVERT, tuple(arguments.items()))


def build(**arguments: Argument) -> Call:
    """A build of the model."""
    return Call(Function.BUILD, tuple(arguments.items()))


def predict() -> Call:
    """Predictions of the model."""
    return Call(Function.PREDICT, ())


def write() -> Call:
    """The project of the model, written."""
    return Call(Function.WRITE, ())


def in_python(call: Call) -> str:
    arguments = [f"{name}={_literal(value)}" for name, value in call.arguments]
    if call.function is None:
        return ", ".join(arguments)
    others = ["..."] if call.function is Function.CONVERT else []
    return f"{call.function.value}({', '.join(others + arguments)})"


def _literal(value: Argument) -> str:
    if isinstance(value, Open):
        return "..."
    return json.dumps(value) if isinstance(value, Mapping) else repr(value)
