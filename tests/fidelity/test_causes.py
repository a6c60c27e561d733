"""Causes of wrong results: what holds a layer's numbers and what does not, and where an error is made."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.fidelity.causes import Causes, Problem, _least_column, _listed, would_wrap
from bitsmith.fidelity.channels import Channel
from bitsmith.fidelity.deviation import Span
from bitsmith.fidelity.losses import MOST_PLACES, holding
from bitsmith.fidelity.measure import Circuit, measure
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.example import quarters
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import SimpleRNN
from bitsmith.layers.settings import Bits, Settings, SoftmaxImplementation
from bitsmith.layers.softmax import Softmax
from tests.fidelity.functions import Function


@pytest.mark.parametrize(
    ("lo", "hi", "wraps"),
    [
        (-4.0, 3.5, False),
        (-4.49, 3.99, False),
        (-4.5, 3.5, True),
        (-4.0, 4.0, True),
        (-0.1, 0.1, False),
        (-9.0, 9.0, True),
    ],
)
def test_results_within_a_step_of_their_format_s_range_are_held(lo: float, hi: float, wraps: bool) -> None:
    """From -4 to 3.5, in steps of a half."""
    for overflow in Overflow:
        fmt = FixedFormat(True, 4, 1, overflow=overflow)
        node = NetworkNode("y", ReLU(), ("x",), settings=Settings({"result": fmt}))
        assert would_wrap(node, Span(lo, hi)) is (wraps and overflow is Overflow.WRAP)
    assert not would_wrap(NetworkNode("y", ReLU(), ("x",)), Span(lo, hi))


def test_errors_of_constants_are_their_own() -> None:
    """A sum has no error of its own where one of what it adds is off."""
    added = torch.from_numpy(np.random.default_rng(2).uniform(-1.0, 1.0, (3, 4))).float()
    module = Function(lambda x: x + added)
    x = np.random.default_rng(3).uniform(-1.0, 1.0, (64, 3, 4))
    network = bitsmith.convert(module, calibration=x, input_shape=(3, 4), check=False).network
    (name,) = (node.name for node in network.nodes if not node.inputs and node.name not in network.inputs)
    config = {"Model": {"Precision": "auto"}, "LayerName": {name: {"Precision": {"weight": "fixed<3,1,RND,SAT>"}}}}
    model = bitsmith.convert(module, config=config, calibration=x, input_shape=(3, 4))
    rows = {str(row.layer): row for row in model.fidelity.rows}
    total = rows[network.outputs[0]]
    assert (rows[name].own or 0.0) > 0.01 and (total.error or 0.0) > 0.01
    assert (total.own or 0.0) < 0.001


def test_offsets_of_inputs_that_cancel_ask_for_bits() -> None:
    """Prices and quantities, which the module normalizes: rounding of its weights counts 200 times."""
    draw = np.random.default_rng(0)
    x = np.stack([*(draw.normal(at, 0.5, 500) for at in (100.0, 100.05)), *draw.lognormal(6, 1, (2, 500)).round()], 1)
    mean, scale = torch.from_numpy(x.mean(0)), torch.from_numpy(x.std(0))
    torch.manual_seed(3)
    dense = nn.Linear(4, 8).double()
    module = nn.Sequential(Function(lambda v: (v - mean) / scale), dense, nn.ReLU(), nn.Linear(8, 2).double()).eval()
    with pytest.warns(
        bitsmith.FidelityWarning, match=r"layer '1': 16 bits of weights may be few .*; give it Bits: \d+;"
    ) as told:
        bitsmith.convert(module, calibration=x)
    (bits,) = re.findall(r"Bits: (\d+)", str(told[0].message))
    bitsmith.convert(module, calibration=x, config={"LayerName": {"1": {"Bits": int(bits)}}}, strict=True)


class Chosen(nn.Module):
    """Rows of a table at integers, times numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 4)

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        y: Tensor = x * self.table(indices[:, 0])
        return y


