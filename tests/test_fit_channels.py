"""Fits of networks that are much wider than they need to be: channels go, and what is promised of the circuit holds."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pytest
import torch

import bitsmith
from bitsmith.conversion.fitted import Fitted
from bitsmith.model import descent

pytestmark = [pytest.mark.slow, pytest.mark.ci, pytest.mark.filterwarnings("ignore::bitsmith.errors.BitsmithWarning")]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(1200, 8)).astype(np.float32)
READ = RNG.normal(size=(32, 3)).astype(np.float32)


def _wide(framework: str, hidden: np.ndarray[Any, Any]) -> Any:
    """A perceptron of 8, 32 and 3 elements with these ``hidden`` weights (8, 32)."""
    if framework == "keras":
        layers = keras.layers.Dense(32, activation="relu", use_bias=False), keras.layers.Dense(3)
        model = keras.Sequential([keras.Input((8,)), *layers])
        model.set_weights([hidden, READ, np.zeros(3)])
        return model
    net = torch.nn.Sequential(torch.nn.Linear(8, 32, bias=False), torch.nn.ReLU(), torch.nn.Linear(32, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.from_numpy(hidden.T.copy()))
        net[2].weight.copy_(torch.from_numpy(READ.T.copy()))
    return net.eval()


def _labels(hidden: np.ndarray[Any, Any]) -> Any:
    return (np.maximum(X @ hidden, 0.0) @ READ).argmax(axis=1)


def _fitted(framework: str, hidden: np.ndarray[Any, Any], tries: int = 8) -> Fitted:
    example = {} if framework == "keras" else {"example": X[:1]}
    return bitsmith.fit(_wide(framework, hidden), (X, _labels(hidden)), {"loss": 0.02}, tries=tries, **example)


def _redundant() -> Any:
    """Weights of 32 channels, each eight of them nearly alike."""
    few = np.repeat(RNG.normal(size=(8, 4)), 8, axis=1) * RNG.uniform(0.5, 1.5, (1, 32))
    return (few + 0.002 * RNG.normal(size=(8, 32))).astype(np.float32)


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_channels_go_where_others_make_up_for_them(framework: str) -> None:
    hidden = _redundant()
    found = _fitted(framework, hidden)
    common = found.configuration["Model"]
    assert isinstance(common, dict) and common["ChannelPrice"] in descent.PRICES[1:]
    assert np.mean(np.asarray(found.model.predict(X)).argmax(axis=1) == _labels(hidden)) >= 0.97
    example = {} if framework == "keras" else {"example": X[:1]}
    again = bitsmith.convert(_wide(framework, hidden), None, found.configuration, found.calibration[0], **example)
    assert np.array_equal(again.predict(X), found.model.predict(X))
    with patch.object(descent, "_WORTH", 0.0):
        plain = _fitted(framework, hidden)
    assert "ChannelPrice" not in str(plain.configuration)
    assert found.best().size.lut < 0.75 * plain.best().size.lut


def test_the_search_is_what_it_is_without_the_price_where_that_saves_less_than_a_quarter() -> None:
    hidden, seen = RNG.normal(size=(8, 32)).astype(np.float32), list[list[str]]()
    run = descent.Descent.run

    def recorded(self: descent.Descent) -> None:
        run(self)
        seen.append(list(self.known))

    with patch.object(descent.Descent, "run", recorded), patch.object(descent.Descent, "_channel") as channel:
        channel.side_effect = [1, 0]  # a price at which none goes, and none
        found, plain = (_fitted("torch", hidden) for _ in range(2))
    assert seen[0] == seen[1] and not any("ChannelPrice" in keys for keys in seen[0])
    assert found.configuration == plain.configuration and found.tried == plain.tried
