"""Layers of the C++ that hls4ml writes, made again with Keras from what a program around it says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from published_calls import (
    OVERFLOWS,
    PADS,
    PATCH,
    ROUNDINGS,
    Call,
    Floats,
    Layer,
    Network,
    RefusedError,
    accumulating,
    adder_questions,
    plain,
    product_questions,
    scales,
    scaling,
    tabulated,
)

import bitsmith.custom
from bitsmith.config.precision import parse_precision
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.quantization.lookup import Lookup


@dataclass
class Facts:
    """What the authors' program says of itself, and the Keras model that is made of it."""

    network: Network
    exact_sums: bool
    types: dict[str, FixedFormat] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, Floats] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    tensors: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @staticmethod
    def read(network: Network, said: str, *, exact_sums: bool) -> Facts:
        """The facts that ``said`` has a line for each of."""
        facts = Facts(network, exact_sums)
        for word, name, *values in map(str.split, said.splitlines()):
            if word == "array":
                facts.arrays[name] = np.array(values, np.float64)
            elif word == "size":
                facts.numbers[name] = int(values[0])
            else:
                sign, width, integer, rounding, overflow = map(int, values)
                text = f"{'' if sign else 'u'}fixed<{width},{integer},{ROUNDINGS[rounding]},{OVERFLOWS[overflow]}>"
                if (kind := parse_precision(text)) is not None:
                    facts.types[name] = kind
        return facts

    @property
    def inputs(self) -> tuple[str, ...]:
        """The parameter that is read."""
        return tuple(self.network.parameters)[:1]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The parameters that are written."""
        return tuple(self.network.parameters)[1:]

    @property
    def remark(self) -> str:
        """What is unlike the authors' layers."""
        return "; ".join(dict.fromkeys(self.remarks))

    def count(self, parameter: str) -> int:
        """The elements of a parameter."""
        return self.numbers[parameter]

    def model(self) -> tuple[keras.Model, dict[str, Any]]:
        """A Keras model of the calls, and the configuration with all their types."""
        (source,) = self.inputs
        self.tensors[source] = keras.Input((self.count(source),), name=source)
        self.names[source] = {"Precision": {"result": str(self.types[source])}}
        for call in self.network.calls:
            self.tensors[call.result] = call.layer.build(self, call, *(self.tensors[name] for name in call.operands))
        model = keras.Model(self.tensors[source], [self.tensors[name] for name in self.outputs])
        return model, {"LayerName": self.names}

    def named(self, layer: keras.Layer, *operands: Any, **precision: FixedFormat | str) -> Any:
        """The result of ``layer`` with these formats."""
        self.names[layer.name] = {"Precision": {key: str(kind) for key, kind in precision.items()}}
        return layer(*operands)


def flat(x: Any) -> Any:
    """``x`` as a vector."""
    return x if len(x.shape) == 2 else keras.layers.Reshape((int(np.prod(x.shape[1:])),))(x)


def rounded_products(facts: Facts, call: Call, weights: Floats) -> bool:
    """Whether the accumulator's step rounds some product, so that hls4ml sums other numbers than the exact ones."""
    accum, source = facts.types[f"{call.result}.accum"], facts.types[call.operands[0]]
    steps = weights * 2.0 ** (accum.frac - source.frac)
    rounded = bool(np.any(steps != np.floor(steps)))
    if rounded:
        facts.remarks.append("exact sums" if facts.exact_sums else "products as a layer")
    return rounded and not facts.exact_sums


def summed(facts: Facts, call: Call, x: Any, weights: Floats, **kinds: FixedFormat | str) -> Any:
    """``x`` by ``weights`` along the last axis, plus the bias, with the types of the call."""
    accum = {"accum": facts.types[f"{call.result}.accum"]} if f"{call.result}.accum" in facts.types else {}
    bias = {"bias": accum["accum"]} if accum else {}
    layer = keras.layers.Dense(weights.shape[1], name=call.result)
    y = facts.named(layer, x, **kinds, **accum, **bias, result=facts.types[call.result])
    layer.set_weights([weights, facts.arrays[f"{call.result}.b"]])
    return y


def dense(facts: Facts, call: Call, x: Any) -> Any:
    """A dense layer on the last axis of ``x``."""
    count = facts.arrays[f"{call.result}.b"].size
    values = facts.arrays[f"{call.result}.w"]
    rows = facts.numbers.get(f"{call.result}.strategy", 0) == 0
    weights = values.reshape(-1, count) if rows else values.reshape(count, -1).T
    weight = {"weight": facts.types[f"{call.result}.weight"]} if f"{call.result}.weight" in facts.types else {}
    if not weight or not rounded_products(facts, call, weights):
        return summed(facts, call, x, weights, **weight)
    places = x if len(x.shape) == 3 else keras.layers.Reshape((1, x.shape[-1]))(x)
    layer = keras.layers.DepthwiseConv1D(1, depth_multiplier=count, use_bias=False, name=f"{call.result}_products")
    products = facts.named(layer, places, **weight, result=facts.types[f"{call.result}.accum"])
    layer.set_weights([weights[np.newaxis]])
    products = products if len(x.shape) == 3 else flat(products)
    return summed(facts, call, products, np.tile(np.eye(count), (len(weights), 1)), weight="ufixed<1,1>")


