"""PyTorch's arithmetic, comparisons and choices, and tensors that are given rather than computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, checked_elements, constant
from bitsmith.frontends.torch.archive import BOOL, DTYPES, FLOATS
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator
from bitsmith.frontends.torch.graph import DType
from bitsmith.frontends.torch.shape import expanded
from bitsmith.frontends.torch.sizes import Size
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.layers.shape import Identity

ONE, ZERO = constant(1.0), constant(0.0)


def _is_trained(x: Value) -> bool:
    return x.constant is not None and x.batch is None


def _sum(call: Call, x: Value, y: Value, sign: float) -> Value:
    """``x + sign * y``."""
    for masked, other in ((y, x), (x, y)):
        if masked.constant is not None and bool(np.any(np.isneginf(masked.constant))) and sign == 1.0:
            return _masked_sum(call, other, masked)
    if _is_trained(y) and not _is_trained(x):
        return call.build.affine(x, ONE, constant(sign * _values(y)))
    if _is_trained(x) and not _is_trained(y):
        return call.build.affine(y, constant(sign), x)
    if sign == 1.0:
        return call.build.joined(Add(), x, y)
    if sign == -1.0:
        return call.build.joined(Subtract(), x, y)
    return call.build.joined(Add(), x, call.build.affine(y, constant(sign), ZERO, "scaled"))


def _masked_sum(call: Call, x: Value, mask: Value) -> Value:
    """``x`` plus a constant that is minus infinity in places."""
    values = _values(mask)
    kept = ~np.isneginf(values)
    rest = replace(mask, node=as_weights(np.where(kept, values, 0.0)))
    total = _sum(call, x, rest, 1.0) if bool(np.any(_values(rest) != 0.0)) else x
    return hiding(call, total, replace(mask, node=as_weights(kept)))


def hiding(call: Call, x: Value, kept: Value) -> Value:
    """``x`` that counts as minus infinity where the constant ``kept`` is 0."""
    _, aligned = call.build.aligned(x, kept)
    mask = _values(aligned)
    if x.constant is not None:
        return replace(x, node=as_weights(np.where(np.broadcast_to(mask, x.shape) != 0.0, _values(x), -np.inf)))
    return replace(x, mask=mask if x.mask is None else as_weights(mask * x.mask))


def _values(x: Value) -> Floats:
    """The values of a constant."""
    if x.constant is None:
        raise UnsupportedError("a mask that is computed from the inputs", accepted="constant masks")
    return x.constant


def _add(call: Call) -> Result:
    return _sum(call, call.tensor(), call.tensor("other"), call.number("alpha", 1.0))


def _subtract(call: Call) -> Result:
    return _sum(call, call.tensor(), call.tensor("other"), -call.number("alpha", 1.0))


def _subtract_from(call: Call) -> Result:
    return _sum(call, call.tensor("other"), call.tensor(), -call.number("alpha", 1.0))


def _multiply(call: Call) -> Result:
    return product(call, call.tensor(), call.tensor("other"))


def product(call: Call, x: Value, y: Value, suffix: str = "") -> Value:
    """``x * y``."""
    if _is_trained(x) and not _is_trained(y):
        x, y = y, x
    return (
        call.build.affine(x, y, ZERO, suffix) if _is_trained(y) else call.build.joined(Multiply(), x, y, suffix=suffix)
    )


def _divide(call: Call) -> Result:
    x, y, mode = call.tensor(), call.tensor("other"), call.text("rounding_mode", "")
    if _is_trained(y) and not bool(np.all(_values(y) != 0.0)):
        raise UnsupportedError("a division by zero", accepted="other constants")
    suffix = "quotient" if mode else ""
    if _is_trained(y) and not _is_trained(x):
        divided = call.build.affine(x, constant(1.0 / _values(y)), ZERO, suffix)
    elif _is_trained(x) and bool(np.all(_values(x) == 1.0)) and _values(x).ndim == 0:
        divided = call.build.emit(Power(-1.0), y, suffix=suffix)
    else:
        divided = call.build.joined(Divide(), x, y, suffix=suffix)
    return call.build.emit(WholeNumber(Whole.FLOOR if mode == "floor" else Whole.TRUNC), divided) if mode else divided


def _floor_divide(call: Call) -> Result:
    x, y = call.tensor(), call.tensor("other")
    divided = (
        call.build.affine(x, constant(1.0 / _values(y)), ZERO, "quotient")
        if _is_trained(y)
        else call.build.joined(Divide(), x, y, suffix="quotient")
    )
    return call.build.emit(WholeNumber(Whole.FLOOR), divided)


def _power(call: Call) -> Result:
    x, y = call.tensor(), call.tensor("exponent")
    if y.constant is not None and y.constant.size == 1 and y.batch is None:
        return call.build.emit(Power(float(y.constant.reshape(()))), x)
    if x.constant is not None and x.constant.size == 1 and x.batch is None and float(x.constant.reshape(())) > 0.0:
        base = float(x.constant.reshape(()))
        if base == 2.0:
            return call.build.emit(Activation("exp2"), y)
        return call.build.emit(
            Activation("exponential"), call.build.affine(y, constant(math.log(base)), ZERO, "scaled")
        )
    raise UnsupportedError("a power of two variables", accepted="a fixed exponent, or a fixed positive base")


def _extreme(layer: Layer, bound: Callable[[float], Layer], *, other: str = "other") -> Translator:
    """A maximum or minimum: one with a single number is a clipping."""

    def read(call: Call) -> Result:
        x, y = call.tensor(), call.tensor(other)
        if _is_trained(x):
            x, y = y, x
        if _is_trained(y) and y.rank == 0 and not _is_trained(x):
            return call.build.emit(bound(float(_values(y))), x)
        return call.build.joined(layer, x, y)

    return read


def _above(low: float) -> Layer:
    return ReLU() if low == 0.0 else HardActivation(1.0, 0.0, low, None)


def _below(high: float) -> Layer:
    return HardActivation(1.0, 0.0, None, high)


def _clamp(call: Call) -> Result:
    x = call.tensor()
    if call.node.overload == "Value":
        for name, layer in (("min", Maximum()), ("max", Minimum())):
            if call.given(name):
                last = name == "max" or not call.given("max")
                x = call.build.joined(layer, x, call.tensor(name), suffix="" if last else name)
        return x
    low = call.number("min", -math.inf) if call.given("min") else -math.inf
    high = call.number("max", math.inf) if call.given("max") else math.inf
    return call.build.emit(clipping(low, high), x)


def clipping(low: float, high: float) -> Layer:
    """``min(max(x, low), high)``; infinite bounds are open."""
    if low == 0.0:
        return ReLU(None if math.isinf(high) else high)
    # Where the bounds cross, torch gives the upper one.
    low = min(low, high)
    if math.isinf(low) and math.isinf(high):
        return Identity()
    return HardActivation(1.0, 0.0, None if math.isinf(low) else low, None if math.isinf(high) else high)


def _function(layer: Layer) -> Translation:
    return Translation(lambda call: call.build.emit(layer, call.tensor()), layer.kind)


def _negative(call: Call) -> Result:
    return call.build.affine(call.tensor(), constant(-1.0), ZERO)


def _round(call: Call) -> Result:
    if call.integer("decimals", 0) != 0:
        raise UnsupportedError(
            "rounding to decimals", accepted="whole numbers", remedy="multiply by a power of two, round, and divide"
        )
    return call.build.emit(WholeNumber(Whole.ROUND), call.tensor())


def _fraction(call: Call) -> Result:
    x = call.tensor()
    return call.build.joined(Subtract(), x, call.build.emit(WholeNumber(Whole.TRUNC), x, suffix="whole"))


def _compare(relation: Relation) -> Translation:
    return Translation(
        lambda call: call.build.joined(Comparison(relation), call.tensor(), call.tensor("other")), "Comparison"
    )


def _truth(call: Call, name: str) -> Value:
    """A tensor as 0 and 1."""
    x = call.tensor(name)
    return (
        x
        if call.dtype_of(name) == BOOL
        else call.build.joined(Comparison(Relation.NE), x, ZERO, suffix=f"{name}_truth")
    )


def _logical(layer: Layer, *, bits: bool = False) -> Translation:
    """A connection of truth values; ``bits`` if torch's works on the bits of whole numbers too."""

    def read(call: Call) -> Result:
        if bits:
            _only_truths(call, "self", "other")
        return call.build.joined(layer, _truth(call, "self"), _truth(call, "other"))

    return Translation(read, f"Comparison and {layer.kind}")


