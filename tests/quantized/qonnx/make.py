"""Models of the QONNX dialect, and what qonnx's own executor makes of them.

Run it in an environment with ``pip install qonnx onnx onnxruntime numpy``; it writes ``models/*.onnx`` and
``models/expected.npz``, whose keys are ``model/value``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from writing import CHANNELS_LAST, Model

MODELS = Path(__file__).parent / "models"
MODES = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
SIGNS = ((1, 0), (1, 1), (0, 0), (0, 1))


def grid(bits: int, step: float, shape: Sequence[int]) -> np.ndarray:
    """All multiples of ``step`` of so many bits, as samples of ``shape``."""
    codes = np.arange(-(1 << bits - 1), 1 << bits - 1, dtype=np.float32)
    return (codes * step).reshape(-1, *shape).astype(np.float32)


def random(shape: Sequence[int], step: float, bits: int, seed: int = 0) -> np.ndarray:
    """Multiples of ``step``, most of them small, some of them the extremes of so many bits."""
    generator = np.random.default_rng(seed)
    limit = 1 << bits - 1
    codes = np.clip(np.rint(generator.normal(0.0, limit / 3.0, shape)), -limit, limit - 1)
    return (codes * step).astype(np.float32)


def branches(name: str, shape: Sequence[int] = (4, 16), **options: object) -> tuple[Model, str]:
    model = Model(name, {"x": (1, *shape)}, **options)  # type: ignore[arg-type]
    return model, model.quant("x", 1 / 64, 11)


def modes() -> Model:
    model, x = branches("modes")
    for mode, (signed, narrow) in itertools.product(MODES, SIGNS):
        model.output(model.quant(x, 0.5, 4, signed, narrow, mode=mode, name=f"{mode}_{signed}{narrow}"))
    return model


def zero_points() -> Model:
    model, x = branches("zero_points")
    for mode, signed, zero in itertools.product(MODES, (0, 1), (3.0, -2.0, 0.5)):
        label = f"{mode}_{signed}_{'half' if zero == 0.5 else int(abs(zero))}"
        model.output(model.quant(x, 0.25, 5, signed, 0, zero, mode, name=label))
    return model


def widths() -> Model:
    model, x = branches("widths")
    for bits, signed, narrow in itertools.product((1, 2, 3, 8, 16, 24), (0, 1), (0, 1)):
        model.output(model.quant(x, 0.125, bits, signed, narrow, name=f"w{bits}_{signed}{narrow}"))
    model.output(model.quant(x, 0.125, 1, 1, 0, 2.0, name="bipolar_zero"))
    model.output(model.quant(x, 0.125, 3, mode="half_even", name="half_even"))
    model.output(model.quant(x, 0.125, 3, kind="IntQuant", name="int_quant"))
    model.output(model.custom("BipolarQuant", x, model.constant(np.float32(0.5)), name="bipolar"))
    model.output(model.custom("BipolarQuant", x, model.constant(np.float32(0.3)), name="bipolar_general"))
    return model


def scales() -> Model:
    model, x = branches("scales")
    channels = np.float32([0.1, 0.25, 0.7, 1.9]).reshape(1, 4, 1)
    for number, scale in enumerate((0.3, 0.1, 1 / 3, 2.0, channels)):
        for signed, zero in ((1, 0.0), (0, 0.0), (0, 5.0)):
            model.output(model.quant(x, scale, 4, signed, 0, zero, name=f"s{number}_{signed}_{int(zero)}"))
    zeros = np.float32([0.0, 3.0, -4.0, 1.0]).reshape(1, 4, 1)
    model.output(model.quant(x, channels, 6, 0, 0, zeros, name="both"))
    model.output(model.quant(x, 2.0 * np.ones((1, 4, 1)), 6, 0, 0, zeros, "FLOOR", name="zeros"))
    return model


def in_a_row() -> Model:
    model, x = branches("in_a_row")
    fine = model.quant(x, 0.125, 6, name="fine")
    model.output(model.quant(fine, 0.5, 3, name="coarse"))
    model.output(model.quant(model.quant(fine, 0.3, 4), 0.125, 8, name="general_then_fine"))
    model.output(model.quant(fine, 0.125, 6, name="same"))
    model.output(model.node("Relu", model.quant(fine, 0.5, 4), name="relu"))
    model.output(model.node("Neg", fine, name="negative"))
    model.output(fine)
    return model


def direct() -> Model:
    """A quantizer that reads the input, and is the output."""
    model = Model("direct", {"x": (1, 4, 16)}, imported=())
    model.output(model.quant("x", 0.25, 5, name="y"))
    return model


def brevitas_domain() -> Model:
    model = Model("brevitas_domain", {"x": (1, 4, 16)}, imported=("onnx.brevitas", "finn.custom_op.general"), version=1)
    x = model.quant("x", 0.25, 5, domain="onnx.brevitas")
    model.output(model.quant(x, 0.5, 5, name="y", domain="finn.custom_op.general"))
    return model


def trunc_1() -> Model:
    model, x = branches("trunc_1", version=1)
    for mode, zero, bits in itertools.product(MODES, (0.0, 3.0), (5, 8)):
        numbers = [model.constant(np.float32(value)) for value in (0.25, zero, 8, bits)]
        name = f"{mode}_{int(zero)}_{bits}"
        model.output(model.custom("Trunc", x, *numbers, name=name, rounding_mode=mode))
    return model


def trunc_2() -> Model:
    model, x = branches("trunc_2")
    for mode, (signed, narrow), zero in itertools.product(MODES, SIGNS, (0.0, 4.0)):
        numbers = [model.constant(np.float32(value)) for value in (0.25, zero, 8, 1.0, 4)]
        name = f"{mode}_{signed}{narrow}_{int(zero)}"
        model.output(model.custom("Trunc", x, *numbers, name=name, rounding_mode=mode, signed=signed, narrow=narrow))
    general = [model.constant(np.float32(value)) for value in (0.3, 0.0, 8, 0.6, 6)]
    model.output(model.custom("Trunc", x, *general, name="general", rounding_mode="FLOOR", signed=1))
    return model


def thresholds() -> Model:
    model, x = branches("thresholds")
    per_channel = np.sort(random((4, 7), 1 / 64, 11, 3), axis=1)
    one = np.float32([[-4.0, -1.5, -1.5, 0.0, 0.25, 3.0, 9.0]])
    for label, values in (("channels", per_channel), ("one", one), ("unsorted", per_channel[:, ::-1])):
        table = model.constant(np.ascontiguousarray(values))
        layout = {"data_layout": "NCW"}
        model.output(model.custom("MultiThreshold", x, table, name=f"{label}_plain", out_dtype="UINT3", **layout))
        scaled = {"out_dtype": "INT4", "out_scale": 2.0, "out_bias": -7.0, **layout}
        model.output(model.custom("MultiThreshold", x, table, name=f"{label}_scaled", **scaled))
    general = {"out_dtype": "INT4", "out_scale": 0.3, "out_bias": -1.2, "data_layout": "NCW"}
    model.output(model.custom("MultiThreshold", x, table, name="general", **general))
    table = model.constant(np.sort(random((16, 3), 1 / 64, 11, 4), axis=1))
    model.output(model.custom("MultiThreshold", x, table, name="default", out_dtype="UINT2"))
    model.output(model.custom("MultiThreshold", x, table, name="last", out_dtype="UINT2", data_layout="NWC"))
    return model


def images(name: str, shape: Sequence[int], **options: object) -> tuple[Model, str]:
    model = Model(name, {"x": (1, *shape)}, **options)  # type: ignore[arg-type]
    return model, model.quant("x", 1.0, 5)


def thresholds_of_images() -> Model:
    model, x = images("thresholds_of_images", (3, 4, 5))
    first = model.constant(np.sort(random((3, 7), 1.0, 5, 3), axis=1))
    last = model.constant(np.sort(random((5, 7), 1.0, 5, 4), axis=1))
    model.output(model.custom("MultiThreshold", x, first, name="first", out_dtype="UINT3", data_layout="NCHW"))
    model.output(model.custom("MultiThreshold", x, first, name="default", out_dtype="UINT3"))
    model.output(model.custom("MultiThreshold", x, last, name="last", out_dtype="UINT3", data_layout="NHWC"))
    return model


def pooling() -> Model:
    model, x = images("pooling", (3, 6, 6))
    model.shaped(x, 1, 3, 6, 6)
    sizes = {"kernel": 3, "stride": 3, "ibits": 5, "signed": 1}
    model.output(model.custom("QuantAvgPool2d", x, name="mean", obits=5, **sizes))
    model.output(model.custom("QuantAvgPool2d", x, name="sum", obits=16, **sizes))
    last = model.shaped(model.node("Transpose", x, perm=[0, 2, 3, 1]), 1, 6, 6, 3)
    model.output(model.custom("QuantAvgPool2d", last, name="last", obits=4, data_layout="NHWC", **sizes))
    windows = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    model.output(model.custom("MaxPoolNHWC", last, name="max", **windows))
    padded = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    model.output(model.custom("MaxPoolNHWC", last, name="max_padded", **padded))
    model.output(model.custom("MaxPoolNHWC", last, name="max_ceil", **windows | {"ceil_mode": 1}))
    return model


def channels_last() -> Model:
    """As the public files have it: without an entry for the domain."""
    model, x = images("channels_last", (6, 6, 3), imported=())
    model.shaped(x, 1, 6, 6, 3)
    weights = model.quant(model.constant(random((4, 3, 3, 3), 1 / 16, 6)), 1 / 8, 4, narrow=1)
    model.shaped(weights, 4, 3, 3, 3)
    sizes = {"kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "pads": [1, 1, 1, 1], "group": 1}
    y = model.output(model.custom("Conv", x, weights, name="conv", domain=CHANNELS_LAST, **sizes))
    numbers = [
        model.constant(np.float32(values))
        for values in ([1, 0.5, -2, 1], [1, -1, 0, 0.25], [0.5, 0, -1, 2], [1, 4, 0.25, 1])
    ]
    y = model.custom(
        "BatchNormalization",
        model.shaped(y, 1, 6, 6, 4),
        *numbers,
        name="bn",
        domain=CHANNELS_LAST,
        epsilon=0.0,
        momentum=0.9,
    )
    y = model.output(model.quant(model.shaped(y, 1, 6, 6, 4), 0.5, 6, name="quantized"))
    model.shaped(y, 1, 6, 6, 4)
    windows = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    model.output(model.custom("MaxPool", y, name="pooled", domain=CHANNELS_LAST, **windows))
    return model


def channels_last_1d() -> Model:
    model, x = images("channels_last_1d", (9, 3), imported=())
    model.shaped(x, 1, 9, 3)
    weights = model.quant(model.constant(random((4, 3, 3), 1 / 16, 6)), 1 / 8, 4, narrow=1)
    model.shaped(weights, 4, 3, 3)
    sizes = {"kernel_shape": [3], "strides": [2], "dilations": [1], "pads": [1, 0], "group": 1}
    bias = model.constant(np.float32([1, 0, -1, 0.5]))
    y = model.custom("Conv", x, weights, bias, name="conv", domain=CHANNELS_LAST, **sizes)
    y = model.output(model.quant(model.shaped(y, 1, 4, 4), 0.5, 6, name="quantized"))
    model.shaped(y, 1, 4, 4)
    windows = {"kernel_shape": [2], "strides": [2], "pads": [0, 0]}
    model.output(model.custom("MaxPool", y, name="pooled", domain=CHANNELS_LAST, **windows))
    return model


def xnor() -> Model:
    model = Model("xnor", {"x": (1, 16)})
    x = model.quant("x", 1.0, 1, 0)
    weights = model.constant((np.random.default_rng(5).random((16, 6)) > 0.5).astype(np.float32))
    model.output(model.custom("XnorPopcountMatMul", x, weights, name="y"))
    return model


def floats() -> Model:
    """Minifloats of activations: a quantizer each for E4M3, E5M2 with bounds, E3M0 and others."""
    model, x = branches("floats")
    kinds = ((4, 3, 7, 448.0), (5, 2, 15, 57344.0), (2, 1, 1, 6.0), (3, 0, 3, 16.0), (2, 2, 1, 1e6))
    flags = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1}
    for exponent, mantissa, bias, most in kinds:
        for scale in (1.0, 0.25):
            values = (scale, exponent, mantissa, bias, most)
            numbers = [model.constant(np.float32(value)) for value in values]
            name = f"e{exponent}m{mantissa}_{scale:g}"
            model.output(model.custom("FloatQuant", x, *numbers, name=name, rounding_mode="ROUND", **flags))
    return model


def float_weights() -> Model:
    model = Model("float_weights", {"x": (1, 8)})
    x = model.quant("x", 0.25, 5)
    flags = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": "ROUND"}
    numbers = [model.constant(np.float32(value)) for value in (0.125, 2, 1, 1, 6.0)]
    weights = model.custom("FloatQuant", model.constant(random((8, 4), 1 / 64, 8)), *numbers, **flags)
    y = model.output(model.node("MatMul", x, weights, name="product"))
    model.output(model.quant(y, 0.5, 6, name="quantized"))
    return model


def dense(scale: float | np.ndarray, name: str, **options: object) -> Model:
    """Weights through Transpose, a quantized bias, activations, an output."""
    model = Model(name, {"x": (1, 16)})
    x = model.quant("x", 0.25, 6)
    kernel = model.quant(model.constant(random((8, 16), 1 / 32, 7)), scale, 4, narrow=1, **options)  # type: ignore
    kernel = model.node("Transpose", kernel, perm=[1, 0])
    y = model.node("MatMul", x, kernel)
    y = model.node("Add", y, model.quant(model.constant(random((8,), 1 / 32, 7, 1)), 1 / 16, 8))
    y = model.quant(model.node("Relu", y), 0.5, 4, 0)
    kernel = model.quant(model.constant(random((4, 8), 1 / 32, 7, 2)), 1 / 8, 3)
    y = model.node("Gemm", y, kernel, model.constant(np.float32([1, -1, 0.5, 0])), transB=1)
    model.output(model.quant(y, 0.25, 8, name="y"))
    return model


def dense_po2() -> Model:
    return dense(1 / 8, "dense_po2")


def dense_general() -> Model:
    return dense(0.11, "dense_general")


def dense_channels() -> Model:
    return dense(np.float32([0.05, 0.1, 0.125, 0.3, 0.01, 0.2, 0.07, 0.5]).reshape(8, 1), "dense_channels")


def dense_zeros() -> Model:
    """Weights with a zero point, and one that is odd."""
    return dense(1 / 8, "dense_zeros", zero=3.0)


def dense_modes() -> Model:
    """The rounding modes on weights."""
    model = Model("dense_modes", {"x": (1, 8)})
    x = model.quant("x", 1.0, 3)
    values = model.constant(random((8, 4), 1 / 32, 7))
    for mode, zero in itertools.product(MODES, (0.0, 1.0)):
        kernel = model.quant(values, 1 / 4, 3, zero=zero, mode=mode)
        model.output(model.node("MatMul", x, kernel, name=f"{mode}_{int(zero)}"))
    bipolar = model.custom("BipolarQuant", values, model.constant(np.float32(0.25)))
    model.output(model.node("MatMul", x, bipolar, name="bipolar"))
    one_bit = model.quant(values, 0.5, 1, 1)
    model.output(model.node("MatMul", x, one_bit, name="one_bit"))
    reshaped = model.node("Reshape", model.quant(values, 1 / 4, 3), model.constant(np.int64([4, 8])))
    model.output(model.node("Gemm", x, reshaped, name="reshaped", transB=1))
    return model


def residual() -> Model:
    """One quantizer that two read, quantizers after Add and before pooling, depthwise convolutions, BatchNormalization."""
    model = Model("residual", {"x": (1, 3, 6, 6)})
    x = model.quant("x", 0.25, 5)
    scales = np.float32([0.05, 0.1, 0.125]).reshape(3, 1, 1, 1)
    kernel = model.quant(model.constant(random((3, 3, 3, 3), 1 / 32, 6)), scales, 4, narrow=1)
    y = model.node("Conv", x, kernel, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    numbers = [np.float32(v) for v in ([1.1, 0.5, -2], [1, -1, 0.3], [0.5, 0, -1], [1, 4, 0.2])]
    y = model.node("BatchNormalization", y, *map(model.constant, numbers), epsilon=1e-5)
    y = model.quant(model.node("Relu", y), 0.25, 5, 0)
    y = model.quant(model.node("Add", y, x), 0.5, 4, name="sum")
    model.output(y)
    pooled = model.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    depthwise = model.quant(model.constant(random((3, 1, 2, 2), 1 / 32, 6, 5)), 1 / 16, 4)
    z = model.node("Conv", pooled, depthwise, kernel_shape=[2, 2], group=3)
    model.output(model.quant(z, 0.125, 6, name="depthwise"))
    mean = model.node("GlobalAveragePool", y)
    model.output(model.quant(mean, 0.125, 6, mode="FLOOR", name="mean"))
    return model


def functions() -> Model:
    """Quantizers after functions, and concatenated."""
    model, x = branches("functions")
    for kind in ("Sigmoid", "Tanh"):
        model.output(model.quant(model.node(kind, model.quant(x, 0.25, 5)), 1 / 16, 6, name=kind.lower()))
    one, two = model.quant(x, 0.5, 4), model.quant(x, 0.25, 5, 0)
    model.output(model.quant(model.node("Concat", one, two, axis=1), 0.5, 4, name="concat"))
    model.output(model.node("Mul", one, two, name="product"))
    return model


def im2col() -> Model:
    model, x = images("im2col", (5, 5, 3))
    sizes = {"stride": [2, 1], "kernel_size": [3, 2], "input_shape": "(1,5,5,3)", "pad_amount": [1, 0, 1, 0]}
    y = model.output(model.custom("Im2Col", x, name="patches", pad_value=0, **sizes))
    kernel = model.quant(model.constant(random((18, 4), 1 / 32, 6)), 1 / 8, 4)
    model.output(model.node("MatMul", y, kernel, name="product"))
    return model


ALL = (
    *(modes, zero_points, widths, scales, in_a_row, direct, brevitas_domain),
    *(trunc_1, trunc_2, thresholds, thresholds_of_images, pooling, channels_last, channels_last_1d, xnor, floats),
    *(float_weights, dense_po2, dense_general, dense_channels, dense_zeros, dense_modes, residual, functions, im2col),
)


def inputs_of(model: Model) -> np.ndarray:
    shape = model.inputs["x"][1:]
    if shape == (4, 16):  # all codes of the grid, and what lies beyond it
        return np.concatenate([grid(11, 1 / 64, shape), random((4, *shape), 1 / 256, 14)])
    return random((16, *shape), 1 / 64, 12)


TRACED = ("dense_general", "dense_po2", "residual")
"""Models of which all values are stored, the constants apart."""


def expected(proto: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the executor gives for each sample: the outputs, and with ``trace/`` the values between."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    outputs = {value.name for value in proto.graph.output}
    computed = {"x"}
    for node in proto.graph.node:
        computed.update(node.output if computed.intersection(node.input) else ())
    if len(proto.opset_import) == 1:  # which the executor needs to find an operator's version
        proto.opset_import.append(helper.make_opsetid(CHANNELS_LAST, 14))
    wrapped = ModelWrapper(proto).transform(InferShapes())
    if any(node.op_type == "Im2Col" for node in proto.graph.node):
        from qonnx.core.datatype import DataType

        for node in wrapped.graph.node:
            wrapped.set_tensor_datatype(node.output[0], DataType["FLOAT32"])
    results = [execute_onnx(wrapped, {"x": sample[None]}, return_full_exec_context=True) for sample in x]
    kept = {name: name for name in outputs}
    if proto.graph.name in TRACED:
        kept |= {name: f"trace/{name}" for name in computed - outputs - {"x"}}
    return {key: np.concatenate([result[name] for result in results]).astype(np.float32) for name, key in kept.items()}


def main() -> None:
    made = onnx.helper.make_model
    onnx.helper.make_model = lambda *args, **kw: made(*args, **{"ir_version": 8} | kw)  # newer than onnxruntime's
    arrays: dict[str, np.ndarray] = {}
    for make in ALL:
        model = make()
        x, proto = inputs_of(model), model.proto()
        arrays[f"{model.name}/x"] = x
        results = expected(onnx.ModelProto.FromString(proto.SerializeToString()), x)
        arrays.update({f"{model.name}/{name}": result for name, result in results.items()})
        onnx.save(proto, MODELS / f"{model.name}.onnx")
    np.savez_compressed(MODELS / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
