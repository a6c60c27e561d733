"""Networks of gates, trained as arithmetic, are truth tables that equal PyTorch's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import torch

import bitsmith
from bitsmith.errors import UnsupportedError
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.logic import Comparison
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Pad
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Gather
from bitsmith.layers.truth_table import MOST_BITS, TruthTable
from bitsmith.model import Model
from bitsmith.passes.network.truth_tables import _bits_among, truth_tables
from tests.properties import few

if TYPE_CHECKING:
    Bits = npt.NDArray[np.float32]


class Gates(torch.nn.Module):
    """Gates of two inputs each: ``w0 + w1*a + w2*b + w3*a*b``."""

    def __init__(self, width: int, gates: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.a, self.b = (torch.tensor(rng.integers(0, width, gates)) for _ in range(2))
        values = rng.integers(0, 2, (gates, 4))
        zero, a, b, both = values.T
        weights = np.stack([zero, a - zero, b - zero, both - a - b + zero], axis=-1)
        self.weights = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x[:, self.a], x[:, self.b]
        w = self.weights
        return w[:, 0] + w[:, 1] * a + w[:, 2] * b + w[:, 3] * a * b


class Signs(torch.nn.Module):
    """True where a sum of products of signs, of ``rank`` inputs, is positive; weights are random."""

    def __init__(self, width: int, gates: int, rank: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.places = torch.tensor(rng.integers(0, width, (rank, gates)))
        self.weights = torch.nn.Parameter(torch.tensor(rng.normal(size=(1 << rank, gates)), dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signs = 1.0 - 2.0 * x[:, self.places]
        total = torch.zeros_like(signs[:, 0])
        for number, weight in enumerate(self.weights):
            product = torch.ones_like(total)
            for place in range(len(self.places)):
                product = product * signs[:, place] if number >> place & 1 else product
            total = total + weight * product
        return (total > 0).to(x.dtype)


class Thermometer(torch.nn.Module):
    """Bits of comparisons with thresholds."""

    def __init__(self, thresholds: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.thresholds = torch.tensor(thresholds)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, :, None] > self.thresholds).to(x.dtype).flatten(1)


class Counts(torch.nn.Module):
    """Set bits of each class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), 3, -1).sum(-1)


def _bits(rng: np.random.Generator, *shape: int) -> Bits:
    return rng.integers(0, 2, shape).astype(np.float32)


def _tables(model: Model) -> list[str]:
    return [node.name for node in model.network.nodes if isinstance(node.layer, TruthTable)]


@few("seed", range(1, 25), fast=2, judged=True)
def test_random_networks_of_gates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, gates = 9, 12
    first = Gates(width, gates, rng) if seed % 2 else Signs(width, gates, int(rng.integers(2, 5)), rng)
    second = Signs(gates, gates, int(rng.integers(1, 5)), rng) if rng.integers(2) else Gates(gates, gates, rng)
    module = torch.nn.Sequential(first, second, Counts()).eval()
    x = _bits(rng, 200, width)
    model = bitsmith.convert(module, input_shape=(width,), calibration=x)
    assert len(_tables(model)) == 2
    fresh = _bits(rng, 500, width)
    np.testing.assert_array_equal(model.predict(fresh), module(torch.tensor(fresh)).detach().numpy())
    assert model.estimate().size.dsp == 0


def test_gates_behind_pooling() -> None:
    rng = np.random.default_rng(7)
    either = torch.nn.MaxPool1d(2)
    module = torch.nn.Sequential(
        Gates(6, 12, rng), torch.nn.Unflatten(1, (3, 4)), either, torch.nn.Flatten(), Gates(6, 9, rng)
    )
    x = _bits(rng, 64, 6)
    model = bitsmith.convert(module.eval(), input_shape=(6,), calibration=x)
    assert len(_tables(model)) == 2
    np.testing.assert_array_equal(model.predict(x), module(torch.tensor(x)).detach().numpy())


def test_gates_behind_thresholds() -> None:
    rng = np.random.default_rng(5)
    thresholds = np.sort(rng.normal(size=(4, 3)).astype(np.float32))
    module = torch.nn.Sequential(Thermometer(thresholds), Signs(12, 15, 4, rng), Gates(15, 6, rng), Counts()).eval()
    x = np.round(rng.normal(size=(300, 4)) * 256).astype(np.float32) / 256
    model = bitsmith.convert(module, input_shape=(4,), calibration=x, config={"Model": {"Precision": "fixed<16,6>"}})
    np.testing.assert_array_equal(model.predict(x), module(torch.tensor(x)).detach().numpy())


