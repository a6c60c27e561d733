"""Masks of time steps in Keras's layers against Keras itself: each flag of each layer, live and from all file layouts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras_samples import assert_as_keras, outputs_of, randomised, save, save_keras2

import bitsmith
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.known import KNOWN
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.layer import Floats

STEPS, CHANNELS = 5, 3
RNG = np.random.default_rng(4)
COUNTED = np.array(
    [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 1, 0, 0], [0, 1, 0, 1, 0]], dtype=bool
)
"""Steps that a mask leaves: none, all, the last, the first, and with gaps."""
X = (RNG.normal(size=(6, STEPS, CHANNELS)) * COUNTED[..., None]).astype(np.float32)
TOKENS = (RNG.integers(1, 7, size=(6, STEPS)) * COUNTED).astype(np.int32)

Build = Callable[[Any], Any]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*destroy the mask:UserWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),  # the mean of nothing
    pytest.mark.filterwarnings("ignore:.*(\n|.)*divide by zero:RuntimeWarning"),  # steps of length 0
]


def recurrent(kind: str, **flags: bool) -> Any:
    """A recurrent layer, or several cells in one."""
    if kind == "cells":
        return layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(2), layers.LSTMCell(2)], **flags)
    return {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[kind](2, **flags)


KINDS = ("simple", "lstm", "gru", "cells")
FLAGS = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")


def each_flag(kind: str) -> list[Any]:
    """Layers with all flags in all ways; unrolled, backends of Keras do not agree on zeros."""
    found = [
        recurrent(kind, **dict(zip(FLAGS, flags, strict=True))) for flags in itertools.product((False, True), repeat=4)
    ]
    unrolled = itertools.product((False, True), repeat=2)
    return found + [recurrent(kind, return_sequences=a, go_backwards=b, unroll=True) for a, b in unrolled]


def both_directions(kind: str) -> list[Any]:
    """Both directions, merged in all ways, of layers whose own flag for zeros Keras overrules."""
    modes = ("concat", "sum", "mul", "ave", None)
    found = [
        layers.Bidirectional(recurrent(kind, return_sequences=a, return_state=b, zero_output_for_mask=not a), mode)
        for mode, a, b in itertools.product(modes, (False, True), (False, True))
        if not (mode is None and b)  # whose results Keras itself cannot tell apart
    ]
    backwards = recurrent(kind, return_sequences=True, go_backwards=True)
    other = layers.Bidirectional(backwards, "ave", backward_layer=recurrent(kind, return_sequences=True))
    return [*found, other]


def others() -> dict[str, Build]:
    """Ways of masks through, into and out of layers that are not recurrent."""

    def ends(x: Any) -> Any:
        return layers.GRU(2)(x)

    def lost(x: Any) -> Any:
        """Moves elements and moves them back; what moves nothing keeps its mask in some backends."""
        return layers.Permute((2, 1))(layers.Permute((2, 1))(x))

    inner = keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Dense(2), layers.GRU(2, return_sequences=True)])
    begins = keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Masking(), layers.Dense(2)])
    time = layers.TimeDistributed
    return {
        "each step": lambda x: ends(time(layers.Dense(2))(x)),
        "mean": layers.GlobalAveragePooling1D(),
        "mean, axes kept": lambda x: layers.GlobalAveragePooling1D(keepdims=True)(layers.Dense(2)(x)),
        "lost": lambda x: ends(lost(x)),
        "lost in a convolution": lambda x: ends(layers.Conv1D(2, 2, padding="same")(x)),
        "unmerged": lambda x: [ends(y) for y in layers.Bidirectional(layers.GRU(2, return_sequences=True), None)(x)],
        "sum": lambda x: ends(layers.Add()([x, layers.Dense(CHANNELS)(x)])),
        "sum with what has none": lambda x: ends(layers.Add()([x, lost(x)])),
        "beside": lambda x: ends(layers.Concatenate()([x, layers.Dense(2)(x)])),
        "beside what has none": lambda x: ends(layers.Concatenate()([lost(x), x])),
        "one after another": lambda x: ends(layers.Concatenate(1)([x, layers.Dense(CHANNELS)(x)])),
        "after what has none": lambda x: ends(layers.Concatenate(1)([lost(x), x])),
        "nested": lambda x: ends(inner(x)),
        "nested begins": lambda x: ends(begins(x)),
        "attention": lambda x: ends(layers.Attention()([x, layers.Dense(CHANNELS)(x)])),
        "heads": lambda x: ends(layers.MultiHeadAttention(2, 3)(layers.Dense(CHANNELS)(x), x)),
        "beside initial states": lambda x: layers.GRU(2, return_sequences=True)(x, initial_state=ends(x)),
        "stack": lambda x: ends(layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x)),
    }


def given() -> dict[str, Callable[[Any, Any], Any]]:
    """Masks that a call names."""

    def begun(x: Any, mask: Any, **flags: bool) -> Any:
        return layers.GRU(2, **flags)(x, mask=mask, initial_state=layers.GRU(2)(x))

    inner = keras.Input((STEPS, CHANNELS))
    model = keras.Model(inner, layers.GRU(2)(layers.Dense(2)(inner)))
    both = [layers.GRU(2, return_sequences=True), layers.LSTM(2, return_sequences=True)]
    return {
        **{
            f"both {kind}": lambda x, mask, kind=kind: layers.Bidirectional(both[kind])(x, mask=mask) for kind in (0, 1)
        },
        "each step": lambda x, mask: layers.GRU(2)(layers.TimeDistributed(layers.Dense(2))(x, mask=mask)),
        "mean": lambda x, mask: layers.GlobalAveragePooling1D()(x, mask=mask),
        "mean, channels first": lambda x, mask: layers.GlobalAveragePooling1D("channels_first")(
            layers.Permute((2, 1))(x), mask=mask
        ),
        "normalized": lambda x, mask: layers.GRU(2)(layers.BatchNormalization()(x, mask=mask)),
        "attention": lambda x, mask: layers.Attention()([x, x], mask=[mask, mask]),
        "nested": lambda x, mask: model(x, mask=mask),
        "begun": begun,
        "begun sequences": lambda x, mask: begun(x, mask, return_sequences=True),
        "begun zeros": lambda x, mask: begun(x, mask, return_sequences=True, zero_output_for_mask=True),
        "begun unrolled": lambda x, mask: begun(x, mask, unroll=True, go_backwards=True),
        "begun unrolled sequences": lambda x, mask: begun(
            x, mask, unroll=True, return_sequences=True, go_backwards=True
        ),
        "begun both": lambda x, mask: layers.Bidirectional(layers.GRU(2, unroll=True))(
            x, mask=mask, initial_state=[layers.GRU(2)(x), layers.GRU(2)(x)]
        ),
    }


def models() -> dict[str, tuple[Any, list[np.ndarray]]]:
    """A model of many outputs for each group, and its inputs."""
    x, tokens = keras.Input((STEPS, CHANNELS)), keras.Input((STEPS,), dtype="int32")
    mask = keras.Input((STEPS,), dtype="bool")
    masked, embedded = layers.Masking()(x), layers.Embedding(7, CHANNELS, mask_zero=True)(tokens)
    found = {}
    for kind in KINDS:
        operand, ends, values = (masked, x, X) if kind in ("simple", "gru") else (embedded, tokens, TOKENS)
        results = [result for layer in each_flag(kind) for result in keras.tree.flatten(layer(operand))]
        found[kind] = keras.Model(ends, results), [values]
        results = [result for layer in both_directions(kind) for result in keras.tree.flatten(layer(operand))]
        found[f"both {kind}"] = keras.Model(ends, results), [values]
    results = [result for build in others().values() for result in keras.tree.flatten(build(masked))]
    found["others"] = keras.Model(x, results), [X]
    results = [result for build in given().values() for result in keras.tree.flatten(build(x, mask))]
    found["given"] = keras.Model([x, mask], results), [X, COUNTED]
    return {name: (randomised(model), inputs) for name, (model, inputs) in found.items()}


@pytest.fixture(scope="module")
def samples() -> dict[str, tuple[Any, list[np.ndarray]]]:
    return models()


GROUPS = [*KINDS, *(f"both {kind}" for kind in KINDS), "others", "given"]


@pytest.mark.parametrize("group", GROUPS)
def test_live_models(samples: dict[str, Any], group: str) -> None:
    model, inputs = samples[group]
    assert_as_keras(read_keras(model), model, inputs)


@pytest.mark.parametrize(
    "group",
    [pytest.param(group, marks=[] if group in ("lstm", "both gru", "given") else pytest.mark.slow) for group in GROUPS],
)
def test_files_hold_what_the_live_model_does(samples: dict[str, Any], group: str, tmp_path: Path) -> None:
    model, inputs = samples[group]
    values = [np.asarray(one, np.float64) for one in inputs]
    live = read_keras(model)
    expected = live.evaluate(values)
    for name in ("m.keras", "m.h5"):
        network = read_keras(save(model, tmp_path / name))
        found = network.evaluate(values)
        for have, want in zip(network.outputs, live.outputs, strict=True):
            np.testing.assert_array_equal(found[have], expected[want])


CHAINS: dict[str, Sequence[Any]] = {
    "both directions": [layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.Dense(2)],
    "zeros": [layers.BatchNormalization(), layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)],
    "each step": [layers.TimeDistributed(layers.Dense(3)), layers.GRU(2)],
    "mean": [layers.SpatialDropout1D(0.1), layers.GlobalAveragePooling1D()],
    "lost": [layers.Reshape((CHANNELS, STEPS)), layers.GRU(2)],
    "nested": [keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Dense(3)]), layers.GRU(2)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_do_not_say_where_masks_go(name: str, tmp_path: Path) -> None:
    model = randomised(keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Masking(), *CHAINS[name]]))
    for source in (model, save(model, tmp_path / "m.keras"), *save_keras2(model, tmp_path)):
        assert_as_keras(read_keras(source), model, [X])


ARGUMENTS: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "tanh"},
    "Dense": {"units": CHANNELS},
    "EinsumDense": {"equation": "abc,cd->abd", "output_shape": (None, CHANNELS)},
    "GroupNormalization": {"groups": 1},
    "Permute": {"dims": (2, 1)},
    "Reshape": {"target_shape": (CHANNELS, STEPS)},
    "Rescaling": {"scale": 2.0},
    **{key: {"filters": CHANNELS, "kernel_size": 1} for key in ("Conv1D", "SeparableConv1D")},
    **{key: {"rate": 0.1} for key in ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D")},
    "GaussianNoise": {"stddev": 0.1},
}
"""What layers of Keras need, of those that work on sequences."""


def _on_sequences() -> list[str]:
    """Layers that are known here, and that give a sequence of one."""
    found = []
    for name in sorted(KNOWN):
        layer = getattr(layers, name, None)
        if (
            layer is None
            or name.endswith(("2D", "3D", "Mix", "MixUp"))  # the latter, as others of images, are at work unless told
            or name.startswith("Rand")
            or name in ("InputLayer", "Masking", "Embedding", "RNN", "Softmax", "Normalization")
        ):
            continue
        try:
            shape = layer(**ARGUMENTS.get(name, {})).compute_output_shape((None, STEPS, CHANNELS))
        except Exception:
            continue
        found += [name] if isinstance(shape, tuple) and len(shape) == 3 and shape[1] else []
    return found


@pytest.mark.parametrize("name", _on_sequences())
def test_each_layer_hands_on_the_mask_that_keras_does(name: str) -> None:
    """A chain does not say it, so that Keras decides at each call."""
    layer = getattr(layers, name)(**ARGUMENTS.get(name, {}))
    model = keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Masking(), layer, layers.SimpleRNN(2)])
    assert_as_keras(read_keras(randomised(model)), model, [X])


@pytest.mark.parametrize("merge", ["Add", "Average", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate"])
def test_keras_2_counts_what_counts_in_all_operands(
    merge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Keras 3 makes of the same mask if it is given; what has none counts everywhere."""
    monkeypatch.setattr(getattr(layers, merge), "compute_mask", lambda *_: None)  # which becomes layers of the model
    x, y = (keras.Input((STEPS, CHANNELS), name=name) for name in ("x", "y"))
    masked = [layers.Masking(name=f"masking_{k}")(one) for k, one in enumerate((x, y))]
    plain = [] if merge == "Subtract" else [layers.Reshape((STEPS, CHANNELS), name="plain")(x)]
    both = getattr(layers, merge)(name="both")([*masked, *plain])
    model = randomised(
        keras.Model([x, y], keras.Sequential([keras.Input(both.shape[1:]), layers.GRU(2)], name="s")(both))
    )
    shifted = np.roll(X, 1, axis=0)
    counted = COUNTED & np.roll(COUNTED, 1, axis=0)
    values = keras.Model([x, y], both)([X, shifted])
    if merge in (
        "Multiply",
        "Maximum",
        "Minimum",
    ):  # which Keras 3 takes from one operand where the other does not count
        fold = {"Multiply": np.multiply, "Maximum": np.maximum, "Minimum": np.minimum}[merge]
        values = fold(fold(X, shifted), X)
    want = np.asarray(model.layers[-1].layers[-1](values, mask=counted))
    for path in save_keras2(model, tmp_path):
        network = read_keras(path)
        found = network.evaluate([X.astype(np.float64), shifted.astype(np.float64)])[network.outputs[0]]
        np.testing.assert_allclose(found, want, 1e-4, 2e-5)


