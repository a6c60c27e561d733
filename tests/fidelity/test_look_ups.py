"""Rows that are looked up by fractions: those that rounding changes are told, and no others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import torch
from keras import layers, ops
from torch import nn

from bitsmith import FidelityWarning, convert
from tests.frontends.onnx_models import graph, node, runtime, weights


class _Torch(nn.Module):
    def __init__(self, look_up: Callable[[_Torch, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.dense, self.rows, self.look_up = nn.Linear(3, 4), nn.Embedding(12, 5), look_up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.look_up(self, torch.sigmoid(self.dense(x)) * 11.0)


def _of_torch(look_up: Any) -> tuple[Any, Callable[[Any], Any]]:
    torch.manual_seed(1)
    net = _Torch(look_up).eval()
    return net, lambda x: net(torch.tensor(x)).detach().numpy()


def _of_keras(look_up: Any) -> tuple[Any, Callable[[Any], Any]]:
    keras.utils.set_random_seed(1)
    x = keras.Input((3,), name="x")
    net = keras.Model(x, look_up(layers.Dense(4, "sigmoid")(x) * 11.0))
    return net, lambda data: np.asarray(net(data))


def _of_onnx(*look_up: onnx.NodeProto) -> tuple[Any, Callable[[Any], Any]]:
    nodes = [
        *(node("MatMul", "x k", "d"), node("Sigmoid", "d", "s"), node("Mul", "s eleven", "m")),
        *(node("Cast", "m", "i", to=onnx.TensorProto.INT64), *look_up),
    ]
    stored = {"k": weights(3, 4), "t": weights(12, 5), "eleven": np.float32(11), "depth": np.int64(12)}
    net = graph(nodes, {"x": ("N", 3)}, "y", {**stored, "off_on": np.float32([0, 1])})
    return net, lambda x: runtime(net, {"x": x})[0]


COMPUTED: dict[str, Callable[[], tuple[Any, Callable[[Any], Any]]]] = {
    "torch embedding": lambda: _of_torch(lambda net, x: net.rows(x.long())),
    "torch embedding of floors": lambda: _of_torch(
        lambda net, x: net.rows(torch.floor(x).to(torch.int32).reshape(-1, 2, 2))
    ),
    "torch one-hot": lambda: _of_torch(lambda net, x: nn.functional.one_hot(x.long(), 12).float()),
    "keras embedding": lambda: _of_keras(layers.Embedding(12, 5)),
    "keras one-hot": lambda: _of_keras(lambda x: ops.one_hot(ops.cast(x, "int32"), 12)),
    "keras category": lambda: _of_keras(
        lambda x: layers.CategoryEncoding(12, output_mode="multi_hot")(ops.cast(x, "int32"))
    ),
    "onnx gather": lambda: _of_onnx(node("Gather", "t i", "y")),
    "onnx one-hot": lambda: _of_onnx(node("OneHot", "i depth off_on", "y")),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_single_row_that_rounding_changes_is_told(name: str) -> None:
    """Of a calibrated model too, wherever the sample is; one that computes all rows right says nothing."""
    net, computed = COMPUTED[name]()
    x = np.random.default_rng(2).uniform(-1.0, 1.0, (12_000, 3)).astype(np.float32)
    given = {"input_shape": (3,)} if isinstance(net, nn.Module) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(net, calibration=x[:600], **given)
    wanted = computed(x).reshape(len(x), -1)
    found = np.concatenate([convert_quietly(model, part) for part in np.array_split(x, 4)])
    right = np.all(np.abs(found - wanted) < 0.01, axis=1)
    assert 0 < np.count_nonzero(~right) < len(x) / 100
    data = x[right][:600]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(net, calibration=data, **given).predict(data)
    for at in (0, 333, 599):
        outside = data.copy()
        outside[at] = x[~right][0]
        with pytest.warns(FidelityWarning, match="Layers decide by numbers that are nearer"):
            convert(net, calibration=data, **given).predict(outside)
    if np.any(~right[:600]):
        with pytest.warns(
            FidelityWarning, match=r"of 600 samples are decided otherwise before[\s\S]*with bits=\d\d these"
        ):
            convert(net, calibration=x[:600], **given)


def convert_quietly(model: Any, x: Any) -> Any:
    """Predictions without what they say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.predict(x).reshape(len(x), -1)


GIVEN: dict[str, Callable[[Any], Any]] = {
    "elements": lambda x: x,
    "flat": layers.Flatten(),
    "some": lambda x: x[:, 1:],
    "moved": lambda x: ops.transpose(x, (0, 2, 1)),
}


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("moved", GIVEN)
@pytest.mark.parametrize("numbers", [(0.0, 10.99), (-0.99, 10.0), (3.0, 3.99)])
def test_fractions_of_given_indices_are_no_errors(numbers: tuple[float, float], moved: str, calibrated: bool) -> None:
    """The circuit cuts them off at its input, as Keras does in front of the table."""
    keras.utils.set_random_seed(1)
    x = keras.Input((2, 3), name="x")
    net = keras.Model(x, layers.Embedding(11, 4)(GIVEN[moved](x)))
    data = np.random.default_rng(0).uniform(*numbers, (200, 2, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = convert(net, calibration=data if calibrated else None)
        found = model.predict(data)
    np.testing.assert_allclose(found, np.asarray(net(data)), atol=1e-4)


def test_rows_of_inputs_are_compared_as_elsewhere() -> None:
    """What rounds after a look-up, as of a hundred steps, may do so near a tie."""
    x = keras.Input((2,), name="x")
    net = keras.Model(x, ops.floor(layers.Embedding(11, 4)(x) * 50.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = np.random.default_rng(0).integers(0, 11, (200, 2)).astype(np.float32)
        convert(net, calibration=data).predict(data)
