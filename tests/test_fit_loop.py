"""The loop of the table of fits: what it removes, and how it rounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from benchmarks.fit_loop import Absent, Pruned, rounded

import bitsmith


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


def test_rounded_numbers_are_few_and_have_slopes() -> None:
    x = torch.linspace(-1.3, 1.3, 101, requires_grad=True)
    y = rounded(x, 4)
    y.sum().backward()
    assert len(torch.unique(y)) <= 16
    assert float((y - x).detach().abs().max()) <= 0.25
    assert x.grad is not None and bool((x.grad == 1).all())
