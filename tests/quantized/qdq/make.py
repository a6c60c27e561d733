"""Makes the quantized ONNX models of this folder, and what onnxruntime computes with its graph optimizations off.

Run it in an environment of its own: ``pip install onnx onnxruntime numpy``; then ``python tests/quantized/qdq/make.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import quantized_operators as operators
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = Path(__file__).parent / "models"
RANDOM = np.random.default_rng(20261121)
N = 16


@dataclass
class Graph:
    """A float graph under construction."""

    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    opset: int = 17

    def weight(self, *shape: int, scale: float = 0.0) -> str:
        """A random initializer, of which each channel has a scale of its own."""
        spread = 2.0 ** RANDOM.uniform(-2, 1, (shape[0], *(1,) * (len(shape) - 1)))
        values = RANDOM.normal(size=shape) * (scale or np.sqrt(1 / max(np.prod(shape[1:]), 1))) * spread
        return self.tensor(values.astype(np.float32))

    def tensor(self, values: np.ndarray) -> str:
        """An initializer."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        """A node with one result."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"n_{name}", **attributes))
        return name

    def model(self, result: str, rank: int) -> onnx.ModelProto:
        """The graph with the input ``x`` and this result."""
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", *[None] * (rank - 1)])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model)


def mlp() -> onnx.ModelProto:
    """Dense layers in both spellings."""
    g = Graph((12,))
    h = g.node("Relu", g.node("Gemm", "x", g.weight(10, 12), g.weight(10, scale=0.3), transB=1))
    h = g.node("Add", g.node("MatMul", h, g.weight(10, 8)), g.weight(8, scale=0.3))
    h = g.node("Sigmoid", h)
    return g.model(g.node("Gemm", h, g.weight(8, 4, scale=1.0), g.weight(4, scale=0.3)), 2)


def classifier() -> onnx.ModelProto:
    """A dense layer with a softmax at the end."""
    g = Graph((12,))
    return g.model(g.node("Softmax", g.node("Gemm", "x", g.weight(5, 12), transB=1), axis=-1), 2)


