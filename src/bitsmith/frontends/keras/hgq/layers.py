"""HGQ2's layers: those of Keras, on quantized operands, with trained tensors on their grids, and their results quantized."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant, quantizers_of
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, axis_of
from bitsmith.frontends.keras.einsum import product_shapes
from bitsmith.frontends.keras.hgq.grids import FixedPoint, Singles, quantized
from bitsmith.frontends.keras.hgq.quantizers import own_quantizer, quantizer_of, read_quantizer
from bitsmith.frontends.keras.layers import LAYERS as KERAS
from bitsmith.frontends.keras.norm import deviation, statistics
from bitsmith.frontends.keras.weights import numbered_group
from bitsmith.frontends.ops.equations import einsum
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.layers.layer import Floats, Shape, as_weights, broadcasts
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantizer import Quantizer

Tensors: TypeAlias = Mapping[str, Floats]
"""Trained tensors: ``weight``, and ``bias`` if there is one."""

Read: TypeAlias = Callable[[LayerCall], Value]

_GRIDS = {"weight": "kq", "scale": "kq", "bias": "bq"}
"""The quantizers of trained tensors."""

_BOOKKEEPING = 2
"""Variables that only training uses, the last of those that are not trained: ``beta`` and ``ebops``."""


def _on_operands(call: LayerCall) -> LayerCall:
    """The call on its operands as the layer quantizes them."""
    if not call.config.flag("enable_iq", True):
        return call
    if "iq_confs" not in call.config.values:
        return _on(call, [quantized(call.build, call.x, read_quantizer(call, "iq"), "iq")])
    groups: Counter[str] = Counter()
    xs, configurations = call.given.tensors, call.config.objects("iq_confs")
    if len(xs) != len(configurations) or len(xs) != len(call.given.args):
        raise call.config.error(f"{len(configurations)} quantizers for {len(call.given.args)} operands")
    operands = []
    for number, (x, one) in enumerate(zip(xs, configurations, strict=True)):
        part = f"iq/quantizers/{numbered_group('Quantizer', groups)}"
        operands.append(quantized(call.build, x, quantizer_of(call, part, one), f"iq_{number}"))
    return _on(call, operands)


def _on(call: LayerCall, xs: Sequence[Value]) -> LayerCall:
    return replace(call, given=replace(call.given, args=tuple(xs)))


def _result(call: LayerCall, y: Value) -> Value:
    """The result as the layer quantizes it."""
    return quantized(call.build, y, own_quantizer(call, "oq", False), "oq")


def _layer(read: Read, becomes: str) -> Translation:
    """``read`` between the quantizers of operands and of the result."""
    return Translation(lambda call: _result(call, read(_on_operands(call))), f"Quantize, and {becomes}")


def _of_keras(class_name: str) -> Translation:
    """Keras's layer, which has no trained tensors."""
    inner = KERAS[class_name]
    return _layer(lambda call: inner.result(call), inner.becomes)


def with_trained(class_name: str, tensors: Callable[[LayerCall], Tensors]) -> Translation:
    """Keras's layer with the trained ``tensors``, in this order, put on their grids."""
    inner = KERAS[class_name]

    def read(call: LayerCall) -> Value:
        return inner.result(call.with_trained(on_grids(call, tensors(call)).values()))

    return _layer(read, inner.becomes)


def _kernel(call: LayerCall) -> Tensors:
    """Those of a convolution. Causal padding comes before the quantizer, which must leave its zeros as they are."""
    found = own_quantizer(call, "iq", True)
    if call.config.get("padding") == "causal" and found is not None and found.shift:
        raise UnsupportedError(
            "causal padding in front of a quantizer that shifts", accepted="an affine without an offset"
        )
    return _plain(call)


def on_grids(call: LayerCall, tensors: Tensors) -> dict[str, Value]:
    """Trained tensors on the grids of a layer's quantizers; a quantizer that does nothing has none."""
    found = {name: (read_quantizer(call, _GRIDS[name]), values) for name, values in tensors.items()}
    return {name: on_grid(call.config, name, *one) for name, one in found.items()}


def on_grid(config: Fields, name: str, quantizer: FixedPoint | None, values: Floats) -> Value:
    """A trained tensor on the grid of its quantizer, if it has one."""
    if quantizer is None:
        return constant(values)
    if not broadcasts(quantizer.shape, values.shape):
        raise config.error(f"a {name} of shape {values.shape} with a quantizer of shape {quantizer.shape}")
    elements, grid = quantizer.on_grid(values)
    return constant(elements, quantizer=grid)


