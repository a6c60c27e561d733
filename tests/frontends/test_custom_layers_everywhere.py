"""A layer of the user's own, of at most 25 lines with its translation, passes the helper in every backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bitsmith import custom
from bitsmith.backends import BACKENDS
from bitsmith.custom import Call, Tensor
from bitsmith.errors import FidelityError

X = np.random.default_rng(7).normal(size=(100, 4))
LIMIT = np.array([1.0, 2.0, 0.5, 3.0])
_MOST_LINES = 25


class ScaledTanh(keras.layers.Layer):  # type: ignore[misc]
    def build(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: object) -> object:
        return keras.ops.tanh(x * self.scale)

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape  # else Keras's NumPy backend multiplies fresh memory to find it


def scaled_tanh(call: Call) -> Tensor:
    (x,), (scale,) = call.inputs, call.weights()
    return (x * scale).tanh()


class Bent(torch.nn.Module):
    """What torch.export cannot follow: NumPy computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = torch.nn.Parameter(torch.tensor(LIMIT))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(np.tanh((x / self.limit).detach().numpy())) * self.limit


def soft_clip(call: Call) -> Tensor:
    """The translation of this module, and of the ONNX operator below."""
    (x, *_), (limit,) = call.inputs, call.weights()
    return (x / limit).tanh() * limit


@torch.library.custom_op("bitsmith_tests::halved_cube", mutates_args=())
def _halved_cube(x: torch.Tensor) -> torch.Tensor:
    return x**3 * 0.5


@_halved_cube.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Cubes(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.ops.bitsmith_tests.halved_cube(x)
        return result


def halved_cube(call: Call) -> Tensor:
    return call.inputs[0] ** 3 * 0.5


def _keras() -> Mapping[str, Any]:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), ScaledTanh(), keras.layers.Dense(3)])
    return {"model": model, "layers": {ScaledTanh: scaled_tanh}}


def _module() -> Mapping[str, Any]:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), Bent()).double().eval()
    return {"model": model, "input_shape": (4,), "layers": {Bent: soft_clip}}


def _operator() -> Mapping[str, Any]:
    return {"model": Cubes(), "input_shape": (4,), "layers": {"bitsmith_tests::halved_cube": halved_cube}}


def _onnx() -> Mapping[str, Any]:
    """Its results are given, as onnxruntime does not know the operator."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    node = helper.make_node("SoftClip", ["x", "limit"], ["y"], domain="my.ops")
    graph = helper.make_graph(
        [node], "g", ports[:1], ports[1:], [numpy_helper.from_array(LIMIT.astype(np.float32), "limit")]
    )
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)]
    )
    return {"model": model, "layers": {"my.ops::SoftClip": soft_clip}, "expected": np.tanh(X / LIMIT) * LIMIT}


_USERS: Mapping[str, tuple[Callable[[], Mapping[str, Any]], tuple[Callable[..., object], ...]]] = {
    "Keras layer": (_keras, (ScaledTanh, scaled_tanh)),
    "PyTorch module": (_module, (Bent, soft_clip)),
    "PyTorch operator": (_operator, (Cubes, halved_cube)),
    "ONNX domain": (_onnx, (soft_clip,)),
}
"""A model with its translation, and the code that a user writes for it."""


@pytest.mark.parametrize("name", _USERS)
def test_a_user_writes_few_lines(name: str) -> None:
    written = "".join(inspect.getsource(part) for part in _USERS[name][1])
    assert 0 < len(written.splitlines()) <= _MOST_LINES


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("name", _USERS)
def test_all_backends_have_it_at_once(name: str, tmp_path: Path) -> None:
    """The framework is compared with the emulator; SystemVerilog and each dialect of C++ are compared bit for bit."""
    backends = BACKENDS
    arguments = dict(_USERS[name][0]())
    found = custom.check(arguments.pop("model"), X, backends, tmp_path, **arguments)
    assert tuple(one.backend for one in found) == backends
    assert len(found) > 6
    for one in found:
        assert one.framework_error is not None and one.framework_error < 1e-5
        checked = one.report.section("Verification")
        assert checked["Inputs"] >= len(X)
        assert checked["Mismatches"] == 0


def test_a_wrong_translation_fails(tmp_path: Path) -> None:
    arguments = dict(_keras(), layers={ScaledTanh: lambda call: call.inputs[0] * 0.5})
    with pytest.raises(FidelityError):
        custom.check(arguments.pop("model"), X, ("rtl",), tmp_path, **arguments)
