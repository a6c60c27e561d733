"""Layers of the user's own in models of each framework, by the user's translations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith import custom
from bitsmith.custom import Call, Tensor
from bitsmith.errors import BitsmithError, ConfigError, FidelityError, FidelityWarning, ProjectError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, Unary
from bitsmith.layers.traits import Exactness, Scales, computed

X = np.random.default_rng(1).normal(size=(20, 3, 4))
Y = np.random.default_rng(2).normal(size=(20, 4))
ROW = np.array([1.0, -2.0, 0.5, 3.0])


def _onnx(outputs: int = 1, **attributes: object) -> onnx.ModelProto:
    names = [f"z{k}" for k in range(outputs)]
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Mine", ["a", "y", "w"], names, name="mine", domain="my.ops", **attributes),
        *(helper.make_node("Identity", [name], [f"out{name}"]) for name in names),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4]),
        ],
        [helper.make_tensor_value_info(f"out{name}", TensorProto.FLOAT, None) for name in names],
        [numpy_helper.from_array(ROW.astype(np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)])


def _evaluated(translate: custom.Translate) -> Floats:
    network = read_onnx(_onnx(), ReadOptions(layers={"my.ops::Mine": translate}))
    return network.evaluate([X, Y])[network.outputs[0]]


_OPERATIONS: dict[str, Callable[..., object]] = {
    "add": lambda x, y, w, m: x + y,
    "add an array on the left": lambda x, y, w, m: ROW + x,
    "subtract": lambda x, y, w, m: y - x,
    "from a number": lambda x, y, w, m: 1.5 - x,
    "multiply": lambda x, y, w, m: x * y * 2.0,
    "constant operand": lambda x, y, w, m: x * w,
    "divide": lambda x, y, w, m: x / (abs(y) + 1.0),
    "number over": lambda x, y, w, m: 2.0 / (abs(y) + 1.0),
    "power": lambda x, y, w, m: x**2 - (-y) ** 3,
    "matrix and vector": lambda x, y, w, m: x @ y,
    "constant matrix": lambda x, y, w, m: np.ones((2, 3)) @ x,
    "vectors": lambda x, y, w, m: (y @ y) * ROW,
    "compare": lambda x, y, w, m: (x < y) * 1.0 + (x >= 0.5) * 2.0,
    "item": lambda x, y, w, m: x[1] + x[-1, 2],
    "slices": lambda x, y, w, m: x[::2, 1:3],
    "new axis": lambda x, y, w, m: y[None] * x[:, None, 0],
    "ellipsis": lambda x, y, w, m: x[..., ::-1],
    "reshape": lambda x, y, w, m: x.reshape(2, -1),
    "transpose": lambda x, y, w, m: x.transpose(1, 0) @ x,
    "sum": lambda x, y, w, m: x.sum(0) + x.sum(),
    "mean": lambda x, y, w, m: x - x.mean(-1, keepdims=True),
    "extremes": lambda x, y, w, m: x.max((0, 1)) - x.min(1, keepdims=True),
    "clip": lambda x, y, w, m: x.clip(-0.5, 1.0),
    "maximum": lambda x, y, w, m: m.maximum(x, y) - m.minimum(0.0, x),
    "where": lambda x, y, w, m: m.where(x > y, x, 0.0),
    "concatenate": lambda x, y, w, m: m.concatenate([x, x * 2.0, np.ones((3, 1))], -1),
    "einsum": lambda x, y, w, m: m.einsum("ij,j->ji", x, y),
}


@pytest.mark.parametrize("name", _OPERATIONS)
def test_operators_mean_what_numpy_means_by_them(name: str) -> None:
    operation = _OPERATIONS[name]
    found = _evaluated(lambda call: operation(*call.inputs, custom))
    wanted = np.stack([np.asarray(operation(x, y, ROW, np)) for x, y in zip(X, Y, strict=True)])
    np.testing.assert_allclose(found, wanted, atol=1e-9)


_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Floats], Floats]]] = {
    "relu": (lambda x: x.relu(), lambda x: np.maximum(x, 0)),
    "relu with a limit": (lambda x: x.relu(0.5), lambda x: np.clip(x, 0, 0.5)),
    "sigmoid": (lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (lambda x: x.tanh(), np.tanh),
    "exp and log": (lambda x: (x.exp() + 1.0).log(), lambda x: np.log(np.exp(x) + 1)),
    "sqrt": (lambda x: abs(x).sqrt(), lambda x: np.sqrt(np.abs(x))),
    "floor": (lambda x: (x * 3.0).floor(), lambda x: np.floor(x * 3)),
    "softmax": (lambda x: x.softmax(0), lambda x: np.exp(x) / np.exp(x).sum(0)),
    "softmax of the last axis": (
        lambda x: x.reshape(3, 2, 2).softmax(),
        lambda x: np.exp(x.reshape(3, 2, 2)) / np.exp(x.reshape(3, 2, 2)).sum(-1, keepdims=True),
    ),
    "concatenation along the last axis": (
        lambda x: custom.concatenate([x.reshape(3, 2, 2), x[:, :2, None]]),
        lambda x: np.concatenate([x.reshape(3, 2, 2), x[:, :2, None]], -1),
    ),
    "a function by name": (lambda x: x.function("softsign"), lambda x: x / (1 + np.abs(x))),
    "deviation": (lambda x: x.reduce("std", -1), lambda x: x.std(-1)),
}


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_functions(name: str) -> None:
    ours, numpys = _FUNCTIONS[name]
    found = _evaluated(lambda call: ours(call.inputs[0]))
    np.testing.assert_allclose(found, np.stack([numpys(x) for x in X]), atol=1e-9)


def test_an_onnx_operator_has_attributes_constants_and_several_results() -> None:
    def translate(call: Call) -> tuple[Tensor, Tensor]:
        x, y, w = call.inputs
        (same,) = call.weights()
        assert w.array is not None and np.array_equal(same, ROW) and np.array_equal(w.array, ROW)
        assert repr(x) == "Tensor(shape=(3, 4))" and len(x) == 3
        return x * call.options["k"] + call.constant(call.options["q"]), y

    network = read_onnx(_onnx(2, k=2, q=[1.0, 2.0, 3.0, 4.0]), ReadOptions(layers={"my.ops::Mine": translate}))
    found = network.evaluate([X, Y])
    np.testing.assert_allclose(found[network.outputs[0]], X * 2.0 + [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(found[network.outputs[1]], Y)


class Scaled(keras.layers.Layer):  # type: ignore[misc]
    """A layer of two operands, the second of which may be left out."""

    def __init__(self, power: int = 2, **others: object) -> None:
        super().__init__(**others)
        self.power = power

    def build(self, shape: tuple[int, ...]) -> None:
        self.w = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="w")

    def call(self, x: object, y: object = None) -> object:
        result = keras.ops.tanh(x * self.w) ** self.power
        return result if y is None else result + y

    def compute_output_shape(self, x_shape: tuple[int, ...], y_shape: object = None) -> tuple[int, ...]:
        return x_shape

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "power": self.power}


def scaled(call: Call) -> Tensor:
    x, *rest = call.inputs
    (w,) = call.weights()
    power = call.options["power"]
    assert isinstance(power, int)
    result = (x * w).tanh() ** power
    return result + rest[0] if rest else result


def keras_model() -> keras.Model:
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((6,))
    x = Scaled(name="mine")(keras.layers.Dense(6)(x))
    x = Scaled(power=1)(keras.layers.Dense(6)(x), y=x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


class Mixed(torch.nn.Module):
    """What torch.export cannot follow: NumPy computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(4))
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor, k: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.as_tensor(np.tanh(x.detach().numpy())) * self.w + self.linear(y) * k, x


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.mixed = Mixed()
        self.others = torch.nn.ModuleList([Mixed()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z, _ = self.mixed(self.first(x), x)
        z, u = self.mixed(z, x, k=3)
        result: torch.Tensor = self.others[0](y=z, x=x)[0] + u
        return result


def mixed(call: Call) -> tuple[Tensor, Tensor]:
    x, y = call.inputs
    w, kernel, bias = call.weights("linear")
    k = call.options["k"]
    assert isinstance(k, int) and isinstance(call.layer, Mixed)
    return x.tanh() * w + call.emit(Dense(kernel.T, bias), y) * k, x


def test_a_module_that_torch_cannot_export() -> None:
    torch.manual_seed(6)
    model = Net().eval()
    network = read_torch(model, ReadOptions(input_shape=(4,), layers={Mixed: mixed}))
    assert {"first", "mixed", "mixed_1", "others.0"} <= {node.name for node in network.nodes}
    x = Y.astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]], wanted, atol=1e-5)
    assert "forward" not in vars(model.mixed)


