"""Weights from outside, from the configuration to the circuit: loaded ones compute what converted ones do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.backends import Backend
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.config.values import IOType
from bitsmith.errors import ConfigError, InputDataError, UnsupportedError
from bitsmith.ir.ops import Linear, Parameter
from bitsmith.layers.activation import ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Flatten, Permute
from bitsmith.model import Model
from tests.flows.test_csim import bench, run_bench
from tests.properties import judged
from tests.system.examples import three_layer

PRECISION = {"default": "fixed<8,3,RND,SAT>", "weight": "fixed<5,2>", "bias": "fixed<6,3>"}


class Net:
    """A small convolutional network of random weights, in groups or transposed, seen with channels first or last."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.transposed = bool(rng.random() < 0.3)
        self.groups = int(rng.choice([1, 2, 4]))
        self.size, self.channels = int(rng.integers(2, 5)), self.groups * int(rng.integers(1, 3))
        self.filters, self.taps = self.groups * int(rng.integers(1, 3)), int(rng.integers(1, 3))
        self.first = bool(rng.random() < 0.4)
        self.out = int(rng.integers(1, 5))
        self.parallel = bool(rng.random() < 0.5)
        reuse, strategy = int(rng.choice([1, 4, 9, 40, 200])), str(rng.choice(["Latency", "Resource"]))
        self.config = {
            "Model": {"Precision": PRECISION, "ReuseFactor": reuse, "Strategy": strategy},
            "LayerName": {
                "conv": {"Weights": rng.choice(["reloadable", "External"])},
                "dense": {"Weights": "Reloadable"},
            },
        }

    def drawn(self, *shape: int) -> Floats:
        return as_weights(self.rng.integers(-16, 16, shape) / 8)

    def weights(self) -> dict[str, tuple[Floats, Floats]]:
        """Kernel and bias of each layer."""
        kernel = self.drawn(self.taps, self.taps, self.channels // self.groups, self.filters)
        flat = (2 * self.size if self.transposed else self.size - self.taps + 1) ** 2 * self.filters
        return {"conv": (kernel, self.drawn(self.filters)), "dense": (self.drawn(flat, self.out), self.drawn(self.out))}

    def network(self, weights: dict[str, tuple[Floats, Floats]]) -> Network:
        nodes = [NetworkNode("x", Input((self.size, self.size, self.channels)))]

        def put(name: str, layer: Layer) -> None:
            nodes.append(NetworkNode(name, layer, (nodes[-1].name,)))

        if self.transposed:
            crop = (self.size % 2, 0)
            put(
                "conv",
                ConvTranspose(*weights["conv"], (2, 2), (1, 1), crop, (2 * self.size, 2 * self.size), self.groups),
            )
        else:
            put("conv", Conv(*weights["conv"], (1, 1), (1, 1), ((0, 0), (0, 0)), self.groups))
        put("relu", ReLU())
        if self.first:
            put("permute", Permute((2, 0, 1)))
        put("flatten", Flatten())
        put("dense", Dense(*weights["dense"]))
        return Network(tuple(nodes), ("x",), ("dense",))

    def model(self, weights: dict[str, tuple[Floats, Floats]], folder: Path, backend: Backend = "rtl") -> Model:
        compiled = compile_network(resolve(self.network(weights), self.config))
        io_type = IOType.PARALLEL if self.parallel else IOType.STREAM
        target = Target(folder, "net", "LFE5U-85F-6BG381C", 10.0, backend=backend, io_type=io_type)
        return Model(compiled.network, compiled.program, target)


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_loaded_weights_compute_what_converted_ones_do(seed: int) -> None:
    net = Net(seed)
    model, others = net.model(net.weights(), Path("unused")), net.weights()
    x = net.rng.uniform(-3.9, 3.9, (7, net.size, net.size, net.channels))
    before = np.asarray(model.predict(x))
    for layer, (kernel, bias) in others.items():
        model.load_weights(layer, kernel=kernel, bias=bias)
    want = net.model(others, Path("unused"))
    np.testing.assert_array_equal(model.predict(x), want.predict(x))
    np.testing.assert_array_equal(model.network.evaluate([x])["dense"], want.network.evaluate([x])["dense"])
    assert before.shape == np.asarray(model.predict(x)).shape


@pytest.mark.parametrize(
    "seed",
    [*(judged(seed) for seed in (1, 2, 3)), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 30))],
)
def test_builds_load_other_weights(seed: int, tmp_path: Path) -> None:
    net = Net(seed)
    model = net.model(net.weights(), tmp_path)
    report = model.build(synth=False, inputs=net.rng.uniform(-3.9, 3.9, (3, net.size, net.size, net.channels)))
    assert report["Verification"]["Mismatches"] == 0
    assert (tmp_path / "cosim" / "reloaded_measured.json").is_file()


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("seed", [1, 2])
def test_cpp_is_verified_with_other_weights(seed: int, tmp_path: Path) -> None:
    """By the build, and by the test bench, of which half of the samples have others; both find a mistake."""
    net = Net(seed)
    model = net.model(net.weights(), tmp_path, "vitis")
    inputs = net.rng.uniform(-3.9, 3.9, (4, net.size, net.size, net.channels))
    report = model.build(csim=True, synth=False, inputs=inputs)
    assert report["Verification"]["Mismatches"] == 0
    assert run_bench(bench(tmp_path, "net")) == (0, "4 samples, 0 numbers differ from the predictions\n")
    rows = (tmp_path / "tb_data" / "tb_input_features.dat").read_text().splitlines()
    assert sum(any(number != "0" for number in row.split()[net.size**2 * net.channels :]) for row in rows) >= 1
    features = tmp_path / "tb_data" / "tb_input_features.dat"
    features.write_text("\n".join([*rows[:2], rows[1], rows[3]]) + "\n")  # without the load
    code, text = run_bench(tmp_path / "bench")
    assert code == 1, text