def flat_dense(facts: Facts, call: Call, x: Any) -> Any:
    """A dense layer on all elements of ``x``."""
    return dense(facts, call, flat(x))


def pointwise(facts: Facts, call: Call, x: Any) -> Any:
    """A dense layer at each place of a sequence."""
    places, channels = (facts.numbers[f"{call.result}.{name}"] for name in ("in_width", "n_chan"))
    return dense(facts, call, x if len(x.shape) == 3 else keras.layers.Reshape((places, channels))(x))


def convolution(facts: Facts, call: Call, x: Any) -> Any:
    """A convolution without padding."""
    if any(facts.numbers[f"{call.result}.{name}"] for name in PADS):
        raise RefusedError("a padded convolution")
    *shape, high, wide, filters, down, right = (facts.numbers[f"{call.result}.{name}"] for name in PATCH)
    taps = high * wide * shape[2]
    values = facts.arrays[f"{call.result}.w"]
    rows = facts.numbers[f"{call.result}.strategy"] == 0
    weights = values.reshape(taps, filters) if rows else values.reshape(filters, taps).T
    kind, accum = facts.types[f"{call.result}.weight"], facts.types[f"{call.result}.accum"]
    rounded = rounded_products(facts, call, weights)
    name = f"{call.result}_products" if rounded else call.result
    kernel = np.einsum("ij,if->ijf", np.eye(taps), weights).reshape(taps, -1) if rounded else weights
    layer = keras.layers.Conv2D(kernel.shape[1], (high, wide), (down, right), use_bias=not rounded, name=name)
    x = keras.layers.Reshape(shape)(x)
    if rounded:
        y = facts.named(layer, x, weight=kind, result=accum)
        layer.set_weights([kernel.reshape(high, wide, shape[2], -1)])
        return summed(facts, call, y, np.tile(np.eye(filters), (taps, 1)), weight="ufixed<1,1>")
    y = facts.named(layer, x, weight=kind, bias=accum, accum=accum, result=facts.types[call.result])
    layer.set_weights([kernel.reshape(high, wide, shape[2], -1), facts.arrays[f"{call.result}.b"]])
    return y


def normalize(facts: Facts, call: Call, x: Any) -> Any:
    """A batch normalization: scale and bias."""
    scale, bias = (facts.arrays[f"{call.result}.{name}"] for name in ("s", "b"))
    x = flat(x) if scale.size == x.shape[-1] else keras.layers.Reshape((-1, scale.size))(x)
    layer = keras.layers.BatchNormalization(epsilon=0.0, name=call.result)
    kinds = {name: facts.types[f"{call.result}.{name}"] for name in ("scale", "bias")}
    y = facts.named(layer, x, **kinds, result=facts.types[call.result])
    layer.set_weights([scale, bias, np.zeros_like(scale), np.ones_like(scale)])
    return y


def scaled(facts: Facts, call: Call, x: Any) -> Any:
    """What an emulator does to its inputs: offsets, then shifts by a number of places, each in the type of the inputs."""
    offsets, shifts = (facts.arrays[f"{call.result}.{name}"] for name in call.constants)
    steps = {"offset": (np.ones_like(offsets), -offsets), "shift": (2.0**-shifts, np.zeros_like(shifts))}
    for name, (scale, bias) in steps.items():
        layer = keras.layers.BatchNormalization(epsilon=0.0, name=f"{call.result}_{name}")
        x = facts.named(layer, x, result=facts.types[call.operands[0]])
        layer.set_weights([scale, bias, np.zeros_like(scale), np.ones_like(scale)])
    return elementwise(lambda name: keras.layers.Activation("linear", name=name))(facts, call, x)


def squares(facts: Facts, call: Call, x: Any) -> Any:
    """The sum of squares, each in the type of the sum."""
    kind = facts.types[call.result]
    terms = facts.named(keras.layers.Multiply(name=f"{call.result}_terms"), [x, x], result=kind)
    layer = keras.layers.Dense(1, use_bias=False, name=call.result)
    total = facts.named(layer, terms, weight="ufixed<1,1>", result=kind)
    layer.set_weights([np.ones((terms.shape[-1], 1))])
    return total


