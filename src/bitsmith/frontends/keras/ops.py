"""Keras 3 functional operations (``x * 2 + 1``, ``keras.ops.relu(x)``), which a saved model lists among its layers.

Unlike merge layers, operations align shapes from the right with the batch axis included, so that tensors must have one rank.
Operands may be constants. Operations of TensorFlow among the layers of Keras 2 (``TFOpLambda``) are each as that of Keras 3 which
computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import Fields, integer, shown
from bitsmith.frontends.keras.activations import ACTIVATION_LAYERS, along_axis
from bitsmith.frontends.keras.call import LayerCall, Translation, configured
from bitsmith.frontends.keras.einsum import EINSUM_OPS
from bitsmith.frontends.keras.norm import NORMALIZATION_OPS
from bitsmith.frontends.keras.operands import Operands
from bitsmith.frontends.keras.shape import SHAPE_OPS
from bitsmith.frontends.keras.spatial import SPATIAL_OPS
from bitsmith.frontends.keras.weights import snake_case
from bitsmith.frontends.ops import activations, arithmetic, logic
from bitsmith.frontends.ops.arithmetic import multiply
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.frontends.ops.reduction import REDUCERS, extreme_index, greatest, norm, running_sum
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.layer import as_weights, broadcasts


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


def _as_tensor(call: LayerCall) -> Value:
    return call.x if call.config.get("dtype") is None else logic.cast(call.build, call.x, _kind(call))


def _alike(number: float | None) -> Translation:
    """A constant of the operand's shape: of the ``number``, or of one that is given."""

    def read(call: LayerCall) -> Value:
        x, kind = call.first, call.first.kind if call.config.get("dtype") is None else _kind(call)
        elements = np.broadcast_to(call.numbers("fill_value", 1) if number is None else number, x.shape)
        return Value(as_weights(elements), x.shape, x.batch, kind=kind)

    return Translation(read, "Constant", frozenset({"fill_value"}))


def _one_hot(call: LayerCall) -> Value:
    if call.config.integer("axis", -1) not in (-1, call.x.rank) or call.config.flag("sparse", False):
        raise UnsupportedError("one-hot codes along another axis than the last, or sparse", accepted="axis=-1, dense")
    return call.build.emit(OneHot(call.config.integer("num_classes")), logic.row_index(call.build, call.x))


_ALIKE = (
    *("Add", "Subtract", "Multiply", "TrueDivide", "FloorDivide", "Mod", "Fmod", "Maximum", "Minimum", "Negative"),
    *("Power", "Absolute", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Sign", "Floor", "Ceil", "Trunc"),
    *("Log", "Log2", "Log10", "Log1p", "Exp", "Exp2", "Expm1", "Erf", "Sin", "Cos", "Sinh", "Cosh"),
    *("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"),
    *("LogicalAnd", "LogicalOr", "LogicalXor", "LogicalNot", "Where"),
    *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"),
)

ARITHMETIC: dict[str, Translation] = {
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
    "Cast": Translation(lambda call: logic.cast(call.build, call.x, _kind(call)), "Identity or WholeNumber"),
    "ConvertToTensor": Translation(_as_tensor, "Identity or WholeNumber"),
    "ZerosLike": _alike(0.0),
    "OnesLike": _alike(1.0),
    "FullLike": _alike(None),
    "OneHot": Translation(_one_hot, "OneHot"),
}
"""Operations by class name."""


def _given(call: LayerCall) -> tuple[Builder, Value, tuple[int, ...], bool]:
    for key in ("initial", "dtype"):
        if call.config.get(key) is not None:
            raise UnsupportedError(f"{key} = {shown(call.config.get(key))}", accepted=f"no {key}")
    return call.build, call.x, call.config.integers("axis"), call.config.flag("keepdims")


def _reduction(name: str) -> Translation:
    """A reduction; sums are of integers of 32 bits at least."""

    def read(call: LayerCall) -> Value:
        build, x, axes, keepdims = _given(call)
        return REDUCERS[name].of(build, _wide(x) if name in ("sum", "prod") else x, axes, keepdims)

    return Translation(read, REDUCERS[name].becomes)


def _wide(x: Value) -> Value:
    if x.kind is Kind.BOOL or (x.kind.is_integer and x.kind.bits < Kind.INT32.bits):
        return replace(x, kind=Kind.UINT32 if x.kind in (Kind.UINT8, Kind.UINT16) else Kind.INT32)
    return x


def _index(*, least: bool) -> Translation:
    return Translation(lambda call: replace(extreme_index(*_given(call), least=least), kind=Kind.INT32), "ArgMax")


def _norm(call: LayerCall) -> Value:
    order, count = call.config.get("ord"), len(call.config.integers("axis"))
    if order is None or (order == "fro" and count == 2):
        return norm(*_given(call))
    if isinstance(order, str):
        accepted = "1, 2, inf and -inf over one axis, and fro over two"
        raise UnsupportedError(f"the norm {shown(order)}", accepted=accepted)
    number = order if isinstance(order, float) else call.config.number("ord")
    return norm(*_given(call), number, of_matrix=count > 1)


_NAMES = ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "any", "all")


