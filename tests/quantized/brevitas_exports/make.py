"""Networks of Brevitas exported to QONNX and QCDQ by both exporters, and what they compute.

Run it in an environment with ``pip install brevitas torch qonnx onnx onnxruntime onnxscript onnxoptimizer numpy``. It writes
``models/*.onnx`` and ``models/expected.npz``; the keys are ``network/x``, ``network/y`` (Brevitas) and ``file/y`` (qonnx's
executor for QONNX, onnxruntime without optimizations for QCDQ).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import onnx
import onnxruntime
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPoint,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerChannelFixedPoint,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.float_quant_ocp import Fp8e4m3OCPActPerTensorFloat, Fp8e4m3OCPWeightPerTensorFloat
from brevitas.quant.scaled_int import Int8Bias, Int16Bias, Int32Bias
from brevitas.quant.shifted_scaled_int import ShiftedUint8ActPerTensorFloat, ShiftedUint8WeightPerTensorFloat
from brevitas.quant.ternary import SignedTernaryWeightPerTensorConst
from torch import nn

MODELS = Path(__file__).parent / "models"
PO2_ACT = {"act_quant": Int8ActPerTensorFixedPoint}
PO2_RELU = {"act_quant": Uint8ActPerTensorFixedPoint}
PO2_WEIGHT = {"weight_quant": Int8WeightPerTensorFixedPoint}
PO2_CHANNELS = {"weight_quant": Int8WeightPerChannelFixedPoint}
CHANNELS = {"weight_scaling_per_output_channel": True}


class Residual(nn.Module):
    """Two branches added under one quantizer, and pooled."""

    def __init__(self, po2: bool) -> None:
        super().__init__()
        act, relu = (PO2_ACT, PO2_RELU) if po2 else ({}, {})
        weight = PO2_CHANNELS if po2 else CHANNELS
        self.first = qnn.QuantIdentity(bit_width=6, return_quant_tensor=True, **act)
        self.conv = qnn.QuantConv2d(2, 2, 3, padding=1, bias=False, weight_bit_width=4, **weight)
        self.norm = nn.BatchNorm2d(2)
        self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True, **relu)
        self.add = qnn.QuantEltwiseAdd(
            bit_width=5,
            return_quant_tensor=True,
            **({"input_quant": Int8ActPerTensorFixedPoint, "output_quant": Int8ActPerTensorFixedPoint} if po2 else {}),
        )
        self.pool = nn.MaxPool2d(2)
        self.mean = qnn.TruncAvgPool2d(2, bit_width=5, float_to_int_impl_type="floor") if po2 else nn.AvgPool2d(2)
        self.last = qnn.QuantIdentity(bit_width=8, **act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        y = self.add(self.relu(self.norm(self.conv(x))), x)
        return self.last(self.mean(self.pool(y)))


def mlp(
    bits: int, act: dict[str, object], weight: dict[str, object], relu: dict[str, object], **bias: object
) -> nn.Module:
    last: dict[str, object] = {"bias_quant": bias.get("bias_quant")} if bias.get("bias_quant") is not None else {}
    returns = {"return_quant_tensor": True}
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=max(bits, 2) + 2, **act, **returns),
        qnn.QuantLinear(8, 6, bias=bias.get("bias", True), weight_bit_width=bits, **weight, **last),
        qnn.QuantReLU(bit_width=bits + 1, **relu, **returns),
        qnn.QuantLinear(6, 4, bias=bias.get("bias", True), weight_bit_width=bits, **weight, **last),
        qnn.QuantIdentity(bit_width=8, **act),
    )


def cnn1d() -> nn.Module:
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=5, **PO2_ACT, return_quant_tensor=True),
        qnn.QuantConv1d(2, 4, 3, stride=2, padding=1, bias=False, weight_bit_width=3, **PO2_WEIGHT),
        nn.BatchNorm1d(4),
        qnn.QuantReLU(bit_width=4, **PO2_RELU, return_quant_tensor=True),
        nn.MaxPool1d(2),
        nn.Flatten(),
        qnn.QuantLinear(8, 3, bias=True, weight_bit_width=4, **PO2_WEIGHT),
        qnn.QuantIdentity(bit_width=6, **PO2_ACT),
    )


def functions(name: str) -> nn.Module:
    made = {"hard": qnn.QuantHardTanh, "sigmoid": qnn.QuantSigmoid, "tanh": qnn.QuantTanh}[name]
    bounds = {"min_val": -1.0, "max_val": 1.0} if name == "hard" else {}
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=5, **PO2_ACT, return_quant_tensor=True),
        qnn.QuantLinear(8, 6, bias=False, weight_bit_width=4, **PO2_WEIGHT),
        made(bit_width=5, **bounds),
    )


def binary() -> nn.Module:
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst, scaling_init=1.0, return_quant_tensor=True),
        qnn.QuantLinear(8, 6, bias=False, weight_bit_width=1, weight_quant=SignedBinaryWeightPerTensorConst),
        nn.BatchNorm1d(6),
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst, scaling_init=1.0, return_quant_tensor=True),
        qnn.QuantLinear(6, 4, bias=False, weight_quant=SignedTernaryWeightPerTensorConst),
        qnn.QuantIdentity(bit_width=6, **PO2_ACT),
    )


def one_bit() -> nn.Module:
    """A QuantReLU of one bit, which Brevitas exports as two values of unlike signs."""
    return nn.Sequential(
        qnn.QuantLinear(8, 6, bias=False, weight_bit_width=2, **PO2_WEIGHT),
        qnn.QuantReLU(bit_width=1, **PO2_RELU, return_quant_tensor=True),
        qnn.QuantLinear(6, 4, bias=False, weight_bit_width=2, **PO2_WEIGHT),
        qnn.QuantIdentity(bit_width=6, **PO2_ACT),
    )


def channels() -> nn.Module:
    """A scale for each channel of activations."""
    each = {
        "scaling_per_output_channel": True,
        "per_channel_broadcastable_shape": (1, 4, 1),
        "scaling_stats_permute_dims": (1, 0, 2),
    }
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=6, **PO2_ACT, return_quant_tensor=True),
        qnn.QuantConv1d(2, 4, 3, bias=True, weight_bit_width=4, **CHANNELS),
        qnn.QuantReLU(bit_width=4, **each, return_quant_tensor=True),
        qnn.QuantConvTranspose1d(4, 2, 3, stride=2, bias=False, weight_bit_width=4, **PO2_WEIGHT),
        qnn.QuantIdentity(bit_width=7, **PO2_ACT),
    )


def minifloats() -> nn.Module:
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=Fp8e4m3OCPActPerTensorFloat, return_quant_tensor=True),
        qnn.QuantLinear(8, 6, bias=False, weight_quant=Fp8e4m3OCPWeightPerTensorFloat),
        qnn.QuantIdentity(bit_width=8, **PO2_ACT),
    )


def depthwise() -> nn.Module:
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=6, return_quant_tensor=True),
        qnn.QuantConv2d(2, 4, 3, groups=2, bias=True, weight_bit_width=4, bias_quant=Int16Bias, **CHANNELS),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        qnn.QuantLinear(16, 3, bias=True, weight_bit_width=4, bias_quant=Int32Bias),
        qnn.QuantIdentity(bit_width=8),
    )


class Sequence(nn.Module):
    """A quantized LSTM."""

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.first = qnn.QuantIdentity(bit_width=6, return_quant_tensor=True)
        self.lstm = qnn.QuantLSTM(4, 3, batch_first=True, weight_bit_width=4, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(self.first(x))[0]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{f"po2_{bits}": (lambda bits=bits: mlp(bits, PO2_ACT, PO2_WEIGHT, PO2_RELU), (8,)) for bits in (2, 4, 8)},
    "po2_no_bias": (lambda: mlp(4, PO2_ACT, PO2_CHANNELS, PO2_RELU, bias=False), (8,)),
    "po2_bias": (
        lambda: mlp(4, PO2_ACT, PO2_CHANNELS, PO2_RELU, bias_quant=Int8BiasPerTensorFixedPointInternalScaling),
        (8,),
    ),
    **{f"float_{bits}": (lambda bits=bits: mlp(bits, {}, {}, {}), (8,)) for bits in (3, 5)},
    "float_bias": (lambda: mlp(5, {}, CHANNELS, {}, bias_quant=Int32Bias), (8,)),
    "float_bias8": (lambda: mlp(4, {}, {}, {}, bias_quant=Int8Bias), (8,)),
    "shifted": (
        lambda: mlp(
            6,
            {"act_quant": ShiftedUint8ActPerTensorFloat},
            {"weight_quant": ShiftedUint8WeightPerTensorFloat},
            {"act_quant": ShiftedUint8ActPerTensorFloat},
            bias=False,
        ),
        (8,),
    ),
    "cnn1d": (cnn1d, (2, 9)),
    **{name: (lambda name=name: functions(name), (8,)) for name in ("hard", "sigmoid", "tanh")},
    "binary": (binary, (8,)),
    "one_bit": (one_bit, (8,)),
    "channels": (channels, (2, 9)),
    "minifloats": (minifloats, (8,)),
    "depthwise": (depthwise, (2, 6, 6)),
    "lstm": (Sequence, (4, 4)),
    "lstm_both": (lambda: Sequence(bidirectional=True), (3, 4)),
    "residual_po2": (lambda: Residual(True), (2, 8, 8)),
    "residual_float": (lambda: Residual(False), (2, 8, 8)),
}


def trained(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> nn.Module:
    """A network whose statistics have seen some data."""
    torch.manual_seed(0)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.data = torch.tensor([1.25, 0.5, -1.0, 0.75, 2.0, 1.0])[: module.num_features]
            module.bias.data = torch.tensor([0.25, -0.5, 0.0, 1.0, 0.5, -1.0])[: module.num_features]
    model.train()
    for _ in range(40):
        model(torch.randn(16, *shape))
    return model.eval()


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def exports(name: str, model: nn.Module, x: torch.Tensor) -> list[str]:
    """The files that Brevitas writes; it cannot write all."""
    written = []
    for kind, export in (("qonnx", export_qonnx), ("qcdq", export_onnx_qcdq)):
        for dynamo in (False, True):
            file = f"{name}_{kind}_{'dynamo' if dynamo else 'script'}"
            path = MODELS / f"{file}.onnx"
            options: dict[str, object] = {"dynamo": dynamo}
            if dynamo and name.startswith("lstm"):  # Brevitas writes a file that does not depend on its input
                continue
            try:
                export(model, args=x[:1], export_path=str(path), **options)
            except Exception as error:
                say(f"{file}: not exported ({type(error).__name__}: {str(error)[:150]!r})")
                path.unlink(missing_ok=True)
                continue
            stripped(path)
            written.append(file)
    return written


def stripped(path: Path) -> None:
    """The file without the exporter's notes and weights in another file."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    Path(f"{path}.data").unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=False)


