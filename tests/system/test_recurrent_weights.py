"""Recurrent layers whose weights come from outside: with other weights they compute what layers with constants do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.config.values import IOType
from bitsmith.errors import UnsupportedError
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.model import Model
from bitsmith.passes.program.load import parameters
from tests.properties import judged

PRECISION = {
    "default": "fixed<8,3,RND,SAT>",
    "weight": "fixed<5,2>",
    "recurrent_weight": "fixed<5,2>",
    "peephole_weight": "fixed<5,2>",
    "bias": "fixed<6,3>",
    "recurrent_bias": "fixed<6,3>",
}
KINDS: tuple[type[Recurrent], ...] = (SimpleRNN, LSTM, GRU)


class Net:
    """A sequence and a cell of any kind."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.kind = KINDS[int(rng.integers(3))]
        self.steps, self.channels, self.units = (int(rng.integers(1, 5)) for _ in range(3))
        self.after, self.peephole, self.sequences = (bool(rng.random() < 0.5) for _ in range(3))
        self.biases = rng.random(2) < 0.7
        self.parallel = bool(rng.random() < 0.4)
        self.options = {
            "ReuseFactor": int(rng.choice([1, 4, 9, 40, 200])),
            "Strategy": str(rng.choice(["Latency", "Resource"])),
        }
        self.way = str(rng.choice(["reloadable", "external"]))

    def drawn(self, *shape: int) -> Floats:
        return as_weights(self.rng.integers(-16, 16, shape) / 8)

    def cell(self) -> Recurrent:
        columns = self.kind.gates * self.units
        biases = [self.drawn(columns) if given else None for given in self.biases]
        layer = self.kind(self.drawn(self.channels, columns), self.drawn(self.units, columns), *biases)
        layer = replace(layer, return_sequences=self.sequences)
        if isinstance(layer, GRU):
            return replace(layer, reset_after=self.after)
        return (
            replace(layer, peephole=self.drawn(3 * self.units)) if isinstance(layer, LSTM) and self.peephole else layer
        )

    def model(self, layer: Recurrent, way: str, folder: Path) -> Model:
        nodes = (NetworkNode("x", Input((self.steps, self.channels))), NetworkNode("cell", layer, ("x",)))
        config = {"Model": {"Precision": PRECISION, **self.options}, "LayerName": {"cell": {"Weights": way}}}
        compiled = compile_network(resolve(Network(nodes, ("x",), ("cell",)), config))
        io_type = IOType.PARALLEL if self.parallel else IOType.STREAM
        return Model(
            compiled.network, compiled.program, Target(folder, "net", "LFE5U-85F-6BG381C", 10.0, io_type=io_type)
        )


def tensors(layer: Recurrent) -> dict[str, Floats | None]:
    """The tensors of a layer as `Model.load_weights` takes them."""
    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "peephole")
    return {name: getattr(layer, name, None) for name in names}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_loaded_weights_compute_what_constants_do(seed: int) -> None:
    net, folder = Net(seed), Path("unused")
    model, other = net.model(net.cell(), net.way, folder), net.cell()
    x = net.rng.uniform(-3.9, 3.9, (7, net.steps, net.channels))
    model.load_weights("cell", **tensors(other))
    want = net.model(other, "onchip", folder)
    np.testing.assert_array_equal(model.predict(x), want.predict(x))
    np.testing.assert_array_equal(model.network.evaluate([x])["cell"], want.network.evaluate([x])["cell"])


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@pytest.mark.parametrize(
    "seed",
    [*(judged(seed) for seed in (3, 4)), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 30))],
)
def test_builds_load_other_weights(seed: int, tmp_path: Path) -> None:
    net = Net(seed)
    model = net.model(net.cell(), net.way, tmp_path)
    report = model.build(synth=False, inputs=net.rng.uniform(-3.9, 3.9, (3, net.steps, net.channels)))
    assert report["Verification"]["Mismatches"] == 0
    assert (tmp_path / "cosim" / "reloaded_measured.json").is_file() == (net.way == "reloadable")


def states(ways: dict[str, str]) -> Network:
    """A cell that two nodes show results of."""
    net = Net(0)
    columns = 4 * net.units
    cell = LSTM(net.drawn(net.channels, columns), net.drawn(net.units, columns), return_state=True)
    nodes = (
        NetworkNode("x", Input((3, net.channels))),
        NetworkNode("cell", cell, ("x",)),
        NetworkNode("last", replace(cell, of_cell=True), ("x",)),
        NetworkNode("y", Concatenate(), ("cell", "last")),
    )
    return resolve(
        Network(nodes, ("x",), ("y",)), {"LayerName": {name: {"Weights": way} for name, way in ways.items()}}
    )


def test_results_of_one_layer_have_the_same_weights() -> None:
    compiled = compile_network(states({"cell": "reloadable", "last": "reloadable"}))
    assert {layer for layer, _ in parameters(compiled.program)} == {"cell"}
    model = Model(compiled.network, compiled.program, Target(Path("unused"), "net", "LFE5U-85F-6BG381C", 10.0))
    kernel = np.full(compiled.network.node("cell").layer.weights()["weight"].shape, 0.25)
    model.load_weights("cell", kernel=kernel)
    for name in ("cell", "last"):
        np.testing.assert_array_equal(model.network.node(name).layer.weights()["weight"], kernel)
    compiled = compile_network(states({"cell": "external"}))
    assert {node.settings.weights.value for node in compiled.network.nodes if node.name in ("cell", "last")} == {
        "external"
    }
    with pytest.raises(UnsupportedError, match="layer 'last': Weights 'onchip', where 'cell'"):
        compile_network(states({"cell": "external", "last": "onchip"}))
