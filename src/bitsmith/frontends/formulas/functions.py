"""The functions that formulas may have: for each its layers, its values, its range, and where it is defined."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, ZERO, Value, constant
from bitsmith.frontends.ops import activations, arithmetic, logic
from bitsmith.frontends.ops.functions import FUNCTIONS as LAYERS
from bitsmith.ir.ops import RELATIONS, Relation
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.functions import FUNCTIONS as TABLES
from bitsmith.layers.layer import Floats
from bitsmith.layers.merge import Maximum, Minimum
from bitsmith.layers.power import Power

Interval: TypeAlias = tuple[Floats, Floats]
"""The least and the greatest number of each of several boxes."""

Truths: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Domain:
    """Numbers for which a function is defined: in words, and whether all numbers of intervals of its operands are some."""

    words: str
    holds: Callable[..., Truths]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a formula.

    Args:
        emit: its layers, of a builder and operands.
        value: its values, of arrays of numbers.
        span: intervals of its values for intervals of operands.
        operands: how many it has; the least and the most.
        domain: where it is defined; None: everywhere.
    """

    emit: Callable[..., Value]
    value: Callable[..., Floats]
    span: Callable[..., Interval]
    operands: tuple[int, int]
    domain: Domain | None


_MANY = 4096
_CLOSE = 1e-12
"""Share of a bound by which intervals may miss it, as they are rounded."""


def _monotone(value: Callable[..., Floats], *turns: float) -> Callable[[Interval], Interval]:
    """The span of a function of one number that rises or falls between its ``turns``."""

    def span(x: Interval) -> Interval:
        ends = [value(x[0]), value(x[1])]
        ends += [np.where((x[0] < turn) & (x[1] > turn), value(np.asarray(turn)), ends[0]) for turn in turns]
        return np.minimum.reduce(ends), np.maximum.reduce(ends)

    return span


def _periodic(value: Callable[..., Floats], crest: float) -> Callable[[Interval], Interval]:
    """The span of a sinusoid with a maximum at ``crest``."""

    def reaches(x: Interval, where: float) -> Truths:
        turn = 2.0 * math.pi
        return np.asarray(np.floor((x[1] - where) / turn) >= np.ceil((x[0] - where) / turn))

    def span(x: Interval) -> Interval:
        ends = value(x[0]), value(x[1])
        least = np.where(reaches(x, crest + math.pi), -1.0, np.minimum(*ends))
        return np.nan_to_num(least, nan=-1.0), np.nan_to_num(
            np.where(reaches(x, crest), 1.0, np.maximum(*ends)), nan=1.0
        )

    return span


def _products(x: Interval, y: Interval) -> Interval:
    with np.errstate(all="ignore"):
        ends = [np.where((a == 0.0) | (b == 0.0), 0.0, a * b) for a in x for b in y]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _inverse(x: Interval) -> Interval:
    with np.errstate(all="ignore"):
        inside = (x[0] <= 0.0) & (x[1] >= 0.0)
        return np.where(inside, -np.inf, 1.0 / x[1]), np.where(inside, np.inf, 1.0 / x[0])


def _truth_span(*operands: Interval) -> Interval:
    size = np.broadcast(*(x[0] for x in operands)).shape
    return np.zeros(size), np.ones(size)


def _power_span(x: Interval, y: Interval) -> Interval:
    """The span of a power: exact for exponents that are one number, else of positive bases."""
    with np.errstate(all="ignore"):
        if y[0].size and bool(np.all(y[0] == y[1])) and bool(np.all(y[0] == y[0].flat[0])):
            exponent = float(y[0].flat[0])
            if exponent < 0.0 and exponent.is_integer():
                return _inverse(_monotone(lambda v: np.asarray(v**-exponent), 0.0)(x))
            if not exponent.is_integer():
                x = np.maximum(x[0], 0.0), np.maximum(x[1], 0.0)
            return _monotone(lambda v: np.asarray(v**exponent), 0.0)(x)
        ends = [np.maximum(a, 0.0) ** b for a in x for b in y]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _power_defined(x: Interval, y: Interval) -> Truths:
    whole = (y[0] == y[1]) & (y[0] == np.floor(y[0]))
    apart = (x[0] > 0.0) | (x[1] < 0.0)
    positive = (x[0] > 0.0) | ((x[0] >= -_CLOSE * np.abs(x[1])) & (y[0] >= 0.0))
    return np.where(whole, apart | (y[0] >= 0.0), positive)