def cnn() -> onnx.ModelProto:
    """Convolutions, one of which is depthwise, pooling, and a dense layer."""
    g = Graph((2, 9, 8))
    h = g.node("Relu", g.node("Conv", "x", g.weight(6, 2, 3, 3), g.weight(6, scale=0.3), pads=[1, 1, 1, 1]))
    h = g.node("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2])
    h = g.node("Conv", h, g.weight(6, 1, 3, 3), g.weight(6, scale=0.3), group=6, pads=[1, 1, 1, 1])
    h = g.node("LeakyRelu", h, alpha=0.125)
    h = g.node("Conv", h, g.weight(8, 6, 1, 1), g.weight(8, scale=0.2))
    h = g.node("AveragePool", h, kernel_shape=[2, 2], strides=[2, 2])
    h = g.node("Flatten", g.node("GlobalAveragePool", h))
    return g.model(g.node("Gemm", h, g.weight(5, 8), g.weight(5, scale=0.3), transB=1), 2)


def residual() -> onnx.ModelProto:
    """Sums, products and concatenations of branches."""
    g = Graph((4, 6, 6))
    a = g.node(
        "Clip",
        g.node("Conv", "x", g.weight(4, 4, 3, 3), g.weight(4), pads=[1, 1, 1, 1]),
        g.tensor(np.float32(0)),
        g.tensor(np.float32(6)),
    )
    b = g.node("Conv", "x", g.weight(4, 4, 1, 1), g.weight(4))
    h = g.node("Relu", g.node("Add", a, b))
    h = g.node("Concat", h, b, g.node("Mul", a, b), axis=1)
    h = g.node("Transpose", h, perm=[0, 2, 3, 1])
    h = g.node("Reshape", h, g.tensor(np.array([0, -1, 12], np.int64)))
    h = g.node("ReduceMean", h, axes=[1], keepdims=0)
    return g.model(g.node("MatMul", h, g.weight(12, 3)), 2)


def signal() -> onnx.ModelProto:
    """One-dimensional convolutions, padding and slices."""
    g = Graph((3, 16))
    h = g.node("Conv", "x", g.weight(5, 3, 3), g.weight(5, scale=0.3), strides=[2], dilations=[2])
    h = g.node("Sigmoid", g.node("Pad", h, g.tensor(np.array([0, 0, 1, 0, 0, 1], np.int64)), g.tensor(np.float32(0.5))))
    a = g.node("Slice", h, *(g.tensor(np.array([k], np.int64)) for k in (0, 4, 2)))
    b = g.node("Slice", h, *(g.tensor(np.array([k], np.int64)) for k in (4, 8, 2)))
    h = g.node("ConvTranspose", g.node("Add", a, b), g.weight(5, 2, 3), g.weight(2, scale=0.3), strides=[2])
    return g.model(g.node("Gemm", g.node("Flatten", h), g.weight(18, 3), transA=0), 2)


class Calibration(CalibrationDataReader):
    """A few random samples."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.left = [{"x": RANDOM.normal(0, 1, (8, *shape)).astype(np.float32)} for _ in range(4)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


MODELS = {"mlp": mlp, "classifier": classifier, "cnn": cnn, "residual": residual, "signal": signal}
U8, S8, U16, S16, S4, U4 = (
    getattr(QuantType, f"Q{name}") for name in ("UInt8", "Int8", "UInt16", "Int16", "Int4", "UInt4")
)
SYMMETRIC = {"ActivationSymmetric": True}
WAYS: dict[str, tuple[QuantFormat, QuantType, QuantType, bool, dict[str, object]]] = {
    "qdq_u8s8": (QuantFormat.QDQ, U8, S8, False, {}),
    "qdq_s8s8_channels": (QuantFormat.QDQ, S8, S8, True, SYMMETRIC),
    "qdq_u8u8": (QuantFormat.QDQ, U8, U8, False, {"WeightSymmetric": False}),
    "qdq_u16s8_channels": (QuantFormat.QDQ, U16, S8, True, {"UseQDQContribOps": True}),
    "qdq_s16s8": (QuantFormat.QDQ, S16, S8, False, {"UseQDQContribOps": True, **SYMMETRIC}),
    "qdq_u8s4": (QuantFormat.QDQ, U8, S4, False, {"UseQDQContribOps": True}),
    "qop_u8s8": (QuantFormat.QOperator, U8, S8, False, {}),
    "qop_s8s8_channels": (QuantFormat.QOperator, S8, S8, True, SYMMETRIC),
    "qop_u8u8": (QuantFormat.QOperator, U8, U8, False, {}),
}


USED = {
    "mlp": tuple(WAYS),
    "classifier": ("qdq_u8s8", "qop_u8s8"),
    "cnn": ("qdq_u8s8", "qdq_s8s8_channels", "qdq_u8s4", "qop_u8s8", "qop_s8s8_channels"),
    "residual": ("qdq_s8s8_channels", "qdq_u8u8", "qop_u8s8", "qop_s8s8_channels"),
    "signal": ("qdq_u8s8", "qdq_s8s8_channels", "qop_u8u8"),
}


def computed(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """All results of a model and of its quantizers, without graph optimizations."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    names = [value.name for value in model.graph.output]
    names += [n.output[0] for n in model.graph.node if "Q" in n.op_type and not n.op_type.startswith("Deq")]
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kept = [value.name for value in session.get_outputs() if "int4" not in value.type]
    return dict(zip(kept, session.run(kept, {"x": x}), strict=True))


def statically(name: str, way: str, folder: Path) -> tuple[onnx.ModelProto, np.ndarray]:
    """A model that onnxruntime's static quantizer writes, and samples."""
    kind, activations, weights, per_channel, options = WAYS[way]
    made = MODELS[name]()
    shape = tuple(axis.dim_value for axis in made.graph.input[0].type.tensor_type.shape.dim)[1:]
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(made, source)
    quantize_static(
        source,
        target,
        Calibration(shape),
        quant_format=kind,
        per_channel=per_channel,
        activation_type=activations,
        weight_type=weights,
        extra_options=dict(options),
    )
    return onnx.load(target), operators.scaled(np.round(RANDOM.normal(size=(N, *shape)) * 256) / 256)


def main() -> None:
    """Write all models, and one archive of inputs and outputs."""
    HERE.mkdir(exist_ok=True)
    made: dict[str, tuple[onnx.ModelProto, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, ways in USED.items():
            for way in ways:
                made[f"{name}_{way}"] = statically(name, way, Path(folder))
    for name, make in operators.MODELS.items():
        one = make()
        made[name] = one.made(), operators.inputs(one, N)
    expected: dict[str, np.ndarray] = {}
    for key, (model, x) in made.items():
        expected[f"{key}/x"] = x
        expected |= {f"{key}/{name}": y for name, y in computed(model, x).items()}
        onnx.save(model, HERE / f"{key}.onnx")
    np.savez_compressed(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
