"""The arguments of one operator of a PyTorch program, all checked on access, and the builder of what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import is_integer, shown
from bitsmith.frontends.torch.archive import DTYPES, FLOATS
from bitsmith.frontends.torch.graph import Argument, DType, Node, Ref
from bitsmith.layers.layer import Floats, Shape

_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that nothing may read; ``why`` is said of who does, None if that has been said."""

    why: str | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """A number of elements, times the number of samples if ``batched``; -1 is what is left."""

    count: int
    batched: bool = False


Item: TypeAlias = "Value | Size | Unknown"
"""What the program holds under a name."""


@dataclass(frozen=True, slots=True)
class Call:
    """An operator on values."""

    node: Node
    values: dict[str, Item]
    dtypes: Mapping[str, int]
    build: Builder
    used: frozenset[str]

    def is_used(self, result: int) -> bool:
        """Whether anything reads the result of this number."""
        return result < len(self.node.results) and self.node.results[result] in self.used

    def argument(self, name: str) -> Argument:
        """The argument, or None."""
        return self.node.arguments.get(name)

    def given(self, name: str) -> bool:
        """Whether the argument is there, and not None."""
        return self.argument(name) is not None

    def _read(self, reference: Argument) -> Item:
        """What an argument that is a reference or a number means."""
        if isinstance(reference, Ref):
            value = self.values[reference.name]
            if isinstance(value, Unknown):
                raise UnsupportedError(value.why or "behind an operator that is refused")
            return value
        if isinstance(reference, bool | int | float | str) and (
            not isinstance(reference, str) or reference in _INFINITE
        ):
            kind = Kind.BOOL if isinstance(reference, bool) else Kind.REAL
            return constant(_INFINITE[reference] if isinstance(reference, str) else float(reference), kind=kind)
        raise UnsupportedError(f"the argument {shown(reference)}", accepted="tensors and numbers")

    def tensor(self, name: str = "self") -> Value:
        """A tensor, or a number as a constant."""
        return self.value(self.argument(name), name)

    def value(self, argument: Argument, name: str) -> Value:
        """A tensor, or a number as a constant, that is an argument or one of a list."""
        value = self._read(argument)
        if not isinstance(value, Value):
            raise UnsupportedError(f"{name} is the number of samples", accepted="tensors")
        number = self.dtypes.get(argument.name) if isinstance(argument, Ref) else None
        return value if number is None else replace(value, kind=kind_of(number))

    def tensors(self, name: str) -> tuple[Value, ...]:
        """A list of tensors."""
        listed = self.argument(name)
        if not isinstance(listed, tuple):
            raise UnsupportedError(f"{name} is {shown(listed)}", accepted="a list of tensors")
        return tuple(self.value(item, name) for item in listed)

    def weight(self, name: str, *alternatives: str) -> Floats:
        """A trained tensor, the same for all samples.

        Raises:
            UnsupportedError: one that is computed from the inputs.
            ModelFileError: NaN or infinite numbers.
        """
        found = self.tensor(next((other for other in (name, *alternatives) if self.given(other)), name))
        values = found.constant
        if values is None or found.batch is not None:
            raise UnsupportedError(f"{name} is computed from the inputs", accepted=f"a trained {name}")
        return finite(values, name, self.build.where)

    def optional(self, name: str) -> Floats | None:
        """A trained tensor, or None."""
        return self.weight(name) if self.given(name) else None

    def sizes(self, name: str) -> tuple[Size, ...]:
        """Sizes, of which some may depend on the number of samples."""
        listed = self.argument(name)
        return tuple(self.size_of(item) for item in (listed if isinstance(listed, tuple) else (listed,)))

    def shapes(self, name: str) -> list[Shape]:
        """Sizes for each of the builder's numbers of samples."""
        return [tuple(size.count * (n if size.batched else 1) for size in self.sizes(name)) for n in self.build.counts]

    def size_of(self, item: Argument) -> Size:
        """A size."""
        if isinstance(item, Ref) and isinstance(self.values[item.name], Size):
            found = self.values[item.name]
            return found if isinstance(found, Size) else Size(0)
        if isinstance(item, int):
            return Size(item)
        raise UnsupportedError(f"the size {shown(item)}", accepted="numbers, and that of the samples")

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.argument(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a whole number")
        return int(value)

    def integers(self, name: str) -> tuple[int, ...]:
        """A whole number or a list of them; empty if it is not given."""
        value = self.argument(name)
        items = () if value is None else value if isinstance(value, tuple) else (value,)
        found = tuple(item for item in items if is_integer(item) and not isinstance(item, bool))  # type: ignore[arg-type]
        if len(found) != len(items):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="whole numbers")
        return tuple(int(item) for item in found)

    def per_axis(self, name: str, rank: int, default: int) -> tuple[int, ...]:
        """One number per spatial axis."""
        values = self.integers(name) or (default,)
        values = values * rank if len(values) == 1 else values
        if len(values) != rank:
            raise UnsupportedError(f"{name} is {values}", accepted=f"{rank} whole numbers")
        return values

    def number(self, name: str, default: float | None = None) -> float:
        """A number, which may be infinite."""
        value = self.argument(name)
        if value is None and default is not None:
            return default
        if isinstance(value, Ref):
            found = self.tensor(name).constant
            if found is not None and found.size == 1:
                return float(found.reshape(()))
        if isinstance(value, str) and value in _INFINITE:
            return _INFINITE[value]
        if not isinstance(value, int | float):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a number")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.argument(name)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="true or false")
        return bool(value)

    def text(self, name: str, default: str) -> str:
        """A word."""
        value = self.argument(name)
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a word")
        return default if value is None else value

    def dtype(self, name: str = "dtype") -> int | None:
        """The number of an element type that is asked for."""
        value = self.argument(name)
        return value.number if isinstance(value, DType) else None

    def kind_of_result(self) -> Kind | None:
        """The kind of the first result; None if the program does not say it."""
        number = self.dtypes.get(self.node.results[0] or "") if self.node.results else None
        return None if number is None else kind_of(number)

    def dtype_of(self, name: str) -> int:
        """The number of the element type of a tensor that is an argument."""
        value = self.argument(name)
        return self.dtypes.get(value.name, 0) if isinstance(value, Ref) else 0


Result: TypeAlias = "Value | Size | tuple[Value | Unknown, ...]"

Translator: TypeAlias = Callable[[Call], Result]


@dataclass(frozen=True, slots=True)
class Translation:
    """How an operator is read, and ``becomes``, the kinds of layer that it turns into, for documentation."""

    read: Translator
    becomes: str


def kind_of(number: int) -> Kind:
    """What an element type, by its number in torch's schema, means to arithmetic."""
    return Kind.REAL if number in FLOATS else Kind.of(np.dtype(DTYPES.get(number, "f4")))
