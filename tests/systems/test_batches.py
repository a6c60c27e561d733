"""Circuits that compute several samples together: memory, drivers in Python and C, plans, and what is refused."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.building.job import circuit_program
from bitsmith.devices.board import any_board
from bitsmith.devices.parts import part_or_typical
from bitsmith.devices.system import Zynq
from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.report.sections import Latency, Verification
from bitsmith.rtl.writer import Title
from tests.rtl.wrapped import DIGEST
from tests.systems.memory_board import Memory, memory_board
from tests.systems.test_bare_metal import Board, compiled
from tests.systems.test_simulated_memory import overlaid
from tests.systems.written import imported, written

IN_TURN: dict[str, Any] = {"bits": 8, "io_type": "io_stream", "strategy": "shared", "project_name": "net"}
MEMORY: dict[str, Any] = {"weight_memory": "8 bits, 100 MHz, 200 ns, 75 %"}
SAMPLES = 40


def perceptron(*units: int) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(count, activation="relu") for count in units[1:-1]]
    model = keras.Sequential([keras.Input(units[:1]), *layers, keras.layers.Dense(units[-1])])
    return model, np.random.default_rng(0).normal(size=(SAMPLES, units[0])).astype(np.float32)


def mixed() -> tuple[keras.Model, np.ndarray]:
    """Convolutions, depthwise ones too, pooling, a sum of two ways, and dense layers."""
    keras.utils.set_random_seed(0)
    start = keras.Input((6, 6, 2))
    first = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="wide")(start)
    way = keras.layers.DepthwiseConv2D(3, padding="same")(first)
    pooled = keras.layers.MaxPooling2D()(keras.layers.Add()([first, way]))
    model = keras.Model(start, keras.layers.Dense(3)(keras.layers.Flatten()(pooled)))
    return model, np.random.default_rng(0).normal(size=(SAMPLES, 6, 6, 2)).astype(np.float32)


def test_frames_in_a_second_are_those_of_all_samples(tmp_path: Path) -> None:
    """A memory that bounds the rate is read once for a batch; what is predicted is the same."""
    model, x = perceptron(24, 40, 40, 5)
    rates, predicted = list[float](), list[np.ndarray]()
    for batch in (None, 4, 16):
        found = bitsmith.convert(model, tmp_path, calibration=x, reuse_factor=300, batch=batch, **IN_TURN, **MEMORY)
        estimate = found.estimate()
        rates.append(estimate.frames_per_second)
        predicted.append(found.predict(x))
        assert rates[-1] == pytest.approx(1e9 * (batch or 1) / estimate.interval / found.target.clock_period_ns)
        assert (f"a batch of {batch} results every" in str(estimate)) is (batch is not None)
        assert any("together" in note for note in found.notes) is (batch is not None)
    assert rates[1] > 3.5 * rates[0] and rates[2] > 3.5 * rates[1]
    for other in predicted[1:]:
        np.testing.assert_array_equal(other, predicted[0])


def test_a_saved_model_has_its_batch(tmp_path: Path) -> None:
    model, x = perceptron(6, 5, 3)
    saved = bitsmith.convert(model, tmp_path / "net", calibration=x, reuse_factor=300, batch=3, **IN_TURN)
    saved.save(tmp_path / "saved.json")
    loaded = bitsmith.Model.load(tmp_path / "saved.json")
    assert loaded.target.samples == 3
    assert str(loaded.estimate()) == str(saved.estimate())


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("memory", [MEMORY, {}])
def test_a_build_takes_the_cycles_of_the_plan(tmp_path: Path, memory: dict[str, Any]) -> None:
    model, x = perceptron(24, 20, 20, 5)
    found = bitsmith.convert(model, tmp_path, calibration=x, reuse_factor=200, batch=3, **IN_TURN, **memory)
    report = found.build(inputs=x[:10], synth=False)
    verified, latency = report.find(Verification), report.find(Latency)
    assert verified is not None and (verified.inputs, verified.mismatches) == (4, 0)
    assert latency is not None and latency.ii == found.estimate().interval


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("reuse", [1, 20])
def test_convolutions_side_by_side(tmp_path: Path, reuse: int) -> None:
    model, x = mixed()
    asked: dict[str, Any] = {"io_type": "io_stream", "bits": 6, "batch": 2}
    found = bitsmith.convert(model, tmp_path, calibration=x, reuse_factor=reuse, **asked)
    report = found.build(inputs=x[:5], synth=False)
    verified = report.find(Verification)
    assert verified is not None and (verified.inputs, verified.mismatches) == (3, 0)


@pytest.mark.slow
@pytest.mark.ci
def test_drivers_fill_up_the_last_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights come from a memory, samples and results from Python: those of whole batches, and those of a part of one."""
    model, x = perceptron(24, 20, 20, 5)
    asked = IN_TURN | MEMORY | {"board": "zcu104", "batch": 3, "clock_period": 5}
    found = bitsmith.convert(model, tmp_path, calibration=x, reuse_factor=200, **asked)
    folder, target = found.write(), found.target
    family = part_or_typical(target.part).family
    program, budget_ns = circuit_program(found.program, target), target.budget_ns(family)
    each = circuit(program, found.directives, family.delays, budget_ns, "net", Title("test", DIGEST))
    board = any_board("zcu104")
    assert isinstance(board, Zynq)
    with memory_board(folder, each, board.bus_bytes) as (simulated, buffers):
        driver = overlaid(monkeypatch, folder, simulated, buffers)
        simulated.behave(Memory(latency=10, more=30, bits=64))
        for count in (SAMPLES, 3, 1):
            np.testing.assert_array_equal(driver.predict(x[:count]), found.predict(x[:count]))


def test_the_driver_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = perceptron(6, 5, 3)
    found = bitsmith.convert(model, tmp_path, calibration=x, reuse_factor=300, batch=3, **IN_TURN)
    family, program = part_or_typical(found.target.part).family, circuit_program(found.program, found.target)
    budget_ns = found.target.budget_ns(family)
    each = circuit(program, found.directives, family.delays, budget_ns, "net", Title("test", DIGEST))
    written(tmp_path, each, "zcu104", monitors="none", batch=3)
    (net,) = imported(monkeypatch, tmp_path, "net")
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    assert library.net_init() == 0
    for count in (SAMPLES, 9, 1):
        taken = np.ascontiguousarray(x[:count], np.float64)
        room = np.full((count + 3, 3), np.nan)
        pointers = [(ctypes.c_void_p * 1)(side.ctypes.data) for side in (taken, room)]
        assert library.net_predict(*pointers, ctypes.c_size_t(count)) == 0
        np.testing.assert_array_equal(room[:count], found.predict(x[:count]))
        assert np.all(np.isnan(room[count:])), "nothing is written behind the last sample"


def test_what_has_no_batch(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="cells"), keras.layers.Dense(2)])
    with pytest.raises(UnsupportedError, match=r"'cells'.*batch of 4 samples for a recurrence"):
        bitsmith.convert(model, tmp_path, io_type="io_stream", batch=4)
    with pytest.raises(UnsupportedError, match=r"'wide'.*windows over 2 axes, and a batch of 4 samples"):
        bitsmith.convert(mixed()[0], tmp_path, reuse_factor=500, batch=4, **IN_TURN)
    model, _ = perceptron(6, 5, 3)
    with pytest.raises(ConfigError, match="Batch with backend 'vitis'"):
        bitsmith.convert(model, tmp_path, backend="vitis", batch=4)
    for wrong in (0, 1 << 13):
        with pytest.raises(ConfigError, match="an integer from 1 to 4096"):
            bitsmith.convert(model, tmp_path, batch=wrong)
