"""Models over time that take one step a sample: their results are those of whole sequences, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.errors import InputDataError, UnsupportedError

torch = pytest.importorskip("torch")

STEPS, CHANNELS = 12, 3
FORMATS = {"Model": {"Precision": "fixed<20,8>"}}

Array = npt.NDArray[np.float64]


def sequences(shape: tuple[int, ...] = (5, STEPS, CHANNELS)) -> Array:
    return np.random.default_rng(0).uniform(-1, 1, shape)


def causal(seed: int) -> keras.Model:
    """A temporal convolutional network with random sizes, dilations and layers between."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x = y = keras.Input((STEPS, CHANNELS))
    for layer in range(int(rng.integers(1, 4))):
        size, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        before = y
        y = keras.layers.Conv1D(4, size, padding="causal", dilation_rate=dilation, name=f"conv{layer}")(y)
        y = keras.layers.BatchNormalization()(y) if rng.random() < 0.5 else y
        y = keras.layers.Activation(("relu", "tanh")[layer % 2])(y)
        y = keras.layers.Add()([before, y]) if layer else y
    if rng.random() < 0.5:
        y = keras.layers.GRU(3, return_sequences=True, name="gru")(y)
    return keras.Model(x, keras.layers.Dense(2, name="out")(y))


def steps_of(model: bitsmith.Model, x: Array, axis: int = 0) -> Array:
    """The results for the steps of one sequence, from a reset on, behind each other."""
    model.reset_states()
    results = model.predict(np.moveaxis(np.moveaxis(x, axis, 0)[:, None], 1, axis + 1))
    assert isinstance(results, np.ndarray)
    stacked: Array = np.moveaxis(results, axis + 1, 1)[:, 0]
    return stacked


def check(seed: int) -> None:
    x, network = sequences(), causal(seed)
    model = bitsmith.convert(network, calibration=x, config=FORMATS, check=False)
    stream = bitsmith.streamed(model)
    for one, wanted in zip(x, model.predict(x), strict=True):
        np.testing.assert_array_equal(steps_of(stream, one), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_steps_equal_whole_sequences(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("seed", range(3, 60))
def test_steps_of_random_networks_equal_whole_sequences(seed: int) -> None:
    check(seed)


def test_formats_of_auto_give_the_results_of_keras() -> None:
    x, network = sequences(), causal(1)
    stream = bitsmith.streamed(bitsmith.convert(network, calibration=x))
    for one, wanted in zip(x, np.asarray(network.predict(x, verbose=0)), strict=True):
        np.testing.assert_allclose(steps_of(stream, one), wanted, atol=2.0**-9)


class Causal(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A causal convolution as PyTorch writes it: zeros in front, channels first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv1d(CHANNELS, 4, 3, dilation=2)
        self.mixed = torch.nn.Conv1d(4, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.mixed(torch.relu(self.conv(torch.nn.functional.pad(x, (4, 0)))))


def test_steps_of_torch_lie_along_the_last_axis() -> None:
    x, module = sequences((5, CHANNELS, STEPS)), Causal().eval()
    stream = bitsmith.streamed(bitsmith.convert(module, calibration=x, input_shape=(CHANNELS, STEPS)), axis=1)
    wanted = module(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    for one, expected in zip(x, wanted, strict=True):
        np.testing.assert_allclose(steps_of(stream, one, 1), expected.T, atol=2.0**-9)


def test_what_is_not_causal_is_refused() -> None:
    x = keras.Input((STEPS, CHANNELS))
    refused = {
        "Conv1D that looks ahead|several steps": keras.layers.Conv1D(2, 3, padding="same", name="layer"),
        "Conv1D, which needs several steps|looks ahead": keras.layers.Conv1D(2, 3, strides=2, name="layer"),
        "several steps at once": keras.layers.GlobalAveragePooling1D(name="layer"),
    }
    for message, layer in refused.items():
        model = bitsmith.convert(keras.Model(x, layer(x)), check=False)
        with pytest.raises(UnsupportedError, match=message) as error:
            bitsmith.streamed(model)
        assert error.value.where == "layer 'layer'"
    model = bitsmith.convert(keras.Model(x, keras.layers.Conv1D(2, 3, padding="causal")(x)), check=False)
    with pytest.raises(InputDataError, match="the axis 2 of time"):
        bitsmith.streamed(model, axis=2)


def windowed(seed: int, steps: int = STEPS) -> keras.Model:
    """Convolutions without padding of random sizes, the last one over all steps that are left, and a classifier."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x = y = keras.Input((steps, 1, CHANNELS))
    for _ in range(int(rng.integers(0, 3))):
        size = int(rng.integers(1, 4))
        y = keras.layers.DepthwiseConv2D((size, 1))(y)
        y = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 1)(y)))
    y = keras.layers.Conv2D(4, (y.shape[1], 1), activation="tanh")(y)
    y = keras.layers.Reshape((2, 2))(y) if seed % 2 else y
    return keras.Model(x, keras.layers.Dense(3, activation="softmax", name="out")(keras.layers.Flatten()(y)))


@pytest.mark.parametrize("seed", range(4))
def test_windows_of_steps_equal_the_whole_model_on_them(seed: int) -> None:
    x = sequences((20, STEPS, 1, CHANNELS))
    whole = bitsmith.convert(windowed(seed), calibration=x, config=FORMATS, check=False)
    stream = bitsmith.streamed(whole)
    assert f"The first {STEPS - 1} results" in "".join(stream.notes)
    frames = x[:4].reshape(-1, 1, CHANNELS)
    windows = np.stack([frames[end - STEPS : end] for end in range(STEPS, len(frames) + 1)])
    np.testing.assert_array_equal(stream.predict(frames[:, None])[STEPS - 1 :], whole.predict(windows))


def test_what_begins_with_the_first_whole_window_is_refused() -> None:
    x = keras.Input((STEPS, CHANNELS))
    y = keras.layers.Conv1D(2, 3)(x)
    refused = {
        "Conv1D that begins with the first": keras.layers.Conv1D(2, 3, padding="causal", name="layer")(y),
        "GRU that begins with the first": keras.layers.GRU(2, return_sequences=True, name="layer")(y),
        "some are later": keras.layers.Add(name="layer")([y, keras.layers.Conv1D(2, 2)(x)[:, 1:]]),
    }
    for message, out in refused.items():
        model = bitsmith.convert(keras.Model(x, out), check=False)
        with pytest.raises(UnsupportedError, match=f"{message}|Slice"):
            bitsmith.streamed(model)


def test_a_loaded_model_is_refused(tmp_path: Path) -> None:
    bitsmith.convert(causal(0), check=False).save(tmp_path / "model.bitsmith")
    with pytest.raises(InputDataError, match="that was loaded"):
        bitsmith.streamed(bitsmith.Model.load(tmp_path / "model.bitsmith"))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_circuits_keep_the_past(io_type: str, tmp_path: Path) -> None:
    x, network = sequences(), causal(4)
    for backend in ("rtl", "vitis"):
        model = bitsmith.convert(
            network, tmp_path / backend, calibration=x, config=FORMATS, check=False, io_type=io_type, backend=backend
        )
        stream, one = bitsmith.streamed(model), x[0][:, None]
        wanted = stream.predict(one)
        if backend == "rtl":
            assert stream.build(inputs=one, synth=False)["Verification"]["Mismatches"] == 0
        else:
            np.testing.assert_array_equal(stream.csim_predict(one), wanted)
