"""Random small Keras models of each kind of layer, with weights as training may leave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

Rng: TypeAlias = np.random.Generator
Kind: TypeAlias = Callable[[Rng], keras.Model]

IMAGE, SERIES, ROW = (8, 8, 3), (8, 5), (12,)


def _activation(rng: Rng) -> str:
    return str(rng.choice(["relu", "tanh", "sigmoid", "leaky_relu", "elu", "linear"]))


def _chain(shape: tuple[int, ...], *parts: Any) -> keras.Model:
    return keras.Sequential([layers.Input(shape), *parts])


def _head(rng: Rng) -> list[Any]:
    """What turns features into a few results."""
    return [layers.Flatten(), layers.Dense(int(rng.integers(1, 6)), use_bias=bool(rng.random() < 0.7))]


def _dense(rng: Rng) -> keras.Model:
    hidden = [layers.Dense(int(rng.integers(4, 24)), _activation(rng)) for _ in range(rng.integers(1, 4))]
    return _chain(ROW, *hidden, *_head(rng))


def _convolution(rng: Rng) -> keras.Model:
    first = layers.Conv2D(4, 3, strides=int(rng.integers(1, 3)), padding="same", activation=_activation(rng))
    return _chain(IMAGE, first, layers.Conv2D(4, 2, activation="relu"), *_head(rng))


def _convolution_1d(rng: Rng) -> keras.Model:
    return _chain(SERIES, layers.Conv1D(6, 3, activation=_activation(rng)), *_head(rng))


def _depthwise(rng: Rng) -> keras.Model:
    kind = (
        layers.DepthwiseConv2D
        if rng.random() < 0.5
        else lambda *given, **more: layers.SeparableConv2D(4, *given, **more)
    )
    return _chain(IMAGE, kind(3, activation=_activation(rng)), *_head(rng))


def _transposed(rng: Rng) -> keras.Model:
    return _chain(IMAGE, layers.Conv2DTranspose(2, 3, strides=2), layers.Activation(_activation(rng)), *_head(rng))


def _normalization(rng: Rng) -> keras.Model:
    kinds = [layers.LayerNormalization(), layers.GroupNormalization(3), layers.UnitNormalization()]
    chosen = kinds[int(rng.integers(len(kinds)))]
    return _chain((4, 6), chosen, layers.Dense(6, "relu"), *_head(rng))


def _batch_normalization(rng: Rng) -> keras.Model:
    return _chain(ROW, layers.Dense(10), layers.BatchNormalization(), layers.ReLU(), *_head(rng))


def _pooling(rng: Rng) -> keras.Model:
    pools = [
        layers.MaxPooling2D(2),
        layers.AveragePooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(),
    ]
    first = [layers.Conv2D(4, 3, activation="relu")] if rng.random() < 0.5 else []
    return _chain(IMAGE, *first, pools[int(rng.integers(len(pools)))], *_head(rng))


def _functions(rng: Rng) -> keras.Model:
    names = ["gelu", "softplus", "swish", "hard_sigmoid", "selu", "softsign", "mish", "relu6", "softmax"]
    return _chain(ROW, layers.Dense(8, str(rng.choice(names))), *_head(rng))


def _classifier(rng: Rng) -> keras.Model:
    return _chain(ROW, layers.Dense(16, "relu"), layers.Dense(8, "relu"), layers.Dense(5, "softmax"))


def _recurrent(rng: Rng) -> keras.Model:
    kinds = [layers.LSTM, layers.GRU, layers.SimpleRNN]
    made = kinds[int(rng.integers(len(kinds)))](int(rng.integers(3, 8)), return_sequences=bool(rng.random() < 0.3))
    return _chain(SERIES, layers.Bidirectional(made) if rng.random() < 0.3 else made, *_head(rng))


def _merge(rng: Rng) -> keras.Model:
    kinds = [layers.Add, layers.Subtract, layers.Average, layers.Maximum, layers.Concatenate, layers.Multiply]
    x = layers.Input(ROW)
    count = {True: 2, False: int(rng.integers(2, 4))}
    chosen = kinds[int(rng.integers(len(kinds)))]
    branches = [layers.Dense(8, _activation(rng))(x) for _ in range(count[chosen is layers.Subtract])]
    y = chosen()(branches)
    for layer in _head(rng):
        y = layer(y)
    return keras.Model(x, y)


def _attention(rng: Rng) -> keras.Model:
    x = layers.Input(SERIES)
    y = layers.MultiHeadAttention(2, 4)(x, x)
    for layer in _head(rng):
        y = layer(y)
    return keras.Model(x, y)


def _moves(rng: Rng) -> keras.Model:
    parts = [layers.Permute((2, 1, 3)), layers.ZeroPadding2D(1), layers.Cropping2D(1), layers.UpSampling2D(2)]
    return _chain(IMAGE, parts[int(rng.integers(len(parts)))], layers.Conv2D(3, 3, activation="relu"), *_head(rng))


def _stated(rng: Rng) -> keras.Model:
    """A model that says what scale its inputs have; they are fed in that one, too, by :func:`stated`."""
    return _chain(IMAGE, layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"), *_head(rng))


KINDS: Mapping[str, Kind] = {
    "dense": _dense,
    "conv 2d": _convolution,
    "conv 1d": _convolution_1d,
    "depthwise": _depthwise,
    "transposed": _transposed,
    "normalization": _normalization,
    "batch normalization": _batch_normalization,
    "pooling": _pooling,
    "functions": _functions,
    "classifier": _classifier,
    "recurrent": _recurrent,
    "merge": _merge,
    "attention": _attention,
    "moves": _moves,
    "rescaling": _stated,
}


def made(kind: str, seed: int) -> keras.Model:
    """A model of ``kind`` with random weights; biases are some part of what the weights give."""
    rng = np.random.default_rng([seed, *kind.encode()])
    model = KINDS[kind](rng)
    size = float(rng.choice([0.5, 1.0, 2.0]))
    weights = []
    for variable in model.weights:
        value = np.asarray(variable.value)
        if variable.path.endswith("moving_variance"):
            weights.append(rng.uniform(0.3, 3.0, value.shape))
        elif value.ndim < 2:
            weights.append(value + rng.normal(0.0, 0.2, value.shape))
        else:
            weights.append(rng.normal(0.0, size / np.sqrt(np.prod(value.shape[:-1])), value.shape))
    model.set_weights(weights)
    return model
