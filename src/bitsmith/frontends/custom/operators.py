"""Python's operators and protocols on tensors: each emits a layer, or says why none can mean what Python would make of it.

A tensor has no value while a translation runs. What asks for one (``if``, ``and``, ``max``, ``float``) would decide once, for all
samples, and so is refused by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import arithmetic
from bitsmith.frontends.ops.operations import OPERATIONS, RELATIONS

Number: TypeAlias = "float | npt.NDArray[np.generic] | Sequence[float]"
"""Constants: they broadcast as NumPy's arrays do."""

T = TypeVar("T")
"""The class of tensors."""

Make = Callable[..., Value]
"""Emits the layers of an operation, given the builder and the operands."""

_CHOICE = "where(condition, x, y), maximum, minimum and clip of bitsmith.custom choose for each element; & | ~ join conditions"

_OWN = "use operators, methods of the tensor, or where, maximum, minimum, concatenate and einsum of bitsmith.custom"


def refused(found: str, remedy: str) -> UnsupportedError:
    """The error for what tensors of a translation cannot do."""
    return UnsupportedError(f"{found} of a tensor, which has no value yet", where="a translation", remedy=remedy)


def _joining(name: str, operation: str, *, reflected: bool = False) -> Callable[[Operators[T], T | Number], T]:
    """A method that joins the tensor and another operand by a shared operation, under a ``name``."""
    make = OPERATIONS[operation].make
    return lambda x, other: x._joined(name, make, other, reflected=reflected)


def _changing(name: str, operation: str) -> Callable[[Operators[T]], T]:
    """A method that changes the tensor alone."""
    make = OPERATIONS[operation].make
    return lambda x: x._changed(name, make)


