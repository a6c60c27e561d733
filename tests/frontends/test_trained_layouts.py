"""Trained tensors of layers are the model's own, as their layouts say, and layers that share one have the same array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx_models import graph, node
from torch import Tensor, nn
from torch_samples import randomised

from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network

RNG = np.random.default_rng(2)

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(3, 4), (3,)),
    "square": (lambda: nn.Linear(3, 3), (2, 3)),
    "conv along time": (lambda: nn.Conv1d(3, 5, 2), (3, 6)),
    "conv": (lambda: nn.Conv2d(3, 4, (2, 3)), (3, 5, 5)),
    "groups": (lambda: nn.Conv2d(4, 6, 2, groups=2), (4, 4, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 2, (2, 3), stride=2), (3, 3, 3)),
    "rnn": (lambda: nn.RNN(3, 3, batch_first=True), (4, 3)),
}


def assert_own(network: Network, tensors: list[Floats]) -> None:
    """Each trained tensor of a layer with a kernel is one of these."""
    nodes = [each for each in network.nodes if "weight" in each.layer.weights()]
    assert nodes
    for each in nodes:
        for name, values in each.layer.weights().items():
            layout = each.layouts.get(name) or ModelLayout.plain(values.shape)
            assert layout.fits(values.shape)
            own = (one for one in tensors if layout.shape == one.shape)
            assert any(np.array_equal(layout.taken(one).reshape(values.shape), values) for one in own), name


@pytest.mark.parametrize("name", MODULES)
def test_of_modules(name: str) -> None:
    made, shape = MODULES[name]
    module = randomised(made())
    assert_own(
        read_torch(module, ReadOptions(input_shape=shape)),
        [one.detach().double().numpy() for one in module.parameters()],
    )


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("turned", [False, True])
def test_of_products_in_onnx(turned: bool, alpha: float) -> None:
    """As they are, or transposed, and times a factor."""
    kernel, bias = RNG.normal(size=(3, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
    nodes = [node("Gemm", "x w b", "y", transB=int(turned), alpha=alpha)]
    model = graph(nodes, {"x": ("N", 3)}, "y", {"w": kernel, "b": bias})
    assert_own(read_onnx(model), [kernel.astype(np.float64), bias.astype(np.float64)])


MOVES: dict[str, tuple[list[onnx.NodeProto], tuple[int, ...]]] = {
    "transposed": ([node("Transpose", "w", "k")], (3, 3)),
    "transposed twice": ([node("Transpose", "w", "v"), node("Transpose", "v", "k")], (3, 3)),
    "flattened": ([node("Flatten", "w", "k")], (3, 1, 3)),
    "squeezed": (
        [node("Squeeze", "w zero", "v"), node("Unsqueeze", "v zero", "u"), node("Squeeze", "u zero", "k")],
        (1, 3, 3),
    ),
    "reshaped": ([node("Reshape", "w square", "k")], (9,)),
    "moved beyond axes": ([node("Transpose", "w", "v"), node("Reshape", "v square", "k")], (9, 1)),
    "moved between axes": ([node("Transpose", "w", "v", perm=[1, 0, 2]), node("Reshape", "v square", "k")], (3, 1, 3)),
    "interleaved": ([node("Transpose", "w", "v"), node("Slice", "v zero three", "k")], (3, 5)),
    "cast": ([node("Cast", "w", "v", to=11), node("Transpose", "v", "u"), node("Cast", "u", "k", to=1)], (3, 3)),
    "a part": ([node("Split", "w", "v k", num_outputs=2), node("Identity", "k", "u")], (6, 3)),
    "some rows": ([node("Gather", "w rows", "k")], (4, 3)),
    "as it is": ([node("Identity", "w", "k")], (3, 3)),
}
"""Nodes from ``w`` of the shape to the kernel ``k``."""

PLACES = {"zero": [0], "square": [3, 3], "three": [3], "rows": [2, 0, 3]}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_of_constants_that_an_onnx_model_moves(name: str, turned: bool) -> None:
    """The layout is that of the tensor in the file."""
    moves, shape = MOVES[name]
    kernel = RNG.normal(size=shape).astype(np.float32)
    places = {key: np.array(values, np.int64) for key, values in PLACES.items()}
    nodes = [*moves, node("Gemm", "x k", "y", transB=int(turned))]
    model = graph(nodes, {"x": ("N", 3)}, "y", {"w": kernel, **places}, opset=18)
    assert_own(read_onnx(model), [kernel.astype(np.float64)])


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "RNN"])
def test_of_moved_kernels_of_other_operators(operator: str) -> None:
    kernel, perm = RNG.normal(size=(3, 3, 3)).astype(np.float32), [2, 0, 1]
    shape: tuple[int | str, ...]
    last, shape = node(operator, "x k", "y"), ("N", 3, 5)
    if operator == "RNN":
        kernel = RNG.normal(size=(3, 3, 1)).astype(np.float32)
        last, shape = node("RNN", "x k k", "y", hidden_size=3), (4, 1, 3)
    model = graph([node("Transpose", "w", "k", perm=perm), last], {"x": shape}, "y", {"w": kernel})
    assert_own(read_onnx(model), [kernel.astype(np.float64), np.zeros((1, 6))])


class Twice(nn.Module):
    """One kernel in two layers, beside a copy of it and another one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.third(self.second(self.first(x)))
        return y


def test_layers_that_share_a_tensor_have_the_same_array() -> None:
    torch.manual_seed(0)
    network = read_torch(Twice().eval(), ReadOptions(input_shape=(4,)))
    first, second, third = (network.node(name).layer.weights()["weight"] for name in ("first", "second", "third"))
    assert first is second and first is not third
    build = Builder(Draft(), 0, "model")

    def shared(values: Floats, label: str = "") -> Value:
        return build.draft.shared(constant(values, label))

    once = shared(np.ones((2, 2)), "w")
    assert shared(np.ones((2, 2)), "w").elements is once.elements
    for other in (shared(np.ones((2, 2)), "v"), shared(np.zeros((2, 2)), "w"), shared(np.ones(4), "w")):
        assert other.elements is not once.elements


def test_sums_of_constants_with_an_input_are_one_layer_where_one_axis_is_enough() -> None:
    """Whichever of factors and terms has the axis, they broadcast to the operand."""
    for factors, terms in (
        (np.arange(1.0, 4.0), np.ones(1)),
        (np.ones(1) * 2.0, np.arange(3.0)),
        (np.ones((2, 1)) * 3.0, np.ones((1, 1))),
    ):
        draft = Draft()
        x = Builder(draft, draft.begin("x", "Input"), "model").input((1, 2, 3), Batch(0), Kind.REAL)
        y = Builder(draft, draft.begin("y"), "model").affine(x, constant(factors), constant(terms))
        assert y.shape == (2, 3) and len(draft.nodes) == 2
        layer = draft.nodes[-1].layer
        values = RNG.normal(size=(4, 2, 3))
        np.testing.assert_allclose(layer.reference([values]), values * factors + terms)
