"""Keras 3 arithmetic: of tensors, of tensors and constants, and functions of one tensor.

Operations align shapes from the right with the batch axis included, so that tensors must have one rank.
"""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.ir.ops import Relation
from bitsmith.layers.embedding import OneHot

_AFFINE = "or BatchNormalization with a constant"


def function(name: str) -> Translation:
    """A function of one tensor."""
    layer = FUNCTIONS[name]
    return Translation(lambda call: call.build.emit(layer, call.x), layer.kind)


def _several(make: arithmetic.Several, count: int, becomes: str) -> Translation:
    """An operation on ``count`` operands, each a tensor or a constant."""
    return Translation(lambda call: make(call.build, *call.operands(count)), becomes)


def _compared(relation: Relation) -> Translation:
    return _several(lambda build, x, y: logic.compare(build, relation, x, y), 2, "Comparison")


def _clip(call: LayerCall) -> Value:
    return arithmetic.clip(call.build, call.x, call.config.number("x_min"), call.config.number("x_max"))


def _round(call: LayerCall) -> Value:
    return arithmetic.round_half_to_even(call.build, call.x, call.config.integer("decimals", 0))


def _cast(call: LayerCall) -> Value:
    dtype = call.config.text("dtype")
    if dtype.startswith(("float", "bfloat")):
        return logic.cast(call.build, call.x, Kind.REAL)
    if dtype.startswith("int"):
        return logic.cast(call.build, call.x, Kind.INTEGER)
    raise UnsupportedError(f"a cast to {shown(dtype)}", accepted="floating point or signed integers")


def _one_hot(call: LayerCall) -> Value:
    if call.config.integer("axis", -1) not in (-1, call.x.rank) or call.config.flag("sparse", False):
        raise UnsupportedError("one-hot codes along another axis than the last, or sparse", accepted="axis=-1, dense")
    return call.build.emit(OneHot(call.config.integer("num_classes")), call.x)


_FUNCTIONS = (
    *(
        "Square",
        "Sqrt",
        "Rsqrt",
        "Reciprocal",
        "Abs",
        "Sign",
        "Floor",
        "Ceil",
        "Trunc",
        "Log",
        "Log2",
        "Log10",
        "Log1p",
    ),
    *("Exp", "Exp2", "Expm1", "Erf", "Sin", "Cos"),
)
_QUOTIENT = _several(arithmetic.divide, 2, f"Divide, {_AFFINE}")

ARITHMETIC: dict[str, Translation] = {
    "Add": _several(arithmetic.add, 2, f"Add, {_AFFINE}"),
    "Subtract": _several(arithmetic.subtract, 2, f"Subtract, {_AFFINE}"),
    "Multiply": _several(arithmetic.multiply, 2, f"Multiply, {_AFFINE}"),
    "Divide": _QUOTIENT,
    "TrueDivide": _QUOTIENT,
    "Maximum": _several(arithmetic.maximum, 2, "Maximum, HardActivation or ReLU"),
    "Minimum": _several(arithmetic.minimum, 2, "Minimum, HardActivation or ReLU"),
    "Clip": Translation(_clip, "HardActivation or ReLU"),
    "Negative": Translation(lambda call: arithmetic.negative(call.build, call.x), "BatchNormalization"),
    "Power": _several(arithmetic.power, 2, "Power or Activation"),
    "Absolute": function("abs"),
    **{name: function(name.lower()) for name in _FUNCTIONS},
    "Round": Translation(_round, "WholeNumber"),
    "Cast": Translation(_cast, "Identity or WholeNumber"),
    "Greater": _compared(Relation.GT),
    "GreaterEqual": _compared(Relation.GE),
    "Less": _compared(Relation.LT),
    "LessEqual": _compared(Relation.LE),
    "Equal": _compared(Relation.EQ),
    "NotEqual": _compared(Relation.NE),
    "LogicalAnd": _several(logic.both, 2, "Comparison and Minimum"),
    "LogicalOr": _several(logic.either, 2, "Comparison and Maximum"),
    "LogicalNot": Translation(lambda call: logic.negation(call.build, call.x), "Comparison"),
    "Where": _several(logic.where, 3, "Where"),
    "OneHot": Translation(_one_hot, "OneHot"),
}
"""Operations by class name."""