class Embedded(torch.nn.Module):
    """Takes integers, which is found out by trying."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 4)
        self.mixed = Mixed()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.embedding(x)
        result: torch.Tensor = self.mixed(y, y)[0]
        return result


def test_a_module_after_integers() -> None:
    torch.manual_seed(9)
    model = Embedded().eval()
    network = read_torch(model, ReadOptions(input_shape=(3,), layers={Mixed: mixed}))
    x = np.arange(15).reshape(5, 3) % 5
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])[network.outputs[0]], wanted, atol=1e-5)


@torch.library.custom_op("bitsmith_tests::cube", mutates_args=())
def _cube(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x**3 * factor


@_cube.register_fake
def _(x: torch.Tensor, factor: float) -> torch.Tensor:
    return torch.empty_like(x)


class Cubes(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.ops.bitsmith_tests.cube(x, 0.5)
        return result


def test_an_operator_that_was_added_to_torch(tmp_path: Path) -> None:
    path = tmp_path / "cubes.pt2"
    torch.export.save(torch.export.export(Cubes(), (torch.zeros(2, 4),)), path)
    network = read_torch(path, ReadOptions(layers={"bitsmith_tests::cube": _cubes}))
    np.testing.assert_allclose(network.evaluate([Y])[network.outputs[0]], Y**3 * 0.5)
    with pytest.raises(UnsupportedError, match="custom-layers"):
        read_torch(path)
    with pytest.raises(ConfigError, match="a sub-layer of a PyTorch operator"):
        read_torch(
            path, ReadOptions(layers={"bitsmith_tests::cube": lambda call: call.inputs[0] * call.weights("part")[0]})
        )


class Doubled(Unary):
    """A layer of core ops."""

    traits = computed(Scales.ANY, Exactness.EXACT, elementwise=True, affine=True)

    def reference(self, inputs):  # type: ignore[no-untyped-def]
        return inputs[0] * 2.0

    def lower(self, lowering, inputs):  # type: ignore[no-untyped-def]
        build = lowering.builder
        return lowering.result(build.add(inputs[0], inputs[0]))


def _cubes(call: Call) -> Tensor:
    factor = call.options["factor"]
    assert isinstance(factor, float)
    return call.inputs[0] ** 3 * factor


def _sum_of_all(call: Call) -> Tensor:
    x, y, w = call.inputs
    return (x * w).tanh() + y


@pytest.mark.parametrize("factor", [2.0, 2.5])
def test_a_function_of_the_file_judges_the_translation(factor: float, tmp_path: Path) -> None:
    """onnxruntime computes what the file says of an operator that it does not know; the user's translation comes first."""
    model = _onnx()
    body = [helper.make_node("Mul", ["a", "w"], ["t"]), helper.make_node("Add", ["t", "t"], ["z"])]
    model.functions.append(helper.make_function("my.ops", "Mine", ["a", "y", "w"], ["z"], body, model.opset_import[:1]))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with warnings.catch_warnings():
        warnings.simplefilter("error" if factor == 2.0 else "ignore")
        layers = {"my.ops::Mine": lambda call: call.inputs[0] * call.inputs[2] * factor}
        made = bitsmith.convert(model, tmp_path, layers=layers, calibration=[X, Y])
    assert made.network.nodes[-2].name.startswith("mine")
    assert ("read as onnxruntime computes it" if factor == 2.0 else "misread") in made.fidelity.summary