def _average(call: LayerCall) -> Value:
    """A mean along one axis, with constant weights for its places or for all elements."""
    x, axes, weights = call.first, call.config.integers("axis"), call.numbers("weights", 1, default=1.0)
    if len(axes) != 1:
        raise UnsupportedError(f"an average over {len(axes)} axes", accepted="one axis")
    axis = x.counted(axes[0])
    weights = weights.reshape(-1, *(1,) * (x.rank - 1 - axis)) if weights.ndim == 1 else weights
    if not broadcasts(weights.shape, x.dims):
        raise UnsupportedError(f"weights of shape {weights.shape} for axes {x.dims}", accepted="one for each place")
    total = np.sum(np.broadcast_to(weights, x.dims), axis=axis, keepdims=True)
    if not bool(np.all(total != 0.0)):
        raise UnsupportedError("weights whose sum is 0", accepted="other sums")
    weighted = multiply(call.build.within("weighted"), x, constant(as_weights(weights / total)))
    return REDUCERS["sum"].of(call.build, weighted, [axis])


def _top(call: LayerCall) -> tuple[Value, Value]:
    """The greatest elements along the last axis, in order whether they must be or not, and their places."""
    values, places = greatest(call.build, call.x, (-1,), call.config.integer("k"))
    return values, replace(places, kind=Kind.INT32)


REDUCTIONS: dict[str, Translation] = {
    **{name.capitalize(): _reduction(name) for name in _NAMES},
    "Amax": _reduction("max"),
    "Amin": _reduction("min"),
    "Norm": Translation(_norm, "Reduce, after Absolute for other orders than 2"),
    "Argmax": _index(least=False),
    "Argmin": _index(least=True),
    "Average": Translation(_average, "BatchNormalization or Multiply, and Reduce", frozenset({"weights"})),
    "TopK": Translation(_top, "Reduce and ArgMax, and Comparison and Where for more than one"),
    "Cumsum": Translation(lambda call: running_sum(*_given(call)[:3]), "CumulativeSum"),
}
"""Operations by class name."""


def _squareplus(call: LayerCall) -> Value:
    if call.config.number("b", 4.0) != 4.0:
        raise UnsupportedError(f"squareplus with b = {shown(call.config.get('b'))}", accepted="b = 4")
    return call.build.emit(FUNCTIONS["squareplus"], call.x)


def _gelu(call: LayerCall) -> Value:
    return activations.gelu(call.build, call.x, "tanh" if call.config.flag("approximate", True) else "none")


