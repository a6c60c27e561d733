"""Operations of TensorFlow among the layers of Keras 2, as its files have them, against NumPy."""

from __future__ import annotations

from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_jsons import Config, functional, layer, source, write_model
from torch.nn import functional as functional_of_torch

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.read import read_model

X = np.random.default_rng(0).normal(size=(20, 2, 3))

SELF = ["x", 0, 0]


def _operation(function: str, *inbound: Any, **named: Any) -> Config:
    """An operation on the input, or on what comes ``inbound`` as the file has it."""
    config = {"name": "y", "trainable": True, "dtype": "float32", "function": function}
    nodes = [list(inbound) or [*SELF, named]]
    return {"class_name": "TFOpLambda", "name": "y", "config": config, "inbound_nodes": nodes}


def _model(tmp_path: Path, operation: Config) -> Path:
    return write_model(tmp_path, functional(source("x", 2, 3), operation, outputs=("y",)), {})


EXPONENTIAL = np.exp(X)

OPERATIONS: dict[str, tuple[Config, Any]] = {
    "sum": (_operation("__operators__.add", y=1.5, name=None), X + 1.5),
    "difference": (_operation("math.subtract", "_CONSTANT_VALUE", -1, 2.0, {"y": SELF, "name": None}), 2 - X),
    "product": (_operation("math.multiply", y=SELF, name="product"), X * X),
    "quotient": (_operation("math.truediv", "_CONSTANT_VALUE", -1, 1, {"y": ["x", 0, 0]}), 1 / X),
    "power": (_operation("math.pow", y=2), X**2),
    "larger": (_operation("math.maximum", y=[0.5, 0.0, -0.5]), np.maximum(X, [0.5, 0.0, -0.5])),
    "rectified": (_operation("nn.relu", name=None), np.maximum(X, 0)),
    "bent": (_operation("math.tanh"), np.tanh(X)),
    "mean": (_operation("math.reduce_mean", axis=[1, 2]), X.mean(axis=(1, 2))),
    "greatest": (_operation("math.reduce_max", axis=-1, keepdims=True), X.max(axis=-1, keepdims=True)),
    "place": (_operation("math.argmax", axis=2), X.argmax(axis=2)),
    "limited": (_operation("clip_by_value", clip_value_min=-0.5, clip_value_max=0.25), np.clip(X, -0.5, 0.25)),
    "shares": (_operation("nn.softmax", axis=-1), EXPONENTIAL / EXPONENTIAL.sum(axis=-1, keepdims=True)),
    "turned": (_operation("compat.v1.transpose", perm=[0, 2, 1], conjugate=False), X.transpose(0, 2, 1)),
    "shaped": (_operation("reshape", shape=[-1, 3, 2]), X.reshape(-1, 3, 2)),
    "beside": (
        _operation("concat", [*SELF, {"axis": 1, "name": "concat"}], [*SELF, {"axis": 1, "name": "concat"}]),
        np.concatenate([X, X], axis=1),
    ),
    "deviation": (_operation("math.reduce_std", axis=-1), X.std(axis=-1)),
    "variance": (_operation("math.reduce_variance", axis=1, keepdims=True), X.var(axis=1, keepdims=True)),
    "of length one": (_operation("math.l2_normalize", axis=-1), X / np.linalg.norm(X, axis=-1, keepdims=True)),
    "leaking": (_operation("nn.leaky_relu", alpha=0.1), np.where(X > 0, X, 0.1 * X)),
    "smooth": (
        _operation("nn.gelu", approximate=False),
        [[[v * (1 + erf(v / 2**0.5)) / 2 for v in r] for r in x] for x in X],
    ),
    "logarithms": (
        _operation("nn.log_softmax", axis=-1),
        np.log(EXPONENTIAL / EXPONENTIAL.sum(axis=-1, keepdims=True)),
    ),
    "products": (
        _operation("linalg.matmul", b=[[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]]),
        X @ np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]]),
    ),
    "remainder": (_operation("math.floormod", y=0.75), np.mod(X, 0.75)),
    "cut off": (_operation("cast", dtype="int32"), np.trunc(X)),
    "backwards": (_operation("reverse", axis=[2]), X[..., ::-1]),
    "rolled": (_operation("roll", shift=1, axis=2), np.roll(X, 1, axis=2)),
    "repeated": (_operation("tile", multiples=[1, 2, 1]), np.tile(X, (1, 2, 1))),
    "nearest": (_operation("math.round"), np.rint(X)),
    "arcs": (_operation("math.atan"), np.arctan(X)),
    "the same": (_operation("stop_gradient"), X),
    "whole quotient": (_operation("compat.v1.floor_div", y=0.5, name=None), np.floor(X / 0.5)),
    "sums so far": (_operation("math.cumsum", axis=2, exclusive=False), np.cumsum(X, axis=2)),
    "in order": (_operation("sort", axis=-1), np.sort(X, axis=-1)),
    "length": (_operation("compat.v1.norm", ord="euclidean", axis=2, keepdims=None), np.linalg.norm(X, axis=2)),
    "biased": (_operation("nn.bias_add", bias=[1.0, 2.0, 3.0]), X + np.arange(1.0, 4.0)),
    "scaled": (_operation("compat.v1.math.scalar_mul", "_CONSTANT_VALUE", -1, 2.0, {"x": SELF}), X * 2),
    "chosen": (
        _operation("compat.v1.gather", indices=[2, 0], validate_indices=None, axis=2, batch_dims=0),
        X[..., [2, 0]],
    ),
    "padded": (
        _operation("compat.v1.pad", paddings=[[0, 0], [1, 0], [0, 2]], mode="CONSTANT", constant_values=2.0),
        np.pad(X, [(0, 0), (1, 0), (0, 2)], constant_values=2.0),
    ),
    "mirrored": (
        _operation("pad", paddings=[[0, 0], [0, 0], [1, 2]], mode="REFLECT", constant_values=0),
        np.pad(X, [(0, 0), (0, 0), (1, 2)], mode="reflect"),
    ),
    "twice": (_operation("repeat", repeats=2, axis=1), np.repeat(X, 2, axis=1)),
    "zeros": (_operation("zeros_like"), np.zeros_like(X)),
    "ones": (_operation("ones_like"), np.ones_like(X)),
    "own products": (_operation("linalg.matmul", b=SELF, transpose_b=True), X @ X.swapaxes(1, 2)),
    "columns' products": (_operation("linalg.matmul", b=SELF, transpose_a=True), X.swapaxes(1, 2) @ X),
    "by a turned constant": (
        _operation("linalg.matmul", b=[[1.0, 2.0, 0.5], [3.0, -1.0, 0.25]], transpose_b=True),
        X @ np.array([[1.0, 3.0], [2.0, -1.0], [0.5, 0.25]]),
    ),
    "squares of differences": (
        _operation("math.squared_difference", y=[1.0, 2.0, 3.0]),
        (X - np.arange(1.0, 4.0)) ** 2,
    ),
    "several terms": (_operation("math.add_n", [*SELF, {}], [*SELF, {}], [*SELF, {}]), 3 * X),
    "a part": (_operation("slice", begin=[0, 0, 1], size=[-1, 1, -1]), X[:, :1, 1:]),
    "in a row": (_operation("keras.backend.batch_flatten"), X.reshape(20, 6)),
    "over one axis": (_operation("tensordot", b=[[1.0], [2.0], [3.0]], axes=1), X @ [[1.0], [2.0], [3.0]]),
    "wider": (_operation("expand_dims", axis=1), X[:, None]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str, tmp_path: Path) -> None:
    operation, wanted = OPERATIONS[name]
    network = read_model(_model(tmp_path, operation))
    np.testing.assert_allclose(network.evaluate([X])[network.outputs[0]], wanted, rtol=1e-6)


