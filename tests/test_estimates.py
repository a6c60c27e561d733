"""Estimates of models: the size as of ``explain``, and the cycles that a simulation measures."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.config import IOTypeName
from bitsmith.conversion.explanation import explain
from bitsmith.layers.layer import Floats
from tests.properties import few

MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"
NETWORK, WEIGHTS = MODELS / "bitsmith_3layer.json", MODELS / "bitsmith_3layer_weights.h5"
LAYOUTS: tuple[tuple[IOTypeName, int, int], ...] = (
    ("io_parallel", 1, 1),
    ("io_parallel", 32, 32),
    ("io_stream", 32, 32),
)
PERIOD = 20.0


@pytest.fixture(scope="module")
def x() -> Floats:
    with np.load(MODELS / "bitsmith_3layer_test.npz", allow_pickle=False) as data:
        return np.asarray(data["inputs"], dtype=np.float64)


@few("io_type, reuse, interval", LAYOUTS, fast=1, judged=True)
def test_the_size_is_that_of_explain(io_type: IOTypeName, reuse: int, interval: int, x: Floats, tmp_path: Path) -> None:
    told = explain(
        NETWORK, WEIGHTS, calibration=x, bits=8, io_type=io_type, reuse_factor=reuse, clock_period=PERIOD
    ).estimate
    found = bitsmith.convert(
        *(NETWORK, tmp_path, None, x), weights=WEIGHTS, bits=8, io_type=io_type, reuse_factor=reuse, clock_period=PERIOD
    ).estimate()
    assert told is not None and told.size == found.size and told.fits and found.fits
    assert found.interval == interval and found.frames_per_second == pytest.approx(50e6 / interval)
    text = str(found)
    assert f"about {found.size.lut:,} LUT" in text and f"{50_000_000 // interval:,} per second at 50 MHz" in text


def test_what_does_not_fit_says_so(x: Floats, tmp_path: Path) -> None:
    found = bitsmith.convert(NETWORK, tmp_path, None, x, weights=WEIGHTS, part="ice40up5k").estimate()
    assert not found.fits and "does not fit ice40up5k" in str(found)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("io_type", "reuse", "interval"), LAYOUTS)
def test_cycles_are_those_of_a_simulation(
    io_type: IOTypeName, reuse: int, interval: int, x: Floats, tmp_path: Path
) -> None:
    model = bitsmith.convert(
        *(NETWORK, tmp_path, None, x), weights=WEIGHTS, bits=8, io_type=io_type, reuse_factor=reuse, clock_period=PERIOD
    )
    found, measured = model.estimate(), model.build(inputs=x[:8], synth=False)["Latency"]
    assert (found.latency, found.interval) == (measured["Cycles"], measured["II"]) and found.interval == interval
    assert found.latency_ns == PERIOD * found.latency
