"""Casts of real numbers to integers: what the framework makes of numbers beyond the type, or an error where versions differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from expressions import Of
from keras import ops
from onnx import TensorProto
from onnx_models import graph, node
from torch import Tensor

from bitsmith import convert
from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Kind, constant
from bitsmith.frontends.ops.logic import Beyond, cast
from bitsmith.layers.integer import Wrap
from bitsmith.model import Model

_X = np.array([[-300.75, -200.5, -129.0, -1.5, -0.75, 0.5, 127.5, 128.5, 255.5, 300.75, 40000.5, -40000.5]], np.float32)


def _input(form: str) -> dict[str, object]:
    return {"LayerName": {"x": {"Precision": {"result": form}}}}


_EXACT = _input("fixed<24,18>")


def _converted(model: object, config: object = _EXACT, x: npt.NDArray[np.float32] = _X) -> Model:
    return convert(model, config=config, calibration=[x], check=False)


@pytest.mark.parametrize(
    "cast",
    [
        *(lambda x, dtype=dtype: x.to(dtype) for dtype in (torch.int8, torch.int16, torch.uint16, torch.int32)),
        *(
            Tensor.byte,
            Tensor.char,
            Tensor.bool,
            lambda x: x.type(torch.uint8),
            lambda x: x.to(torch.int8).float() * 0.5,
        ),
    ],
)
def test_casts_of_pytorch_wrap(cast: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor(_X)
    model = _converted(torch.export.export(Of(cast), (x,)))
    np.testing.assert_array_equal(model.predict(_X), cast(x).numpy().astype(float))


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "BOOL"])
@pytest.mark.parametrize("like", [False, True])
def test_casts_of_onnx_wrap(kind: str, like: bool) -> None:
    model = _onnx(kind, like)
    (wanted,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": _X})
    np.testing.assert_array_equal(_converted(model).predict(_X), wanted.astype(float))


def _onnx(kind: str, like: bool = False) -> onnx.ModelProto:
    code = getattr(TensorProto, kind)
    one = np.ones(1, onnx.helper.tensor_dtype_to_np_dtype(code))
    cast = node("CastLike", "x c", "y") if like else node("Cast", "x", "y", to=code, saturate=1)
    return graph([cast], {"x": (1, _X.shape[1])}, "y", {"c": one} if like else {}, opset=19)


@pytest.mark.parametrize(
    ("kind", "form"),
    [("UINT64", "fixed<24,18>"), ("INT32", "fixed<48,40>"), ("INT8", "fixed<48,40>"), ("INT64", "fixed<70,66>")],
)
def test_what_processors_make_different_numbers_of_is_refused(kind: str, form: str) -> None:
    with pytest.raises(RangeError, match=f"layer 'y_node': a cast of .* to {kind.lower()}, of which"):
        _converted(_onnx(kind), _input(form))


def test_negative_integers_are_refused_as_unsigned_ones_of_64_bits() -> None:
    cast = node("Cast", "x", "y", to=TensorProto.UINT64)
    model, x = graph([cast], {"x": (1, 2)}, "y", types={"x": np.int32}), np.array([[0, 7]], np.int32)
    np.testing.assert_array_equal(convert(model, calibration=x).predict(x), x)
    with pytest.raises(RangeError, match=r"a cast of -.* to uint64"):
        convert(model, calibration=-x)


def _of_constants(kind: str, numbers: Sequence[float]) -> onnx.ModelProto:
    code = getattr(TensorProto, kind)
    nodes = [node("Cast", "c", "i", to=code), node("Cast", "i", "f", to=TensorProto.FLOAT), node("Add", "x f", "y")]
    return graph(nodes, {"x": (1, len(numbers))}, "y", {"c": np.array(numbers, np.float32)}, opset=19)


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16", "INT32", "INT64", "UINT64"])
def test_casts_of_constants_are_those_of_onnxruntime(kind: str) -> None:
    model, x = _of_constants(kind, (1.75, 300.5, 70000.0)), np.array([[0.5, -0.25, 0.0]], np.float32)
    (wanted,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(_converted(model, _input("fixed<40,30>"), x).predict(x), wanted)


@pytest.mark.parametrize(("kind", "number"), [("INT64", -(2.0**63)), ("INT32", -(2.0**31)), ("INT64", 2.0**62)])
def test_constants_at_the_end_of_a_range_are_cast(kind: str, number: float) -> None:
    model, x = _of_constants(kind, (number, 1.0)), np.array([[0.0, 2.0]], np.float32)
    exact = {"Model": {"Precision": "fixed<70,66>"}}
    np.testing.assert_array_equal(_converted(model, exact, x).predict(x), [[number, 3.0]])


@pytest.mark.parametrize(
    ("kind", "number"), [("INT8", 3e9), ("UINT64", -1.0), ("INT64", 1e19), ("INT64", np.nan), ("INT32", -np.inf)]
)
def test_casts_of_constants_that_are_not_defined_are_refused(kind: str, number: float) -> None:
    with pytest.raises(UnsupportedError, match=f"i_node.*a cast of constants beyond {kind.lower()}"):
        _converted(_of_constants(kind, (number, 1.0)), _EXACT, np.zeros((1, 2), np.float32))


def test_constants_of_keras_are_refused_where_backends_differ() -> None:
    build = Builder(Draft(), 0, "y", samples=1)
    for number in (300.0, -129.0):
        with pytest.raises(UnsupportedError, match="a cast of constants beyond int8"):
            cast(build, constant(number), Kind.INT8, Beyond.UNDEFINED)
    for number in (127.75, -128.75):
        assert cast(build, constant(number), Kind.INT8, Beyond.UNDEFINED).number == int(number)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32"])
def test_casts_of_keras_are_refused_where_backends_differ(dtype: str) -> None:
    x = keras.Input((_X.shape[1],), name="x")
    with pytest.raises(RangeError, match=f"to {dtype}, of which versions of frameworks make different integers"):
        _converted(keras.Model(x, ops.cast(x, dtype)))
    clipped = keras.Model(x, ops.cast(ops.clip(x, 0, 127), dtype))
    np.testing.assert_array_equal(_converted(clipped).predict(_X), np.trunc(np.clip(_X, 0, 127)))


def test_casts_of_numbers_that_fit_cost_nothing() -> None:
    x = np.linspace(-31.5, 31.5, 48, dtype=np.float32).reshape(4, 12)
    narrow = keras.Input((12,))
    found = _converted(keras.Model(narrow, ops.cast(narrow, "int8")), None, x)
    np.testing.assert_array_equal(found.predict(x), np.trunc(x))
    programs = [
        [type(one.op).__name__ for one in _converted(model, None, x).program.nodes]
        for model in (keras.Model(narrow, ops.cast(narrow, "int8")), keras.Model(narrow, ops.trunc(narrow)))
    ]
    assert programs[0] == programs[1]


def test_casts_wrap_in_floating_point_too() -> None:
    assert Wrap(8, signed=True, defined=(-1, 3)).reference([np.array([127.0, 128.0])]).tolist() == [127.0, -128.0]
