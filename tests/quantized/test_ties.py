"""Halves between two codes go where the framework sends them, whatever the zero point is."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from qdq.quantized_operators import MICROSOFT, S8, S16, U8, U16, Model
from tests.properties import few

import bitsmith
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.layer import Floats

CODES: dict[str, tuple[type[np.generic], int | None, int, int]] = {
    "int8": (S8, None, -128, 127),
    "uint8": (U8, None, 0, 255),
    "int16": (S16, None, -32768, 32767),
    "uint16": (U16, None, 0, 65535),
    "int4": (S8, TensorProto.INT4, -8, 7),
    "uint4": (U8, TensorProto.UINT4, 0, 15),
}
SAMPLES = 24


_NARROW = {"least": -64, "most": 63}
"""Weights beside 8 unsigned bits that onnxruntime multiplies exactly on any processor: some add two products in 16 bits."""


def theirs(model: onnx.ModelProto, x: np.ndarray) -> Floats:
    """What onnxruntime computes without fusing operators, sample by sample."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return np.concatenate([session.run(None, {"x": x[k : k + 1]})[0] for k in range(len(x))]).astype(np.float64)


def ours(model: onnx.ModelProto, x: np.ndarray) -> Floats:
    """What the network that was read means."""
    network = read_onnx(model)
    return network.evaluate([x.astype(np.float64)])[network.outputs[0]]


