"""Causes of wrong results: what holds a layer's numbers and what does not, and where an error is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bitsmith
from bitsmith.fidelity.causes import would_wrap
from bitsmith.fidelity.deviation import Span
from bitsmith.ir.types import FixedFormat, Overflow
from bitsmith.layers.activation import ReLU
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.settings import Settings
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
