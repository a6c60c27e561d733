"""Keras 3 arithmetic: of tensors, of tensors and constants, and functions of one tensor.

Operations align shapes from the right with the batch axis included, so that tensors must have one rank.
"""

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, typed
from bitsmith.frontends.files.json import integer, shown
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, configured
from bitsmith.frontends.keras.operands import Constant, Operands
from bitsmith.frontends.keras.weights import snake_case
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.layers.embedding import OneHot


def operation(name: str, **numbers: tuple[str, float | None]) -> Translation:
    """A shared operation on tensors and constants; the keys of its numbers, and their defaults."""
    shared = OPERATIONS[name]

    def read(call: LayerCall) -> Value:
        values = call.operands(shared.count) if shared.count > 1 else (call.x,)
        if shared.count == 2:
            kind = logic.common_kind(*values)
            values = tuple(replace(value, kind=kind) for value in values)
        return shared.make(call.build, *values, **{key: call.config.number(*one) for key, one in numbers.items()})

    return Translation(read, shared.becomes)


def _kind(call: LayerCall) -> Kind:
    dtype = call.config.text("dtype")
    kind = Kind.named(dtype)
    if kind is Kind.REAL and not dtype.startswith(("float", "bfloat")):
        raise UnsupportedError(f"a cast to {shown(dtype)}", accepted="floating point, integers and bool")
    return kind


def _cast(call: LayerCall) -> Value:
    return logic.cast(call.build, call.x, _kind(call), Beyond.UNDEFINED)


def _as_tensor(call: LayerCall) -> Value:
    return call.x if call.config.get("dtype") is None else _cast(call)


def _alike(number: float | None) -> Translation:
    """A constant of the operand's shape: of the ``number``, or of one that is given."""

    def read(call: LayerCall) -> Value:
        x, kind = call.first, call.first.kind if call.config.get("dtype") is None else _kind(call)
        elements = np.broadcast_to(call.numbers("fill_value", 1) if number is None else number, x.shape)
        return replace(typed(elements, kind), batch=x.batch)

    return Translation(read, "Constant", frozenset({"fill_value"}))


def _select(call: LayerCall) -> Value:
    """The first choice whose condition holds, else the default."""
    names = ("condlist", "choicelist", "default")
    opened = [*call.given.args, *(item for name in names for item in call.given.kwargs.get(name, ()))]
    opened += [Constant(0)] if len(opened) % 2 == 0 else []
    conditions, choices = opened[: len(opened) // 2], opened[len(opened) // 2 : -1]
    if any(not isinstance(one, Value) for one in conditions):
        raise UnsupportedError("select with constant conditions", accepted="conditions that are tensors")
    values = replace(call, given=Operands((*choices, opened[-1]), {})).operands()
    result, kind = values[-1], logic.common_kind(*values)
    for number, (condition, choice) in reversed([*enumerate(zip(conditions, values, strict=False))]):
        assert isinstance(condition, Value)
        build = call.build.within(f"choice{number}" if number else "")
        result = logic.where(
            build, logic.truth(build, condition), replace(choice, kind=kind), replace(result, kind=kind)
        )
    return result


def _one_hot(call: LayerCall) -> Value:
    if call.config.integer("axis", -1) not in (-1, call.x.rank) or call.config.flag("sparse", False):
        raise UnsupportedError("one-hot codes along another axis than the last, or sparse", accepted="axis=-1, dense")
    return call.build.emit(OneHot(call.config.integer("num_classes")), logic.row_index(call.build, call.x))


_ALIKE = (
    *("Add", "Subtract", "Multiply", "TrueDivide", "FloorDivide", "Mod", "Fmod", "Maximum", "Minimum", "Negative"),
    *("Power", "Absolute", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Sign", "Floor", "Ceil", "Trunc"),
    *("Log", "Log2", "Log10", "Log1p", "Exp", "Exp2", "Expm1", "Erf", "Sin", "Cos", "Sinh", "Cosh", "Logaddexp"),
    *("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"),
    *("LogicalAnd", "LogicalOr", "LogicalXor", "LogicalNot", "Where"),
    *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"),
)

ARITHMETIC: ByClass = {
    **{name: operation(snake_case(name)) for name in _ALIKE},
    "Arcsinh": operation("asinh"),
    "Arctan": operation("atan"),
    "Arctan2": operation("atan2"),
    "Abs": operation("absolute"),
    "Divide": operation("true_divide"),
    "BitwiseInvert": operation("bitwise_not"),
    **dict.fromkeys(("LeftShift", "BitwiseLeftShift"), operation("left_shift")),
    **dict.fromkeys(("RightShift", "BitwiseRightShift"), operation("right_shift")),
    "Clip": operation("clip", low=("x_min", None), high=("x_max", None)),
    "Round": configured(arithmetic.round_half_to_even, "WholeNumber", integer("decimals", 0)),
    "Cast": Translation(_cast, "Identity or WholeNumber"),
    "ConvertToTensor": Translation(_as_tensor, "Identity or WholeNumber"),
    "ZerosLike": _alike(0.0),
    "OnesLike": _alike(1.0),
    "FullLike": _alike(None),
    "OneHot": Translation(_one_hot, "OneHot"),
    "Select": Translation(_select, "Where", frozenset({"condlist", "choicelist", "default"})),
}
