"""The loop of the table of fits: what it removes, and how it rounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from benchmarks.fit_loop import Absent, Outputs, Pruned, Steps, loop, rounded

import bitsmith
from bitsmith.model import Model


@pytest.fixture
def whole_blocks() -> Iterator[None]:
    """Blocks as they are written, part by part."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells, self.read = torch.nn.LSTM(2, 3, batch_first=True), torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.read(self.cells(x)[0][:, -1])
        return result


class _Mean(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.divisor = torch.nn.Linear(2, 2), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.read(x.sum(dim=1) / (self.divisor or x.shape[1]))
        return result


def test_removed_units_have_no_states_and_no_prices() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 2, 2)).astype(np.float32)
    whole = Pruned(_Net().eval())
    left = whole.without("cells[1]")
    states, _ = left.net.cells(torch.from_numpy(x))
    assert not states[..., 1].any() and states[..., [0, 2]].all()
    assert whole.net.cells.bias_ih_l0.all(), "the network itself stays"
    model = bitsmith.convert(left.net, calibration=x, bits=6, check=False)
    prices = bitsmith.cost(model)
    assert [name for name, _ in left.structures(prices)] == ["cells[0]", "cells[2]"]
    assert left.weights(prices) == {
        "cells": "cells.weight_ih_l0",
        "cells.recurrent_weight": "cells.weight_hh_l0",
        "read": "read.weight",
    }
    assert not prices["cells.recurrent_weight"].weights.lut[:, 1].any()


@pytest.mark.usefixtures("whole_blocks")
def test_attention_and_normalizations_are_left_out() -> None:
    block = torch.nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True).eval()
    left = Pruned(block).without("self_attn").without("norm1").without("norm2")
    assert isinstance(left.net.self_attn, Absent)
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        assert torch.allclose(left.net(x), x + block.linear2(torch.relu(block.linear1(x))), atol=1e-6)


def test_steps_of_a_sequence_are_left_out() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 3, 2)).astype(np.float32)
    net = _Net().eval()
    whole = Pruned(Steps(net, [0, 1, 2]).eval())
    left = whole.without("[1]")
    assert np.array_equal(whole.outputs(x), Pruned(net).outputs(x)), "the network itself stays"
    assert np.array_equal(left.outputs(x), Pruned(net).outputs(x[:, [0, 2]]))
    models = [bitsmith.convert(each.net, calibration=x, bits=6, check=False) for each in (whole, left)]
    prices = [bitsmith.cost(each) for each in models]
    found = [dict(each.structures(price)) for each, price in zip((whole, left), prices, strict=True)]
    assert [name for name in found[0] if name.startswith("[")] == ["[0]", "[1]", "[2]"]
    assert [name for name in found[1] if name.startswith("[")] == ["[0]", "[2]"]
    left = Pruned(Steps(_Mean(), [0, 1, 2])).without("[0]").without("[2]")
    with torch.no_grad():
        (first,) = left.net.net.read(torch.from_numpy(x[:1, 1]) / 3)
    assert np.allclose(left.outputs(x[:1]), first, atol=1e-6), "a mean divides as before"
    assert found[0]["[0]"] == pytest.approx(prices[0].whole("*") / 3)
    assert prices[1].whole("net.cells*") < 0.8 * prices[0].whole("net.cells*")


def test_a_network_says_what_it_is_in_fewer_layers() -> None:
    class Net(_Mean):
        def merged(self) -> torch.nn.Module:
            return self.read

    assert Pruned(Net()).merged() is None
    merged = Pruned(Steps(Net(), [1]), (4, 6)).merged()
    assert merged is not None and merged.bits == (4, 6)
    assert isinstance(merged.net, Steps) and isinstance(merged.net.net, torch.nn.Linear) and merged.net.kept == [1]


def test_a_loop_keeps_what_labels_follow_from() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2, 2)).astype(np.float32)
    labels = (x[:, 1, 0] > 0).astype(np.int64)

    def circuit(net: torch.nn.Module) -> Model:
        return bitsmith.convert(net, calibration=x, bits=6, example=x[:1], check=False)

    def good(outputs: Outputs) -> float:
        return float(np.mean(np.asarray(outputs(x)).argmax(axis=1) == labels)) - 0.9

    torch.manual_seed(3)
    net, model = loop(Steps(_Mean(), [0, 1]), (x, labels), circuit, good, (6, 6), 5)
    assert isinstance(net, Steps) and net.kept == [1]
    assert good(model.predict) >= 0
    weights = net.net.read.weight.detach()
    assert weights[:, 0].any() and not weights.all()
    assert torch.equal(weights, rounded(weights, 6))


def test_rounded_numbers_are_few_and_have_slopes() -> None:
    x = torch.linspace(-1.3, 1.3, 101, requires_grad=True)
    y = rounded(x, 4)
    y.sum().backward()
    assert len(torch.unique(y)) <= 16
    assert float((y - x).detach().abs().max()) <= 0.25
    assert x.grad is not None and bool((x.grad == 1).all())
    assert torch.equal(rounded(y, 4), y)
    assert torch.equal(rounded(-torch.ones(3), 4), -torch.ones(3)), "the least number has no other format"
