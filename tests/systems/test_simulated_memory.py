"""Circuits that read their weights from memory, simulated beside one that waits, pauses and fails: whole frames."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.dataflow.kinds import Replay
from bitsmith.devices.board import any_board
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.parts import part_or_typical
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title
from tests.mapping.test_bands import limited, pyramid, pyramid_of_sums
from tests.mapping.test_engines import perceptron, shared
from tests.mapping.test_fetched_weights import at_once
from tests.properties.convolutional import in_parts, random_network
from tests.rtl.wrapped import DIGEST, expected, inputs_of, made
from tests.system.examples import MODELS, digits
from tests.systems.memory_board import Buffers, Memory, MemoryBoard, memory_board
from tests.systems.test_memory_circuits import MASTER
from tests.systems.written import imported, written


def overlaid(monkeypatch: pytest.MonkeyPatch, folder: Path, board: MemoryBoard, buffers: Buffers) -> Any:
    """The overlay of a project, whose memory is simulated."""
    pynq = ModuleType("pynq")

    class Overlay:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.circuit, self.ip_dict = board, {"circuit": {}}

    monkeypatch.setattr(pynq, "Overlay", Overlay, raising=False)
    monkeypatch.setattr(pynq, "allocate", buffers.allocate, raising=False)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    net, driver, predicting = imported(monkeypatch, folder, "net", "axi_stream_driver", "predicting")
    for module in (net, predicting):
        monkeypatch.setattr(module, "time", board)
    return driver.NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.05)


MEMORIES = {
    "steady": Memory(bits=64),
    "slow": Memory(latency=200, bits=64),
    "random": Memory(latency=10, more=60, bits=64),
    "refreshes": Memory(latency=30, more=20, period=1560, pause=35, bits=64),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("pynq-z2", marks=pytest.mark.ci), "zcu104"])
def test_whole_frames_with_a_simulated_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every bit is right, whatever memory does, also after errors and resets in the middle; cycles are those of the plan."""
    each, frames = made("images"), 40
    written(tmp_path, each, name, interface=MASTER)
    x = inputs_of(each.program, frames)
    want, bus_bytes = expected(each.program, x), any_board(name).bus_bytes
    planned = each.cycles[0] + (frames - 1) * each.cycles[1]
    with memory_board(tmp_path, each, bus_bytes) as (board, buffers):
        driver = overlaid(monkeypatch, tmp_path, board, buffers)
        driver.selftest()
        registers = driver.ends[1]
        for memory, about in MEMORIES.items():
            board.behave(about)
            before = registers.counts()
            np.testing.assert_array_equal(driver.predict(x), want[0])
            counts = registers.counts().since(before)
            assert planned * 0.9 <= counts.busy <= planned * 1.03, memory
        for word in (0, 3, 50):
            board.behave(Memory(wrong=(len(each.interface.inputs) - 1, word)))
            with pytest.raises(RuntimeError, match="memory has answered with an error"):
                driver.predict(x)
            np.testing.assert_array_equal(driver.predict(x), want[0])
        for cycles in (0, 5, 40, 300):
            registers.write(0x800, 0xFF)
            board.step(cycles)
            registers.reset()
            assert registers.read(0x800) == 0
            np.testing.assert_array_equal(driver.predict(x), want[0])