def odd_zeros(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.minimum(rng.integers(max(low, -99), min(high, 99) + 1, shape) | 1, high)


@pytest.mark.parametrize("scale", [4.0, 2.5])
def test_inputs_in_steps_of_the_user_are_not_said_to_give_equal_codes_for_want_of_samples(scale: float) -> None:
    """Of 64 samples none is so near to where a code ends that a step moves it across."""
    m = Model(1)
    m.out(m.qdq("x", scale, 0, S8))
    model = m.made()
    config = {"LayerType": {"Input": {"Precision": {"result": "fixed<8,3>"}}}}
    converted = bitsmith.convert(model, config=config)
    x = np.random.default_rng(1).normal(size=(3000, 1)).astype(np.float32)
    assert 0.0 < np.mean(theirs(model, x) != converted.predict(x)) < 0.01
    assert "equal" not in converted.fidelity.summary


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("along", ["tensor", "axis 1", "axis -1", "blocks"])
def test_quantize_linear(kind: str, along: str) -> None:
    dtype, narrow, low, high = CODES[kind]
    rng = np.random.default_rng(len(kind) + len(along))
    shape, attributes = {
        "tensor": ((), {}),
        "axis 1": ((3,), {"axis": 1}),
        "axis -1": ((8,), {"axis": -1}),
        "blocks": ((1, 3, 4), {"axis": 2, "block_size": 2}),
    }[along]
    scales = rng.choice([0.25, 0.5, 2.0, 0.75, 0.375], shape).astype(np.float32)
    m = Model(3, 8)
    grid = m.grid(scales, odd_zeros(rng, low, high, shape), dtype, narrow)
    m.out(m.dq(m.q("x", grid, **attributes), grid, **attributes))
    made = m.made()
    if along == "blocks":
        made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    steps = {"axis 1": scales.reshape(-1, 1), "blocks": np.repeat(scales, 2, -1)}.get(along, scales)
    halves = rng.integers(-12, 12, (SAMPLES, 3, 8)) + rng.choice([0.5, 0.5, 0.0, 0.25], (SAMPLES, 3, 8))
    x = (halves * steps).astype(np.float32)
    wanted = theirs(made, x)
    np.testing.assert_array_equal(ours(made, x), wanted)
    if kind == "int8":
        np.testing.assert_array_equal(bitsmith.convert(made, check=False).predict(x), wanted)


def test_steps_of_an_input_lie_between_thresholds_of_its_quantizers() -> None:
    """These are 0.0002 apart at -1/6, less than the usual steps of 16 bits."""
    m, domain = Model(1), "qonnx.custom_op.general"
    steps, bits = [m.const(each) for each in (0.0185, 1 / 3)], [m.const(each) for each in (5.0, 6.0)]
    flags = {"signed": 1, "narrow": 1, "rounding_mode": "DOWN"}
    codes = m.node("Quant", "x", steps[0], m.const(-2.0), bits[0], domain=domain, **flags)
    flags = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    others = m.node("Quant", m.node("Neg", "x"), steps[1], m.const(0.0), bits[1], domain=domain, **flags)
    m.out(m.node("Concat", codes, others, axis=1))
    x = np.array([[-0.16650064], [-0.16659], [-0.1666666]], np.float32)
    np.testing.assert_array_equal(bitsmith.convert(m.made(), check=False).predict(x), ours(m.made(), x))


@pytest.mark.parametrize("function", ["Tanh", "Sigmoid", "Gelu"])
def test_codes_behind_functions_of_sums_are_those_of_onnxruntime(function: str) -> None:
    """The sums have so many values that a table of the function has no entry for each."""
    m, rng = Model(8), np.random.default_rng(3)
    weights = m.dq(m.const(rng.integers(-99, 100, (8, 6)), S8), m.grid(0.0037, 0, S8))
    sums = m.node("MatMul", m.qdq("x", 0.043, 3, S8), weights)
    m.out(m.qdq(m.node(function, sums), 0.0171, 0, S8))
    x = rng.normal(size=(3000, 8)).astype(np.float32)
    codes = (np.rint(values / 0.0171) for values in (bitsmith.convert(m.made()).predict(x), theirs(m.made(), x)))
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("function", ["LeakyRelu", "Tanh"])
def test_codes_behind_functions_of_normalized_results_are_those_of_onnxruntime(function: str) -> None:
    m, rng = Model(8), np.random.default_rng(5)
    scale, offset = (m.const(rng.uniform(0.3, 1.7, 8)), m.const(rng.normal(size=8)))
    line = m.node("Add", m.node("Mul", m.qdq("x", 0.0043, 0, S16), scale), offset)
    m.out(m.qdq(m.node(function, line), 0.0171, 0, S8))
    x = rng.normal(size=(3000, 8)).astype(np.float32)
    codes = (np.rint(values / 0.0171) for values in (bitsmith.convert(m.made()).predict(x), theirs(m.made(), x)))
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("axis", [0, 2])
def test_samples_along_another_axis(axis: int) -> None:
    m = Model(2, 3)
    size = (2, 0, 3)[axis]
    m.out(m.q("x", m.grid(np.full(size, 0.5), [5, 7, 9][:size], S8), axis=axis))
    made = m.made()
    for dim, length in zip(made.graph.input[0].type.tensor_type.shape.dim, (2, None, 3), strict=True):
        dim.Clear()
        if length is not None:
            dim.dim_value = length
    x = (np.arange(-12.0, 12.0).reshape(2, 4, 3) / 4).astype(np.float32)
    wanted = onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_array_equal(np.moveaxis(ours(made, np.moveaxis(x, 1, 0)), 0, 1), wanted)


ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "ROUND": round,
    "HALF_EVEN": round,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "UP": lambda x: math.ceil(x) if x > 0 else math.floor(x),
    "DOWN": math.trunc,
    "HALF_UP": lambda x: math.floor(x + Fraction(1, 2)) if x > 0 else math.ceil(x - Fraction(1, 2)),
    "HALF_DOWN": lambda x: math.ceil(x - Fraction(1, 2)) if x > 0 else math.floor(x + Fraction(1, 2)),
}


def quant_of_qonnx(x: float, mode: str, scale: float, zero: float, signed: int) -> float:
    """A number on a grid of 4 bits; the zero point is added before clipping and rounding."""
    low, high = (-8, 7) if signed else (0, 15)
    code = min(max(Fraction(x) / Fraction(scale) + Fraction(zero), Fraction(low)), Fraction(high))
    return float((ROUNDINGS[mode](code) - Fraction(zero)) * Fraction(scale))


