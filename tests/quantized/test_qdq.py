"""Quantized ONNX models compute what onnxruntime computes, but where its own rounding errors decide."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from qdq.exact import exact_operand
from qdq.quantized_operators import S8, U8, Model
from tests.properties import few

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import as_floats

MODELS = Path(__file__).parent / "qdq" / "models"
WIDE = {"mlp_qdq_u16s8_channels", "mlp_qdq_s16s8"}
"""Codes of 16 bits, whose quantizers take long."""

NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
QUANTIZED = [name for name in NAMES if name != "classifier_qop_u8s8"]

DECIDED: dict[str, dict[str, int]] = {
    "cnn_qdq_s8s8_channels": {"averagepool6_QuantizeLinear": 21},
    "cnn_qdq_u8s4": {"averagepool6_QuantizeLinear": 25},
    "cnn_qdq_u8s8": {"averagepool6_QuantizeLinear": 18},
    "mlp_qdq_s16s8": {"x_QuantizeLinear": 1, "sigmoid4_QuantizeLinear": 1},
    "mlp_qdq_u16s8_channels": {"add3_QuantizeLinear": 1},
}
"""How many codes of a quantizer onnxruntime's rounding errors decide, which the exact number is a tie between, or next to one.

Means of four codes in the scale of these are ties in every fourth case or so.
"""

_ROUNDINGS = 2
"""Of single precision: those of three codes are less; all others that differ are ties exactly."""


def known(name: str) -> tuple[Floats, dict[str, Floats]]:
    """The inputs of a model, and what onnxruntime gave."""
    with np.load(MODELS / "expected.npz") as file:
        found = {key.partition("/")[2]: file[key] for key in file if key.startswith(f"{name}/")}
    return found.pop("x"), found


def results(model: onnx.ModelProto) -> dict[str, str]:
    """The first result of each node."""
    return {node.name: node.output[0] for node in model.graph.node}


def decided(network: Network, x: Floats, expected: dict[str, Floats], made: dict[str, str]) -> dict[str, int]:
    """Codes that differ from onnxruntime's although all codes before are the same; each is next to a tie."""
    values, found = {network.inputs[0]: x.astype(np.float64)}, {}
    for node in network.nodes:
        if node.name in values:
            continue
        operands = [values[name] for name in node.inputs]
        values[node.name] = node.layer.reference(operands)
        theirs = expected.get(made.get(node.name, ""))
        if not isinstance(node.layer, Quantize) or theirs is None or theirs.dtype.kind not in "iu":
            continue
        quantizer = node.layer.quantizer
        if quantizer.offset.any() or quantizer.step.size > 1:
            continue
        zero = np.iinfo(theirs.dtype).min - int(quantizer.lo.min())
        other = (theirs.astype(np.float64) - zero) * as_floats(quantizer.step)
        wrong = ~np.isclose(other, values[node.name], rtol=1e-9)
        if wrong.any():
            exact = exact_operand(network, values, node.inputs[0])[wrong] / quantizer.scale
            assert all(_beside_tie(code) for code in exact), node.name
            steps = (other - values[node.name])[wrong] / as_floats(quantizer.step)
            np.testing.assert_allclose(np.abs(steps), 1.0)
            found[node.name] = int(wrong.sum())
        values[node.name] = other
    return found


def _beside_tie(code: Fraction) -> bool:
    """Return True if so many rounding errors may take an exact number to the other side of a half."""
    return abs(code - math.floor(code) - Fraction(1, 2)) <= _ROUNDINGS * Fraction(1, 1 << 24) * abs(code)


