"""The operations that frameworks call by name: functions of values, and of numbers, which frameworks name as they like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bitsmith.frontends.ops import activations, arithmetic, contraction, logic
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.ir.ops import Relation
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


_AFFINE = "or BatchNormalization with a constant"
_WHOLE = "BatchNormalization or Divide, WholeNumber, and Comparison"
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
    "add": Operation(arithmetic.add, f"Add, {_AFFINE}", 2),
    "subtract": Operation(arithmetic.subtract, f"Subtract, {_AFFINE}", 2),
    "multiply": Operation(arithmetic.multiply, f"Multiply, {_AFFINE}", 2),
    "divide": Operation(arithmetic.divide, f"Divide, {_AFFINE}", 2),
    "true_divide": Operation(arithmetic.true_divide, f"Divide, {_AFFINE}", 2),
    "floor_divide": Operation(arithmetic.floor_divide, _WHOLE, 2),
    "truncated_divide": Operation(arithmetic.truncated_divide, f"Absolute, {_WHOLE}", 2),
    "mod": Operation(arithmetic.remainder, _WHOLE, 2),
    "fmod": Operation(arithmetic.truncated_remainder, f"Absolute, {_WHOLE}", 2),
    "power": Operation(arithmetic.power, "Power or Activation", 2),
    "maximum": Operation(arithmetic.maximum, "Maximum, HardActivation or ReLU", 2),
    "minimum": Operation(arithmetic.minimum, "Minimum, HardActivation or ReLU", 2),
    "clip": Operation(arithmetic.clip, "HardActivation or ReLU"),
    "negative": Operation(arithmetic.negative, "BatchNormalization"),
    "absolute": Operation(arithmetic.absolute, "Absolute"),
    "sign": Operation(arithmetic.sign, "Sign"),
    "fraction": Operation(arithmetic.fraction, "WholeNumber and Subtract"),
    "hypot": Operation(arithmetic.hypotenuse, "Power and Add", 2),
    "lerp": Operation(arithmetic.between, "Subtract, Multiply and Add", 3),
    "matmul": Operation(contraction.matrix_product, "Dense, EinsumDense or Einsum", 2),
    "logical_and": Operation(partial(logic.logical, Minimum()), "Comparison and Minimum", 2),
    "logical_or": Operation(partial(logic.logical, Maximum()), "Comparison and Maximum", 2),
    "logical_xor": Operation(partial(logic.logical, Comparison(Relation.NE)), "Comparison", 2),
    "logical_not": Operation(logic.negation, "Comparison"),
    "where": Operation(logic.where, "Where, or a mask of softmax", 3),
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
