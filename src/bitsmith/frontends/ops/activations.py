"""Activations, also those of several layers and those along an axis."""

import math

import numpy as np

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, ZERO, Kind, Value, constant, quantizers_of, real
from bitsmith.frontends.ops.arithmetic import add, clip, divide, maximum, minimum, multiply, subtract
from bitsmith.frontends.ops.logic import compare, where
from bitsmith.frontends.ops.selection import part
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.functions import SELU_ALPHA, SELU_SCALE
from bitsmith.layers.layer import as_weights, broadcasts
from bitsmith.layers.logic import Comparison
from bitsmith.layers.power import Logarithm
from bitsmith.layers.reduction import ArgMax, Reduce, Reduction
from bitsmith.layers.softmax import Softmax

_LINEAR_FROM = 16.0
"""Operand from which softplus is linear in single precision."""

_HALF = 0.5
"""The bound of shrinking for which there is a table."""


def relu(build: Builder, x: Value, limit: float | None = None, slope: float = 0.0, threshold: float = 0.0) -> Value:
    """``x`` from the threshold up to the limit, ``slope * (x - threshold)`` below."""
    for name, value in (("limit", limit), ("threshold", threshold)):
        if value is not None and value < 0.0:
            raise UnsupportedError(f"the {name} {value:g}", accepted="no negative number")
    return build.emit(ReLU(limit, slope, threshold), x, kind=Kind.REAL if slope else x.kind)


def prelu(build: Builder, x: Value, slopes: Value) -> Value:
    """``x`` with a slope for each element, or each channel, below 0."""
    aligned, factors = build.aligned(x, slopes)
    if factors.constant is None or aligned.batch != x.batch:
        raise UnsupportedError("slopes of more axes than the tensor", accepted="slopes that broadcast to it")
    return build.emit(PReLU(factors.constant), real(aligned), quantizers=quantizers_of(param=factors))


def threshold(build: Builder, x: Value, bound: float, value: float) -> Value:
    """``x`` above the bound, the value elsewhere."""
    if value == 0.0 and bound >= 0.0:
        return build.emit(ReLU(threshold=bound), x)
    return where(build, compare(build, Relation.GT, x, constant(bound), "above"), x, constant(value))


def erfc(build: Builder, x: Value) -> Value:
    """``1 - erf(x)``."""
    return build.affine(build.emit(Activation("erf"), x, suffix="erf"), constant(-1.0), ONE)


def hard_shrink(build: Builder, x: Value, bound: float = _HALF) -> Value:
    """``x`` where it is larger than the bound in size, 0 elsewhere."""
    if bound == _HALF:
        return build.emit(Activation("hard_shrink"), x)
    size = build.emit(Absolute(), x, suffix="magnitude")
    return where(build, compare(build, Relation.GT, size, constant(bound), "above"), x, ZERO)


def soft_shrink(build: Builder, x: Value, bound: float = _HALF) -> Value:
    """``x`` moved by the bound towards 0, and 0 where it would pass it."""
    if bound < 0.0:
        raise UnsupportedError(f"shrinking by {bound:g}", accepted="no negative number")
    if bound == _HALF:
        return build.emit(Activation("soft_shrink"), x)
    return subtract(build, x, clip(build.within("clipped"), x, -bound, bound))


def hard_sigmoid(build: Builder, x: Value, slope: float = 1.0 / 6.0, offset: float = 0.5) -> Value:
    """``slope * x + offset``, clipped to 0..1."""
    return build.emit(HardActivation(slope, offset, 0.0, 1.0), x)


def softplus(build: Builder, x: Value, beta: float = 1.0, linear_from: float = math.inf) -> Value:
    """``log(1 + exp(beta * x)) / beta``, and ``x`` where ``beta * x`` is above ``linear_from``."""
    if beta <= 0.0:
        raise UnsupportedError(f"softplus of {beta} * x", accepted="a positive beta")
    if linear_from < _LINEAR_FROM:
        above = compare(build, Relation.GT, x, constant(linear_from / beta), "above")
        return where(build, above, x, softplus(build.within("softplus"), x, beta))
    if beta == 1.0:
        return build.emit(Activation("softplus"), x)
    y = build.emit(Activation("softplus"), multiply(build.within("scaled"), x, constant(beta)), suffix="softplus")
    return multiply(build, y, constant(1.0 / beta))


def elu(build: Builder, x: Value, alpha: float = 1.0, scale: float = 1.0) -> Value:
    """``scale * x`` from 0 on, ``scale * alpha * (exp(x) - 1)`` below."""
    if math.isclose(alpha, SELU_ALPHA, rel_tol=1e-6) and math.isclose(scale, SELU_SCALE, rel_tol=1e-6):
        return build.emit(Activation("selu"), x)
    if scale == 1.0:
        return build.emit(Activation("elu", alpha), x)
    return multiply(build, build.emit(Activation("elu", alpha), x, suffix="elu"), constant(scale))


def celu(build: Builder, x: Value, alpha: float = 1.0) -> Value:
    """``x`` from 0 on, ``alpha * (exp(x / alpha) - 1)`` below."""
    if alpha <= 0.0:
        raise UnsupportedError(f"celu of alpha {alpha:g}", accepted="a positive alpha")
    return build.emit(Activation("celu", alpha), x)