def agree(name: str) -> None:
    """Every output of every sample that no tie decides, and every quantizer."""
    x, expected = known(name)
    file = onnx.load(MODELS / f"{name}.onnx")
    made = results(file)
    assert decided(read_onnx(file), x, expected, made) == DECIDED.get(name, {})
    model = bitsmith.convert(MODELS / f"{name}.onnx")
    outputs, traced = model.trace(x)
    for output, found in zip(file.graph.output, outputs if isinstance(outputs, list) else [outputs], strict=True):
        want = expected[output.name]
        if name in DECIDED:
            same = (found.astype(np.float32) == want).reshape(len(x), -1).all(-1)
            assert same.sum() >= len(x) - sum(DECIDED[name].values())
        else:
            np.testing.assert_array_almost_equal_nulp(found.astype(np.float32), want.astype(np.float32), 4)
    assert traced


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning", "ignore::bitsmith.InputRangeWarning")
@few("name", [name for name in QUANTIZED if name not in WIDE], fast=6, judged=True)
def test_results_are_equal(name: str) -> None:
    agree(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning", "ignore::bitsmith.InputRangeWarning")
@pytest.mark.parametrize("name", sorted(WIDE))
def test_results_of_sixteen_bits_are_equal(name: str) -> None:
    agree(name)


def refused(model: Model, kind: type[BitsmithError] = UnsupportedError) -> str:
    """What is said of a model that is refused."""
    with pytest.raises(kind) as caught:
        read_onnx(model.made())
    return str(caught.value)


@pytest.mark.parametrize(
    ("operator", "domain", "said"),
    [
        ("DynamicQuantizeLinear", "", "while the model runs"),
        ("MatMulIntegerToFloat", "com.microsoft", "statically"),
        ("DynamicQuantizeMatMul", "com.microsoft", "statically"),
        ("DynamicQuantizeLSTM", "com.microsoft", "statically"),
        ("QAttention", "com.microsoft", "one runtime"),
    ],
)
def test_operators_that_are_refused(operator: str, domain: str, said: str) -> None:
    m = Model(3)
    m.out(m.node(operator, m.q("x", m.grid(0.1)), domain=domain))
    assert said in refused(m)


@pytest.mark.parametrize("code", [TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2])
def test_floats_of_eight_bits_are_refused_by_name(code: int) -> None:
    m = Model(3)
    m.out(m.qdq("x", 0.1, 0.0, np.float32, code))
    assert "float8e" in refused(m)
    m = Model(3, opset=23)
    m.out(m.node("QuantizeLinear", "x", m.const(0.1), output_dtype=code))
    assert "float8e" in refused(m)


@pytest.mark.parametrize("scale", [0.0, -0.5, np.nan, np.inf])
def test_scales_are_positive_numbers(scale: float) -> None:
    m = Model(3)
    m.out(m.qdq("x", scale))
    refused(m, ModelFileError)


@pytest.mark.parametrize(
    ("scale", "zero", "attributes"),
    [
        ([0.1, 0.2], [0, 0], {"axis": 1}),
        ([0.1, 0.2, 0.3], [0, 0], {"axis": 1}),
        ([0.1, 0.2, 0.3], [0, 0, 0], {"axis": 7}),
        ([0.1, 0.2, 0.3], [0, 0, 0], {"axis": 0}),
        ([[0.1, 0.2, 0.3]], [[0, 0, 0]], {"axis": 1, "block_size": 1}),
        ([[0.1], [0.2]], [[0], [0]], {"axis": 1, "block_size": -4}),
        ([], [], {}),
    ],
)
def test_scales_that_do_not_fit(scale: list[float], zero: list[int], attributes: dict[str, int]) -> None:
    m = Model(3)
    grid = m.grid(scale, zero)
    m.out(m.q("x", grid, **attributes))
    refused(m, BitsmithError)
    m = Model(3)
    grid = m.grid(scale, zero)
    m.out(m.node("MatMul", "x", m.dq(m.codes(5, 4), grid, **attributes)))
    refused(m, BitsmithError)


def test_scales_of_trained_integers_may_be_negative_or_0() -> None:
    """As in symmetric blocks, whose farthest weight has the least code, and in blocks of zeros; those of activations not."""
    weights, scales = np.array([[-128, 3], [5, 127], [0, -7]], np.int8), np.array([-0.25, 0.0], np.float32)
    m = Model(3)
    m.out(m.node("MatMul", "x", m.dq(m.const(weights, S8), (m.const(scales), m.const([0, 0], S8)), axis=1)))
    network = read_onnx(m.made())
    (output,), x = network.outputs, np.array([[0.5, 1.0, -2.0]])
    np.testing.assert_array_equal(network.evaluate([x])[output], x @ (weights * scales))
    (grid,) = (node.quantizers["weight"] for node in network.nodes if node.quantizers)
    assert np.all(grid.scale > 0) and grid.holds(np.array([[32.0, 0.0]])) and not grid.holds(np.array([[-32.0, 0.0]]))
    m = Model(3)
    m.out(m.q("x", m.grid(-0.25)))
    assert "a scale of 0 or less" in refused(m, ModelFileError)


def test_files_that_are_wrong() -> None:
    m = Model(3)
    m.out(m.node("DequantizeLinear", "x", m.const(0.1)))
    assert "not integers" in refused(m)
    m = Model(3)
    m.out(m.q("x", (m.const(0.1), m.const(0.0))))
    assert "zero point" in refused(m, ModelFileError)
    m = Model(3)
    m.out(m.q("x", (m.const(1, np.int32), m.const(0, np.uint8))))
    assert "scales of type" in refused(m)
    m = Model(3)
    m.out(m.node("QGemm", "x", domain="com.microsoft"))
    refused(m, BitsmithError)
    m = Model(3)
    grid = m.grid(0.1)
    m.out(m.node("QGemm", m.q("x", grid), *grid, m.codes(3, 2), *grid, m.const([1.0, 2.0]), domain="com.microsoft"))
    assert "a bias of type float32" in refused(m, ModelFileError)


def test_integers_of_32_bits_hold_sums_of_products() -> None:
    m = Model(40_000)
    m.out(m.node("MatMulInteger", m.q("x", m.grid(0.1)), m.const(np.full((40_000, 1), 255), U8)))
    assert "2.601e+09, which may leave 32 bits" in refused(m)
    m = Model(4)
    m.out(m.node("MatMulInteger", m.q("x", m.grid(0.1)), m.codes(4, 2), m.const([1, 2, 3], U8)))
    refused(m, BitsmithError)


@pytest.mark.parametrize("operator", ["QLinearConv", "QGemm"])
@pytest.mark.parametrize(
    ("weight", "bias", "fits"),
    [
        (-1, -(2**31), False),
        (0, -(2**31), True),
        (-1, 255 - 2**31, True),
        (1, 2**31 - 256, True),
        (1, 2**31 - 255, False),
    ],
)
def test_biases_with_which_sums_leave_32_bits_are_refused(operator: str, weight: int, bias: int, fits: bool) -> None:
    """Quantizers cut biases of tiny scales off at the end of the range, from where runtimes wrap around."""
    m = Model(1, 1) if operator == "QLinearConv" else Model(1)
    codes, grid, result = m.q("x", m.grid(0.25)), m.grid(0.25), m.grid(2.0**24, 128)
    weights = (
        m.const(np.full((1, 1, 1) if operator == "QLinearConv" else (1, 1), weight), np.int8),
        *m.grid(0.25, 0, np.int8),
    )
    offset = m.const([bias], np.int32)
    if operator == "QLinearConv":
        m.out(m.node(operator, codes, *grid, *weights, *result, offset))
    else:
        m.out(m.node(operator, codes, *grid, *weights, offset, *result, domain="com.microsoft", alpha=1.0))
    session = onnxruntime.InferenceSession(m.made().SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.full((1, *m.shape), 255 * 0.25, np.float32)
    (found,) = session.run(None, {"x": x})
    high = (bias > 0) == fits
    assert found.item() == (136 if high else 120)
    if fits:
        np.testing.assert_array_equal(bitsmith.convert(m.made(), check=False).predict(x), found)
    else:
        assert "2.147e+09, which may leave 32 bits" in refused(m)


def test_softmax_is_of_8_bits_and_of_steps_that_make_1() -> None:
    for kind, scale, said in (
        (np.uint16, 1 / 256, "uint16"),
        (U8, 3.0, "in steps of 3"),
        (U8, 1 / 4097, "1 to 1/4096"),
    ):
        m = Model(3)
        grid = m.grid(0.1, 0, kind)
        codes = m.q("x", grid)
        m.out(m.node("QLinearSoftmax", codes, *grid, *m.grid(scale, 0, kind), domain="com.microsoft", opset=13))
        assert said in refused(m)


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning", "ignore::bitsmith.InputRangeWarning")
def test_computed_tensors_have_scales_for_blocks() -> None:
    """Each sample has the same ones, so that the file is for a single sample."""
    m = Model(2, 6)
    scales, zeros = np.array([[[0.25, 0.5], [1.0, 2.0]]], np.float32), np.array([[[1, 2], [3, -4]]])
    m.out(m.q("x", m.grid(scales, zeros, np.int8), axis=2, block_size=3))
    made = m.made()
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    x = np.arange(-6.0, 6.0).reshape(1, 2, 6) * 9.125
    spread = [np.repeat(array, 3, axis=2) for array in (scales, zeros)]
    np.testing.assert_array_equal(
        bitsmith.convert(made).predict(x), np.clip(np.rint(x / spread[0]) + spread[1], -128, 127)
    )


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning", "ignore::bitsmith.InputRangeWarning")
@pytest.mark.parametrize("zeros", [(0, 7, 200), (9, 9, 9)])
def test_sums_of_codes_have_scales_by_channel(zeros: tuple[int, ...]) -> None:
    """What is rounded is the sum of the numbers that codes stand for, in exact arithmetic."""
    steps, scales = (np.array(each, np.float32).astype(float) for each in ([0.3, 0.7], [0.25, 0.4, 1.1]))
    m = Model(3)
    total = m.node("Add", *(m.qdq("x", step, 0, np.int8) for step in steps))
    m.out(m.q(total, m.grid(scales, zeros), axis=1))
    x = np.random.default_rng(0).uniform(-30.0, 60.0, (50, 3))
    codes = [np.clip(np.rint(x / step), -128, 127) for step in steps]
    wanted = [
        [
            min(max(round(sum(map(_worth, pair, steps)) / Fraction(scale)) + zero, 0), 255)
            for pair, scale, zero in zip(zip(*rows, strict=True), scales, zeros, strict=True)
        ]
        for rows in zip(*codes, strict=True)
    ]
    np.testing.assert_array_equal(bitsmith.convert(m.made()).predict(x), wanted)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_rows_of_quantized_tables_are_exact(count: int) -> None:
    """At computed places, of a table with one scale or one for each column, or of integers that are dequantized later."""
    rng, m = np.random.default_rng(count), Model(3)
    codes, scales = (
        rng.integers(-128, 128, (7, 4)).astype(np.int8),
        rng.uniform(0.01, 0.1, count or 1).astype(np.float32),
    )
    table, scale = m.const(codes, np.int8), m.const(scales if count > 1 else scales[0])
    places = m.node("Cast", "x", to=TensorProto.INT64)
    if count == 0:
        m.out(m.node("DequantizeLinear", m.node("Gather", table, places), scale))
    elif count == 1:
        m.out(m.node("Gather", m.node("DequantizeLinear", table, scale), places))
    elif count == 4:
        m.out(m.node("Gather", m.node("DequantizeLinear", table, scale, axis=1), places))
    else:  # rows of two axes, of which the first has the scales
        table = m.const(codes.reshape(7, 2, 2), np.int8)
        m.out(m.node("Gather", m.node("DequantizeLinear", table, scale, axis=1), places))
        scales = np.repeat(scales, 2)
    x = np.array([[0.0, 6.0, 3.0], [1.0, 5.0, 2.0]])
    y = bitsmith.convert(m.made()).predict(x)
    np.testing.assert_array_equal(y.reshape(2, 3, 4), codes[x.astype(int)] * scales.astype(np.float64))


@pytest.mark.parametrize("slopes", [[37], [-128, 3, 90]])
def test_slopes_on_a_grid_are_exact(slopes: list[int]) -> None:
    m, scale = Model(3), np.float32(0.0137)
    weights = m.dq(m.const(slopes, np.int8), m.grid(scale, 0, np.int8))
    m.out(m.node("PRelu", m.qdq("x", 0.25, 0, np.int8), weights))
    x = np.arange(-9.0, 9.0).reshape(6, 3) / 4
    wanted = np.where(x < 0, x * (np.array(slopes) * np.float64(scale)), x)
    np.testing.assert_array_equal(bitsmith.convert(m.made()).predict(x), wanted)


def test_constants_on_a_grid_are_taken_off_exactly() -> None:
    m, scale = Model(2, 3), np.float32(0.0137)
    codes = np.array([[1, -128, 127], [5, -77, 0]])
    m.out(m.node("Sub", m.qdq("x", 0.25, 0, np.int8), m.dq(m.const(codes, np.int8), m.grid(scale, 0, np.int8))))
    x = np.arange(-6.0, 6.0).reshape(2, 2, 3) / 4
    np.testing.assert_array_equal(bitsmith.convert(m.made()).predict(x), x - codes * np.float64(scale))


def _worth(code: float, step: float) -> Fraction:
    return Fraction(code) * Fraction(step)


def _decoded(content: bytes) -> onnx.ModelProto | None:
    """The model, if protobuf takes it."""
    try:
        return onnx.ModelProto.FromString(content)
    except Exception as error:
        assert type(error).__name__ == "DecodeError", error
        return None


@pytest.mark.parametrize("name", ["linear", "elementwise", "integer_products", "softmaxes", "blocks", "types"])
def test_damaged_files_give_one_typed_error_or_a_network(name: str) -> None:
    content = (MODELS / f"{name}.onnx").read_bytes()
    rng, refusals = np.random.default_rng(len(content)), 0
    for number in range(24):
        damaged = bytearray(content if number % 3 else content[: rng.integers(0, len(content))])
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(0, 256)
        model = _decoded(bytes(damaged))
        if model is not None:
            try:
                read_onnx(model)
            except BitsmithError as error:
                assert str(error)
                refusals += 1
    assert refusals


@pytest.mark.parametrize("dims", [(1 << 40,), (0,), (3, 0), (2, 2, 2, 2), (-1,), (1 << 62, 1 << 62)])
def test_hostile_sizes_give_one_typed_error(dims: tuple[int, ...]) -> None:
    """Of each trained tensor of operators on integers."""
    made = onnx.load(MODELS / "linear.onnx")
    for number in range(len(made.graph.initializer)):
        model = onnx.ModelProto()
        model.CopyFrom(made)
        model.graph.initializer[number].dims[:] = dims
        with pytest.raises(BitsmithError) as caught:
            read_onnx(model)
        assert str(caught.value)


def test_four_bits_are_of_initializers_and_inner_tensors() -> None:
    m = Model(3)
    m.tensors.append(helper.make_tensor("zero", TensorProto.INT4, [], [0]))
    narrow = m.node("Constant", value=helper.make_tensor("held", TensorProto.INT4, [3, 2], [1, 2, 3, 4, 5, 6]))
    m.out(m.node("MatMul", "x", m.node("DequantizeLinear", narrow, m.const(0.1), "zero")))
    assert "int4" in refused(m)
    m = Model(3, opset=23)
    scale = m.const(0.125)
    weights = m.node("QuantizeLinear", m.const([[0.25], [-9.0], [3.0]]), scale, output_dtype=TensorProto.INT4)
    codes = m.node("QuantizeLinear", "x", scale, output_dtype=TensorProto.UINT4)
    x, kernel = (m.node("DequantizeLinear", each, scale) for each in (codes, weights))
    m.out(m.node("MatMul", x, kernel))
    network = read_onnx(m.made())
    bits = [node.quantizers["weight"].bits.max() for node in network.nodes if "weight" in node.quantizers]
    bits += [node.layer.quantizer.bits.max() for node in network.nodes if isinstance(node.layer, Quantize)]
    assert bits == [4, 4]
    x = np.array([[0.3, 1.0, 99.0], [-5.0, 0.5, 0.0625]])
    (output,) = network.outputs
    want = np.clip(np.rint(x / 0.125), 0, 15) * 0.125 @ np.array([[0.25], [-1.0], [0.875]])
    np.testing.assert_array_equal(network.evaluate([x])[output], want)


def test_quantizers_are_on_their_grids_and_cost_nothing() -> None:
    """Weights have their codes' bits, and a pair of quantizers of one grid is one layer."""
    network = read_onnx(str(MODELS / "cnn_qdq_s8s8_channels.onnx"))
    trained = [node for node in network.nodes if node.layer.weights()]
    assert trained
    for node in trained:
        assert node.quantizers.keys() == node.layer.weights().keys()
        assert node.quantizers["weight"].bits.max() == 8
    pairs = sum(
        node.op_type == "QuantizeLinear" for node in onnx.load(MODELS / "cnn_qdq_s8s8_channels.onnx").graph.node
    )
    assert sum(isinstance(node.layer, Quantize) for node in network.nodes) == pairs
    assert not any(isinstance(node.layer, Lookup) for node in network.nodes)
