"""The same trained network from four files has one and the same core program, but for its names."""

from __future__ import annotations

import io
import logging
import re
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx_models import graph, node
from torch import nn

from bitsmith.compiler import compile_network
from bitsmith.frontends.keras import read_keras
from bitsmith.frontends.onnx import read_onnx
from bitsmith.frontends.torch import read_torch
from bitsmith.ir.text import to_text
from bitsmith.layers.network import Network
from bitsmith.passes import drop_dead


def _program(network: Network) -> str:
    """The core program without names, and without what only traces read."""
    program = drop_dead(compile_network(network).program, keep_probes=False)
    return re.sub(r"(@|name=|^output )\S+", r"\1", to_text(program), flags=re.MULTILINE)


def _exported(module: nn.Module, x: torch.Tensor) -> onnx.ModelProto:
    content = io.BytesIO()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), content, dynamo=False, dynamic_axes={"x": {0: "batch"}}, input_names=["x"])
    logging.disable(logging.NOTSET)
    return onnx.ModelProto.FromString(content.getvalue())


@pytest.mark.slow
@pytest.mark.ci
def test_mlp(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.Sigmoid()).eval()
    arrays = [values.detach().numpy().astype(np.float64) for values in module.parameters()]
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8), keras.layers.ReLU(), keras.layers.Dense(4, activation="sigmoid")]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Keras does when torch is loaded too
        model.set_weights([arrays[0].T, arrays[1], arrays[2].T, arrays[3]])
        model.save(tmp_path / "model.keras")
    as_tensorflow = graph(
        [node("MatMul", "x w0", "h"), node("Add", "h b0", "a"), node("Relu", "a", "r"), node("MatMul", "r w1", "m"),
         node("Add", "m b1", "s"), node("Sigmoid", "s", "y")],
        {"x": ("N", 6)}, "y", {"w0": arrays[0].T, "b0": arrays[1], "w1": arrays[2].T, "b1": arrays[3]},
    )  # fmt: skip
    wanted = _program(read_torch(module, input_shape=(6,)))
    assert _program(read_onnx(_exported(module, torch.zeros(1, 6)))) == wanted
    assert _program(read_onnx(as_tensorflow)) == wanted
    assert _program(read_keras(tmp_path / "model.keras")) == wanted


def test_cnn() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    ).eval()
    wanted = _program(read_torch(module, input_shape=(2, 4, 4)))
    assert _program(read_onnx(_exported(module, torch.zeros(1, 2, 4, 4)))) == wanted
