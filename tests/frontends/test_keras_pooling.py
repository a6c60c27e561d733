"""Keras's pooling, resizing, padding and cropping against Keras itself, over all arguments; what is refused; Keras 2 files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_same, inputs_of, outputs_of, save, save_keras2

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.keras.weights import LiveWeights
from bitsmith.layers.resample import Interpolation, Resize

FIRST = "channels_first"

LINES: dict[str, Any] = {
    "max": layers.MaxPooling1D(),
    "max same": layers.MaxPool1D(3, strides=2, padding="same"),
    "max overlapping": layers.MaxPooling1D(4, 1),
    "max of one": layers.MaxPooling1D(1, 2),
    "max first": layers.MaxPooling1D(2, data_format=FIRST),
    "average": layers.AvgPool1D(2),
    "average same": layers.AveragePooling1D(4, strides=1, padding="same"),
    "average, stride beyond the window": layers.AveragePooling1D(2, strides=4, padding="same"),
    "average first": layers.AveragePooling1D(3, 2, "same", data_format=FIRST),
    "global max": layers.GlobalMaxPool1D(),
    "global max kept": layers.GlobalMaxPooling1D(keepdims=True),
    "global average first": layers.GlobalAveragePooling1D(data_format=FIRST),
    "global average first kept": layers.GlobalAveragePooling1D(data_format=FIRST, keepdims=True),
    "adaptive max": layers.AdaptiveMaxPooling1D(4),
    "adaptive average": layers.AdaptiveAveragePooling1D(3),
    "adaptive average first": layers.AdaptiveAveragePooling1D(3, data_format=FIRST),
    "up": layers.UpSampling1D(3),
    "padded": layers.ZeroPadding1D(2),
    "padded unevenly": layers.ZeroPadding1D((0, 3)),
    "padded first": layers.ZeroPadding1D((1, 2), data_format=FIRST),
    "cropped": layers.Cropping1D(2),
    "cropped unevenly": layers.Cropping1D((3, 0)),
}

IMAGES: dict[str, Any] = {
    "max": layers.MaxPooling2D(),
    "max same": layers.MaxPooling2D((3, 2), strides=(2, 1), padding="same"),
    "max first": layers.MaxPooling2D(2, strides=1, data_format=FIRST, padding="same"),
    "average": layers.AveragePooling2D((2, 3)),
    "average same": layers.AveragePooling2D(3, strides=2, padding="same"),
    "average first": layers.AveragePooling2D(2, padding="same", data_format=FIRST),
    "global max": layers.GlobalMaxPooling2D(),
    "global max first": layers.GlobalMaxPooling2D(data_format=FIRST, keepdims=True),
    "global average": layers.GlobalAvgPool2D(keepdims=True),
    "adaptive max": layers.AdaptiveMaxPooling2D((4, 2)),
    "adaptive average": layers.AdaptiveAveragePooling2D((3, 5)),
    "adaptive average first": layers.AdaptiveAveragePooling2D((3, 2), data_format=FIRST),
    "up": layers.UpSampling2D((2, 3)),
    "up first": layers.UpSampling2D(2, data_format=FIRST),
    "up linear": layers.UpSampling2D((3, 2), interpolation="bilinear"),
    "up linear first": layers.UpSampling2D(2, data_format=FIRST, interpolation="bilinear"),
    "resized": layers.Resizing(9, 4),
    "resized smaller": layers.Resizing(3, 2),
    "resized nearest": layers.Resizing(10, 3, interpolation="nearest"),
    "resized first": layers.Resizing(4, 7, data_format=FIRST),
    "resized and cropped": layers.Resizing(4, 8, crop_to_aspect_ratio=True),
    "resized and cropped sideways": layers.Resizing(9, 4, crop_to_aspect_ratio=True, interpolation="nearest"),
    "resized larger": layers.Resizing(9, 7, antialias=True),
    "resized smoothly": layers.Resizing(3, 5, antialias=True),
    "resized smoothly and cropped": layers.Resizing(3, 9, "bicubic", crop_to_aspect_ratio=True, antialias=True),
    "resized smoothly first": layers.Resizing(2, 9, "bicubic", antialias=True, data_format=FIRST),
    "centre": layers.CenterCrop(4, 4),
    "centre first": layers.CenterCrop(2, 1, data_format=FIRST),
    "centre of a smaller image": layers.CenterCrop(9, 5),
    "padded": layers.ZeroPadding2D(),
    "padded symmetrically": layers.ZeroPadding2D((1, 2)),
    "padded unevenly": layers.ZeroPadding2D(((0, 1), (2, 3)), data_format=FIRST),
    "cropped": layers.Cropping2D(1),
    "cropped unevenly": layers.Cropping2D(((0, 1), (2, 0))),
    "cropped first": layers.Cropping2D((1, 1), data_format=FIRST),
    "max op": lambda x: ops.max_pool(x, 2, strides=2, padding="same"),
    "max op first": lambda x: ops.max_pool(x, (1, 2), strides=1, data_format=FIRST),
    "average op": lambda x: ops.average_pool(x, (2, 1), strides=1, padding="same"),
    "adaptive ops": lambda x: ops.adaptive_max_pool(ops.adaptive_average_pool(x, (4, 4)), (3, 2)),
    "resize op": lambda x: ops.image.resize(x, (5, 9), interpolation="bilinear"),
    "resize op nearest": lambda x: ops.image.resize(x, (3, 9), interpolation="nearest"),
    "pad op": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (1, 0))),
    "pad op with a value": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=2.5),
    "pad op reflected": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="reflect"),
    "pad op mirrored": lambda x: ops.pad(x, ((0, 0), (2, 2), (3, 0), (0, 0)), mode="symmetric"),
    "pad op of nothing": lambda x: ops.pad(x, 0),
    "pad op of single numbers": lambda x: ops.pad(x, [[0], [1], [2], [0]]),
}

VOLUMES: dict[str, Any] = {
    "max": layers.MaxPooling3D(2),
    "max same": layers.MaxPooling3D((3, 2, 1), strides=(1, 2, 2), padding="same"),
    "average": layers.AveragePooling3D((1, 2, 3), strides=1),
    "average same first": layers.AveragePooling3D(2, padding="same", data_format=FIRST),
    "global": layers.GlobalAveragePooling3D(),
    "global max": layers.GlobalMaxPooling3D(keepdims=True, data_format=FIRST),
    "adaptive": layers.AdaptiveAveragePooling3D((2, 3, 2)),
    "adaptive max": layers.AdaptiveMaxPooling3D(2),
    "up": layers.UpSampling3D((1, 2, 3)),
    "padded": layers.ZeroPadding3D((1, 0, 2)),
    "cropped": layers.Cropping3D(((1, 0), (0, 1), (1, 1))),
    "cropped first": layers.Cropping3D(1, data_format=FIRST),
}


@pytest.mark.parametrize(("shape", "cases"), [((9, 4), LINES), ((7, 5, 4), IMAGES), ((4, 3, 3, 3), VOLUMES)], ids=len)
def test_layers_are_keras_own(shape: tuple[int, ...], cases: dict[str, Any], tmp_path: Path) -> None:
    """One model with an output for each case, saved and read; "first" cases see the same numbers in another layout."""
    x = keras.Input(shape)
    model = keras.Model(x, [case(x) for case in cases.values()])
    assert_same(read_keras(save(model, tmp_path / "m.keras")), model)


def test_fixed_point_results_are_near_keras_own() -> None:
    """A chain of these layers, exact but for one rounding each."""
    x = keras.Input((8, 8, 2))
    y = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    y = layers.UpSampling2D(2, interpolation="bilinear")(layers.ZeroPadding2D(1)(y))
    y = layers.AveragePooling2D(3, strides=2, padding="same")(layers.Resizing(7, 5)(y))
    model = keras.Model(x, layers.GlobalAveragePooling2D()(y))
    program = compile_network(read_keras(model)).program
    raw = np.random.default_rng(0).integers(-(1 << 15), 1 << 15, (16, 8, 8, 2))
    kind = program.nodes[program.outputs[0].node].type
    fixed = Emulator(program).run_raw([raw])[0] * 2.0 ** -float(kind.frac.max())
    given = np.ldexp(raw.astype(np.float32), -int(program.input_ops()[0].frac.max()))
    assert np.max(np.abs(fixed - outputs_of(model, [given])[0])) <= 4 * 2.0 ** -float(kind.frac.max())


def test_nearest_elements_are_exact() -> None:
    """At the middle between two elements the later one is taken; Keras's 32-bit arithmetic sometimes says otherwise there."""
    for old in (1, 2, 3, 7, 10, 19):
        image = np.arange(old, dtype=np.float64).reshape(1, old, 1, 1)
        for new in (1, 2, 5, 6, 13, 25):
            resized = np.asarray(ops.image.resize(image.astype(np.float32), (new, 1), interpolation="nearest"))
            found = Resize((new, 1), Interpolation.NEAREST).reference([image])
            middle = (2 * np.arange(new) + 1) * old % (2 * new) == 0
            np.testing.assert_array_equal(found[0, ~middle], resized[0, ~middle])
            np.testing.assert_array_equal(found[0, middle, 0, 0], ((np.arange(new) + 0.5) * old / new)[middle])


