"""The attributes of an ONNX node, checked on access; those that nobody reads are refused, lest they would have mattered."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array
from bitsmith.frontends.files.json import Watched

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True, eq=False)
class Attributes(Watched):
    """Attributes by name: numbers, words, tuples of them, functions that read a tensor."""

    values: Mapping[str, object]
    where: str

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def check_all_read(self) -> None:
        """Refuse attributes that were neither read nor ignored."""
        unread = sorted(set(self.values) - self.read)
        if unread:
            raise UnsupportedError(
                f"the attribute {', '.join(key[:50] for key in unread)}", accepted="none of this name"
            )

    def get(self, key: str) -> object:
        """The attribute, or None."""
        self.read.add(key)
        return self.values.get(key)

    def plain(self) -> dict[str, object]:
        """All attributes: numbers, words, tuples of them, and tensors as arrays."""
        return {key: self.tensor(key) if callable(value) else self.get(key) for key, value in self.values.items()}

    def wrong(self, key: str, accepted: str) -> ModelFileError:
        """The error of an attribute that is something else."""
        return ModelFileError(self.found(key), where=self.where, accepted=accepted)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """Finite numbers; None if left out."""
        values = self.floats(key)
        if not all(map(math.isfinite, values or ())):
            raise self.wrong(key, "finite numbers")
        return values

    def floats(self, key: str) -> tuple[float, ...] | None:
        """Numbers, also infinite ones and NaN; None if left out."""
        values = self._several(key, float, "numbers")
        return values if key in self else None

    def texts(self, key: str) -> tuple[str, ...]:
        """Words; none if left out."""
        return self._several(key, str, "words")

    def _several(self, key: str, kind: type[_Kind], accepted: str) -> tuple[_Kind, ...]:
        value = self.get(key)
        found = value if isinstance(value, tuple) else () if value is None else (value,)
        values = tuple(value for value in found if isinstance(value, kind))
        if len(values) != len(found):
            raise self.wrong(key, accepted)
        return values

    def tensor(self, key: str) -> Array | None:
        """A tensor; None if left out."""
        read = self.get(key)
        if read is None:
            return None
        if not callable(read):
            raise self.wrong(key, "a tensor")
        values: Array = read()
        return values
