"""Other weights, given as the frameworks have them: what is computed with them is what the framework computes then."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.errors import InputDataError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.model import Model
from bitsmith.passes.program.load import values_of
from bitsmith.rtl.driver import DrivenCircuit, driver
from bitsmith.rtl.interface import token_bytes
from bitsmith.rtl.packing import pack
from bitsmith.rtl.stream_ports import WeightPort
from bitsmith.rtl.writer import Title
from tests.properties import few
from tests.rtl.wrapped import load_driver_text

RNG = np.random.default_rng(3)


def drawn(*shape: int) -> Floats:
    return RNG.uniform(-0.7, 0.7, shape).astype(np.float32)


def trained(network: Network) -> list[NetworkNode]:
    """The layers that have a kernel."""
    return [node for node in network.nodes if "weight" in node.layer.weights()]


def loaded(layer: Layer) -> dict[str, object]:
    """An entry of the configuration that lets all weights of a layer be replaced."""
    return {"Weights": "reloadable", "Precision": dict.fromkeys(layer.weights(), "fixed<18,4>")}


def converted(model: Any, x: np.ndarray, **options: Any) -> Model:
    """The model with weights that can be loaded everywhere."""
    network = read_model(model, ReadOptions(**options))
    config = {"LayerName": {node.name: loaded(node.layer) for node in trained(network)}}
    return bitsmith.convert(model, config=config, check=False, calibration=x.astype(np.float64), **options)


def assert_loads(
    model: Model, x: np.ndarray, loads: Mapping[str, Mapping[str, Floats]], want: Floats, tmp: Path
) -> None:
    """Loading gives what the framework gives, also to a model that was saved before; drivers send just that."""
    model.save(tmp / "saved.json")
    assert_drivers_load(Model.load(tmp / "saved.json"), loads, tmp)
    for each in (model, Model.load(tmp / "saved.json")):
        for layer, tensors in loads.items():
            each.load_weights(layer, **tensors)
        found = np.asarray(each.predict(x.astype(np.float64)))
        assert found.shape == want.shape
        assert np.abs(found - want).max() < 2e-3 * max(1.0, float(np.abs(want).max()))
        reference = each.network.evaluate([x.astype(np.float64)])[each.network.outputs[0]]
        np.testing.assert_allclose(reference, want, atol=1e-4)


def assert_drivers_load(model: Model, loads: Mapping[str, Mapping[str, Floats]], tmp: Path) -> None:
    """The driver's bytes of the arrays are those of the weights that the model has then."""
    job = model._job()
    made = circuit(job.program, job.directives, ECP5.delays, 8.0, "net", Title("test", "0"))
    net = load_driver_text(tmp, driver(DrivenCircuit(job.program, made.interface, job.layouts, 1)))
    sent = {name: data for layer, tensors in loads.items() for name, data in net.weights(layer, **tensors).items()}
    for layer, tensors in loads.items():
        model.load_weights(layer, **tensors)
    raws = values_of(model.program)
    want = {port.port.name: bytes_of(port, raws[port.loaded.layer, port.loaded.name]) for port in made.interface.loads}
    assert want and sent == want


def bytes_of(given: WeightPort, raw: np.ndarray) -> bytes:
    rows = pack(given.port.fields, [given.tokens(raw)]).astype("<u4").view(np.uint8)
    return rows[:, : token_bytes(given.port)].tobytes()


TORCH: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(3, 3), (3,)),
    "linear of several": (lambda: nn.Linear(3, 4), (2, 3)),
    "conv": (lambda: nn.Conv2d(3, 3, 3), (3, 5, 5)),
    "conv along time": (lambda: nn.Conv1d(3, 3, 3, padding=1), (3, 6)),
    "groups": (lambda: nn.Conv2d(4, 4, 2, groups=2), (4, 4, 4)),
    "depthwise": (lambda: nn.Conv2d(2, 4, 2, groups=2, bias=False), (2, 4, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 3, 3, stride=2), (3, 3, 3)),
    "transposed groups": (lambda: nn.ConvTranspose1d(4, 4, 2, groups=2), (4, 5)),
}
CELLS: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: nn.RNN(3, 3, batch_first=True),
    "lstm": lambda: nn.LSTM(3, 3, batch_first=True, bidirectional=True),
    "gru": lambda: nn.GRU(3, 3, batch_first=True, num_layers=2),
    "gru without biases": lambda: nn.GRU(3, 3, batch_first=True, bias=False),
}