def test_bicubic_images_are_those_of_tensorflow() -> None:
    """Keras on PyTorch, too, has their weights where it is told to smooth what becomes larger, which changes nothing."""
    x = keras.Input((5, 4, 2))
    several = layers.TimeDistributed(layers.UpSampling2D((3, 2), interpolation="bicubic"))
    model = keras.Model(x, several(ops.expand_dims(x, 1))[:, 0])
    network = read_keras(model)
    assert [note for note in network.notes if "Keras on PyTorch has other weights" in note]
    images = inputs_of(model)
    wanted = ops.image.resize(images[0], (15, 8), interpolation="bicubic", antialias=True)
    result = network.evaluate(images)[network.outputs[0]]
    np.testing.assert_allclose(result, ops.convert_to_numpy(wanted), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("on_torch", [True, False])
def test_means_with_uneven_padding_are_those_of_the_backend(monkeypatch: pytest.MonkeyPatch, *, on_torch: bool) -> None:
    """Keras on PyTorch repeats elements at the edge of an image, where the others leave out what is padding."""
    x = keras.Input((7, 6, 2))
    model = keras.Model(x, [layers.AveragePooling2D((3, size), 2, padding="same")(x) for size in (3, 2)])
    (images,) = inputs_of(model)
    monkeypatch.setattr(LiveWeights, "on_torch", on_torch)
    network = read_keras(model)
    results = network.evaluate([images])
    pool, rows = torch.nn.functional.avg_pool2d, torch.tensor(images).movedim(3, 1)
    edges, there = (torch.nn.functional.pad(each, (0, 1, 1, 1)) for each in (rows, torch.ones_like(rows)))
    repeated = torch.nn.functional.pad(rows, (0, 1, 1, 1), "replicate")
    wanted = pool(repeated, 3, 2) if on_torch else pool(edges, 3, 2) / pool(there, 3, 2)
    np.testing.assert_allclose(results[network.outputs[0]], wanted.movedim(1, 3).numpy(), rtol=0.0, atol=1e-6)
    even = pool(rows, (3, 2), 2, (1, 0), count_include_pad=False)
    np.testing.assert_allclose(results[network.outputs[1]], even.movedim(1, 3).numpy(), rtol=0.0, atol=1e-6)
    assert len(network.notes) == (not on_torch)


def test_bicubic_images_of_live_models_on_pytorch_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have other weights than TensorFlow's, unless they are antialiased."""
    x = keras.Input((5, 4, 2))
    up, down = layers.UpSampling2D((3, 2), interpolation="bicubic"), layers.Resizing(3, 9, "bicubic", antialias=True)
    model = keras.Model(x, [up(x), down(x), ops.image.resize(x, (3, 9), interpolation="bicubic")])
    (images,) = inputs_of(model)
    monkeypatch.setattr(LiveWeights, "on_torch", True)
    network = read_keras(model)
    results = network.evaluate([images])
    of_torch = partial(torch.nn.functional.interpolate, torch.tensor(images).movedim(3, 1), mode="bicubic")
    for name, size, antialias in zip(network.outputs, [(15, 8), (3, 9), (3, 9)], [False, True, False], strict=True):
        wanted = of_torch(size=size, antialias=antialias).movedim(1, 3)
        np.testing.assert_allclose(results[name], wanted, rtol=0.0, atol=1e-5)
    assert not network.notes


def test_keras_2_files(tmp_path: Path) -> None:
    x = keras.Input((8, 8, 2))
    y = layers.ZeroPadding2D(name="pad")(layers.MaxPooling2D(name="pool")(x))
    y = layers.UpSampling2D(interpolation="bilinear", name="up")(y)
    model = keras.Model(x, layers.GlobalAveragePooling2D(name="mean")(y))
    for path in save_keras2(model, tmp_path):
        network = read_keras(path)
        assert [node.layer.kind for node in network.nodes[1:]] == ["MaxPool", "Pad", "Resize", "Reduce"]
        assert_same(network, model)


def test_the_user_s_name_is_that_of_the_pool() -> None:
    x = keras.Input((2, 6, 6))
    model = keras.Model(x, layers.MaxPooling2D(data_format=FIRST, name="pool")(x))
    network = read_keras(model)
    assert [node.name for node in network.nodes[1:]] == ["pool_channels_last", "pool", "pool_channels_first"]
    assert inputs_of(model)[0].shape[1:] == network.shapes()[network.inputs[0]]


@pytest.mark.parametrize(
    ("class_name", "config", "said"),
    [
        ("MaxPooling2D", {"pool_size": 2, "padding": "causal"}, "valid and same"),
        ("MaxPooling2D", {"pool_size": 9}, "windows that fit"),
        ("MaxPooling2D", {"pool_size": 0}, "pool_size"),
        ("MaxPooling2D", {"pool_size": [2, 2, 2]}, "pool_size"),
        ("MaxPooling2D", {"pool_size": 1 << 30, "padding": "same"}, "windows that fit"),
        ("AveragePooling2D", {"pool_size": 1 << 20, "padding": "same", "strides": 1}, "elements"),
        ("AveragePooling1D", {"pool_size": 2}, "1 spatial axes"),
        ("GlobalMaxPooling2D", {"data_format": "last"}, "channels_last or channels_first"),
        ("GlobalMaxPooling3D", {}, "3 spatial axes"),
        ("AdaptiveMaxPooling2D", {"output_size": [1 << 30, 2]}, "elements"),
        ("AdaptiveMaxPooling2D", {"output_size": 0}, "output_size"),
        ("UpSampling2D", {"size": 2, "interpolation": "lanczos3"}, "nearest, bilinear, bicubic"),
        ("UpSampling2D", {"size": 1 << 20, "interpolation": "bicubic"}, "elements"),
        ("UpSampling2D", {"size": 1 << 30}, "elements"),
        ("ZeroPadding2D", {"padding": -1}, "padding"),
        ("ZeroPadding2D", {"padding": [[1, 2], "a"]}, "padding"),
        ("ZeroPadding2D", {"padding": [1]}, "2 axes"),
        ("ZeroPadding2D", {"padding": 1 << 30}, "elements"),
        ("Cropping2D", {"cropping": 3}, "what leaves some"),
        ("Resizing", {"height": 3, "width": 3, "pad_to_aspect_ratio": True}, "ZeroPadding2D"),
        ("Resizing", {"height": 3, "width": 3, "interpolation": "area"}, "nearest, bilinear"),
        ("Resizing", {"height": 0, "width": 3}, "a positive size"),
        ("CenterCrop", {"height": 0, "width": 3}, "what leaves some"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, class_name: str, config: dict[str, Any], said: str) -> None:
    model = functional(source("x", 6, 6, 4), layer(class_name, "p", "x", **config), outputs=("p",))
    with pytest.raises(BitsmithError, match=said):
        read_keras(write_model(tmp_path, model))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (lambda x: ops.pad(x, 1), "batch axis"),
        (lambda x: ops.pad(x, (0, 1)), "batch axis"),
        (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), mode="linear_ramp"), "the padding mode 'linear_ramp'"),
        (lambda x: ops.max_pool(ops.expand_dims(x, 1), 1, strides=1), None),
    ],
)
def test_operations(operation: Any, said: str | None) -> None:
    x = keras.Input((6, 4))
    model = keras.Model(x, operation(x))
    if said is None:
        assert_same(read_keras(model), model)
        return
    with pytest.raises(BitsmithError, match=said):
        read_keras(model)
