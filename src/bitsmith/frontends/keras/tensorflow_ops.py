"""Operations of TensorFlow among the layers of Keras 2 (``TFOpLambda``), each as that of Keras 3 which computes the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.operands import Operands
from bitsmith.frontends.keras.ops import OPS


@dataclass(frozen=True, slots=True)
class _Same:
    """An operation of Keras 3, the keywords of operands that follow the first, and those of options with Keras 3's names.

    ``defaults`` are options of Keras 3 whose defaults differ.
    """

    name: str
    operands: tuple[str, ...]
    options: Mapping[str, str]
    defaults: Mapping[str, Json] = field(default_factory=dict)


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
        for name in ("floor", "ceil", "sin", "cos", "erf", "log1p", "expm1", "softplus", "negative")
    },
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
    "math.floordiv": "FloorDivide",
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
}

_SAME: Mapping[str, _Same] = {
    **{function: _Same(name, (), {}) for function, name in _ONE.items()},
    **{function: _Same(name, ("y",), {}) for function, name in _TWO.items()},
    **{function: _Same(name, (), {"axis": "axis", "keepdims": "keepdims"}) for function, name in _ALONG.items()},
    "math.top_k": _Same("TopK", (), {"k": "k", "sorted": "sorted"}),
    "linalg.matmul": _Same("Matmul", ("b",), {}),
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
    def results(call: LayerCall) -> tuple[Value, ...]:
        if call.flag("conjugate"):
            raise UnsupportedError("the argument conjugate", accepted="real numbers")
        operands = (item for key in same.operands for item in call.given.kwargs.get(key, ()))
        options = {own: call.plain(key) for key, own in same.options.items() if call.plain(key) is not None}
        config = Fields({**same.defaults, **options}, call.config.where)
        given = Operands((*call.given.args, *operands), {})
        return OPS[same.name].results(replace(call, config=config, given=given))

    return Translation(results, OPS[same.name].becomes, frozenset({*same.operands, *same.options, "name", "conjugate"}))


TENSORFLOW_OPS: Mapping[str, Translation] = {function: _translation(same) for function, same in _SAME.items()}
"""Operations by their names in TensorFlow."""
