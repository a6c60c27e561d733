"""Results have the shape that the framework gives them, or are refused, wherever operators take the samples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from unittest.mock import Mock

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx_models import graph, node, typed
from torch import Tensor, nn

import bitsmith
from bitsmith.errors import ConfigError, InputDataError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.read import read_as, read_model
from bitsmith.frontends.torch.read import read_torch


def _reshapes(*shapes: list[int]) -> dict[str, tuple[str, Mapping[str, object], list[int]]]:
    return {f"Reshape {shape}": ("Reshape", {}, shape) for shape in shapes}


KEEPING: dict[str, tuple[str, Mapping[str, object], list[int] | None]] = {
    **{f"Flatten {axis}": ("Flatten", {"axis": axis}, None) for axis in (1, -2)},
    **{f"Transpose {perm}": ("Transpose", {"perm": perm}, None) for perm in ([0, 1, 2], [0, 2, 1])},
    **_reshapes([-1, 12], [0, -1], [0, 3, 2, 2], [-1, 1, 12], [0, 4, 3]),
    **{f"Unsqueeze {axes}": ("Unsqueeze", {}, axes) for axes in ([1], [-1], [1, 4])},
    "Tile": ("Tile", {}, [1, 2, 1]),
}
"""Operators on an operand (samples, 3, 4) whose result has the samples first, with their constant second operand."""

MOVING: dict[str, tuple[str, Mapping[str, object], list[int] | None]] = {
    **{f"Flatten {axis}": ("Flatten", {"axis": axis}, None) for axis in (0, 2, 3, -1, -3)},
    **{
        f"Transpose {perm}": ("Transpose", {"perm": perm}, None)
        for perm in map(list, itertools.permutations(range(3)))
        if perm[0]
    },
    **_reshapes([-1, 4], [-1], [1, -1], [1, -1, 12], [3, -1, 4], [12, -1], [2, -1, 6]),
    **{f"Unsqueeze {axes}": ("Unsqueeze", {}, axes) for axes in ([0], [0, 1], [-4], [0, 4])},
    "Tile": ("Tile", {}, [2, 1, 1]),
    "Expand": ("Expand", {}, [2, 1, 3, 4]),
}


@pytest.mark.parametrize("samples", ["batch", 1, 4])
@pytest.mark.parametrize("name", [*KEEPING, *(f"{name}, moving" for name in MOVING)])
def test_onnx(name: str, samples: str | int) -> None:
    """A model of a fixed number of samples that moves them has none: what it is fed with is one sample."""
    moves = name.endswith(", moving")
    operator, attributes, second = MOVING[name.removesuffix(", moving")] if moves else KEEPING[name]
    inputs, held = ("m", {}) if second is None else ("m s", {"s": np.array(second)})
    nodes = [node("Neg", "x", "m"), node(operator, inputs, "y", **attributes)]
    model = graph(nodes, {"x": (samples, 3, 4)}, "y", held)
    if moves and samples == "batch":
        with pytest.raises(UnsupportedError, match=r"the samples|mix samples"):
            read_onnx(model)
        return
    x = np.random.default_rng(1).integers(-8, 8, (4 if samples == "batch" else samples, 3, 4)).astype(np.float32)
    (wanted,) = onnxruntime.InferenceSession(typed(model).SerializeToString()).run(None, {"x": x})
    network = read_onnx(model)
    whole = network.input_shapes()["x"] != (3, 4)
    assert whole == (moves and samples == 4)
    found = network.evaluate([x[None] if whole else x])[network.outputs[0]]
    shape = wanted.shape if wanted.shape[0] == len(x) and not moves else (1, *wanted.shape)
    assert found.shape in (shape, (1, *wanted.shape[1:]) if wanted.shape[0] == 1 == samples else shape)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("axes", [[0], [1], [0, 1]])
@pytest.mark.parametrize("perm", [[0, 1], [1, 0]])
def test_a_single_sample_without_axes_of_its_own_is_a_number(perm: list[int], axes: list[int]) -> None:
    """The sum of four numbers, whose axis of samples is moved, computed or dropped."""
    nodes = [
        node("ReduceSum", "x r", "t", keepdims=1),
        node("Transpose", "t", "m", perm=perm),
        node("Squeeze", "m s", "y"),
    ]
    model = graph(nodes, {"x": (1, 4)}, "y", {"r": np.array([1]), "s": np.array(axes)})
    x = np.random.default_rng(2).integers(-8, 8, (5, 4)).astype(np.float32)
    network = read_onnx(model)
    found = network.evaluate([x])[network.outputs[0]]
    session = onnxruntime.InferenceSession(typed(model).SerializeToString())
    wanted = [session.run(None, {"x": one[None]})[0].reshape(()) for one in x]
    np.testing.assert_array_equal(found, np.stack(wanted))


@pytest.mark.parametrize("size", [-1, 0])
def test_sizes_that_exporters_leave_open_as_numbers(size: int) -> None:
    model = graph([node("Flatten", "x", "y")], {"x": ("batch", 3, 4)}, "y")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
    network = read_onnx(model)
    assert network.input_shapes() == {"x": (3, 4)}
    x = np.arange(60.0).reshape(5, 3, 4)
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], x.reshape(5, 12))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -2
    with pytest.raises(ModelFileError, match="an axis of -2 elements"):
        read_onnx(model)


COUNTED: dict[str, list[onnx.NodeProto]] = {
    "Mod": [node("Mod", "n k", "c"), node("Cast", "c", "f", to=1), node("Mul", "x f", "y")],
    "Less": [node("Less", "n many", "c"), node("Where", "c x zero", "y")],
    "Div": [node("Cast", "n", "f", to=1), node("Div", "x f", "y")],
}


@pytest.mark.parametrize("name", COUNTED)
def test_values_of_the_number_of_samples_are_refused(name: str) -> None:
    held = {"k": np.array(2), "many": np.array(16), "zero": np.zeros(1, np.float32), "first": np.array(0)}
    nodes = [node("Shape", "x", "s"), node("Gather", "s first", "n", axis=0), *COUNTED[name]]
    with pytest.raises(UnsupportedError, match="values that depend on the number of samples"):
        read_onnx(graph(nodes, {"x": ("batch", 3)}, "y", held))


def test_open_sizes_are_those_of_the_input_shape() -> None:
    inputs = {"x": ("batch", 3, "rows", "columns"), "y": ("batch", 3, 4, "columns")}
    model = graph([node("Add", "x y", "s"), node("Flatten", "s", "z")], inputs, "z")
    with pytest.raises(UnsupportedError, match=r"or input_shape="):
        read_onnx(model)
    model_of = read_model(model, ReadOptions(input_shape=[(3, 4, 5), (None, 3, 4, 5)]))
    assert model_of.input_shapes() == {"x": (3, 4, 5), "y": (3, 4, 5)}
    assert model_of.shapes()[model_of.outputs[0]] == (60,)
    for shapes, said in (
        ([(3, 4, 5), (3, 6, 5)], r"\(3, 6, 5\) for the input 'y'"),
        ([(3, 4), (3, 4, 5)], r"\(3, 4\) for the input 'x'"),
        ((3, 4, 5), "1 input shapes for 2 inputs"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_model(model, ReadOptions(input_shape=shapes))


def test_open_sizes_are_those_of_calibration_data() -> None:
    model = graph([node("Flatten", "x", "z")], {"x": ("batch", 3, "columns")}, "z")
    wanted = np.arange(24.0).reshape(2, 3, 4)
    assert bitsmith.convert(model, calibration=wanted).predict(wanted).shape == (2, 12)
    for other in (wanted.reshape(2, 4, 3), wanted[:, 0]):
        with pytest.raises(InputDataError, match=r"calibration data: the input shape \(.* of sizes \(None, 3, None\)"):
            bitsmith.convert(model, calibration=other)
    with pytest.raises(UnsupportedError, match="give calibration data"):
        bitsmith.convert(model)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (("n", "h", "w", 3), ""),
        ((1, "h", "w", 3), ""),
        (("n", 4, "w", 3), ""),
        ((4, "n", 5, 3), "its samples are not along the first axis"),
    ],
)
def test_open_sizes_are_compared_with_the_framework(shape: tuple[int | str, ...], reason: str) -> None:
    model = graph([node("Relu", "x", "y")], {"x": shape}, "y", {})
    x = np.random.default_rng(0).normal(size=(7, 4, 5, 3))
    found = bitsmith.convert(model.SerializeToString(), calibration=x).fidelity.agreement
    assert (found.reason, found.error is None) == (reason, bool(reason))


def test_a_model_that_is_refused_with_calibration_data_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(wraps=read_as)
    monkeypatch.setattr("bitsmith.conversion.conversion.read_as", read)
    fixed, opened = (graph([node("Det", "x", "z")], {"x": ("batch", 3, size)}, "z") for size in (3, "columns"))
    for model in (fixed, opened):
        with pytest.raises(UnsupportedError, match="Det"):
            bitsmith.convert(model, calibration=np.ones((2, 3, 3)))
    assert read.call_count == 2


def test_calibration_data_that_do_not_fit_a_module_are_named() -> None:
    with pytest.raises(UnsupportedError, match=r"check \[\(6, 3\)\], the shape of a sample .* calibration data"):
        bitsmith.convert(nn.Linear(4, 2), calibration=np.zeros((5, 6, 3)))
    with pytest.raises(InputDataError, match="arrays 'x', 'z' for a model whose inputs are 'input'"):
        bitsmith.convert(nn.Linear(4, 2), calibration={"x": np.zeros((5, 4)), "z": np.zeros(5)})


class _Scaled(nn.Module):
    def forward(self, x: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
        return x * scale if offset is None else x * scale + offset


def test_calibration_data_have_the_names_of_arguments() -> None:
    rng = np.random.default_rng(0)
    x, scale = rng.normal(size=(20, 4)).astype(np.float32), rng.uniform(1, 2, (20, 1)).astype(np.float32)
    model = bitsmith.convert(_Scaled(), calibration={"scale": scale, "x": x})
    assert model.network.input_shapes() == {"x": (4,), "scale": (1,)}
    np.testing.assert_allclose(model.predict({"scale": scale, "x": x}), x * scale, atol=1e-3)
    with pytest.raises(
        InputDataError, match="arrays 'x', 'offset' for a model whose inputs are 'x', 'scale', 'offset'"
    ):
        bitsmith.convert(_Scaled(), calibration={"x": x, "offset": x})


class Moved(nn.Module):
    """What ``move`` makes of twice the input."""

    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.move = move

    def forward(self, x: Tensor) -> Tensor:
        return self.move(x * 2)


MOVES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "permute": (lambda x: x.permute(1, 0, 2), 1),
    "transpose": (lambda x: x.transpose(0, 2), 2),
    "movedim": (lambda x: x.movedim(0, -1), 2),
    "unsqueeze": (lambda x: x.unsqueeze(0), 1),
    "flatten": (lambda x: x.flatten(0, 1), 0),
    "reshape": (lambda x: x.reshape(-1, 4), 0),
    "view": (lambda x: x.view(1, -1, 12), 1),
    "expand": (lambda x: x.expand(2, -1, -1, -1), 1),
}
"""With the axis of the samples in the result, perhaps merged with others that are counted faster."""


@pytest.mark.parametrize("name", MOVES)
def test_torch_results_elsewhere(name: str) -> None:
    with pytest.raises(UnsupportedError, match="its batch axis is"):
        read_torch(Moved(MOVES[name][0]), ReadOptions(input_shape=(3, 4)))


@pytest.mark.parametrize("name", MOVES)
def test_torch_moves_and_back(name: str) -> None:
    """Inside of a module the samples may be anywhere."""
    move, axis = MOVES[name]
    module = Moved(lambda x: move(x).movedim(axis, 0).reshape(x.shape[0], -1))
    x = torch.arange(-42.0, 42.0).reshape(7, 3, 4)
    network = read_torch(module, ReadOptions(input_shape=(3, 4)))
    found = network.evaluate([x.numpy().astype(np.float64)])[network.outputs[0]]
    np.testing.assert_array_equal(found, module(x).numpy())


EXPANDED: dict[str, tuple[Callable[[int], tuple[int, ...]], int, list[tuple[int, ...]]]] = {
    "first": (lambda n: (n, 3, 4), 0, [(), (1,), (4,), (3, 1), (1, 4), (1, 1, 1), (1, 1, 4), (1, 3, 1), (1, 3, 4)]),
    "alone": (lambda n: (n,), 0, [(), (1,)]),
    "middle": (lambda n: (3, n, 4), 1, [(), (4,), (1, 1), (1, 4), (3, 1, 1), (1, 1, 4), (3, 1, 4)]),
    "last": (lambda n: (3, 4, n), 2, [(), (1,), (4, 1), (3, 1, 1), (1, 4, 1), (3, 4, 1)]),
    "merged": (lambda n: (2 * n, 4), 0, [(), (1,), (4,), (1, 1), (1, 4)]),
    "merged last": (lambda n: (3, 2 * n), 1, [(), (1,), (3, 1)]),
}
"""Sizes for so many samples, the axis that has these, and shapes that broadcast to the sizes."""


@pytest.mark.parametrize("name", EXPANDED)
def test_torch_expands_constants_by_the_number_of_samples(name: str) -> None:
    sizes, axis, shapes = EXPANDED[name]

    def expanded(x: Tensor) -> Tensor:
        wanted = sizes(x.shape[0])
        parts = [torch.arange(1.0, 1.0 + math.prod(shape)).reshape(shape) for shape in shapes]
        return torch.stack([part.expand(wanted).movedim(axis, 0).reshape(x.shape[0], -1) for part in parts], 1)

    module = Moved(expanded)
    x = torch.ones(7, 2)
    network = read_torch(module, ReadOptions(input_shape=(2,)))
    found = network.evaluate([x.numpy().astype(np.float64)])[network.outputs[0]]
    np.testing.assert_array_equal(found, np.broadcast_to(module(x).numpy(), found.shape))


def test_states_of_recurrent_layers_are_given_sample_by_sample() -> None:
    module = nn.LSTM(3, 4, num_layers=2, batch_first=True).eval()
    network = read_torch(module, ReadOptions(input_shape=(5, 3)))
    x = torch.randn(6, 5, 3)
    y, (h, c) = module(x)
    found = network.evaluate([x.numpy().astype(np.float64)])
    for name, wanted in zip(network.outputs, (y, h.movedim(1, 0), c.movedim(1, 0)), strict=True):
        np.testing.assert_allclose(found[name], wanted.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "module", [nn.LSTM(4, 4), nn.TransformerEncoderLayer(4, 2, 8)], ids=lambda module: type(module).__name__
)
def test_models_with_steps_first_are_refused_with_a_module_that_converts(module: nn.Module) -> None:
    with pytest.raises(UnsupportedError, match=r"give one that takes the samples first.*transpose\(0, 1\)"):
        read_torch(module, ReadOptions(input_shape=(5, 4)))

    def turned(x: Tensor) -> Tensor:
        y = module.eval()(x.transpose(0, 1))
        return (y[0] if isinstance(y, tuple) else y).transpose(0, 1)

    x, outer = torch.randn(3, 5, 4), Moved(turned)
    outer.module = module
    network = read_torch(outer, ReadOptions(input_shape=(5, 4)))
    found = network.evaluate([x.numpy().astype(np.float64)])[network.outputs[0]]
    np.testing.assert_allclose(found, outer(x).detach().numpy(), atol=1e-5)


def _chosen(operator: str, limit: int, times: int = 1, cast: str = "Cast") -> onnx.ModelProto:
    """A choice by what an operator makes of the number of samples and of a limit."""
    nodes = [
        node("Shape", "x", "s", start=0, end=1),
        node("Mul", "s times", "n"),
        node(operator, "n limit", "c"),
        node(cast, "c", "truth", to=onnx.TensorProto.BOOL) if cast == "Cast" else node(cast, "c like", "truth"),
        node("Neg", "x", "a"),
        node("Where", "truth a x", "y"),
    ]
    numbers = {"limit": np.array([limit]), "times": np.array([times]), "like": np.array([True])}
    return graph(nodes, {"x": ("N", 4)}, "y", numbers)


@pytest.mark.parametrize(
    ("operator", "limit", "times"),
    [
        *((operator, 50, 1) for operator in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Div")),
        *(("Less", 100_000, 3), ("Equal", 13, 1), ("Equal", 48, 16)),
    ],
)
def test_onnx_chooses_by_the_number_of_samples(operator: str, limit: int, times: int) -> None:
    """Also where the number is none of those that are looked at."""
    with pytest.raises(UnsupportedError, match=rf"\({operator}\): a choice or a bound by the number of samples"):
        read_onnx(_chosen(operator, limit, times))


ZERO_AT_ONE: dict[str, list[onnx.NodeProto]] = {
    "Abs": [node("Sub", "n many", "d"), node("Abs", "d", "e"), node("Greater", "e zero", "c")],
    "Abs of few": [node("Sub", "n few", "d"), node("Abs", "d", "e"), node("Greater", "e zero", "c")],
    "Mul": [node("Sub", "n many", "d"), node("Mul", "d d", "e"), node("Greater", "e zero", "c")],
    "And": [node("Less", "n many", "p"), node("Greater", "n few", "q"), node("And", "p q", "c")],
    "Min": [node("Min", "n many", "e"), node("Equal", "e n", "c")],
    "Mod": [node("Mod", "n many", "e"), node("Equal", "e n", "c")],
    "Cast": [node("Cast", "n", "e", to=onnx.TensorProto.INT8), node("Cast", "e", "f", to=7), node("Equal", "f n", "c")],
    "Slice": [node("Slice", "table zero n", "e"), node("Size", "e", "f"), node("Equal", "f n", "c")],
    "NonZero": [
        node("Sub", "n few", "d"),
        node("NonZero", "d", "e"),
        node("Size", "e", "f"),
        node("Cast", "f", "c", to=9),
    ],
    "Range": [node("Range", "start stop one", "r"), node("Less", "r many", "e"), node("Unsqueeze", "e axis", "c")],
}
"""Conditions that are the same for 1, 7 and 20 samples, and another for 13, 77 or more."""


@pytest.mark.parametrize("name", ZERO_AT_ONE)
def test_onnx_computes_what_is_not_affine_in_the_number_of_samples(name: str) -> None:
    numbers = {"many": [77], "few": [13], "zero": [0], "axis": [1], "first": 0, "start": 0, "one": 1}
    held = {key: np.array(value) for key, value in {**numbers, "table": np.arange(60)}.items()}
    nodes = [node("Shape", "x", "n", start=0, end=1), node("Squeeze", "n", "stop"), *ZERO_AT_ONE[name]]
    model = graph([*nodes, node("Neg", "x", "a"), node("Where", "c a x", "y")], {"x": ("N", 4)}, "y", held)
    with pytest.raises(UnsupportedError, match=r"by the number of samples|depend on the number of samples"):
        read_onnx(model)


AFFINE: dict[str, list[onnx.NodeProto]] = {
    "of 32 bits": [
        *(node("Cast", "s", "i", to=6), node("ReduceProd", "i", "p"), node("Cast", "p", "m", to=7)),
        *(node("Div", "m each", "u"), node("Concat", "u sizes", "t", axis=0)),
    ],
    "floats": [
        *(node("Cast", "s", "i", to=1), node("Mul", "i third", "h"), node("Div", "h third", "d")),
        *(node("Round", "d", "e"), node("Cast", "e", "t", to=7)),
    ],
    "rows": [
        *(node("Range", "start stop one", "r"), node("Mul", "r start", "z")),
        *(node("ReduceSum", "z", "q"), node("Add", "s q", "t")),
    ],
}
"""Shapes for any number of samples; as many as others are judged by have more than 2**31 elements."""


@pytest.mark.parametrize("name", AFFINE)
def test_onnx_computes_what_is_affine_in_the_number_of_samples(name: str) -> None:
    sizes, x = (3, 700, 700), np.ones((2, 3, 700, 700), np.float32)
    first = [node("Shape", "x", "s"), node("Shape", "x", "n", start=0, end=1), node("Squeeze", "n", "stop")]
    held = {"third": np.array(1 / 3, np.float32), "sizes": np.array(sizes)}
    held |= {"start": np.array(0), "one": np.array(1), "each": np.array(math.prod(sizes))}
    network = read_onnx(graph([*first, *AFFINE[name], node("Reshape", "x t", "y")], {"x": ("N", *sizes)}, "y", held))
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], x)


@pytest.mark.parametrize("cast", ["Cast", "CastLike"])
def test_onnx_chooses_by_a_difference_that_is_zero_for_one_number_of_samples(cast: str) -> None:
    """Also where the number is none of those that are looked at; a sum is never zero."""
    with pytest.raises(UnsupportedError, match=rf"\({cast}\): a choice or a bound by the number of samples"):
        read_onnx(_chosen("Sub", 77, cast=cast))
    network, x = read_onnx(_chosen("Add", 77, cast=cast)), np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], -x)


@pytest.mark.parametrize(
    ("operator", "limit", "truth"), [("Greater", 0, True), ("Equal", -1, False), ("Less", 1, False), ("Mod", 1, False)]
)
def test_onnx_chooses_the_same_for_all_numbers_of_samples(operator: str, limit: int, truth: bool) -> None:
    network = read_onnx(_chosen(operator, limit, 6))
    x = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], -x if truth else x)
