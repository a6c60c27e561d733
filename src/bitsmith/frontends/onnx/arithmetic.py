"""ONNX's arithmetic on elements, of tensors and constants that broadcast; comparisons, choices and changes of type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.onnx.call import Aligned, Call, Translation, unary
from bitsmith.frontends.onnx.graph import Array, dtype_of
from bitsmith.frontends.onnx.values import Kind, Known, Tensor, Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.layer import Floats, Layer, broadcasts
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.layers.shape import Identity

_ONE, _ZERO = np.ones(()), np.zeros(())
_LARGEST = float(np.finfo(np.float32).max)


def _kind(values: Sequence[Value]) -> Kind:
    """The kind of a sum or product.

    Raises:
        UnsupportedError: one that wraps around.
    """
    kinds = {value.kind for value in values}
    if kinds & {Kind.NARROW, Kind.TRUTH}:
        raise UnsupportedError(
            "arithmetic on whole numbers of 8 or 16 bits, which wrap around, or on truth values",
            accepted="floating point, and whole numbers of 32 or 64 bits",
            remedy="cast to floating point first",
        )
    return Kind.WHOLE if Kind.WHOLE in kinds else Kind.REAL


def _operands(call: Call, least: int = 1) -> list[Value]:
    count = max(len(call.values), least)
    return [call.required(number) for number in range(count)]


def _binary(
    merge: Layer, with_constant: Callable[[Call, Aligned, Tensor, Floats, bool, Kind], Tensor | None]
) -> Translation:
    """An operation of two values; ``with_constant`` is told whether the constant comes first."""

    def read(call: Call) -> Tensor:
        call.attributes.ignore("broadcast")
        values = [call.required(0), call.required(1)]
        masked = _masked_sum(call) if isinstance(merge, Add) else None
        if masked is not None:
            return masked
        kind = _kind(values)
        if kind is Kind.WHOLE and isinstance(merge, Divide):
            raise UnsupportedError("a division of whole numbers, which drops the rest", accepted="floating point")
        aligned = call.aligned(values)
        found = None
        match aligned.operands:
            case (Tensor() as x, np.ndarray() as constant):
                found = with_constant(call, aligned, x, constant, False, kind)
            case (np.ndarray() as constant, Tensor() as x):
                found = with_constant(call, aligned, x, constant, True, kind)
        return call.join(merge, aligned, kind=kind) if found is None else found

    return Translation(read, f"{merge.kind}, or BatchNormalization with a constant")


_MASKED = -1e30
"""What is less than this is as good as minus infinity; nothing but masks holds it."""


def _infinite(array: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.less(array, _MASKED), dtype=np.bool_)


def _masks(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.any(_infinite(array)))


def _masked_sum(call: Call) -> Tensor | None:
    """A tensor plus a constant that is minus infinity somewhere, if that is what the operands are."""
    for x, constant in ((call.required(0), call.required(1)), (call.required(1), call.required(0))):
        if isinstance(x, Tensor) and isinstance(constant, Known) and any(map(_masks, constant.at)):
            shift = Known(tuple(np.where(_infinite(array), 0.0, array) for array in constant.at))
            moved = any(bool(np.any(array)) for array in shift.at)
            if moved:
                aligned = call.aligned([x, shift])
                if isinstance(aligned.operands[1], np.ndarray):
                    x = call.affine(x, aligned, _ONE, aligned.operands[1], "shifted")
            return _with_mask(call, x, Known(tuple(np.logical_not(_infinite(array)) for array in constant.at)))
    return None


def _with_mask(call: Call, x: Tensor, kept: Known) -> Tensor:
    """``x``, of minus infinity where ``kept`` is false."""
    aligned = call.aligned([x, kept])
    mask = aligned.operands[1]
    if not isinstance(mask, np.ndarray) or not broadcasts(mask.shape, x.shape):
        raise UnsupportedError("a mask of more axes than the tensor", accepted="masks that broadcast to it")
    return replace(call.alike(Identity(), x), mask=mask)


def _add(call: Call, aligned: Aligned, x: Tensor, constant: Floats, first: bool, kind: Kind) -> Tensor:
    return call.affine(x, aligned, _ONE, constant, kind=kind)


def _subtract(call: Call, aligned: Aligned, x: Tensor, constant: Floats, first: bool, kind: Kind) -> Tensor:
    return call.affine(x, aligned, -_ONE if first else _ONE, constant if first else -constant, kind=kind)


def _multiply(call: Call, aligned: Aligned, x: Tensor, constant: Floats, first: bool, kind: Kind) -> Tensor:
    return call.affine(x, aligned, constant, _ZERO, kind=kind)


def _divide(call: Call, aligned: Aligned, x: Tensor, constant: Floats, first: bool, kind: Kind) -> Tensor | None:
    if first:
        if constant.ndim or float(constant) != 1.0:
            return None
        return call.emit(Power(-1.0), (x,), batch=aligned.batch, merged=aligned.merged)
    if not bool(np.all(constant != 0.0)):
        raise UnsupportedError("a division by zero", accepted="other constants")
    return call.affine(x, aligned, 1.0 / constant, _ZERO, kind=kind)


def _several(layer: Layer) -> Translation:
    """A sum or mean of any number of values."""

    def read(call: Call) -> Tensor:
        values = _operands(call)
        if len(values) == 1:
            return call.alike(Identity(), call.tensor(0), kind=values[0].kind)
        return call.combine(layer, values, kind=_kind(values))

    return Translation(read, layer.kind)


def _extreme(merge: Layer, bound: Callable[[float], Layer]) -> Translation:
    """A maximum or minimum; one with a single number is a clipping."""

    def read(call: Call) -> Tensor:
        values = _operands(call)
        if len(values) == 1:
            return call.alike(Identity(), call.tensor(0), kind=values[0].kind)
        aligned = call.aligned(values)
        kinds = {value.kind for value in values}
        kind = Kind.REAL if Kind.REAL in kinds else Kind.WHOLE
        match aligned.operands:
            case (Tensor() as x, np.ndarray() as constant) | (np.ndarray() as constant, Tensor() as x):
                if constant.size == 1 and constant.ndim <= len(x.shape):
                    layer = bound(float(constant.reshape(())))
                    return call.emit(layer, (x,), batch=aligned.batch, merged=aligned.merged, kind=kind)
        return call.join(merge, aligned, kind=kind)

    return Translation(read, f"{merge.kind}, HardActivation or ReLU")


def _above(low: float) -> Layer:
    return ReLU() if low == 0.0 else HardActivation(1.0, 0.0, low, None)


def clipping(low: float | None, high: float | None) -> Layer:
    """Clipping to ``low..high``, each of which may be open."""
    low = None if low is None or low <= -_LARGEST else low
    high = None if high is None or high >= _LARGEST else high
    if low is None and high is None:
        return Identity()
    if low == 0.0 and (high is None or high >= 0.0):
        return ReLU(max_value=high)
    return HardActivation(1.0, 0.0, low, high)


def _clip(call: Call) -> Tensor:
    if call.opset < 11:
        bounds = [call.attributes.number("min", -_LARGEST), call.attributes.number("max", _LARGEST)]
        return call.alike(clipping(*bounds), call.tensor(0))
    found: list[float | None] = []
    for number in (1, 2):
        known = call.known(number, "a bound")
        if known is not None and known.array().size != 1:
            raise UnsupportedError("bounds that differ between elements", accepted="one number")
        value = None if known is None else float(known.array().astype(np.float64).reshape(()))
        found.append(None if value is not None and np.isinf(value) else value)
    x = call.tensor(0)
    return call.alike(clipping(*found), x, kind=x.kind)


def _power(call: Call) -> Tensor:
    exponent = call.weights(1, "the exponent")
    x = call.tensor(0)
    call.attributes.ignore("broadcast")
    if exponent.size != 1 or exponent.ndim > x.rank:
        raise UnsupportedError(f"exponents of shape {exponent.shape}", accepted="one number for all elements")
    value = float(exponent.reshape(()))
    if x.kind is not Kind.REAL and not (value >= 0.0 and value.is_integer() and x.kind is Kind.WHOLE):
        raise UnsupportedError(f"whole numbers to the power of {value:g}", accepted="floating point")
    return call.alike(Power(value), x, kind=x.kind)


def _negative(call: Call) -> Tensor:
    x = call.tensor(0)
    return call.affine(x, call.aligned([x]), -_ONE, _ZERO, kind=_kind([x]))


def _keeping(layer: Layer) -> Translation:
    """A function whose result has the operand's type."""

    def read(call: Call) -> Tensor:
        x = call.tensor(0)
        if x.kind is Kind.NARROW and isinstance(layer, Absolute):
            _kind([x])
        return call.alike(layer, x, kind=x.kind)

    return Translation(read, layer.kind)


