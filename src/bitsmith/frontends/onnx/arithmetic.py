"""ONNX's arithmetic on elements; comparisons, choices and changes of type."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.tensors import dtype_of
from bitsmith.frontends.onnx.values import Known, Operand
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.ir.ops import Relation
from bitsmith.layers.elementwise import Whole

_AFFINE = "or BatchNormalization with a constant"


def function(name: str) -> Translation:
    """A function of one tensor whose result has real numbers."""
    layer = FUNCTIONS[name]
    return Translation(lambda call: call.build.emit(layer, call.tensor(0)), layer.kind)


def _keeping(name: str) -> Translation:
    """A function whose result has the operand's type."""
    return Translation(
        lambda call: call.build.emit(FUNCTIONS[name], call.tensor(0), kind=call.tensor(0).kind), FUNCTIONS[name].kind
    )


def unary(make: arithmetic.Unary, becomes: str) -> Translation:
    """An operation on one tensor."""
    return Translation(lambda call: make(call.build, call.tensor(0)), becomes)


def binary(make: arithmetic.Binary, becomes: str) -> Translation:
    """An operation on two values that broadcast."""

    def read(call: Call) -> Value:
        call.attributes.ignore("broadcast")
        return make(call.build, call.tensor(0), call.tensor(1))

    return Translation(read, becomes)


def _divide(call: Call) -> Value:
    x, y = call.tensor(0), call.tensor(1)
    call.attributes.ignore("broadcast")
    known = x.is_trained and y.is_trained and arithmetic.common_kind(x, y) is Kind.INTEGER
    return arithmetic.divide(call.build, x, y, Whole.TRUNC if known else None)


def _several(make: arithmetic.Several, becomes: str) -> Translation:
    """An operation on any number of values that broadcast."""
    return Translation(lambda call: make(call.build, *call.tensors()), becomes)


def _compared(relation: Relation) -> Translation:
    return binary(lambda build, x, y: logic.compare(build, relation, x, y), "Comparison")


def _clip(call: Call) -> Value:
    x = call.tensor(0)
    if call.opset < 11:
        low, high = call.attributes.number("min", -math.inf), call.attributes.number("max", math.inf)
        return arithmetic.clip(call.build, x, low, high)
    return arithmetic.clip(call.build, x, _bound(call, 1, -math.inf), _bound(call, 2, math.inf))


def _bound(call: Call, number: int, default: float) -> float:
    known = call.known(number, "a bound")
    if known is None:
        return default
    if known.array().size != 1:
        raise UnsupportedError("bounds that differ between elements", accepted="one number")
    return float(known.array().astype(np.float64).reshape(()))


def _where(call: Call) -> Value:
    return logic.where(call.build, call.tensor(0), call.tensor(1), call.tensor(2))


def _is_nan(call: Call) -> Known:
    """Never: fixed-point numbers are finite."""
    x = call.tensor(0)
    call.attributes.ignore("detect_negative", "detect_positive")
    arrays = tuple(np.zeros(x.sizes(samples), dtype=np.bool_) for samples in call.samples.sizes)
    return Known(arrays if x.batch is not None else arrays[:1])


def _cast(call: Call) -> Value:
    call.attributes.ignore("saturate", "round_mode")
    kind = Kind.of(dtype_of(call.attributes.integer("to"), call.attributes.where))
    return logic.cast(call.build, call.tensor(0), kind)


def _cast_like(call: Call) -> Value:
    call.attributes.ignore("saturate", "round_mode")
    return logic.cast(call.build, call.tensor(0), call.required(1).kind)


def _dropout(call: Call) -> tuple[Value, ...]:
    """What it says of what it dropped is not translated."""
    call.attributes.ignore("ratio", "seed", "is_test")
    training = call.operand(2)
    if training is not None and (isinstance(training, Value) or bool(np.any(training.array()))):
        raise UnsupportedError("dropout in training", accepted="training_mode=False")
    return (call.tensor(0),)


def _identity(call: Call) -> Operand:
    value = call.required(0)
    return replace(value, name="") if isinstance(value, Known) else value


ARITHMETIC: dict[str, Translation] = {
    "Add": binary(arithmetic.add, f"Add, {_AFFINE}"),
    "Sub": binary(arithmetic.subtract, f"Subtract, {_AFFINE}"),
    "Mul": binary(arithmetic.multiply, f"Multiply, {_AFFINE}"),
    "Div": Translation(_divide, f"Divide, {_AFFINE}"),
    "Pow": binary(arithmetic.power, "Power or Activation"),
    "Sum": _several(arithmetic.total, "Add"),
    "Mean": _several(arithmetic.average, "Average"),
    "Max": _several(arithmetic.maximum, "Maximum, HardActivation or ReLU"),
    "Min": _several(arithmetic.minimum, "Minimum, HardActivation or ReLU"),
    "Clip": Translation(_clip, "HardActivation or ReLU"),
    "Neg": unary(arithmetic.negative, "BatchNormalization"),
    "Abs": unary(arithmetic.absolute, "Absolute"),
    "Sign": _keeping("sign"),
    **{
        name: function(name.lower())
        for name in ("Floor", "Ceil", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos")
    },
    "Equal": _compared(Relation.EQ),
    "Greater": _compared(Relation.GT),
    "GreaterOrEqual": _compared(Relation.GE),
    "Less": _compared(Relation.LT),
    "LessOrEqual": _compared(Relation.LE),
    "And": binary(logic.both, "Minimum"),
    "Or": binary(logic.either, "Maximum"),
    "Xor": binary(logic.different, "Comparison"),
    "Not": unary(logic.negation, "Comparison"),
    "Where": Translation(_where, "Where"),
    "IsNaN": Translation(_is_nan, "a constant"),
    "IsInf": Translation(_is_nan, "a constant"),
    "Cast": Translation(_cast, "Identity, WholeNumber or Comparison"),
    "CastLike": Translation(_cast_like, "Identity, WholeNumber or Comparison"),
    "Identity": Translation(_identity, "Identity"),
    "Dropout": Translation(_dropout, "Identity"),
}
"""Operators by name."""
