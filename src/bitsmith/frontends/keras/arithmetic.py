"""Keras 3 arithmetic: of tensors, of a tensor and a constant, and functions of one tensor.

Operations align shapes from the right with the batch axis included, so that tensors must have one rank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, Translator, checked_size, unary, without_batch
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.layers.shape import Identity

_ONE, _ZERO = np.ones(()), np.zeros(())


def _joined(call: LayerCall, layer: Layer) -> tuple[Step, ...]:
    """``layer`` on the call's arguments, of which some may be constants."""
    ranks = {len(shape) for shape in call.shapes}
    if len(ranks) != 1:
        raise UnsupportedError(
            f"operands of shapes {list(call.shapes)}, which would align one's batch axis",
            accepted="operands of one rank",
            remedy="use the merge layer",
        )
    (rank,) = ranks

    def of_a_sample(values: Floats) -> Floats:
        values = without_batch(values, rank)
        if values.ndim > rank:
            raise UnsupportedError(
                f"a constant of shape {values.shape}, which differs between samples",
                accepted=f"constants of at most {rank} axes",
            )
        return values

    steps, inputs = call.placed(of_a_sample)
    return (*steps, Step(layer, inputs=inputs))


def _several(layer: Layer, count: int) -> Translation:
    """A layer of ``count`` operands, each a tensor or a constant."""

    def read(call: LayerCall) -> tuple[Step, ...]:
        if len(call.constants) != count:
            raise UnsupportedError(f"{len(call.constants)} arguments", accepted=f"{count} tensors or constants")
        return _joined(call, layer)

    return Translation(read, layer.kind)


def _binary(merge: Layer, with_constant: Callable[[LayerCall, Floats, bool], tuple[Step, ...]]) -> Translation:
    """An operation of two tensors, or of a tensor and a constant (first, if the flag says so)."""

    def read(call: LayerCall) -> tuple[Step, ...]:
        match call.constants:
            case (None, None):
                return _joined(call, merge)
            case (None, np.ndarray() as values):
                return with_constant(call, values, False)
            case (np.ndarray() as values, None):
                return with_constant(call, values, True)
        raise UnsupportedError(f"{len(call.constants)} arguments", accepted="a tensor and another or a constant")

    return Translation(read, f"{merge.kind}, or BatchNormalization with a constant")


def _subtract(call: LayerCall, values: Floats, constant_first: bool) -> tuple[Step, ...]:
    return call.affine(-_ONE, values) if constant_first else call.affine(_ONE, -values)


def _divide(call: LayerCall, values: Floats, constant_first: bool) -> tuple[Step, ...]:
    if constant_first:
        return (Step(Power(-1.0)),) if bool(np.all(values == 1.0)) and values.ndim == 0 else _joined(call, Divide())
    if not bool(np.all(values != 0.0)):
        raise UnsupportedError("a division by zero", accepted="other constants")
    return call.affine(1.0 / values, _ZERO)


def _extreme(merge: Layer, bound: Callable[[float], Layer]) -> Translation:
    """A maximum or minimum: one with a single number is a clipping."""

    def read(call: LayerCall) -> tuple[Step, ...]:
        constants = [values for values in call.constants if values is not None]
        if len(call.constants) != 2:
            raise UnsupportedError(f"{len(call.constants)} arguments", accepted="two tensors or constants")
        if constants and constants[0].size == 1 and constants[0].ndim == 0:
            return (Step(bound(float(constants[0]))),)
        return _joined(call, merge)

    return Translation(read, f"{merge.kind}, HardActivation or ReLU")


def _above(low: float) -> Layer:
    return ReLU() if low == 0.0 else HardActivation(1.0, 0.0, low, None)


def _clip(call: LayerCall) -> Layer:
    low, high = call.config.number("x_min"), call.config.number("x_max")
    if low > high:
        raise UnsupportedError(f"clipping to {low}..{high}")
    return HardActivation(1.0, 0.0, low, high)


def _power(call: LayerCall) -> tuple[Step, ...]:
    match call.constants:
        case (None, np.ndarray() as values) if values.size == 1:
            checked_size(call.shapes[0], call.where)
            return (Step(Power(float(values.reshape(())))),)
    raise UnsupportedError("a power whose exponent is no single number", accepted="a tensor and a number")


def _round(call: LayerCall) -> Layer:
    if call.config.integer("decimals", 0) != 0:
        raise UnsupportedError(
            f"rounding to {call.config.integer('decimals')} decimals",
            accepted="whole numbers",
            remedy="multiply by a power of two, round, and divide",
        )
    return WholeNumber(Whole.ROUND)


