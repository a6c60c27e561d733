"""The arguments of one operator of a PyTorch program, all checked on access, and the builder of what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.files.json import Watched, is_integer, shown
from bitsmith.frontends.ops.numbers import check_numbers
from bitsmith.frontends.torch.archive import DTYPES, FLOATS
from bitsmith.frontends.torch.graph import Argument, Node, Ref, TensorSpec
from bitsmith.layers.layer import Floats, Shape

ON_CODES = frozenset(
    ("view", "reshape", "flatten", "unflatten", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "clone")
)
"""Operators that move the codes of a quantizer, and so the numbers that these stand for."""

STORAGE = ("device", "layout", "pin_memory", "memory_format", "dtype")
"""Arguments of operators that make tensors: where these lie, and their type, which the result's description tells."""

_LIFTED = "lifted_tensor_"
"""Beginning of the names of tensors that the module's code makes of numbers."""

_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that nothing may read; ``why`` is said of who does, None if that has been said."""

    why: str | None = None


NOTHING = Unknown("a slice without elements")


@dataclass(frozen=True, slots=True)
class Counted(Unknown):
    """Integers, those of a range for each of the builder's numbers of samples."""

    ranges: tuple[range, ...] = ()


@dataclass(frozen=True, slots=True)
class Numbered(Counted):
    """The numbers of the samples along the first of ``rank`` axes, as an index of these."""

    rank: int = 1


@dataclass(frozen=True, slots=True)
class Picked(Unknown):
    """The elements of ``x`` where a computed ``mask`` of its first axes holds, of which a circuit has no tensor."""

    x: Value = ZERO
    mask: Value = ZERO


Item: TypeAlias = "Value | Shape | Unknown"
"""Value that the program holds under a name; a size as that for each of the builder's numbers of samples."""


