"""Models split into several circuits, and joined to one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import torch

import bitsmith
from bitsmith import Model
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.conversion.splitting import _given, _with_stored_results
from bitsmith.errors import ConfigError, VerificationError
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from tests.properties import every, few

X = np.random.default_rng(3).normal(size=(200, 8))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    first = keras.layers.Dense(8, activation="relu", name="first")(inputs)
    second = keras.layers.Dense(8, activation="relu", name="second")(first)
    added = keras.layers.Add(name="added")([keras.layers.BatchNormalization(name="norm")(second), first])
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="last")(added))
    return bitsmith.convert(model, tmp_path_factory.mktemp("whole"), calibration=X, io_type="io_parallel", bits=6)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Model:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((3,), name="given")
    model = keras.Model(inputs, keras.layers.Dense(2, name="fin")(inputs))
    config = {"Model": {"Precision": "fixed<12,5,RND,SAT>"}}
    return bitsmith.convert(model, tmp_path_factory.mktemp("other"), config, calibration=X[:, :3])


@pytest.mark.parametrize(
    "at", [["first_relu"], ["first_relu", "norm"], ["second", "added"], ["first", "first_relu", "last"]]
)
def test_parts_are_the_whole(whole: Model, at: list[str]) -> None:
    parts = bitsmith.split(whole, at)
    assert len(parts) == len(at) + 1
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    names = [row.name for one in parts for row in one.get_layers()]
    assert {"first", "first_relu", "second", "norm", "added", "last", "last_softmax"} <= set(names)
    assert "part1" in str(parts[1].output_dir) and str(parts[1])


def test_parts_hand_on_what_is_stored_in_another_order_than_the_users(tmp_path: Path) -> None:
    torch.manual_seed(4)
    layers = [
        torch.nn.Conv2d(2, 3, 3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 2),
    ]
    x = np.random.default_rng(5).normal(size=(20, 2, 6, 6))
    model = bitsmith.convert(torch.nn.Sequential(*layers).eval(), tmp_path, calibration=x, io_type="io_stream")
    parts = bitsmith.split(model, ["1", "2"])
    assert [one.program.outputs[0].name for one in parts] == ["1", "2", "4"]
    assert parts[2].program.input_ops()[0].shape == (2, 2, 3)
    np.testing.assert_array_equal(parts.predict(x), model.predict(x))


def compared(model: Model, x: np.ndarray) -> None:
    """Its layers' results are those of its float model, with which predictions are compared."""
    assert model._alerts._predictions is not None
    outputs = model.network.evaluate([x])
    assert [outputs[name].shape for name in model.network.outputs] == [one.shape for one in as_list(model.predict(x))]
    _, layers = model.trace(x)
    for name, found in layers.items():
        assert found.shape == outputs[name].shape
        assert np.abs(found - outputs[name]).max() <= 0.01 * max(1.0, np.abs(outputs[name]).max()), name
    for name, found in zip(model.network.outputs, as_list(model.predict(x)), strict=True):
        assert np.abs(found - outputs[name]).max() <= 0.01 * max(1.0, np.abs(outputs[name]).max()), name


def as_list(results: object) -> list[np.ndarray]:
    return results if isinstance(results, list) else [np.asarray(results)]


@pytest.mark.parametrize("at", [["1"], ["1", "2"], ["0", "2"]])
def test_parts_and_composed_models_that_store_results_in_other_orders_are_compared(
    at: list[str], tmp_path: Path
) -> None:
    """The float model of a part has what crosses as it is stored; a wire between models has it as the user's models do."""
    torch.manual_seed(4)
    layers = [torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(3, 4, 2)]
    x = np.random.default_rng(5).normal(size=(20, 2, 6, 6))
    first = bitsmith.convert(torch.nn.Sequential(*layers).eval(), tmp_path, calibration=x)
    values = x
    for one in bitsmith.split(first, at):
        compared(one, values)
        values = np.asarray(one.predict(values))
    np.testing.assert_array_equal(values, first.predict(x))
    middle = np.asarray(first.predict(x))
    second = bitsmith.convert(torch.nn.Conv2d(4, 2, 1).eval(), tmp_path, calibration=middle)
    both = bitsmith.compose({"a": first, "b": second}, {"b.input": "a.3"}, tmp_path / "both")
    compared(both, x)
    np.testing.assert_array_equal(both.predict(x), second.predict(middle))


def scaled_codes(rng: np.random.Generator) -> tuple[NetworkNode, ...]:
    """Layers of a quantized model, of which ``d`` and ``r`` give codes that have a scale for each channel."""
    kernel = Quantizer.uniform([[0.07, 0.3, 0.011]], -8, 7)
    weights = as_weights(kernel.applied(rng.normal(size=(4, 3))))
    return (
        NetworkNode("x", Input((4,))),
        NetworkNode("q", Quantize(Quantizer.uniform(0.3, -8, 7)), ("x",)),
        NetworkNode("d", Dense(weights), ("q",), quantizers={"weight": kernel}),
        NetworkNode("r", ReLU(), ("d",)),
    )


