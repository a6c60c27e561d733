"""The same trained network from four files has one and the same core program, but for its names."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import helper
from onnx_models import Floats, graph
from torch import nn

from bitsmith.compiler import compile_network
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.ir.text import to_text
from bitsmith.layers.network import Network
from bitsmith.passes.program import drop_dead


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


def _called(operator: str, layer: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """A node as tf2onnx names it: after TensorFlow's operation, its result ``:0``; the results of the model after its layers."""
    name = f"sequential/{layer}"
    sources = [source if source.startswith(("x", "const")) else f"sequential/{source}:0" for source in inputs.split()]
    return helper.make_node(operator, sources, [output or f"{name}:0"], name=name, **attributes)


def _mlp_of_tf2onnx(arrays: list[Floats]) -> onnx.ModelProto:
    """Node by node as tf2onnx 1.16 writes Dense, ReLU, Dense with sigmoid (seen in ``exported/tf2onnx_keras2_mlp.onnx``)."""
    nodes = [
        _called("MatMul", "dense/MatMul", "x dense/MatMul/ReadVariableOp", ""),
        _called("Add", "dense/BiasAdd", "dense/MatMul dense/BiasAdd/ReadVariableOp", ""),
        _called("Relu", "re_lu/Relu", "dense/BiasAdd", ""),
        _called("MatMul", "dense_1/MatMul", "re_lu/Relu dense_1/MatMul/ReadVariableOp", ""),
        _called("Add", "dense_1/BiasAdd", "dense_1/MatMul dense_1/BiasAdd/ReadVariableOp", ""),
        _called("Sigmoid", "dense_1/Sigmoid", "dense_1/BiasAdd", "dense_1"),
    ]
    names = ("dense/MatMul", "dense/BiasAdd", "dense_1/MatMul", "dense_1/BiasAdd")
    values = (arrays[0].T, arrays[1], arrays[2].T, arrays[3])
    held = {f"sequential/{name}/ReadVariableOp:0": array for name, array in zip(names, values, strict=True)}
    return graph(nodes, {"x": ("unk__6", 6)}, "dense_1", held, opset=15)


def _cnn_of_tf2onnx(arrays: list[Floats]) -> onnx.ModelProto:
    """Node by node as tf2onnx 1.16 writes a Keras model of the same layers with ``inputs_as_nchw``.

    Its Flatten takes the channels last, so a transpose stays in front of it, and the rows of the last kernel are in that order.
    """
    rows = arrays[2].reshape(3, 4, 2, 2).transpose(2, 3, 1, 0).reshape(16, 3)
    square = {"strides": [2, 2], "kernel_shape": [2, 2]}
    nodes = [
        _called(
            "Conv",
            "conv2d/BiasAdd",
            "x conv2d/Conv2D/ReadVariableOp conv2d/BiasAdd/ReadVariableOp",
            "",
            dilations=[1, 1],
            strides=[1, 1],
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            group=1,
        ),
        _called("Relu", "conv2d/Relu", "conv2d/BiasAdd", ""),
        _called("MaxPool", "max_pooling2d/MaxPool", "conv2d/Relu", "", **square),
        _called("Transpose", "max_pooling2d/MaxPool__14", "max_pooling2d/MaxPool", "", perm=[0, 2, 3, 1]),
        _called("Reshape", "flatten/Reshape", "max_pooling2d/MaxPool__14 const_fold_opt__17", ""),
        _called("MatMul", "dense/MatMul", "flatten/Reshape dense/MatMul/ReadVariableOp", ""),
        _called("Add", "dense/BiasAdd", "dense/MatMul dense/BiasAdd/ReadVariableOp", "dense"),
    ]
    held: dict[str, npt.ArrayLike] = {
        "sequential/conv2d/Conv2D/ReadVariableOp:0": arrays[0],
        "sequential/conv2d/BiasAdd/ReadVariableOp:0": arrays[1],
        "sequential/dense/MatMul/ReadVariableOp:0": rows,
        "sequential/dense/BiasAdd/ReadVariableOp:0": arrays[3],
        "const_fold_opt__17": np.array([-1, 16]),
    }
    return graph(nodes, {"x": ("unk__18", 2, 4, 4)}, "dense", held, opset=15)


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
    wanted = _program(read_torch(module, ReadOptions(input_shape=(6,))))
    assert _program(read_onnx(_exported(module, torch.zeros(1, 6)))) == wanted
    assert _program(read_onnx(_mlp_of_tf2onnx(arrays))) == wanted
    assert _program(read_keras(tmp_path / "model.keras")) == wanted


def test_cnn() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    ).eval()
    wanted = _program(read_torch(module, ReadOptions(input_shape=(2, 4, 4))))
    assert _program(read_onnx(_exported(module, torch.zeros(1, 2, 4, 4)))) == wanted
    arrays = [values.detach().numpy().astype(np.float64) for values in module.parameters()]
    assert _program(read_onnx(_cnn_of_tf2onnx(arrays))) == wanted


_ON_TORCH = """
import keras, numpy, bitsmith
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu", name="fc")])
converted = bitsmith.convert(model, calibration=numpy.eye(3))
print([row.name for row in converted.get_layers()][1:], "as Keras computes it" in str(converted.fidelity))
image = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.UpSampling2D((3, 2), interpolation="bicubic")])
print(bitsmith.convert(image, strict=True).fidelity.agreement.error < 1e-6)
"""


@pytest.mark.slow
@pytest.mark.ci
def test_a_keras_model_on_pytorch_is_one_of_keras(tmp_path: Path) -> None:
    """It is a module of PyTorch, too."""
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, "-c", _ON_TORCH]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["['fc', 'fc_relu'] True", "True"]
