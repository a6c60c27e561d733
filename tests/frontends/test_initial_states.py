"""Initial states of recurrent layers that are inputs of the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model
from bitsmith.layers.layer import Floats, Shape

RNG = np.random.default_rng(4)
SAMPLES, STEPS = 6, 5


def numbers(*shape: int) -> Floats:
    return RNG.normal(size=shape) * 0.5


class WithStates(nn.Module):
    """The whole sequence of an LSTM, from given states."""

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        return self.layer(x, (hidden, cell))[0]


MODULES: dict[str, tuple[nn.Module, Sequence[Shape], int]] = {
    "gru": (nn.GRU(3, 4, batch_first=True), [(STEPS, 3), (1, 4)], 0),
    "steps first": (nn.RNN(3, 4), [(STEPS, 3), (1, 4)], 1),
    "deep": (WithStates(nn.LSTM(3, 2, 2, bidirectional=True, batch_first=True)), [(STEPS, 3), (4, 2), (4, 2)], 0),
}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gru", True),
        ("steps first", False),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (("gru", False), ("deep", True), ("deep", False))),
    ],
)
def test_of_a_live_module(name: str, shown: bool) -> None:
    module, shapes, first = MODULES[name]
    inputs = [numbers(SAMPLES, *shape) for shape in shapes]
    given = [
        torch.from_numpy(np.moveaxis(x, 0, 1 if place else first)).float().contiguous()
        for place, x in enumerate(inputs)
    ]
    network = (
        read_model(module, ReadOptions(example=given))
        if shown
        else read_model(module, ReadOptions(input_shape=[*shapes]))
    )
    with torch.no_grad():
        result = module(*given)
    for found, wanted in zip(network.outputs, [result] if isinstance(result, Tensor) else result, strict=True):
        axis = wanted.shape.index(SAMPLES)
        got = network.evaluate(inputs)[found]
        np.testing.assert_allclose(got, np.moveaxis(wanted.numpy(), axis, 0), atol=1e-6)


def test_samples_that_a_module_counts_itself_are_refused_beside_states() -> None:
    """They lie along the first axis of one input and the second of the other: no export with all fixed says which."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            return self.gru(x.reshape(len(x), STEPS, 3), h)[0]  # type: ignore[no-any-return]

    with pytest.raises(UnsupportedError, match="cannot export"):
        read_model(Counting().eval(), ReadOptions(input_shape=[(STEPS, 3), (1, 4)]))


@pytest.mark.parametrize("layout", [0, 1])
def test_of_onnx(layout: int) -> None:
    """With samples after steps, or first, for which the runtime has no kernel."""
    import onnxruntime

    weights = [
        numpy_helper.from_array(numbers(1, *shape).astype(np.float32), name)
        for name, shape in (("w", (12, 3)), ("r", (12, 4)))
    ]
    sizes: dict[str, list[int | str]] = {"x": [STEPS, "n", 3], "h": [1, "n", 4], "y": [STEPS, 1, "n", 4]}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sizes.items()}
    node = helper.make_node("GRU", ["x", "w", "r", "", "", "h"], ["y"], hidden_size=4)
    graph = helper.make_graph([node], "net", [infos["x"], infos["h"]], [infos["y"]], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    inputs = [numbers(SAMPLES, STEPS, 3), numbers(SAMPLES, 1, 4)]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name: np.moveaxis(x, 0, 1).astype(np.float32) for name, x in zip("xh", inputs, strict=True)}
    (wanted,) = session.run(None, feeds)
    if layout:
        first = {"x": ["n", STEPS, 3], "h": ["n", 1, 4], "y": ["n", STEPS, 1, 4]}
        infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in first.items()}
        node.attribute.append(helper.make_attribute("layout", 1))
        graph = helper.make_graph([node], "net", [infos["x"], infos["h"]], [infos["y"]], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    network = read_model(model)
    np.testing.assert_allclose(network.evaluate(inputs)[network.outputs[0]], np.moveaxis(wanted, 2, 0), atol=1e-5)


@pytest.mark.parametrize("samples", ["n", 1])
def test_a_constant_state_of_one_sample_is_that_of_each(samples: str | int) -> None:
    """With any number of samples the runtime computes one at a time, since it has a state for one alone."""
    import onnxruntime

    trained = {"w": (1, 4, 3), "r": (1, 4, 4), "h": (1, 1, 4)}
    weights = [numpy_helper.from_array(numbers(*shape).astype(np.float32), name) for name, shape in trained.items()]
    sizes: dict[str, list[int | str]] = {"x": [STEPS, samples, 3], "y": [STEPS, 1, samples, 4]}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sizes.items()}
    node = helper.make_node("RNN", ["x", "w", "r", "", "", "h"], ["y"], hidden_size=4)
    graph = helper.make_graph([node], "net", [infos["x"]], [infos["y"]], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = numbers(SAMPLES, STEPS, 3)
    wanted = [session.run(None, {"x": one[:, None].astype(np.float32)})[0][:, :, 0] for one in x]
    network = read_model(model)
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]], np.stack(wanted), atol=1e-5)
