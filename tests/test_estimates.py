"""Estimates of models: the size as of ``explain``, and the cycles that a simulation measures."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsmith
from bitsmith.config.values import IOTypeName
from bitsmith.conversion.explanation import explain
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.estimate import size
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


@pytest.mark.parametrize("part, fits", [("xc7z020clg400-1", True), ("iCE40LP384-SG32", False)])
def test_fifos_that_take_long_are_planned_where_the_rest_fits(
    part: str, fits: bool, x: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "_MANY", 0)
    found = bitsmith.convert(
        *(NETWORK, tmp_path, None, x), weights=WEIGHTS, bits=6, io_type="io_stream", reuse_factor=32, part=part
    ).estimate()
    assert found.fits == fits and found.without_fifos != fits
    assert (" BRAM without FIFOs (estimate): does not fit" in str(found)) != fits


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_a_reuse_factor_that_nothing_needs_is_told(io_type: IOTypeName, x: Floats, tmp_path: Path) -> None:
    """Products with few constants take less area side by side, unless the strategy has them share multipliers."""
    intervals = dict[tuple[int, str], int]()
    for reuse, strategy in ((1, "Latency"), (2, "Latency"), (2, "Resource"), (2, "DistributedArithmetic")):
        options: dict[str, Any] = {"weights": WEIGHTS, "bits": 7, "io_type": io_type, "reuse_factor": reuse}
        found = bitsmith.convert(NETWORK, tmp_path, None, x, strategy=strategy, **options).estimate()
        intervals[reuse, strategy] = found.interval
        told = "ReuseFactor 2 allows a result every 2 cycles, and there is one in each" in str(found)
        assert told == ((reuse, strategy) == (2, "Latency"))
    assert intervals[2, "Latency"] == 1 < intervals[2, "Resource"] == 2


def test_an_asked_latency_is_told_with_what_keeps_the_circuit_from_it(x: Floats, tmp_path: Path) -> None:
    texts = {
        latency: str(bitsmith.convert(NETWORK, tmp_path, None, x, weights=WEIGHTS, bits=6, latency=latency).estimate())
        for latency in (None, "10 ns", 40)
    }
    assert "latency" not in texts[None]
    assert "latency of 1 cycle, 10 ns" in texts["10 ns"] and "in 1 cycle, for Latency, a stage has" in texts["10 ns"]
    assert "latency of " in texts[40] and "a stage has" not in texts[40]


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


@pytest.mark.slow
@pytest.mark.ci
def test_a_circuit_has_the_latency_of_another(x: Floats, tmp_path: Path) -> None:
    """By cycles, by time, by report and by project folder; it is what the simulation measures."""
    options: dict[str, Any] = {"weights": WEIGHTS, "clock_period": PERIOD, "calibration": x}
    first = bitsmith.convert(NETWORK, tmp_path / "first", bits=12, **options).build(inputs=x[:8], synth=False)
    cycles = first["Latency"]["Cycles"]
    for number, latency in enumerate((first, tmp_path / "first", f"={cycles + 3}", f"={(cycles + 2) * PERIOD}ns")):
        model = bitsmith.convert(NETWORK, tmp_path / str(number), bits=8, latency=latency, **options)
        wanted = cycles + (0, 0, 3, 2)[number]
        assert model.estimate().latency == wanted
        assert model.build(inputs=x[:8], synth=False)["Latency"]["Cycles"] == wanted
    model.save(tmp_path / "saved.json")
    assert bitsmith.Model.load(tmp_path / "saved.json").estimate().latency == cycles + 2


def test_latencies_that_cannot_be(x: Floats, tmp_path: Path) -> None:
    options: dict[str, Any] = {"weights": WEIGHTS, "calibration": x, "bits": 8, "check": False}
    with pytest.raises(CapacityError, match=r"(?s)a pipeline of \d+ cycles at least.*exactly \d+ or more"):
        _ = bitsmith.convert(NETWORK, tmp_path, latency="=1", **options).estimate().latency
    with pytest.raises(ConfigError, match=r"(?s)shares multipliers.*reuse factors of 1"):
        bitsmith.convert(NETWORK, tmp_path, latency="=20", reuse_factor=32, **options)
    with pytest.raises(ConfigError, match="io_stream"):
        bitsmith.convert(NETWORK, tmp_path, latency="=20", io_type="io_stream", **options)
    with pytest.raises(ConfigError, match="no report in"):
        bitsmith.convert(NETWORK, tmp_path, latency=tmp_path, **options)
    with pytest.raises(ConfigError, match=r"(?s)without a latency.*cosim=True"):
        bitsmith.convert(NETWORK, tmp_path, latency=bitsmith.Report([]), **options)


@pytest.mark.parametrize(
    ("board", "port"), [("icebreaker", "iCEBreaker"), ("ulx3s-85f", "ULX3S-85F"), ("pynq-z2", ""), (None, "")]
)
def test_the_serial_port_of_a_board_is_counted(board: str | None, port: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"inputs": {"x": (-1, 1)}, "board": board}
    model = bitsmith.convert("2*x + 1", tmp_path, **options)
    text = str(model.estimate())
    assert text.endswith(f"of these are the port of {port}") == bool(port) == ("LUT, " in text.splitlines()[-1])
    bare = bitsmith.convert("2*x + 1", tmp_path, monitors="none", **options).estimate().size
    assert (model.estimate().size.lut > bare.lut + 150) == bool(port) == (bare.lut > 100)


def test_the_port_of_a_board_is_beside_what_its_part_alone_would_have(x: Floats, tmp_path: Path) -> None:
    options: dict[str, Any] = {"weights": WEIGHTS, "calibration": x, "bits": 8, "check": False, "reuse_factor": 32}
    options |= {"clock_period": 83.33}
    alone = bitsmith.convert(NETWORK, tmp_path, part="iCE40UP5K-SG48", **options).estimate().size
    whole = bitsmith.convert(NETWORK, tmp_path, board="icebreaker", **options).estimate().size
    assert (whole.lut - alone.lut, whole.ff - alone.ff) == (round(whole.beside.lut), round(whole.beside.ff))
    assert whole.beside.lut > 350 and whole.beside.ff > 550 and whole.dsp == alone.dsp
