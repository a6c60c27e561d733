"""How many samples of predictions are compared, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bitsmith.fidelity import predictions
from bitsmith.fidelity.predictions import Predictions, most_compared
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode


def _network(size: int) -> Network:
    return Network((NetworkNode("x", Input((size,))), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))


@pytest.mark.parametrize(
    ("size", "most"), [(1, 128), (1 << 14, 128), (1 << 15, 64), (3 << 14, 42), (1 << 16, 32), (1 << 20, 32)]
)
def test_fewer_samples_of_large_networks_are_compared(size: int, most: int) -> None:
    """All results of all samples have 2**22 elements at most, but of 32 samples."""
    assert most_compared(_network(size)) == most


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of samples of each comparison."""
    counts: list[int] = []
    real = predictions.deviating

    def counted(network: Network, inputs: Sequence[Floats], *rest: Any) -> Any:
        counts.append(len(inputs[0]))
        return real(network, inputs, *rest)

    monkeypatch.setattr(predictions, "deviating", counted)
    return counts


def _look(looks: Predictions, x: Floats) -> None:
    assert looks.look([x], [np.maximum(x, 0.0)]) is None


def test_single_predictions_are_compared_whenever_there_are_twice_as_many(compared: list[int]) -> None:
    looks, x = Predictions(_network(3), calibrated=True), np.array([[0.5, -1.0, 1.0]])
    for _ in range(400):
        _look(looks, x)
    assert compared == [1, 2, 4, 8, 16, 32, 64, 128]
    _look(looks, x / 4.0)  # of the same scale
    assert compared[8:] == []
    for _ in range(3):
        _look(looks, x / 4.5)
    assert compared[8:] == [1, 2]
    _look(looks, np.zeros((0, 3)))
    _look(looks, np.zeros((5, 3)))
    assert compared[10:] == [8]


@pytest.mark.parametrize(("samples", "looked_at"), [(1, 1), (128, 128), (129, 65), (1000, 125)])
def test_of_many_samples_some_all_over_are_compared(compared: list[int], samples: int, looked_at: int) -> None:
    _look(Predictions(_network(3), calibrated=False), np.random.default_rng(0).uniform(-1.0, 1.0, (samples, 3)))
    assert compared == [looked_at]
