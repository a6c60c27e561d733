"""Keras's convolutions against Keras itself, over all arguments; what it refuses; both major versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_same, inputs_of, outputs_of, randomised, save_keras2
from tests.keras_weights import write_weights

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.frontends.keras.read import read_keras

LINES: dict[str, Any] = {
    "valid": layers.Conv1D(3, 4),
    "same": layers.Conv1D(3, 4, padding="same"),
    "same with strides": layers.Conv1D(3, 4, strides=3, padding="same"),
    "same, stride beyond the kernel": layers.Conv1D(2, 2, strides=4, padding="same"),
    "causal": layers.Conv1D(3, 3, padding="causal", dilation_rate=2),
    "causal with strides": layers.Conv1D(3, 3, padding="causal", strides=2),
    "dilated": layers.Conv1D(3, 3, dilation_rate=3, padding="same"),
    "groups": layers.Conv1D(6, 3, groups=2),
    "groups of one": layers.Conv1D(8, 3, groups=4, use_bias=False),
    "pointwise": layers.Conv1D(5, 1, activation="relu"),
    "strided pointwise": layers.Conv1D(5, 1, strides=2),
    "first": layers.Conv1D(3, 2, data_format="channels_first", activation="tanh"),
    "depthwise": layers.DepthwiseConv1D(3, padding="same", strides=2),
    "depthwise, multiplied": layers.DepthwiseConv1D(2, depth_multiplier=3),
    "separable": layers.SeparableConv1D(5, 3, depth_multiplier=2, activation="relu"),
    "transposed": layers.Conv1DTranspose(3, 4),
    "transposed same": layers.Conv1DTranspose(3, 4, strides=3, padding="same"),
    "transposed valid": layers.Conv1DTranspose(3, 2, strides=3),
    "transposed, more": layers.Conv1DTranspose(3, 3, strides=2, output_padding=1),
    "transposed same, more": layers.Conv1DTranspose(3, 3, strides=3, padding="same", output_padding=2),
    "transposed same, no more": layers.Conv1DTranspose(3, 4, strides=3, padding="same", output_padding=0),
    "transposed, dilated": layers.Conv1DTranspose(3, 3, dilation_rate=2, padding="same"),
    "transposed first": layers.Conv1DTranspose(3, 3, strides=2, data_format="channels_first", use_bias=False),
}

IMAGES: dict[str, Any] = {
    "valid": layers.Conv2D(3, (2, 3)),
    "same with strides": layers.Conv2D(3, (3, 2), strides=(2, 3), padding="same"),
    "same with one stride": layers.Conv2D(3, 3, strides=(1, 2), padding="same"),
    "dilated": layers.Conv2D(3, 3, dilation_rate=(1, 2)),
    "groups": layers.Conv2D(6, 3, groups=2, padding="same", activation="relu"),
    "first": layers.Conv2D(3, (3, 2), data_format="channels_first", padding="same", strides=2),
    "first, groups": layers.Conv2D(14, 2, data_format="channels_first", groups=7),
    "first, softmax of the last axis": layers.Conv2D(3, (2, 1), data_format="channels_first", activation="softmax"),
    "first, gated along the last axis": layers.Conv2D(3, (2, 1), data_format="channels_first", activation="glu"),
    "gated": layers.Conv2D(6, 2, activation="glu"),
    "log softmax": layers.Conv2D(3, 2, activation="log_softmax"),
    "pointwise": layers.Convolution2D(3, 1),
    "depthwise": layers.DepthwiseConv2D((2, 3), padding="same"),
    "depthwise, multiplied": layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, use_bias=False),
    "depthwise, dilated": layers.DepthwiseConv2D(2, dilation_rate=2, activation="relu"),
    "depthwise first": layers.DepthwiseConv2D(3, depth_multiplier=2, data_format="channels_first"),
    "separable": layers.SeparableConv2D(3, 3, padding="same"),
    "separable first": layers.SeparableConv2D(3, 2, strides=2, depth_multiplier=2, data_format="channels_first"),
    "transposed": layers.Conv2DTranspose(3, (3, 2), strides=(2, 1), padding="same"),
    "transposed valid": layers.Conv2DTranspose(3, 2, strides=(3, 2), activation="relu"),
    "transposed, more": layers.Conv2DTranspose(3, (4, 3), strides=(2, 3), output_padding=(1, 2), padding="same"),
    "transposed first": layers.Conv2DTranspose(3, 3, strides=2, data_format="channels_first"),
}

VOLUMES: dict[str, Any] = {
    "valid": layers.Conv3D(3, 2),
    "same with strides": layers.Conv3D(2, (3, 2, 1), strides=(2, 1, 3), padding="same", activation="relu"),
    "groups": layers.Conv3D(4, 2, groups=2, dilation_rate=(1, 2, 1)),
    "first": layers.Conv3D(2, 2, data_format="channels_first"),
    "transposed": layers.Conv3DTranspose(2, 2, strides=(2, 1, 3), padding="same"),
    "transposed valid": layers.Conv3DTranspose(2, (1, 3, 2), strides=2),
}


@pytest.mark.parametrize(("shape", "cases"), [((9, 4), LINES), ((7, 5, 4), IMAGES), ((4, 5, 3, 4), VOLUMES)], ids=len)
def test_convolutions_are_keras_own(shape: tuple[int, ...], cases: dict[str, Any]) -> None:
    """One model with an output for each case; "first" cases see the same numbers with as many channels as that gives."""
    x = keras.Input(shape)
    model = randomised(keras.Model(x, [case(x) for case in cases.values()]))
    assert_same(read_keras(model), model)


def test_keras_2_files(tmp_path: Path) -> None:
    x = keras.Input((6, 6, 4))
    y = layers.Conv2D(4, 3, padding="same", groups=2, activation="relu", name="c")(x)
    y = layers.DepthwiseConv2D(2, depth_multiplier=2, name="d")(y)
    y = layers.SeparableConv2D(3, 2, name="s")(y)
    model = randomised(keras.Model(x, layers.Conv2DTranspose(2, 3, strides=2, name="t")(y)))
    for path in save_keras2(model, tmp_path):
        network = read_keras(path)
        assert [node.name for node in network.nodes[1:]] == ["c", "c_relu", "d", "s_depthwise", "s", "t"]
        assert [node.layer.kind for node in network.nodes[1:]] == [
            "Conv2D",
            "ReLU",
            "DepthwiseConv2D",
            "DepthwiseConv2D",
            "Conv2D",
            "Conv2DTranspose",
        ]
        assert_same(network, model)


def test_a_converted_model_is_accurate_and_can_be_saved(tmp_path: Path) -> None:
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="c")(x)
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2)(y))
    y = layers.SeparableConv2D(4, 2, activation="relu", name="s")(y)
    y = layers.Conv2DTranspose(2, 3, strides=2, padding="same")(y)
    model = randomised(keras.Model(x, layers.Dense(3)(layers.Flatten()(y))))
    converted = bitsmith.convert(model, tmp_path / "project")
    data = inputs_of(model)
    (expected,) = outputs_of(model, data)
    found = converted.predict(data[0])
    assert np.max(np.abs(found - expected)) < 2e-3 * np.max(np.abs(expected))
    assert converted.trace(data[0])[1]["c"].shape == (9, 8, 8, 8)
    converted.save(tmp_path / "saved.json")
    loaded = bitsmith.Model.load(tmp_path / "saved.json")
    np.testing.assert_array_equal(loaded.predict(data[0]), found)
    assert [node.layer.kind for node in loaded.network.nodes] == [node.layer.kind for node in converted.network.nodes]


CONV = {"filters": 4, "kernel_size": [2, 2]}


@pytest.mark.parametrize(
    ("class_name", "config", "said"),
    [
        ("Conv2D", {**CONV, "padding": "causal"}, "the padding 'causal'"),
        ("Conv2D", {**CONV, "padding": "reflect"}, "valid and same"),
        ("DepthwiseConv2D", {"kernel_size": 2, "padding": "causal"}, "the padding 'causal'"),
        ("Conv2DTranspose", {**CONV, "padding": "causal"}, "the padding 'causal'"),
        ("Conv2D", {**CONV, "strides": [2, 1], "dilation_rate": [1, 2]}, "one of the two"),
        ("Conv2DTranspose", {**CONV, "strides": 2, "dilation_rate": 2}, "one of the two"),
        ("Conv2DTranspose", {**CONV, "strides": 2, "output_padding": 2}, "less than the strides"),
        ("Conv2D", {**CONV, "groups": 3}, "a divisor of 4 input channels"),
        ("Conv2D", {**CONV, "filters": 0}, "a positive integer"),
        ("Conv2D", {**CONV, "kernel_size": [2, 2, 2]}, "kernel_size"),
        ("Conv2D", {**CONV, "strides": [0, 1]}, "strides"),
        ("Conv2D", {**CONV, "data_format": "channels"}, "channels_last or channels_first"),
        ("Conv1D", {**CONV, "kernel_size": 2}, "1 spatial axes"),
        ("Conv2D", {**CONV, "kernel_size": [1 << 30, 1 << 30]}, "kernel has shape"),
        ("Conv2D", {**CONV, "dilation_rate": 1 << 30, "padding": "same"}, "padded to"),
        ("Conv2D", {**CONV, "strides": 1 << 31}, "an integer from 1 to 2147483647"),
        ("Conv2D", {**CONV, "filters": 1 << 64}, "filters is 18446744073709551616"),
        ("Conv2D", {**CONV, "dilation_rate": 9}, "kernels no larger"),
        ("Conv2DTranspose", {**CONV, "strides": 1 << 30}, "before it is cropped"),
        ("Conv2D", {**CONV, "activation": "custom"}, "the activation"),
    ],
)
def test_what_keras_refuses_is_refused(tmp_path: Path, class_name: str, config: dict[str, Any], said: str) -> None:
    model = functional(source("x", 6, 6, 4), layer(class_name, "c", "x", **config), outputs=("c",))
    path = write_model(tmp_path, model, {})
    with h5py.File(tmp_path / "m_weights.h5", "r+") as file:
        file.attrs["layer_names"] = ["c"]
        group = file.create_group("c")
        group.attrs["weight_names"] = ["c/kernel:0", "c/bias:0"]
        group["c/kernel:0"], group["c/bias:0"] = np.ones((2, 2, 4, 4)), np.ones(4)
    with pytest.raises(BitsmithError, match=said):
        read_keras(path).shapes()


@pytest.mark.parametrize(("strides", "biased"), [((1, 1), True), ((2, 1), False)])
def test_kernels_of_each_position(strides: tuple[int, int], biased: bool, tmp_path: Path) -> None:
    """LocallyConnected2D of Keras 2, by its definition: Keras 3 has none."""
    rng, (rows, columns, channels), (high, wide), filters = np.random.default_rng(0), (5, 4, 3), (2, 3), 2
    shape = ((rows - high) // strides[0] + 1, (columns - wide) // strides[1] + 1)
    kernel, bias = (
        rng.normal(size=(*shape, high * wide * channels, filters)),
        rng.normal(size=(*shape, filters)) * biased,
    )
    options = {"filters": filters, "kernel_size": [high, wide], "strides": list(strides), "use_bias": biased}
    own = layer("LocallyConnected2D", "local", "x", **options, padding="valid", implementation=1, activation="relu")
    path = write_model(tmp_path, functional(source("x", rows, columns, channels), own, outputs=("local",)), {})
    flat = {"kernel": kernel.reshape(-1, *kernel.shape[2:])} | ({"bias": bias} if biased else {})
    write_weights(tmp_path / "m_weights.h5", {"local": flat})
    x, wanted = rng.normal(size=(3, rows, columns, channels)), np.empty((3, *shape, filters))
    for row, column in np.ndindex(shape):
        top, left = row * strides[0], column * strides[1]
        window = x[:, top : top + high, left : left + wide].reshape(3, -1)
        wanted[:, row, column] = window @ kernel[row, column] + bias[row, column]
    network = read_keras(path)
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]], np.maximum(wanted, 0.0), rtol=1e-5, atol=1e-5)