def _cast(call: LayerCall) -> Layer:
    dtype = call.config.text("dtype")
    if dtype.startswith(("float", "bfloat")):
        return Identity()
    if dtype.startswith("int"):
        return WholeNumber(Whole.TRUNC)
    raise UnsupportedError(f"a cast to {shown(dtype)}", accepted="floating point or signed whole numbers")


def _cast_to_truth(call: LayerCall, layer: Layer) -> tuple[Step, ...]:
    """``layer`` on truth values: what is not 0 is true."""
    steps = [*_joined(call, layer)]
    zero = Step(Constant(as_weights(0.0)), "zero", "Constant", ())
    truths = [
        Step(Comparison(Relation.NE), f"truth{k or ''}", inputs=(key, "zero"))
        for k, key in enumerate(steps[-1].inputs or ())
    ]
    return (*steps[:-1], zero, *truths, Step(layer, inputs=tuple(step.suffix for step in truths)))


def _logical(layer: Layer) -> Translator:
    def read(call: LayerCall) -> tuple[Step, ...]:
        if len(call.constants) != 2:
            raise UnsupportedError(f"{len(call.constants)} arguments", accepted="two tensors")
        return _cast_to_truth(call, layer)

    return read


def _logical_not(call: LayerCall) -> tuple[Step, ...]:
    zero = Step(Constant(as_weights(0.0)), "zero", "Constant", ())
    checked_size(call.shape, call.where)
    return zero, Step(Comparison(Relation.EQ), inputs=(0, "zero"))


def _one_hot(call: LayerCall) -> Layer:
    rank = len(call.shape)
    if call.config.integer("axis", -1) not in (-1, rank + 1) or call.config.flag("sparse", False):
        raise UnsupportedError("one-hot codes along another axis than the last, or sparse", accepted="axis=-1, dense")
    return OneHot(call.config.integer("num_classes"))


def _negative(call: LayerCall) -> tuple[Step, ...]:
    return call.affine(-_ONE, _ZERO)


def _function(layer: Layer) -> Translation:
    return Translation(unary(lambda _: layer), layer.kind)


_QUOTIENT = _binary(Divide(), _divide)

ARITHMETIC: dict[str, Translation] = {
    "Add": _binary(Add(), lambda call, values, _: call.affine(_ONE, values)),
    "Subtract": _binary(Subtract(), _subtract),
    "Multiply": _binary(Multiply(), lambda call, values, _: call.affine(values, _ZERO)),
    "Divide": _QUOTIENT,
    "TrueDivide": _QUOTIENT,
    "Maximum": _extreme(Maximum(), _above),
    "Minimum": _extreme(Minimum(), lambda high: HardActivation(1.0, 0.0, None, high)),
    "Clip": Translation(unary(_clip), "HardActivation"),
    "Negative": Translation(_negative, "BatchNormalization"),
    "Power": Translation(_power, "Power"),
    "Square": _function(Power(2.0)),
    "Sqrt": _function(Power(0.5)),
    "Rsqrt": _function(Power(-0.5)),
    "Reciprocal": _function(Power(-1.0)),
    "Absolute": _function(Absolute()),
    "Abs": _function(Absolute()),
    "Sign": _function(Sign()),
    "Floor": _function(WholeNumber(Whole.FLOOR)),
    "Ceil": _function(WholeNumber(Whole.CEIL)),
    "Trunc": _function(WholeNumber(Whole.TRUNC)),
    "Round": Translation(unary(_round), "WholeNumber"),
    "Cast": Translation(unary(_cast), "Identity or WholeNumber"),
    "Log": _function(Logarithm()),
    "Log2": _function(Logarithm(2.0)),
    "Log10": _function(Logarithm(10.0)),
    "Log1p": _function(Logarithm(offset=1)),
    "Exp": _function(Activation("exponential")),
    "Exp2": _function(Activation("exp2")),
    "Expm1": _function(Activation("expm1")),
    "Erf": _function(Activation("erf")),
    "Sin": _function(Sinusoid(Wave.SIN)),
    "Cos": _function(Sinusoid(Wave.COS)),
    "Greater": _several(Comparison(Relation.GT), 2),
    "GreaterEqual": _several(Comparison(Relation.GE), 2),
    "Less": _several(Comparison(Relation.LT), 2),
    "LessEqual": _several(Comparison(Relation.LE), 2),
    "Equal": _several(Comparison(Relation.EQ), 2),
    "NotEqual": _several(Comparison(Relation.NE), 2),
    "LogicalAnd": Translation(_logical(Minimum()), "Comparison and Minimum"),
    "LogicalOr": Translation(_logical(Maximum()), "Comparison and Maximum"),
    "LogicalNot": Translation(_logical_not, "Comparison"),
    "Where": _several(Where(), 3),
    "OneHot": Translation(unary(_one_hot), "OneHot"),
}
"""Operations by class name."""