def _emit_power(build: Builder, x: Value, y: Value) -> Value:
    if x.constant is None and y.constant is None:
        x = build.emit(LAYERS["relu"], x, suffix="base")
    return arithmetic.power(build, x, y)


def _of_layer(name: str) -> Callable[..., Value]:
    return lambda build, x: build.emit(LAYERS[name], x)


def _through(name: str, value: Callable[..., Floats], *turns: float, domain: Domain | None = None) -> Function:
    """A function of one number that is one layer."""
    return Function(_of_layer(name), value, _monotone(value, *turns), (1, 1), domain)


def _tabulated(name: str) -> Function:
    return _through(name, TABLES[name].evaluate, *TABLES[name].turns)


def _composed(
    emit: Callable[[Builder, Value], Value], value: Callable[..., Floats], domain: Domain | None = None
) -> Function:
    """A function of one number, which it rises or falls with, that is several layers."""
    return Function(emit, value, _monotone(value), (1, 1), domain)


def _rising(emit: Callable[..., Value], value: np.ufunc) -> Function:
    """A function of any number of operands that rises with each of them."""

    def span(*x: Interval) -> Interval:
        least, most = zip(*x, strict=True)
        return reduce(value, least), reduce(value, most)

    return Function(emit, lambda *x: np.asarray(reduce(value, x)), span, (1, _MANY), None)


def _at_least(least: float) -> Domain:
    return Domain(f"{least:g} and more", lambda x: x[0] >= least - _CLOSE * (np.abs(x[1]) + abs(least)))


def _above(least: float) -> Domain:
    return Domain(f"numbers above {least:g}", lambda x: x[0] > least)


_APART = Domain("numbers other than 0", lambda x: (x[0] > 0.0) | (x[1] < 0.0))
_DIVISOR = Domain("divisors other than 0", lambda x, y: (y[0] > 0.0) | (y[1] < 0.0))
_UNIT = Domain("numbers from -1 to 1", lambda x: (x[0] >= -1.0 - _CLOSE) & (x[1] <= 1.0 + _CLOSE))
_WITHIN = Domain("numbers between -1 and 1", lambda x: (x[0] > -1.0) & (x[1] < 1.0))
_BRANCH = Domain(
    "numbers between neighboring poles, odd multiples of pi / 2",
    lambda x: np.floor(x[0] / math.pi + 0.5) == np.floor(x[1] / math.pi + 0.5),
)
_BASE = Domain("bases above 0, or integers as exponents", _power_defined)


def _tangent(build: Builder, x: Value) -> Value:
    sine = build.emit(LAYERS["sin"], x, suffix="sin")
    return arithmetic.true_divide(build, sine, build.emit(LAYERS["cos"], x, suffix="cos"))


def _related(relation: Relation) -> Function:
    def emit(build: Builder, x: Value, y: Value) -> Value:
        return logic.compare(build, relation, x, y)

    def value(x: Floats, y: Floats) -> Floats:
        return np.asarray(RELATIONS[relation](x, y), dtype=np.float64)

    return Function(emit, value, _truth_span, (2, 2), None)


def _positive(build: Builder, x: Value) -> Value:
    return logic.compare(build, Relation.GT, x, ZERO, suffix="truth")


