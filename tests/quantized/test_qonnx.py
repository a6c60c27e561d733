"""The QONNX dialect: files that ``qonnx/make.py`` writes compute what qonnx's own executor does, with no configuration.

The executor works in single precision. Where its rounding errors decide, we have what the definition says, computed here with
fractions; those elements are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.properties import every

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.ir.types import width_of

MODELS = Path(__file__).parent / "qonnx" / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
EXPECTED = np.load(MODELS / "expected.npz")

Floats = npt.NDArray[np.float64]

DECIDED_BY_ROUNDING = {
    ("scales", "s0_0_5"): 2,
    ("scales", "s1_1_0"): 1,
    ("scales", "s1_0_0"): 1,
    ("scales", "s1_0_5"): 2,
    ("scales", "s2_1_0"): 4,
    ("scales", "s2_0_0"): 4,
    ("scales", "s2_0_5"): 2,
    ("scales", "s4_1_0"): 2,
    ("scales", "s4_0_0"): 1,
    ("scales", "both"): 1,
    ("trunc_2", "general"): 3,
    ("thresholds", "general"): 650,
}
"""Elements of 2304 where the executor's own rounding errors decide: ties of ``x / 0.1``, and the last bit of levels."""


def outputs(name: str) -> dict[str, Floats]:
    """What we compute, by the names of the outputs."""
    file = MODELS / f"{name}.onnx"
    results = bitsmith.convert(file).predict(EXPECTED[f"{name}/x"].astype(np.float64))
    listed = results if isinstance(results, list) else [results]
    return dict(zip([value.name for value in onnx.load(file).graph.output], listed, strict=True))


@every("name", [*NAMES], step=2)
def test_executor(name: str) -> None:
    for output, found in outputs(name).items():
        wrong = np.count_nonzero(found.astype(np.float32) != EXPECTED[f"{name}/{output}"])
        assert wrong == DECIDED_BY_ROUNDING.get((name, output), 0), output


@pytest.mark.parametrize("name", ["dense_po2", "dense_general", "residual"])
def test_trace(name: str) -> None:
    """All values between are the executor's; where it adds up numbers that are rounded to single precision, nearly so."""
    file, prefix = MODELS / f"{name}.onnx", f"{name}/trace/"
    quantizers = {node.output[0] for node in onnx.load(file).graph.node if node.op_type == "Quant"}
    _, trace = bitsmith.convert(file).trace(EXPECTED[f"{name}/x"].astype(np.float64))
    names = [key.removeprefix(prefix) for key in EXPECTED if key.startswith(prefix)]
    for value in (value for value in names if f"{value}_node" in trace):
        found, wanted = trace[f"{value}_node"].astype(np.float32), EXPECTED[prefix + value]
        near = 0.0 if value in quantizers else 2.0**-20 * float(np.abs(wanted).max())
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=near)
    assert sum(f"{value}_node" in trace for value in names) >= len(names) - 1, (
        "a Relu is part of the quantizer after it"
    )


@pytest.mark.parametrize("batch", ["N", 3, 1])
def test_scales_of_channels_beside_samples(batch: str | int) -> None:
    scales = np.float32([0.1, 0.25, 0.7, 2.0]).reshape(1, 4, 1)
    model = one_node("Quant", scales, 0, 4, signed=1, narrow=0)
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4, 8]))
    x = np.arange(-48, 48).reshape(3, 4, 8) / 8.0
    found = bitsmith.convert(model).predict(x)
    np.testing.assert_array_equal(found, np.clip(np.rint(x / scales), -8, 7) * scales.astype(np.float64))


@pytest.mark.parametrize("signed", [0, 1])
def test_the_rounding_that_brevitas_names_otherwise(signed: int) -> None:
    """Brevitas writes ROUND_TO_ZERO, which the executor calls DOWN."""
    x = np.arange(-48, 48).reshape(3, 4, 8) / 8.0
    made = [
        one_node("Quant", 0.5, 3, 4, signed=signed, narrow=0, rounding_mode=mode) for mode in ("ROUND_TO_ZERO", "DOWN")
    ]
    found, wanted = (bitsmith.convert(model).predict(x) for model in made)
    np.testing.assert_array_equal(found, wanted)
    codes = np.trunc(np.clip(x / 0.5 + 3, *((-8, 7) if signed else (0, 15))))
    np.testing.assert_array_equal(found, (codes - 3) * 0.5)