def test_results_hold_for_any_weights() -> None:
    """Calibration data show what the trained weights give, which nothing is limited to."""
    kernel = as_weights(np.array([[0.5, -0.25], [0.125, 1 / 3]]))
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("dense", Dense(kernel), ("x",)),
        NetworkNode("relu", ReLU(), ("dense",)),
    )
    network = Network(nodes, ("x",), ("relu",))
    config = {
        "LayerName": {
            "x": {"Precision": "fixed<8,2>"},
            "dense": {"Weights": "reloadable", "Precision": {"weight": "fixed<16,8>"}},
        }
    }
    data = [np.random.default_rng(0).uniform(-0.1, 0.1, (50, 2))]
    compiled = compile_network(resolve(network, config), data)
    model = Model(compiled.network, compiled.program, Target(Path("unused"), "net", "LFE5U-85F-6BG381C", 10.0))
    model.load_weights("dense", kernel=np.full((2, 2), 127.5))
    assert np.asarray(model.predict(np.array([[1.5, 1.25]]))).tolist() == [[350.625, 350.625]]


def test_no_normalisation_is_folded_into_weights_that_are_loaded() -> None:
    kernel = as_weights(np.array([[0.3], [0.7]]))
    norm = BatchNormalization(as_weights([3.0]), as_weights([0.5]))
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("dense", Dense(kernel, as_weights([0.0])), ("x",)),
        NetworkNode("norm", norm, ("dense",)),
    )
    network = Network(nodes, ("x",), ("norm",))
    for weights, found in (("onchip", 0), ("reloadable", 2)):
        program = compile_network(resolve(network, {"LayerName": {"dense": {"Weights": weights}}})).program
        assert sum(isinstance(node.op, Parameter) for node in program.nodes) == found
        held = [node for node in program.nodes if isinstance(node.op, Parameter) and node.op.name == "bias"]
        assert all(node.type.max_width == 16 for node in held)  # of zeros alone there is no scale
        assert sum(isinstance(node.op, Linear) for node in program.nodes) == (not found)


def test_refusals(tmp_path: Path) -> None:
    net = Net(5)
    model = net.model(net.weights(), tmp_path)
    kernel = np.zeros(net.weights()["dense"][0].shape)
    for layer, weights, found in (
        ("dense", {"kernel": kernel.T[None]}, "shape"),
        ("dense", {"kernel": kernel + 7}, "-2 to 1.875, the range of the format"),
        ("dense", {"bias": np.full(net.out, np.nan)}, "finite"),
        ("dense", {}, "weight of 'dense'"),
        ("relu", {"kernel": kernel}, "weight of 'dense'"),
    ):
        with pytest.raises(InputDataError, match=found):
            model.load_weights(layer, **weights)
    with pytest.raises(ConfigError, match="onchip"):
        resolve(model.network, {"Model": {"Weights": "ddr"}})
    with pytest.raises(ConfigError, match="Weights has no meaning for"):
        resolve(model.network, {"LayerName": {"relu": {"Weights": "reloadable"}}})
    with pytest.raises(UnsupportedError, match="adder graphs"):
        compile_network(resolve(net.network(net.weights()), {"Model": {"Weights": "reloadable", "Strategy": "da"}}))


def test_drivers_of_boards_know_nothing_of_weights_in_cpp(tmp_path: Path) -> None:
    config = {"LayerName": {"fc1_relu": {"Weights": "reloadable"}}}
    with pytest.raises(UnsupportedError, match=r"layer 'fc1_relu'(.|\n)*backend 'rtl'"):
        three_layer(tmp_path, config=config, backend="Vitis", board="pynq-z2")


@pytest.mark.slow
@pytest.mark.ci
def test_weights_in_cpp_beside_ports_of_tensors(tmp_path: Path) -> None:
    config = {"LayerName": {"fc1_relu": {"Weights": "reloadable", "ReuseFactor": 16}}}
    model, _ = three_layer(tmp_path, config=config, backend="Vitis", interface="ap_vld")
    model.write()
    source = next(model.output_dir.glob("firmware/*.cpp")).read_text()
    assert re.findall(r"HLS INTERFACE (\w+) port", source) == ["axis", "axis", "ap_vld", "ap_vld"]


def test_weights_that_can_be_loaded_are_saved(tmp_path: Path) -> None:
    config = {"LayerName": {"fc1_relu": {"Weights": "reloadable"}}}
    model, x = three_layer(tmp_path, config=config)
    assert any("'fc1_relu' can be loaded later" in note for note in model.notes)
    assert "fixed<" in str(model)
    model.save(tmp_path / "model.json")
    again = Model.load(tmp_path / "model.json")
    assert again.program == model.program
    again.load_weights("fc1_relu", bias=np.zeros(64))
    assert np.any(np.asarray(again.predict(x)) != np.asarray(model.predict(x)))
    assert again.target.backend == "rtl"