class First(nn.Module):
    """The sequence that a recurrent module gives."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.inner = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]  # type: ignore[no-any-return]


def randomised(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(drawn(*parameter.shape)))
    return module.eval()


def result_of(module: nn.Module, x: np.ndarray) -> Floats:
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy().astype(np.float64)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TORCH)
def test_layers_of_torch(name: str, tmp_path: Path) -> None:
    make, shape = TORCH[name]
    module, x = randomised(make()), drawn(5, *shape)
    model = converted(module, x, input_shape=shape)
    (layer,) = (node.name for node in trained(model.network))
    weights = randomised(module).state_dict()
    tensors = {"kernel": weights["weight"].numpy()} | ({"bias": weights["bias"].numpy()} if "bias" in weights else {})
    assert_loads(model, x, {layer: tensors}, result_of(module, x), tmp_path)


@few("name", CELLS, fast=1, judged=True)
def test_recurrent_layers_of_torch(name: str, tmp_path: Path) -> None:
    module, x = randomised(First(CELLS[name]())), drawn(5, 4, 3)
    model = converted(module, x, input_shape=(4, 3))
    cells = [node.name for node in trained(model.network)]
    weights = randomised(module).inner.state_dict()
    keys = {"kernel": "weight_ih", "recurrent_kernel": "weight_hh", "bias": "bias_ih", "recurrent_bias": "bias_hh"}
    suffixes = sorted({key.partition("_l")[2] for key in weights}, key=lambda one: (one[0], len(one)))
    loads = {
        cell: {ours: weights[f"{key}_l{suffix}"].numpy() for ours, key in keys.items() if f"{key}_l{suffix}" in weights}
        for cell, suffix in zip(cells, suffixes, strict=True)
    }
    assert_loads(model, x, loads, result_of(module, x), tmp_path)


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, ["x", *inputs], ["y"], name="it", **attributes)


WHOLE = {"w": (2, 12, 3), "r": (2, 12, 3), "b": (2, 24)}
ONNX: dict[str, tuple[onnx.NodeProto, dict[str, tuple[int, ...]], tuple[int, ...]]] = {
    "MatMul": (node("MatMul", "w"), {"w": (3, 3)}, (3,)),
    "Gemm": (node("Gemm", "w", "b"), {"w": (3, 3), "b": (3,)}, (3,)),
    "Gemm transB": (node("Gemm", "w", "b", transB=1), {"w": (3, 3), "b": (3,)}, (3,)),
    "Gemm scaled": (node("Gemm", "w", "b", transB=1, alpha=0.5, beta=2.0), {"w": (3, 3), "b": (1, 3)}, (3,)),
    "Conv": (node("Conv", "w", "b"), {"w": (3, 3, 3, 3), "b": (3,)}, (3, 4, 4)),
    "Conv in groups": (node("Conv", "w", group=2), {"w": (4, 2, 2)}, (4, 5)),
    "ConvTranspose": (node("ConvTranspose", "w", strides=[2, 2]), {"w": (3, 3, 3, 3)}, (3, 3, 3)),
    "ConvTranspose in groups": (node("ConvTranspose", "w", group=2), {"w": (4, 2, 3)}, (4, 3)),
    "RNN": (node("RNN", "w", "r", "b", hidden_size=3), {"w": (1, 3, 3), "r": (1, 3, 3), "b": (1, 6)}, ()),
    "LSTM": (node("LSTM", "w", "r", "b", hidden_size=3, direction="bidirectional"), WHOLE, ()),
    "LSTM with peepholes": (
        node("LSTM", "w", "r", "b", "", "", "", "p", hidden_size=3),
        {"w": (1, 12, 3), "r": (1, 12, 3), "b": (1, 24), "p": (1, 9)},
        (),
    ),
    "GRU": (node("GRU", "w", "r", "b", hidden_size=3), {"w": (1, 9, 3), "r": (1, 9, 3), "b": (1, 18)}, ()),
    "GRU reset after": (
        node("GRU", "w", "r", "b", hidden_size=3, linear_before_reset=1, direction="reverse"),
        {"w": (1, 9, 3), "r": (1, 9, 3), "b": (1, 18)},
        (),
    ),
}
ARGUMENTS = {"w": "kernel", "r": "recurrent_kernel", "b": "bias", "p": "peephole"}


def proto(
    nodes: Sequence[onnx.NodeProto], tensors: Mapping[str, npt.NDArray[Any]], shape: tuple[int, ...]
) -> onnx.ModelProto:
    """A model of the operators; a sequence of one sample after another where no ``shape`` is given."""
    dims = [5, *shape] if shape else [4, 5, 3]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run_onnx(model: onnx.ModelProto, x: np.ndarray) -> Floats:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0], np.float64)


@few("name", ONNX, fast=6, judged=True)
def test_operators_of_onnx(name: str, tmp_path: Path) -> None:
    one, shapes, shape = ONNX[name]
    x = drawn(5, *(shape or (4, 3)))
    fed = x if shape else np.moveaxis(x, 0, 1)
    model = converted(proto([one], {key: drawn(*dims) for key, dims in shapes.items()}, shape), x)
    others = {key: drawn(*dims) for key, dims in shapes.items()}
    want = run_onnx(proto([one], others, shape), np.ascontiguousarray(fed))
    want = want if shape else np.moveaxis(want, 2, 0)
    tensors = {ARGUMENTS[key]: values for key, values in others.items()}
    layers = [node.name for node in trained(model.network)]
    assert_loads(model, x, dict.fromkeys(layers, tensors), want, tmp_path)


MOVED: dict[str, list[onnx.NodeProto]] = {
    "transposed": [helper.make_node("Transpose", ["w"], ["k"])],
    "beyond axes": [helper.make_node("Transpose", ["w"], ["v"]), helper.make_node("Reshape", ["v", "places"], ["k"])],
}


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("name", MOVED)
def test_kernels_that_nodes_of_onnx_move_are_given_as_the_file_has_them(name: str, turned: int, tmp_path: Path) -> None:
    """A square kernel, which would else go in the other way round without a word; it loads into drivers, too."""
    nodes = [*MOVED[name], node("Gemm", "k", transB=turned)]
    dims, places = (4, 4) if name == "transposed" else (2, 8), {"places": np.array([4, 4])}
    x, other = drawn(5, 4), drawn(*dims)
    model = converted(proto(nodes, {"w": drawn(*dims), **places}, (4,)), x)
    want = run_onnx(proto(nodes, {"w": other, **places}, (4,)), x)
    (layer,) = (each.name for each in trained(model.network))
    assert_loads(model, x, {layer: {"kernel": other}}, want, tmp_path)


def keras_layers() -> dict[str, tuple[Any, tuple[int, ...]]]:
    from keras import layers

    return {
        "dense": (layers.Dense(3), (3,)),
        "conv": (layers.Conv2D(3, 3), (5, 5, 3)),
        "conv in groups": (layers.Conv1D(4, 2, groups=2), (5, 4)),
        "depthwise": (layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 2)),
        "separable": (layers.SeparableConv1D(3, 2), (5, 3)),
        "transposed": (layers.Conv2DTranspose(3, 3, strides=2), (3, 3, 3)),
        "transposed along time": (layers.Conv1DTranspose(4, 2), (4, 3)),
        "simple": (layers.SimpleRNN(3, return_sequences=True), (4, 3)),
        "lstm": (layers.LSTM(3), (4, 3)),
        "gru": (layers.GRU(3), (4, 3)),
        "gru before": (layers.GRU(3, reset_after=False), (4, 3)),
        "both": (layers.Bidirectional(layers.GRU(3)), (4, 3)),
    }


def keras_loads(model: Model, layer: Any) -> dict[str, dict[str, Floats]]:
    """The arrays of Keras for each layer of ours: a separable convolution has a kernel for each of its two."""
    nodes = trained(model.network)
    given = iter(layer.get_weights())
    names = (
        ("kernel", "recurrent_kernel", "bias") if hasattr(nodes[0].layer, "recurrent_kernel") else ("kernel", "bias")
    )
    found: dict[str, dict[str, Floats]] = {}
    for one in nodes:
        wanted = [name for name in names if getattr(one.layer, name, None) is not None]
        found[one.name] = {name: next(given) for name in wanted}
    return found


@few("name", keras_layers(), fast=6, judged=True)
def test_layers_of_keras(name: str, tmp_path: Path) -> None:
    import keras

    layer, shape = keras_layers()[name]
    net = keras.Sequential([keras.Input(shape), layer])
    x = drawn(5, *shape)
    net.set_weights([drawn(*one.shape) for one in net.get_weights()])
    model = converted(net, x)
    net.set_weights([drawn(*one.shape) for one in net.get_weights()])
    assert_loads(model, x, keras_loads(model, layer), np.asarray(net(x), np.float64), tmp_path)


def test_a_layer_that_is_called_twice_has_new_weights_in_both_uses(tmp_path: Path) -> None:
    """One entry in the configuration, and one load."""
    import keras
    from keras import layers

    start = keras.Input((3,))
    layer = layers.Dense(3, activation="tanh", name="it")
    net = keras.Model(start, layer(layers.Dense(3, name="other")(layer(start))))
    net.set_weights([drawn(*one.shape) for one in net.get_weights()])
    module = randomised(nn.Linear(3, 3))
    twice = nn.Sequential(module, nn.Tanh(), module)
    x = drawn(5, 3)
    for source, name, options in ((net, "it", {}), (twice, "0", {"input_shape": (3,)})):
        model = bitsmith.convert(
            source,
            config={"LayerName": {name: loaded(Dense(drawn(3, 3), drawn(3)))}},
            check=False,
            calibration=x.astype(np.float64),
            **options,
        )
        kernel, bias = drawn(3, 3), drawn(3)
        if source is net:
            layer.set_weights([kernel, bias])
            want = np.asarray(net(x), np.float64)
        else:
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(kernel))
                module.bias.copy_(torch.from_numpy(bias))
            want = result_of(twice, x)
        assert_loads(model, x, {name: {"kernel": kernel, "bias": bias}}, want, tmp_path)


def test_layers_that_begin_alike_are_not_one() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.load_state_dict(first.state_dict())
    net = nn.Sequential(first, nn.Tanh(), second).eval()
    x = drawn(5, 3)
    model = converted(net, x, input_shape=(3,))
    kernel = drawn(3, 3)
    with torch.no_grad():
        second.weight.copy_(torch.from_numpy(kernel))
    model.load_weights("2", kernel=kernel)
    assert np.abs(np.asarray(model.predict(x.astype(np.float64))) - result_of(net, x)).max() < 2e-3


def test_the_written_driver_takes_the_model_s_kernels(tmp_path: Path) -> None:
    """A square one, which would go in transposed."""
    module = randomised(nn.Linear(3, 3))
    formats = {"weight": "fixed<8,2>", "bias": "fixed<8,2>"}
    config = {"LayerName": {"linear": {"Weights": "reloadable", "Precision": formats}}}
    model = bitsmith.convert(module, tmp_path, config=config, input_shape=(3,), check=False)
    (layer,) = (node.name for node in trained(model.network))
    model.write()
    net = load_driver_text(tmp_path, (tmp_path / "driver" / "myproject.py").read_text())
    kernel = np.arange(9.0).reshape(3, 3) / 8
    (data,) = net.weights(layer, kernel).values()
    assert list(np.frombuffer(data, np.int8)) == (kernel.T * 64).reshape(-1).tolist()
    with pytest.raises(ValueError, match=r"shape \(3,\), not \(3, 3\)"):
        net.weights(layer, kernel[0])


def test_another_shape_is_refused_with_the_one_of_the_model() -> None:
    module = nn.Linear(3, 4).eval()
    model = converted(module, drawn(5, 3), input_shape=(3,))
    with warnings.catch_warnings(), pytest.raises(InputDataError, match=r"shape \(4, 3\)"):
        model.load_weights(model.network.nodes[-1].name, kernel=np.zeros((3, 4)))