def _compared(relation: Relation) -> Translation:
    def read(call: Call) -> Tensor:
        call.attributes.ignore("broadcast")
        values = [call.required(0), call.required(1)]
        return call.combine(Comparison(relation), values, kind=Kind.TRUTH)

    return Translation(read, "Comparison")


def _truths(layer: Layer) -> Translation:
    def read(call: Call) -> Tensor:
        call.attributes.ignore("broadcast")
        return call.combine(layer, [call.required(0), call.required(1)], kind=Kind.TRUTH)

    return Translation(read, layer.kind)


def _compared_with_zero(call: Call, x: Tensor, relation: Relation) -> Tensor:
    zero = call.constant(_ZERO)
    return call.emit(Comparison(relation), (x, zero), batch=x.batch, merged=x.merged, kind=Kind.TRUTH)


def _where(call: Call) -> Tensor:
    values = [call.required(number) for number in range(3)]
    condition, kinds = values[0], {value.kind for value in values[1:]}
    if isinstance(condition, Known):
        for number, kept in ((1, condition), (2, Known(tuple(np.logical_not(array) for array in condition.at)))):
            x, other = values[number], values[3 - number]
            if isinstance(x, Tensor) and isinstance(other, Known) and all(_always_masks(array) for array in other.at):
                return _with_mask(call, x, kept)
            if isinstance(x, Tensor) and all(bool(np.all(array)) for array in kept.at) and _covers(call, x, values):
                return call.alike(Identity(), x, kind=x.kind)
    return call.combine(Where(), values, kind=kinds.pop() if len(kinds) == 1 else Kind.REAL)


