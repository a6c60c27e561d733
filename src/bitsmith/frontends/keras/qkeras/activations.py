"""Activations of QKeras's layers: quantizers, functions of QKeras's own, and those of Keras."""

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json
from bitsmith.frontends.keras.activations import Activated, quantized_activation, read_activation
from bitsmith.frontends.keras.call import LayerCall
from bitsmith.frontends.keras.quantizers.arguments import SIGNATURES, described
from bitsmith.frontends.keras.quantizers.quantizers import FUNCTIONS, read_quantizer
from bitsmith.frontends.keras.quantizers.scales import Singles, single
from bitsmith.layers.layer import Floats

_LN2 = np.float32(np.log(2.0))
_MOST_INTEGER = 64


def read_quantized(config: Fields, major: int, key: str = "activation") -> Activated | None:
    """The activation of a layer of QKeras; None is linear.

    Its names are first those of QKeras. A function that is serialized, as qkeras-v3 does it, is loaded as one of Keras.
    """
    value = config.get(key)
    found = described(value, config.where)
    if found is None:
        return None
    name = found[0]
    serialized = isinstance(value, dict) and value.get("class_name") == "function"
    if name in SIGNATURES or (name in FUNCTIONS and not (serialized and name == "hard_sigmoid")):
        quantizer = read_quantizer(name if serialized else value, config.where, major)
        return None if quantizer is None else quantized_activation(quantizer)
    return read_activation(config, major, key)


def adaptive(call: LayerCall) -> Value:
    """QAdaptiveActivation, whose range is the moving one that was seen in training."""
    config = call.config
    name = config.text("activation")
    stored = [one for one in call.stored(()) if one.shape]  # not the count of steps
    if not stored:
        found = "QAdaptiveActivation without its range, which a live model does not give, nor a .keras file of Keras 2"
        raise UnsupportedError(found, accepted="a model saved as .h5")
    shape = (call.x.shape[-1],) if config.flag("per_channel", False) else (1,)
    inner = replace(call, stored=lambda _: stored)
    least, most = inner.weights(("ema_min", shape), ("ema_max", shape), ignored=1)
    slope = config.number("relu_neg_slope", 0.0)
    signed = name == "quantized_bits" or slope != 0.0
    integer = _integer_bits(config, least, most, signed=signed)
    values: dict[str, Json] = {"bits": config.positive("total_bits"), "integer": integer.astype(int).tolist()}
    if name == "quantized_bits":
        values |= {"symmetric": config.flag("symmetric", True), "alpha": 1.0}
    elif name == "quantized_relu":
        values |= {"negative_slope": slope}
        bound = config.get("relu_upper_bound")
        values |= {} if bound is None else {"relu_upper_bound": bound, "is_quantized_clip": False}
    else:
        raise config.wrong("activation", "quantized_bits or quantized_relu")
    quantizer = read_quantizer({"class_name": name, "config": values}, config.where, call.major)
    assert quantizer is not None
    return quantized_activation(quantizer).of(call.build, call.x)


def _integer_bits(config: Fields, least: Floats, most: Floats, *, signed: bool) -> Floats:
    """The integer bits of a range, by QKeras's rule."""
    ends = [values.astype(np.float32) for values in (least, most)]
    if not signed:
        ends = [np.maximum(values, np.float32(0.0)) for values in ends]
    unsigned = config.positive("total_bits") - signed
    with np.errstate(divide="ignore"):
        places = [np.maximum(np.log(np.abs(values)) / _LN2, np.float32(0.0)) for values in ends]
    if config.flag("po2_rounding", False):
        low, high = (np.rint(values) for values in places)
    else:
        low, high = (np.ceil(values) for values in places)
        high = np.where(ends[1] <= _greatest(high, unsigned), high, high + 1)
        if config.flag("symmetric", True):
            low = np.where(-_greatest(low, unsigned) <= ends[0], low, low + 1)
    return np.minimum(np.minimum(np.maximum(low, high), unsigned), _MOST_INTEGER).astype(np.float64)


def _greatest(integer: Singles, unsigned: int) -> Singles:
    return single(np.exp2(integer) - np.exp2(np.minimum(integer - np.float32(unsigned), np.float32(0.0))))