_FUNCTIONS = (
    *("Relu", "Relu6", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Silu", "Mish", "HardSigmoid", "HardTanh"),
    *("HardSilu", "LogSigmoid", "TanhShrink", "SparsePlus", "SparseSigmoid"),
)

OPS: dict[str, Translation] = {
    **ARITHMETIC,
    **REDUCTIONS,
    **NORMALIZATION_OPS,
    "Identity": Translation(lambda call: call.x, "Identity"),
    "ReLU": ACTIVATION_LAYERS["ReLU"],
    "LeakyRelu": operation("relu", slope=("negative_slope", 0.2)),
    "Elu": operation("elu", alpha=("alpha", 1.0)),
    "Celu": operation("celu", alpha=("alpha", 1.0)),
    "Gelu": Translation(_gelu, "Activation"),
    "Softmax": ACTIVATION_LAYERS["Softmax"],
    "LogSoftmax": along_axis(activations.log_softmax, "Reduce and Subtract"),
    "Glu": along_axis(activations.glu, "Slice, Activation and Multiply"),
    "SoftShrink": operation("soft_shrink", bound=("threshold", 0.5)),
    "HardShrink": operation("hard_shrink", bound=("threshold", 0.5)),
    "Squareplus": Translation(_squareplus, "Activation"),
    **{name: operation(snake_case(name)) for name in _FUNCTIONS},
    **SPATIAL_OPS,
    **EINSUM_OPS,
    **SHAPE_OPS,
}
"""Operations by class name."""


@dataclass(frozen=True, slots=True)
class _Same:
    """An operation of Keras 3, the keywords of operands that follow the first, and those of options with Keras 3's names."""

    name: str
    operands: tuple[str, ...]
    options: Mapping[str, str]


_ONE = {
    **{
        f"math.{name}": name.capitalize()
        for name in ("tanh", "sigmoid", "exp", "log", "sqrt", "rsqrt", "square", "sign")
    },
    **{
        f"nn.{name}": name.capitalize()
        for name in ("relu", "relu6", "selu", "silu", "tanh", "sigmoid", "softplus", "softsign")
    },
    **{
        f"math.{name}": name.capitalize()
        for name in ("floor", "ceil", "sin", "cos", "erf", "log1p", "softplus", "negative")
    },
    "math.abs": "Absolute",
    "math.reciprocal": "Reciprocal",
    "nn.swish": "Silu",
    "identity": "Identity",
}
_TWO = {
    **{f"math.{name}": name.capitalize() for name in ("add", "subtract", "multiply", "maximum", "minimum")},
    "__operators__.add": "Add",
    "math.divide": "TrueDivide",
    "math.truediv": "TrueDivide",
    "math.pow": "Power",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterEqual",
    "math.less": "Less",
    "math.less_equal": "LessEqual",
    "math.equal": "Equal",
    "math.not_equal": "NotEqual",
}
_ALONG = {
    **{f"math.reduce_{name}": name.capitalize() for name in ("mean", "sum", "max", "min", "prod", "any", "all")},
    "expand_dims": "ExpandDims",
    "squeeze": "Squeeze",
    "compat.v1.squeeze": "Squeeze",
    "stack": "Stack",
    "concat": "Concatenate",
    "nn.softmax": "Softmax",
    "math.argmax": "Argmax",
    "math.argmin": "Argmin",
}

_SAME: Mapping[str, _Same] = {
    **{function: _Same(name, (), {}) for function, name in _ONE.items()},
    **{function: _Same(name, ("y",), {}) for function, name in _TWO.items()},
    **{function: _Same(name, (), {"axis": "axis", "keepdims": "keepdims"}) for function, name in _ALONG.items()},
    "math.top_k": _Same("TopK", (), {"k": "k", "sorted": "sorted"}),
    "where": _Same("Where", ("x", "y"), {}),
    "clip_by_value": _Same("Clip", (), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "reshape": _Same("Reshape", (), {"shape": "newshape"}),
    **dict.fromkeys(("transpose", "compat.v1.transpose"), _Same("Transpose", (), {"perm": "axes"})),
}


def _translation(same: _Same) -> Translation:
    def results(call: LayerCall) -> tuple[Value, ...]:
        if call.flag("conjugate"):
            raise UnsupportedError("the argument conjugate", accepted="real numbers")
        operands = (item for key in same.operands for item in call.given.kwargs.get(key, ()))
        options = {own: call.plain(key) for key, own in same.options.items() if call.plain(key) is not None}
        config = Fields(options, call.config.where)
        given = Operands((*call.given.args, *operands), {})
        return OPS[same.name].results(replace(call, config=config, given=given))

    return Translation(results, OPS[same.name].becomes, frozenset({*same.operands, *same.options, "name", "conjugate"}))


TENSORFLOW_OPS: Mapping[str, Translation] = {function: _translation(same) for function, same in _SAME.items()}
"""Operations by their names in TensorFlow."""