@dataclass(frozen=True, slots=True)
class Call(Watched):
    """An operator on values; arguments that nobody reads are refused, lest they would have mattered."""

    node: Node
    values: dict[str, Item]
    specs: Mapping[str, TensorSpec]
    build: Builder
    used: frozenset[str]
    numbers: set[float] = field(default_factory=set, init=False)
    """Numbers that the program has written out, read as operands."""

    def is_used(self, result: int) -> bool:
        """Return True if anything reads the result of this number."""
        return result < len(self.node.results) and self.node.results[result] in self.used

    def get(self, key: str) -> Argument:
        """The argument, or None."""
        self.read.add(key)
        return self.node.arguments.get(key)

    @property
    def first(self) -> str:
        """The name of the first argument."""
        return next(iter(self.node.arguments))

    def check_all_read(self) -> None:
        """Refuse arguments that were neither read nor ignored."""
        given = {key for key, value in self.node.arguments.items() if value is not None}
        unread = sorted(given - self.read)
        if unread:
            raise UnsupportedError(f"the argument {', '.join(map(shown, unread))}", accepted="none of this name")

    def wrong(self, key: str, accepted: str) -> UnsupportedError:
        """The error for an argument that is something else, which may be right and not known here."""
        return UnsupportedError(self.found(key), accepted=accepted)

    def given(self, name: str) -> bool:
        """Return True if the argument is there, and not None."""
        return self.get(name) is not None

    def tensor(self, name: str = "self") -> Value:
        """A tensor, or a number as a constant."""
        return self.value(self.get(name), name)

    def number_always(self) -> Value:
        """The first operand, of which an operator tells numbers from what is none.

        Raises:
            UnsupportedError: torch may compute no number, as logarithms and quotients do: here they are numbers.
        """
        x = self.tensor(self.first)
        check_numbers(self.build, x)
        return x

    def value(self, argument: Argument, name: str) -> Value:
        """A tensor, or a number as a constant, that is an argument or one of a list."""
        if not isinstance(argument, Ref):
            number = _number(argument)
            if number is None:
                raise UnsupportedError(f"the argument {shown(argument)}", accepted="tensors and numbers")
            self.numbers.add(number)
            return constant(number, kind=Kind.BOOL if isinstance(argument, bool) else Kind.REAL)
        item = self.values[argument.name]
        if isinstance(item, Unknown):
            raise UnsupportedError(item.why or "after an operator that is refused")
        if isinstance(item, tuple):
            raise UnsupportedError(f"{name} is the number of samples", accepted="tensors")
        if item.codes is not None and self.node.name not in ON_CODES and "quantize" not in self.node.name:
            raise UnsupportedError(
                "arithmetic on the codes of a quantizer",
                accepted="operators that move them, and those that dequantize them",
                remedy="convert with use_reference_representation=False",
            )
        if item.label.startswith(_LIFTED) and item.number is not None:
            self.numbers.add(item.number)
        spec = self.specs.get(argument.name)
        return item if spec is None else replace(item, kind=kind_of(spec.dtype))

    def numbered(self, argument: Argument) -> Numbered | None:
        """The numbers of the samples, if an argument is these."""
        item = self.values[argument.name] if isinstance(argument, Ref) else None
        return item if isinstance(item, Numbered) else None

    def is_size(self, name: str) -> bool:
        """Return True of an argument that depends on the number of samples."""
        argument = self.get(name)
        return isinstance(argument, Ref) and isinstance(self.values[argument.name], tuple)

    def tensors(self, name: str) -> tuple[Value, ...]:
        """A list of tensors, without those that have no elements."""
        listed = self.get(name)
        if not isinstance(listed, tuple):
            raise self.wrong(name, "a list of tensors")
        some = [item for item in listed if not isinstance(item, Ref) or self.values[item.name] != NOTHING]
        return tuple(self.value(item, name) for item in some)

    def named(self, *names: str) -> str:
        """The first of the ``names`` under which an argument is given."""
        return next((name for name in names if self.given(name)), names[0])

    def weight(self, name: str) -> Floats:
        """A trained tensor, the same for all samples.

        Raises:
            UnsupportedError: one that is computed from the inputs.
            ModelFileError: NaN or infinite numbers.
        """
        return self.trained(self.tensor(name), name)

    def trained(self, value: Value, name: str) -> Floats:
        """The elements of a trained tensor, as in :meth:`weight`."""
        if value.constant is None or value.batch is not None:
            raise UnsupportedError(f"{name} is computed from the inputs", accepted=f"a trained {name}")
        return finite(value.constant, name, self.build.where)

    def trained_value(self, name: str) -> Value:
        """The same as :meth:`weight`, with its quantizer if it has one."""
        found = self.tensor(name)
        self.trained(found, name)
        return found

    def optional(self, name: str) -> Floats | None:
        """A trained tensor, or None."""
        return self.weight(name) if self.given(name) else None

    def shapes(self, name: str) -> list[Shape]:
        """Sizes for each of the builder's numbers of samples; -1 is what is left."""
        listed = self.get(name)
        sizes = [self.size_of(item) for item in (listed if isinstance(listed, tuple) else (listed,))]
        return [tuple(size[k] for size in sizes) for k in range(len(self.build.counts))]

    def size_of(self, item: Argument) -> Shape:
        """A size for each of the builder's numbers of samples."""
        if is_integer(item):
            return (item,) * len(self.build.counts)
        found = self.values[item.name] if isinstance(item, Ref) else None
        if not isinstance(found, tuple):
            raise UnsupportedError(f"the size {shown(item)}", accepted="numbers, and that of the samples")
        return found

    def number(self, name: str, default: float | None = None) -> float:
        """A number, which may be infinite."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        found = None if value is None else self.value(value, name).number
        if found is None:
            raise self.wrong(name, "a number")
        return found

    def scalar(self, name: str, default: float | None = None) -> float:
        """A number as of the result's type: an integer has no fraction."""
        number = self.number(name, default)
        return number if self.kind_of_result() in (None, Kind.REAL) else float(np.trunc(number))

    def kind_of_result(self) -> Kind | None:
        """The kind of the first result; None if the program does not say it."""
        spec = self.specs.get(self.node.results[0] or "") if self.node.results else None
        return None if spec is None else kind_of(spec.dtype)


Result: TypeAlias = "Value | tuple[Item, ...]"

Translator: TypeAlias = Callable[[Call], Result]


@dataclass(frozen=True, slots=True)
class Translation:
    """Reader of an operator, and ``becomes``, the kinds of layer that it turns into, for documentation.

    The ``ignored`` arguments change no number.
    """

    read: Translator
    becomes: str
    ignored: frozenset[str] = frozenset()

    def ignoring(self, *arguments: str) -> Translation:
        """The same of an operator with these arguments, which change no number."""
        return replace(self, ignored=frozenset(arguments))


Operators: TypeAlias = dict[str, Translation]
"""Translations of operators, by name."""


def function(make: Callable[..., Result], becomes: str, *reads: Callable[[Call], object]) -> Translation:
    """``make`` of the builder, the operand and what the ``reads`` give."""
    return Translation(lambda call: make(call.build, call.tensor(), *(read(call) for read in reads)), becomes)


def _number(argument: Argument) -> float | None:
    """A number that is written out, perhaps as a word."""
    if isinstance(argument, str):
        return _INFINITE.get(argument)
    return float(argument) if isinstance(argument, bool | int | float) else None


def kind_of(number: int) -> Kind:
    """Return the meaning of an element type, by its number in torch's schema, to arithmetic."""
    return Kind.REAL if number in FLOATS else Kind.of(np.dtype(DTYPES.get(number, "f4")))