def test_parts_and_composed_models_that_store_codes_are_compared(tmp_path: Path) -> None:
    """A scale of a quantized model waits for the next quantizer, of which a wire has none."""
    rng = np.random.default_rng(0)
    nodes = scaled_codes(rng)
    x = rng.normal(size=(60, 4))
    given = Network(nodes, ("x",), ("r",))
    made = compile_network(given)
    assert made.network.node("d").affine is not None and made.network.node("r").affine is not None
    model = Model(made.network, made.program, Target(tmp_path, "net", "xcu250-figd2104-2L-e", 5.0))
    model._inherited = False
    first, second = bitsmith.split(model, ["d"])
    compared(first, x)
    crossing = as_list(first.predict(x))[0]
    compared(second, crossing)
    reader = Network((NetworkNode("x", Input((3,))), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))
    next_made = compile_network(reader, [given.evaluate([x])["r"]])
    after = Model(next_made.network, next_made.program, Target(tmp_path, "net", "xcu250-figd2104-2L-e", 5.0))
    after._inherited = False
    both = bitsmith.compose({"a": model, "b": after}, {"b.x": "a.r"}, tmp_path / "both")
    compared(both, x)


def test_parts_with_other_weights_than_the_whole_are_refused_until_they_have_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3)).eval()
    x, kernel = np.random.default_rng(2).normal(size=(20, 3)), np.random.default_rng(3).normal(size=(3, 3)) / 2
    config = {"Model": {"Weights": "reloadable", "Precision": {"weight": "fixed<12,3>", "bias": "fixed<12,3>"}}}
    model = bitsmith.convert(net, tmp_path, calibration=x, config=config, input_shape=(3,))
    split = bitsmith.split(model, ["1"])
    np.testing.assert_array_equal(split.predict(x), model.predict(x))
    model.load_weights("2", kernel=kernel)
    for use in (split.predict, lambda inputs: split.build(inputs=inputs, synth=False)):
        with pytest.raises(
            bitsmith.errors.ConfigError, match=r"other weight of '2' in part 1(.|\n)*parts\[1\]\.load_weights"
        ):
            use(x)
    split[1].load_weights("2", kernel=kernel)
    np.testing.assert_array_equal(split.predict(x), model.predict(x))
    split[0].load_weights("0", kernel=kernel)
    with pytest.raises(bitsmith.errors.ConfigError, match="in part 0"):
        split.predict(x)


def test_parts_keep_the_results_of_layers_that_outputs_need(whole: Model) -> None:
    """And of those that are asked for alone, whatever else the whole shows."""
    names = [probe.name for probe in whole.program.probes]
    for kept in (names, names[::2], []):
        assert [probe.name for probe in _with_stored_results(whole.program, kept)[0].probes] == list(kept)
    shown = [probe.name for one in bitsmith.split(whole, ["first_relu", "norm"]) for probe in one.program.probes]
    assert set(shown) <= whole.network.live()


def test_raw_inputs_of_parts_are_the_real_ones_that_become_them(whole: Model) -> None:
    rng = np.random.default_rng(0)
    for part in bitsmith.split(whole, ["first_relu", "norm"]):
        raws = {
            op.name: rng.integers(op.lo.astype(np.int64), op.hi.astype(np.int64) + 1, (20, *op.shape))
            for op in part.program.input_ops()
        }
        for number, (raw, given) in enumerate(zip(raws.values(), _given(part.program, raws), strict=True)):
            found, outside = part.emulator.quantize(number, given)
            assert found.tolist() == raw.tolist() and not outside


