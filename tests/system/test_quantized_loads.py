"""Other weights for quantized layers: all that a quantizer allows fits, and is on its grid as the framework has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import bitsmith
from bitsmith.errors import InputDataError
from bitsmith.layers.layer import Floats
from bitsmith.layers.quantization.quantizer import Retrained
from bitsmith.model import Model
from bitsmith.passes.program.load import parameters
from tests.quantized.test_qkeras import LiveModel, _cell, _spread
from tests.system.test_framework_weights import assert_drivers_load

RELOADABLE = {"Model": {"Weights": "reloadable"}}
RNG = np.random.default_rng(5)

pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")


def converted(model: Any, **options: Any) -> Model:
    return bitsmith.convert(model, config=RELOADABLE, allow_approximate=True, check=False, **options)


def wide(*shape: int) -> Floats:
    """Numbers that are off the grids of quantizers, and beyond them."""
    return RNG.normal(0.0, 0.8, shape).astype(np.float32).astype(np.float64)


CELLS = [
    ("QSimpleRNN", 1, False, "quantized_tanh(6)", None),
    ("QLSTM", 4, False, "quantized_tanh(6)", "quantized_sigmoid(6)"),
    ("QGRU", 3, False, "quantized_tanh(6)", "quantized_sigmoid(6)"),
    ("QGRU", 3, True, "quantized_tanh(6)", "quantized_sigmoid(6)"),
]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("kind", "gates", "after", "activation", "opening"), CELLS)
def test_cells_of_qkeras_by_their_own_names(
    kind: str, gates: int, after: bool, activation: str, opening: str | None, tmp_path: Path
) -> None:
    """Also of a saved model, and by the driver; the result is that of a model with these tensors."""
    before, other = (_cell(kind, gates, activation, opening, reset_after=after) for _ in "01")
    tensors = before.layers[1].get_weights()
    if after:
        tensors[2] = _spread(2, 2 * gates)
    tensors[:] = [np.rint(tensor) / 2 for tensor in tensors]  # of fewer bits than the quantizer has
    given = [wide(*tensor.shape) for tensor in tensors]
    other.layers[1].get_weights()[:] = [tensor.astype(np.float32) for tensor in given]
    loaded, wanted = converted(before), converted(other)
    x = np.rint(np.random.default_rng(0).normal(size=(50, 4, 3)) * 16) / 16
    loads = dict(zip(("kernel", "recurrent_kernel", "bias"), given, strict=True))
    loaded.save(tmp_path / "saved.json")
    again = Model.load(tmp_path / "saved.json")
    assert_drivers_load(Model.load(tmp_path / "saved.json"), {"it": on_grids(loads)}, tmp_path)
    assert not np.array_equal(loaded.predict(x), wanted.predict(x))
    for model in (loaded, again):
        model.load_weights("it", **loads)
        np.testing.assert_array_equal(model.predict(x), wanted.predict(x))
    if after:
        for name, row in (("bias", 0), ("recurrent_bias", 1)):
            loaded.load_weights("it", **{name: given[2][row]})
        np.testing.assert_array_equal(loaded.predict(x), wanted.predict(x))
    with pytest.raises(InputDataError, match="'it'"):
        loaded.load_weights("it", peephole=np.zeros(2))


def on_grids(tensors: Mapping[str, Floats]) -> dict[str, Floats]:
    """What `quantized_bits(5,0,alpha=1)` makes of tensors."""
    return {name: np.clip(np.rint(values * 16), -16, 15) / 16 for name, values in tensors.items()}


QUANTIZERS = {
    "quantized_bits(4,0,alpha=1)": True,
    "quantized_bits(4,1,1,alpha=1)": True,
    "quantized_bits(6,2,0,keep_negative=False,alpha=1)": True,
    "quantized_linear(5,1,alpha=1)": True,
    "quantized_bits(4,0,alpha=0.375)": False,
    "quantized_bits(4,0,1,alpha='auto_po2')": False,
    "quantized_po2(4)": False,
    "quantized_relu_po2(3)": False,
    "ternary(alpha=1)": False,
    "binary(alpha=0.5)": False,
    "quantized_tanh(4)": False,
    "quantized_sigmoid(4)": False,
    "quantized_ulaw(4)": False,
}
"""Quantizers of QKeras, and if numbers off their grids are taken there."""


def qkeras_dense(quantizer: str, kernel: Floats) -> LiveModel:
    config = {"name": "fc", "units": kernel.shape[1], "activation": "linear", "use_bias": False}
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, kernel.shape[0]]}},
        {"class_name": "QDense", "config": {**config, "kernel_quantizer": quantizer}},
    ]
    model = LiveModel("", {"x": [], "fc": [kernel.astype(np.float32)]})
    sequence = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}, "keras_version": "2.14.0"}
    model.text = json.dumps(sequence)
    return model


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_quantizers_of_qkeras(quantizer: str) -> None:
    """A kernel of one value leaves room for what the quantizer makes of any other, of the same scale."""
    plain = converted(qkeras_dense(quantizer, np.full((4, 3), 0.5)))
    kernel = np.concatenate([np.full((1, 3), 0.5), wide(3, 3)])
    if "auto" in quantizer:  # the greatest decides the scale
        kernel = np.concatenate([np.full((1, 3), 0.5), np.clip(wide(3, 3), -0.4, 0.4)])
    wanted = converted(qkeras_dense(quantizer, kernel))
    quantized = wanted.network.node("fc").layer.weights()["weight"]
    x = np.rint(RNG.normal(size=(20, 4)) * 16) / 16
    plain.load_weights("fc", kernel=quantized)
    np.testing.assert_array_equal(plain.network.node("fc").layer.weights()["weight"], quantized)
    np.testing.assert_array_equal(plain.predict(x), wanted.predict(x))
    if QUANTIZERS[quantizer]:
        plain.load_weights("fc", kernel=kernel)
        np.testing.assert_array_equal(plain.predict(x), wanted.predict(x))
    else:
        with pytest.raises(InputDataError, match="not on the grid"):
            plain.load_weights("fc", kernel=0.97 * quantized)
    np.testing.assert_array_equal(plain.network.node("fc").layer.weights()["weight"], quantized)


def test_formats_of_the_users_are_no_quantizers() -> None:
    formats = {"LayerName": {"fc": {"Weights": "reloadable", "Precision": {"weight": "fixed<12,4>"}}}}
    model = qkeras_dense("binary(alpha=0.5)", np.full((2, 2), 0.5))
    plain = bitsmith.convert(model, config=formats, override=True, check=False)
    plain.load_weights("fc", kernel=np.full((2, 2), 0.3))
    assert plain.predict(np.ones((1, 2)))[0] == pytest.approx(2 * round(0.3 * 256) / 256)


def one_product(quantizer: list[onnx.NodeProto], tensors: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """``x @ w``, where nodes make ``w`` of a float kernel ``k`` or of codes ``k``."""
    nodes = [*quantizer, helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    values = [helper.make_tensor_value_info(name, 1, ["N", size]) for name, size in (("x", 3), ("y", 2))]
    initializers = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


QONNX = [
    ("ROUND", 1, 0.0),
    ("FLOOR", 1, 0.0),
    ("HALF_UP", 1, 0.0),
    ("ROUND", 0, 0.0),
    ("CEIL", 1, 0.0),
    ("ROUND", 1, 1.0),
]


@pytest.mark.parametrize(("mode", "narrow", "zero"), QONNX)
def test_quantizers_of_qonnx(mode: str, narrow: int, zero: float) -> None:
    """With a scale for each column, one no power of two, which the file holds."""
    single = [np.float32(zero), np.float32(4)]
    scale = np.array([[0.25, 0.3]], np.float32)

    def model(kernel: Floats) -> Model:
        modes = {"rounding_mode": mode, "narrow": narrow, "signed": 1}
        quant = helper.make_node("Quant", ["k", "s", "z", "b"], ["w"], domain="qonnx.custom_op.general", **modes)
        tensors = {"k": kernel.astype(np.float32), "s": scale, "z": single[0], "b": single[1]}
        return converted(one_product([quant], {name: np.asarray(value) for name, value in tensors.items()}))

    kernel, x = wide(3, 2) * 2, np.rint(RNG.normal(size=(20, 3)) * 16) / 16
    plain, wanted = model(np.full((3, 2), 0.5)), model(kernel)
    trained = wanted.network.node("fc").layer.weights()["weight"]
    known = plain.network.node("fc").quantizers["weight"].retrained
    assert (known is Retrained.QUANTIZED) == (mode != "CEIL" and not zero)
    plain.load_weights("fc", kernel=kernel if known is Retrained.QUANTIZED else trained)
    np.testing.assert_array_equal(plain.predict(x), wanted.predict(x))


@pytest.mark.parametrize("zero", [0, 3])
def test_codes_of_onnx(zero: int) -> None:
    """Eight bits, of which the trained codes need few."""

    def model(codes: np.ndarray) -> Model:
        node = helper.make_node("DequantizeLinear", ["k", "s", "z"], ["w"])
        return converted(
            one_product([node], {"k": codes, "s": np.array(0.3, np.float32), "z": np.array(zero, np.int8)})
        )

    codes = RNG.integers(-128, 128, (3, 2)).astype(np.int8)
    plain, wanted = model(np.full((3, 2), 1, np.int8)), model(codes)
    x = np.rint(RNG.normal(size=(20, 3)) * 16) / 16
    plain.load_weights("fc", kernel=(codes.astype(np.float64) - zero) * np.float64(np.float32(0.3)))
    np.testing.assert_array_equal(plain.predict(x), wanted.predict(x))


def test_codes_of_tensorflow_lite() -> None:
    """All of their types fit, whatever the trained ones are."""
    models = Path(__file__).parents[1] / "quantized" / "tflite" / "models"
    for name in ("cnn_int8_codes", "conv_uint8_valid", "dense_int8_fused1"):
        model = converted(models / f"{name}.tflite")
        for (_, variable), node in parameters(model.program).items():
            ends = (-(1 << 31), (1 << 31) - 1) if variable == "bias" else (-128, 127)
            assert (node.type.span.frac, node.type.span.lo, node.type.span.hi) == (0, *ends)


@pytest.mark.slow
@pytest.mark.ci
def test_cells_of_brevitas() -> None:
    """The gates in a stack, as the operator has them one by one."""
    path = Path(__file__).parents[1] / "quantized" / "brevitas_exports" / "models" / "lstm_qonnx_script.onnx"
    model, (name,) = onnx.load(path), ("/lstm/layers.0.0/export_handler/QuantLSTMCell",)
    changed = onnx.load(path)
    cell = next(node for node in changed.graph.node if node.op_type == "QuantLSTMCell")
    quants = {node.output[0]: node for node in changed.graph.node}
    initializers = {tensor.name: tensor for tensor in changed.graph.initializer}

    def stacked(first: int, factor: float) -> Floats:
        """Other numbers for four gates, in the file, and as an array."""
        tensors = []
        for operand in cell.input[first : first + 4]:
            tensor = initializers[operand if operand in initializers else quants[operand].input[0]]
            values = (numpy_helper.to_array(tensor)[..., ::-1] * factor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            tensors.append(values)
        return np.stack(tensors).astype(np.float64)

    given = {"kernel": stacked(3, 1.5), "recurrent_kernel": stacked(7, 0.5), "bias": stacked(11, 1.0)}
    loaded, wanted = converted(model), converted(changed)
    x = RNG.normal(size=(20, *loaded.get_input_variables()[0].shape))
    before = np.asarray(loaded.predict(x))
    loaded.load_weights(name, **given)
    assert not np.array_equal(loaded.predict(x), before)
    np.testing.assert_array_equal(loaded.predict(x), wanted.predict(x))
    with pytest.raises(InputDataError, match=r"\(4, 3, 4\)"):
        loaded.load_weights(name, kernel=given["kernel"][0])


def hgq_cell(seed: int) -> tuple[Any, np.random.Generator, Floats]:
    """A live model with a recurrent layer of HGQ2 that has widths of many kinds, and its operand."""
    import keras
    from hgq import layers
    from hgq.config import QuantizerConfigScope

    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    kind, overflow = rng.choice(["QSimpleRNN", "QGRU"]), str(rng.choice(["SAT", "WRAP", "SAT_SYM"]))
    widths = {"f0": int(rng.integers(2, 7))} if (by_frac := rng.random() < 0.5) else {"b0": int(rng.integers(4, 9))}
    modes = {"overflow_mode": overflow, "round_mode": str(rng.choice(["RND", "RND_CONV", "TRN"]))}
    steps, channels, units = (int(size) for size in rng.integers(2, 5, 3))
    options = {"return_sequences": bool(rng.integers(2))} | ({"reset_after": seed % 2 > 0} if kind == "QGRU" else {})
    with QuantizerConfigScope(place="all", default_q_type="kif" if by_frac else "kbi", i0=2, **widths, **modes):
        x = keras.Input((steps, channels))
        model = keras.Model(x, getattr(layers, kind)(units, name="cell", **options)(x))
    for variable in model.layers[1].weights:
        if "kq" in variable.path and variable.path.split("/")[-1] in ("b", "f"):
            variable.assign(np.maximum(np.asarray(variable) + rng.integers(-1, 2, variable.shape), 1))
    return model, rng, rng.integers(-64, 64, (40, steps, channels)) / 64


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore:.custom_gradient. for the numpy backend:UserWarning")
@pytest.mark.parametrize("seed", range(12))
def test_cells_of_hgq(seed: int) -> None:
    """A first kernel without fine steps makes room for one that has them."""
    model, rng, x = hgq_cell(seed)
    cell = model.layers[1]
    names = ("kernel", "recurrent_kernel", "bias")
    variables = [each for each in cell.weights if each.path.split("/")[-1] in names]
    for variable in variables:
        variable.assign(np.rint(np.asarray(variable)))
    loaded = converted(model)
    given = {each.path.split("/")[-1]: np.clip(rng.normal(0.0, 0.6, each.shape), -0.9, 0.9) for each in variables}
    for variable in variables:
        variable.assign(given[variable.path.split("/")[-1]])
    loaded.load_weights("cell", **{name: values.astype(np.float32) for name, values in given.items()})
    np.testing.assert_array_equal(loaded.predict(x), np.asarray(model.predict(x.astype(np.float32), verbose=0)))
