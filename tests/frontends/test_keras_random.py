"""Random models, with branches, sharing and nesting, through all formats of Keras 3 and by-hand Keras 2 files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras_samples import assert_as_keras, assert_same, randomised, save, save_keras2

from bitsmith.frontends.keras.read import read_keras

WIDTH, STEPS = 4, 5


def _leaf(rng: random.Random, name: str) -> Any:
    """A layer from ``WIDTH`` values to as many."""
    kinds = [
        lambda: layers.Dense(WIDTH, activation=rng.choice(["relu", "tanh", "linear", "softmax"]), name=name),
        lambda: layers.Dense(WIDTH, use_bias=False, name=name),
        lambda: layers.BatchNormalization(scale=rng.random() < 0.5, center=rng.random() < 0.5, name=name),
        lambda: layers.LeakyReLU(negative_slope=0.25, name=name),
        lambda: layers.PReLU(name=name),
        lambda: layers.Dropout(0.5, name=name),
        lambda: layers.Activation(rng.choice(["sigmoid", "elu", "relu"]), name=name),
    ]
    return rng.choice(kinds)()


def _chain(rng: random.Random, name: str) -> Any:
    parts = [_leaf(rng, f"{name}_{k}") for k in range(rng.randint(1, 3))]
    return keras.Sequential([keras.Input((WIDTH,)), *parts], name=name)


def _graph(rng: random.Random, name: str, depth: int, size: int, inputs: int, outputs: int) -> Any:
    """A functional model whose operands are drawn from the latest tensors, so that branches meet again."""
    ports = [keras.Input((WIDTH,), name=f"{name}_in{k}") for k in range(inputs)]
    tensors, used = list(ports), []
    for number in range(size):
        label = f"{name}_{number}"
        recent = tensors[-4:]
        choice = rng.random()
        if choice < 0.2 and used:
            layer = rng.choice(used)
        elif choice < 0.35:
            layer = _chain(rng, label)
        elif choice < 0.5 and depth > 0:
            layer = _graph(rng, label, depth - 1, rng.randint(1, 4), 1, rng.randint(1, 2))
        elif choice < 0.7:
            merge = rng.choice([layers.Add, layers.Average, layers.Maximum, layers.Multiply])(name=label)
            tensors.append(merge([rng.choice(recent) for _ in range(rng.randint(2, 3))]))
            continue
        else:
            layer = _leaf(rng, label)
        used.append(layer)
        results = layer(rng.choice(recent))
        tensors.extend(results if isinstance(results, list) else [results])
    ends = [rng.choice(tensors[len(ports) :]) for _ in range(outputs)]
    return keras.Model(ports if inputs > 1 else ports[0], ends if outputs > 1 else ends[0], name=name)


def _recurrent(rng: random.Random, *, both: bool = False, **flags: bool) -> Any:
    """A recurrent layer, or several cells in one, that a mask may go through; perhaps in ``both`` directions."""
    if not both:
        flags |= {key: rng.random() < 0.4 for key in ("go_backwards", "zero_output_for_mask")}
    if rng.random() < 0.2:
        cells = (layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell)
        return layers.RNN([rng.choice(cells)(WIDTH) for _ in range(2)], **flags)
    unroll = not both and not flags["zero_output_for_mask"] and rng.random() < 0.3
    return rng.choice([layers.SimpleRNN, layers.LSTM, layers.GRU])(WIDTH, unroll=unroll, **flags)


def _hand_on(rng: random.Random) -> Any:
    """A layer that works on each step."""
    kinds = [
        lambda: layers.Dense(WIDTH, activation="relu"),
        lambda: layers.TimeDistributed(layers.Dense(WIDTH)),
        layers.BatchNormalization,
        layers.LayerNormalization,
        lambda: layers.SpatialDropout1D(0.1),
        lambda: layers.Conv1D(WIDTH, 2, padding="same"),
    ]
    return rng.choice(kinds)()


def _masked(rng: random.Random) -> Any:
    """Sequences with a mask, through layers that hand it on, merge it, lose it, or end it."""
    given = keras.Input((STEPS, WIDTH))
    x = layers.Masking()(given)
    earlier, results = [x], []
    for _ in range(rng.randint(2, 5)):
        kind = rng.choice(["recurrent", "both", "states", "merge", "attention", "other"])
        if kind == "recurrent":
            x = _recurrent(rng, return_sequences=True)(x)
        elif kind == "both":
            inner = _recurrent(rng, both=True, return_sequences=True)
            x = layers.Bidirectional(inner, rng.choice(["sum", "ave", "mul"]))(x)
        elif kind == "states":
            x, *states = _recurrent(rng, return_sequences=True, return_state=True)(x)
            results += keras.tree.flatten(states)
        elif kind == "merge":
            x = rng.choice([layers.Add, layers.Average, layers.Subtract])()([x, rng.choice(earlier)])
        elif kind == "attention":
            x = layers.Attention()([x, rng.choice(earlier)])
        else:
            x = _hand_on(rng)(x)
        earlier.append(x)
    ends = [layers.GlobalAveragePooling1D(), layers.Flatten(), _recurrent(rng), layers.Bidirectional(layers.GRU(2))]
    return keras.Model(given, [rng.choice(ends)(x), *results])


@pytest.mark.filterwarnings("ignore:.*destroy the mask:UserWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 80))])
def test_random_model_with_a_mask(seed: int, tmp_path: Path) -> None:
    """Some steps are left out: at the start, in the middle, at the end, all or none."""
    rng = random.Random(seed)
    model = randomised(_masked(rng), seed)
    numbers = np.random.default_rng(seed)
    counted = numbers.random((8, STEPS)) < rng.choice([0.3, 0.6, 0.9])
    x = (numbers.normal(size=(8, STEPS, WIDTH)) * counted[..., None]).astype(np.float32)
    for source in (model, save(model, tmp_path / "m.keras"), save(model, tmp_path / "m.h5")):
        assert_as_keras(read_keras(source), model, [x])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_model(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    model = randomised(_graph(rng, "m", 2, rng.randint(4, 12), rng.randint(1, 2), rng.randint(1, 3)), seed)
    assert_same(read_keras(model), model)
    (tmp_path / "arch.json").write_text(model.to_json())
    save(model, tmp_path / "arch.weights.h5")
    for path in (save(model, tmp_path / "m.keras"), save(model, tmp_path / "m.h5"), tmp_path / "arch.json"):
        assert_same(read_keras(path), model)
    for path in save_keras2(model, tmp_path):
        assert_same(read_keras(path), model)
