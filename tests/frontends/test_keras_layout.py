"""A channels-first model is the same circuit as its channels-last twin, whose input is permuted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from keras_samples import assert_fixed_point, assert_same, randomised

from bitsmith.compiler import compile_network
from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir.text import to_text
from bitsmith.layers.network import Network
from bitsmith.passes.program import drop_dead

SHAPE = (3, 8, 8)


def stem(layout: str) -> Callable[[Any], Any]:
    """Convolutions of all kinds, a residual and branches, in one layout or the other."""
    axis = 1 if layout == "channels_first" else -1

    def conv(x: Any, kind: Any, *arguments: Any, **options: Any) -> Any:
        x = kind(*arguments, padding="same", data_format=layout, use_bias=False, **options)(x)
        return layers.ReLU()(layers.BatchNormalization(axis=axis)(x))

    def build(x: Any) -> Any:
        x = conv(x, layers.Conv2D, 4, 3)
        x = layers.MaxPooling2D(data_format=layout)(x)
        x = layers.Add()([x, conv(x, layers.DepthwiseConv2D, 3)])
        x = layers.Concatenate(axis=axis)([conv(x, layers.Conv2D, 2, 1), conv(x, layers.SeparableConv2D, 3, 3)])
        x = layers.PReLU(shared_axes=[2, 3] if layout == "channels_first" else [1, 2])(x)
        return layers.AveragePooling2D(2, data_format=layout)(layers.ZeroPadding2D(data_format=layout)(x))

    return build


def twins(head_first: Callable[[Any], Any], head_last: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Models in both layouts, of the same random weights but for their shapes."""
    x = keras.Input(SHAPE, name="x")
    first = randomised(keras.Model(x, head_first(stem("channels_first")(x))))
    x = keras.Input(SHAPE, name="x")
    last = keras.Model(x, head_last(stem("channels_last")(layers.Permute((2, 3, 1))(x))))
    for to, weight in zip(last.weights, first.weights, strict=True):
        to.assign(np.asarray(weight.value).reshape(to.shape))
    return first, last


def circuit(network: Network) -> str:
    """The program without the names of layers and outputs."""
    text = to_text(drop_dead(compile_network(network).program, keep_probes=False))
    return re.sub(r"^output \S+", "output", re.sub(r" @.*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)


def test_twins_are_the_same_circuit() -> None:
    def head(layout: str) -> Callable[[Any], Any]:
        return lambda x: layers.Dense(3)(layers.Dropout(0.5)(layers.Flatten(data_format=layout)(x)))

    first, last = twins(head("channels_first"), head("channels_last"))
    network = read_keras(first)
    assert_same(network, first)
    assert_fixed_point(network)
    assert circuit(network) == circuit(read_keras(last))
    assert circuit(network).count("= transpose") == 1


def test_flattening_channels_first_costs_nothing() -> None:
    first, last = twins(
        lambda x: layers.Dense(3)(layers.BatchNormalization()(layers.Reshape((-1,))(x))),
        lambda x: layers.Dense(3)(layers.BatchNormalization()(layers.Flatten()(x))),
    )
    channels, height, width = 5, 3, 3
    places = np.arange(channels * height * width).reshape(channels, height, width).transpose(1, 2, 0).ravel()
    for weight in last.weights[-6:]:
        values = np.asarray(weight.value)
        weight.assign(values[places] if len(values) == len(places) else values)
    network = read_keras(first)
    assert_same(network, first)
    assert circuit(network) == circuit(read_keras(last))
    assert circuit(network).count("= transpose") == 1
    assert "gather" not in circuit(network)
