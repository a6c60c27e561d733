"""Typed access to the JSON of a model, which is untrusted: every surprise is a ``ModelFileError`` that names the place."""

from __future__ import annotations

import json
import math
import re
import reprlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeGuard

import numpy as np

from bitsmith.errors import BitsmithError, Entry, ModelFileError
from bitsmith.layers.layer import Floats

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_JSON_BYTES = 64 << 20
MAX_JSON_VALUES = 1 << 22
"""Most values in JSON: an empty list has two bytes in a file, and forty times as many in memory."""
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
MAX_DEPTH = 200
MAX_CONSTANTS = 1 << 20
"""Most numbers in one constant that is written out in the JSON."""
MAX_NAME = 200
MAX_LIST = 1 << 16
"""Most integers of one argument."""
MAX_SIZE = (1 << 31) - 1
"""Greatest size, step or number of channels: products of one with any number of elements fit 64 bits."""
_INTEGERS = range(-(1 << 63), 1 << 63)


def parse_json(text: str | bytes, where: str, most: int = MAX_JSON_BYTES) -> dict[str, Json]:
    """The object that ``text`` holds, which has at ``most`` so many bytes.

    Raises:
        ModelFileError: no JSON object, one too large or too deeply nested, or one with a key that is given twice.
    """
    if len(text) > most:
        raise ModelFileError(f"{len(text)} bytes of JSON", where=where, accepted=f"at most {most} bytes")
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if _count(raw) > MAX_JSON_VALUES and _count(_TEXTS.sub(b"", raw)) > MAX_JSON_VALUES:
        raise ModelFileError("too many values in JSON", where=where, accepted=f"at most {MAX_JSON_VALUES}")
    try:
        value: Json = json.loads(raw, object_pairs_hook=partial(_without_repeats, where))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"this is not valid JSON ({reprlib.repr(str(error))})", where=where) from None
    if not isinstance(value, dict):
        raise ModelFileError(f"the JSON holds {shown(value)}", where=where, accepted="an object that describes a model")
    _check_depth(value, where)
    return value


def _count(raw: bytes) -> int:
    """At least the number of values, if no text has such marks."""
    return sum(raw.count(mark) for mark in (b",", b"[", b"{"))


