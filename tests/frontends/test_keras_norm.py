"""Keras's normalisations, reductions and arithmetic against Keras itself, as float reference and in fixed point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_samples import assert_same, inputs_of, outputs_of, randomised, save, save_keras2

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.sample_norm import UnitNormalization

Build = Callable[[Any], Any]


def _model(build: Build, *shapes: tuple[int, ...]) -> Any:
    inputs = [keras.Input(shape) for shape in shapes]
    return randomised(keras.Model(inputs if len(inputs) > 1 else inputs[0], build(*inputs)))


def _check_fixed(model: Any, steps: float = 4.0) -> None:
    """The compiled program's results on inputs that its input formats hold exactly, next to Keras's in single precision.

    Weights have 16 bits, hence the few steps; each operation's own error is measured with the layers.
    """
    inputs = [np.clip(np.rint(x * 1024) / 1024, -32, 31.9) for x in inputs_of(model)]
    program = compile_network(read_keras(model)).program
    results = Emulator(program).run_raw([np.rint(x * 1024).astype(np.int64) for x in inputs])
    expected = outputs_of(model, [x.astype(np.float32) for x in inputs])
    for output, raw, real in zip(program.outputs, results, expected, strict=True):
        scale = np.exp2(-program.nodes[output.node].type.frac.astype(np.float64))
        assert np.max(np.abs(raw * scale - real) - 2e-5 * np.abs(real)) <= steps * scale.max()


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.5, 1.5, shape).astype(np.float32)


NORMALIZATIONS: dict[str, Build] = {
    "layer": layers.LayerNormalization(),
    "layer middle axis": layers.LayerNormalization(axis=2, epsilon=1e-5),
    "layer of two axes": layers.LayerNormalization(axis=[1, -1]),
    "layer without scale": layers.LayerNormalization(scale=False),
    "layer without center": layers.LayerNormalization(center=False),
    "layer with neither": layers.LayerNormalization(scale=False, center=False),
    "rms": layers.RMSNormalization(epsilon=1e-4),
    "rms of two axes": layers.RMSNormalization(axis=[2, 3]),
    "group": layers.GroupNormalization(2),
    "group of one": layers.GroupNormalization(1, center=False),
    "instance": layers.GroupNormalization(-1, epsilon=1e-4),
    "group along the first axis": layers.GroupNormalization(3, axis=1, scale=False),
    "group along the middle axis": layers.GroupNormalization(2, axis=-2),
    "unit": layers.UnitNormalization(),
    "unit of all axes": layers.UnitNormalization(axis=[1, 2, 3]),
    "normalize": lambda x: ops.normalize(x, axis=2),
    "normalize by sizes": lambda x: ops.normalize(x, order=1),
    "layer op": lambda x: ops.layer_normalization(x, axis=-1, epsilon=1e-3),
    "layer op of two axes": lambda x: ops.layer_normalization(
        x, _numbers(3, 4), _numbers(3, 4) - 1.0, axis=(3, 1), epsilon=1e-3
    ),
    "layer op without gamma": lambda x: ops.layer_normalization(x, beta=_numbers(3), axis=1, epsilon=1e-3),
    "layer op with gammas of all axes": lambda x: ops.layer_normalization(
        x, _numbers(1, 3, 1, 4), axis=2, epsilon=1e-3
    ),
    "layer op with gammas of the last axes": lambda x: ops.layer_normalization(x, _numbers(2, 4), axis=3, epsilon=1e-3),
    "rms op": lambda x: ops.rms_normalization(x, axis=-1, epsilon=1e-3),
    "rms op with a scale": lambda x: ops.rms_normalization(x, _numbers(2, 4), axis=(1, 3), epsilon=1e-3),
    "rms op with scales of all axes": lambda x: ops.rms_normalization(x, _numbers(1, 3, 1, 4), axis=1, epsilon=1e-3),
}


def test_normalisations() -> None:
    for build in NORMALIZATIONS.values():
        assert_same(read_keras(model := _model(build, (3, 2, 4))), model)


@pytest.mark.parametrize(
    "name", ["layer", "layer of two axes", "rms", "group", "unit", "normalize by sizes", "layer op of two axes"]
)
def test_normalisations_in_fixed_point(name: str) -> None:
    _check_fixed(_model(NORMALIZATIONS[name], (3, 2, 4)))


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_scaling_by_the_variance_without_centring() -> None:
    model = _model(lambda x: layers.LayerNormalization(rms_scaling=True)(x), (3, 4))
    assert_same(read_keras(model), model)
    model = _model(
        lambda x: ops.layer_normalization(x, _numbers(4), _numbers(4), epsilon=1e-3, rms_scaling=True), (3, 4)
    )
    assert_same(read_keras(model), model)


def test_normalisations_with_computed_scales_are_refused() -> None:
    for build in (lambda x, y: ops.layer_normalization(x, y), lambda x, y: ops.rms_normalization(x, scale=y)):
        with pytest.raises(UnsupportedError, match="computed from an input"):
            read_keras(_model(build, (4,), (4,)))


def test_rms_scale_aligns_with_the_last_axes_as_in_keras() -> None:
    model = _model(layers.RMSNormalization(axis=1), (3, 3))
    assert_same(read_keras(model), model)


def test_keras_2_files(tmp_path: Path) -> None:
    x = keras.Input((4, 6), name="x")
    y = layers.LayerNormalization(axis=-1, name="ln")(x)
    y = layers.GroupNormalization(3, name="gn")(y)
    model = randomised(keras.Model(x, y))
    for path in save_keras2(model, tmp_path):
        assert_same(read_keras(path), model)
    x = keras.Input((4,), name="x")
    text, _ = save_keras2(keras.Model(x, layers.UnitNormalization(name="un")(x)), tmp_path)
    layer = read_keras(text).node("un").layer
    assert isinstance(layer, UnitNormalization)
    assert layer.epsilon == 1e-6  # Keras 2 bounds the square by 1e-12


REDUCTIONS: dict[str, Build] = {
    "sum": lambda x: ops.sum(x, axis=1),
    "sum kept": lambda x: ops.sum(x, axis=(1, -1), keepdims=True),
    "mean": lambda x: ops.mean(x, axis=-1),
    "mean of all": lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
    "max": lambda x: ops.max(x, axis=2),
    "min": lambda x: ops.min(x, axis=1, keepdims=True),
    "amax": lambda x: ops.amax(x, axis=1),
    "amin": lambda x: ops.amin(x, axis=1),
    "prod": lambda x: ops.prod(x, axis=1),
    "var": lambda x: ops.var(x, axis=2, keepdims=True),
    "std": lambda x: ops.std(x, axis=1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=-1),
    "norm": lambda x: ops.norm(x, axis=(-1,)),
    "norm of a matrix": lambda x: ops.norm(x, axis=(1, 2), keepdims=True),
    "norm 2": lambda x: ops.norm(x, ord=2, axis=(1,), keepdims=True),
    "norm 1": lambda x: ops.norm(x, ord=1, axis=(1,)),
    "greatest size": lambda x: ops.norm(x, ord=float("inf"), axis=(-1,)),
    "any": lambda x: ops.cast(ops.any(x > 0.5, axis=1), "float32"),
    "all": lambda x: ops.cast(ops.all(x, axis=(1, 2), keepdims=True), "float32"),
    "share": lambda x: ops.sum(x > 0.5, axis=-1) / 4,
    "argmax": lambda x: ops.argmax(x, axis=1),
    "half of an index": lambda x: ops.argmax(x, axis=1) / 2,
    "argmin": lambda x: ops.argmin(x, axis=-1, keepdims=True),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "sorted": lambda x: ops.sort(x, axis=1),
    "order": lambda x: ops.argsort(x, axis=-1),
    "differences": lambda x: ops.diff(x, axis=1),
    "logarithm of a sum": lambda x: ops.logaddexp(x, 3 * x - 1),
    "to scalars": lambda x: ops.sum(x, axis=(1, 2)),
}


def test_reductions() -> None:
    for build in REDUCTIONS.values():
        assert_same(read_keras(model := _model(build, (3, 4))), model)


def test_reductions_in_fixed_point() -> None:
    _check_fixed(
        _model(lambda x: [REDUCTIONS[name](x) for name in ("mean", "var", "std", "logsumexp", "norm")], (3, 4))
    )


def _positive(x: Any) -> Any:
    return ops.abs(x) + 0.25


_MATRIX = np.arange(12, dtype="float32").reshape(3, 4) - 5.5

_ONE_HOT_LIMIT = 4 if keras.backend.backend() == "numpy" else 9
"""jax has a row of zeros for what is beyond the classes, numpy an error of its own."""

ARITHMETIC: dict[str, Build] = {
    "sqrt": lambda x: ops.sqrt(_positive(x)),
    "rsqrt": lambda x: ops.rsqrt(_positive(x)),
    "reciprocal": lambda x: ops.reciprocal(_positive(x)),
    "one over": lambda x: 1.0 / _positive(x),
    "constant over": lambda x: ops.divide(_MATRIX, _positive(x)),
    "over a tensor": lambda x: x / _positive(x),
    "over constants": lambda x: x / np.array([1.0, 2.0, 3.0, 4.0], dtype="float32"),
    "square": ops.square,
    "power": lambda x: x**3,
    "power with a fraction": lambda x: ops.power(_positive(x), 0.7),
    "abs": ops.abs,
    "sign": ops.sign,
    "floor": ops.floor,
    "ceil": ops.ceil,
    "trunc": ops.trunc,
    "round": ops.round,
    "cast": lambda x: ops.cast(ops.cast(x, "int32"), "float32"),
    "log": lambda x: ops.log(_positive(x)),
    "log2": lambda x: ops.log2(_positive(x)),
    "log10": lambda x: ops.log10(_positive(x)),
    "log1p": lambda x: ops.log1p(_positive(x)),
    "exp": ops.exp,
    "exp2": ops.exp2,
    "expm1": ops.expm1,
    "erf": ops.erf,
    "sin": ops.sin,
    "cos": ops.cos,
    "maximum with a constant": lambda x: ops.maximum(x, 0.5),
    "maximum with 0": lambda x: ops.maximum(0.0, x),
    "minimum with a constant": lambda x: ops.minimum(-0.5, x),
    "maximum with constants": lambda x: ops.maximum(x, _MATRIX),
    "matrix plus": lambda x: x + _MATRIX,
    "matrix minus": lambda x: ops.subtract(_MATRIX, x),
    "matrix times": lambda x: x * _MATRIX,
    "greater": lambda x: ops.cast(x > 0.3, "float32"),
    "less or equal": lambda x: ops.cast(x <= -x, "float32"),
    "equal": lambda x: ops.cast(ops.equal(ops.round(x), 1), "float32"),
    "not equal": lambda x: ops.cast(ops.not_equal(ops.round(x), 1), "float32"),
    "and": lambda x: ops.cast(ops.logical_and(x > 0, x < 1), "float32"),
    "or": lambda x: ops.cast(ops.logical_or(ops.floor(x), x < -1), "float32"),
    "not": lambda x: ops.cast(ops.logical_not(x > 0), "float32"),
    "where": lambda x: ops.where(x > 0, x, 0.5),
    "where of tensors": lambda x: ops.where(x > 0, x, ops.square(x)),
    "one hot": lambda x: ops.one_hot(ops.cast(ops.minimum(ops.abs(x) * 2, _ONE_HOT_LIMIT), "int32"), 5),
    "rescaling by element": layers.Rescaling(_MATRIX, offset=_MATRIX + 1),
    "normalization by element": layers.Normalization(axis=(1, 2), mean=_MATRIX, variance=_MATRIX**2 + 1),
}


def test_arithmetic() -> None:
    for build in ARITHMETIC.values():
        assert_same(read_keras(model := _model(build, (3, 4))), model)


def test_arithmetic_in_fixed_point() -> None:
    names = ("sqrt", "reciprocal", "over a tensor", "log", "matrix times", "where of tensors", "rescaling by element")
    _check_fixed(_model(lambda x: [ARITHMETIC[name](x) for name in names], (3, 4)))


def test_a_constant_keeps_its_name_beside_the_users() -> None:
    x = keras.Input((3, 4), name="x")
    model = keras.Model(x, layers.Rescaling(_MATRIX, offset=1.0, name="scaled")(x))
    assert [node.name for node in read_keras(model).nodes] == [
        "x",
        "scaled_scale",
        "scaled_scaled",
        "scaled_offset",
        "scaled",
    ]


REFUSED: dict[str, tuple[Build, str]] = {
    "all axes": (lambda x: ops.sum(x), "name the axes"),
    "batch axis": (lambda x: ops.sum(x, axis=0), "batch axis"),
    "initial": (lambda x: ops.max(x, axis=1, initial=1.0), "initial"),
    "spectral norm": (lambda x: ops.norm(x, ord=2, axis=(1, 2)), "root of the sum of squares"),
    "nuclear norm": (lambda x: ops.norm(x, ord="nuc", axis=(1, 2)), "the norm 'nuc'"),
    "order of a norm": (lambda x: ops.norm(x, ord=3, axis=1), "order 3"),
    "decimals": (lambda x: ops.round(x, 1), "2 decimals|1 decimals"),
    "division by zero": (lambda x: x / 0.0, "division by zero"),
    "power of two tensors": (lambda x: ops.cast(x, "int32") ** ops.cast(x + 1.0, "int32"), "a power of integers"),
    "constant per sample": (lambda x: ops.maximum(x, np.ones((5, 3, 4), dtype="float32")), "between samples"),
    "tensors of different rank": (lambda x: ops.maximum(x, ops.sum(x, axis=1)), "batch axes differ"),
    "one-hot first": (lambda x: ops.one_hot(ops.cast(x, "int32"), 5, axis=1), "axis=-1"),
    "a difference of truth values": (lambda x: ops.subtract(x > 0, True), "arithmetic on truth values"),
    "order 3": (lambda x: ops.normalize(x, order=3), "order 1, order 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, message = REFUSED[name]
    x = keras.Input((3, 4), name="x")
    with pytest.raises(UnsupportedError, match=message):
        read_keras(keras.Model(x, build(x)))


def test_saved_files(tmp_path: Path) -> None:
    model = _model(lambda x: ops.std(layers.LayerNormalization()(x), axis=1) + 1.5, (3, 4))
    assert_same(read_keras(save(model, tmp_path / "model.keras")), model)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization,
        layers.RMSNormalization,
        lambda: layers.GroupNormalization(groups=2),
        layers.UnitNormalization,
        layers.Softmax,
        lambda: layers.ReLU(negative_slope=0.5),
        layers.PReLU,
        lambda: layers.Activation("gelu"),
        lambda: keras.Sequential([layers.Reshape((4, 1)), layers.AveragePooling1D(2)]),
        lambda: keras.Sequential([layers.Reshape((2, 2, 1)), layers.UpSampling2D(2, interpolation="bilinear")]),
        lambda: keras.Sequential([layers.Reshape((2, 2, 1)), layers.Resizing(3, 3)]),
    ],
)
def test_functions_of_integers_which_keras_cuts_off_are_refused(layer: Callable[[], Any], dtype: str) -> None:
    x = keras.Input((4,), dtype=dtype)
    cast = keras.Model(x, layer()(ops.cast(x, "float32")))
    assert len(read_keras(cast).outputs) == 1
    with pytest.raises(UnsupportedError, match=f"of type {dtype}"):
        read_keras(keras.Model(x, layer()(x)))
