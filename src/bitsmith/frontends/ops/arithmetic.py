"""Arithmetic on elements of values that broadcast: sums, products, powers, bounds and roundings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, ZERO, Kind, Value, constant
from bitsmith.frontends.ops.logic import compare
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.elementwise import Absolute, Sign, Whole, WholeNumber
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.power import Divide, Power
from bitsmith.layers.shape import Identity

Unary: TypeAlias = Callable[[Builder, Value], Value]
Several: TypeAlias = Callable[..., Value]
"""A function of a builder and any number of values."""

_LARGEST = float(np.finfo(np.float32).max)


def common_kind(*values: Value) -> Kind:
    """The kind of the values together: the one that holds most."""
    kinds = {value.kind for value in values}
    return next(kind for kind in (Kind.REAL, Kind.INTEGER, Kind.INT8_16, Kind.BOOL, Kind.STRING) if kind in kinds)


def exact_kind(*values: Value) -> Kind:
    """The kind of a sum or product.

    Raises:
        UnsupportedError: one that wraps around.
    """
    kind = common_kind(*values)
    if kind in (Kind.INT8_16, Kind.BOOL):
        raise UnsupportedError(
            "arithmetic on integers of 8 or 16 bits, which wrap around, or on truth values",
            accepted="floating point, and integers of 32 or 64 bits",
            remedy="cast to floating point first",
        )
    return kind


def add(build: Builder, x: Value, y: Value) -> Value:
    """``x + y``."""
    return add_scaled(build, x, y, 1.0)


def subtract(build: Builder, x: Value, y: Value) -> Value:
    """``x - y``."""
    return add_scaled(build, x, y, -1.0)


def add_scaled(build: Builder, x: Value, y: Value, sign: float) -> Value:
    """``x + sign * y``, where the sign may be any factor."""
    kind = exact_kind(x, y)
    if y.constant is not None and x.constant is None:
        return build.affine(x, ONE, y if sign == 1.0 else _mapped(y, lambda values: sign * values), kind=kind)
    if x.constant is not None and y.constant is None:
        return build.affine(y, constant(sign), x, kind=kind)
    if sign not in (1.0, -1.0):
        y = build.affine(y, constant(sign), ZERO, "scaled")
    return build.joined(Subtract() if sign == -1.0 else Add(), x, y, kind=kind)


def _mapped(x: Value, change: Callable[[Floats], Floats]) -> Value:
    """A constant with other elements."""
    assert x.constant is not None
    return replace(constant(change(x.constant), x.label, x.kind), batch=x.batch)


def multiply(build: Builder, x: Value, y: Value) -> Value:
    """``x * y``."""
    kind = Kind.BOOL if common_kind(x, y) is Kind.BOOL else exact_kind(x, y)
    if x.constant is not None and y.constant is None:
        x, y = y, x
    return build.affine(x, y, ZERO, kind=kind) if y.constant is not None else build.joined(Multiply(), x, y, kind=kind)


def divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y``."""
    if exact_kind(x, y) is Kind.INTEGER:
        raise UnsupportedError("a division of integers, which drops the rest", accepted="floating point")
    return _quotient(build, x, y)


def true_divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y`` of real numbers, also of integers."""
    return _quotient(build, replace(x, kind=Kind.REAL), replace(y, kind=Kind.REAL))


def _quotient(build: Builder, x: Value, y: Value) -> Value:
    if y.is_trained:
        if y.constant is not None and not bool(np.all(y.constant != 0.0)):
            raise UnsupportedError("a division by zero", accepted="other constants")
        if not x.is_trained:
            return build.affine(x, _mapped(y, lambda values: 1.0 / values), ZERO)
    if x.number == 1.0 and x.rank == 0:
        return build.emit(Power(-1.0), y)
    return build.joined(Divide(), x, y)


def floor_divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y`` rounded down."""
    kind = exact_kind(x, y)
    if _divides_exactly(y):
        return build.emit(WholeNumber(Whole.FLOOR), _quotient(build.within("quotient"), x, y), kind=kind)
    nearest, _, over = _nearest_quotient(build, x, y)
    return subtract(build, nearest, over)


def remainder(build: Builder, x: Value, y: Value) -> Value:
    """``x - y * floor(x / y)``, which has the sign of ``y``."""
    if _divides_exactly(y):
        whole = floor_divide(build.within("whole"), x, y)
        return subtract(build, x, multiply(build.within("multiple"), whole, y))
    _, rest, over = _nearest_quotient(build, x, y)
    return add(build, rest, multiply(build.within("back"), over, y))


def _divides_exactly(y: Value) -> bool:
    """Return True if the reciprocals of a constant are powers of two."""
    return y.constant is not None and bool(np.all(np.abs(np.frexp(y.constant)[0]) == 0.5))