def executed(file: str, x: np.ndarray) -> np.ndarray:
    """What the reference makes of a file."""
    model = onnx.load(MODELS / f"{file}.onnx")
    name = model.graph.input[0].name
    if "_qcdq_" in file:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return np.concatenate([session.run(None, {name: sample[None]})[0] for sample in x])
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapped = ModelWrapper(model).transform(InferShapes())
    return np.concatenate([next(iter(execute_onnx(wrapped, {name: sample[None]}).values())) for sample in x])


def main() -> None:
    made = onnx.helper.make_model
    onnx.helper.make_model = lambda *args, **kw: made(*args, **{"ir_version": 8} | kw)  # newer than onnxruntime's
    arrays: dict[str, np.ndarray] = {}
    for name, (make, shape) in NETWORKS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        model = trained(make, shape)
        generator = np.random.default_rng(1)
        x = (np.rint(generator.normal(0.0, 64.0, (24, *shape))) / 32.0).astype(np.float32)
        with torch.no_grad():
            results = [model(torch.from_numpy(sample[None])) for sample in x]
        y = np.concatenate([getattr(result, "value", result).numpy() for result in results])
        arrays |= {f"{name}/x": x, f"{name}/y": y}
        for file in exports(name, model, torch.from_numpy(x)):
            try:
                # Of quantized cells there is no executor but Brevitas.
                arrays[f"{file}/y"] = y if name.startswith("lstm") else executed(file, x)
                say(f"{file} {'differs from' if np.any(arrays[f'{file}/y'] != y) else 'equals'} Brevitas")
            except Exception as error:
                (MODELS / f"{file}.onnx").unlink()
                say(f"{file}: not executed ({type(error).__name__}: {str(error)[:150]!r})")
    if len(sys.argv) > 1:
        arrays = dict(np.load(MODELS / "expected.npz")) | arrays
    np.savez_compressed(MODELS / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