def _plain(call: LayerCall) -> Tensors:
    """A kernel, and a bias if there is one."""
    stored = call.stored(())
    names = ("weight", "bias")[: 1 + _has_bias(call.config)]
    if not len(names) <= len(stored) <= len(names) + _BOOKKEEPING:
        raise call.config.error(f"{len(stored)} weights are stored for this layer", ", ".join(names))
    shapes = [(name, one.shape) for name, one in zip(names, stored, strict=False)]
    return dict(zip(names, call.weights(*shapes, ignored=_BOOKKEEPING), strict=True))


def _has_bias(config: Fields) -> bool:
    return config.get("bias_axes") is not None if "equation" in config.values else config.flag("use_bias", True)


@dataclass(frozen=True, slots=True)
class _Normalization:
    """Factor of a normalization, and the mean that it subtracts first."""

    scale: Singles
    mean: Singles


def _normalized(
    call: LayerCall, wanted: Sequence[tuple[str, Shape]], shape: Shape, epsilon: float
) -> tuple[list[Singles], _Normalization]:
    """The trained tensors of a product, and the normalization of ``shape`` that is folded into them.

    After those that are trained, gamma among them, follow the variables of bookkeeping, and the statistics.
    """
    scaled = call.config.flag("scale", True)
    extra = len(call.stored(())) - len(wanted) - scaled - 2
    skipped: list[tuple[str, Shape]] = [("beta", ()), ("ebops", ())]
    named = [*wanted, *[("gamma", shape)] * scaled, *skipped[: max(extra, 0)]]
    named += [("moving mean", shape), ("moving variance", shape)]
    found = [values.astype(np.float32) for values in call.weights(*named)]
    gamma = found[len(wanted)] if scaled else np.ones(shape, np.float32)
    return found[: len(wanted)], _Normalization(gamma / deviation(call.config, found[-1], epsilon), found[-2])


def _of_normalized_operands(call: LayerCall) -> Tensors:
    """Kernel and bias of QBatchNormDense, which normalizes its operands; gamma does not count in the bias."""
    units, channels = call.config.positive("units"), call.x.shape[-1]
    wanted = ("kernel", (channels, units)), ("bias", (units,))
    (kernel, bias), normalization = _normalized(call, wanted, (channels,), call.config.number("epsilon", 1e-3))
    # HGQ2 sums in single precision, in an order that its backend chooses.
    moved = normalization.mean.astype(np.float64) @ kernel.astype(np.float64)
    error = channels * 2.0**-23 * (np.abs(normalization.mean) @ np.abs(kernel))
    quantizer = read_quantizer(call, "bq")
    if quantizer is not None:
        lowest, highest = (quantizer.applied(bias - moved + way * error) for way in (-1.0, 1.0))
        if unsure := int(np.count_nonzero(lowest != highest)):
            call.notes.append(
                f"{_name(call)}: {unsure} of its {units} biases are so near to halfway between two steps that the order in which "
                "HGQ2's backend sums decides them"
            )
    return {
        "weight": as_weights(normalization.scale[:, None] * kernel),
        "bias": as_weights(bias - moved.astype(np.float32)),
    }


def _of_normalized_result(call: LayerCall) -> Tensors:
    """Kernel and bias of QEinsumDenseBatchnorm, which normalizes its result; its epsilon is Keras's, not its own."""
    shapes = product_shapes(call)
    if shapes.bias is None:
        raise call.config.wrong("bias_axes", "axes of the result")
    axes = call.config.get("normalize_axes") or call.config.get("bias_axes")
    labels, names = shapes.equation.result, shapes.equation.operands[1]
    if not isinstance(axes, str) or not set(axes) <= set(labels) & set(names):
        raise call.config.wrong("normalize_axes", "axes of the kernel and of the result")
    shape = tuple(shapes.sizes[label] for label in labels if label in axes)
    wanted = ("kernel", shapes.kernel), ("bias", shapes.bias)
    (kernel, bias), found = _normalized(call, wanted, shape, _KERAS_EPSILON)
    spread = tuple(size if label in axes else 1 for label, size in zip(names, shapes.kernel, strict=True))
    offset = (-found.mean * found.scale).reshape(shapes.bias_along(axes))
    return {"weight": as_weights(kernel * found.scale.reshape(spread)), "bias": as_weights(bias + offset)}