def dot(facts: Facts, call: Call, x: Any, y: Any) -> Any:
    """The sum of products of two vectors."""
    accum = facts.types[f"{call.result}.accum"]
    if sum(facts.types[name].frac for name in call.operands) > accum.frac:
        raise RefusedError("a dot product that rounds its products")
    return facts.named(keras.layers.Dot(1, name=call.result), [x, y], accum=accum, result=facts.types[call.result])


def average(facts: Facts, call: Call, x: Any) -> Any:
    """The mean of a sequence."""
    if facts.numbers[f"{call.result}.pool_op"] != 1:
        raise RefusedError("a pool of maxima")
    return facts.named(keras.layers.GlobalAveragePooling1D(name=call.result), x, result=facts.types[call.result])


class Addressed(keras.layers.Layer):  # type: ignore[misc]
    """Numbers by address, which is read as a whole number with ``frac`` bits after the point; of the authors' own table."""

    def __init__(self, values: Sequence[float], frac: int, first: int, **options: Any) -> None:
        super().__init__(**options)
        self.values, self.frac, self.first = values, frac, first

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of."""
        return {**super().get_config(), "values": self.values, "frac": self.frac, "first": self.first}

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The operand's shape."""
        return shape

    def call(self, x: Any) -> Any:
        """What the table says, to Keras."""
        address = keras.ops.cast(x * 2.0**self.frac - self.first, "int32")
        return keras.ops.take(keras.ops.convert_to_tensor(self.values, "float32"), address)


def table(call: bitsmith.custom.Call) -> bitsmith.custom.Tensor:
    """What bitsmith makes of a table."""
    values, frac, first = (np.array(call.options[name], np.float64) for name in ("values", "frac", "first"))
    return call.emit(Lookup(frac, int(first), values), *call.inputs)


def softmax(facts: Facts, call: Call, x: Any) -> Any:
    """A softmax whose tables are addressed by the leading bits of their operands, as hls4ml's strategy latency has it."""
    if facts.numbers[f"{call.result}.implementation"]:
        raise RefusedError("a softmax of another strategy than latency")
    facts.remarks.append("softmax as tables")
    exp, inv = (facts.types[f"{call.result}.{name}"] for name in ("exp", "inv"))

    def looked_up(operand: Any, kind: FixedFormat, name: str, entry: FixedFormat) -> Any:
        values = facts.arrays[f"{call.result}.{name}"]
        bits = values.size.bit_length() - 1
        address = FixedFormat(kind.signed, bits, bits - kind.integer)
        layer = keras.layers.Activation("linear", name=f"{call.result}_{name}_address")
        leading = facts.named(layer, operand, result=address)
        first = address.lo
        entries = np.roll(values, -first).tolist()
        return facts.named(Addressed(entries, address.frac, first, name=f"{call.result}_{name}"), leading, result=entry)

    powers = looked_up(x, facts.types[call.operands[0]], "exp", exp)
    layer = keras.layers.Dense(1, use_bias=False, name=f"{call.result}_sum")
    total = facts.named(layer, powers, weight="ufixed<1,1>", result=exp)
    layer.set_weights([np.ones((powers.shape[-1], 1))])
    inverse = looked_up(total, exp, "inv", inv)
    return facts.named(keras.layers.Multiply(name=call.result), [powers, inverse], result=facts.types[call.result])


def elementwise(layer: Callable[..., keras.Layer]) -> Callable[..., Any]:
    """What builds a layer that has a result's type alone."""

    def build(facts: Facts, call: Call, *operands: Any) -> Any:
        given = list(operands) if len(operands) > 1 else operands[0]
        return facts.named(layer(name=call.result), given, result=facts.types[call.result])

    return build


LAYERS: Mapping[str, Layer] = {
    "dense": Layer(1, lambda _, call: product_questions(call, ""), flat_dense),
    "dense_da": Layer(1, adder_questions, flat_dense),
    "pointwise_conv_1d_cl": Layer(1, lambda _, call: product_questions(call, "", "in_width", "n_chan"), pointwise),
    "conv_2d_cl": Layer(1, lambda _, call: product_questions(call, "::mult_config", *PATCH, *PADS), convolution),
    "normalize": Layer(1, scaling, normalize),
    "relu": Layer(1, plain, elementwise(keras.layers.ReLU)),
    "linear": Layer(1, plain, elementwise(lambda name: keras.layers.Activation("linear", name=name))),
    "subtract": Layer(2, plain, elementwise(keras.layers.Subtract)),
    "dot1d": Layer(2, accumulating(), dot),
    "scales": Layer(1, scales, scaled),
    "squares": Layer(1, plain, squares),
    "softmax": Layer(1, tabulated, softmax),
    "global_pooling1d_cl": Layer(1, accumulating("pool_op"), average),
}