def masked_chain(*inner: Any) -> Any:
    return keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.Masking(), *inner])


def product() -> Any:
    x = layers.Masking()(given := keras.Input((STEPS, CHANNELS)))
    return keras.Model(given, layers.Multiply()([x, layers.Dense(CHANNELS)(x)]))


def within_steps() -> Any:
    given = keras.Input((2, STEPS, CHANNELS))
    return keras.Model(given, layers.TimeDistributed(layers.GRU(2))(layers.Masking()(given)))


def several() -> Any:
    x, mask = keras.Input((STEPS, CHANNELS)), keras.Input((STEPS,), dtype="bool")
    return keras.Model([x, mask], layers.Attention()([x, x], mask=[None, mask]))


REFUSED: dict[str, Callable[[], Any]] = {
    "a sequence with a mask": product,
    "a sequence with a mask .*": within_steps,
    "several masks of one operand": several,
    "a mask beside zero_output_for_mask=True and unroll=True": lambda: masked_chain(
        layers.Bidirectional(layers.GRU(2, unroll=True, return_sequences=True))
    ),
}


@pytest.mark.parametrize("found", REFUSED)
def test_refusals(found: str) -> None:
    with pytest.raises(UnsupportedError, match=found):
        read_keras(REFUSED[found]())


def test_a_note_says_where_backends_differ() -> None:
    x, mask = keras.Input((STEPS, CHANNELS)), keras.Input((STEPS,), dtype="bool")
    y = layers.GRU(2, name="it")(x, mask=mask, initial_state=layers.GRU(2)(x))
    (note,) = read_keras(keras.Model([x, mask], y)).notes
    assert "'it'" in note and "TensorFlow" in note


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_fixed_point_model_is_close(seed: int) -> None:
    rng = random.Random(seed)
    kind = rng.choice(KINDS[:3])
    x = layers.Masking()(start := keras.Input((STEPS, CHANNELS)))
    x = layers.Bidirectional(recurrent(kind, return_sequences=True))(x)
    x = layers.Concatenate()([x, recurrent(kind, return_sequences=True, zero_output_for_mask=True)(x)])
    model = randomised(keras.Model(start, [x, layers.GlobalAveragePooling1D()(x)]), seed)
    found: list[Floats] = bitsmith.convert(model, calibration=X.astype(np.float64), check=False).predict(X)
    with np.errstate(invalid="ignore"):
        wanted = outputs_of(model, [X])
    assert np.abs(found[0] - wanted[0]).max() < 1e-3
    assert np.abs(found[1] - wanted[1])[COUNTED.any(axis=1)].max() < 1e-3


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_state_that_is_always_0(kind: str) -> None:
    """A state that no step moves has the type of a constant 0."""
    cell = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[kind]
    x = keras.Input((STEPS, CHANNELS))
    positive = layers.Activation("relu")(layers.Masking()(x))
    net = keras.Model(x, cell(2, activation="relu", use_bias=False, return_sequences=True)(positive))
    for weight in net.weights:
        weight.assign(-np.abs(RNG.normal(size=weight.shape)))
    model = bitsmith.convert(net, calibration=X)
    assert not model.predict(X).any() and not outputs_of(net, [X])[0].any()
