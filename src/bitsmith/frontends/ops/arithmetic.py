"""Arithmetic on elements of values that broadcast: sums, products, powers, bounds and roundings."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, ZERO, Kind, Value, constant, real
from bitsmith.frontends.ops.logic import clipping, common_kind, logical, whole, wrapped
from bitsmith.layers.activation import Activation
from bitsmith.layers.auto import AUTO_BITS, exact_frac
from bitsmith.layers.elementwise import Absolute, Sign, Whole, WholeNumber
from bitsmith.layers.integer import WholeQuotient
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.power import Divide, Power, VariablePower

Unary: TypeAlias = Callable[[Builder, Value], Value]
Several: TypeAlias = Callable[..., Value]
"""A function of a builder and any number of values."""


def number_kind(*values: Value) -> Kind:
    """The kind of a sum or quotient.

    Raises:
        UnsupportedError: there is none of truth values.
    """
    kind = common_kind(*values)
    if kind is Kind.BOOL:
        raise UnsupportedError(
            "arithmetic on truth values",
            accepted="their sums and products, which are true and false",
            remedy="cast them",
        )
    return kind


def add(build: Builder, x: Value, y: Value) -> Value:
    """``x + y``."""
    return add_scaled(build, x, y, 1.0)


def subtract(build: Builder, x: Value, y: Value) -> Value:
    """``x - y``."""
    return add_scaled(build, x, y, -1.0)


def add_scaled(build: Builder, x: Value, y: Value, sign: float) -> Value:
    """``x + sign * y``, where the sign may be any factor; of truth values that of which one is true."""
    if sign == 1.0 and common_kind(x, y) is Kind.BOOL:
        return logical(Maximum(), build, x, y)
    kind = number_kind(x, y)
    return wrapped(build, kind, lambda inner: _sum(inner, x, y, sign, kind))


def _sum(build: Builder, x: Value, y: Value, sign: float, kind: Kind) -> Value:
    if y.constant is not None and x.constant is None:
        return build.affine(x, ONE, y.times(sign), kind=kind)
    if x.constant is not None and y.constant is None:
        return build.affine(y, constant(sign), x, kind=kind)
    if sign not in (1.0, -1.0):
        y = build.affine(y, constant(sign), ZERO, "scaled", kind=kind)
    return build.joined(Subtract() if sign == -1.0 else Add(), x, y, kind=kind)


def _mapped(x: Value, change: Callable[[Floats], Floats]) -> Value:
    """A constant with other elements."""
    assert x.constant is not None
    return replace(constant(change(x.constant), x.label, x.kind), batch=x.batch)


def multiply(build: Builder, x: Value, y: Value) -> Value:
    """``x * y``; of truth values whether both are true."""
    kind = common_kind(x, y)
    return wrapped(build, kind, lambda inner: _product(inner, x, y, kind))


def _product(build: Builder, x: Value, y: Value, kind: Kind) -> Value:
    if x.constant is not None and y.constant is None:
        x, y = y, x
    return build.affine(x, y, ZERO, kind=kind) if y.constant is not None else build.joined(Multiply(), x, y, kind=kind)


def divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y``."""
    if number_kind(x, y).is_integer:
        raise UnsupportedError("a division of integers, which drops the rest", accepted="floating point")
    return _quotient(build, x, y)


def quotient(build: Builder, x: Value, y: Value) -> Value:
    """``x / y``, of which integers drop the rest."""
    return whole_quotient(Whole.TRUNC, build, x, y) if common_kind(x, y).is_integer else divide(build, x, y)


def true_divide(build: Builder, x: Value, y: Value) -> Value:
    """``x / y`` of real numbers, also of integers."""
    return _quotient(build, replace(x, kind=Kind.REAL), replace(y, kind=Kind.REAL))


def share(build: Builder, x: Value, total: Value) -> Value:
    """``x / total``, where 0 over 0 is 0."""
    return build.joined(Divide(share=True), real(x), total)


def _quotient(build: Builder, x: Value, y: Value) -> Value:
    _check_divisor(y)
    if y.is_trained and not x.is_trained:
        quotient = build.affine(x, _mapped(y, lambda values: 1.0 / values), ZERO)
    elif x.number == 1.0 and x.rank == 0 and not y.is_trained:
        return build.emit(Power(-1.0), y)
    else:
        quotient = build.joined(Divide(), x, y)
    # By a constant that is itself rounded, the product with its reciprocal is nearer.
    if isinstance(quotient.node, int) and (y.constant is None or exact_frac(y.constant, AUTO_BITS) is not None):
        build.draft.quotients[quotient.node] = x, y
    return quotient


def _check_divisor(y: Value) -> None:
    if y.constant is not None and y.is_trained and not bool(np.all(y.constant != 0.0)):
        raise UnsupportedError("a division by zero", accepted="other constants")


