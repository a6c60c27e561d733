"""One expression written in Keras, PyTorch and ONNX means the same in all three, extreme constants included."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from keras import ops
from onnx_models import Floats, graph, node
from torch import Tensor, nn
from torch.nn import functional

from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.network import Network

_SHAPE = (3, 4)
_LEAST = float(np.finfo(np.float32).min)
_CAUSAL = np.where(np.tri(3, 4, dtype=bool), 0.0, _LEAST)
_ROW = np.array([0.5, -1.0, 2.0, 0.25])


class _Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Case:
    """An expression of ``x`` for NumPy and in the three frameworks; ``keras`` is None where Keras cannot write it."""

    wanted: Callable[[Floats], npt.ArrayLike]
    torch: Callable[[Tensor], Tensor]
    onnx: list[onnx.NodeProto]
    keras: Callable[..., object] | None = None
    held: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    opset: int = 17


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _clip(low: float, high: float) -> Case:
    return Case(
        lambda x: np.minimum(np.maximum(x, low), high),
        lambda x: x.clamp(low, high),
        [node("Clip", "x low high", "y")],
        lambda x: ops.clip(x, low, high),
        {"low": np.float32(low), "high": np.float32(high)},
    )


def _tensor(values: npt.ArrayLike) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)


CASES: dict[str, Case] = {
    "clip": _clip(-0.5, 1.0),
    "clip to a positive range": _clip(0.0, 1.0),
    "crossed bounds": _clip(0.0, -1.0),
    "crossed positive bounds": _clip(2.0, 0.5),
    "bounds that meet": _clip(0.0, 0.0),
    "constant base": Case(
        lambda x: 3.0**x,
        lambda x: 3.0**x,
        [node("Pow", "c x", "y")],
        lambda x: ops.power(3.0, x),
        {"c": np.float32(3.0)},
    ),
    "base of two": Case(
        lambda x: 2.0**x,
        lambda x: 2.0**x,
        [node("Pow", "c x", "y")],
        lambda x: ops.power(2.0, x),
        {"c": np.float32(2.0)},
    ),
    "hard shrink": Case(
        lambda x: np.where(np.abs(x) > 0.25, x, 0.0),
        lambda x: functional.hardshrink(x, 0.25),
        [node("Shrink", "x", "y", lambd=0.25)],
        lambda x: ops.hard_shrink(x, 0.25),
    ),
    "soft shrink": Case(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.75, 0.0),
        lambda x: functional.softshrink(x, 0.75),
        [node("Shrink", "x", "y", lambd=0.75, bias=0.75)],
        lambda x: ops.soft_shrink(x, 0.75),
    ),
    "a constant less a tensor": Case(
        lambda x: _ROW - x,
        lambda x: _tensor(_ROW) - x,
        [node("Sub", "c x", "y")],
        lambda x: ops.subtract(_ROW.astype(np.float32), x),
        {"c": _ROW},
    ),
    "factors of a product": Case(
        lambda x: 0.5 * x.reshape(-1, 12) @ np.ones((12, 2)) + 3.0 * np.array([1.0, -1.0]),
        lambda x: torch.addmm(_tensor([1.0, -1.0]), x.flatten(1), torch.ones(12, 2), beta=3.0, alpha=0.5),
        [node("Flatten", "x", "f"), node("Gemm", "f w b", "y", alpha=0.5, beta=3.0)],
        None,
        {"w": np.ones((12, 2)), "b": np.array([1.0, -1.0])},
    ),
    "a scaled sum": Case(
        lambda x: x + 2.5 * np.tanh(x),
        lambda x: torch.add(x, x.tanh(), alpha=2.5),
        [node("Tanh", "x", "t"), node("Mul", "t c", "s"), node("Add", "x s", "y")],
        lambda x: x + 2.5 * ops.tanh(x),
        {"c": np.float32(2.5)},
    ),
    "greatest of a tensor and a number": Case(
        lambda x: np.maximum(x, -0.25),
        lambda x: torch.maximum(x, torch.tensor([-0.25])),
        [node("Max", "x c", "y")],
        lambda x: ops.maximum(x, -0.25),
        {"c": np.array([-0.25])},
    ),
    "the least number as a mask": Case(
        lambda x: _softmax(x + _CAUSAL),
        lambda x: (x + _tensor(_CAUSAL)).softmax(-1),
        [node("Add", "x m", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(x + _CAUSAL.astype(np.float32)),
        {"m": _CAUSAL},
    ),
    "minus infinity as a mask": Case(
        lambda x: _softmax(np.where(np.tri(3, 4) > 0.0, x, -np.inf)),
        lambda x: x.masked_fill(torch.ones(3, 4).tril() == 0.0, -torch.inf).softmax(-1),
        [node("Where", "k x m", "s"), node("Softmax", "s", "y")],
        None,
        {"k": np.tri(3, 4, dtype=bool), "m": np.array([-np.inf])},
    ),
    "a choice that is always the same": Case(
        lambda x: x * 2.0,
        lambda x: torch.where(torch.ones(4) > 0.0, x, torch.zeros(1)) * 2.0,
        [node("Where", "k x c", "w"), node("Mul", "w t", "y")],
        None,
        {"k": np.ones(4, dtype=bool), "c": np.float32(0.0), "t": np.float32(2.0)},
    ),
}


def _network_of_keras(function: Callable[..., object], path: Path) -> Network:
    x = keras.Input(_SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Keras does when torch is loaded too
        keras.Model(x, function(x)).save(path)
    return read_keras(path)


def _result(network: Network, x: Floats) -> Floats:
    return network.evaluate([x])[network.outputs[0]]


@pytest.mark.parametrize("name", CASES)
def test_an_expression_means_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    x = np.random.default_rng(3).normal(0.0, 1.5, (5, *_SHAPE))
    networks = {
        "torch": read_torch(_Of(case.torch), input_shape=_SHAPE),
        "onnx": read_onnx(graph(case.onnx, {"x": ("N", *_SHAPE)}, "y", case.held, case.opset)),
    }
    if case.keras is not None:
        networks["keras"] = _network_of_keras(case.keras, tmp_path / "model.keras")
    for framework, network in networks.items():
        np.testing.assert_allclose(_result(network, x), np.asarray(case.wanted(x)), atol=1e-6, err_msg=framework)
