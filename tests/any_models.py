"""One small network as whatever ``convert`` takes: a model of each framework, as a file and live."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bitsmith.frontends.read import AnyModel
from bitsmith.layers.layer import Floats, Shape

_RNG = np.random.default_rng(5)
KERNEL, BIAS = _RNG.normal(size=(4, 3)).astype(np.float32), _RNG.normal(size=3).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sample:
    """A model, the shape that must be given beside it, and its layers' names: input, dense layer, activation."""

    model: AnyModel
    input_shape: Shape | None
    names: tuple[str, str, str]


def expected(x: Floats) -> Floats:
    """The network's result."""
    return np.maximum(x @ KERNEL.astype(np.float64) + BIAS, 0.0)


def module() -> nn.Module:
    """The network in PyTorch."""
    made = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    with torch.no_grad():
        made[0].weight.copy_(torch.from_numpy(KERNEL.T.copy()))
        made[0].bias.copy_(torch.from_numpy(BIAS))
    return made


def proto() -> onnx.ModelProto:
    """The network in ONNX."""
    nodes = [
        helper.make_node("Gemm", ["input", "w", "b"], ["hidden"], name="/fc/Gemm"),
        helper.make_node("Relu", ["hidden"], ["output"], name="/act/Relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(KERNEL, "w"), numpy_helper.from_array(BIAS, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def samples(folder: Path) -> dict[str, Sample]:
    """The network in all forms, files in ``folder``."""
    import keras

    live = keras.Sequential(
        [keras.Input((4,), name="x"), keras.layers.Dense(3, name="fc"), keras.layers.ReLU(name="act")]
    )
    of_torch, of_onnx, of_keras = ("input", "0", "1"), ("input", "/fc/Gemm", "/act/Relu"), ("x", "fc", "act")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch and Keras do with NumPy and with each other
        live.set_weights([KERNEL, BIAS])
        live.save(folder / "net.keras")
        program = torch.export.export(module(), (torch.zeros(2, 4),))
        torch.export.save(program, folder / "net.pt2")
    onnx.save(proto(), folder / "net.onnx")
    return {
        "live module": Sample(module(), (4,), of_torch),
        "exported program": Sample(program, None, of_torch),
        "pt2 file": Sample(folder / "net.pt2", None, of_torch),
        "ModelProto": Sample(proto(), None, of_onnx),
        "ONNX file": Sample(str(folder / "net.onnx"), None, of_onnx),
        "live Keras model": Sample(live, None, of_keras),
        "Keras file": Sample(folder / "net.keras", None, of_keras),
    }
