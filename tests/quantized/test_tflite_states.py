"""TensorFlow Lite models with states against the interpreter, call after call; ``tflite/streams.py`` writes its results."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.frontends.tflite.call import Call
from bitsmith.frontends.tflite.read import read_tflite
from bitsmith.layers.integer import Wrap
from bitsmith.layers.network import Network

_MODELS = Path(__file__).parent / "tflite" / "models"

Array = npt.NDArray[np.generic]


@cache
def _stored() -> dict[str, Array]:
    return dict(np.load(_MODELS / "streams.npz"))


_NAMES = sorted(key.removesuffix("/model") for key in _stored() if key.endswith("/model"))


def _model(name: str) -> bytes:
    return _stored()[f"{name}/model"].tobytes()


def _first(network: Network) -> list[npt.NDArray[np.float64]]:
    """The states before the first call, as the note says."""
    (note,) = (note for note in network.notes if "states" in note)
    values = [float(value) for value in re.findall(r"\((\S+) at first\)", note)]
    shapes = network.shapes()
    return [np.full((1, *shapes[name]), value) for name, value in zip(network.inputs[1:], values, strict=True)]


@pytest.mark.parametrize("name", _NAMES)
def test_each_call_gives_the_states_of_the_next(name: str) -> None:
    network = read_tflite(_model(name))
    states = _first(network)
    assert len(network.outputs) == 1 + len(states) == len(network.inputs) > 1
    for x, right in zip(_stored()[f"{name}/x0"], _stored()[f"{name}/single0"], strict=True):
        found = network.evaluate([x[None].astype(np.float64), *states])
        y, *states = (found[output] for output in network.outputs)
        atol = 0.0 if right.dtype == np.int8 else 1e-5 * max(1.0, float(np.abs(right).max()))
        np.testing.assert_allclose(y[0].reshape(right.shape), right, rtol=0.0, atol=atol)


@pytest.mark.parametrize("name", ["svdf_int8_rank", "variables_int8"])
def test_converted_models_are_the_interpreter_s(name: str) -> None:
    model = bitsmith.convert(_model(name), check=False)
    states = _first(read_tflite(_model(name)))
    for x, right in zip(_stored()[f"{name}/x0"], _stored()[f"{name}/single0"], strict=True):
        y, *states = model.predict([x[None].astype(np.float64), *states])
        np.testing.assert_array_equal(y[0].reshape(right.shape), right)


def test_what_is_compared_depends_on_the_states() -> None:
    for name in set(_NAMES) - {"svdf_short"}:
        network = read_tflite(_model(name))
        x = _stored()[f"{name}/x0"][5:6].astype(np.float64)
        found = network.evaluate([x, *_first(network)])
        assert not np.allclose(found[network.outputs[0]].ravel(), _stored()[f"{name}/single0"][5].ravel()), name


def test_states_have_names_and_a_note() -> None:
    network = read_tflite(_model("variables_int8"))
    assert network.inputs == ("x", "kept", "before")
    (note,) = (note for note in network.notes if "states" in note)
    assert note.startswith("The states kept (7 at first), before (9 at first) are the last inputs and outputs")
    network = read_tflite(_model("cell"))
    assert network.inputs == ("x", "y_state", "y_cell")


def test_recurrent_layers_of_several_steps_say_how_they_begin() -> None:
    floats = np.load(_MODELS / "floats.npz")
    assert any("0 at the first step" in note for note in read_tflite(floats["lstm/model"].tobytes()).notes)


@pytest.mark.parametrize(("bias", "wraps"), [(0, False), ((1 << 31) - 1, True), (-(1 << 31), True)])
def test_sums_that_may_leave_32_bits_wrap_around(monkeypatch: pytest.MonkeyPatch, bias: int, wraps: bool) -> None:
    monkeypatch.setattr(Call, "bias", lambda call, number, units: np.full(units, bias))
    network = read_tflite(_model("svdf_int8_rank"))
    assert any(isinstance(node.layer, Wrap) for node in network.nodes) is wraps