def _joined(join: Callable[..., Value], value: Callable[..., Truths]) -> Function:
    """A function of truth values, of which numbers are true above 0."""

    def emit(build: Builder, *operands: Value) -> Value:
        truths = [_positive(build.within(f"operand{k}"), x) for k, x in enumerate(operands)]
        return reduce(lambda x, y: join(build, x, y), truths)

    def values(*operands: Floats) -> Floats:
        return reduce(value, [np.asarray(x > 0.0) for x in operands]).astype(np.float64)

    return Function(emit, values, _truth_span, (1, _MANY), None)


def _chosen(build: Builder, condition: Value, x: Value, y: Value) -> Value:
    return logic.where(build, _positive(build.within("condition"), condition), x, y)


def _where(condition: Floats, x: Floats, y: Floats) -> Floats:
    return np.asarray(np.where(condition > 0.0, x, y), dtype=np.float64)


def _sum(build: Builder, *operands: Value) -> Value:
    """The sum; of constants with the last of the others, in one layer."""
    constants = [x for x in operands if x.is_trained]
    others = [x for x in operands if not x.is_trained]
    if constants and others:
        known = constant(sum(float(x.elements.reshape(())) for x in constants))
        return build.affine(arithmetic.total(build.within("terms"), *others), ONE, known)
    return arithmetic.total(build, *operands)


def _product(build: Builder, *operands: Value) -> Value:
    *first, last = operands
    for number, x in enumerate(first[1:]):
        first[0] = arithmetic.multiply(build.within(f"factor{number}"), first[0], x)
    return arithmetic.multiply(build, first[0], last) if first else last


def _clipped(build: Builder, x: Value, low: Value, high: Value) -> Value:
    return arithmetic.minimum(build, arithmetic.maximum(build.within("least"), x, low), high)


def _cube_root(build: Builder, x: Value) -> Value:
    root = build.emit(Power(1.0 / 3.0), build.emit(LAYERS["abs"], x, suffix="magnitude"), suffix="root")
    return arithmetic.multiply(build, root, build.emit(LAYERS["sign"], x, suffix="sign"))


def _root_beside_square(build: Builder, x: Value, sign: float) -> Value:
    """``sqrt(sign * (x**2 - 1))``."""
    square = build.emit(LAYERS["square"], x, suffix="square")
    inside = build.affine(square, constant(sign), constant(-sign), "inside")
    return build.emit(LAYERS["sqrt"], inside, suffix="root")


def _half_arc_sine(build: Builder, x: Value) -> Value:
    """``asin(x) / 2 = atan(x / (1 + sqrt(1 - x**2)))``, of which no operand is steep."""
    divisor = build.affine(_root_beside_square(build, x, -1.0), ONE, ONE, "divisor")
    ratio = arithmetic.true_divide(build.within("ratio"), x, divisor)
    return build.emit(LAYERS["atan"], ratio, suffix="half")


def _arc_cosine(build: Builder, x: Value) -> Value:
    return build.affine(_half_arc_sine(build, x), constant(-2.0), constant(math.pi / 2.0))


def _area_cosine(build: Builder, x: Value) -> Value:
    return build.emit(LAYERS["log"], arithmetic.add(build.within("sum"), x, _root_beside_square(build, x, 1.0)))


def _area_tangent(build: Builder, x: Value) -> Value:
    above = build.emit(LAYERS["log1p"], x, suffix="above")
    below = build.emit(LAYERS["log1p"], arithmetic.negative(build.within("negative"), x), suffix="below")
    return build.affine(arithmetic.subtract(build.within("difference"), above, below), constant(0.5), ZERO)


_erf = TABLES["erf"].evaluate


def _turn(y: Interval, x: Interval) -> Interval:
    return np.full(x[0].shape, -math.pi), np.full(x[0].shape, math.pi)


def _clipped_span(x: Interval, low: Interval, high: Interval) -> Interval:
    return np.minimum(np.maximum(x[0], low[0]), high[0]), np.minimum(np.maximum(x[1], low[1]), high[1])


def _remainder_span(x: Interval, y: Interval) -> Interval:
    return np.minimum(y[0], 0.0), np.maximum(y[1], 0.0)


