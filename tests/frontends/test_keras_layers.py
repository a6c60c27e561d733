"""Every translated Keras 3 layer, argument and operation against Keras itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_samples import assert_same, inputs_of, randomised, save

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import ModelFileError
from bitsmith.frontends.keras.activations import ACTIVATION_NAMES
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.input import Input

Build = Callable[[Any], Any]


def _check(build: Build, *shapes: tuple[int, ...]) -> None:
    inputs = [keras.Input(shape) for shape in shapes]
    model = randomised(keras.Model(inputs if len(inputs) > 1 else inputs[0], build(*inputs)))
    assert_same(read_keras(model), model)


VECTOR: dict[str, Build] = {
    "dense without bias": layers.Dense(3, use_bias=False),
    "relu limit": layers.ReLU(1.5),
    "relu all": layers.ReLU(max_value=2.0, negative_slope=0.25, threshold=0.5),
    "relu6": layers.ReLU(6),
    "leaky": layers.LeakyReLU(negative_slope=0.125),
    "elu": layers.ELU(alpha=0.5),
    "prelu": layers.PReLU(),
    "softmax": layers.Softmax(),
    "batch norm": layers.BatchNormalization(),
    "batch norm no scale": layers.BatchNormalization(scale=False, epsilon=0.1),
    "batch norm no center": layers.BatchNormalization(center=False),
    "batch norm of corrected training": layers.BatchNormalization(renorm=True),
    "batch norm neither": layers.BatchNormalization(center=False, scale=False),
    "rescaling": layers.Rescaling(0.5, offset=-1.0),
    "rescaling vector": layers.Rescaling(np.array([0.5, 1.0, 2.0, 4.0]), offset=np.array([0.0, 1.0, 2.0, 3.0])),
    "normalization": layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 0.0, 0.25, 4.0]),
    "normalization scalar": layers.Normalization(axis=None, mean=1.0, variance=4.0),
    "normalization inverted": layers.Normalization(mean=1.0, variance=4.0, invert=True),
    "dropout": layers.Dropout(0.5),
    "alpha dropout": layers.AlphaDropout(0.5),
    "gaussian dropout": layers.GaussianDropout(0.5),
    "gaussian noise": layers.GaussianNoise(0.5),
    "regularization": layers.ActivityRegularization(0.1),
    "identity": layers.Identity(),
    "flatten": layers.Flatten(),
    "reshape": layers.Reshape((2, 2)),
    "reshape wild": layers.Reshape((-1, 2)),
    "half precision weights": layers.Dense(3, dtype="float32", activation="relu"),
    "add twice": lambda x: layers.Add()([x, x]),
}

IMAGE: dict[str, Build] = {
    "dense": layers.Dense(5),
    "prelu shared": layers.PReLU(shared_axes=[1, 2]),
    "prelu": layers.PReLU(shared_axes=[1]),
    "softmax": layers.Softmax(axis=1),
    "softmax list": layers.Softmax(axis=[-2]),
    "softmax of two axes": layers.Softmax(axis=(1, 3)),
    "softmax of three axes": layers.Softmax(axis=(-1, 1, 2)),
    **{
        f"{merge.__name__} with a constant": lambda x, merge=merge: merge()([x, np.arange(0.5, 4.0)[None, None, None]])
        for merge in (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract)
    },
    "batch norm": layers.BatchNormalization(axis=1),
    "batch norm middle": layers.BatchNormalization(axis=-2),
    "normalization": layers.Normalization(axis=2, mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 4.0]),
    "spatial dropout": layers.SpatialDropout2D(0.5),
    "flatten": layers.Flatten(),
    "flatten first": layers.Flatten(data_format="channels_first"),
    "reshape": layers.Reshape((4, 6)),
    "permute": layers.Permute((3, 1, 2)),
    "scaled by channel": lambda x: ops.multiply(x, np.arange(4, dtype="float32").reshape(1, 1, 1, 4)),
    "shifted by row": lambda x: x + np.arange(2, dtype="float32").reshape(2, 1, 1),
    "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "expand": lambda x: ops.squeeze(ops.expand_dims(x, 2), axis=2),
    "reshape op": lambda x: ops.reshape(x, (-1, 8, 3)),
    "softmax op": lambda x: ops.softmax(x, axis=2),
    "log softmax op": lambda x: ops.log_softmax(x, axis=2),
    "glu op": lambda x: ops.glu(x, axis=1),
}

OPERATIONS: dict[str, Build] = {
    "add": lambda x: x + 1.5,
    "add first": lambda x: 1.5 + x,
    "add vector": lambda x: x + np.array([1.0, 2.0, 3.0, 4.0], dtype="float32"),
    "add itself": lambda x: x + x,
    "subtract": lambda x: x - 2,
    "subtract from": lambda x: 2 - x,
    "multiply": lambda x: x * 0.5,
    "product": lambda x: x * x,
    "difference": lambda x: (x * 2.0) - x,
    "divide": lambda x: x / 4,
    "negative": lambda x: -x,
    "maximum": lambda x: ops.maximum(x, 0.0),
    "maximum of two": lambda x: ops.maximum(x, -x),
    "minimum of two": lambda x: ops.minimum(x, -x),
    "clip": lambda x: ops.clip(x, -1, 0.5),
    "concatenate": lambda x: ops.concatenate([x, -x], axis=1),
    "relu with arguments": lambda x: keras.activations.relu(x, negative_slope=0.5, max_value=1.0, threshold=0.25),
    "leaky": ops.leaky_relu,
    "elu": lambda x: ops.elu(x, alpha=0.5),
    "celu": lambda x: ops.celu(x, alpha=0.5),
    "gelu": ops.gelu,
    "gelu exact": lambda x: ops.gelu(x, approximate=False),
    "select": lambda x: ops.select([x < -0.5, x > -0.8, x > 0.5], [x * x, x + 3.0, 7.0], default=2.5),
    "select without a default": lambda x: ops.select([x < -0.5, x > 0.5], [x * x, x]),
    "softmax": ops.softmax,
    "log softmax": ops.log_softmax,
    "glu": ops.glu,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "hard sigmoid": ops.hard_sigmoid,
    "hard tanh": ops.hard_tanh,
    "soft shrink": ops.soft_shrink,
    "hard shrink": ops.hard_shrink,
    "squareplus": ops.squareplus,
    "exp": ops.exp,
    "selu": ops.selu,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "silu": ops.silu,
    "hard silu": ops.hard_silu,
    "log sigmoid": ops.log_sigmoid,
    "tanh shrink": ops.tanh_shrink,
    "sparse plus": ops.sparse_plus,
    "sparse sigmoid": ops.sparse_sigmoid,
}

MERGES: dict[str, Build] = {
    "add": lambda *xs: layers.Add()(xs),
    "multiply": lambda *xs: layers.Multiply()(xs),
    "average": lambda *xs: layers.Average()(xs),
    "maximum": lambda *xs: layers.Maximum()(xs),
    "minimum": lambda *xs: layers.Minimum()(xs),
}


@pytest.mark.parametrize("name", VECTOR)
def test_layer_of_a_vector(name: str) -> None:
    _check(VECTOR[name], (4,))


@pytest.mark.parametrize("name", IMAGE)
def test_layer_of_an_image(name: str) -> None:
    _check(IMAGE[name], (2, 3, 4))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str) -> None:
    _check(OPERATIONS[name], (4,))


LOW_RANK: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "dense": (lambda: layers.Dense(3), (4,)),
    "convolution": (lambda: layers.Conv2D(3, 2, use_bias=False), (4, 4, 2)),
    "einsum": (lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), (2, 4)),
}


@pytest.mark.parametrize("name", LOW_RANK)
def test_changes_of_low_rank_are_part_of_the_kernel(name: str, tmp_path: Path) -> None:
    make, shape = LOW_RANK[name]
    model = keras.Sequential([keras.Input(shape), make()])
    model.layers[0].enable_lora(2, lora_alpha=3)
    randomised(model)
    assert_same(read_keras(model), model)
    assert_same(read_keras(save(model, tmp_path / "m.keras")), model)


@pytest.mark.parametrize("name", MERGES)
def test_merge_of_three_with_broadcasting(name: str) -> None:
    _check(MERGES[name], (2, 3), (3,), (1, 3))


def test_other_merges() -> None:
    _check(lambda x, y: layers.Subtract()([x, y]), (2, 3), (2, 3))
    _check(lambda x, y, z: layers.Concatenate(axis=1)([x, y, z]), (2, 3), (1, 3), (4, 3))
    _check(lambda x, y: layers.Concatenate()([x, y]), (2, 3), (2, 1))


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [(1, [(4,), (4,)]), ((2, 1), [(2, 3), (3, 4)]), (-1, [(2, 3), (4, 3)]), ((1, 2), [(3,), (2, 3)])],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(axes: Any, shapes: list[tuple[int, ...]], normalize: bool) -> None:
    _check(lambda x, y: layers.Dot(axes=axes, normalize=normalize)([x, y]), *shapes)


AUGMENTATIONS = [name for name in dir(layers) if name.startswith("Random") and name != "RandomCrop"]


@pytest.mark.filterwarnings("ignore:.*Explicitly requested dtype int64:UserWarning")  # MixUp with JAX
@pytest.mark.parametrize("name", [*AUGMENTATIONS, "RandAugment", "AugMix", "CutMix", "MixUp"])
def test_augmentation_is_left_out(name: str) -> None:
    takes = inspect.signature(getattr(layers, name)).parameters
    options = {
        "factor": 4 if name == "RandomPosterization" else 0.5,
        "height_factor": 0.5,
        "width_factor": 0.5,
        "color_ops": 2,
        "value_range": (0, 1),
    }
    given = {
        key: value for key, value in options.items() if key in takes and takes[key].default is inspect.Parameter.empty
    }
    x = keras.Input((6, 6, 3))
    model = keras.Model(x, layers.Dense(2)(getattr(layers, name)(**given)(x)))
    (values,) = inputs_of(model)
    network = read_keras(model)
    wanted = model.predict(values, verbose=0)  # called without training=False, Keras's layers change images
    np.testing.assert_allclose(network.evaluate([values])[network.outputs[0]], wanted, atol=1e-5)


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("size", [1, 4])
def test_discretization(mode: str, size: int) -> None:
    x = keras.Input((size,), name="x")
    model = keras.Model(x, layers.Discretization([-1.0, 0.25, 0.5], output_mode=mode)(x))
    values = np.array([-2.0, -1.0, 0.0, 0.25, 0.375, 0.5, 7.0, -1.5])[:, None] + np.zeros(size)
    network = read_keras(model)
    wanted = np.asarray(model(values), dtype=np.float64)
    np.testing.assert_array_equal(network.evaluate([values])[network.outputs[0]], wanted)
    np.testing.assert_array_equal(Emulator(compile_network(network, [values]).program).run([values])[0], wanted)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Discretization(num_bins=3), "adapt it to data"),
        (layers.Discretization([0.5, -1.0]), "accepted: rising numbers"),
    ],
)
def test_refused_boundaries(layer: Any, message: str) -> None:
    x = keras.Input((2,))
    with pytest.raises(ModelFileError, match=message):
        read_keras(keras.Model(x, layer(x)))


@pytest.mark.parametrize(
    "name", [name for name in ACTIVATION_NAMES if name not in ("binary_tanh", "ternary_tanh", "relu1")]
)
def test_activation_by_name(name: str) -> None:
    _check(lambda x: layers.Activation(name, name="act")(layers.Dense(12, activation=name, name="fc")(x)), (4,))


def test_inline_activations_become_nodes_of_their_own() -> None:
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.Dense(3, activation="relu", name="a"),
            layers.Dense(3, name="b"),
            layers.Dense(3, activation=layers.LeakyReLU(negative_slope=0.1), name="c"),
            layers.Activation(layers.ELU(0.5), name="d"),
            layers.Dense(2, activation="softmax", name="e"),
        ]
    )
    network = read_keras(randomised(model))
    assert [(node.name, node.source) for node in network.nodes] == [
        ("x", "InputLayer"),
        ("a", "Dense"),
        ("a_relu", "Activation"),
        ("b", "Dense"),
        ("c", "Dense"),
        ("c_leaky_relu", "Activation"),
        ("d", "Activation"),
        ("e", "Dense"),
        ("e_softmax", "Softmax"),
    ]
    assert_same(network, model)


def test_relu_is_zero_at_its_threshold() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, layers.ReLU(threshold=1.0)(x))
    values = np.array([[0.5, 1.0, 1.5]])
    network = read_keras(model)
    np.testing.assert_array_equal(network.evaluate([values])[network.outputs[0]], np.asarray(model(values)))


def test_adapted_normalization() -> None:
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (50, 4)).astype(np.float32))
    x = keras.Input((4,))
    model = keras.Model(x, layer(x))
    assert_same(read_keras(model), model)


def test_integer_input() -> None:
    x = keras.Input((4,), dtype="uint8", name="x")
    network = read_keras(keras.Model(x, layers.Rescaling(1 / 255)(x)))
    layer = network.node("x").layer
    assert isinstance(layer, Input)
    assert layer.integer


def test_scale_that_gives_more_elements() -> None:
    _check(lambda x: layers.Rescaling([[1.0], [2.0]], offset=0.5)(x), (1, 3))


@pytest.mark.parametrize("policy", ["float16", "mixed_bfloat16", "bfloat16"])
def test_float_policies(policy: str) -> None:
    x = keras.Input((4,))
    model = randomised(keras.Model(x, layers.Dense(3, dtype=policy)(x)))
    network = read_keras(model)
    inputs = inputs_of(model)
    wanted = np.asarray(model(inputs[0]), dtype=np.float64)
    got = network.evaluate([inputs[0].astype(np.float64)])[network.outputs[0]]
    np.testing.assert_allclose(got, wanted, rtol=0.1, atol=0.1)


def test_layers_have_the_names_of_keras() -> None:
    of_keras_2 = {
        "ThresholdedReLU",
        "BatchNormalizationV1",
        "BatchNormalizationV2",
        "SyncBatchNormalization",
        "SlicingOpLambda",
        "BinaryDense",
        "TernaryDense",
        "RandomWidth",
        "RandomHeight",
        "LocallyConnected1D",
        "LocallyConnected2D",
    }
    of_others = {"GarNet", "GarNetStack"}
    # The class of layers.GroupQueryAttention has another name.
    assert {name for name in LAYERS if not hasattr(layers, name)} == {*of_keras_2, *of_others, "GroupedQueryAttention"}
