"""TensorFlow Lite models in floating point, and with weights that are quantized alone, against the interpreter.

``tflite/make.py`` writes what is compared with: of weights that are quantized alone both the interpreter's results with their
numbers in their place, and those of its kernels that quantize activations as well.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.errors import ConfigError, InputDataError, ModelFileError
from bitsmith.frontends.builder.value import MAX_ELEMENTS
from bitsmith.frontends.tflite import outputs
from bitsmith.frontends.tflite.graph import read_graph
from bitsmith.frontends.tflite.operators import OPERATORS
from bitsmith.frontends.tflite.read import read_tflite
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.network import Network

_MODELS = Path(__file__).parent / "tflite" / "models"

Arrays = list[npt.NDArray[np.generic]]


@cache
def _stored() -> dict[str, npt.NDArray[np.generic]]:
    return dict(np.load(_MODELS / "floats.npz"))


def _names() -> list[str]:
    return sorted(key.removesuffix("/model") for key in _stored() if key.endswith("/model"))


def _model(name: str) -> bytes:
    return _stored()[f"{name}/model"].tobytes()


def _arrays(name: str, kind: str) -> Arrays:
    return [_stored()[f"{name}/{kind}{k}"] for k in range(9) if f"{name}/{kind}{k}" in _stored()]


def _evaluated(network: Network, name: str) -> Arrays:
    found = network.evaluate([x.astype(np.float64) for x in _arrays(name, "x")])
    return [found[output] for output in network.outputs]


@pytest.mark.parametrize("name", [name for name in _names() if name.startswith("codes")])
def test_codes_of_other_types_and_numbers_between_them_are_the_interpreter_s(name: str) -> None:
    (y,), (right,) = _evaluated(read_tflite(_model(name)), name), _arrays(name, "single")
    np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("name", [name for name in _names() if not name.startswith("codes")])
def test_the_network_is_the_interpreter_s(name: str) -> None:
    """Results have the names of the file; several that are taken from one have numbers, or what else an operator becomes."""
    network = read_tflite(_model(name))
    found, wanted = _evaluated(network, name), _arrays(name, "single")
    assert len(found) == len(wanted) > 0
    outputs = [re.sub(r"_(part\d+|row|indices)$", "", output) for output in network.outputs]
    assert all(output.encode() in _model(name) for output in outputs)
    for y, right in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            y.reshape(right.shape), right, rtol=0.0, atol=2e-5 * max(1.0, float(np.abs(right).max()))
        )
    assert any("quantized alone" in note for note in network.notes) == name.startswith("dynamic")
    assert not any("round" in note for note in network.notes)


@pytest.mark.parametrize("number", [-1, -(1 << 31), MAX_ELEMENTS + 1])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(("pairs", "what"), [((1, 0, 0, 3), "the padding"), ((0, 1, 2, 0), "the crops")])
def test_pairs_of_blocks_are_numbers_of_elements(pairs: tuple[int, ...], what: str, place: int, number: int) -> None:
    content = _model("codes_blocks")
    other = [*pairs[:place], number, *pairs[place + 1 :]]
    old, new = (np.array(each, dtype=np.int32).tobytes() for each in (pairs, other))
    assert content.count(old) == 1
    with pytest.raises(ModelFileError, match=f"{what} .*{number}"):
        read_tflite(content.replace(old, new))


@pytest.mark.parametrize("name", [name for name in _names() if name.startswith("dynamic")])
def test_kernels_that_quantize_activations_differ_by_that_only(name: str) -> None:
    found = _evaluated(read_tflite(_model(name)), name)
    for y, near, right in zip(found, _arrays(name, "hybrid"), _arrays(name, "single"), strict=True):
        assert float(np.abs(y.reshape(near.shape) - near).max()) < 0.03 * float(np.abs(right).max())


def test_weights_of_networks_are_quantized_alone() -> None:
    """What is compared is not by accident the same."""
    names = [name for name in _names() if name.startswith("dynamic_")]
    unlike = [name for name in names if not np.array_equal(_arrays(name, "hybrid")[0], _arrays(name, "single")[0])]
    assert {"dynamic_dense", "dynamic_conv", "dynamic_lstm"} <= set(unlike)


_SLOW = ("attention", "cnn", "embedding", "image", "recurrent")


@pytest.mark.parametrize(
    "name",
    [
        "float32_mlp",
        "dynamic_dense",
        "lstm_clipped",
        *(
            pytest.param(name, marks=[pytest.mark.slow])
            for name in ("dynamic_wide", "dynamic_words", *(f"float32_{network}" for network in _SLOW))
        ),
    ],
)
def test_converted_models_are_within_a_percent(name: str) -> None:
    inputs, wanted = _arrays(name, "x"), _arrays(name, "single")
    model = bitsmith.convert(_model(name), calibration=inputs[0], check=False)
    y = np.asarray(model.predict(inputs[0]), dtype=np.float64)
    assert float(np.abs(y.reshape(wanted[0].shape) - wanted[0]).max()) < 0.01 * float(np.abs(wanted[0]).max())


def test_names_are_those_of_the_operators() -> None:
    network = read_tflite(_model("dense_1"))
    assert [node.name for node in network.nodes] == ["x0", "y0_linear", "y0"]
    assert [node.layer.kind for node in network.nodes] == ["Input", "Dense", "ReLU"]
    assert not any(node.quantizers for node in network.nodes)


def test_a_looked_up_table_has_the_name_of_its_operator() -> None:
    names = [node.name for node in read_tflite(_model("float32_embedding")).nodes if isinstance(node.layer, Embedding)]
    assert names == ["functional_7_1/embedding_1/GatherV2"]


def test_operators_without_a_kernel_on_codes_say_so() -> None:
    assert OPERATORS["SQRT"].codes is None and OPERATORS["SQRT"].numbers is not None
    assert OPERATORS["RESHAPE"].codes is OPERATORS["RESHAPE"].numbers
    for name, entry in OPERATORS.items():
        assert entry.codes or entry.numbers, name
        assert entry.numbers or name == "QUANTIZE"


class Recorded:
    """An interpreter that gives what LiteRT's has given for a model's stored inputs, times a ``factor``."""

    name, factor = "", 1.0

    def __init__(self, model_content: bytes) -> None:
        assert model_content == _model(self.name)
        self._inputs, self._outputs = (_arrays(self.name, kind) for kind in ("x", "single"))
        self._given: dict[int, npt.NDArray[np.generic]] = {}
        self._found: list[npt.NDArray[np.generic]] = []

    def allocate_tensors(self) -> None:
        self._given = {k: np.zeros_like(x[:1]) for k, x in enumerate(self._inputs)}

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": k} for k in range(len(self._inputs))]

    def get_output_details(self) -> list[dict[str, int]]:
        return [{"index": 100 + k} for k in range(len(self._outputs))]

    def set_tensor(self, index: int, values: npt.NDArray[np.generic]) -> None:
        assert values.shape == self._given[index].shape and values.dtype == self._given[index].dtype
        self._given[index] = values

    def get_tensor(self, index: int) -> npt.NDArray[np.generic]:
        return self._found[index - 100] if index >= 100 else self._given[index]

    def invoke(self) -> None:
        same = [
            np.all(x == y, axis=tuple(range(1, x.ndim)))
            for x, y in zip(self._inputs, self._given.values(), strict=True)
        ]
        number = int(np.argmax(np.all(same, axis=0)))
        self._found = [y[number : number + 1] * np.float32(self.factor) for y in self._outputs]

    def reset_all_variables(self) -> None:
        self._found = []


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    """LiteRT as a package that is installed."""
    monkeypatch.setattr(outputs, "find_spec", lambda name: name == "ai_edge_litert" or None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", SimpleNamespace(Interpreter=Recorded))
    return Recorded


def _converted(name: str, **options: Any) -> bitsmith.Model:
    return bitsmith.convert(_model(name), calibration=[x.astype(np.float64) for x in _arrays(name, "x")], **options)


@pytest.mark.parametrize("name", ["dense_1", "add", "split", "lstm", "conv_3d"])
def test_models_in_floating_point_are_compared_with_the_interpreter(
    name: str, recorded: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "name", name)
    assert "; read as LiteRT computes it" in _converted(name, strict=True).fidelity.summary
    monkeypatch.setattr(recorded, "factor", 1.01)
    with pytest.warns(bitsmith.FidelityWarning, match="the model was not read as LiteRT computes it"):
        _converted(name)


def test_models_that_no_interpreter_is_there_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "find_spec", lambda name: None)
    said = "its interpreter is not installed: pip install ai-edge-litert"
    assert f"; not compared with the framework: {said}" in _converted("dense_1", strict=True).fidelity.summary
    with pytest.raises(ConfigError, match=said):
        _converted("dense_1", check=True)
    monkeypatch.setattr(outputs, "find_spec", lambda name: name == "tensorflow" or None)  # which is slow to load
    assert "framework" not in _converted("dense_1", strict=True).fidelity.summary


@pytest.mark.parametrize("name", ["codes_between", "dynamic_dense"])
def test_quantized_models_are_what_the_file_says(name: str, recorded: type[Recorded]) -> None:
    assert "LiteRT" not in _converted(name).fidelity.summary
    with pytest.raises(ConfigError, match="its integers are computed as the file says"):
        _converted(name, check=True)


@pytest.mark.parametrize(
    "name", [name for name in _names() if name.startswith(("conv", "dense", "depthwise", "transposed"))]
)
def test_kernels_lie_as_in_the_file(name: str) -> None:
    """What users give for a kernel is what the file has: (out, in), or units before positions."""
    operands = (tensor for operator in read_graph(_model(name)).operators for tensor in operator.inputs)
    stored = [
        tensor.array().astype(np.float64) for tensor in operands if tensor is not None and tensor.data is not None
    ]
    kernels = [node for node in read_tflite(_model(name)).nodes if "weight" in node.layer.weights()]
    assert kernels
    for node in kernels:
        kernel = node.layer.weights()["weight"]
        layout = node.layouts.get("weight") or ModelLayout.plain(kernel.shape)
        assert any(layout.shape == one.shape and np.array_equal(layout.taken(one), kernel) for one in stored)


@pytest.mark.parametrize(
    "name", [name for name in _names() if name.endswith(("lstm", "lstm_coupled", "lstm_peepholes"))]
)
def test_tensors_of_gates_are_loaded_one_after_the_other_as_the_file_has_them(name: str) -> None:
    """A model with other weights is then the interpreter's; a file has three gates where they are coupled."""
    (operator,) = read_graph(_model(name)).operators
    tensors = [tensor if tensor is not None and tensor.data is not None else None for tensor in operator.inputs]

    def stacked(first: int, count: int = 4) -> npt.NDArray[np.float64]:
        found = [tensor for tensor in tensors[first : first + count] if tensor is not None]
        scales = [
            1.0 if name != "dynamic_lstm" or one.array().ndim < 2 else float(one.quantized.scale) for one in found
        ]
        return np.stack([scale * one.array().astype(np.float64) for scale, one in zip(scales, found, strict=True)])

    (x,), (right,) = _arrays(name, "x"), _arrays(name, "single")
    model = _converted(name, config={"Model": {"Weights": "reloadable"}}, check=False)
    (layer,) = (node.name for node in model.network.nodes if "recurrent_weight" in node.layer.weights())
    given = {"kernel": stacked(1), "recurrent_kernel": stacked(5), "bias": stacked(12)}
    if name.endswith("peepholes"):
        given["peephole"] = stacked(9, 3)
    model.load_weights(layer, **{key: values[..., ::-1] for key, values in given.items()})
    assert np.abs(np.asarray(model.predict(x)) - right).max() > 0.05
    model.load_weights(layer, **given)
    np.testing.assert_allclose(np.asarray(model.predict(x)), right, rtol=0.0, atol=2e-3)
    with pytest.raises(InputDataError, match=rf"{len(given['kernel'])}, 3, 3"):
        model.load_weights(layer, kernel=np.concatenate([*given["kernel"]]))


@cache
def _keras2() -> dict[str, npt.NDArray[np.generic]]:
    return dict(np.load(_MODELS / "keras2.npz"))


@pytest.mark.parametrize("name", sorted(key.removesuffix("/model") for key in _keras2() if key.endswith("/model")))
def test_layer_normalization_of_keras_2(name: str) -> None:
    """It has the steps of all samples as channels, along the axis that the file leaves open; of codes it is theirs."""
    content, x, y = (_keras2()[f"{name}/{part}"] for part in ("model", "x", "y"))
    network = read_tflite(content.tobytes())
    have = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
    np.testing.assert_allclose(have, y, rtol=0.0, atol=0.0 if name.endswith("int8") else 1e-6)
