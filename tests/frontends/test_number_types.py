"""Integers, unsigned integers and truth values are what each framework makes of them, exactly, or refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import torch
from keras import ops
from number_expressions import Expression, Function, Numbers, data, drawn, is_compared, refusal
from number_graphs import drawn_graph
from number_operations import KERAS, KERAS_REAL, KERAS_TYPES, TORCH, TORCH_REAL, TORCH_TYPES
from onnx import TensorProto, helper
from onnx_models import graph, node
from tests.frontends.torch_samples import Of

from bitsmith import convert
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.input import Input
from bitsmith.layers.integer import Bits, Bitwise, WholeQuotient, Wrap
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.model import Model

Operations = Mapping[str, tuple[int, Function]]

_SEEDS = {"torch": 320, "keras": 300, "onnx": 400}
_AT_ONCE = 20
_FAST = {"torch": 4, "keras": 3, "onnx": 12}


def _torch(seed: int) -> str | None:
    found = drawn(seed, TORCH, TORCH_REAL, TORCH_TYPES, torch.tensor)
    inputs = [data(dtype) for dtype in found.dtypes]
    given = tuple(torch.tensor(x) for x in inputs)
    try:
        exported = torch.export.export(Of(found), given)
    except RuntimeError as error:  # shifts of truth values, which only live modules have
        return str(error)
    return refusal(lambda: read_torch(exported), inputs, found(*given).numpy(), str(found))


def _keras(seed: int) -> str | None:
    found = drawn(seed, KERAS, KERAS_REAL, KERAS_TYPES, ops.convert_to_tensor)
    inputs = [data(dtype) for dtype in found.dtypes]
    given = [keras.Input(x.shape[1:], dtype=dtype) for x, dtype in zip(inputs, found.dtypes, strict=True)]
    model = keras.Model(given, found(*given))
    wanted = found(*(ops.convert_to_tensor(x) for x in inputs))
    return refusal(lambda: read_keras(model), inputs, np.asarray(wanted), str(found))


def _onnx(seed: int) -> str | None:
    found, wanted = drawn_graph(seed)
    inputs = [data(dtype) for dtype in found.inputs]
    return refusal(lambda: read_onnx(found.model()), inputs, wanted, str(found.nodes))


_FRAMEWORKS = {"torch": _torch, "keras": _keras, "onnx": _onnx}


def _check(framework: str, seeds: range) -> None:
    """All expressions agree, and few are refused."""
    refused = [said for said in map(_FRAMEWORKS[framework], seeds) if said is not None]
    assert len(refused) <= max(len(seeds) // 5, 1), "\n".join(refused)


@pytest.mark.parametrize("framework", _FRAMEWORKS)
def test_expressions_agree(framework: str) -> None:
    _check(framework, range(_FAST[framework]))


def _found(operations: Operations, real: frozenset[str], dtype: str, tensor: Function) -> dict[str, Expression]:
    """Each operation of a framework by itself, on operands of one type, if the framework has it."""
    found = {}
    for name, (count, function) in operations.items():
        if name in real or "float" not in dtype:
            one = Expression([dtype] * count, [(name, function, tuple(range(count)))])
            with warnings.catch_warnings(), contextlib.suppress(Exception):  # whatever it says of what it does not do
                warnings.simplefilter("ignore")
                if is_compared(np.asarray(one(*[tensor(data(dtype))] * count))):
                    found[name] = one
    return found


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dtype", TORCH_TYPES)
def test_each_operation_of_torch_by_itself(dtype: str) -> None:
    refused = []
    for one in _found(TORCH, TORCH_REAL, dtype, torch.tensor).values():
        inputs = [data(dtype) for _ in one.dtypes]
        given = tuple(torch.tensor(x) for x in inputs)
        try:
            exported = torch.export.export(Of(one), given)
        except RuntimeError:  # shifts of truth values, which only live modules have
            continue
        refused.append(refusal(partial(read_torch, exported), inputs, one(*given).numpy(), str(one)))
    assert sum(said is not None for said in refused) <= len(refused) // 5


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dtype", KERAS_TYPES)
def test_each_operation_of_keras_by_itself(dtype: str) -> None:
    refused = []
    for one in _found(KERAS, KERAS_REAL, dtype, ops.convert_to_tensor).values():
        inputs = [data(dtype) for _ in one.dtypes]
        given = [keras.Input(x.shape[1:], dtype=dtype) for x in inputs]
        wanted = np.asarray(one(*map(ops.convert_to_tensor, inputs)))
        refused.append(refusal(partial(read_keras, keras.Model(given, one(*given))), inputs, wanted, str(one)))
    assert sum(said is not None for said in refused) <= len(refused) // 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "first"),
    [(framework, first) for framework, count in _SEEDS.items() for first in range(0, count, _AT_ONCE)],
)
def test_random_expressions_agree(framework: str, first: int) -> None:
    _check(framework, range(first, first + _AT_ONCE))


def _several(*inputs: Any) -> list[Any]:
    """What is known of each framework: signs, wraps, truths. Of 8 bits, 8 unsigned ones, 16 and a truth value."""
    i, u, s, b = inputs
    return [
        i + i,
        i * i,
        -u,
        abs(i),
        u - 200,
        i + u,
        s * i,
        i // 3,
        i % -3,
        b & (i > 0),
        b + (u > 5),
        i + b,
        i >> 2,
        u >> 7,
    ]


def test_what_everyone_meets_in_pytorch_and_keras() -> None:
    inputs = [data(dtype) for dtype in ("int8", "uint8", "int16", "bool")]
    modules = torch.export.export(Of(_several), tuple(torch.tensor(x) for x in inputs))
    _agree(read_torch(modules), inputs, [y.numpy() for y in _several(*(torch.tensor(x) for x in inputs))])
    symbols = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    # Keras has no operator for & and +.
    given = [ops.convert_to_tensor(x) for x in inputs]
    _agree(read_keras(keras.Model(symbols, _of_keras(*symbols))), inputs, [np.asarray(y) for y in _of_keras(*given)])


def _of_keras(i: Any, u: Any, s: Any, b: Any) -> list[Any]:
    return [
        *(i + i, i * i, -u, abs(i), u - 200, i + u, s * i, i // 3, i % -3, ops.floor(s / 3.0)),
        *(ops.add(b, u > 5), ops.multiply(b, u > 5), ops.sum(b, axis=-1), ops.sum(u, axis=-1), ops.cumsum(i, axis=-1)),
        *(ops.cast(s, "int8"), ops.cast(s, "bool"), ops.where(b, i, u), ops.left_shift(i, 2), ops.bitwise_not(u)),
        *(ops.right_shift(i, 2), ops.right_shift(u, 7), i * ops.full_like(i, 2.75)),
        ops.floor_divide(i[:, None], np.array([[3], [-6]], np.int8)),
    ]


def test_what_everyone_meets_in_onnx() -> None:
    inputs = {"i": data("int8"), "u": data("uint8"), "b": data("bool"), "s": data("int32")}
    nodes = [
        *(node(name, "i i", name) for name in ("Add", "Mul")),
        *(node(name, "i t", name) for name in ("Div", "Mod")),
        node("Sub", "u v", "Sub"),
        node("Or", "b b", "Or"),
        node("Neg", "i", "Neg"),
        node("BitShift", "u w", "BitShift", direction="LEFT"),
        node("BitShift", "u w", "Shifted", direction="RIGHT"),
        node("Cast", "s", "Cast", to=TensorProto.INT8),
        node("Mul", "s s", "Mul32"),
    ]
    names = [one.output[0] for one in nodes]
    types = {"i": TensorProto.INT8, "u": TensorProto.UINT8, "b": TensorProto.BOOL, "s": TensorProto.INT32}
    weights = {"t": np.int8(-3), "v": np.uint8(200), "w": np.uint8(3)}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "known",
            [helper.make_tensor_value_info(name, code, ["samples", 4]) for name, code in types.items()],
            [onnx.ValueInfoProto(name=name) for name in names],
            [onnx.numpy_helper.from_array(np.array(value), name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    i, u, s = (inputs[name] for name in "ius")
    wanted = [i + i, i * i, np.trunc(i / -3), np.mod(i, np.int8(-3)), u - np.uint8(200), inputs["b"], -i]
    _agree(
        read_onnx(model), [*inputs.values()], [*wanted, u << np.uint8(3), u >> np.uint8(3), s.astype(np.int8), s * s]
    )


def _agree(network: Network, inputs: list[Numbers], wanted: list[Numbers]) -> None:
    given = [x.astype(np.float64) for x in inputs]
    for number, (found, right) in enumerate(
        zip(Emulator(compile_network(network, given).program).run(given), wanted, strict=True)
    ):
        right = np.asarray(right).astype(np.float64)
        np.testing.assert_array_equal(found.reshape(right.shape), right, err_msg=f"result {number}")


@pytest.mark.parametrize("way", [Whole.FLOOR, Whole.CEIL, Whole.TRUNC])
@pytest.mark.parametrize("signed", [True, False])
def test_quotients_of_all_small_integers(way: Whole, signed: bool) -> None:
    x, y = _all_pairs(signed)
    x, y = x[y != 0], y[y != 0]
    exact = {Whole.FLOOR: np.floor, Whole.CEIL: np.ceil, Whole.TRUNC: np.trunc}[way](x / y)
    np.testing.assert_array_equal(_of_pairs(WholeQuotient(way), x, y, signed), exact)
    np.testing.assert_array_equal(WholeQuotient(way).reference([x[:, None], y[:, None]])[:, 0], exact)


@pytest.mark.parametrize("operation", Bits)
@pytest.mark.parametrize("signed", [True, False])
def test_bits_of_all_small_integers(operation: Bits, signed: bool) -> None:
    x, y = _all_pairs(signed)
    found = _of_pairs(Bitwise(operation), x, y, signed)
    np.testing.assert_array_equal(found, Bitwise(operation).reference([x[:, None], y[:, None]])[:, 0])


def _all_pairs(signed: bool) -> tuple[Numbers, Numbers]:
    numbers = np.arange(64.0) - (32.0 if signed else 0.0)
    return np.repeat(numbers, 64), np.tile(numbers, 64)


def _of_pairs(layer: Layer, x: Numbers, y: Numbers, signed: bool) -> Numbers:
    limits = (-32, 31) if signed else (0, 63)
    nodes = [NetworkNode(name, Input((1,), integer=True, limits=limits)) for name in "xy"]
    network = Network((*nodes, NetworkNode("z", layer, ("x", "y"), whole=True)), ("x", "y"), ("z",))
    return Emulator(compile_network(network).program).run([x[:, None], y[:, None]])[0][:, 0]


def test_wrapping_in_floating_point() -> None:
    numbers = np.arange(-600.0, 600.0)
    for dtype in (np.int8, np.uint8):
        layer = Wrap(8, signed=dtype is np.int8, defined=None)
        np.testing.assert_array_equal(layer.reference([numbers]), numbers.astype(np.int64).astype(dtype))


def test_images_of_bytes_keep_all_their_values(tmp_path: Path) -> None:
    model = _images()
    dark = np.random.default_rng(0).integers(0, 90, (32, 3, 4)).astype(np.uint8)
    converted = convert(model, calibration=[dark.astype(np.float64)], check=True)
    layer = converted.network.node("x").layer
    assert isinstance(layer, Input) and str(layer.default_format(16)) == "ufixed<8,8,RND,SAT>"
    bright = np.full((1, 3, 4), 255.0)
    np.testing.assert_allclose(converted.predict(bright), bright / 255.0, atol=1e-3)
    path = tmp_path / "images.json"
    converted.save(path)
    loaded = Model.load(path)
    np.testing.assert_array_equal(loaded.predict(bright), converted.predict(bright))


def _images() -> onnx.ModelProto:
    nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("Mul", "f c", "y")]
    return graph(nodes, {"x": ("n", 3, 4)}, "y", {"c": np.float32(1 / 255)}, types={"x": np.uint8})


def test_whole_results_are_saved(tmp_path: Path) -> None:
    model = graph([node("Mul", "x x", "y")], {"x": ("n", 4)}, "y", types={"x": np.int32})
    numbers = np.array([[40_000.0, -40_001.0, 3.0, 65_536.0]])
    converted = convert(model, calibration=[numbers])
    assert converted.network.node("y_node").whole
    assert converted.predict(numbers).tolist() == [[1_600_000_000.0, 1_600_080_001.0, 9.0, 0.0]]
    converted.save(tmp_path / "square.json")
    assert Model.load(tmp_path / "square.json").network.node("y_node").whole


@pytest.mark.parametrize(
    ("nodes", "dtype", "words"),
    [
        ([node("ReduceMean", "x", "y", axes=[1])], np.int64, "ReduceMean of type int64"),
        ([node("ReduceLogSum", "x", "y", axes=[1])], np.int64, "ReduceLogSum of type int64"),
        ([node("Constant", "", "c", value_int=3), node("Pow", "c x", "y")], np.int64, "a power of integers"),
        ([node("Sub", "x x", "y")], np.bool_, "arithmetic on truth values"),
        ([node("MaxPool", "x", "y", kernel_shape=[2])], np.uint8, "operands of type uint8"),
    ],
)
def test_what_is_not_computed_is_refused(nodes: list[onnx.NodeProto], dtype: type[np.generic], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        read_onnx(graph(nodes, {"x": ("n", 3, 4)}, "y", types={"x": dtype}))


def test_a_number_that_is_no_byte_is_refused() -> None:
    x = keras.Input((4,), dtype="uint8")
    with pytest.raises(UnsupportedError, match="the number 300 beside uint8"):
        read_keras(keras.Model(x, x + 300))


def test_large_quotients_keep_all_bits() -> None:
    nodes = [
        node("Cast", "x", "f", to=TensorProto.FLOAT),
        node("Div", "f c", "q"),
        node("Cast", "q", "y", to=TensorProto.INT32),
    ]
    model = graph(nodes, {"x": ("n", 4)}, "y", {"c": np.float32(3.0)}, types={"x": np.int32})
    numbers = np.array([[3_000_003.0, -3_000_004.0, 2_999_999.0, 0.0]])
    assert convert(model, calibration=[numbers]).predict(numbers).tolist() == [
        [1_000_001.0, -1_000_001.0, 999_999.0, 0.0]
    ]