def test_an_operator_that_nothing_computes_is_said_not_to_be_compared(tmp_path: Path) -> None:
    layers: custom.Layers = {"my.ops::Mine": lambda call: call.inputs[0]}
    with pytest.warns(FidelityWarning, match="nothing was compared with your translations in layers") as caught:
        made = bitsmith.convert(_onnx(), tmp_path, layers=layers, calibration=[X, Y])
    assert len(caught) == 1
    said = "not compared with the framework: onnxruntime does not know my.ops::Mine; give custom.Operator"
    assert said in made.fidelity.summary and said in str(made)
    with pytest.raises(FidelityError, match="nothing was compared with"):
        bitsmith.convert(_onnx(), tmp_path, layers=layers, calibration=[X, Y], strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bitsmith.convert(_onnx(), tmp_path, layers=layers, calibration=[X, Y], check=False)


@pytest.mark.parametrize("key", ["my.ops::Mine", "Mine"])
@pytest.mark.parametrize("slope", [2.0, 2.5])
def test_a_reference_judges_the_translation(slope: float, key: str, tmp_path: Path) -> None:
    """NumPy's results of the operator, with its attributes, within those that onnx has for all others."""

    def reference(x: Floats, y: Floats, w: Floats, *, slope: float, way: str, shifts: tuple[int, ...]) -> Floats:
        assert way == "up" and shifts == (1, 2)
        return np.tanh(slope * x * w) + y[:, None]

    def translate(call: Call) -> Tensor:
        x, y, w = call.inputs
        return (x * w * slope).tanh() + y

    model = _onnx(slope=2.0, way="up", shifts=[1, 2])
    model.graph.node[2].op_type = "Neg"
    layers: custom.Layers = {key: custom.Operator(translate, reference)}
    if slope == 2.0:
        made = bitsmith.convert(model, tmp_path, layers=layers, calibration=[X, Y], strict=True)
        assert "read as onnx's reference computes it" in made.fidelity.summary
        return
    with pytest.warns(FidelityWarning, match="the model was not read as onnx's reference computes it") as caught:
        bitsmith.convert(model, tmp_path, layers=layers, calibration=[X, Y])
    assert "look at your translations in layers first" in str(caught[0].message)


@pytest.mark.parametrize(
    ("factor", "samples", "said"), [(1.1, 20, "differ from what is expected"), (1.0, 1, "1 sample")]
)
def test_what_is_expected_is_compared(factor: float, samples: int, said: str, tmp_path: Path) -> None:
    expected = (np.tanh(X * ROW) + Y[:, None])[:samples] * factor
    layers = {"my.ops::Mine": _sum_of_all}
    with pytest.raises(BitsmithError, match=said):
        custom.check(_onnx(), [X, Y], ("rtl",), tmp_path, expected=expected, layers=layers)


@pytest.mark.parametrize("wrong", [(), (0,), (1,)])
def test_each_output_is_compared_and_each_backend_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: tuple[int, ...]
) -> None:
    """In simulation alone: no tool measures the circuits."""
    monkeypatch.setattr(bitsmith.Model, "build", lambda model, **options: (model.output_dir, options))
    x = keras.Input((4,))
    model = keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(3)(x)])
    expected = [np.asarray(y) * (1.1 if k in wrong else 1.0) for k, y in enumerate(model(Y))]
    if wrong:
        with pytest.raises(FidelityError, match="differ from what is expected"):
            custom.check(model, Y, ("rtl",), tmp_path, expected=expected)
        return
    found = custom.check(model, Y, ("rtl", "vitis"), tmp_path, expected=expected)
    assert [each.report for each in found] == [(tmp_path / each, {"synth": False}) for each in ("rtl", "vitis")]
    assert max(each.framework_error for each in found) < 1e-6
    nearly = [expected[0] * (1.0 + 1e-4), expected[1]]
    (near,) = custom.check(model, Y, ("rtl",), expected=nearly)
    folder, _ = near.report  # type: ignore[misc]
    assert near.framework_error > 1e-6 and folder.name == "rtl" and not folder.exists()