def swish(build: Builder, x: Value, alpha: float = 1.0) -> Value:
    """``x * sigmoid(alpha * x)``."""
    if alpha == 1.0:
        return build.emit(Activation("silu"), x)
    scaled = multiply(build.within("scaled"), x, constant(alpha))
    return multiply(build, x, build.emit(Activation("sigmoid"), scaled, suffix="sigmoid"))


def logit(build: Builder, x: Value, least: float | None) -> Value:
    """``log(x / (1 - x))``, of ``x`` clipped to ``least..1 - least`` if that is given."""
    x = x if least is None else clip(build.within("clipped"), x, least, 1.0 - least)
    rest = subtract(build.within("rest"), ONE, x)
    logs = (build.emit(Logarithm(), value, suffix=name) for value, name in ((x, "log"), (rest, "log_rest")))
    return subtract(build, *logs)


def log_of_sum(build: Builder, x: Value, y: Value) -> Value:
    """``log(exp(x) + exp(y))``: the greater of the two, and at most ``log(2)``."""
    apart = build.emit(Absolute(), subtract(build.within("difference"), x, y), suffix="distance")
    excess = build.emit(Activation("softplus"), build.affine(apart, constant(-1.0), ZERO, "negative"), suffix="excess")
    return add(build, maximum(build.within("greater"), x, y), excess)


def angle(build: Builder, y: Value, x: Value) -> Value:
    """The angle of the point ``(x, y)`` from -pi to pi, by that of the octant it is folded into; 0 at the origin."""
    wide, high = (build.emit(Absolute(), value, suffix=name) for value, name in ((x, "width"), (y, "height")))
    largest = maximum(build.within("largest"), wide, high)
    divisor = where(build.within("divisor"), compare(build, Relation.EQ, largest, ZERO, "origin"), ONE, largest)
    slope = divide(build.within("slope"), minimum(build.within("smallest"), wide, high), divisor)
    # What is proved of the quotient knows nothing of which of the two is the smaller.
    angle = build.emit(Activation("atan"), clip(build.within("slope_to_1"), slope, 0.0, 1.0), suffix="octant")
    folds = (
        ("quadrant", compare(build, Relation.GT, high, wide, "steep"), math.pi / 2.0),
        ("half", compare(build, Relation.LT, x, ZERO, "left"), math.pi),
        ("", compare(build, Relation.LT, y, ZERO, "below"), 0.0),
    )
    for name, holds, end in folds:
        turned = subtract(build.within(f"{name or 'full'}_turned"), constant(end), angle)
        angle = where(build.within(name) if name else build, holds, turned, angle)
    return angle


def gelu(build: Builder, x: Value, approximate: str) -> Value:
    """``x`` times the normal distribution; ``approximate`` is "none" or "tanh"."""
    names = {"none": "gelu", "tanh": "gelu_tanh"}
    return build.emit(Activation(one_of(names, approximate, f"gelu approximated by {approximate[:20]!r}")), x)


def glu(build: Builder, x: Value, dim: int) -> Value:
    """The first half of an axis times the sigmoid of the second."""
    axis = x.axis(dim)
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise UnsupportedError(f"glu of {x.shape[axis]} elements", accepted="an even number")
    parts = ((0, "values"), (half, "gate"))
    values, gate = (part(build, x, {dim: range(start, start + half)}, name) for start, name in parts)
    return multiply(build, values, build.emit(Activation("sigmoid"), gate, suffix="sigmoid"))


def softmax(build: Builder, x: Value, dim: int, *kept: Value) -> Value:
    """Softmax along an axis; where one of the truth values ``kept`` is 0, the probability is 0."""
    axis, mask = x.axis(dim), np.ones(())
    computed: list[Value] = []
    for truth in build.aligned(x, *kept)[1:]:
        if not broadcasts(truth.shape, x.shape):
            raise UnsupportedError(f"a mask of shape {truth.shape} on an input of shape {x.shape}")
        if truth.constant is None:
            computed = [multiply(build.within("kept"), computed[0], truth) if computed else truth]
        else:
            mask = mask * truth.constant
    layer = Softmax(axis - len(x.shape), None if bool(np.all(mask)) else as_weights(mask))
    return build.emit(layer, real(x), *computed)


def log_softmax(build: Builder, x: Value, dim: int) -> Value:
    """``x - log(sum(exp(x)))``."""
    layer = Reduce(Reduction.LOG_SUM_EXP, (x.axis(dim),), keepdims=True)
    return subtract(build, x, build.emit(layer, real(x), suffix="log_sum_exp"))


def hard_max(build: Builder, x: Value, dim: int) -> Value:
    """1 at the first of the greatest elements along an axis, 0 elsewhere."""
    axis = x.axis(dim)
    index = build.emit(ArgMax(axis, keepdims=True), x, suffix="index", kind=Kind.INT64)
    places = as_weights(np.arange(x.shape[axis]).reshape(-1, *(1,) * (len(x.shape) - axis - 1)))
    return build.emit(Comparison(Relation.EQ), index, constant(places), kind=Kind.REAL)