def test_numbers_of_any_scale_beside_integers_are_right() -> None:
    torch.manual_seed(0)
    module = Chosen().eval()
    example = [torch.zeros(1, 4), torch.zeros(1, 1, dtype=torch.int64)]
    model = bitsmith.convert(module, example=example, strict=True)
    rng = np.random.default_rng(0)
    x, indices = rng.uniform(-1.0, 1.0, (50, 4)), rng.integers(0, 8, (50, 1))
    assert model.fidelity.scales and not model.fidelity.scales[0].wrong
    with torch.no_grad():
        wanted = module(torch.from_numpy(x).float(), torch.from_numpy(indices)).numpy()
    found = np.asarray(model.predict([x, indices.astype(np.float64)]))
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@given(
    st.booleans(),
    st.integers(-3, 12),
    st.floats(-300.0, 300.0),
    st.floats(0.0, 500.0),
    st.sampled_from([None, 0.01, 3.0]),
)
@example(False, 0, 0.0, 2.5e-197, None)  # for which no format has enough steps
def test_proposed_formats_hold_what_is_reached_in_enough_steps(
    signed: bool, frac: int, least: float, size: float, small: float | None
) -> None:
    """With no fewer fractional bits than before, all that there may be of least ranges, and no integer bit that is not needed."""
    reached, before = Span(least, least + size), FixedFormat(signed, 6, frac)
    found = holding(before, reached, small)
    assert found.signed == (signed or least < 0) and found.frac >= frac
    assert found.lo * 2.0**-found.frac <= least and least + size < (found.hi + 1) * 2.0**-found.frac
    steps = (small or reached.size) * 2.0**found.frac
    assert (steps >= 128 or found.frac == MOST_PLACES) and (found.frac == frac or steps < 256)
    most = max(reached.hi, -least, 2.0**-frac)
    assert 2.0 ** (found.integer - found.signed) <= 2.0 * most * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 2, 3)])
def test_the_least_channel_of_weights_is_that_whose_greatest_is_least(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).uniform(0.5, 1.0, shape) * [8.0, -0.25, 1.0]
    assert _least_column(as_weights(values)) == np.abs(values[..., 1]).max()
    values[..., 1] = 0.0  # which needs no steps
    assert _least_column(as_weights(values)) == np.abs(values[..., 2]).max()
    assert _least_column(as_weights(np.zeros(shape))) == _least_column(as_weights(np.zeros(()))) == 1.0


def test_variables_of_one_format_are_listed_together() -> None:
    one, other = FixedFormat(True, 8, 4), FixedFormat(True, 9, 4)
    assert _listed({"result": one}) == "result: fixed<8,4>"
    assert _listed({"result": one, "weight": other, "accum": one}) == "result and accum: fixed<8,4>, weight: fixed<9,5>"