def _without_repeats(where: str, entries: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(entries)
    if len(members) < len(entries):
        [(twice, _)] = Counter(key for key, _ in entries).most_common(1)
        raise ModelFileError(f"the key {shown(twice)} is given twice", where=where)
    return members


def _check_depth(value: Json, where: str) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        lists = (list(one.values()) if isinstance(one, dict) else one for one in level)
        level = [child for items in lists if isinstance(items, list) for child in items]
    raise ModelFileError("the JSON is nested too deeply", where=where, accepted=f"at most {MAX_DEPTH} levels")


def shown(value: object) -> str:
    """``value`` as an error message shows it: short, whatever it is."""
    return reprlib.repr(value)


class Arguments(ABC):
    """Arguments by name, each of which is checked as it is read."""

    __slots__ = ()

    @abstractmethod
    def get(self, key: str) -> object:
        """The argument, or None."""

    @abstractmethod
    def wrong(self, key: str, accepted: str) -> BitsmithError:
        """The error for an argument that is not what it must be."""

    def found(self, key: str) -> str:
        """Return the value in words, for errors."""
        value = self.get(key)
        return f"{key} is missing" if value is None else f"{key} is {shown(value)}"

    def text(self, key: str, default: str | None = None) -> str:
        """A string; ``default`` if the argument is absent or null."""
        value = default if (given := self.get(key)) is None else given
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def choice(self, key: str, table: Mapping[str, Entry], default: str | None = None) -> Entry:
        """The entry of a table that a string names; that of ``default`` if the argument is absent or null."""
        if (name := self.text(key, default)) not in table:
            raise self.wrong(key, (" or " if len(table) == 2 else ", ").join(table))
        return table[name]

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value (0 and 1 count); ``default`` if the argument is absent or null."""
        value = default if (given := self.get(key)) is None else given
        if value not in (True, False):
            raise self.wrong(key, "true or false")
        return bool(value)

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer; ``default`` if the argument is absent or null."""
        value = default if (given := self.get(key)) is None else given
        if not is_integer(value):
            raise self.wrong(key, "an integer of at most 64 bits")
        return value

    def positive(self, key: str, default: int | None = None) -> int:
        """A positive integer; ``default`` if the entry is absent or null."""
        value = self.integer(key, default)
        if not 1 <= value <= MAX_SIZE:
            raise self.wrong(key, f"a positive integer up to {MAX_SIZE}")
        return value

    def given_integers(self, key: str) -> tuple[int, ...] | None:
        """An integer or a list of them, as a tuple; None if the argument is absent or null."""
        if (value := self.get(key)) is None:
            return None
        items = value if isinstance(value, list | tuple) else (value,)
        found = tuple(item for item in items if is_integer(item))
        if len(found) != len(items) or len(found) > MAX_LIST:
            raise self.wrong(key, "an integer of at most 64 bits, or a list of them")
        return found

    def integers(self, key: str) -> tuple[int, ...]:
        """An integer or a list of them, as a tuple; empty if the argument is absent or null."""
        return self.given_integers(key) or ()

    def per_axis(self, key: str, rank: int, default: int | None = None, least: int = 1) -> tuple[int, ...]:
        """One integer for each of ``rank`` axes; a single one counts for all of them."""
        values = self.integers(key) or (() if default is None else (default,))
        values = values * rank if len(values) == 1 else values
        if len(values) != rank or min(values) < least or max(values) > MAX_SIZE:
            raise self.wrong(key, f"an integer from {least} to {MAX_SIZE}, or {rank} of them")
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Watched(Arguments):
    """Arguments of which those that nobody reads can be refused, lest they would have mattered.

    `get` notes its key in ``read``.
    """

    read: set[str] = field(default_factory=set, init=False)

    def ignore(self, *keys: str) -> None:
        """Say that these change no number."""
        self.read.update(keys)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number; ``default`` if the argument is absent or null."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, float) or not math.isfinite(value):
            raise self.wrong(key, "a finite number")
        return value


def integer(key: str, default: int | None = None) -> Callable[[Arguments], int]:
    """Return a reader of an argument that is an integer."""
    return lambda arguments: arguments.integer(key, default)


def integers(key: str) -> Callable[[Arguments], tuple[int, ...]]:
    """Return a reader of an argument that is an integer or a list of them."""
    return lambda arguments: arguments.integers(key)


@dataclass(frozen=True, slots=True)
class Fields(Arguments):
    """One JSON object; ``where`` says what it describes."""

    values: Mapping[str, Json]
    where: str

    def wrong(self, key: str, accepted: str) -> ModelFileError:
        """The error for an entry that is not what it must be."""
        return self.error(self.found(key), accepted)

    def error(self, found: str, accepted: str = "", remedy: str = "") -> ModelFileError:
        """The error for something else that is wrong here."""
        return ModelFileError(found, where=self.where, accepted=accepted, remedy=remedy)

    def get(self, key: str) -> Json:
        """The entry, or None."""
        return self.values.get(key)

    def name(self, key: str) -> str:
        """A name that can be shown."""
        value = self.text(key)
        if not value or len(value) > MAX_NAME or not value.isprintable():
            raise self.wrong(key, f"1 to {MAX_NAME} printable characters")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number in any of the forms of :meth:`constant`; ``default`` if the entry is absent or null."""
        if self.get(key) is None and default is not None:
            return default
        values = self.constant(key)
        if values.size != 1:
            raise self.wrong(key, "one number")
        return float(values.reshape(()))

    def constant(self, key: str) -> Floats:
        """Finite numbers of any shape: a number, nested lists, or an array as Keras serializes one."""
        if (values := constant(self.get(key))) is None:
            raise self.wrong(key, "finite numbers")
        return values

    def fields(self, key: str) -> Fields:
        """An object."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(value, self.where)

    def items(self, key: str) -> list[Json]:
        value = self.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def objects(self, key: str) -> list[Fields]:
        items = self.items(key)
        found = [Fields(item, self.where) for item in items if isinstance(item, dict)]
        if len(found) != len(items):
            raise self.error(f"{key} holds something else than objects")
        return found

    def only(self) -> tuple[str, Json]:
        """The only entry: its key, which says what it is, and the value."""
        if len(self.values) != 1:
            raise self.error(shown(dict(self.values)), "an object of one entry")
        return next(iter(self.values.items()))

    def at(self, where: str) -> Fields:
        """The same object under a better description."""
        return Fields(self.values, where)


def is_integer(value: object) -> TypeGuard[int]:
    """Return True of an integer that 64 bits hold (JSON's true and false are none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value in _INTEGERS


def constant(value: Json) -> Floats | None:
    """``value`` as numbers, or None if it is something else, NaN, plus infinity, ragged or too large.

    Arrays are lists, ``{"class_name": "__numpy__" or "__tensor__", "config": {"value": ...}}`` (Keras 3) or
    ``{"type": "ndarray", "value": ...}`` (early Keras 2).
    """
    while isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value.get("value")
    flat = list(islice(_leaves(value), MAX_CONSTANTS + 1))
    if len(flat) > MAX_CONSTANTS or not all(isinstance(item, int | float) for item in flat):
        return None
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return array if bool(np.all(array < math.inf)) else None


def _leaves(value: Json) -> Iterator[Json]:
    if not isinstance(value, list):
        yield value
    else:
        for item in value:
            yield from _leaves(item)
