"""PyTorch's arithmetic, comparisons and choices."""

from __future__ import annotations

import math
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.torch.archive import DTYPES
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator, kind_of
from bitsmith.frontends.torch.graph import DType
from bitsmith.ir.ops import Relation
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.embedding import OneHot

_ROUNDINGS = {"": None, "floor": Whole.FLOOR, "trunc": Whole.TRUNC}


def function(name: str) -> Translation:
    """A function of one tensor."""
    layer = FUNCTIONS[name]
    return Translation(lambda call: call.build.emit(layer, call.tensor()), layer.kind)


def _numbers(call: Call, *names: str) -> tuple[Value, ...]:
    """Operands of arithmetic, which torch takes as of the result's type."""
    kind = call.kind_of_result()
    return tuple(x if kind is None else replace(x, kind=kind) for x in map(call.tensor, names))


def _binary(make: arithmetic.Binary, becomes: str, other: str = "other") -> Translation:
    """An operation on two values that broadcast."""
    return Translation(lambda call: make(call.build, *_numbers(call, "self", other)), becomes)


def _sum(sign: float, first: str, second: str, becomes: str) -> Translation:
    """``first + sign * alpha * second``."""

    def read(call: Call) -> Result:
        x, y = _numbers(call, first, second)
        return arithmetic.add_scaled(call.build, x, y, sign * call.number("alpha", 1.0))

    return Translation(read, f"{becomes}, or BatchNormalization with a constant")


def _divide(call: Call) -> Result:
    x, y = _numbers(call, "self", "other")
    mode = "floor" if call.node.name.startswith("floor") else call.text("rounding_mode", "")
    if mode not in _ROUNDINGS:
        raise UnsupportedError(f"the rounding {mode[:20]!r}", accepted=", ".join(filter(None, _ROUNDINGS)))
    return arithmetic.divide(call.build, x, y, _ROUNDINGS[mode])


def _clamp(call: Call) -> Result:
    (x,) = _numbers(call, "self")
    if call.node.overload == "Tensor":
        for name, make in (("min", arithmetic.maximum), ("max", arithmetic.minimum)):
            if call.given(name):
                last = name == "max" or not call.given("max")
                x = make(call.build if last else call.build.within(name), x, call.tensor(name))
        return x
    bounds = [call.number(name) if call.given(name) else open for name, open in (("min", -math.inf), ("max", math.inf))]
    return arithmetic.clip(call.build, x, *bounds)


def _round(call: Call) -> Result:
    return arithmetic.round_half_to_even(call.build, call.tensor(), call.integer("decimals", 0))


def _compare(relation: Relation) -> Translation:
    return Translation(
        lambda call: logic.compare(call.build, relation, call.tensor(), call.tensor("other")), "Comparison"
    )


def _logical(make: arithmetic.Binary, becomes: str, *, bits: bool = False) -> Translation:
    """A connection of truth values; ``bits`` if torch's works on the bits of integers too."""

    def read(call: Call) -> Result:
        if bits:
            _only_truths(call, "self", "other")
        return make(call.build, call.tensor(), call.tensor("other"))

    return Translation(read, f"Comparison and {becomes}")


def _only_truths(call: Call, *names: str) -> None:
    for name in names:
        if call.tensor(name).kind is not Kind.BOOL and not isinstance(call.get(name), bool):
            raise UnsupportedError("operations on the bits of integers", accepted="truth values")


def _not(*, bits: bool) -> Translator:
    def read(call: Call) -> Result:
        if bits:
            _only_truths(call, "self")
        return logic.negation(call.build, call.tensor())

    return read


def _where(call: Call) -> Result:
    return logic.where(call.build, call.tensor("condition"), call.tensor("self"), call.tensor("other"))


def _masked_fill(call: Call) -> Result:
    return logic.where(call.build, call.tensor("mask"), call.tensor("value"), call.tensor())


def _cast(call: Call) -> Result:
    """A change of type: to integers it cuts fractions off, to truth values it compares with 0."""
    x = call.tensor(next(iter(call.node.arguments)))
    number = next((value.number for value in call.node.arguments.values() if isinstance(value, DType)), None)
    if number is None and call.given("other"):
        number = call.dtype_of("other")
    if number is None:
        return x
    if number not in DTYPES:
        raise UnsupportedError(f"numbers of type {number}", accepted="real numbers and integers")
    return logic.cast(call.build, x, kind_of(number))


