"""Layers of channels-first models have the user's names, shapes and values in traces and reports, and nobody sees our wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import numpy.typing as npt
import pytest
import torch
from keras import layers
from keras_samples import randomised as randomised_keras
from onnx_models import graph, node, runtime
from torch import nn
from torch_samples import randomised as randomised_torch

from bitsmith.compiler import compile_network
from bitsmith.config.building import config_from_network
from bitsmith.config.resolving import resolve
from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.dense import Dense
from bitsmith.layers.network import Network
from bitsmith.layers.shape import Permute
from bitsmith.report.summary import rows

FINE = {"Model": {"Precision": "fixed<40,16>"}}
"""Steps so small that what remains of rounding is below :data:`BOUND`."""

BOUND = 2.0**-10


def samples(shape: Sequence[int], seed: int = 3) -> npt.NDArray[np.float32]:
    """Numbers that any format here holds."""
    return (np.random.default_rng(seed).integers(-16, 17, (3, *shape)) / 16).astype(np.float32)


def assert_seen(network: Network, x: npt.NDArray[np.float32], expected: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Traces and reports have these layers in this layout, and nothing of how it is stored but a permuted input."""
    settled = resolve(network, FINE)
    assert not any(node.settings.precision for node in settled.nodes if node.inner)
    assert set(config_from_network(network, "name")["LayerName"]) == {n.name for n in settled.nodes if not n.inner}
    compiled = compile_network(settled)
    known = [node.name for node in settled.nodes if not node.inner]
    assert [row.name for row in rows(settled, compiled.program)] == known
    (given,) = network.inputs
    (result,), traced, _ = Emulator(compiled.program).trace([x.astype(np.float64)])
    shapes = {row.name: row.shape for row in rows(compiled.network, compiled.program)}
    assert [node.name for node in compiled.network.nodes if isinstance(node.layer, Permute)] in (
        [],
        [f"{given}_permuted"],
    )
    assert not any(node.inner for node in compiled.network.nodes)
    folded = {node.name for node in compiled.network.nodes if node.folded}
    for name, values in expected.items():
        assert shapes[name] == values.shape[1:], name
        if name not in folded:
            assert traced[name].shape == values.shape, name
            np.testing.assert_allclose(traced[name], values, rtol=BOUND, atol=BOUND, err_msg=name)
    np.testing.assert_array_equal(result, traced[compiled.network.outputs[0]])
    assert compiled.network.outputs[0] in expected


KERAS = {
    1: lambda first: [
        layers.ZeroPadding1D(1, **first),
        layers.Conv1D(4, 3, **first),
        layers.SeparableConv1D(3, 2, **first),
        layers.MaxPooling1D(2, **first),
        layers.Conv1DTranspose(2, 2, **first),
        layers.GlobalAveragePooling1D(keepdims=True, **first),
    ],
    2: lambda first: [
        layers.Conv2D(4, 3, padding="same", groups=2, **first),
        layers.BatchNormalization(axis=1, name="alone"),
        layers.ReLU(),
        layers.DepthwiseConv2D(2, activation="relu", **first),
        layers.BatchNormalization(axis=1),
        layers.AveragePooling2D(2, strides=1, **first),
        layers.SeparableConv2D(3, 2, **first),
        layers.UpSampling2D((2, 1), **first),
        layers.Cropping2D((1, 0), **first),
        layers.Conv2DTranspose(4, 3, strides=2, activation="tanh", **first),
        layers.MaxPooling2D(3, **first),
        layers.Resizing(5, 6, **first),
        layers.Flatten(**first),
        layers.Dense(3),
    ],
    3: lambda first: [
        layers.Conv3D(3, 2, **first),
        layers.UpSampling3D(2, **first),
        layers.Cropping3D(1, **first),
        layers.Conv3DTranspose(2, 2, **first),
        layers.ZeroPadding3D((0, 1, 0), **first),
        layers.AveragePooling3D(2, **first),
        layers.GlobalMaxPooling3D(**first),
    ],
}


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_keras(rank: int) -> None:
    shape = {1: (2, 7), 2: (2, 6, 7), 3: (2, 4, 4, 3)}[rank]
    live = keras.Sequential([keras.Input(shape), *KERAS[rank]({"data_format": "channels_first"})])
    randomised_keras(live)
    for weight in live.weights:  # results stay small
        if "kernel" in weight.path:
            weight.assign(np.asarray(weight.value) / 2)
    x = samples(shape)
    inner = keras.Model(live.inputs[0], [layer.output for layer in live.layers])
    expected = {}
    for layer, y in zip(live.layers, inner(x), strict=True):
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        expected[layer.name if activation == "linear" else f"{layer.name}_{activation}"] = np.asarray(y)
    assert_seen(read_keras(live), x, expected)


def test_a_layer_that_goes_out_has_its_own_name() -> None:
    x = keras.Input((2, 5, 5), name="x")
    conv = layers.Conv2D(3, 2, data_format="channels_first", name="conv")
    network = read_keras(keras.Model(x, conv(x)))
    assert compile_network(network).network.outputs == ("conv",)
    assert [output.name for output in compile_network(network).program.outputs] == ["conv"]