@pytest.mark.slow
@pytest.mark.ci
def test_parts_are_built_with_what_they_hand_on(whole: Model, tmp_path: Path) -> None:
    parts = bitsmith.split(whole, ["first_relu", "norm"], tmp_path)
    reports = parts.build(inputs=X, synth=False)
    assert [one.section("Verification")["Mismatches"] for one in reports] == [0, 0, 0]
    assert all((tmp_path / f"part{number}").is_dir() for number in range(3))
    broken = bitsmith.Split(whole, (*parts.parts[:2], bitsmith.split(whole, ["added", "last"])[1]))
    with pytest.raises((VerificationError, KeyError)):
        broken.build(inputs=X, synth=False)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([], "no layers to split at"),
        (["nothing"], "no layer 'nothing'"),
        (["last_softmax"], "nothing after"),
        (["second", "first"], "nothing between 'second' and 'first'"),
    ],
)
def test_what_cannot_be_split(whole: Model, at: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bitsmith.split(whole, at)


def test_one_after_the_other(whole: Model, other: Model, tmp_path: Path) -> None:
    both = bitsmith.compose({"a": whole, "b": other}, {"b.given": "a.last_softmax"}, tmp_path)
    np.testing.assert_array_equal(both.predict(X), other.predict(whole.predict(X)))
    assert [row.name for row in both.get_layers()][-2:] == ["b.given", "b.fin"]
    assert both.target.project_name == "a_b" and both.fidelity.summary
    np.testing.assert_array_equal(bitsmith.split(both, ["a.last_softmax"]).predict(X), both.predict(X))


@pytest.mark.slow
@pytest.mark.ci
def test_side_by_side(whole: Model, other: Model, tmp_path: Path) -> None:
    both = bitsmith.compose({"b": other, "a": whole}, output_dir=tmp_path, project_name="both")
    first, second = both.predict([X[:, :3], X])
    np.testing.assert_array_equal(first, other.predict(X[:, :3]))
    np.testing.assert_array_equal(second, whole.predict(X))
    assert both.build(inputs=[X[:, :3], X], synth=False).section("Verification")["Mismatches"] == 0
    both.save(tmp_path / "both.bitsmith")
    np.testing.assert_array_equal(Model.load(tmp_path / "both.bitsmith").predict([X[:, :3], X])[1], second)


@pytest.mark.parametrize(
    ("wires", "said"),
    [
        ({"b.given": "a.first"}, "a wire to or from 'a.first'"),
        ({"b.x": "a.last_softmax"}, "a wire to or from 'b.x'"),
        ({"b.given": "b.fin"}, "shape"),
    ],
)
def test_wires_that_do_not_fit(whole: Model, other: Model, wires: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bitsmith.compose({"a": whole, "b": other}, wires)
    with pytest.raises(ConfigError, match="1 models"):
        bitsmith.compose({"a": whole})


def test_wires_in_a_circle(tmp_path: Path) -> None:
    inputs = keras.Input((2,), name="given")
    model = bitsmith.convert(keras.Model(inputs, keras.layers.Dense(2, name="out")(inputs)), tmp_path)
    with pytest.raises(ConfigError, match="circle"):
        bitsmith.compose({"a": model, "b": model}, {"a.given": "b.out", "b.given": "a.out"})


class _Shown(torch.nn.Module):
    """Results that are stored in another order than the user's, read in both, and perhaps outputs, too."""

    def __init__(self, read: Callable[[torch.Tensor], torch.Tensor], shown: bool) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 4, 2)
        self.read, self.shown = read, shown

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = torch.relu(self.first(x))
        z, last = self.read(y), self.last(y)
        return (y, z, last) if self.shown else (z, last)


READERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "reshape": lambda y: y.reshape(-1, 6, 3, 6),
    "along rows": lambda y: torch.softmax(y, -1),
    "product": lambda y: torch.matmul(y, y.transpose(2, 3)),
    "arg max": lambda y: y.flatten(1).argmax(1),
    "sums": lambda y: torch.cumsum(y, 2),
}


@few("shown", [False, True], fast=1, judged=True)
@every("read", [*READERS], step=3)
def test_values_that_are_read_in_both_orders_cross_and_are_compared(read: str, shown: bool, tmp_path: Path) -> None:
    torch.manual_seed(4)
    x = np.random.default_rng(5).normal(size=(6, 2, 6, 6))
    model = bitsmith.convert(_Shown(READERS[read], shown).eval(), tmp_path, input_shape=(2, 6, 6), check=False)
    last = model.network.outputs[-1]
    assert_compared_everywhere(model, x, {last} if read != "arg max" else {last, "argmax"}, tmp_path)


def assert_compared_everywhere(model: Model, x: np.ndarray, ends: set[str], folder: Path) -> None:
    """Parts that are cut after any layer are the whole, bit for bit, and their own float models; ``ends`` is all they lack."""
    wanted, refused = as_list(model.predict(x)), set[str]()
    for at in model.trace(x)[1]:
        try:
            parts = bitsmith.split(model, [at], folder / "parts")
        except bitsmith.errors.ConfigError:
            refused.add(at)
            continue
        for found, want in zip(as_list(parts.predict(x)), wanted, strict=True):
            np.testing.assert_array_equal(found, want)
        values = {model.program.input_ops()[0].name: x}
        for one in parts:
            assert one._inherited is not None
            inputs = [values[op.name] for op in one.program.input_ops()]
            results, floats = as_list(one.predict(inputs)), one.network.evaluate(inputs)
            for name, output, found in zip(one.network.outputs, one.program.outputs, results, strict=True):
                values.setdefault(output.name, found)
                assert floats[name].shape == found.shape
                assert np.abs(floats[name] - found).max() <= 0.01 * max(1.0, np.abs(found).max())
    assert refused <= ends


@pytest.mark.parametrize("outputs", [("d",), ("d", "s"), ("r", "d", "s")])
def test_scaled_results_that_are_outputs_cross_and_are_compared(outputs: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = (
        *scaled_codes(rng),
        NetworkNode("s", Quantize(Quantizer.uniform(0.2, 0, 15)), ("r",)),
        NetworkNode("t", Add(), ("s", "s")),
    )
    made = compile_network(Network(nodes, ("x",), (*outputs, "t")))
    assert made.network.node("d").affine is not None
    model = Model(made.network, made.program, Target(tmp_path, "net", "xcu250-figd2104-2L-e", 5.0))
    model._inherited = False
    assert_compared_everywhere(model, rng.normal(size=(60, 4)), {"t"}, tmp_path)