FUNCTIONS: Mapping[str, Function] = {
    "+": _rising(_sum, np.add),
    "*": Function(
        _product, lambda *x: np.asarray(reduce(np.multiply, x)), lambda *x: reduce(_products, x), (1, _MANY), None
    ),
    "-": Function(arithmetic.subtract, np.subtract, lambda x, y: (x[0] - y[1], x[1] - y[0]), (2, 2), None),
    "/": Function(arithmetic.true_divide, np.divide, lambda x, y: _products(x, _inverse(y)), (2, 2), _DIVISOR),
    "^": Function(_emit_power, np.power, _power_span, (2, 2), _BASE),
    "neg": _composed(arithmetic.negative, np.negative),
    "inv": Function(_of_layer("reciprocal"), np.reciprocal, _inverse, (1, 1), _APART),
    "mod": Function(partial(arithmetic.remainder, Whole.FLOOR), np.mod, _remainder_span, (2, 2), _DIVISOR),
    "abs": _through("abs", np.abs, 0.0),
    "sign": _through("sign", np.sign),
    "floor": _through("floor", np.floor),
    "ceil": _through("ceil", np.ceil),
    "trunc": _through("trunc", np.trunc),
    "round": _through("round", np.rint),
    "relu": _through("relu", lambda x: np.maximum(x, 0.0)),
    "sqrt": _through("sqrt", np.sqrt, domain=_at_least(0.0)),
    "cbrt": _composed(_cube_root, np.cbrt),
    "exp": _through("exp", np.exp),
    "exp2": _through("exp2", np.exp2),
    "expm1": _through("expm1", np.expm1),
    "log": _through("log", np.log, domain=_above(0.0)),
    "log2": _through("log2", np.log2, domain=_above(0.0)),
    "log10": _through("log10", np.log10, domain=_above(0.0)),
    "log1p": _through("log1p", np.log1p, domain=_above(-1.0)),
    "sin": Function(_of_layer("sin"), np.sin, _periodic(np.sin, math.pi / 2), (1, 1), None),
    "cos": Function(_of_layer("cos"), np.cos, _periodic(np.cos, 0.0), (1, 1), None),
    "tan": _composed(_tangent, np.tan, _BRANCH),
    "asin": _composed(lambda build, x: build.affine(_half_arc_sine(build, x), constant(2.0), ZERO), np.arcsin, _UNIT),
    "acos": _composed(_arc_cosine, np.arccos, _UNIT),
    "atan": _through("atan", np.arctan),
    "atan2": Function(activations.angle, np.arctan2, _turn, (2, 2), None),
    "sinh": _through("sinh", np.sinh),
    "cosh": _through("cosh", np.cosh, 0.0),
    "tanh": _through("tanh", np.tanh),
    "asinh": _through("asinh", np.arcsinh),
    "acosh": _composed(_area_cosine, np.arccosh, _at_least(1.0)),
    "atanh": _composed(_area_tangent, np.arctanh, _WITHIN),
    "erf": _tabulated("erf"),
    "erfc": _composed(activations.erfc, lambda x: 1.0 - _erf(x)),
    "sigmoid": _tabulated("sigmoid"),
    "max": _rising(arithmetic.maximum, np.maximum),
    "min": _rising(arithmetic.minimum, np.minimum),
    "clip": Function(_clipped, lambda x, low, high: np.minimum(np.maximum(x, low), high), _clipped_span, (3, 3), None),
    "<": _related(Relation.LT),
    "<=": _related(Relation.LE),
    ">": _related(Relation.GT),
    ">=": _related(Relation.GE),
    "==": _related(Relation.EQ),
    "!=": _related(Relation.NE),
    "logical_and": _joined(partial(logic.logical, Minimum()), np.logical_and),
    "logical_or": _joined(partial(logic.logical, Maximum()), np.logical_or),
    "where": Function(_chosen, _where, lambda c, x, y: (np.minimum(x[0], y[0]), np.maximum(x[1], y[1])), (3, 3), None),
}
"""Functions by the names that expressions have; ``spellings.py`` has others."""