def node_of(name: str, output: str) -> tuple[onnx.NodeProto, list[Floats], dict[str, object]]:
    """The node that makes an output, its constants and its attributes."""
    graph = onnx.load(MODELS / f"{name}.onnx").graph
    constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.initializer}
    (node,) = (node for node in graph.node if output in node.output)
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return node, [constants[source] for source in node.input[1:]], attributes


def quant(x: Fraction, scale: Fraction, zero: Fraction, bits: Fraction, signed: int) -> Fraction:
    """Quant without ``narrow``, rounding half to even."""
    least = -(1 << int(bits) - 1) if signed else 0
    code = min(max(round(x / scale + zero), least), least + (1 << int(bits)) - 1)
    return (code - zero) * scale


def floor_trunc(
    x: Fraction, scale: Fraction, zero: Fraction, _bits: Fraction, out: Fraction, bits: Fraction
) -> Fraction:
    """Trunc to half the codes, by FLOOR."""
    assert (round(out / scale), zero) == (2, 0)
    most = 1 << int(bits) - 1
    return min(max(round(x / scale) // 2, -most), most - 1) * out


@pytest.mark.parametrize(("name", "output"), [key for key in DECIDED_BY_ROUNDING if key[0] != "thresholds"])
def test_definition_where_rounding_decides(name: str, output: str) -> None:
    _, numbers, attributes = node_of(name, output)
    x = np.clip(np.rint(EXPECTED[f"{name}/x"].astype(np.float64) * 64), -1024, 1023) / 64
    rows = [np.broadcast_to(values, x.shape).ravel().tolist() for values in numbers]
    columns = zip(x.ravel().tolist(), *rows, strict=True)
    exact = floor_trunc if name == "trunc_2" else lambda *row: quant(*row, int(attributes["signed"] == 1))
    wanted = np.array([float(exact(*map(Fraction, row))) for row in columns]).reshape(x.shape)
    found = outputs(name)[output]
    np.testing.assert_array_equal(found, wanted)
    other = EXPECTED[f"{name}/{output}"] != found.astype(np.float32)
    ratio = (x.astype(np.float32) / np.broadcast_to(numbers[0], x.shape).astype(np.float32))[other]
    assert np.all(np.abs(ratio * 2 - np.rint(ratio * 2)) < 2.0**-20), "these are ties in single precision"


def test_levels_of_thresholds() -> None:
    _, (thresholds,), attributes = node_of("thresholds", "general")
    x = np.clip(np.rint(EXPECTED["thresholds/x"].astype(np.float64) * 64), -1024, 1023) / 64
    counts = np.sum(x[..., None] >= thresholds[:, None, :], axis=-1)
    scale, bias = (Fraction(attributes[key]) for key in ("out_scale", "out_bias"))
    levels = np.array([float(scale * k + bias) for k in range(thresholds.shape[1] + 1)])
    found = outputs("thresholds")["general"]
    np.testing.assert_array_equal(found, levels[counts])
    np.testing.assert_allclose(EXPECTED["thresholds/general"], found, atol=2.0**-24)


@pytest.mark.parametrize("name", ["in_a_row", "direct", "dense_zeros", "float_weights", "xnor"])
def test_circuit(name: str) -> None:
    assert_exact(read_onnx(MODELS / f"{name}.onnx"))


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.ci
def test_generated_code(tmp_path: Path) -> None:
    names = ("modes", "zero_points", "trunc_2", "scales", "floats", "dense_channels", "residual", "pooling")
    networks = {name: read_onnx(MODELS / f"{name}.onnx") for name in names}
    assert_compiled(networks, tmp_path)
    for name in ("dense_channels", "in_a_row"):
        assert_simulated(read_onnx(MODELS / f"{name}.onnx"), tmp_path / name)


def one_node(
    kind: str, *numbers: object, domain: str = "qonnx.custom_op.general", computed: int = 0, **attributes: object
) -> onnx.ModelProto:
    """A model of one operator, which reads the input, constants, and the input again as operand ``computed``."""
    names = [f"c{number}" for number in range(1, len(numbers) + 1)]
    held = [
        numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)
        for name, values in zip(names, numbers, strict=True)
    ]
    operands = ["x", *names]
    operands[computed] = "x"
    graph = helper.make_graph(
        [helper.make_node(kind, operands, ["y"], "it", domain=domain, **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def test_operators_without_a_domain_are_those_of_early_exporters() -> None:
    """Quant rounds to nearest where nothing is said, Trunc down, as qonnx's own definitions have it."""
    x = np.random.default_rng(5).integers(-40, 40, (6, 4, 8)) / 8
    for domain in ("", "onnx.brevitas", "finn"):
        quant = read_onnx(one_node("Quant", 0.25, 1, 4, domain=domain, signed=1, narrow=0))
        expected = (np.clip(np.rint(x / 0.25 + 1), -8, 7) - 1) * 0.25
        np.testing.assert_array_equal(quant.evaluate([x])[quant.outputs[0]], expected)
        trunc = read_onnx(one_node("Trunc", 0.125, 0, 8, 6, domain=domain))
        np.testing.assert_array_equal(trunc.evaluate([x])[trunc.outputs[0]], np.floor(x * 8 / 4) * 0.125)
        sign = read_onnx(one_node("BipolarQuant", 0.5, domain=domain))
        np.testing.assert_array_equal(sign.evaluate([x])[sign.outputs[0]], np.where(x < 0, -0.5, 0.5))
        assert [type(node.layer).__name__ for node in sign.nodes] == ["Input", "Staircase"]


@pytest.mark.parametrize(
    ("stated", "bits"),
    [("BINARY", 1), ("BIPOLAR", 2), ("TERNARY", 2), ("INT2", 2), ("UINT3", 3), ("INT8", 8), ("FLOAT32", 0), ("INT", 0)],
)
def test_an_input_has_the_integers_that_an_annotation_states(stated: str, bits: int) -> None:
    """Whatever reads it: here an output shows each number."""
    model = one_node("Quant", 0.25, 0, 12, **QUANT)
    model.graph.quantization_annotation.append(
        onnx.TensorAnnotation(tensor_name="x", quant_parameter_tensor_names=[{"key": "finn_datatype", "value": stated}])
    )
    model.graph.node[0].input[0] = "third"
    model.graph.node.insert(0, helper.make_node("Div", ["x", "three"], ["third"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(3), "three"))
    converted = bitsmith.convert(model)
    (op,) = converted.program.input_ops()
    assert bool(np.all(op.frac == 0)) == bool(bits)
    assert not bits or width_of(int(op.lo.min()), int(op.hi.max())) == bits
    x = np.random.default_rng(0).integers(-(stated in {"BIPOLAR", "INT2"}), 2, (8, 4, 8)).astype(np.float64)
    np.testing.assert_array_equal(converted.predict(x), np.rint(x / 3 / 0.25) * 0.25)


QUANT = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
FLOAT = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": "ROUND"}
REFUSED: Sequence[tuple[Callable[[], onnx.ModelProto], str]] = (
    (lambda: one_node("Quant", 0.5, 0, 3.5, **QUANT), "the bit width is 3.5"),
    (lambda: one_node("Quant", 0.5, 0, 0, **QUANT), "the bit width is 0"),
    (lambda: one_node("Quant", 0.5, 0, 200, **QUANT), "the bit width is 200"),
    (lambda: one_node("Quant", 0.5, 0, [4, 3], **QUANT), "the bit width of shape"),
    (lambda: one_node("Quant", 0.0, 0, 4, **QUANT), "the scale is 0"),
    (lambda: one_node("Quant", [[0.5], [1], [2], [-0.5]], 0, 4, **QUANT), "the scale is -0.5"),
    (lambda: one_node("Quant", [1, 2, 3], 0, 4, **QUANT), r"the scale of shape \(3,\)"),
    (lambda: one_node("Quant", np.ones((2, 4, 8)), 0, 4, **QUANT), r"the scale of shape \(2, 4, 8\)"),
    (lambda: one_node("Quant", 1, 1e12, 4, **QUANT), "the zero point is"),
    (lambda: one_node("Quant", 1, np.inf, 4, **QUANT), "the zero point holds 1 NaN or infinite"),
    (lambda: one_node("Quant", 1, 0, 4, computed=1, **QUANT), "the scale computed from an input"),
    (lambda: one_node("Quant", 1, 0, 4, computed=2, **QUANT), "the zero point computed from an input"),
    (lambda: one_node("Quant", 1, 0, 4, signed=1, narrow=0, rounding_mode="STOCHASTIC"), "rounding mode 'STOCHASTIC'"),
    (lambda: one_node("Quant", 1, 0, 4, signed=7), "signed is 7"),
    (lambda: one_node("Quant", 1, 0, 4, groups=7, **QUANT), "the attribute groups"),
    (lambda: one_node("Quant", 1, 0, **QUANT), "Quant without operand 3"),
    (lambda: one_node("BipolarQuant", -1), "the scale is -1"),
    (lambda: one_node("Trunc", 1, 0, 8.5, 4, rounding_mode="FLOOR"), "the bit width of the operand is 8.5"),
    (lambda: one_node("Trunc", 1, 0, 8, 0, 4, rounding_mode="FLOOR"), "the scale of the result is 0"),
    (lambda: one_node("MultiThreshold", [1, 2, 3], out_dtype="UINT2"), r"thresholds of shape \(3,\)"),
    (lambda: one_node("MultiThreshold", np.ones((3, 3)), out_dtype="UINT2"), "thresholds of shape"),
    (lambda: one_node("MultiThreshold", np.ones((1, 3)), out_dtype="UINT2", data_layout="NDHC"), "thresholds of shape"),
    (lambda: one_node("FloatQuant", 1, 4, 3, 7, 448, **FLOAT | {"saturation": 0}), "overflow to infinity"),
    (lambda: one_node("FloatQuant", 1, 4.5, 3, 7, 448, **FLOAT), "4.5 bits of the exponent"),
    (lambda: one_node("FloatQuant", 1, 8, 8, 7, 1e30, **FLOAT), "a minifloat of too many values"),
    (lambda: one_node("FloatQuant", 1, 4, 3, 7, 448, **FLOAT | {"rounding_mode": "CEIL"}), "rounded by CEIL"),
    (lambda: one_node("QuantAvgPool2d", kernel=2, stride=2, ibits=4, obits=4, signed=0), "axes"),
    (lambda: one_node("GenericPartition", model="other.onnx"), "of this domain only Quant, IntQuant"),
    (lambda: one_node("QuantLSTMCell", domain="onnx.brevitas", cifg=1), "coupled gates"),
    (lambda: one_node("QuantLSTMCell"), "QuantLSTMCell without operand 1"),
    (lambda: one_node("QuantLSTMCell", [[0, 1]], [[0, 0]]), "an initial state other than 0"),
    (
        lambda: one_node("QuantLSTMCell", [0], [0], *[np.ones((2, 3))] * 8, *[np.ones(2)] * 4),
        r"weights of shape \(2, 3\)",
    ),
    (lambda: one_node("Relu", domain="qonnx.custom_op.channels_last"), "of this domain only Conv, MaxPool"),
    (lambda: one_node("Conv", domain="qonnx.custom_op.channels_last"), "Conv without operand 1"),
)


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(make: Callable[[], onnx.ModelProto], words: str) -> None:
    with pytest.raises((UnsupportedError, ModelFileError), match=words):
        read_onnx(make())


@pytest.mark.parametrize("name", ["trunc_2", "pooling", "channels_last", "floats", "im2col", "thresholds"])
def test_damaged_files(name: str) -> None:
    content = bytearray((MODELS / f"{name}.onnx").read_bytes())
    rng = np.random.default_rng(len(content))
    for _ in range(12):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(0, 256)
        try:
            read_onnx(onnx.ModelProto.FromString(bytes(damaged)))
        except BitsmithError as error:
            assert str(error)
        except Exception as error:
            assert type(error).__name__ == "DecodeError", error