def test_precisions_are_the_layers_alone() -> None:
    """A narrower default for all layers does not reach the way back."""
    x = keras.Input((2, 5, 5), name="x")
    conv = layers.Conv2D(3, 2, data_format="channels_first", name="conv", use_bias=False)
    network = read_keras(randomised_keras(keras.Model(x, conv(x))))
    config = {"Model": {"Precision": "fixed<8,4>"}, "LayerName": {"conv": {"Precision": {"result": "fixed<20,8>"}}}}
    (result,) = compile_network(resolve(network, config)).program.outputs
    assert compile_network(resolve(network, config)).program.nodes[result.node].type.frac.max() > 4
    with pytest.raises(ConfigError, match="conv_channels_first"):
        resolve(network, {"LayerName": {"conv_channels_first": {"Precision": "fixed<8,4>"}}})


TORCH = {
    1: lambda: [
        nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.ConvTranspose1d(4, 2, 2),
        nn.Upsample(scale_factor=2),
        nn.AvgPool1d(2),
        nn.AdaptiveMaxPool1d(2),
    ],
    2: lambda: [
        nn.Conv2d(2, 4, 3, padding=1, groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2, 1),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, 2, stride=2),
        nn.ReflectionPad2d((1, 0, 2, 1)),
        nn.UpsamplingBilinear2d(scale_factor=2),
        nn.AvgPool2d(3),
        nn.PReLU(2),
        nn.Dropout2d(),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.PixelUnshuffle(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    ],
    3: lambda: [
        nn.Conv3d(2, 3, 2),
        nn.Tanh(),
        nn.MaxPool3d((1, 2, 1)),
        nn.ConvTranspose3d(3, 2, 2),
        nn.ConstantPad3d(1, 0.5),
        nn.AdaptiveAvgPool3d(1),
    ],
}


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch(rank: int) -> None:
    shape = {1: (2, 8), 2: (2, 6, 7), 3: (2, 4, 4, 3)}[rank]
    module = randomised_torch(nn.Sequential(*TORCH[rank]()))
    x = samples(shape)
    expected: dict[str, npt.NDArray[np.generic]] = {}
    with torch.no_grad():
        y = torch.from_numpy(x)
        for name, layer in module.named_children():
            y = layer(y)
            expected[name] = y.numpy()
    network = read_torch(module, ReadOptions(input_shape=shape))
    known = {node.name for node in network.nodes}
    assert_seen(network, x, {name: values for name, values in expected.items() if name in known})
    assert len(known & set(expected)) > len(expected) - 3  # but for what is no layer of its own


def test_torch_several_images_per_sample() -> None:
    """A batch that is merged with time."""

    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x.reshape(-1, 2, 4, 5)).reshape(-1, 3, 36)

    module = randomised_torch(Frames())
    x = samples((3, 2, 4, 5))
    with torch.no_grad():
        expected = module.conv(torch.from_numpy(x).reshape(-1, 2, 4, 5)).numpy().reshape(3, 3, 3, 3, 4)
        assert module(torch.from_numpy(x)).shape == (3, 3, 36)
    compiled = compile_network(resolve(read_torch(module, ReadOptions(input_shape=(3, 2, 4, 5))), FINE))
    _, traced, _ = Emulator(compiled.program).trace([x.astype(np.float64)])
    np.testing.assert_allclose(traced["conv"], expected, rtol=BOUND, atol=BOUND)


@pytest.mark.parametrize("batch_first", [True, False])
def test_torch_attention_that_gives_its_weights_too(batch_first: bool) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = x if batch_first else x.transpose(0, 1)
            result, weights = self.attention(y, y, y)
            return result.sum(0 if not batch_first else 1), weights

    network = read_torch(randomised_torch(Both()), ReadOptions(input_shape=(3, 4)))
    assert isinstance(network.node("attention").layer, Dense)


def test_onnx() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        node("Conv", "x w b", "conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "conv gain shift mean variance", "norm"),
        node("Relu", "norm", "relu"),
        node("MaxPool", "relu", "largest", kernel_shape=[2, 2]),
        node("BatchNormalization", "largest gain shift mean variance", "norm2"),
        node("AveragePool", "norm2", "mean_of", kernel_shape=[2, 2], strides=[1, 1]),
        node("ConvTranspose", "mean_of v", "transposed", strides=[2, 2]),
        node("Resize", "transposed - scales", "resized", mode="nearest"),
        node("Pad", "resized pads", "padded"),
        node("GlobalAveragePool", "padded", "global"),
        node("Mul", "padded global", "weighted"),
        node("GlobalMaxPool", "weighted", "last"),
    ]
    weights = {
        "w": rng.normal(0, 0.4, (4, 2, 3, 3)),
        "b": rng.normal(0, 1, 4),
        "v": rng.normal(0, 0.4, (4, 3, 2, 2)),
        "gain": rng.normal(1, 0.3, 4),
        "shift": rng.normal(0, 1, 4),
        "mean": rng.normal(0, 1, 4),
        "variance": rng.uniform(0.5, 2, 4),
        "scales": np.array([1, 1, 2, 1], np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]),
    }
    model = graph(nodes, {"x": ["batch", 2, 6, 7]}, "last", weights)
    names = [one.output[0] for one in nodes]
    x = samples((2, 6, 7))
    every = graph(nodes, {"x": ["batch", 2, 6, 7]}, " ".join(names), weights)
    expected = dict(zip([f"{name}_node" for name in names], runtime(every, {"x": x}), strict=True))
    assert_seen(read_onnx(model), x, expected)
