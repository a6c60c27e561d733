"""Universal Binary JSON, draft 12 (https://ubjson.org), in which XGBoost writes models, as the values that JSON has."""

from dataclasses import dataclass

import numpy as np

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import MAX_DEPTH, MAX_JSON_VALUES, Json, shown

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
"""Markers of numbers, and the types of these."""
_WORDS: dict[bytes, Json] = {b"Z": None, b"T": True, b"F": False}


def parse_ubjson(raw: bytes, where: str) -> dict[str, Json]:
    """The object that the bytes hold.

    Raises:
        ModelFileError: the bytes are malformed, end early, or hold no object, too many values or too deep ones.
    """
    reader = _Reader(raw, where)
    value = reader.value(reader.taken(1), 0)
    if not isinstance(value, dict) or reader.place != len(raw):
        raise reader.error("no object that takes all of the file")
    return value


@dataclass(slots=True)
class _Reader:
    """The values from a place on, one after another."""

    raw: bytes
    where: str
    place: int = 0
    values: int = 0

    def error(self, found: str) -> ModelFileError:
        return ModelFileError(f"{found}, at byte {self.place} of the binary JSON", where=self.where)

    def taken(self, count: int) -> bytes:
        if not 0 <= count <= len(self.raw) - self.place:
            raise self.error(f"a value of {count} bytes, which are not there")
        self.place += count
        return self.raw[self.place - count : self.place]

    def count(self, more: int) -> None:
        self.values += more
        if self.values > MAX_JSON_VALUES:
            raise self.error(f"more than {MAX_JSON_VALUES} values")

    def numbers(self, marker: bytes, count: int) -> list[Json]:
        kind = np.dtype(_NUMBERS[marker])
        self.count(max(count, 0))
        numbers: list[Json] = np.frombuffer(self.taken(count * kind.itemsize), kind).tolist()
        return numbers

    def integer(self) -> int:
        marker = self.taken(1)
        if marker not in (b"i", b"U", b"I", b"l", b"L"):
            raise self.error(f"the marker {shown(marker)} of a length")
        [number] = np.frombuffer(self.taken(np.dtype(_NUMBERS[marker]).itemsize), _NUMBERS[marker])
        return int(number)

    def text(self) -> str:
        try:
            return self.taken(self.integer()).decode()
        except UnicodeDecodeError:
            raise self.error("text that is not UTF-8") from None

    def value(self, marker: bytes, depth: int) -> Json:
        """The value of a marker that has been read."""
        self.count(1)
        if depth > MAX_DEPTH:
            raise self.error(f"values within more than {MAX_DEPTH} others")
        if marker in _WORDS:
            return _WORDS[marker]
        if marker in _NUMBERS:
            return self.numbers(marker, 1)[0]
        if marker in (b"S", b"C"):
            return self.text() if marker == b"S" else self.taken(1).decode("latin-1")
        if marker not in (b"[", b"{"):
            raise self.error(f"the marker {shown(marker)}")
        return self.elements(depth) if marker == b"[" else self.members(depth)

    def elements(self, depth: int) -> list[Json]:
        kind, count = self.header()
        if count is not None and kind in _NUMBERS:
            return self.numbers(kind, count)
        elements: list[Json] = []
        while not self.ends(count, len(elements), b"]"):
            elements.append(self.value(kind or self.taken(1), depth + 1))
        return elements

    def members(self, depth: int) -> dict[str, Json]:
        kind, count = self.header()
        members: dict[str, Json] = {}
        while not self.ends(count, len(members), b"}"):
            key = self.text()
            if key in members:
                raise self.error(f"the key {shown(key)}, which is given twice")
            members[key] = self.value(kind or self.taken(1), depth + 1)
        return members

    def header(self) -> tuple[bytes, int | None]:
        """The type of all values of a container, empty if each has its own, and their number, None if an end is marked."""
        kind = b""
        if self.raw[self.place : self.place + 1] == b"$":
            kind = self.taken(2)[1:]
        if self.raw[self.place : self.place + 1] == b"#":
            self.place += 1
            return kind, self.integer()
        if kind:
            raise self.error("a type without a number of values")
        return kind, None

    def ends(self, count: int | None, number: int, end: bytes) -> bool:
        """Return True after the last value of a container, past the mark of its end."""
        if count is not None:
            return number >= count
        ends = self.raw[self.place : self.place + 1] == end
        self.place += ends
        return ends
