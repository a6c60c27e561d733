"""Operands of a call: tensors of any kind, and constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bitsmith.frontends.files.json import Json


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument without tensors: a plain value, or a list of them."""

    value: Json


T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Operands(Generic[T]):
    """Operands of a layer's call: tensors (``T``) and constants, lists with tensors opened."""

    args: tuple[T | Constant, ...]
    kwargs: Mapping[str, tuple[T | Constant, ...]]

    @property
    def tensors(self) -> tuple[T, ...]:
        """All tensors: the positional ones, then those that keywords name."""
        return tensors((self.args, *self.kwargs.values()))

    def mapped(self, change: Callable[[T], S]) -> Operands[S]:
        """The same arguments, each tensor as ``change`` says."""

        def mapped(items: Sequence[T | Constant]) -> tuple[S | Constant, ...]:
            return tuple(item if isinstance(item, Constant) else change(item) for item in items)

        return Operands(mapped(self.args), {key: mapped(items) for key, items in self.kwargs.items()})


def tensors(arguments: Iterable[Sequence[T | Constant]]) -> tuple[T, ...]:
    """The tensors among arguments."""
    return tuple(item for items in arguments for item in items if not isinstance(item, Constant))
