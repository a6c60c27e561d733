"""QKeras's layers: those of Keras, with trained tensors on the grids of their quantizers, and quantizers as activations."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import finite
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.files.json import Fields, Json
from bitsmith.frontends.keras.activations import activated
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, axis_of, is_channels_first
from bitsmith.frontends.keras.layers import LAYERS as KERAS
from bitsmith.frontends.keras.norm import deviation, statistics
from bitsmith.frontends.keras.qkeras.activations import adaptive, read_quantized
from bitsmith.frontends.keras.qkeras.recurrent import RECURRENT
from bitsmith.frontends.keras.quantizers.quantization import Fixed
from bitsmith.frontends.keras.quantizers.quantizers import read_quantizer
from bitsmith.frontends.keras.quantizers.scales import Singles, single
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.norm import BatchNormalization

_FOLDING = ("ema_stats_folding", "batch_stats_folding")
"""Ways of training; afterwards both are the same."""


def _activated(call: LayerCall, y: Value) -> Value:
    """``y`` and the layer's activation."""
    activation = read_quantized(call.config, call.major)
    return activated(call.build, y, activation, axis=-2 if is_channels_first(call.config) else -1)


def _of_keras(call: LayerCall, class_name: str, tensors: Sequence[Value], **arguments: Json) -> Value:
    """Keras's layer with the ``tensors`` as trained ones, no activation, and other ``arguments``."""
    config = Fields({**call.config.values, "activation": None, **arguments}, call.config.where)
    return KERAS[class_name].result(replace(call, config=config).with_trained(tensors))


def _quantized(call: LayerCall, keys: Sequence[str], tensors: Sequence[Floats]) -> list[Value]:
    """A kernel, and perhaps a bias, on the grids of the quantizers with the ``keys``."""
    trained = []
    for number, (key, tensor) in enumerate(zip(keys, tensors, strict=False)):
        quantizer = read_quantizer(call.config.get(key), call.config.where, call.major, trained=number == 0)
        values, grid = (tensor, None) if quantizer is None else quantizer.on_grid(tensor)
        trained.append(constant(values, quantizer=grid))
    return trained


def _plain(call: LayerCall) -> list[Floats]:
    """A kernel, and a bias if there is one."""
    stored = call.stored(())
    names = ("kernel", "bias")[: 1 + call.config.flag("use_bias", True)]
    return call.weights(*((name, one.shape) for name, one in zip(names, stored, strict=False)))


def _folded(call: LayerCall) -> list[Floats]:
    """A kernel and a bias that have taken in a batch normalization, in single precision."""
    config = call.config
    stored = [one for one in call.stored(["batchnorm"]) if one.shape]  # not the count of steps
    if config.text("folding_mode", _FOLDING[0]) not in _FOLDING:
        raise config.wrong("folding_mode", " or ".join(_FOLDING))
    if axis_of(config, -1) not in (-1, len(call.x.shape)) or is_channels_first(config):
        raise UnsupportedError("a batch normalization along another axis than the last", accepted="channels last")
    kernel = stored[0].shape if stored else ()
    depthwise = "depth_multiplier" in config.values
    width = math.prod(kernel[-2:]) if depthwise else kernel[-1] if kernel else 0
    flags = {
        "bias": config.flag("use_bias", True),
        "gamma": config.flag("scale", True),
        "beta": config.flag("center", True),
    }
    names = [name for name, present in flags.items() if present] + ["mean", "variance"]
    read = replace(call, stored=lambda _: stored).weights(("kernel", kernel), *((name, (width,)) for name in names))
    tensors = {name: values.astype(np.float32) for name, values in zip(["kernel", *names], read, strict=True)}
    factor = _rescaling(config, tensors, width)
    bias = factor * (tensors.get("bias", np.float32(0.0)) - tensors["mean"]) + tensors.get("beta", np.float32(0.0))
    shaped = factor.reshape(kernel[-2:]) if depthwise else factor
    return [as_weights(shaped * tensors["kernel"]), as_weights(bias)]