class Operators(ABC, Generic[T]):
    """Methods that Python's syntax and functions call."""

    __slots__ = ()

    @abstractmethod
    def _joined(self, name: str, make: Make, other: T | Number, *, reflected: bool = False) -> T:
        """The layers of ``make`` on the tensor and another operand, or the other way round; they broadcast."""

    @abstractmethod
    def _changed(self, name: str, make: Make) -> T:
        """The layers of ``make`` on the tensor itself."""

    @abstractmethod
    def _known(self) -> float | None:
        """The number that a constant of one element is; None of other tensors."""

    # Arithmetic.

    __add__ = __radd__ = _joining("add", "add")
    __sub__ = _joining("subtract", "subtract")
    __rsub__ = _joining("subtract", "subtract", reflected=True)
    __mul__ = __rmul__ = _joining("multiply", "multiply")
    __truediv__ = _joining("divide", "true_divide")
    __rtruediv__ = _joining("divide", "true_divide", reflected=True)
    __floordiv__ = _joining("floor_divide", "floor_divide")
    __rfloordiv__ = _joining("floor_divide", "floor_divide", reflected=True)
    __mod__ = _joining("remainder", "mod")
    __rmod__ = _joining("remainder", "mod", reflected=True)

    def __divmod__(self, other: T | Number) -> tuple[T, T]:
        return self // other, self % other

    def __rdivmod__(self, other: T | Number) -> tuple[T, T]:
        return self.__rfloordiv__(other), self.__rmod__(other)

    def __pow__(self, other: T | Number, modulus: object = None) -> T:
        if modulus is not None:
            raise refused("a power with a modulus", "write x**y % z")
        return self._joined("power", arithmetic.power, other)

    __rpow__ = _joining("power", "power", reflected=True)
    __neg__ = _changing("negative", "negative")

    def __pos__(self) -> T:
        return self * 1.0

    __abs__ = _changing("absolute", "absolute")

    def __round__(self, digits: int | None = None) -> T:
        return self._changed("round", lambda build, x: arithmetic.round_half_to_even(build, x, digits or 0))

    __floor__ = _changing("floor", "floor")
    __ceil__ = _changing("ceil", "ceil")
    __trunc__ = _changing("trunc", "trunc")

    # Comparisons, and what joins them.

    __eq__ = _joining("compare", "equal")  # type: ignore[assignment]
    __ne__ = _joining("compare", "not_equal")  # type: ignore[assignment]
    __lt__ = _joining("compare", "less")
    __le__ = _joining("compare", "less_equal")
    __gt__ = _joining("compare", "greater")
    __ge__ = _joining("compare", "greater_equal")

    __hash__ = object.__hash__

    __and__ = __rand__ = _joining("and", "bitwise_and")
    __or__ = __ror__ = _joining("or", "bitwise_or")
    __xor__ = __rxor__ = _joining("xor", "bitwise_xor")
    __invert__ = _changing("not", "bitwise_not")

    def __lshift__(self, other: object) -> NoReturn:
        raise refused("a shift", "multiply by a power of two")

    __rlshift__ = __rshift__ = __rrshift__ = __lshift__

    # What asks for a value, which only constants have.

    def __bool__(self) -> bool:
        return bool(self._number("the truth (in if, while, and, or, not, max, min, sorted, or a < b < c)", _CHOICE))

    def __float__(self) -> float:
        return self._number("a float", "compute with the tensor itself")

    def __complex__(self) -> complex:
        return complex(self._number("a complex number", "compute with the tensor itself"))

    def __int__(self) -> int:
        return int(self._number("an int", "math.trunc(x) rounds each element"))

    def __index__(self) -> int:
        number = self._number("an index", "where(condition, x, y) of bitsmith.custom chooses for each element")
        if not number.is_integer():
            raise refused(f"an index {number:g}", "round it")
        return int(number)

    def _number(self, found: str, remedy: str) -> float:
        number = self._known()
        if number is None:
            raise refused(found, remedy)
        return number

    def __contains__(self, other: object) -> bool:
        raise refused("whether it holds something (in)", "(x == y).max() is 1 where an element is equal")

    def __setitem__(self, index: object, *value: object) -> NoReturn:
        raise refused("a change", "where(condition, x, y) and concatenate of bitsmith.custom give another tensor")

    __delitem__ = __setitem__

    def __format__(self, form: str) -> str:
        if form:
            raise refused(f"the format {form!r}", "f'{x}' shows its shape")
        return repr(self)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> T: ...

    def __iter__(self) -> Iterator[T]:
        return (self[k] for k in range(len(self)))

    def __reversed__(self) -> Iterator[T]:
        return (self[k] for k in reversed(range(len(self))))

    # NumPy's and PyTorch's.

    def __array__(self, *given: object, **more: object) -> NoReturn:
        raise refused("an array", "call.constant(array) makes a tensor of an array; concatenate joins tensors")

    def __array_function__(self, function: Callable[..., object], *given: object) -> NoReturn:
        raise refused(f"numpy.{getattr(function, '__name__', function)}", _OWN)

    @classmethod
    def __torch_function__(cls, function: Callable[..., object], *given: object) -> NoReturn:
        raise refused(f"torch's {getattr(function, '__name__', function)}", _OWN)

    def __array_ufunc__(self, function: np.ufunc, method: str, *operands: T | Number, **more: object) -> T:
        meant = UFUNCS.get(function.__name__) if method == "__call__" and not more else None
        if meant is None:
            asked = f"numpy.{function.__name__}" + (f".{method}" if method != "__call__" else "")
            given = f" with {', '.join(map(str, more))}" if more else ""
            raise refused(
                f"{asked}{given}", f"of NumPy there are {', '.join(sorted(UFUNCS))}; x.function(name) has more"
            )
        found: T = meant(*(self._tensor(one) for one in operands))
        return found

    @abstractmethod
    def _tensor(self, other: T | Number) -> T:
        """The operand as a tensor."""


_JOINED = ("add", "subtract", "multiply", "floor_divide", "power", "maximum", "minimum")
_CHANGED = ("negative", "absolute", "floor", "ceil", "trunc")

UFUNCS: Mapping[str, Callable[..., Any]] = {
    **{name: _joining(name, name) for name in _JOINED},
    **{name: _joining("compare", name) for name in RELATIONS},
    **{f"bitwise_{name}": _joining(name, f"bitwise_{name}") for name in ("and", "or", "xor")},
    **{name: _changing(name, name) for name in _CHANGED},
    "divide": lambda x, y: x / y,
    "remainder": lambda x, y: x % y,
    "matmul": lambda x, y: x @ y,
    "positive": lambda x: +x,
    "fabs": abs,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "sqrt": lambda x: x.sqrt(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "rint": round,
    "logical_and": lambda x, y: (x != 0.0) & (y != 0.0),
    "logical_or": lambda x, y: (x != 0.0) | (y != 0.0),
    "logical_xor": lambda x, y: (x != 0.0) ^ (y != 0.0),
    "logical_not": lambda x: x == 0.0,
    "invert": lambda x: ~x,
}
"""Meanings of NumPy's functions of each element on tensors."""
