"""Graphs of one or a few quantized operators each, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(20261122)
MICROSOFT = "com.microsoft"
U8, S8, U16, S16 = np.uint8, np.int8, np.uint16, np.int16
TYPES = {U8: TensorProto.UINT8, S8: TensorProto.INT8, U16: TensorProto.UINT16, S16: TensorProto.INT16}


class Model:
    """A graph under construction, whose input is ``x``; its results are outputs."""

    def __init__(self, *shape: int, opset: int = 21, kind: int = TensorProto.FLOAT) -> None:
        self.shape, self.opset, self.kind = shape, opset, kind
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.outputs: list[str] = []

    def const(self, values: object, dtype: type[np.generic] = np.float32, kind: int | None = None) -> str:
        """An initializer; of a ``kind`` that numpy has not, integers of 4 bits."""
        name = f"w{len(self.tensors)}"
        array = np.asarray(values, dtype=dtype)
        made = (
            numpy_helper.from_array(array, name)
            if kind is None
            else helper.make_tensor(name, kind, array.shape, array.ravel().tolist())
        )
        self.tensors.append(made)
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", count: int = 1, **attributes: object) -> str:
        """A node; its first result."""
        name = f"{operator.lower()}{len(self.nodes)}"
        names = [name, *(f"{name}_{k}" for k in range(1, count))]
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"n_{name}", domain=domain, **attributes))
        return name

    def grid(
        self, scale: object, zero: object = 0, dtype: type[np.generic] = U8, kind: int | None = None
    ) -> tuple[str, str]:
        """A scale and a zero point."""
        return self.const(scale), self.const(zero, dtype, kind)

    def q(self, x: str, grid: tuple[str, str], domain: str = "", **attributes: object) -> str:
        """QuantizeLinear."""
        return self.node("QuantizeLinear", x, *grid, domain=domain, **attributes)

    def dq(self, x: str, grid: tuple[str, str], domain: str = "", **attributes: object) -> str:
        """DequantizeLinear."""
        return self.node("DequantizeLinear", x, *grid, domain=domain, **attributes)

    def qdq(
        self, x: str, scale: object, zero: object = 0, dtype: type[np.generic] = U8, kind: int | None = None
    ) -> str:
        """Both."""
        grid = self.grid(scale, zero, dtype, kind)
        return self.dq(self.q(x, grid), grid)

    def codes(
        self, *shape: int, dtype: type[np.generic] = S8, least: int | None = None, most: int | None = None
    ) -> str:
        """Random trained integers."""
        limits = np.iinfo(dtype)
        low, high = limits.min if least is None else least, limits.max if most is None else most
        return self.const(RANDOM.integers(low, high + 1, shape), dtype)

    def out(self, name: str) -> None:
        """Make a result an output."""
        self.outputs.append(name)

    def made(self) -> onnx.ModelProto:
        """The model."""
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", self.kind, ["batch", *self.shape])],
            [onnx.ValueInfoProto(name=name) for name in self.outputs],
            self.tensors,
        )
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def types() -> Model:
    """Every type of codes, with zero points in the middle and at the ends; codes themselves as results."""
    m = Model(6)
    for dtype, zero in (
        (U8, 0),
        (U8, 128),
        (U8, 255),
        (S8, 0),
        (S8, -128),
        (S8, 17),
        (U16, 0),
        (U16, 40000),
        (S16, 0),
        (S16, -7),
    ):
        grid = m.grid(0.0473 if np.dtype(dtype).itemsize == 1 else 0.000331, zero, dtype)
        codes = m.q("x", grid)
        m.out(codes)
        m.out(m.dq(codes, grid))
    for kind, dtype, zero in ((TensorProto.UINT4, U8, 5), (TensorProto.INT4, S8, -2)):
        m.out(m.qdq("x", 0.37, zero, dtype, kind))
    m.out(m.node("QuantizeLinear", "x", m.const(0.03)))
    m.out(m.node("QuantizeLinear", "x", m.const(0.03), output_dtype=TensorProto.INT8))
    m.out(m.q("x", m.grid(0.00043, 9000, U16), domain=MICROSOFT))
    m.out(m.qdq("x", 0.125, 3, S8))
    return m


def axes() -> Model:
    """Scales along an axis of an activation."""
    m = Model(3, 4)
    for axis, size in ((1, 3), (2, 4), (-1, 4), (-2, 3)):
        grid = m.grid(RANDOM.uniform(0.01, 0.1, size), RANDOM.integers(0, 255, size))
        codes = m.q("x", grid, axis=axis)
        m.out(codes)
        m.out(m.dq(codes, grid, axis=axis))
    return m


def moves() -> Model:
    """What is done to codes between the quantizer and the way back."""
    m = Model(2, 6, 4)
    grid = m.grid(0.0517, 121)
    codes = m.q("x", grid)
    turned = m.node("Transpose", codes, perm=[0, 2, 1, 3])
    flat = m.node("Reshape", turned, m.const([0, -1], np.int64))
    part = m.node("Slice", codes, *(m.const([k], np.int64) for k in (1, 5, 2, 2)))
    twice = m.node("Concat", part, codes, axis=2)
    picked = m.node("Gather", codes, m.const([3, 0], np.int64), axis=3)
    for moved in (codes, turned, flat, part, twice, picked):
        m.out(m.dq(moved, grid))
    m.out(m.node("Squeeze", m.node("Unsqueeze", codes, m.const([1], np.int64)), m.const([1], np.int64)))
    m.out(m.dq(codes, m.grid(0.25, 121)))
    m.out(m.dq(codes, m.grid(0.0517, 7)))
    m.out(m.node("Cast", codes, to=TensorProto.FLOAT))
    m.out(m.node("Pad", codes, m.const([0, 0, 0, 0, 0, 0, 1, 2], np.int64), m.const(9, U8)))
    other = m.q("x", m.grid(0.0831, 100))
    m.out(m.node("Concat", codes, other, axis=1))
    return m


def pooling() -> Model:
    """The greatest codes, of which there are those of two dimensions."""
    m = Model(2, 6, 4)
    grid = m.grid(0.0517, -3, S8)
    m.out(m.dq(m.node("MaxPool", m.q("x", grid), kernel_shape=[2, 2], strides=[2, 1], pads=[1, 0, 0, 1]), grid))
    m.out(m.qdq(m.node("GlobalAveragePool", m.qdq("x", 0.0625, 3, S8)), 0.0207, 3, S8))
    return m


def functions() -> Model:
    """Functions between two quantizers."""
    m = Model(9, opset=20)
    x = m.qdq("x", 0.0413, 11, S8)
    for operator in (
        "Sigmoid",
        "Tanh",
        "HardSigmoid",
        "LeakyRelu",
        "Elu",
        "Softplus",
        "Erf",
        "Gelu",
        "HardSwish",
        "Selu",
        "Softsign",
    ):
        m.out(m.qdq(m.node(operator, x), 0.0179, 128))
    positive = m.qdq(m.node("Abs", x), 0.0221, 0)
    m.out(m.qdq(m.node("Sqrt", positive), 0.0103, 0))
    m.out(m.qdq(m.node("Exp", x), 0.5, 0, U8))
    m.out(m.qdq(m.node("Sigmoid", m.node("Reshape", x, m.const([0, 3, 3], np.int64))), 2.0**-8, 0))
    return m


def integers(dtype: type[np.generic]) -> Callable[[], Model]:
    """A model whose input has the codes."""

    def make() -> Model:
        m = Model(5, kind=TYPES[dtype])
        grid = m.grid(0.0371, 7, dtype)
        x = m.dq("x", grid)
        weights = m.dq(m.codes(5, 3), m.grid([0.01, 0.002, 0.03], [0, 0, 0], S8), axis=1)
        result = m.grid(0.211, 100)
        m.out(m.q(m.node("MatMul", x, weights), result))
        return m

    return make


def trained() -> Model:
    """Trained tensors after DequantizeLinear, with scales per channel and block, that are moved before they are used."""
    m = Model(8)
    x = m.qdq("x", 0.0317, 120)
    rows = m.dq(m.codes(6, 8), m.grid(RANDOM.uniform(0.001, 0.01, 6), np.zeros(6), S8), axis=0)
    bias = m.dq(
        m.codes(6, dtype=np.int32, least=-9999, most=9999),
        m.grid(RANDOM.uniform(1e-5, 1e-4, 6), np.zeros(6), np.int32),
        axis=0,
    )
    m.out(m.qdq(m.node("Gemm", x, rows, bias, transB=1), 0.0213, 99))
    m.out(m.qdq(m.node("Gemm", x, m.node("Transpose", rows, perm=[1, 0])), 0.0213, 99))
    m.out(m.qdq(m.node("MatMul", x, m.node("Transpose", rows)), 0.0213, 99))
    shaped = m.node("Reshape", m.dq(m.codes(48), m.grid(0.0041, 3, S8)), m.const([8, 6], np.int64))
    m.out(m.qdq(m.node("MatMul", x, shaped), 0.0333, 99))
    narrow = m.const(RANDOM.integers(-8, 8, (8, 3)), S8, TensorProto.INT4)
    m.out(m.qdq(m.node("MatMul", x, m.dq(narrow, m.grid(0.0713, 1, S8, TensorProto.INT4))), 0.0333, 99))
    unsigned = m.const(RANDOM.integers(0, 16, (8, 3)), U8, TensorProto.UINT4)
    m.out(m.qdq(m.node("MatMul", x, m.dq(unsigned, m.grid(0.0713, 7, U8, TensorProto.UINT4))), 0.0333, 99))
    m.out(m.qdq(m.node("Add", x, m.dq(m.codes(8), m.grid(0.0113, 5, S8))), 0.0427, 111))
    m.out(m.qdq(m.node("Mul", x, m.dq(m.codes(8), m.grid(0.0113, 5, S8))), 0.0427, 111))
    quantized = m.grid(0.004, 0, S8)
    m.out(
        m.qdq(m.node("MatMul", x, m.dq(m.q(m.const(RANDOM.normal(0, 0.3, (8, 3))), quantized), quantized)), 0.0333, 99)
    )
    return m


def blocks() -> Model:
    """Scales for blocks of trained tensors, the last of which is shorter."""
    m = Model(10)
    x = m.qdq("x", 0.0317, 120)
    for axis, shape in ((0, (3, 4)), (1, (10, 1))):
        grid = m.grid(RANDOM.uniform(0.002, 0.02, shape), RANDOM.integers(-9, 9, shape), S8)
        weights = m.dq(m.codes(10, 4), grid, axis=axis, block_size=4)
        m.out(m.qdq(m.node("MatMul", x, weights), 0.0391, 99))
    return m


def convolutions() -> Model:
    """Kernels per channel, with biases; in groups, transposed, and of an unsqueezed tensor."""
    m = Model(4, 7, 6)
    x = m.qdq("x", 0.0317, 120)
    scales = RANDOM.uniform(0.001, 0.01, 6).astype(np.float32)
    kernel = m.dq(m.codes(6, 4, 3, 3), m.grid(scales, np.zeros(6), S8), axis=0)
    bias = m.dq(
        m.codes(6, dtype=np.int32, least=-5000, most=5000),
        m.grid(scales * np.float32(0.0317), np.zeros(6), np.int32),
        axis=0,
    )
    m.out(m.qdq(m.node("Relu", m.node("Conv", x, kernel, bias, pads=[1, 1, 1, 1])), 0.0215, 0))
    depthwise = m.dq(m.codes(8, 1, 3, 1), m.grid(RANDOM.uniform(0.001, 0.01, 8), np.zeros(8), S8), axis=0)
    m.out(m.qdq(m.node("Conv", x, depthwise, group=4, strides=[2, 1]), 0.0215, 100))
    transposed = m.dq(m.codes(4, 2, 2, 2), m.grid(RANDOM.uniform(0.001, 0.01, 2), np.zeros(2), S8), axis=1)
    m.out(m.qdq(m.node("ConvTranspose", x, transposed, strides=[2, 2]), 0.0215, 100))
    thin = m.node("Unsqueeze", m.dq(m.codes(5, 4, dtype=U8), m.grid(0.0021, 128)), m.const([2, 3], np.int64))
    m.out(m.qdq(m.node("Conv", x, thin), 0.0215, 100))
    return m


def linear() -> Model:
    """Products of integers: QLinearConv, QLinearMatMul and QGemm."""
    m = Model(4, 6)
    grid = m.grid(0.0317, 120)
    x = m.q("x", grid)
    scales = RANDOM.uniform(0.001, 0.01, 6)
    per_channel = m.grid(scales, np.zeros(6), S8)
    bias = m.codes(6, dtype=np.int32, least=-5000, most=5000)
    result, per_tensor = m.grid(0.0215, 100), m.grid(0.0043, 3, S8)
    conv = m.node("QLinearConv", x, *grid, m.codes(6, 4, 3), *per_channel, *result, bias, pads=[1, 1])
    m.out(m.dq(conv, result))
    m.out(m.node("QLinearConv", x, *grid, m.codes(4, 2, 3), *per_tensor, *result, group=2))
    m.out(m.node("QLinearMatMul", x, *grid, m.codes(6, 3), *per_tensor, *result))
    columns = m.grid(RANDOM.uniform(0.001, 0.01, 3), np.zeros(3), S8)
    m.out(m.node("QLinearMatMul", x, *grid, m.codes(6, 3), *columns, *result))
    flat = m.node("Flatten", x)
    weights = m.codes(5, 24)
    short = m.codes(5, dtype=np.int32, least=-5000, most=5000)
    m.out(m.node("QGemm", flat, *grid, weights, *per_tensor, short, *result, domain=MICROSOFT, transB=1))
    rows = m.grid(RANDOM.uniform(0.001, 0.01, 5), np.zeros(5), S8)
    m.out(m.node("QGemm", flat, *grid, weights, *rows, short, *result, domain=MICROSOFT, transB=1, alpha=0.75))
    m.out(m.node("QGemm", flat, *grid, m.codes(24, 2), *per_tensor, domain=MICROSOFT))
    return m


def elementwise() -> Model:
    """The other operators of the domain com.microsoft on quantized integers."""
    m = Model(4, 6, 5)
    grids = [m.grid(0.0317, 120), m.grid(0.0478, 90)]
    x, y = m.q("x", grids[0]), m.q(m.node("Neg", "x"), grids[1])
    result = m.grid(0.0602, 117)
    for operator in ("QLinearAdd", "QLinearMul"):
        m.out(m.node(operator, x, *grids[0], y, *grids[1], *result, domain=MICROSOFT))
    m.out(m.node("QLinearAdd", x, *grids[0], m.codes(6, 5, dtype=U8), *grids[1], *result, domain=MICROSOFT))
    m.out(m.node("QLinearSigmoid", x, *grids[0], *m.grid(1 / 256, 0), domain=MICROSOFT))
    m.out(m.node("QLinearLeakyRelu", x, *grids[0], *result, domain=MICROSOFT, alpha=0.1))
    m.out(
        m.node(
            "QLinearAveragePool",
            x,
            *grids[0],
            *result,
            domain=MICROSOFT,
            kernel_shape=[3, 2],
            pads=[1, 0, 1, 0],
            count_include_pad=1,
        )
    )
    m.out(m.node("QLinearAveragePool", x, *grids[0], *result, domain=MICROSOFT, kernel_shape=[3, 2], pads=[1, 0, 1, 0]))
    m.out(m.node("QLinearGlobalAveragePool", x, *grids[0], *result, domain=MICROSOFT, channels_last=0))
    m.out(m.node("QLinearConcat", *result, x, *grids[0], y, *grids[1], domain=MICROSOFT, axis=1))
    kept = m.const(RANDOM.integers(0, 2, (1, 4, 6, 5)), np.bool_)
    m.out(m.node("QLinearWhere", kept, x, *grids[0], y, *grids[1], *result, domain=MICROSOFT))
    return m


def integer_products() -> Model:
    """MatMulInteger and ConvInteger: integers of 32 bits, and what dynamic quantization makes of them, with fixed scales."""
    m = Model(4, 6)
    grid = m.grid(0.0317, 120)
    codes, zero = m.q("x", grid), grid[1]
    signed = m.q("x", m.grid(0.0271, -9, S8))
    weights = m.codes(6, 3)
    m.out(m.node("MatMulInteger", codes, weights, zero))
    m.out(m.node("MatMulInteger", codes, weights, m.const(7, U8), m.const(-5, S8)))
    m.out(m.node("MatMulInteger", codes, m.codes(6, 3, dtype=U8), "", m.const([3, 128, 255], U8)))
    m.out(m.node("MatMulInteger", codes, weights))
    turned = m.node("Transpose", signed, perm=[0, 2, 1])
    m.out(m.node("MatMulInteger", codes, turned, zero, m.const(-9, S8)))
    m.out(m.node("ConvInteger", codes, m.codes(5, 4, 3), zero, pads=[1, 1]))
    m.out(m.node("ConvInteger", codes, m.codes(4, 2, 3, dtype=U8), zero, m.const(77, U8), group=2, strides=[2]))
    product = m.node("Cast", m.node("MatMulInteger", codes, weights, zero), to=TensorProto.FLOAT)
    real = m.node("Mul", product, m.const(0.0317 * 0.0043))
    m.out(real)
    m.out(m.qdq(m.node("Relu", m.node("Add", real, m.const([0.5, -0.25, 0.125]))), 0.02))
    return m


def softmaxes() -> Model:
    """QLinearSoftmax of both types, along axes and, as before operator set 13, over all axes from one on."""
    m = Model(6, 5)
    for scale, zero, dtype, result, attributes in (
        (0.11, 120, U8, (1 / 256, 0), {"opset": 13}),
        (0.047, 0, S8, (1 / 256, -128), {"opset": 13, "axis": 1}),
        (0.875, 130, U8, (1 / 255, 0), {"opset": 13, "axis": -1}),
        (0.2, 99, U8, (1 / 128, 10), {"opset": 12, "axis": 1}),
    ):
        grid = m.grid(scale, zero, dtype)
        made = m.grid(result[0], result[1], dtype)
        m.out(m.node("QLinearSoftmax", m.q("x", grid), *grid, *made, domain=MICROSOFT, **attributes))
    return m


def rearranged() -> Model:
    """What else the static quantizer leaves as operators on codes, or between two grids."""
    m = Model(4, 6, 5)
    grid = m.grid(0.0517, 121)
    codes = m.q("x", grid)
    sizes = m.const([1, 1, 2, 2], np.float32)
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    m.out(m.dq(m.node("Resize", codes, "", sizes, **nearest), grid))
    m.out(m.node("Pad", codes, m.const([0, 0, 1, 1, 0, 0, 2, 0], np.int64), grid[1]))
    m.out(m.dq(m.node("Pad", codes, m.const([0, 0, 1, 1, 0, 0, 2, 0], np.int64), mode="reflect"), grid))
    m.out(m.node("ArgMax", codes, axis=1, keepdims=0))
    m.out(m.dq(m.node("Split", codes, m.const([1, 3], np.int64), axis=1, count=2), grid))
    m.out(m.node("Gather", codes, m.const(2, np.int64), axis=2))
    m.out(m.dq(m.node("Relu", m.q("x", m.grid(0.0517, -3, S8))), m.grid(0.0517, -3, S8)))
    m.out(m.qdq(m.node("CumSum", m.dq(codes, grid), m.const(2, np.int64)), 0.2, 120))
    m.out(m.dq(m.node("Clip", codes, m.const(60, U8), m.const(200, U8)), grid))
    return m


MODELS: Mapping[str, Callable[[], Model]] = {
    "types": types,
    "axes": axes,
    "moves": moves,
    "pooling": pooling,
    "functions": functions,
    "codes_u8": integers(U8),
    "codes_s8": integers(S8),
    "trained": trained,
    "blocks": blocks,
    "convolutions": convolutions,
    "linear": linear,
    "elementwise": elementwise,
    "integer_products": integer_products,
    "softmaxes": softmaxes,
    "rearranged": rearranged,
}


def inputs(model: Model, count: int) -> np.ndarray:
    """Samples of an odd grid, or integers; the last ones saturate everything, or are 0."""
    if model.kind != TensorProto.FLOAT:
        dtype = next(name for name, kind in TYPES.items() if kind == model.kind)
        return RANDOM.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, (count, *model.shape)).astype(dtype)
    return scaled(np.round(RANDOM.normal(0, 2, (count, *model.shape)) * 256) / 256)


def scaled(x: np.ndarray) -> np.ndarray:
    """``x`` with extreme samples at its end."""
    factors: Sequence[float] = (16.0, 500.0, -500.0, 0.0)
    x[-4:] *= np.array(factors).reshape(4, *(1,) * (x.ndim - 1))
    return x.astype(np.float32)