def _rescaling(config: Fields, tensors: Mapping[str, Singles], width: int) -> Singles:
    """Return the factor of a batch normalization."""
    inverse = np.float32(1.0) / deviation(config, tensors["variance"], config.number("epsilon", 1e-3))
    return single(tensors.get("gamma", np.ones(width, np.float32)) * inverse)


def _layer(
    class_name: str, kernel: str = "kernel_quantizer", *, tensors: Callable[[LayerCall], list[Floats]] = _plain
) -> Translation:
    """Keras's layer; the configuration has the quantizer of its kernel as ``kernel``."""

    def read(call: LayerCall) -> Value:
        if call.config.get("mask") is not None:
            raise UnsupportedError("a mask of the kernel", accepted="kernels whose zeros are trained")
        found = _quantized(call, (kernel, "bias_quantizer"), tensors(call))
        return _activated(call, _of_keras(call, class_name, found, use_bias=len(found) > 1))

    return Translation(read, f"{KERAS[class_name].becomes}, or Quantize")


def _separable(rank: int) -> Translation:
    """A depthwise convolution, and one of single taps that has the user's name."""
    first, second = ("depthwise_quantizer",), ("pointwise_quantizer", "bias_quantizer")

    def read(call: LayerCall) -> Value:
        stored = call.stored(())
        names = ("depthwise kernel", "pointwise kernel", "bias")[: 2 + call.config.flag("use_bias", True)]
        wanted = [(name, one.shape) for name, one in zip(names, stored, strict=False)]
        kernel, *mixing = call.weights(*wanted) if len(stored) == len(names) else call.weights(*wanted, ("bias", ()))
        build = replace(call.build.within("depthwise"), source="Conv")
        depthwise = _quantized(call, first, [kernel])
        y = _of_keras(replace(call, build=build), f"DepthwiseConv{rank}D", depthwise, use_bias=False)
        inner = replace(call, given=replace(call.given, args=(y,)))
        windows: dict[str, Json] = {"kernel_size": 1, "strides": 1, "dilation_rate": 1, "padding": "valid", "groups": 1}
        return _activated(call, _of_keras(inner, f"Conv{rank}D", _quantized(call, second, mixing), **windows))

    return Translation(read, "Conv, twice, or Quantize")


def _pooled(call: LayerCall, size: Shape, **arguments: Json) -> Value:
    """Sums over windows of ``size``, times the quantized number that stands for one over their elements."""
    quantizer = read_quantizer(call.config.get("average_quantizer"), call.config.where, call.major)
    if not isinstance(quantizer, Fixed):
        raise UnsupportedError("an average_quantizer with a scale from the data", accepted="a number as alpha")
    first, x = is_channels_first(call.config), call.x
    positions, channels = (x.shape[1:], x.shape[0]) if first else (x.shape[:-1], x.shape[-1])
    if len(positions) != 2 or any(one > n for one, n in zip(size, positions, strict=True)):
        raise UnsupportedError(
            f"windows of {size} on an operand of shape {x.shape}", accepted="windows within an image"
        )
    factor, grid = quantizer.on_grid(as_weights(np.full(1, np.float32(1.0) / np.float32(math.prod(size)))))
    kernel = constant(np.full((*size, channels, 1), factor[0]), quantizer=grid)
    sizes: list[Json] = list(size)
    return _of_keras(call, "DepthwiseConv2D", [kernel], kernel_size=sizes, use_bias=False, **arguments)


