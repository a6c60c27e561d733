"""Circuits that write tokens into memory and read them back through a port of their own, beside a memory: whole frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.building import design
from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title
from tests.mapping.test_fetched_weights import FAST
from tests.mapping.test_partition import demanded
from tests.properties.outside import through_memories
from tests.properties.programs import random_program
from tests.properties.transformers import in_visits, transformer
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
    monkeypatch: pytest.MonkeyPatch, program: Program, directives: Directives, seed: int, *, whole: bool
) -> Circuit:
    """The circuit of ``program``, of which results pass through memories."""
    with monkeypatch.context() as patched:
        patched.setattr(design, "partition", lambda *of: through_memories(partition(*of), seed, whole=whole))
        return circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 3} else ()) for k in range(20)])
def test_random_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
    each = with_memories(monkeypatch, program, demanded(seed, program), seed, whole=False)
    assert_beside_a_memory(tmp_path, monkeypatch, each, seed=seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k == 4 else ()) for k in range(6)])
def test_what_is_written_depends_on_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Results of a visit of an engine pass through a memory; bursts end where nothing more comes before it is read."""
    program = transformer(seed)
    each = with_memories(monkeypatch, program, in_visits(program, seed, FAST), seed, whole=True)
    assert_beside_a_memory(tmp_path, monkeypatch, each, seed=seed + 1, frames=3)
