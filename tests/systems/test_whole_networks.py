"""Networks as deep as those that people use, for small images or few tokens, beside a memory that waits, pauses and fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from benchmarks.large_networks import bert, images, mobilenet_v2, resnet18, settled

import bitsmith
from tests.systems.whole_networks import simulated


@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")  # of random weights in eight bits
@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "reuse", "busy"),
    [
        (lambda: resnet18(64, 8, 10), 150, 0.8),
        (lambda: mobilenet_v2(64, 0.35, 10), 100, 0.6),
        (lambda: bert(8, 32, 2, 1), 2000, 0.8),
    ],
)
def test_whole_networks(
    build: Callable[[], keras.Model], reuse: int, busy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every bit is right, cycles are at most 3 % more than planned, and as many multipliers are busy as planned."""
    keras.utils.set_random_seed(0)
    model = build()
    shape = model.input_shape[1:]
    tokens = np.random.default_rng(0).normal(size=(20, *shape)).astype(np.float32)
    x = images(shape) if len(shape) == 3 else tokens
    settled(model, x)
    converted = bitsmith.convert(
        model,
        tmp_path,
        calibration=x,
        bits=8,
        io_type="io_stream",
        strategy="shared",
        reuse_factor=reuse,
        board="zcu104",
        clock_period=5,
        project_name="net",
        weight_memory="128 bits, 300 MHz, 200 ns, 75 %",
    )
    found = simulated(converted, x[:2], tmp_path, monkeypatch)
    assert all(0.9 <= share <= 1.03 for share in found.measured.values())
    assert found.busy == pytest.approx(found.planned, rel=0.03)
    assert found.busy > busy