def whole_quotient(way: Whole, build: Builder, x: Value, y: Value) -> Value:
    """``x / y`` as an integer, ``way`` says which."""
    _check_divisor(y)
    kind, layer = number_kind(x, y), WholeQuotient(way)
    if kind.signed and (y.constant is None or bool(np.any(y.constant == -1.0))):
        return wrapped(build, kind, lambda inner: inner.joined(layer, x, y, kind=kind))
    return build.joined(layer, x, y, kind=kind)


def remainder(way: Whole, build: Builder, x: Value, y: Value) -> Value:
    """``x - y * (x / y as an integer)``: rounded down, it has the sign of ``y``, and towards 0 that of ``x``."""
    _check_divisor(y)
    kind = number_kind(x, y)
    times = build.within("whole").joined(WholeQuotient(way), x, y, kind=kind)
    return _sum(build, x, _product(build.within("multiple"), times, y, kind), -1.0, kind)


def power(build: Builder, x: Value, y: Value) -> Value:
    """``x ** y``; of two variables, the base must be known not to be negative."""
    exponent, base = y.number, x.number
    if exponent is not None and y.rank <= x.rank:
        if x.kind is not Kind.REAL and not (exponent >= 0.0 and exponent.is_integer() and x.kind.is_integer):
            raise UnsupportedError(f"integers to the power of {exponent:g}", accepted="floating point")
        return wrapped(build, x.kind, lambda inner: inner.emit(Power(exponent), x, kind=x.kind))
    if base is not None and base > 0.0 and x.rank <= y.rank and Kind.REAL in (x.kind, y.kind):
        if base == 2.0:
            return build.emit(Activation("exp2"), y)
        scaled = y if base == math.e else multiply(build.within("scaled"), y, constant(math.log(base)))
        return build.emit(Activation("exponential"), scaled)
    if Kind.REAL not in (x.kind, y.kind) or (base is not None and base <= 0.0):
        raise UnsupportedError(
            "a power of integers" if Kind.REAL not in (x.kind, y.kind) else f"powers of {base:g}",
            accepted="floating point, and positive bases",
        )
    return build.joined(VariablePower(), x, y)


def left_shift(build: Builder, x: Value, places: Value) -> Value:
    """``x * 2**places``, of which integers lose the upper bits."""
    return multiply(build, x, _power_of_two(x, places))


def right_shift(build: Builder, x: Value, places: Value) -> Value:
    """``x / 2**places`` rounded down."""
    return whole_quotient(Whole.FLOOR, build, x, _power_of_two(x, places))


def _power_of_two(x: Value, places: Value) -> Value:
    numbers = places.constant
    if not x.kind.is_integer or numbers is None or not bool(np.all((numbers >= 0) & (numbers < x.kind.bits))):
        raise UnsupportedError(
            f"a shift of {x.kind.value} by any number",
            accepted="integers, and constants from 0 to one less than their bits",
        )
    return replace(_mapped(places, lambda exponents: 2.0**exponents), kind=x.kind)


def hypotenuse(build: Builder, x: Value, y: Value) -> Value:
    """``sqrt(x**2 + y**2)``."""
    squares = (build.emit(Power(2.0), value, suffix=name) for value, name in ((x, "square"), (y, "other_square")))
    return build.emit(Power(0.5), add(build.within("sum"), *squares))


def negative(build: Builder, x: Value) -> Value:
    """``-x``."""
    kind = number_kind(x)
    return wrapped(build, kind, lambda inner: inner.affine(x, constant(-1.0), ZERO, kind=kind))


def absolute(build: Builder, x: Value) -> Value:
    """``|x|``."""
    return wrapped(build, x.kind, lambda inner: inner.emit(Absolute(), x, kind=x.kind))


def sign(build: Builder, x: Value) -> Value:
    """-1, 0 or 1."""
    return build.emit(Sign(), x, kind=x.kind)


def side(build: Builder, x: Value, kind: Kind) -> Value:
    """The side of 0 on which a number is that becomes a truth value; of other kinds the number."""
    return sign(build, x) if kind is Kind.BOOL else x


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
    return whole(build, x, Whole.ROUND)


def between(build: Builder, x: Value, y: Value, weight: Value) -> Value:
    """``x + weight * (y - x)``."""
    difference = subtract(build.within("difference"), y, x)
    return add(build, x, multiply(build.within("weighted"), difference, weight))


def clip(build: Builder, x: Value, low: float = -math.inf, high: float = math.inf) -> Value:
    """``min(max(x, low), high)``: of bounds that cross, the upper one is the result."""
    if x.kind.is_integer and not all(math.isinf(bound) or bound.is_integer() for bound in (low, high)):
        raise UnsupportedError(f"integers clipped to {low:g}..{high:g}", accepted="integers")
    return build.emit(clipping(low, high), x, kind=x.kind)


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
    if len(values) == 1:
        return values[0]
    kind = number_kind(*values)
    return wrapped(build, kind, lambda inner: inner.joined(Add(), *values, kind=kind))


def average(build: Builder, *values: Value) -> Value:
    """The mean of the values."""
    if number_kind(*values).wraps:
        raise UnsupportedError("the mean of integers", accepted="floating point")
    return values[0] if len(values) == 1 else build.joined(Average(), *values)
