"""Results for objects, kept as long as these live: what does not fit is laid out once more to say what is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

_Made = TypeVar("_Made")


@dataclass(slots=True)
class Lately(Generic[_Made]):
    """The ``most`` last results, by the object that each was made of, and the choices that it depends on besides."""

    most: int
    results: tuple[tuple[ReferenceType[object], object, _Made], ...] = ()

    def of(self, source: object, choices: object = None) -> _Made | None:
        """The result of ``source`` itself and equal ``choices``; None if there is none, or no more."""
        return next((made for known, asked, made in self.results if known() is source and asked == choices), None)

    def keep(self, made: _Made, source: object, choices: object = None) -> _Made:
        """The result, kept."""
        self.results = (*self.results, (ref(source, self._forget), choices, made))[-self.most :]
        return made

    def _forget(self, gone: ReferenceType[object]) -> None:
        """Drop the results of an object that is no more; other calls may be going through them."""
        self.results = tuple(each for each in self.results if each[0] is not gone)
