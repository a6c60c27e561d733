"""Operations of TensorFlow among the layers of Keras 2 (``TFOpLambda``), each as that of Keras 3 which computes the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.files.json import Fields, Json, is_integer, shown
from bitsmith.frontends.keras.call import LayerCall, Translation, numbers
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.operands import Constant, Operands
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.keras.shape import whole_numbers
from bitsmith.frontends.ops import selection
from bitsmith.frontends.ops.arithmetic import multiply, subtract
from bitsmith.frontends.ops.normalization import around
from bitsmith.frontends.ops.shape import depth_to_space, space_to_depth, swap
from bitsmith.frontends.ops.spatial import along
from bitsmith.layers.resample import Coordinates, Interpolation, NearestMode, Resize


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

_FIXED: Mapping[str, tuple[Json, ...]] = {
    **dict.fromkeys(("conjugate", "exclusive", "reverse", "adjoint_a", "adjoint_b", "validate_indices"), (False,)),
    "preserve_aspect_ratio": (False,),
    "batch_dims": (0,),
    "direction": ("ASCENDING",),
    "ord": ("euclidean",),
    "data_format": ("NHWC", "NWC"),
}
"""Arguments that change nothing if they have one of these values, and are refused with others."""

_IGNORED = frozenset({"name", "use_cudnn_on_gpu", *_FIXED})


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
    "broadcast_to": _Same("BroadcastTo", (), {"shape": "shape"}),
    "image.resize": _Same("Resize", (), {"size": "size", "method": "interpolation", "antialias": "antialias"}),
    **dict.fromkeys(("transpose", "compat.v1.transpose"), _Same("Transpose", (), {"perm": "axes"})),
}


def _operation(read: Callable[[LayerCall], Value | tuple[Value, ...]], becomes: str, *keywords: str) -> Translation:
    """``read`` with these keywords; arguments that would change what is computed are refused first."""

    def checked(call: LayerCall) -> Value | tuple[Value, ...]:
        for key, values in _FIXED.items():
            if (chosen := call.plain(key)) is not None and chosen not in values:
                accepted = f"{key}={shown(values[0])}, or none"
                raise UnsupportedError(f"the argument {key}={shown(chosen)}", accepted=accepted)
        return read(call)

    return Translation(checked, becomes, frozenset({*keywords, *_IGNORED}))


def _translation(same: _Same) -> Translation:
    known = OPS[same.name]

    def results(call: LayerCall) -> tuple[Value, ...]:
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

    return _operation(results, known.becomes, *known.keywords, *same.operands, *same.options)


def _unchanged(value: Json) -> Json:
    return value


def _matmul(call: LayerCall) -> tuple[Value, ...]:
    """A product of matrices, of which either may be transposed."""
    operands = [*call.given.args, *call.given.kwargs.get("b", ())]
    for number, key in enumerate(("transpose_a", "transpose_b")[: len(operands)]):
        operand = operands[number]
        if call.flag(key):
            factor = constant(numbers(operand.value)) if isinstance(operand, Constant) else operand
            operands[number] = swap(call.build.within(key), factor, -1, -2)
    return OPS["Matmul"].results(replace(call, given=Operands(tuple(operands), {})))


def _inner(call: LayerCall, *keys: str) -> Json:
    """The first argument of these names that is given, of spatial axes alone where it has all axes of the operand."""
    value = next((value for key in keys if (value := call.plain(key)) is not None), None)
    if not isinstance(value, list) or len(value) != call.x.rank:
        return value
    if value[0] != 1 or value[-1] != 1:
        raise UnsupportedError(f"the argument {keys[0]}={shown(value)}", accepted="1 for the batch and the channels")
    return value[1:-1]


def _as_layer(call: LayerCall, translation: Translation, config: Mapping[str, Json]) -> tuple[Value, ...]:
    """A layer of Keras that the operation computes, on its first operand."""
    shared = {"strides": _inner(call, "strides", "stride"), "padding": call.plain("padding")}
    fields = Fields({**shared, **config}, call.config.where)
    return translation.results(replace(call, config=fields, given=Operands(call.given.args, {})))


def _pool(name: str) -> Translation:
    def results(call: LayerCall) -> tuple[Value, ...]:
        return _as_layer(call, OPS[name], {"pool_size": _inner(call, "ksize")})

    return _operation(results, OPS[name].becomes, "ksize", "strides", "padding")


_FILTERS = ("filter", "filters")
_RATES = ("dilations", "rate", "dilation_rate")


def _convolution(name: str) -> Translation:
    """A convolution with a constant kernel, whose channels are in groups if it takes fewer of them."""

    def results(call: LayerCall) -> tuple[Value, ...]:
        kernel = numbers(next((value for key in _FILTERS if (value := call.plain(key)) is not None), None))
        rank = kernel.ndim - 2
        if rank not in (1, 2) or rank != call.x.rank - 2 or not kernel.size:
            found = f"a kernel of shape {kernel.shape} for an operand of {call.x.rank} axes"
            raise UnsupportedError(found, accepted="one or two spatial axes of both")
        channels, filters = call.x.shape[-1], kernel.shape[-1]
        config: dict[str, Json] = {
            "kernel_size": [*kernel.shape[:-2]],
            "filters": filters,
            "depth_multiplier": filters,
            "groups": max(channels // kernel.shape[-2], 1),
            "dilation_rate": _inner(call, *_RATES),
            "use_bias": False,
        }
        return _as_layer(call.with_trained([constant(kernel)]), LAYERS[name.format(rank)], config)

    return _operation(results, "Conv", *_FILTERS, *_RATES, "strides", "stride", "padding")


def _transposed(call: LayerCall) -> tuple[Value, ...]:
    """A transposed convolution with a constant kernel, whose result has the given shape."""
    kernel, shape = (
        numbers(next((value for key in _FILTERS if (value := call.plain(key)) is not None), None)),
        call.x.shape,
    )
    strides, sizes = _inner(call, "strides"), call.plain("output_shape")
    if kernel.ndim != 4 or len(shape) != 3 or not isinstance(sizes, list) or len(sizes) != 4:
        found = f"a kernel of shape {kernel.shape}, and the result {shown(sizes)}"
        raise UnsupportedError(found, accepted="two spatial axes, and a size for each axis")
    given = Fields({"strides": strides, "sizes": sizes[1:3]}, call.config.where)
    axes = [*zip(given.per_axis("sizes", 2), shape, given.per_axis("strides", 2), kernel.shape, strict=False)]
    same = call.plain("padding") in (None, "SAME")
    more: list[Json] = [new - (old - 1) * stride - (size % 2 if same else size) for new, old, stride, size in axes]
    config: dict[str, Json] = {
        "strides": strides,
        "padding": "same" if same else call.plain("padding"),
        "kernel_size": [*kernel.shape[:2]],
        "filters": kernel.shape[2],
        "output_padding": None if all(new == old * stride for new, old, stride, _ in axes) and same else more,
        "use_bias": False,
    }
    return _as_layer(call.with_trained([constant(kernel)]), LAYERS["Conv2DTranspose"], config)


def _resized(way: Interpolation) -> Translation:
    """Images with new sizes as TensorFlow 1 has them, which begins at the first element."""

    def read(call: LayerCall) -> Value:
        corners, centers = call.flag("align_corners"), call.flag("half_pixel_centers")
        if corners and centers:
            raise UnsupportedError("align_corners and half_pixel_centers together", accepted="one of the two")
        sizes = Fields({"size": call.plain("size")}, call.config.where).per_axis("size", 2)
        by_centers = Coordinates.HALF_PIXEL if centers else Coordinates.ASYMMETRIC
        rounding = NearestMode.ROUND_PREFER_CEIL if corners or centers else NearestMode.FLOOR
        layer = Resize(sizes, way, Coordinates.ALIGN_CORNERS if corners else by_centers, rounding)
        return along(call.build, call.x, lambda x: call.build.emit(layer, x), (2,), first=False)

    return _operation(read, "Resize", "size", "align_corners", "half_pixel_centers")


def _local_response(call: LayerCall) -> Value:
    defaults = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}
    radius, bias, alpha, beta = (float(call.numbers(key, default=value)) for key, value in defaults.items())
    size = int(2 * radius + 1)
    return around(call.build, call.first, -1, size, alpha * size, beta, bias)


def _blocks(make: Callable[..., Value]) -> Translation:
    """Blocks of an image as channels, or channels as blocks."""

    def results(call: LayerCall) -> tuple[Value, ...]:
        block = Fields({"block_size": call.plain("block_size")}, call.config.where).positive("block_size")
        if call.x.rank != 4:
            raise UnsupportedError(
                f"blocks of a tensor of {call.x.rank} axes", accepted="batch, height, width, channels"
            )
        x = call.build.permuted(call.x, (0, 3, 1, 2), "channels_first")
        blocks = make(call.build.within("blocks"), x, block, blocks_first=True)
        return (call.build.permuted(blocks, (0, 2, 3, 1)),)

    return _operation(results, "Reshape and Permute", "block_size")


def _squared_difference(call: LayerCall) -> Value:
    given = Operands((*call.given.args, *call.given.kwargs.get("y", ())), {})
    difference = subtract(call.build.within("difference"), *replace(call, given=given).operands(2))
    return multiply(call.build, difference, difference)


def _slice(call: LayerCall) -> Value:
    """``size`` elements of each axis from ``begin`` on, or all that are left."""
    x, starts, sizes = call.first, whole_numbers(call.plain("begin")), whole_numbers(call.plain("size"))
    if not len(starts) == len(sizes) == x.rank or starts[0] != 0 or sizes[0] != -1:
        found = f"a slice from {starts} of sizes {sizes} of an input of {x.rank} axes"
        raise UnsupportedError(found, accepted="numbers for each axis; of that of the batch from 0 to -1")
    ends = (n if size == -1 else start + size for start, size, n in zip(starts, sizes, x.dims, strict=True))
    ranges = dict(enumerate(map(range, starts, ends)))
    return selection.part(call.build, x, {axis: part for axis, part in ranges.items() if axis})


TENSORFLOW_OPS: Mapping[str, Translation] = {
    **{function: _translation(same) for function, same in _SAME.items()},
    "linalg.matmul": _operation(_matmul, OPS["Matmul"].becomes, "b", "transpose_a", "transpose_b"),
    **{f"{where}nn.max_pool{rank}": _pool("MaxPool") for where in ("", "compat.v1.") for rank in ("", "1d", "2d")},
    **{f"{where}nn.avg_pool{rank}": _pool("AveragePool") for where in ("", "compat.v1.") for rank in ("", "1d", "2d")},
    **dict.fromkeys(
        [f"{where}nn.{name}" for where in ("", "compat.v1.") for name in ("conv1d", "conv2d", "convolution")],
        _convolution("Conv{}D"),
    ),
    **dict.fromkeys(("nn.depthwise_conv2d", "compat.v1.nn.depthwise_conv2d"), _convolution("DepthwiseConv{}D")),
    **dict.fromkeys(("nn.depth_to_space", "compat.v1.depth_to_space"), _blocks(depth_to_space)),
    **dict.fromkeys(("nn.space_to_depth", "compat.v1.space_to_depth"), _blocks(space_to_depth)),
    **dict.fromkeys(
        ("nn.conv2d_transpose", "compat.v1.nn.conv2d_transpose"),
        _operation(_transposed, "ConvTranspose", *_FILTERS, "output_shape", "strides", "padding"),
    ),
    "compat.v1.image.resize_nearest_neighbor": _resized(Interpolation.NEAREST),
    "compat.v1.image.resize_bilinear": _resized(Interpolation.LINEAR),
    "nn.local_response_normalization": _operation(
        *(_local_response, "Power, EinsumDense, BatchNormalization, Power and Multiply"),
        *("depth_radius", "bias", "alpha", "beta"),
    ),
    "math.squared_difference": _operation(_squared_difference, "Subtract and Multiply", "y"),
    "math.add_n": LAYERS["Add"],
    "slice": _operation(_slice, "Slice", "begin", "size"),
    "keras.backend.batch_flatten": LAYERS["Flatten"],
}
"""Operations by their names in TensorFlow."""
