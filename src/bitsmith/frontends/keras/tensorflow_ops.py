"""Operations of TensorFlow among the layers of Keras 2 (``TFOpLambda``), each as that of Keras 3 which computes the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json, is_integer, shown
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.operands import Constant, Operands
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.ops.shape import swap


@dataclass(frozen=True, slots=True)
class _Same:
    """An operation of Keras 3, the keywords of operands that follow the first, and those of options with Keras 3's names.

    ``defaults`` are options of Keras 3 whose defaults differ, ``values`` what others are for Keras 3, by TensorFlow's names.
    """

    name: str
    operands: tuple[str, ...]
    options: Mapping[str, str]
    defaults: Mapping[str, Json] = field(default_factory=dict)
    values: Mapping[str, Callable[[Json], Json]] = field(default_factory=dict)


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
        for name in ("floor", "ceil", "round", "sin", "cos", "erf", "log1p", "expm1", "softplus", "negative")
    },
    "math.atan": "Arctan",
    "math.logical_not": "LogicalNot",
    "stop_gradient": "Identity",
    "math.abs": "Absolute",
    "math.reciprocal": "Reciprocal",
    "nn.swish": "Silu",
    "nn.elu": "Elu",
    "identity": "Identity",
}
_TWO = {
    **{f"math.{name}": name.capitalize() for name in ("add", "subtract", "multiply", "maximum", "minimum")},
    "__operators__.add": "Add",
    "math.divide": "TrueDivide",
    "math.truediv": "TrueDivide",
    "math.pow": "Power",
    **dict.fromkeys(("math.floordiv", "compat.v1.floor_div"), "FloorDivide"),
    **{f"math.logical_{name}": f"Logical{name.capitalize()}" for name in ("and", "or", "xor")},
    "math.floormod": "Mod",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterEqual",
    "math.less": "Less",
    "math.less_equal": "LessEqual",
    "math.equal": "Equal",
    "math.not_equal": "NotEqual",
}
_ALONG = {
    **{f"math.reduce_{name}": name.capitalize() for name in ("mean", "sum", "max", "min", "prod", "any", "all")},
    **{f"math.reduce_{name}": own for name, own in (("std", "Std"), ("variance", "Var"), ("logsumexp", "Logsumexp"))},
    "expand_dims": "ExpandDims",
    "squeeze": "Squeeze",
    "compat.v1.squeeze": "Squeeze",
    "stack": "Stack",
    "concat": "Concatenate",
    "nn.softmax": "Softmax",
    "nn.log_softmax": "LogSoftmax",
    "reverse": "Flip",
    "math.argmax": "Argmax",
    "math.argmin": "Argmin",
    "math.cumsum": "Cumsum",
    "sort": "Sort",
    "unstack": "Unstack",
    **dict.fromkeys(("norm", "compat.v1.norm"), "Norm"),
}

_FIXED: Mapping[str, Json] = {
    **dict.fromkeys(("conjugate", "exclusive", "reverse", "adjoint_a", "adjoint_b", "validate_indices"), False),
    "batch_dims": 0,
    "direction": "ASCENDING",
    "ord": "euclidean",
    "data_format": "NHWC",
}
"""Arguments that change nothing if they have this value, and are refused with others."""


def _ends(sizes: Json) -> Json:
    """The ends of parts of these sizes but for the last one; or the number of parts."""
    if not isinstance(sizes, list):
        return sizes
    if not all(is_integer(size) and size >= 0 for size in sizes):
        raise UnsupportedError(f"parts of sizes {shown(sizes)}", accepted="sizes that are known")
    ends: list[Json] = [*accumulate(size for size in sizes if is_integer(size))]
    return ends[:-1]


def _lower(mode: Json) -> Json:
    return mode.lower() if isinstance(mode, str) else mode


_PAD = _Same("Pad", (), {"paddings": "pad_width", "mode": "mode"}, values={"mode": _lower})

_SAME: Mapping[str, _Same] = {
    **{function: _Same(name, (), {}) for function, name in _ONE.items()},
    **{function: _Same(name, ("y",), {}) for function, name in _TWO.items()},
    **{function: _Same(name, (), {"axis": "axis", "keepdims": "keepdims"}) for function, name in _ALONG.items()},
    "math.top_k": _Same("TopK", (), {"k": "k", "sorted": "sorted"}),
    "tensordot": _Same("Tensordot", ("b",), {"axes": "axes"}),
    "nn.bias_add": _Same("Add", ("bias",), {}),
    **dict.fromkeys(("math.scalar_mul", "compat.v1.math.scalar_mul"), _Same("Multiply", ("x",), {})),
    **dict.fromkeys(("gather", "compat.v1.gather"), _Same("Take", ("indices",), {"axis": "axis"}, {"axis": 0})),
    **dict.fromkeys(("pad", "compat.v1.pad"), _PAD),
    "split": _Same(
        "Split", (), {"num_or_size_splits": "indices_or_sections", "axis": "axis"}, values={"num_or_size_splits": _ends}
    ),
    "repeat": _Same("Repeat", (), {"repeats": "repeats", "axis": "axis"}),
    "one_hot": _Same("OneHot", (), {"depth": "num_classes"}),
    "zeros_like": _Same("ZerosLike", (), {"dtype": "dtype"}),
    "ones_like": _Same("OnesLike", (), {"dtype": "dtype"}),
    "math.l2_normalize": _Same("Normalize", (), {"axis": "axis"}, {"order": 2, "epsilon": 1e-6}),  # of a square 1e-12
    "nn.leaky_relu": _Same("LeakyRelu", (), {"alpha": "negative_slope"}),
    "nn.gelu": _Same("Gelu", (), {"approximate": "approximate"}, {"approximate": False}),
    "cast": _Same("Cast", (), {"dtype": "dtype"}),
    "tile": _Same("Tile", (), {"multiples": "repeats"}),
    "roll": _Same("Roll", (), {"shift": "shift", "axis": "axis"}),
    "where": _Same("Where", ("x", "y"), {}),
    "clip_by_value": _Same("Clip", (), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "reshape": _Same("Reshape", (), {"shape": "newshape"}),
    **dict.fromkeys(("transpose", "compat.v1.transpose"), _Same("Transpose", (), {"perm": "axes"})),
}


def _translation(same: _Same) -> Translation:
    known = OPS[same.name]

    def results(call: LayerCall) -> tuple[Value, ...]:
        _check(call)
        operands = (item for key in same.operands for item in call.given.kwargs.get(key, ()))
        named = {key: call.plain(key) for key in same.options}
        options = {
            own: same.values.get(key, _unchanged)(named[key])
            for key, own in same.options.items()
            if named[key] is not None
        }
        config = Fields({**same.defaults, **options}, call.config.where)
        alike = {key: items for key, items in call.given.kwargs.items() if key in known.keywords}
        given = Operands((*call.given.args, *operands), alike)
        return known.results(replace(call, config=config, given=given))

    keywords = known.keywords | {*same.operands, *same.options, "name", *_FIXED}
    return Translation(results, known.becomes, keywords)


def _unchanged(value: Json) -> Json:
    return value


def _check(call: LayerCall) -> None:
    """Refuse arguments that change what is computed."""
    for key, value in _FIXED.items():
        if (chosen := call.plain(key)) is not None and chosen != value:
            raise UnsupportedError(f"the argument {key}={shown(chosen)}", accepted=f"{key}={shown(value)}, or none")


def _matmul(call: LayerCall) -> tuple[Value, ...]:
    """A product of matrices, of which either may be transposed."""
    _check(call)
    operands = [*call.given.args, *call.given.kwargs.get("b", ())]
    for number, key in enumerate(("transpose_a", "transpose_b")[: len(operands)]):
        operand = operands[number]
        if call.flag(key) and isinstance(operand, Constant):
            raise UnsupportedError(f"the argument {key} for a constant", accepted="a constant that is transposed")
        if call.flag(key) and not isinstance(operand, Constant):
            operands[number] = swap(call.build.within(key), operand, -1, -2)
    return OPS["Matmul"].results(replace(call, given=Operands(tuple(operands), {})))


TENSORFLOW_OPS: Mapping[str, Translation] = {
    **{function: _translation(same) for function, same in _SAME.items()},
    "linalg.matmul": Translation(
        _matmul, OPS["Matmul"].becomes, frozenset({"b", "transpose_a", "transpose_b", "name", *_FIXED})
    ),
}
"""Operations by their names in TensorFlow."""