def _nearest_quotient(build: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """The integer nearest to ``x / y``, what is left of ``x``, and 1 where that integer is greater than ``x / y``, else 0.

    The quotient itself is not exact in fixed point, where rounding down would be wrong at multiples of ``y``.
    """
    kind = exact_kind(x, y)
    nearest = build.emit(
        WholeNumber(Whole.ROUND), _quotient(build.within("quotient"), x, y), suffix="nearest", kind=kind
    )
    rest = subtract(build.within("rest"), x, multiply(build.within("multiple"), nearest, y))
    positive = y.constant is not None and bool(np.all(y.constant > 0.0))
    signed = rest if positive else multiply(build.within("signed"), rest, y)
    over = compare(build, Relation.LT, signed, ZERO, "over")
    return nearest, rest, replace(over, kind=kind)


def truncated_divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y`` rounded towards 0."""
    if _divides_exactly(y):
        whole = WholeNumber(Whole.TRUNC)
        return build.emit(whole, _quotient(build.within("quotient"), x, y), kind=exact_kind(x, y))
    sizes = (absolute(build.within("size"), x), absolute(build.within("divisor"), y))
    signs = multiply(build.within("signs"), sign(build.within("sign"), x), sign(build.within("divisor_sign"), y))
    return multiply(build, floor_divide(build.within("floor"), *sizes), signs)


def truncated_remainder(build: Builder, x: Value, y: Value) -> Value:
    """``x - y * trunc(x / y)``, which has the sign of ``x``."""
    sizes = (absolute(build.within("size"), x), absolute(build.within("divisor"), y))
    return multiply(build, remainder(build.within("rest"), *sizes), sign(build.within("sign"), x))


def power(build: Builder, x: Value, y: Value) -> Value:
    """``x ** y`` for a fixed exponent, or a fixed positive base."""
    exponent, base = y.number, x.number
    if exponent is not None and y.rank <= x.rank:
        if x.kind is not Kind.REAL and not (exponent >= 0.0 and exponent.is_integer() and x.kind is Kind.INTEGER):
            raise UnsupportedError(f"integers to the power of {exponent:g}", accepted="floating point")
        return build.emit(Power(exponent), x, kind=x.kind)
    if base is not None and base > 0.0 and x.rank <= y.rank:
        if base == 2.0:
            return build.emit(Activation("exp2"), y)
        scaled = y if base == math.e else build.affine(y, constant(math.log(base)), ZERO, "scaled")
        return build.emit(Activation("exponential"), scaled)
    raise UnsupportedError("a power of two variables", accepted="a fixed exponent, or a fixed positive base")


def hypotenuse(build: Builder, x: Value, y: Value) -> Value:
    """``sqrt(x**2 + y**2)``."""
    squares = (build.emit(Power(2.0), value, suffix=name) for value, name in ((x, "square"), (y, "other_square")))
    return build.emit(Power(0.5), add(build.within("sum"), *squares))


def negative(build: Builder, x: Value) -> Value:
    """``-x``."""
    return build.affine(x, constant(-1.0), ZERO, kind=exact_kind(x))


def absolute(build: Builder, x: Value) -> Value:
    """``|x|``."""
    if x.kind is Kind.INT8_16:
        exact_kind(x)
    return build.emit(Absolute(), x, kind=x.kind)


def sign(build: Builder, x: Value) -> Value:
    """-1, 0 or 1."""
    return build.emit(Sign(), x, kind=x.kind)


def fraction(build: Builder, x: Value) -> Value:
    """``x`` without its integer part."""
    return build.joined(Subtract(), x, build.emit(WholeNumber(Whole.TRUNC), x, suffix="whole"))


def round_half_to_even(build: Builder, x: Value, decimals: int) -> Value:
    """The nearest integer."""
    if decimals != 0:
        raise UnsupportedError(
            f"rounding to {decimals} decimals",
            accepted="integers",
            remedy="multiply by a power of two, round, and divide",
        )
    return build.emit(WholeNumber(Whole.ROUND), x, kind=x.kind)


def between(build: Builder, x: Value, y: Value, weight: Value) -> Value:
    """``x + weight * (y - x)``."""
    difference = subtract(build.within("difference"), y, x)
    return add(build, x, multiply(build.within("weighted"), difference, weight))


def clip(build: Builder, x: Value, low: float = -math.inf, high: float = math.inf) -> Value:
    """``min(max(x, low), high)``: of bounds that cross, the upper one is the result."""
    return build.emit(clipping(low, high), x, kind=x.kind)


def clipping(low: float = -math.inf, high: float = math.inf) -> Layer:
    """The layer that clips to ``low..high``; bounds beyond single precision are open."""
    if not low <= math.inf or not high > -_LARGEST or low == math.inf:
        raise UnsupportedError(f"clipping to {low}..{high}", accepted="finite bounds")
    low = min(low, high)
    lower, upper = None if low <= -_LARGEST else low, None if high >= _LARGEST else high
    if lower is None and upper is None:
        return Identity()
    return ReLU(upper) if lower == 0.0 else HardActivation(1.0, 0.0, lower, upper)


def maximum(build: Builder, *values: Value) -> Value:
    """The greatest of the values."""
    return _extreme(build, Maximum(), lambda bound: clipping(low=bound), values)


def minimum(build: Builder, *values: Value) -> Value:
    """The least of the values."""
    return _extreme(build, Minimum(), lambda bound: clipping(high=bound), values)


def _extreme(build: Builder, layer: Layer, bound: Callable[[float], Layer], values: tuple[Value, ...]) -> Value:
    """A maximum or minimum: one with a single number is a clipping."""
    kind = common_kind(*values)
    if len(values) == 1:
        return values[0]
    if len(values) == 2:
        x, y = values if values[1].is_trained else values[::-1]
        if y.number is not None and not x.is_trained and y.rank <= x.rank:
            return build.emit(bound(y.number), x, kind=kind)
    return build.joined(layer, *values, kind=kind)


def total(build: Builder, *values: Value) -> Value:
    """The sum of the values."""
    return values[0] if len(values) == 1 else build.joined(Add(), *values, kind=exact_kind(*values))


def average(build: Builder, *values: Value) -> Value:
    """The mean of the values."""
    return values[0] if len(values) == 1 else build.joined(Average(), *values, kind=exact_kind(*values))