def _batch_normalization(call: LayerCall) -> Value:
    """Without ``center`` HGQ2 adds 1."""
    x, dim = call.x, axis_of(call.config, -1)
    shape = (x.shape[x.axis(dim)],)
    found, ones = statistics(call, shape, ignored=_BOOKKEEPING), np.ones(shape, np.float32)
    scale = found.get("gamma", ones) / deviation(call.config, found["variance"], call.config.number("epsilon", 1e-3))
    offset = found.get("beta", ones) - found["mean"] * scale
    trained = on_grids(call, {"scale": as_weights(scale), "bias": as_weights(offset)})
    layer = BatchNormalization(trained["scale"].elements, trained["bias"].elements, x.axis(dim))
    return call.build.emit(layer, x, quantizers=quantizers_of(**trained))


def _scaled(build: Builder, y: Value, scale: float) -> Value:
    """``y`` times a power of two."""
    factor = constant(scale, quantizer=Quantizer.holding(as_weights([scale])))
    return build.affine(y, factor, constant(0.0, quantizer=Quantizer.uniform(1.0, 0, 0)))


def _nearest_power(value: float) -> float:
    return float(2.0 ** round(math.log2(value)))


def _average(call: LayerCall) -> Value:
    total = KERAS["Add"].result(replace(call, build=call.build.within("sum")))
    return _scaled(call.build, total, _nearest_power(1.0 / len(call.given.tensors)))


def _sum(call: LayerCall, scale: float) -> Value:
    axes, x = call.config.integers("axes") or (-1,), call.x
    keepdims = call.config.flag("keepdims")
    if keepdims or len({x.axis(dim) for dim in axes}) < len(x.shape):
        return _scaled(call.build, REDUCERS["sum"].of(call.build.within("sum"), x, axes, keepdims), scale)
    # A number without axes would need a constant beside it.
    y = _scaled(call.build.within("scaled"), REDUCERS["sum"].of(call.build.within("sum"), x, axes, True), scale)
    return call.build.viewed(y, (1,), y.batch)


def _given_scale(call: LayerCall) -> float:
    scale = call.config.number("scale", 1.0)
    if math.frexp(scale)[0] != 0.5:
        raise call.config.wrong("scale", "a power of two")
    return scale


def _mean_scale(call: LayerCall) -> float:
    x = call.x
    return _nearest_power(1.0 / math.prod(x.shape[x.axis(dim)] for dim in call.config.integers("axes") or (-1,)))


def _name(call: LayerCall) -> str:
    """The layer's name, for notes."""
    return call.config.text("name", "a layer")


def _average_pool(class_name: str) -> Translation:
    """Means in which padding does not count, as with JAX and TensorFlow; a file does not say what it was trained with."""
    inner = KERAS[class_name]

    def read(call: LayerCall) -> Value:
        if call.config.text("padding", "valid").lower() == "same":
            call.notes.append(
                f"{_name(call)}: its means leave out the padding, as HGQ2's do with JAX and TensorFlow; "
                "with PyTorch they count it"
            )
        return inner.result(call)

    return _layer(read, inner.becomes)


_KERAS_EPSILON = 1e-7

_SAME = (
    *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Dot"),
    *(f"{prefix}MaxPooling{rank}D" for prefix in ("", "Global") for rank in (1, 2, 3)),
    *(f"GlobalAveragePooling{rank}D" for rank in (1, 2, 3)),
)
"""Layers of Keras's that have no trained tensors: only operands and results are quantized."""

LAYERS: ByClass = {
    "Quantizer": Translation(
        lambda call: quantized(call.build, call.x, quantizer_of(call, "", call.config.fields("config"))), "Quantize"
    ),
    "QDense": with_trained("Dense", _plain),
    "QBatchNormDense": with_trained("Dense", _of_normalized_operands),
    "QEinsumDense": with_trained("EinsumDense", _plain),
    "QEinsumDenseBatchnorm": with_trained("EinsumDense", _of_normalized_result),
    **{f"QConv{rank}D": with_trained(f"Conv{rank}D", _kernel) for rank in (1, 2, 3)},
    "QBatchNormalization": _layer(_batch_normalization, "BatchNormalization"),
    **{f"Q{name}": _of_keras(name) for name in _SAME},
    **{f"QAveragePooling{rank}D": _average_pool(f"AveragePooling{rank}D") for rank in (1, 2, 3)},
    "QAveragePow2": _layer(_average, "Add and BatchNormalization"),
    "QSum": _layer(lambda call: _sum(call, _given_scale(call)), "Reduce and BatchNormalization"),
    "QMeanPow2": _layer(lambda call: _sum(call, _mean_scale(call)), "Reduce and BatchNormalization"),
    "QEinsum": _layer(lambda call: einsum(call.build, call.config.text("equation"), call.given.tensors), "Einsum"),
}