IMAGES = np.random.default_rng(1).normal(size=(3, 6, 8, 4))
KERNEL = np.random.default_rng(2).normal(size=(3, 2, 4, 5))
FIRST = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2))


SQUARES = np.pad(IMAGES**2, [(0, 0), (0, 0), (0, 0), (1, 1)])
NEAR = SQUARES[..., :-2] + SQUARES[..., 1:-1] + SQUARES[..., 2:]
WIDER = {"output_shape": [3, 14, 17, 5], "padding": "VALID"}


def _last(image: torch.Tensor) -> Any:
    return image.numpy().transpose(0, 2, 3, 1)


def _cells(rows: int, columns: int) -> Any:
    return IMAGES.reshape(3, 6 // rows, rows, 8 // columns, columns, 4)


ON_IMAGES: dict[str, tuple[Config, Any]] = {
    "convolution": (
        _operation(
            "compat.v1.nn.conv2d", filter=KERNEL.tolist(), strides=[1, 2, 1, 1], padding="VALID", data_format="NHWC"
        ),
        _last(functional_of_torch.conv2d(FIRST, torch.from_numpy(KERNEL.transpose(3, 2, 0, 1)), stride=(2, 1))),
    ),
    "groups": (
        _operation("nn.conv2d", filters=KERNEL[:, :, :2, :4].tolist(), strides=1, padding="VALID", dilations=[1, 2]),
        _last(
            functional_of_torch.conv2d(
                FIRST, torch.from_numpy(KERNEL[:, :, :2, :4].transpose(3, 2, 0, 1)), dilation=(1, 2), groups=2
            )
        ),
    ),
    "depthwise": (
        _operation("nn.depthwise_conv2d", filter=KERNEL[..., :2].tolist(), strides=[1, 1, 1, 1], padding="VALID"),
        _last(
            functional_of_torch.conv2d(
                FIRST, torch.from_numpy(KERNEL[..., :2].transpose(2, 3, 0, 1).reshape(8, 1, 3, 2)), groups=4
            )
        ),
    ),
    "greatest": (
        _operation("nn.max_pool2d", ksize=[1, 3, 2, 1], strides=[1, 3, 2, 1], padding="VALID", data_format=None),
        _cells(3, 2).max(axis=(2, 4)),
    ),
    "mean": (
        _operation("compat.v1.nn.avg_pool", ksize=2, strides=2, padding="SAME", data_format="NHWC"),
        _cells(2, 2).mean(axis=(2, 4)),
    ),
    "resized": (
        _operation("image.resize", size=[3, 4], method="bilinear", preserve_aspect_ratio=False, antialias=False),
        _last(functional_of_torch.interpolate(FIRST, size=(3, 4), mode="bilinear")),
    ),
    "repeated": (
        _operation("image.resize", size=[12, 16], method="nearest"),
        IMAGES.repeat(2, axis=1).repeat(2, axis=2),
    ),
    "larger": (
        _operation("nn.conv2d_transpose", filters=KERNEL.transpose(0, 1, 3, 2).tolist(), strides=2, **WIDER),
        _last(
            functional_of_torch.conv_transpose2d(
                FIRST, torch.from_numpy(KERNEL.transpose(2, 3, 0, 1)), stride=2, output_padding=(1, 1)
            )
        ),
    ),
    "from corner to corner": (
        _operation("compat.v1.image.resize_bilinear", size=[9, 4], align_corners=True),
        _last(functional_of_torch.interpolate(FIRST, size=(9, 4), mode="bilinear", align_corners=True)),
    ),
    "from the first": (
        _operation("compat.v1.image.resize_nearest_neighbor", size=[4, 12], name=None),
        _last(functional_of_torch.interpolate(FIRST, size=(4, 12), mode="nearest")),
    ),
    "of neighbors": (
        _operation("nn.local_response_normalization", depth_radius=1, bias=2.0, alpha=0.5, beta=0.75),
        IMAGES / (2 + 0.5 * NEAR) ** 0.75,
    ),
    "blocks": (
        _operation("nn.depth_to_space", block_size=2, data_format="NHWC"),
        IMAGES.reshape(3, 6, 8, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(3, 12, 16, 1),
    ),
    "of blocks": (
        _operation("nn.space_to_depth", block_size=2),
        _cells(2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(3, 3, 4, 16),
    ),
}


@pytest.mark.parametrize("name", ON_IMAGES)
def test_operations_on_images(name: str, tmp_path: Path) -> None:
    operation, wanted = ON_IMAGES[name]
    path = write_model(tmp_path, functional(source("x", 6, 8, 4), operation, outputs=("y",)), {})
    network = read_model(path)
    np.testing.assert_allclose(network.evaluate([IMAGES])[network.outputs[0]], wanted, rtol=1e-6)


def test_operations_on_steps(tmp_path: Path) -> None:
    steps, kernel = IMAGES[:, 0], KERNEL[0]
    for name, operation, wanted in (
        (
            "pool",
            _operation("nn.max_pool1d", ksize=2, strides=2, padding="VALID"),
            steps.reshape(3, 4, 2, 4).max(axis=2),
        ),
        (
            "convolution",
            _operation("compat.v1.nn.conv1d", filters=kernel.tolist(), stride=1, padding="VALID", data_format="NWC"),
            np.lib.stride_tricks.sliding_window_view(steps, 2, axis=1).transpose(0, 1, 3, 2).reshape(3, 7, 8)
            @ kernel.reshape(8, 5),
        ),
    ):
        (tmp_path / name).mkdir()
        network = read_model(write_model(tmp_path / name, functional(source("x", 8, 4), operation, outputs=("y",)), {}))
        np.testing.assert_allclose(network.evaluate([steps])[network.outputs[0]], wanted, rtol=1e-6)


@pytest.mark.parametrize(("sizes", "first"), [([1, 2], 1), ([3], 3), (3, 1)])
def test_parts_by_their_sizes_or_number(sizes: Any, first: int, tmp_path: Path) -> None:
    network = read_model(_model(tmp_path, _operation("split", num_or_size_splits=sizes, axis=-1)))
    np.testing.assert_array_equal(network.evaluate([X])[network.outputs[0]], X[..., :first])


def test_parts_of_an_axis(tmp_path: Path) -> None:
    network = read_model(_model(tmp_path, _operation("unstack", axis=1)))
    np.testing.assert_array_equal(network.evaluate([X])[network.outputs[0]], X[:, 0])


REFUSED: dict[str, tuple[Config, type[Exception], str]] = {
    "unknown": (_operation("image.rot90", k=1), UnsupportedError, "operation of TensorFlow is not read.*Rescaling"),
    "a window over samples": (
        _operation("nn.max_pool1d", ksize=[2, 2, 1], strides=1, padding="VALID"),
        UnsupportedError,
        "1 for the batch and the channels",
    ),
    "channels first": (
        _operation("nn.max_pool1d", ksize=2, strides=1, padding="VALID", data_format="NCW"),
        UnsupportedError,
        "data_format='NHWC'",
    ),
    "a kernel of other axes": (
        _operation("nn.conv2d", filters=KERNEL.tolist(), strides=1, padding="VALID"),
        UnsupportedError,
        "one or two spatial axes of both",
    ),
    "some samples": (_operation("slice", begin=[1, 0, 0], size=[-1, 1, 1]), UnsupportedError, "from 0 to -1"),
    "blocks of a line": (_operation("nn.space_to_depth", block_size=2), UnsupportedError, "batch, height, width"),
    "an argument": (_operation("math.reduce_mean", axis=1, weird=2), UnsupportedError, "the argument weird"),
    "conjugates": (_operation("transpose", perm=[0, 2, 1], conjugate=True), UnsupportedError, "argument conjugate"),
    "sums from the end": (_operation("math.cumsum", axis=1, reverse=True), UnsupportedError, "reverse=True"),
    "falling order": (_operation("sort", axis=1, direction="DESCENDING"), UnsupportedError, "accepted: direction="),
    "unknown sizes": (_operation("split", num_or_size_splits=[-1, 1], axis=1), UnsupportedError, "sizes that are"),
    "batch": (_operation("math.argmax", axis=0), UnsupportedError, "batch"),
    "words": (_operation("math.add", "_CONSTANT_VALUE", -1, "words", {"y": SELF}), UnsupportedError, "finite numbers"),
    "no constant": (_operation("math.add", "_CONSTANT_VALUE", -1, {"y": SELF}), UnsupportedError, "1 arguments"),
    "nothing": (_operation("math.add", "_CONSTANT_VALUE", -1), ModelFileError, "not a reference to a tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    operation, error, message = REFUSED[name]
    with pytest.raises(error, match=f"(?s){message}"):
        read_model(_model(tmp_path, operation))


def _of_sizes(function: str, name: str, *inbound: Any, **named: Any) -> Config:
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    nodes = [list(inbound) or [["shape", 0, 0, named]]]
    return {"class_name": "TFOpLambda", "name": name, "config": config, "inbound_nodes": nodes}


def _size(axis: int) -> tuple[Config, list[Any]]:
    """One of the sizes of the input, and the reference to it."""
    return _of_sizes("__operators__.getitem", f"size{axis}", slice_spec=axis), [f"size{axis}", 0, 0]


SHAPE = _of_sizes("compat.v1.shape", "shape", [*SELF, {"out_type": "int32"}])
SAMPLES, COUNT, WIDTH = _size(0), _size(1), _size(2)

BY_SIZES: dict[str, tuple[list[Config], Config, Any]] = {
    "all in a row": (
        [SAMPLES[0], _of_sizes("stack", "sizes", [*SAMPLES[1], {"axis": 0}], ["_CONSTANT_VALUE", -1, -1, {"axis": 0}])],
        _operation("reshape", shape=["sizes", 0, 0]),
        X.reshape(20, 6),
    ),
    "a product": (
        [SAMPLES[0], COUNT[0], WIDTH[0], _of_sizes("math.multiply", "all", [*COUNT[1], {"y": WIDTH[1]}])],
        _operation("reshape", shape=[SAMPLES[1], ["all", 0, 0], 1]),
        X.reshape(20, 6, 1),
    ),
    "the sizes of a part": (
        [
            _of_sizes("__operators__.getitem", "first", slice_spec={"start": None, "stop": 1, "step": None}),
            _of_sizes("concat", "sizes", ["first", 0, 0, {"axis": 0}], [["_CONSTANT_VALUE", -1, 6, {"axis": 0}]]),
        ],
        _operation("reshape", shape=["sizes", 0, 0]),
        X.reshape(20, 6),
    ),
    "a mean": (
        [COUNT[0], _of_sizes("cast", "count", [*COUNT[1], {"dtype": "float32"}])],
        _operation("math.truediv", y=["count", 0, 0]),
        X / 2,
    ),
    "rows of one number": (
        [
            SAMPLES[0],
            _of_sizes("fill", "row", [*SAMPLES[1], {"value": 2.0}], *(["_CONSTANT_VALUE", -1, n, {}] for n in (1, 3))),
        ],
        _operation("concat", ["row", 0, 0, {"axis": 1}], [*SELF, {"axis": 1}]),
        np.concatenate([np.full((20, 1, 3), 2.0), X], axis=1),
    ),
    "a row for each sample": (
        [
            SAMPLES[0],
            _of_sizes(
                "repeat", "rows", ["_CONSTANT_VALUE", -1, [[[1.0, 2.0, 3.0]]], {"repeats": SAMPLES[1], "axis": 0}]
            ),
        ],
        _operation("concat", ["rows", 0, 0, {"axis": 1}], [*SELF, {"axis": 1}]),
        np.concatenate([np.broadcast_to([[[1.0, 2.0, 3.0]]], (20, 1, 3)), X], axis=1),
    ),
    "numbers of places": (
        [
            WIDTH[0],
            _of_sizes("range", "places", [*WIDTH[1], {"delta": 1}]),
            _of_sizes("cast", "numbers", ["places", 0, 0, {"dtype": "float32"}]),
        ],
        _operation("math.multiply", y=["numbers", 0, 0]),
        X * np.arange(3),
    ),
}


@pytest.mark.parametrize("name", BY_SIZES)
def test_what_is_computed_of_sizes(name: str, tmp_path: Path) -> None:
    sizes, operation, wanted = BY_SIZES[name]
    path = write_model(tmp_path, functional(source("x", 2, 3), SHAPE, *sizes, operation, outputs=("y",)), {})
    network = read_model(path)
    np.testing.assert_allclose(network.evaluate([X])[network.outputs[0]], wanted, rtol=1e-6)


def test_sizes_that_depend_on_the_number_of_samples_in_another_way_are_refused(tmp_path: Path) -> None:
    more = _of_sizes("math.add", "more", [*SAMPLES[1], {"y": 1}])
    double = _of_sizes("math.multiply", "more", [*SAMPLES[1], {"y": 2}])
    for sizes, found in ((more, "2, 8, 21"), (double, "2, 14, 40")):
        operation = _operation("reshape", shape=[["more", 0, 0], -1])
        layers = (source("x", 2, 3), SHAPE, SAMPLES[0], sizes, operation)
        path = write_model(tmp_path, functional(*layers, outputs=("y",)), {})
        with pytest.raises(UnsupportedError, match=f"a size that is {found} for 1, 7, 20 samples"):
            read_model(path)


@pytest.mark.parametrize("function", ["math.minimum", "math.floormod", "math.maximum"])
def test_bounds_of_the_number_of_samples_are_refused(function: str, tmp_path: Path) -> None:
    """A number that is the same for 1, 7 and 20 samples, and another for more than 50."""
    bounded = _of_sizes(function, "bounded", [*SAMPLES[1], {"y": 50}])
    rest = _of_sizes("math.subtract", "rest", ["bounded", 0, 0, {"y": SAMPLES[1]}])
    number = _of_sizes("cast", "number", ["rest", 0, 0, {"dtype": "float32"}])
    layers = (
        source("x", 2, 3),
        SHAPE,
        SAMPLES[0],
        bounded,
        rest,
        number,
        _operation("math.multiply", y=["number", 0, 0]),
    )
    path = write_model(tmp_path, functional(*layers, outputs=("y",)), {})
    with pytest.raises(UnsupportedError, match="a choice or a bound by the number of samples"):
        read_model(path)


def test_an_output_of_sizes_alone_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path, functional(source("x", 2, 3), SHAPE, outputs=("shape",)), {})
    with pytest.raises(UnsupportedError, match="computed of sizes alone"):
        read_model(path)


def test_sizes_on_each_step_are_refused(tmp_path: Path) -> None:
    operation = _operation("reshape", shape=[SAMPLES[1], 6])
    inner = functional(source("x", 2, 3), SHAPE, SAMPLES[0], operation, outputs=("y",))
    steps = layer("TimeDistributed", "steps", "x", layer=inner)
    path = write_model(tmp_path, functional(source("x", 4, 2, 3), steps, outputs=("steps",)), {})
    with pytest.raises(UnsupportedError, match="shape, size0"):
        read_model(path)
