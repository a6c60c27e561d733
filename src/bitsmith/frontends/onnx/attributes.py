"""The attributes of an ONNX node, checked on access; those that nobody reads are refused, lest they would have mattered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError

if TYPE_CHECKING:
    import onnx

T = TypeVar("T")


class Attributes:
    """Attributes by name. ``tensor`` reads one that holds a tensor."""

    def __init__(
        self,
        values: Mapping[str, onnx.AttributeProto],
        where: str,
        tensor: Callable[[onnx.TensorProto], npt.NDArray[np.generic]],
    ) -> None:
        self.where = where
        self._values = values
        self._tensor = tensor
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def ignore(self, *keys: str) -> None:
        """Says that these change no number."""
        self._read.update(keys)

    def check_all_read(self) -> None:
        """Refuses attributes that were neither read nor ignored."""
        unread = sorted(set(self._values) - self._read)
        if unread:
            raise UnsupportedError(
                f"the attribute {', '.join(key[:50] for key in unread)}", accepted="none of this name"
            )

    def _get(self, key: str, kind: int, wanted: str) -> onnx.AttributeProto | None:
        self._read.add(key)
        found = self._values.get(key)
        if found is not None and (found.ref_attr_name or int(found.type) != kind):
            raise self.wrong(key, wanted)
        return found

    def wrong(self, key: str, accepted: str) -> ModelFileError:
        """The error of an attribute that is something else."""
        return ModelFileError(f"a wrong attribute {key}", where=self.where, accepted=accepted)

    def _default(self, key: str, default: T | None) -> T:
        if default is None:
            raise ModelFileError(f"no attribute {key}", where=self.where)
        return default

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        found = self._get(key, _INT, "a whole number")
        return self._default(key, default) if found is None else int(found.i)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """0 or 1."""
        value = self.integer(key, default)
        if value not in (0, 1):
            raise self.wrong(key, "0 or 1")
        return bool(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        found = self._get(key, _FLOAT, "a finite number")
        value = self._default(key, default) if found is None else float(found.f)
        if not math.isfinite(value):
            raise self.wrong(key, "a finite number")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A word."""
        found = self._get(key, _STRING, "a word")
        return self._default(key, default) if found is None else found.s.decode("utf-8", "replace")

    def texts(self, key: str) -> tuple[str, ...]:
        """Words; none if left out."""
        found = self._get(key, _STRINGS, "words")
        return () if found is None else tuple(word.decode("utf-8", "replace") for word in found.strings)

    @overload
    def integers(self, key: str) -> tuple[int, ...] | None: ...
    @overload
    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]: ...
    def integers(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
        """Whole numbers; ``default`` if left out."""
        found = self._get(key, _INTS, "whole numbers")
        if found is None:
            return default
        if len(found.ints) > 1 << 16:
            raise self.wrong(key, "fewer numbers")
        return tuple(int(value) for value in found.ints)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """Finite numbers; None if left out."""
        found = self._get(key, _FLOATS, "finite numbers")
        if found is None:
            return None
        if not all(math.isfinite(value) for value in found.floats):
            raise self.wrong(key, "finite numbers")
        return tuple(float(value) for value in found.floats)

    def tensor(self, key: str) -> npt.NDArray[np.generic] | None:
        """A tensor; None if left out."""
        found = self._get(key, _TENSOR, "a tensor")
        return None if found is None else self._tensor(found.t)


_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8
"""ONNX's numbers of the attributes' types."""