def _average_pool(call: LayerCall) -> Value:
    if call.config.get("average_quantizer") is None:
        return _activated(call, KERAS["AveragePooling2D"].result(call))
    size = call.config.per_axis("pool_size", 2, 2)
    strides = size if call.config.get("strides") is None else call.config.per_axis("strides", 2)
    if call.config.text("padding", "valid").lower() == "same":
        positions = call.x.shape[1:] if is_channels_first(call.config) else call.x.shape[:-1]
        if any((-(-n // step) - 1) * step + one > n for n, step, one in zip(positions, strides, size, strict=True)):
            raise UnsupportedError("quantized means of windows with padding", accepted="padding='valid'")
    return _activated(call, _pooled(call, size, strides=list(strides), depth_multiplier=1))


def _global_average_pool(call: LayerCall) -> Value:
    if call.config.get("average_quantizer") is None:
        return _activated(call, KERAS["GlobalAveragePooling2D"].result(call))
    first, x = is_channels_first(call.config), call.x
    if len(x.shape) != 3:
        raise call.config.error(f"called on an operand of shape {x.shape}", "an image")
    positions = x.shape[1:] if first else x.shape[:-1]
    y = _pooled(call, positions, strides=1, padding="valid", depth_multiplier=1)
    if not call.config.flag("keepdims", False):
        y = call.build.viewed(y, (1, x.shape[0] if first else x.shape[-1]), y.batch, "channels")
    return _activated(call, y)


_NORMALIZATION = {
    "gamma": "quantized_relu_po2(6, 2048)",
    "beta": "quantized_po2(5)",
    "mean": "quantized_po2(5)",
    "variance": "quantized_relu_po2(6, quadratic_approximation=True)",
}
"""The quantizers of QBatchNormalization where a configuration says nothing."""


def _batch_normalization(call: LayerCall) -> Value:
    config, x, dim = call.config, call.x, axis_of(call.config, -1)
    if config.get("inverse_quantizer") is not None:
        raise UnsupportedError("an inverse_quantizer", accepted="quantizers of gamma, beta, mean and variance")
    shape = (x.shape[x.axis(dim)],)
    trained: dict[str, Singles] = {}
    for name, values in statistics(call, shape).items():
        described = config.values.get(f"{name}_quantizer", _NORMALIZATION[name])
        quantizer = read_quantizer(described, config.where, call.major, trained=name in ("gamma", "variance"))
        trained[name] = values if quantizer is None else single(quantizer.on_grid(values.astype(np.float64))[0])
    scale = _rescaling(config, trained, shape[0])
    # Exactly, so that the mean becomes beta, on whose grid a quantizer may have ties.
    offset = trained.get("beta", np.float32(0.0)) - trained["mean"].astype(np.float64) * scale
    offset = finite(as_weights(offset), "bias", config.where)
    layer = BatchNormalization(as_weights(scale), offset, x.axis(dim))
    return call.build.emit(layer, x)


def _activation(call: LayerCall) -> Value:
    activation = read_quantized(call.config, call.major)
    return call.x if activation is None else activation.of(call.build, call.x)


QKERAS: ByClass = {
    "QDense": _layer("Dense"),
    "QConv1D": _layer("Conv1D"),
    "QConv2D": _layer("Conv2D"),
    "QConv2DTranspose": _layer("Conv2DTranspose"),
    "QDepthwiseConv2D": _layer("DepthwiseConv2D", "depthwise_quantizer"),
    "QSeparableConv1D": _separable(1),
    "QSeparableConv2D": _separable(2),
    "QDenseBatchnorm": _layer("Dense", tensors=_folded),
    "QConv2DBatchnorm": _layer("Conv2D", tensors=_folded),
    "QDepthwiseConv2DBatchnorm": _layer("DepthwiseConv2D", "depthwise_quantizer", tensors=_folded),
    "QActivation": Translation(_activation, "Quantize, Lookup or Staircase"),
    "QAdaptiveActivation": Translation(adaptive, "Quantize"),
    "QBatchNormalization": Translation(_batch_normalization, "BatchNormalization"),
    "QAveragePooling2D": Translation(_average_pool, "Conv or AveragePool, or Quantize"),
    "QGlobalAveragePooling2D": Translation(_global_average_pool, "Conv or Reduce, or Quantize"),
    **RECURRENT,
}
