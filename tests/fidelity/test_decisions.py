"""Samples that a layer inside decides otherwise are told, however few of however many they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitsmith import FidelityWarning, convert
from bitsmith.fidelity.shortfall import float_outputs


class Deciding(nn.Module):
    """What is decided by sums of products."""

    def __init__(self, decide: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.sums, self.decide = nn.Linear(4, 5), decide

    def forward(self, x: Tensor) -> Tensor:
        return self.decide(self.sums(x))


DECIDE: dict[str, Callable[[Tensor], Tensor]] = {
    "largest": lambda y: y.argmax(1, keepdim=True).float(),
    "above a constant": lambda y: torch.where(y > 0.3, y, -y),
    "another": lambda y: (y[:, :1] > y[:, 1:]).float(),
    "whole": lambda y: torch.floor(3.0 * y),
    "signs": lambda y: torch.sign(y) * (y.abs() + 1.0),
}


@pytest.mark.parametrize("kind", DECIDE)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_only_sample_of_thousands_that_is_decided_otherwise(kind: str, at_once: bool) -> None:
    torch.manual_seed(len(kind))
    net = Deciding(DECIDE[kind]).eval()
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (60_000, 4)).astype(np.float32)
    shown = convert(net, calibration=x[:500], input_shape=(4,), bits=13, check=False)
    (wanted,), (ours,) = float_outputs(shown.network, [x.astype(np.float64)]), shown.emulator.run([x])
    apart = np.abs(wanted - ours).max(axis=1) > 0.05
    right, other = x[~apart], x[apart][:1]
    assert len(other)
    model = convert(net, calibration=right[:500], input_shape=(4,), bits=13, check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(right[:20_000])
    rows = right[:20_000].copy()
    rows[12_345] = other
    with pytest.warns(FidelityWarning, match="on 1 samples of this prediction"):
        for part in [rows] if at_once else np.split(rows, 4):
            model.predict(part)


@pytest.mark.parametrize("kind", DECIDE)
def test_a_sample_that_formats_of_the_user_decide_otherwise(kind: str) -> None:
    """Errors of numbers are the user's choice, and what is decided by these is said."""
    torch.manual_seed(len(kind))
    net = Deciding(DECIDE[kind]).eval()
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (20_000, 4)).astype(np.float32)
    config = {"Model": {"Precision": "fixed<18,8,RND,SAT>"}}
    shown = convert(net, config=config, input_shape=(4,), check=False)
    (wanted,), (ours,) = float_outputs(shown.network, [x.astype(np.float64)]), shown.emulator.run([x])
    apart = np.abs(wanted - ours).max(axis=1) > 0.05
    model = convert(net, config=config, input_shape=(4,), check=False)
    rows = np.concatenate([x[~apart][:300], x[apart][:1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(rows[:300])
    with pytest.warns(FidelityWarning, match="on 1 samples of this prediction"):
        model.predict(rows)
