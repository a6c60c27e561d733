"""Circuits that write tokens into memory and read them back through a port of their own, beside a memory: whole frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsmith.building import design
from bitsmith.building.design import Circuit, circuit
from bitsmith.dataflow.processes import Network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title
from tests.mapping.test_fetched_weights import FAST
from tests.mapping.test_fifos import PART, short_of, skips
from tests.mapping.test_partition import demanded
from tests.properties.outside import through_memories
from tests.properties.programs import random_program
from tests.properties.transformers import in_visits, transformer
from tests.rtl.test_streams import convolutional
from tests.rtl.wrapped import DIGEST, expected, inputs_of, made
from tests.systems.memory_board import Memory, memory_board
from tests.systems.test_memory_circuits import MASTER
from tests.systems.test_simulated_memory import MEMORIES, overlaid
from tests.systems.test_zynq import board_named
from tests.systems.written import written


def assert_beside_a_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, each: Circuit, name: str = "pynq-z2", seed: int = 1, frames: int = 5
) -> None:
    """Every bit is right, whatever memory does, also after errors and resets in the middle."""
    written(folder, each, name, interface=MASTER)
    x = inputs_of(each.program, frames, seed)
    wanted = expected(each.program, x)
    readers = len(each.interface.inputs) + len(each.interface.loops)
    with memory_board(folder, each, board_named(name).bus_bytes, seed) as (board, buffers):
        driver = overlaid(monkeypatch, folder, board, buffers)
        registers = driver.ends[1]

        def assert_right() -> None:
            found = driver.predict(x if len(x) > 1 else x[0])
            for have, want in zip(found if isinstance(found, list | tuple) else [found], wanted, strict=True):
                np.testing.assert_array_equal(have, want)

        for memory in MEMORIES.values():
            board.behave(memory)
            assert_right()
        for word in (0, 1):
            board.behave(Memory(wrong=(readers - 1, word)))
            with pytest.raises(RuntimeError, match="memory has answered with an error"):
                driver.predict(x if len(x) > 1 else x[0])
            assert_right()
        for cycles in (0, 5, 40, 100, 300):
            registers.write(0x800, (1 << readers + len(each.interface.outputs)) - 1)
            board.step(cycles)
            registers.reset()
            assert registers.read(0x800) == 0
            assert_right()


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("pynq-z2", marks=pytest.mark.ci), "zcu104"])
def test_two_memories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert_beside_a_memory(tmp_path, monkeypatch, made("outside"), name)


def with_memories(
    monkeypatch: pytest.MonkeyPatch,
    program: Program,
    directives: Directives,
    seed: int,
    *,
    whole: bool = False,
    rates: tuple[int, int] | None = None,
) -> Circuit:
    """The circuit of ``program``, of which results pass through memories."""

    def changed(*of: Any) -> Network:
        return through_memories(partition(*of), seed, whole=whole, rates=rates)

    with monkeypatch.context() as patched:
        patched.setattr(design, "with_room", changed)
        return circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 3} else ()) for k in range(20)])
def test_random_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
    each = with_memories(monkeypatch, program, demanded(seed, program), seed)
    assert_beside_a_memory(tmp_path, monkeypatch, each, seed=seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k == 4 else ()) for k in range(6)])
def test_what_is_written_depends_on_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Results of a visit of an engine pass through a memory; bursts end where nothing more comes before it is read."""
    program = transformer(seed)
    each = with_memories(monkeypatch, program, in_visits(program, seed, FAST), seed, whole=True)
    assert_beside_a_memory(tmp_path, monkeypatch, each, seed=seed + 1, frames=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.ci), 1])
def test_fifos_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    directives = replace(short_of(seed, 1), weights_bus=WeightsBus(8, 0.3))
    each = circuit(skips(seed), directives, PART.family.delays, 8.0, "net", Title("test", DIGEST))
    assert len(each.interface.loops) == 1
    assert_beside_a_memory(tmp_path, monkeypatch, each, seed=seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.ci), 5, 6])
def test_cycles_are_those_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A memory of 20 cycles, and up to 90 of what writes and reads it; tokens are up to two beats of the bus."""
    frames, directives = 20, Directives({"conv": 3}, False)
    each = with_memories(monkeypatch, convolutional(12, 1), directives, seed, rates=(2, 110))
    written(tmp_path, each, "pynq-z2", interface=MASTER)
    x = inputs_of(each.program, frames)
    planned = each.cycles[0] + (frames - 1) * each.cycles[1]
    with memory_board(tmp_path, each, board_named("pynq-z2").bus_bytes) as (board, buffers):
        driver = overlaid(monkeypatch, tmp_path, board, buffers)
        registers = driver.ends[1]
        for memory in (Memory(latency=20, bits=64), Memory(latency=10, more=10, period=1560, pause=35, bits=64)):
            board.behave(memory)
            before = registers.counts()
            np.testing.assert_array_equal(driver.predict(x[0]), expected(each.program, x)[0])
            assert planned * 0.8 <= registers.counts().since(before).busy <= planned * 1.03
