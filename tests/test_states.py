"""Models whose states are inputs and outputs of the framework's model, tied by their names."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import bitsmith
from bitsmith.errors import InputDataError, UnsupportedError
from bitsmith.frontends.tflite.read import read_tflite
from tests.properties import few
from tests.quantized.test_tflite_states import _NAMES, _first, _model, _stored

torch = pytest.importorskip("torch")

FRAMES, CHANNELS, UNITS = 20, 3, 4


class Step(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A recurrence of which the caller has the state."""

    def __init__(self, kind: str, steps: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps = steps
        self.cell = getattr(torch.nn, kind)(CHANNELS, UNITS, batch_first=True)
        self.out = torch.nn.Linear(UNITS, 2)

    def forward(self, x: Any, *states: Any) -> Any:
        y, last = self.cell(x, states if len(states) > 1 else states[0])
        return (self.out(y), *last) if len(states) > 1 else (self.out(y), last)


def frames(steps: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (FRAMES, steps, CHANNELS)).astype(np.float32)


def by_torch(module: Step, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
    """The outputs frame by frame, and the states before each."""
    count = 2 if isinstance(module.cell, torch.nn.LSTM) else 1
    states, outputs = [torch.zeros(1, 1, UNITS)] * count, []
    before: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(count)]
    with torch.no_grad():
        for one in x:
            for number, state in enumerate(states):
                before[number].append(state.numpy())
            y, *states = module(torch.from_numpy(one[None]), *states)
            outputs.append(y.numpy())
    return np.concatenate(outputs), [np.concatenate(each) for each in before]


@cache
def converted(kind: str, steps: int) -> tuple[Step, bitsmith.Model]:
    """A module, and the model of it with its states as inputs and outputs."""
    module = Step(kind, steps).eval()
    _, states = by_torch(module, frames(steps))
    example = (torch.zeros(2, steps, CHANNELS), *(torch.zeros(1, 2, UNITS) for _ in states))
    return module, bitsmith.convert(module, calibration=[frames(steps), *states], example=example, check=False)


def pairs(model: bitsmith.Model) -> dict[str, str]:
    inputs, outputs = model.get_input_variables()[1:], model.get_output_variables()[1:]
    return {state.name: following.name for state, following in zip(inputs, outputs, strict=True)}


@few("kind, steps", [("GRU", 1), ("LSTM", 1), ("RNN", 3), ("LSTM", 2)], fast=1)
def test_hidden_states_that_torch_hands_on(kind: str, steps: int) -> None:
    module, model = converted(kind, steps)
    tied, x = model.with_states(pairs(model)), frames(steps)
    expected, _ = by_torch(module, x)
    assert np.abs(tied.predict(x) - expected).max() < 2.0**-11
    again, _ = by_torch(module, x[:7])
    tied.reset_states()
    np.testing.assert_allclose(tied.predict(x[:7]), again, atol=2.0**-11)
    tied.reset_states()
    states: list[Any] = [np.zeros((1, 1, UNITS))] * len(pairs(model))
    for one, found in zip(x, tied.predict(x), strict=True):
        y, *states = model.predict([one[None], *states])
        np.testing.assert_array_equal(y[0], found)  # as a user who hands them on gets it


def test_a_tied_model_is_saved_and_shown(tmp_path: Path) -> None:
    _, model = converted("GRU", 1)
    (state,) = pairs(model)
    tied, x = model.with_states(pairs(model), {state: 0.25}), frames(1)
    found = tied.predict(x)
    tied.save(tmp_path / "tied.bitsmith")
    np.testing.assert_array_equal(bitsmith.Model.load(tmp_path / "tied.bitsmith").predict(x), found)
    assert [each.name for each in tied.get_input_variables()] == ["x"]
    assert len(tied.get_output_variables()) == 1 and "live on between samples" in str(tied)
    assert not any("live on" in note for note in model.notes) and any("live on" in note for note in tied.notes)
    assert tied.network.stateful and str(tied.losses(x)) == "no value leaves its format"


_FIRST = ("svdf_int8_rank", "variables_int8")


@few("name", [*_FIRST, *(name for name in _NAMES if "int8" in name and name not in _FIRST)], fast=1)
def test_streams_of_tensorflow_lite_equal_its_interpreter(name: str) -> None:
    model = bitsmith.convert(_model(name), check=False)
    network = read_tflite(_model(name))
    initial = {key: first[0] for key, first in zip(network.inputs[1:], _first(network), strict=True)}
    tied = model.with_states(dict(zip(network.inputs[1:], network.outputs[1:], strict=True)), initial)
    x, right = _stored()[f"{name}/x0"], _stored()[f"{name}/single0"]
    for _ in range(2):
        tied.reset_states()
        np.testing.assert_array_equal(tied.predict(x.astype(np.float64)).reshape(right.shape), right)


def test_wrong_names_are_refused() -> None:
    _, model = converted("GRU", 1)
    (state, following), (x, out) = next(iter(pairs(model).items())), ("x", model.get_output_variables()[0].name)
    with pytest.raises(InputDataError, match="no states"):
        model.with_states({})
    with pytest.raises(InputDataError, match="an input 'nothing'"):
        model.with_states({"nothing": following})
    with pytest.raises(InputDataError, match="an output 'nothing'"):
        model.with_states({state: "nothing"})
    with pytest.raises(InputDataError, match="one shape for both"):
        model.with_states({state: out})
    with pytest.raises(InputDataError, match="initial value of 'x'"):
        model.with_states({state: following}, {x: 0.0})
    with pytest.raises(InputDataError, match="not finite"):
        model.with_states({state: following}, {state: np.nan})
    with pytest.raises(InputDataError, match="initial value of"):
        model.with_states({state: following}, {state: [1.0, 2.0, 3.0]})


def onnx_step(rng: np.random.Generator) -> onnx.ModelProto:
    """``h' = tanh(x W + h U + b)`` and ``y = h' V``, with a second state that adds the results up."""
    shapes = {"W": (CHANNELS, UNITS), "U": (UNITS, UNITS), "b": (UNITS,), "V": (UNITS, 2)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    text = """
        <ir_version: 8, opset_import: ["" : 17]>
        step (float[1,3] x, float[1,4] h, float[1,2] s) => (float[1,2] y, float[1,4] h_next, float[1,2] s_next) {
            xw = MatMul(x, W)
            hu = MatMul(h, U)
            sum = Add(xw, hu)
            all = Add(sum, b)
            h_next = Tanh(all)
            y = MatMul(h_next, V)
            half = Constant <value_float: float = 0.5> ()
            less = Mul(s, half)
            s_next = Add(less, y)
        }
    """
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(weights)
    return model


@few("seed", range(12), fast=1)
def test_states_of_onnx_equal_those_that_are_handed_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model_proto, x = onnx_step(rng), rng.uniform(-1, 1, (FRAMES, CHANNELS))
    reference, handed = ReferenceEvaluator(model_proto), [np.zeros((1, 4), np.float32), np.zeros((1, 2), np.float32)]
    seen, wanted = [], []
    for one in x.astype(np.float32):
        seen.append(handed)
        y, *handed = reference.run(None, {"x": one[None], "h": handed[0], "s": handed[1]})
        wanted.append(y[0])
    h, s = (np.concatenate(each) for each in zip(*seen, strict=True))
    model = bitsmith.convert(model_proto, calibration=[x, h, s], check=False)
    tied = model.with_states({"h": "h_next", "s": "s_next"})
    for _ in range(2):
        tied.reset_states()
        states = [np.zeros((1, 4)), np.zeros((1, 2))]
        for one, found in zip(x, np.concatenate([tied.predict(x[:9]), tied.predict(x[9:])]), strict=True):
            y, *states = model.predict([one[None], *states])
            np.testing.assert_array_equal(y[0], found)
    tied.reset_states()
    np.testing.assert_allclose(tied.predict(x), wanted, atol=2.0**-8)


def test_searches_of_bits_refuse_states() -> None:
    x = keras.Input((4, CHANNELS), batch_size=1)
    network = keras.Model(x, keras.layers.GRU(UNITS, stateful=True)(x))
    for search, data in ((bitsmith.explore, {"test": frames(4)}), (bitsmith.fit, {"data": frames(4)})):
        with pytest.raises(UnsupportedError, match="states between samples") as error:
            search(network, **data)
        assert "bitsmith.streamed" in error.value.remedy


def test_a_reuse_factor_behind_states_is_refused() -> None:
    module = Step("GRU", 1).eval()
    example = (torch.zeros(2, 1, CHANNELS), torch.zeros(1, 2, UNITS))
    model = bitsmith.convert(module, config={"Model": {"ReuseFactor": 4}}, example=example, check=False)
    with pytest.raises(UnsupportedError, match="reuse factor of 4 behind states"):
        model.with_states(pairs(model))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_circuits_and_cpp_of_tied_models(io_type: str, tmp_path: Path) -> None:
    module, x = Step("LSTM", 1).eval(), frames(1)
    _, states = by_torch(module, x)
    example = (torch.zeros(2, 1, CHANNELS), *(torch.zeros(1, 2, UNITS) for _ in states))
    for backend in ("rtl", "vitis"):
        model = bitsmith.convert(
            module,
            tmp_path / backend,
            backend=backend,
            io_type=io_type,
            calibration=[x, *states],
            example=example,
            check=False,
        )
        tied = model.with_states(pairs(model))
        if backend == "rtl":
            assert tied.build(inputs=x, synth=False)["Verification"]["Mismatches"] == 0
        else:
            np.testing.assert_array_equal(tied.csim_predict(x), tied.predict(x))
            np.testing.assert_array_equal(tied.csim_predict(x[:3]), tied.csim_predict(x)[:3])
