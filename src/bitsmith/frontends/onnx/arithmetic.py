"""ONNX's arithmetic on elements; matrix products; comparisons, choices and changes of type."""

import math
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.known import Known, Operand
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.onnx.quantized import clipped, clipped_constant
from bitsmith.frontends.onnx.tensors import dtype_of
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.contraction import affine_product
from bitsmith.frontends.ops.equations import einsum
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.ops.numbers import check_numbers
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Identity


def operation(name: str, **numbers: tuple[str, float]) -> Translation:
    """A shared operation on the first operands; the names of the attributes that are its numbers, and their defaults."""
    shared = OPERATIONS[name]

    def read(call: Call) -> Value:
        call.attributes.ignore("broadcast")
        given = {key: call.attributes.number(*one) for key, one in numbers.items()}
        return shared.make(call.build, *(call.tensor(number) for number in range(shared.count)), **given)

    return Translation(read, shared.becomes)


def _multiply(call: Call) -> Value:
    """Multiply; a factor of integers of 32 bits after a change of type is their scale, and so exact as scales are."""
    call.attributes.ignore("broadcast")
    x, y = call.tensor(0), call.tensor(1)
    values = (
        (_as_scale(call, x), y) if _was_integer(call, y) else (x, _as_scale(call, y) if _was_integer(call, x) else y)
    )
    return OPERATIONS["multiply"].make(call.build, *values)


def _was_integer(call: Call, x: Value) -> bool:
    """Return True if ``x`` is an integer of 32 bits whose type was changed."""
    operands = call.build.draft.operands[x.node] if isinstance(x.node, int) else ()
    return x.kind is Kind.REAL and [one.kind for one in operands] == [Kind.INT32]


def _as_scale(call: Call, x: Value) -> Value:
    """A constant as numbers that each are a grid of their own."""
    if not x.is_trained or x.quantizer is not None or not bool(np.all(x.elements)):
        return x
    return replace(x, quantizer=Quantizer.uniform(x.elements, 1, 1))


def _mod(call: Call) -> Value:
    name = "fmod" if call.attributes.flag("fmod", False) else "mod"
    return OPERATIONS[name].make(call.build, call.tensor(0), call.tensor(1))


def _shift(call: Call) -> Value:
    direction = call.attributes.text("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise UnsupportedError(f"a shift to {direction[:20]!r}", accepted="LEFT and RIGHT")
    return OPERATIONS[f"{direction.lower()}_shift"].make(call.build, call.tensor(0), call.tensor(1))


def _clip(call: Call) -> Operand:
    if call.opset < 11:
        low, high = call.attributes.number("min", -math.inf), call.attributes.number("max", math.inf)
    else:
        low, high = call.number(1, "a bound", -math.inf), call.number(2, "a bound", math.inf)
    given = call.required(0)
    if isinstance(given, Known) and given.kind.is_small and given.kind.is_integer:
        return clipped_constant(given, low, high)
    x = call.value(given)
    return clipped(call.build, x, low, high) if x.codes is not None else arithmetic.clip(call.build, x, low, high)


def _is_nan(call: Call) -> Known:
    """Never: fixed-point numbers are finite."""
    x = call.tensor(0)
    check_numbers(call.build, x)
    call.attributes.ignore("detect_negative", "detect_positive")
    return Known.of([np.zeros(sizes, dtype=np.bool_) for sizes in call.build.sizes(x)])


def _cast(call: Call) -> Value:
    call.attributes.ignore("saturate", "round_mode")
    x, kind = call.tensor(0), _target(call)
    if call.node.operator == "Cast" and x.kind is Kind.INT32 and kind is Kind.REAL:
        return call.build.emit(Identity(), x, kind=kind)  # which _was_integer finds
    return logic.cast(call.build, x, kind, Beyond.WRAPS)


def _target(call: Call) -> Kind:
    """The type of a cast's result, which is named, or that of another operand."""
    if call.node.operator == "CastLike":
        return call.required(1).kind
    return Kind.of(dtype_of(call.attributes.integer("to"), call.attributes.where))


def _dropout(call: Call) -> tuple[Value, ...]:
    """Pass the operand on; the mask of dropped elements is not translated."""
    call.attributes.ignore("ratio", "seed", "is_test")
    training = call.operand(2)
    if training is not None and (isinstance(training, Value) or bool(np.any(training.array()))):
        remedy = "export the model after model.eval()"
        raise UnsupportedError("dropout in training", accepted="training_mode=False", remedy=remedy)
    return (call.tensor(0),)


def _identity(call: Call) -> Operand:
    value = call.required(0)
    return replace(value, name="") if isinstance(value, Known) else value


_SHARED = {
    "Add": "add",
    "Sub": "subtract",
    "Div": "quotient",
    "Pow": "power",
    "Neg": "negative",
    "Abs": "absolute",
    "GreaterOrEqual": "greater_equal",
    "LessOrEqual": "less_equal",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Not": "logical_not",
    **{
        name: name.lower()
        for name in (
            *("Sign", "Floor", "Ceil", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos"),
            *("Sinh", "Cosh", "Asinh", "Atan"),
            *("Greater", "Less", "Where"),
        )
    },
}


def _gemm(call: Call) -> Value:
    """``alpha * A' B' + beta * C``."""
    attributes = call.attributes
    attributes.ignore("broadcast")
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    a = "ki" if attributes.flag("transA", False) else "ik"
    b = "jk" if attributes.flag("transB", False) else "kj"
    offset = None if call.operand(2) is None else call.tensor(2)
    return affine_product(call.build, f"{a},{b}->ij", call.tensor(0), call.tensor(1), offset, alpha, beta)


def _einsum(call: Call) -> Value:
    return einsum(call.build, call.attributes.text("equation"), call.tensors())


def _side(call: Call) -> Value:
    return arithmetic.side(call.build, call.tensor(0), _target(call))


ARITHMETIC: Operators = {
    **{name: operation(shared) for name, shared in _SHARED.items()},
    "Equal": replace(operation("equal"), judged=operation("less").read),
    **{f"Bitwise{name}": operation(f"bitwise_{name.lower()}") for name in ("And", "Or", "Xor", "Not")},
    "BitShift": Translation(_shift, "BatchNormalization and Wrap, or WholeQuotient"),
    "Mul": Translation(_multiply, OPERATIONS["multiply"].becomes),
    "Mod": Translation(_mod, OPERATIONS["mod"].becomes),
    "Sum": Translation(lambda call: arithmetic.total(call.build, *call.tensors()), "Add"),
    "Mean": Translation(lambda call: arithmetic.average(call.build, *call.tensors()), "Average"),
    "Max": Translation(lambda call: arithmetic.maximum(call.build, *call.tensors()), OPERATIONS["maximum"].becomes),
    "Min": Translation(lambda call: arithmetic.minimum(call.build, *call.tensors()), OPERATIONS["minimum"].becomes),
    "Clip": Translation(_clip, OPERATIONS["clip"].becomes),
    **dict.fromkeys(("IsNaN", "IsInf"), Translation(_is_nan, "a constant")),
    **dict.fromkeys(("Cast", "CastLike"), Translation(_cast, "Identity, WholeNumber or Comparison", judged=_side)),
    "Identity": Translation(_identity, "Identity"),
    "MatMul": operation("matmul"),
    "Gemm": Translation(_gemm, "Dense, or Einsum and Add"),
    "Einsum": Translation(_einsum, "Einsum, or EinsumDense with a constant"),
    "Dropout": Translation(_dropout, "Identity"),
}