def _exclusive(*, settings: Settings | None = None, outputs: tuple[str, ...] = ()) -> Network:
    """``a + b - 2*a*b`` of both halves of the bits of ``x > 0``, with a border of zeros, summed."""
    nodes: list[NetworkNode] = []

    def node(name: str, layer: Layer, *inputs: str, settings: Settings | None = None) -> None:
        nodes.append(NetworkNode(name, layer, inputs, settings=settings or Settings()))

    node("x", Input((6,)))
    node("zero", Constant(as_weights(0.0)))
    node("bits", Comparison(Relation.GT), "x", "zero")
    node("a", Gather((0, 1, 2), 0), "bits")
    node("b", Gather((3, 4, 5), 0), "bits")
    node("wide_a", Pad(((1, 1),)), "a")
    node("wide_b", Pad(((1, 1),)), "b")
    node("less", BatchNormalization(as_weights([-2.0] * 3), as_weights([1.0] * 3)), "b", settings=settings)
    node("more", Pad(((1, 1),), value=1.0), "less")
    node("product", Multiply(), "wide_a", "more")
    node("either", Add(), "product", "wide_b")
    node("y", Reduce(Reduction.SUM, (0,)), "either")
    return Network(tuple(nodes), ("x",), (*outputs, "y"))


def test_elements_move_between() -> None:
    network = _exclusive()
    found = truth_tables(network)
    x = np.random.default_rng(0).normal(size=(100, 6))
    np.testing.assert_array_equal(found.evaluate([x])["y"], network.evaluate([x])["y"])
    table = found.node("either")
    assert isinstance(table.layer, TruthTable)
    assert len(table.inputs) == 2
    assert not {"less", "more", "product"} & {node.name for node in found.nodes}


def test_what_users_look_at_stays() -> None:
    for network in (_exclusive(settings=Settings(trace=True)), _exclusive(outputs=("less",))):
        assert truth_tables(network) is network


def test_inputs_are_bits_only_if_somebody_says_so() -> None:
    rng = np.random.default_rng(1)
    module = torch.nn.Sequential(Gates(6, 9, rng), Counts()).eval()
    x = _bits(rng, 64, 6)
    assert not _tables(bitsmith.convert(module, input_shape=(6,), calibration=x / 2))
    seen = bitsmith.convert(module, input_shape=(6,), calibration=x)
    stated = bitsmith.convert(module, input_shape=(6,), config={"LayerName": {"input": {"Precision": "ufixed<1,1>"}}})
    for model in (seen, stated):
        assert _tables(model)
        np.testing.assert_array_equal(model.predict(x), module(torch.tensor(x)).detach().numpy())


def _majority(count: int) -> Network:
    """True where most of ``count`` numbers are positive."""
    nodes = [
        NetworkNode("x", Input((count,))),
        NetworkNode("zero", Constant(as_weights(0.0))),
        NetworkNode("bits", Comparison(Relation.GT), ("x", "zero")),
        *(NetworkNode(f"bit{k}", Gather((k,), 0), ("bits",)) for k in range(count)),
        NetworkNode("total", Add(), tuple(f"bit{k}" for k in range(count))),
        NetworkNode("half", Constant(as_weights(count / 2))),
        NetworkNode("most", Comparison(Relation.GT), ("total", "half")),
    ]
    return Network(tuple(nodes), ("x",), ("most",))


def test_more_bits_than_a_table_has_stay_arithmetic() -> None:
    x = np.random.default_rng(2).normal(size=(200, MOST_BITS))
    network = _majority(MOST_BITS)
    found = truth_tables(network)
    assert isinstance(found.node("most").layer, TruthTable)
    np.testing.assert_array_equal(found.evaluate([x])["most"], network.evaluate([x])["most"])
    larger = _majority(MOST_BITS + 1)
    assert truth_tables(larger) is larger


@pytest.mark.parametrize("inputs", [(), ((3,),), ((3,), (4,)), ((3,), (3,), (3,))])
def test_operands_that_do_not_fit(inputs: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UnsupportedError, match="a truth table of shape"):
        TruthTable(as_weights(np.zeros((3, 4))), 1).output_shape(inputs)


BIT = FixedFormat(False, 1, 0, Rounding.RND, Overflow.SAT)


@pytest.mark.parametrize(
    ("layer", "settings", "data", "bits"),
    [
        (Input((2,)), Settings(), None, False),
        (Input((2,)), Settings({"result": BIT}), None, True),
        (Input((2,)), Settings({"result": FixedFormat(False, 2, 0)}), [[0.0, 1.0]], False),
        (Input((2,)), Settings({"result": FixedFormat(True, 1, 0)}), [[0.0, 1.0]], False),
        (Input((2,)), Settings({"result": FixedFormat(False, 1, 1)}), [[0.0, 1.0]], False),
        (Input((2,), limits=(0, 1)), Settings(), None, True),
        (Input((2,), limits=(0, 2)), Settings(), [[0.0, 1.0]], False),
        (Input((2,), limits=(-1, 1)), Settings(), None, False),
        (Input((2,), integer=True, entries=2), Settings(), None, True),
        (Input((2,), integer=True, entries=3), Settings(), None, False),
        (Input((2,)), Settings(), [[0.0, 1.0], [1.0, 1.0]], True),
        (Input((2,)), Settings(), [[0.0, 1.0], [1.0, 0.5]], False),
    ],
)
def test_each_way_of_saying_that_inputs_are_bits(
    layer: Input, settings: Settings, data: list[list[float]] | None, bits: bool
) -> None:
    network = Network((NetworkNode("x", layer, settings=settings),), ("x",), ("x",))
    batches = None if data is None else [np.array(data)]
    assert _bits_among(network, batches) == ({"x"} if bits else set())