def _always_masks(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.all(_infinite(array)))


def _covers(call: Call, x: Tensor, values: Sequence[Value]) -> bool:
    """Whether ``x`` has the shape of the values together."""
    shapes = [value.sizes(call.batch.sizes[0]) if isinstance(value, Tensor) else value.at[0].shape for value in values]
    return all(broadcasts(shape, x.sizes(call.batch.sizes[0])) for shape in shapes)


def _is_nan(call: Call) -> Known:
    """Never: fixed-point numbers are finite."""
    x = call.tensor(0)
    call.attributes.ignore("detect_negative", "detect_positive")
    arrays = tuple(np.zeros(x.sizes(samples), dtype=np.bool_) for samples in call.batch.sizes)
    return Known(arrays if x.batch is not None else arrays[:1])


def _cast(call: Call) -> Tensor:
    call.attributes.ignore("saturate", "round_mode")
    return _as_type(call, Kind.of(dtype_of(call.attributes.integer("to"), call.attributes.where)))


def _cast_like(call: Call) -> Tensor:
    call.attributes.ignore("saturate", "round_mode")
    return _as_type(call, call.required(1).kind)


def _as_type(call: Call, kind: Kind) -> Tensor:
    x = call.tensor(0)
    match x.kind, kind:
        case (_, Kind.REAL) | (Kind.TRUTH, _) | (Kind.NARROW | Kind.WHOLE, Kind.WHOLE):
            return call.alike(Identity(), x, kind=kind)
        case (Kind.REAL, Kind.WHOLE):
            return call.alike(WholeNumber(Whole.TRUNC), x, kind=kind)
        case (_, Kind.TRUTH):
            return _compared_with_zero(call, x, Relation.NE)
    raise UnsupportedError(
        "a cast to whole numbers of 8 or 16 bits, which wraps around", accepted="floating point, int32, int64 and bool"
    )


def _identity(call: Call) -> tuple[Tensor, ...]:
    """Dropout and the like; what it says of what it dropped is not translated."""
    call.attributes.ignore("ratio", "seed", "is_test")
    x = call.tensor(0)
    training = call.value(2)
    if training is not None and (isinstance(training, Tensor) or bool(np.any(training.array()))):
        raise UnsupportedError("dropout in training", accepted="training_mode=False")
    return (call.alike(Identity(), x, kind=x.kind),)


def _known_identity(call: Call) -> Value:
    value = call.required(0)
    return replace(value, name="") if isinstance(value, Known) else call.alike(Identity(), value, kind=value.kind)


ARITHMETIC: dict[str, Translation] = {
    "Add": _binary(Add(), _add),
    "Sub": _binary(Subtract(), _subtract),
    "Mul": _binary(Multiply(), _multiply),
    "Div": _binary(Divide(), _divide),
    "Sum": _several(Add()),
    "Mean": _several(Average()),
    "Max": _extreme(Maximum(), _above),
    "Min": _extreme(Minimum(), lambda high: HardActivation(1.0, 0.0, None, high)),
    "Clip": Translation(_clip, "HardActivation or ReLU"),
    "Pow": Translation(_power, "Power"),
    "Neg": Translation(_negative, "BatchNormalization"),
    "Abs": _keeping(Absolute()),
    "Sign": _keeping(Sign()),
    "Floor": unary(WholeNumber(Whole.FLOOR)),
    "Ceil": unary(WholeNumber(Whole.CEIL)),
    "Round": unary(WholeNumber(Whole.ROUND)),
    "Sqrt": unary(Power(0.5)),
    "Reciprocal": unary(Power(-1.0)),
    "Exp": unary(Activation("exponential")),
    "Log": unary(Logarithm()),
    "Sin": unary(Sinusoid(Wave.SIN)),
    "Cos": unary(Sinusoid(Wave.COS)),
    "Equal": _compared(Relation.EQ),
    "Greater": _compared(Relation.GT),
    "GreaterOrEqual": _compared(Relation.GE),
    "Less": _compared(Relation.LT),
    "LessOrEqual": _compared(Relation.LE),
    "And": _truths(Minimum()),
    "Or": _truths(Maximum()),
    "Xor": _truths(Comparison(Relation.NE)),
    "Not": Translation(lambda call: _compared_with_zero(call, call.tensor(0), Relation.EQ), "Comparison"),
    "Where": Translation(_where, "Where"),
    "IsNaN": Translation(_is_nan, "a constant"),
    "IsInf": Translation(_is_nan, "a constant"),
    "Cast": Translation(_cast, "Identity, WholeNumber or Comparison"),
    "CastLike": Translation(_cast_like, "Identity, WholeNumber or Comparison"),
    "Identity": Translation(_known_identity, "Identity"),
    "Dropout": Translation(_identity, "Identity"),
}
"""Operators by name."""
