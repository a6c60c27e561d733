"""The operations that frameworks call by name: functions of values, and of numbers, which frameworks name as they like."""

from dataclasses import dataclass
from functools import partial

from bitsmith.frontends.builder.value import constant
from bitsmith.frontends.ops import activations, arithmetic, contraction, logic
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.ir.ops import Relation
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.integer import Bits
from bitsmith.layers.layer import Layer
from bitsmith.layers.logic import Comparison
from bitsmith.layers.merge import Maximum, Minimum


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of a builder, ``count`` values and perhaps numbers; ``becomes`` is for documentation."""

    make: arithmetic.Several
    becomes: str
    count: int = 1


def _emitting(layer: Layer) -> Operation:
    return Operation(lambda build, x: build.emit(layer, x), layer.kind)


def _comparing(relation: Relation) -> Operation:
    return Operation(lambda build, x, y: logic.compare(build, relation, x, y), "Comparison", 2)


def _rounding(way: Whole) -> arithmetic.Several:
    return lambda build, x: logic.whole(build, x, way)


_AFFINE = "or BatchNormalization with a constant"
_WHOLE = "WholeQuotient"
_REST = "WholeQuotient, Multiply and Subtract"
RELATIONS = {
    "greater": Relation.GT,
    "greater_equal": Relation.GE,
    "less": Relation.LT,
    "less_equal": Relation.LE,
    "equal": Relation.EQ,
    "not_equal": Relation.NE,
}

OPERATIONS: dict[str, Operation] = {
    **{name: _emitting(layer) for name, layer in FUNCTIONS.items()},
    **{name: _comparing(relation) for name, relation in RELATIONS.items()},
    **{way.value: Operation(_rounding(way), "WholeNumber or WholeQuotient") for way in Whole},
    "square": Operation(lambda build, x: arithmetic.power(build, x, constant(2.0)), "Power"),
    "add": Operation(arithmetic.add, f"Add, {_AFFINE}", 2),
    "subtract": Operation(arithmetic.subtract, f"Subtract, {_AFFINE}", 2),
    "multiply": Operation(arithmetic.multiply, f"Multiply, {_AFFINE}", 2),
    "divide": Operation(arithmetic.divide, f"Divide, {_AFFINE}", 2),
    "quotient": Operation(arithmetic.quotient, f"Divide, {_AFFINE}", 2),
    "true_divide": Operation(arithmetic.true_divide, f"Divide, {_AFFINE}", 2),
    "floor_divide": Operation(partial(arithmetic.whole_quotient, Whole.FLOOR), _WHOLE, 2),
    "truncated_divide": Operation(partial(arithmetic.whole_quotient, Whole.TRUNC), _WHOLE, 2),
    "mod": Operation(partial(arithmetic.remainder, Whole.FLOOR), _REST, 2),
    "fmod": Operation(partial(arithmetic.remainder, Whole.TRUNC), _REST, 2),
    "power": Operation(arithmetic.power, "Power, Activation or VariablePower", 2),
    "maximum": Operation(arithmetic.maximum, "Maximum, HardActivation or ReLU", 2),
    "minimum": Operation(arithmetic.minimum, "Minimum, HardActivation or ReLU", 2),
    "clip": Operation(arithmetic.clip, "HardActivation or ReLU"),
    "left_shift": Operation(arithmetic.left_shift, "BatchNormalization and Wrap", 2),
    "right_shift": Operation(arithmetic.right_shift, "WholeQuotient", 2),
    "negative": Operation(arithmetic.negative, "BatchNormalization"),
    "absolute": Operation(arithmetic.absolute, "Absolute"),
    "sign": Operation(arithmetic.sign, "Sign"),
    "fraction": Operation(arithmetic.fraction, "WholeNumber and Subtract"),
    "atan2": Operation(activations.angle, "Divide, ReLU, Activation, Comparison and Where", 2),
    "logaddexp": Operation(activations.log_of_sum, "Absolute, Activation, Maximum and Add", 2),
    "hypot": Operation(arithmetic.hypotenuse, "Power and Add", 2),
    "lerp": Operation(arithmetic.between, "Subtract, Multiply and Add", 3),
    "matmul": Operation(contraction.matrix_product, "Dense, EinsumDense or Einsum", 2),
    "logical_and": Operation(partial(logic.logical, Minimum()), "Comparison and Minimum", 2),
    "logical_or": Operation(partial(logic.logical, Maximum()), "Comparison and Maximum", 2),
    "logical_xor": Operation(partial(logic.logical, Comparison(Relation.NE)), "Comparison", 2),
    **{f"bitwise_{bits.value}": Operation(partial(logic.bitwise, bits), "Bitwise", 2) for bits in Bits},
    "bitwise_not": Operation(logic.bitwise_not, "BatchNormalization, or Comparison of truth values"),
    "logical_not": Operation(logic.negation, "Comparison"),
    "where": Operation(logic.where, "Where, or a mask of softmax", 3),
    "erfc": Operation(activations.erfc, "Activation and BatchNormalization"),
    "relu": Operation(activations.relu, "ReLU"),
    "threshold": Operation(activations.threshold, "ReLU, or Comparison and Where"),
    "hard_shrink": Operation(activations.hard_shrink, "Activation, or Absolute, Comparison and Where"),
    "soft_shrink": Operation(activations.soft_shrink, "Activation, or HardActivation and Subtract"),
    "hard_sigmoid": Operation(activations.hard_sigmoid, "HardActivation"),
    "softplus": Operation(activations.softplus, "Activation"),
    "elu": Operation(activations.elu, "Activation, and BatchNormalization with a scale"),
    "celu": Operation(activations.celu, "Activation"),
    "silu": Operation(activations.swish, "Activation, and Multiply"),
}
"""Operations by name."""