@pytest.mark.slow
@pytest.mark.ci
def test_a_memory_that_bounds_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives what the plan says, refreshes included; frames take the planned cycles, and at most 3 % more."""
    program, rate, frames = perceptron((24, 32, 24, 8)), 4.0, 20
    directives = replace(shared(program, 9999), weights_rate=rate, weights_bus=WeightsBus(8, 1.0))
    each = circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))
    written(tmp_path, each, "pynq-z2", interface=MASTER)
    x = inputs_of(each.program, frames)
    planned = each.cycles[0] + (frames - 1) * each.cycles[1]
    with memory_board(tmp_path, each, 8) as (board, buffers):
        driver = overlaid(monkeypatch, tmp_path, board, buffers)
        board.behave(Memory(latency=30, more=20, period=1560, pause=70, bits=rate * 1560 / 1490))
        registers = driver.ends[1]
        before = registers.counts()
        np.testing.assert_array_equal(driver.predict(x), expected(each.program, x)[0])
        busy = registers.counts().since(before).busy
        assert planned * 0.9 <= busy <= planned * 1.03


def in_turn(seed: int) -> tuple[Program, Directives]:
    """A random network with an engine whose weights come, in about half the cases with several windows at once.

    From 100 on it is one whose layers go through images in bands of rows, from 103 on with maps in the memory.
    """
    if seed >= 100:
        program, blocks = pyramid() if seed < 103 else pyramid_of_sums(seed), (36, 50, 32, 90, 110)[seed - 100]
        return program, replace(limited(program, blocks, rate=24.0), weights_bus=WeightsBus(8, 1.0))
    for own in count(seed, 100):
        program = in_parts(own) if own % 2 else random_network(own)
        directives = at_once(program) if own % 2 else None
        found = directives or replace(shared(program, 10_000), weights_rate=1.0)
        rate = random.Random(own).choice([1e9, 24.0, 6.0])
        found = replace(found, weights_rate=rate, weights_bus=WeightsBus(8, 1.0))
        network = partition(drop_dead(program, keep_probes=False), found)
        if any(isinstance(process.kind, Replay) for process in network.processes):
            return program, found
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 4, 7, 100, 103} else ()) for k in range(105)]
)
def test_random_networks_beside_a_memory_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Every bit is right beside waits and pauses at random; errors are told, and after these and resets results are right."""
    rng, (program, directives), frames = random.Random(seed), in_turn(seed), 4
    each = circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))
    written(tmp_path, each, "pynq-z2", interface=MASTER)
    x = inputs_of(each.program, frames)
    want = expected(each.program, x)
    with memory_board(tmp_path, each, 8) as (board, buffers):
        driver = overlaid(monkeypatch, tmp_path, board, buffers)
        registers = driver.ends[1]
        numbers = [[rng.randrange(60), rng.randrange(80), rng.randrange(100, 900), rng.randrange(60)] for _ in range(3)]
        waits = [Memory(*own) for own in numbers]
        for memory in waits:
            board.behave(replace(memory, bits=rng.choice([8, 32, 64])))
            np.testing.assert_array_equal(driver.predict(x), want[0])
        for buffer in (0, len(each.interface.inputs) - 1):
            board.behave(replace(waits[0], wrong=(buffer, 0)))
            with pytest.raises(RuntimeError, match="memory has answered with an error"):
                driver.predict(x)
            board.behave(waits[1])
            np.testing.assert_array_equal(driver.predict(x), want[0])
        for cycles in (rng.randrange(40), rng.randrange(400)):
            registers.write(0x800, 0xFF)
            board.step(cycles)
            registers.reset()
            np.testing.assert_array_equal(driver.predict(x), want[0])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("board", ["pynq-z2"])
def test_from_a_model_to_its_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str) -> None:
    """The project of a model, as `write` leaves it, beside a memory with its image, and then with that of another one."""
    asked: dict[str, Any] = {
        "io_type": "io_stream",
        "strategy": "shared",
        "reuse_factor": 512,
        "bits": 8,
        "config": None,
    }
    asked |= {
        "board": board,
        "clock_period": 10,
        "project_name": "net",
        "weight_memory": "32 bits, 533 MHz, 200 ns, 75 %",
    }
    model, x = digits(tmp_path, **asked)
    folder, frames = model.write(), 40
    target = model.target
    family = part_or_typical(target.part).family
    each = circuit(
        model.program, model.directives, family.delays, target.budget_ns(family), "net", Title("test", DIGEST)
    )
    planned = each.cycles[0] + (frames - 1) * each.cycles[1]
    assert each.cycles == (model.estimate().latency, model.estimate().interval)
    with memory_board(folder, each, any_board(board).bus_bytes) as (simulated, buffers):
        driver = overlaid(monkeypatch, folder, simulated, buffers)
        registers = driver.ends[1]
        for memory in (MEMORIES["random"], MEMORIES["refreshes"], Memory(latency=10, more=10, bits=64)):
            simulated.behave(memory)
            before = registers.counts()
            np.testing.assert_array_equal(driver.predict(x[:frames]), model.predict(x[:frames]))
        busy = registers.counts().since(before).busy
        assert planned * 0.9 <= busy <= planned * 1.03, "of a memory with the stated latency at most"
        other = bitsmith.convert(retrained(), output_dir=tmp_path / "other", **asked)
        computed = bitsmith.write_image(model, other, tmp_path / "image")
        driver = overlaid(monkeypatch, tmp_path / "image", simulated, buffers)
        results = driver.predict(x[:frames])
        np.testing.assert_array_equal(results, computed.predict(x[:frames]))
        assert np.any(results != model.predict(x[:frames]))


def retrained() -> keras.Model:
    """The digits classifier with somewhat other weights and biases."""
    rng, made = np.random.default_rng(0), keras.models.load_model(MODELS / "digits.keras")
    made.set_weights([values + 0.1 * values.std() * rng.standard_normal(values.shape) for values in made.get_weights()])
    return made