def _only_truths(call: Call, *names: str) -> None:
    for name in names:
        if call.dtype_of(name) != BOOL and not isinstance(call.argument(name), bool):
            raise UnsupportedError("operations on the bits of whole numbers", accepted="truth values")


def _not(*, bits: bool) -> Translator:
    def read(call: Call) -> Result:
        if bits:
            _only_truths(call, "self")
        return call.build.joined(Comparison(Relation.EQ), call.tensor(), ZERO)

    return read


def _where(call: Call) -> Result:
    condition, x, y = call.tensor("condition"), call.tensor("self"), call.tensor("other")
    for chosen, other, sign in ((x, y, False), (y, x, True)):
        if chosen.constant is not None and chosen.constant.size and bool(np.all(np.isneginf(chosen.constant))):
            kept = _values(condition) if sign else as_weights(_values(condition) == 0.0)
            return hiding(call, other, replace(condition, node=as_weights(kept)))
    return call.build.joined(Where(), condition, x, y)


def _masked_fill(call: Call) -> Result:
    x, mask, value = call.tensor(masked=True), call.tensor("mask"), call.tensor("value")
    filled = value.constant
    if filled is not None and filled.size == 1 and bool(np.all(np.isneginf(filled))):
        if _is_trained(x):
            return constant(np.where(_values(mask) != 0.0, -np.inf, _values(x)))
        return hiding(call, x, replace(mask, node=as_weights(_values(mask) == 0.0)))
    return call.build.joined(Where(), mask, value, call.tensor())


