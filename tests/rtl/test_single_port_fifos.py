"""Networks whose FIFOs, or numbers of engines, are in single-port memories: every bit and every cycle as planned."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.devices.parts import resolve_part
from bitsmith.ir.program import Program
from bitsmith.mapping import memories
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.mapping.test_engines import engines
from tests.properties.convolutional import demands, random_decoder, random_network, turns
from tests.properties.pairs import random_pair
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network as random_recurrent_network
from tests.rtl.streaming import assert_streams

ICE40 = resolve_part("iCE40UP5K-SG48")
PART = replace(ICE40, die=replace(ICE40.die, brams=0, large=1 << 20))
LEAST = 2
"""Slots of FIFOs that stay registers."""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _any_fifo_is_a_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "FIFO_BLOCK_WORDS", LEAST)
    monkeypatch.setattr(memories, "FIFO_BLOCK_BITS", 0)


def check(program: Program, directives: Directives, folder: Path, seed: int) -> None:
    """The circuit gives the emulator's results in the cycles planned."""
    assert_streams(program, replace(directives, part=PART), folder, seed, frames=4)
    text = (folder / "rtl" / "dut.sv").read_text()
    processes = partition(drop_dead(program, keep_probes=False), directives).processes
    fifos = re.findall(r"bitsmith_(?:single_port_)?fifo #\(.*\.DEPTH\((\d+)\).*\) p(\d+)_(?:\w*_)?x(\d+)_fifo \(", text)
    # Tokens that are always zero have no bits, though a wire for each element.
    depths = [int(depth) for depth, number, operand in fifos if processes[int(number)].takes[int(operand)].bits]
    assert ("bitsmith_single_port_fifo #(" in text) == any(depth > LEAST for depth in depths)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 3 else ()) for k in range(40)])
def test_convolutional_networks(seed: int, tmp_path: Path) -> None:
    program = random_network(seed)
    check(program, demands(seed, program), tmp_path, seed)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 1 else ()) for k in range(20)])
def test_decoders(seed: int, tmp_path: Path) -> None:
    program = random_decoder(seed)
    check(program, demands(seed, program), tmp_path, seed)


@pytest.mark.parametrize("seed", range(10))
def test_pairs(seed: int, tmp_path: Path) -> None:
    check(*random_pair(seed), tmp_path, seed)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 1 else ()) for k in range(10)])
def test_recurrent_networks(seed: int, tmp_path: Path) -> None:
    program = random_recurrent_network(seed)
    check(program, recurrent_demands(seed, program), tmp_path, seed)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 3 else ()) for k in range(24)])
def test_engines_write_between_steps_that_read(seed: int, tmp_path: Path) -> None:
    program = random_network(seed)
    wanted = turns(seed, program)
    directives = replace(wanted, reuse={name: 4 * factor for name, factor in wanted.reuse.items()})
    check(program, directives, tmp_path, seed)
    for engine in engines(partition(drop_dead(program, keep_probes=False), replace(directives, part=PART))):
        assert engine.gap == 2
        assert ".SINGLE(1)" in (tmp_path / "rtl" / "dut.sv").read_text()