@pytest.mark.parametrize("mode", ROUNDINGS)
@few("zero", [3.0, 0.5, 0.0, -2.0], fast=2, judged=True)
def test_quant(mode: str, zero: float) -> None:
    for signed, scale in ((1, 0.75), (0, 0.5)):
        m = Model(8)
        operands = m.const(scale), m.const(zero), m.const(4.0)
        flags = {"signed": signed, "narrow": 0, "rounding_mode": mode}
        m.out(m.node("Quant", "x", *operands, domain="qonnx.custom_op.general", **flags))
        x = np.random.default_rng(len(mode)).integers(-80, 80, (SAMPLES, 8)) / 4 * scale
        wanted = np.vectorize(quant_of_qonnx)(x, mode, scale, zero, signed)
        np.testing.assert_array_equal(ours(m.made(), x), wanted)
        np.testing.assert_array_equal(bitsmith.convert(m.made(), check=False).predict(x), wanted)


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1 / 3, 0.05])
@pytest.mark.parametrize("operator", ["QuantizeLinear", "Quant"])
def test_only_quotients_that_single_precision_makes_ties_differ(operator: str, scale: float) -> None:
    """In single precision 0.75 is 7.5 steps of 0.1; the number nearest to 0.1 is above it, so that exactly it is less."""
    m, single = Model(8), np.float32(scale)
    if operator == "Quant":
        operands = m.const(scale), m.const(0.0), m.const(8.0)
        flags = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
        m.out(m.node("Quant", "x", *operands, domain="qonnx.custom_op.general", **flags))
    else:
        m.out(m.dq(m.q("x", grid := m.grid(scale, 0, S8)), grid))
    x = (np.arange(-512, 512).reshape(-1, 8) / 64).astype(np.float32)
    quotients = x / single
    wanted = np.clip(np.rint(quotients), -128, 127) * single  # as qonnx's reference has it
    if operator == "QuantizeLinear":
        np.testing.assert_array_equal(wanted, theirs(m.made(), x))
    apart = np.rint(bitsmith.convert(m.made(), check=False).predict(x) / single) - np.rint(wanted / single)
    exact = np.vectorize(lambda value: Fraction(float(value)) / Fraction(float(single)))(x)
    became_ties = (quotients % 1 == 0.5) & (exact != quotients.astype(np.float64))
    codes = np.clip(np.vectorize(round)(exact), -128, 127)
    np.testing.assert_array_equal(apart, codes - np.clip(np.rint(quotients), -128, 127))
    assert became_ties[apart != 0].all()
    assert np.abs(apart).max() == 1 and (apart != 0).mean() < 0.03


@pytest.mark.parametrize("clip", [None, (-1.3, 2.1), (0.0, 1.7)])
@pytest.mark.parametrize("channels", [False, True])
def test_numbers_beside_ties_pass_factors_and_clips_as_they_are(
    clip: tuple[float, float] | None, channels: bool
) -> None:
    """What falls twice rises, and whichever codes a clip leaves are a quantizer's own: nothing is rounded before it."""
    first, scale, offset = np.float32([-1.5, -0.3, 0.7]), np.float32(0.037), np.float32(0.25)
    second = np.float32([0.3, -0.7, -1.1] if channels else [-0.3])
    m = Model(3)
    y = m.node("Mul", m.node("Add", m.node("Mul", "x", m.const(first)), m.const(offset)), m.const(second))
    y = y if clip is None else m.node("Clip", y, *map(m.const, clip))
    m.out(m.qdq(y, scale, 3, S8))
    rng = np.random.default_rng(4)
    halves = (rng.integers(-90, 90, (4000, 3)) + 0.5) * scale * (1.0 + rng.choice([-1.0, 1.0], (4000, 3)) * 2.0**-14)
    x = np.float32((halves / second - offset) / first)

    def code(value: float, one: float, other: float) -> float:
        exact = (Fraction(value) * Fraction(one) + Fraction(float(offset))) * Fraction(other)
        for end, within in () if clip is None else zip(np.float32(clip).tolist(), (max, min), strict=True):
            exact = within(exact, Fraction(end))
        return min(max(round(exact / Fraction(float(scale))), -131), 124) * float(scale)

    wanted = np.vectorize(code)(x.astype(np.float64), first.astype(np.float64), second.astype(np.float64))
    np.testing.assert_array_equal(bitsmith.convert(m.made(), check=False).predict(x), wanted)


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_numbers_that_no_step_keeps_all_codes_of_are_told(size: float) -> None:
    """A tenth of single precision is on a step that one quantizer begins at, and another one ends at.

    The code beside it is one of ten or of 250 that there are.
    """
    m, flags = Model(2), {"signed": 1, "narrow": 0}
    grid = m.const(0.1), m.const(0.0), m.const(8.0)
    modes = [
        m.node("Quant", "x", *grid, domain="qonnx.custom_op.general", rounding_mode=mode, **flags)
        for mode in ("FLOOR", "CEIL")
    ]
    m.out(m.node("Concat", *modes, axis=1))
    converted = bitsmith.convert(m.made(), check=False)
    x = (size * np.random.default_rng(0).normal(size=(2000, 2))).astype(np.float32)
    x[7] = np.float32(0.1)
    with pytest.warns(
        bitsmith.FidelityWarning, match="steps of input 'x' .* are coarse .* give .*input 'x' a precision"
    ):
        converted.predict(x)
    config = {"LayerType": {"Input": {"Precision": {"result": "fixed<36,6>"}}}}
    wanted = np.float32(0.1).astype(np.float64)
    np.testing.assert_array_equal(bitsmith.convert(m.made(), config=config, check=False).predict(x)[7], wanted)


