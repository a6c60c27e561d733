"""FlatBuffers read with bounds: each offset, size and count of the untrusted file is checked before it is followed.

Layout: https://flatbuffers.dev/internals. A table begins with the distance to its list of fields, which has for each field
its distance from the table, or 0 where the field has its default.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError

Numbers: TypeAlias = npt.NDArray[np.generic]

_MAX_VISITS = 16
"""Times that the bytes of a file may be read: its parts may be shared, but not so that a small file becomes large."""

_LEAST_VISITS = 1 << 16

_MAX_FIELDS = 64
"""Fields of a table that are looked through."""

_OFFSET, _DISTANCE, _SLOT = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<H")


@dataclass(slots=True)
class FlatBuffer:
    """The bytes of a file; ``where`` names it in errors."""

    content: bytes
    where: str
    visited: int = field(default=0, init=False)

    def take(self, position: int, size: int) -> memoryview:
        """``size`` bytes from ``position`` on.

        Raises:
            ModelFileError: they are not all in the file.
        """
        if position < 0 or size < 0 or position + size > len(self.content):
            raise self.error(f"{size} bytes at {position} of a file of {len(self.content)}")
        return memoryview(self.content)[position : position + size]

    def visit(self, position: int, size: int) -> memoryview:
        """The same; what is visited too often is refused."""
        self.visited += size
        if self.visited > max(_MAX_VISITS * len(self.content), _LEAST_VISITS):
            raise self.error("parts that refer to the same bytes again and again")
        return self.take(position, size)

    def number(self, position: int, form: struct.Struct) -> int:
        """The integer at ``position``."""
        (value,) = form.unpack(self.visit(position, form.size))
        return int(value)

    def target(self, position: int) -> int:
        """Return the target of the offset at ``position``."""
        return position + self.number(position, _OFFSET)

    def error(self, found: str) -> ModelFileError:
        """The error of a damaged file."""
        return ModelFileError(found, where=self.where, accepted="a whole file, as the converter writes it")

    def root(self, identifier: bytes) -> Table:
        """The file's table, if it has the ``identifier``."""
        if len(self.content) < 8 or self.content[4:8] != identifier:
            raise ModelFileError(
                f"a file that begins with {self.content[:8]!r}",
                where=self.where,
                accepted=f"one with {identifier!r} from byte 4 on",
            )
        return Table(self, self.target(0))


@dataclass(frozen=True, slots=True)
class Table:
    """A table at ``position``. Fields have numbers; those that are left out their defaults."""

    file: FlatBuffer
    position: int

    def _place(self, number: int, size: int) -> int | None:
        """Return the position of a field of ``size`` bytes; None if it is left out."""
        slots = self.position - self.file.number(self.position, _DISTANCE)
        entry = 4 + 2 * number
        if entry + 2 > self.file.number(slots, _SLOT):
            return None
        distance = self.file.number(slots + entry, _SLOT)
        if distance + size > self.file.number(slots + 2, _SLOT):
            raise self.file.error(f"field {number} of a table at {self.position} is outside it")
        return self.position + distance if distance else None

    def fields_from(self, number: int) -> tuple[int, ...]:
        """The numbers of fields from that one on that are not left out."""
        slots = self.position - self.file.number(self.position, _DISTANCE)
        count = min((self.file.number(slots, _SLOT) - 4) // 2, _MAX_FIELDS)
        return tuple(k for k in range(number, count) if self.file.number(slots + 4 + 2 * k, _SLOT))

    def scalar(self, number: int, form: str, default: int | float | bool = 0) -> int | float | bool:
        """A number, by its form of :mod:`struct`."""
        layout = struct.Struct("<" + form)
        place = self._place(number, layout.size)
        if place is None:
            return default
        (value,) = layout.unpack(self.file.visit(place, layout.size))
        found: int | float | bool = value
        return found

    def integer(self, number: int, form: str = "i", default: int = 0) -> int:
        return int(self.scalar(number, form, default))

    def table(self, number: int) -> Table | None:
        """A table; None if it is left out."""
        place = self._place(number, _OFFSET.size)
        return None if place is None else Table(self.file, self.file.target(place))

    def text(self, number: int) -> str:
        """Text; none if it is left out. What is not UTF-8 is shown as such."""
        raw = self._vector(number, 1, self.file.visit)
        return bytes(raw or b"").decode("utf-8", "backslashreplace")

    def tables(self, number: int, most: int) -> tuple[Table, ...]:
        """A list of tables."""
        offsets = self.numbers(number, "<u4", most)
        place = self._place(number, _OFFSET.size)
        start = 0 if place is None else self.file.target(place) + 4
        return tuple(Table(self.file, start + 4 * k + int(offset)) for k, offset in enumerate(offsets.tolist()))

    def numbers(self, number: int, dtype: str, most: int) -> Numbers:
        """A list of at most so many numbers."""
        form = np.dtype(dtype)
        raw = self._vector(number, form.itemsize, self.file.visit)
        values = np.frombuffer(raw or b"", dtype=form)
        if values.size > most:
            raise self.file.error(f"a list of {values.size} numbers, of which {most} may be")
        return values

    def integers(self, number: int, most: int) -> tuple[int, ...]:
        """A list of integers."""
        return tuple(self.numbers(number, "<i4", most).tolist())

    def bytes(self, number: int) -> memoryview | None:
        """Raw bytes, which are not copied; None if they are left out."""
        return self._vector(number, 1, self.file.take)

    def _vector(self, number: int, size: int, read: Callable[[int, int], memoryview]) -> memoryview | None:
        """The elements, of ``size`` bytes each, of a vector."""
        place = self._place(number, _OFFSET.size)
        if place is None:
            return None
        start = self.file.target(place)
        return read(start + 4, self.file.number(start, _OFFSET) * size)