def _cast(call: Call) -> Result:
    """A change of type: to whole numbers it cuts fractions off, to truth values it compares with 0."""
    x = call.tensor(next(iter(call.node.arguments)), masked=True)
    number = next((value.number for value in call.node.arguments.values() if isinstance(value, DType)), None)
    if number is None and call.given("other"):
        number = call.dtype_of("other")
    source = call.dtype_of(next(iter(call.node.arguments)))
    if number is None or number in FLOATS or number == source or (source not in FLOATS and number != BOOL and source):
        return x
    if number not in DTYPES:
        raise UnsupportedError(f"numbers of type {number}", accepted="real and whole numbers")
    if number == BOOL:
        return call.build.joined(Comparison(Relation.NE), x, ZERO)
    return call.build.emit(WholeNumber(Whole.TRUNC), x)


def _one_hot(call: Call) -> Result:
    classes = call.integer("num_classes", -1)
    if classes < 1:
        raise UnsupportedError(
            "one-hot codes of as many classes as the data show",
            accepted="a fixed number of classes",
            remedy="one_hot(x, num_classes)",
        )
    return call.build.emit(OneHot(classes), call.tensor())


def _filled(value: float | None) -> Translator:
    """A constant tensor of a shape that is given; None is the argument ``fill_value``."""

    def read(call: Call) -> Result:
        number = call.number("fill_value") if value is None else value
        like = call.node.name.endswith("_like")
        sizes = [Size(n) for n in call.tensor().dims] if like else list(call.sizes("size"))
        if like and call.tensor().batch is not None:
            x = call.tensor()
            return Value(as_weights(np.full(x.shape, number)), x.shape, x.batch)
        checked_elements(tuple(size.count for size in sizes))
        if any(size.batched for size in sizes):
            thin = constant(np.full([1 if size.batched else size.count for size in sizes], number))
            return expanded(call, thin, sizes)
        return constant(np.full([size.count for size in sizes], number))

    return read


def _arange(call: Call) -> Result:
    start, step = call.number("start", 0.0), call.number("step", 1.0)
    end = call.number("end")
    if step == 0.0 or not abs((end - start) / step) < 1 << 20:
        raise UnsupportedError(f"a range from {start} to {end} by {step}")
    return constant(np.arange(start, end, step))


def _linspace(call: Call) -> Result:
    steps = call.integer("steps")
    checked_elements((steps,))
    return constant(np.linspace(call.number("start"), call.number("end"), steps))


def _triangle(keep: Callable[[Floats, int], Floats]) -> Translator:
    def read(call: Call) -> Result:
        x = call.tensor()
        if not _is_trained(x):
            raise UnsupportedError(
                "a triangle of what is computed from the inputs",
                accepted="constants",
                remedy="multiply by a constant mask",
            )
        values = _values(x)
        kept = keep(np.ones(values.shape[-2:]), call.integer("diagonal", 0))
        return constant(np.where(kept != 0.0, values, 0.0))

    return read


def _eye(call: Call) -> Result:
    rows, columns = call.integer("n"), call.integer("m", call.integer("n"))
    checked_elements((rows, columns))
    return constant(np.eye(rows, columns))


def _given(call: Call) -> Result:
    return constant(call.number("s" if call.given("s") else "data"))


def _item(call: Call) -> Result:
    """The number that a constant holds."""
    values = _values(call.tensor())
    if values.size != 1:
        raise UnsupportedError(f"{values.size} numbers taken as one")
    return constant(float(values.reshape(())))


_LOWEST, _GREATEST = (
    Translation(_extreme(layer, bound), f"{layer.kind}, HardActivation or ReLU")
    for layer, bound in ((Minimum(), _below), (Maximum(), _above))
)
_CAST = Translation(_cast, "nothing, WholeNumber or Comparison")