def product(m: Model, operator: str, x: tuple[str, ...], result: tuple[str, str]) -> str:
    """An operator on codes, most of whose results are halves."""
    other = (m.codes(4, 8, 4, dtype=U8), *m.grid(0.5, 7))
    match operator:
        case "QLinearAdd" | "QLinearMul":
            return m.node(operator, *x, *other, *result, domain=MICROSOFT)
        case "QLinearWhere":
            kept = m.const(np.arange(128).reshape(1, 4, 8, 4) % 3 > 0, np.bool_)
            return m.node(operator, kept, *x, *other, *result, domain=MICROSOFT)
        case "QLinearConcat":
            return m.node(operator, *result, *x, domain=MICROSOFT, axis=1)
        case "QLinearAveragePool":
            return m.node(operator, *x, *result, domain=MICROSOFT, kernel_shape=[2, 1])
        case "QLinearGlobalAveragePool":
            return m.node(operator, *x, *result, domain=MICROSOFT, channels_last=0)
        case "QLinearLeakyRelu":
            return m.node(operator, *x, *result, domain=MICROSOFT, alpha=0.25)
        case "QLinearConv":
            return m.node(
                operator, *x, m.codes(3, 4, 2, 2, **_NARROW), *m.grid([0.5, 0.25, 1.0], [0, 0, 0], S8), *result
            )
        case "QLinearMatMul":
            return m.node(operator, *x, m.codes(4, 3, **_NARROW), *m.grid(0.25, 3, S8), *result)
        case _:
            flat = m.node("Flatten", x[0])
            weights = m.codes(128, 3, **_NARROW), *m.grid(0.25, 0, S8)
            return m.node(operator, flat, *x[1:], *weights, "", *result, domain=MICROSOFT)


SCALES = {
    "QLinearConv": 64.0,
    "QLinearMatMul": 64.0,
    "QGemm": 256.0,
    "QLinearMul": 16.0,
    "QLinearGlobalAveragePool": 0.0625,
}


@pytest.mark.parametrize(
    "operator",
    [*("Add", "Mul", "Where", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Conv", "MatMul"), "QGemm"],
)
@pytest.mark.parametrize("zero", [101, 102])
def test_operators_on_codes(operator: str, zero: int) -> None:
    """Runtimes add the zero point of some results before they round, and that of others after."""
    operator = operator if operator == "QGemm" else f"QLinear{operator}"
    m = Model(4, 8, 4, kind=TensorProto.UINT8)
    m.out(product(m, operator, ("x", *m.grid(0.5, 131)), m.grid(SCALES.get(operator, 1.0), zero)))
    made = m.made()
    x = np.random.default_rng(len(operator)).integers(0, 256, (SAMPLES, 4, 8, 4)).astype(np.uint8)
    np.testing.assert_array_equal(ours(made, x), theirs(made, x))