def test_a_layer_of_core_ops(tmp_path: Path) -> None:
    keras.utils.set_random_seed(8)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), Scaled(power=1, name="mine")])
    model.layers[1].w.assign(ROW * 0.0 + 2.0)

    def translate(call: Call) -> Tensor:
        return call.emit(Activation("tanh"), call.emit(Doubled(), call.inputs[0]))

    converted = bitsmith.convert(model, tmp_path, calibration=Y, layers={Scaled: translate})
    assert np.abs(converted.predict(Y) - np.asarray(model(Y))).max() < 1e-3
    with pytest.raises(ProjectError, match="Doubled"):
        converted.save(tmp_path / "saved.bitsmith")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([scaled], "mapping"),
        ({3: scaled}, "by a class or a name"),
        ({"Scaled": 3}, "by a class or a name"),
        ({"Scaled": lambda call: 3}, "gave int"),
        ({"Scaled": lambda call: call.inputs[0].function("nothing")}, "nothing"),
        ({"Scaled": lambda call: call.inputs[0].reduce("nothing")}, "nothing"),
        ({"Scaled": lambda call: call.inputs[0][0, 0]}, "an index of 2 axes"),
        ({"Scaled": lambda call: call.inputs[0].sum(3)}, "axis 3"),
        ({"Scaled": lambda call: call.inputs[0].transpose(0, 0)}, "each of them once"),
        ({"Scaled": lambda call: call.inputs[0] + np.inf}, "infinite"),
        ({"Scaled": lambda call: custom.maximum(1.0, 2.0)}, "at least one tensor"),
    ],
)
def test_wrong_translations(layers: custom.Layers, said: str) -> None:
    with pytest.raises(BitsmithError, match=said):
        read_keras(keras_model(), ReadOptions(layers=layers))


def test_tensorflow_lite_has_none() -> None:
    with pytest.raises(ConfigError, match="Keras, PyTorch, ONNX only"):
        bitsmith.convert(b"\x1c\0\0\0TFL3", layers={"A": scaled})