ARITHMETIC: dict[str, Translation] = {
    "add": Translation(_add, "Add, or BatchNormalization with a constant"),
    "sub": Translation(_subtract, "Subtract, or BatchNormalization with a constant"),
    "subtract": Translation(_subtract, "Subtract, or BatchNormalization with a constant"),
    "rsub": Translation(_subtract_from, "Subtract, or BatchNormalization with a constant"),
    "mul": Translation(_multiply, "Multiply, or BatchNormalization with a constant"),
    "multiply": Translation(_multiply, "Multiply, or BatchNormalization with a constant"),
    **{
        name: Translation(_divide, "Divide, or BatchNormalization with a constant")
        for name in ("div", "divide", "true_divide")
    },
    "floor_divide": Translation(_floor_divide, "Divide and WholeNumber"),
    "pow": Translation(_power, "Power or Activation"),
    "square": _function(Power(2.0)),
    "sqrt": _function(Power(0.5)),
    "rsqrt": _function(Power(-0.5)),
    "reciprocal": _function(Power(-1.0)),
    "maximum": _GREATEST,
    "fmax": _GREATEST,
    "minimum": _LOWEST,
    "fmin": _LOWEST,
    "clamp": Translation(_clamp, "HardActivation or ReLU"),
    "clip": Translation(_clamp, "HardActivation or ReLU"),
    "clamp_min": Translation(_extreme(Maximum(), _above, other="min"), "ReLU or HardActivation"),
    "clamp_max": Translation(_extreme(Minimum(), _below, other="max"), "HardActivation"),
    "neg": Translation(_negative, "BatchNormalization"),
    "negative": Translation(_negative, "BatchNormalization"),
    "abs": _function(Absolute()),
    "absolute": _function(Absolute()),
    "sign": _function(Sign()),
    "sgn": _function(Sign()),
    "floor": _function(WholeNumber(Whole.FLOOR)),
    "ceil": _function(WholeNumber(Whole.CEIL)),
    "trunc": _function(WholeNumber(Whole.TRUNC)),
    "fix": _function(WholeNumber(Whole.TRUNC)),
    "round": Translation(_round, "WholeNumber"),
    "frac": Translation(_fraction, "WholeNumber and Subtract"),
    "log": _function(Logarithm()),
    "log2": _function(Logarithm(2.0)),
    "log10": _function(Logarithm(10.0)),
    "log1p": _function(Logarithm(offset=1)),
    "exp": _function(Activation("exponential")),
    "exp2": _function(Activation("exp2")),
    "expm1": _function(Activation("expm1")),
    "erf": _function(Activation("erf")),
    "sin": _function(Sinusoid(Wave.SIN)),
    "cos": _function(Sinusoid(Wave.COS)),
    **{
        name: _compare(relation)
        for names, relation in (
            (("gt", "greater"), Relation.GT),
            (("ge", "greater_equal"), Relation.GE),
            (("lt", "less"), Relation.LT),
            (("le", "less_equal"), Relation.LE),
            (("eq",), Relation.EQ),
            (("ne", "not_equal"), Relation.NE),
        )
        for name in names
    },
    "logical_and": _logical(Minimum()),
    "logical_or": _logical(Maximum()),
    "bitwise_and": _logical(Minimum(), bits=True),
    "bitwise_or": _logical(Maximum(), bits=True),
    "__and__": _logical(Minimum(), bits=True),
    "__or__": _logical(Maximum(), bits=True),
    "logical_not": Translation(_not(bits=False), "Comparison"),
    "bitwise_not": Translation(_not(bits=True), "Comparison"),
    "where": Translation(_where, "Where"),
    "masked_fill": Translation(_masked_fill, "Where, or a mask of softmax"),
    **dict.fromkeys(("to", "_to_copy", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool"), _CAST),
    "one_hot": Translation(_one_hot, "OneHot"),
    **{
        name: Translation(_filled(value), "Constant")
        for value, names in (
            (0.0, ("zeros", "zeros_like", "new_zeros")),
            (1.0, ("ones", "ones_like", "new_ones")),
            (None, ("full", "full_like", "new_full")),
        )
        for name in names
    },
    "arange": Translation(_arange, "Constant"),
    "linspace": Translation(_linspace, "Constant"),
    "tril": Translation(_triangle(np.tril), "Constant"),
    "triu": Translation(_triangle(np.triu), "Constant"),
    "eye": Translation(_eye, "Constant"),
    "item": Translation(_item, "Constant"),
    "scalar_tensor": Translation(_given, "Constant"),
}
"""Operators by name."""