def _one_hot(call: Call) -> Result:
    classes = call.integer("num_classes", -1)
    if classes < 1:
        raise UnsupportedError(
            "one-hot codes of as many classes as the data show",
            accepted="a fixed number of classes",
            remedy="one_hot(x, num_classes)",
        )
    return call.build.emit(OneHot(classes), call.tensor())


_AFFINE = "or BatchNormalization with a constant"
_QUOTIENT = Translation(_divide, f"Divide, {_AFFINE}")
_PRODUCT = _binary(arithmetic.multiply, f"Multiply, {_AFFINE}")
_POWER = _binary(arithmetic.power, "Power or Activation", "exponent")
_LOWEST = _binary(arithmetic.minimum, "Minimum, HardActivation or ReLU")
_GREATEST = _binary(arithmetic.maximum, "Maximum, HardActivation or ReLU")
_CAST = Translation(_cast, "nothing, WholeNumber or Comparison")
_CLAMP = Translation(_clamp, "HardActivation or ReLU")
_NEGATIVE = Translation(lambda call: arithmetic.negative(call.build, call.tensor()), "BatchNormalization")
_RELATIONS = {
    Relation.GT: ("gt", "greater"),
    Relation.GE: ("ge", "greater_equal"),
    Relation.LT: ("lt", "less"),
    Relation.LE: ("le", "less_equal"),
    Relation.EQ: ("eq",),
    Relation.NE: ("ne", "not_equal"),
}
_FUNCTIONS = (
    *("square", "sqrt", "rsqrt", "reciprocal", "sign", "floor", "ceil", "trunc", "log", "log2", "log10", "log1p"),
    *("exp", "exp2", "expm1", "erf", "sin", "cos"),
)

ARITHMETIC: dict[str, Translation] = {
    "add": _sum(1.0, "self", "other", "Add"),
    **dict.fromkeys(("sub", "subtract"), _sum(-1.0, "self", "other", "Subtract")),
    "rsub": _sum(-1.0, "other", "self", "Subtract"),
    **dict.fromkeys(("mul", "multiply"), _PRODUCT),
    **dict.fromkeys(("div", "divide", "true_divide"), _QUOTIENT),
    "floor_divide": Translation(_divide, "Divide and WholeNumber"),
    "pow": _POWER,
    **dict.fromkeys(("maximum", "fmax"), _GREATEST),
    **dict.fromkeys(("minimum", "fmin"), _LOWEST),
    **dict.fromkeys(("clamp", "clip"), _CLAMP),
    "clamp_min": _binary(arithmetic.maximum, "Maximum, ReLU or HardActivation", "min"),
    "clamp_max": _binary(arithmetic.minimum, "Minimum, ReLU or HardActivation", "max"),
    **dict.fromkeys(("neg", "negative"), _NEGATIVE),
    **dict.fromkeys(
        ("abs", "absolute"), Translation(lambda call: arithmetic.absolute(call.build, call.tensor()), "Absolute")
    ),
    **{name: function(name) for name in _FUNCTIONS},
    "sgn": function("sign"),
    "fix": function("trunc"),
    "round": Translation(_round, "WholeNumber"),
    "frac": Translation(lambda call: arithmetic.fraction(call.build, call.tensor()), "WholeNumber and Subtract"),
    **{name: _compare(relation) for relation, names in _RELATIONS.items() for name in names},
    "logical_and": _logical(logic.both, "Minimum"),
    "logical_or": _logical(logic.either, "Maximum"),
    **dict.fromkeys(("bitwise_and", "__and__"), _logical(logic.both, "Minimum", bits=True)),
    **dict.fromkeys(("bitwise_or", "__or__"), _logical(logic.either, "Maximum", bits=True)),
    "logical_not": Translation(_not(bits=False), "Comparison"),
    "bitwise_not": Translation(_not(bits=True), "Comparison"),
    "where": Translation(_where, "Where"),
    "masked_fill": Translation(_masked_fill, "Where, or a mask of softmax"),
    **dict.fromkeys(("to", "_to_copy", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool"), _CAST),
    "one_hot": Translation(_one_hot, "OneHot"),
}
"""Operators by name."""