def _caused(layer: Layer, settings: Settings, x: Floats, **changes: Any) -> Problem:
    """The cause that is named for a layer between an input and an output, whose row is another."""
    nodes = (NetworkNode("x", Input(x.shape[1:])), NetworkNode("y", layer, ("x",), settings=settings))
    network = Network(nodes, ("x",), ("y",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = compile_network(network, [x])
    measured = replace(measure(network, Circuit(compiled.network, compiled.program), [x]), losses=())
    causes = Causes({node.name: node for node in compiled.network.nodes}, measured)
    return causes.of(replace(measured.layers["y"].row, **changes))


X = np.random.default_rng(0).uniform(-4.0, 4.0, (64, 3))
COARSE = FixedFormat(True, 4, -1, Rounding.RND, Overflow.SAT)
CAUSES: dict[str, tuple[Layer, Settings, dict[str, Any], str, str]] = {
    "left out": (ReLU(), Settings(skip=True), {}, "as Skip asks", "compare classes"),
    "the greatest": (
        Softmax(), Settings(implementation=SoftmaxImplementation.ARGMAX), {}, "as Implementation: argmax asks", "compare classes",
    ),
    "wraps": (
        ReLU(), Settings({"result": FixedFormat(True, 4, 2)}), {}, "beyond fixed<4,2>", "give it result: fixed<9,3>",
    ),
    "coarse": (ReLU(), Settings({"result": COARSE}), {}, "too large for a range of 3.9", "result: fixed<9,3,RND,SAT>"),
    "formats": (
        ReLU(), Settings({"result": FixedFormat(True, 8, 4)}), {}, r"lose too much \(result fixed<8,4>\)", "result: fixed<12,4>",
    ),
    "few bits": (ReLU(), Settings(bits=Bits(6, 6)), {"own": 0.02}, "auto keeps 6 bits, and it differs", "Bits: 8"),
    "few bits, but too far": (ReLU(), Settings(bits=Bits(12, 12)), {}, "by 30 % of", "please report it"),
    "before": (ReLU(), Settings(), {"own": 0.01, "error": 0.0801}, "small errors of what it reads", "layers before it"),
    "not before": (ReLU(), Settings(), {"own": 0.01, "error": 0.0799}, "differs from its float meaning", "please report it"),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_that_is_named(name: str) -> None:
    layer, settings, changes, found, wanted = CAUSES[name]
    problem = _caused(layer, settings, X, **{"own": 0.3, "own_worst": 0.3, "error": 0.3, **changes})
    assert problem.layer == "y" and re.search(found, problem.found) and wanted in problem.remedy, problem


@pytest.mark.parametrize(
    ("bits", "remedy"), [(16, "give it Bits: 22"), (20, "give it Bits: 24"), (24, "please report it")]
)
def test_states_that_feed_back_make_rounding_larger(bits: int, remedy: str) -> None:
    """Errors of a recurrence that its bits do not explain: more bits help, as far as there are any."""
    layer = SimpleRNN(quarters(3, 2), quarters(2, 2))
    problem = _caused(layer, Settings(bits=Bits(bits, bits)), X.reshape(-1, 4, 3), own=0.01, own_worst=0.3, error=0.01)
    assert remedy in problem.remedy and ("feed back" in problem.found) == (bits < 24)


@pytest.mark.parametrize(
    ("least", "most", "named"), [(-1e4, 4.0, "x"), (-1e4, 120.0, "y"), (-900.0, 4.0, "y"), (-1001.0, 10.0, "x")]
)
def test_the_level_of_a_mask_in_an_input_is_the_cause_of_little_left_for_others(
    least: float, most: float, named: str
) -> None:
    x = np.array(X)
    x[:8, 0], x[8:16, 0] = least, most
    problem = _caused(ReLU(), Settings(), x, own=0.3, error=0.3)
    assert problem.layer == named and ("as a mask does" in problem.found) == (named == "x")


@pytest.mark.parametrize("given", [None, FixedFormat(True, 16, 3), FixedFormat(True, 16, 14)])
def test_steps_of_weights_are_too_large_for_a_small_channel(given: FixedFormat | None) -> None:
    """In formats of auto, of 16 bits here, where its weights are 2,048 times smaller than the largest ones."""
    for factor, small in ((1.0, False), (2.0**-9, False), (2.0**-11.5, True)):
        kernel = as_weights(np.ones((3, 2)) * [1.0, factor])
        settings = Settings({} if given is None else {"weight": given})
        nodes = (NetworkNode("x", Input((3,))), NetworkNode("y", Dense(kernel), ("x",), settings=settings))
        network = Network(nodes, ("x",), ("y",))
        compiled = compile_network(network, [X])
        measured = measure(network, Circuit(compiled.network, compiled.program), [X])
        causes = Causes({node.name: node for node in nodes}, measured)
        channel = Channel(1, 1.0, 1.0, 2.0**-15, 0.5, 0.5, None, 0.5, 0.5, 0.5)
        fine = {None: not small, 3: factor > 1, 14: factor >= 2.0**-14 * 32}[given and given.frac]
        assert bool(causes.finer_formats(nodes[1], channel)) != fine
