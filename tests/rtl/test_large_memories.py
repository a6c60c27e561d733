"""Memories that are larger ones than block memory: in simulation, and as Yosys makes UltraRAM of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Reorder, Sweep, Window
from bitsmith.dataflow.storage import Memory
from bitsmith.devices.blocks import LargeMemory, MemoryBlock
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping import memories
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl import engines
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.flows import runs
from tests.flows.runs import synthesize
from tests.mapping.test_engines import depthwise, residual, shared
from tests.mapping.test_fetched_weights import at_once
from tests.properties.convolutional import demands, inverted, random_network, turns
from tests.rtl.large import LARGE, PART
from tests.rtl.streaming import assert_streams, written

WORD = FixedFormat(True, 8, 4)


def convolved(columns: int, channels: int) -> Program:
    """A residual convolution of a wide image, whose lines are long."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (4, columns, channels), WORD)
    with builder.layer("conv"):
        windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
        flat = builder.reshape(windows, (4, columns, 9 * channels))
        y = builder.cast(builder.linear(flat, rng.integers(-7, 8, (9 * channels, channels)), 3), WORD)
    with builder.layer("sum"):
        y = builder.add(x, y)
    return builder.program([("y", y)])


def transposed(rows: int, columns: int, bits: int) -> Program:
    """All tokens of a tensor in another order."""
    builder = ProgramBuilder()
    x = builder.input("x", (rows, columns, 1), FixedFormat(True, bits, 4))
    with builder.layer("turned"):
        y = builder.transpose(x, (1, 0, 2))
    return builder.program([("y", y)])


CASES: dict[str, tuple[Callable[[], Program], Directives, type]] = {
    "window": (lambda: convolved(70, 6), Directives({}, False), Window),
    "sweep": (lambda: convolved(70, 6), Directives({"conv": 36}, False), Sweep),
    "reorder": (lambda: transposed(12, 11, 17), Directives({}, False), Reorder),
    "engine": (lambda: residual(12), shared(residual(12), 5000), Engine),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.ci) for case in CASES])
def test_circuits_have_larger_memories(tmp_path: Path, case: str) -> None:
    """The same results in the same cycles as with block memories, and a count in the estimate."""
    made, wanted, kind = CASES[case]
    program = drop_dead(made(), keep_probes=False)
    directives = replace(wanted, part=PART)
    found = used(program, directives)
    assert kind in found
    assert case != "sweep" or None in found  # a FIFO
    assert_streams(program, directives, tmp_path, frames=3)
    runs.lint([*(tmp_path / "rtl").glob("dut*.sv"), *(tmp_path / "rtl").glob("bitsmith_*.sv")], "dut")


def used(program: Program, directives: Directives) -> set[type | None]:
    """The kinds of process whose memories are larger ones; None for FIFOs."""
    network = partition(program, directives)
    design = lay_out(network, ULTRASCALE_PLUS.delays, 5.0, "dut", Title("test", "0"), directives.part)
    places = memories.larger_memories(memories.Wiring(network), design.schedule.fifos, directives.part)
    return {None if operand >= 0 else type(network.processes[number].kind) for number, operand in places}


def beyond_whole(memory: Memory, column: int, large: LargeMemory, block: MemoryBlock) -> int:
    """The words of a memory of an engine beyond those of whole larger memories."""
    deep = large.bits // column // large.together(memory.beside, column)
    return memory.words % deep if memory.splits and memory.words > deep else 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", [False, True])
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 2 else ()) for k in range(60)])
def test_random_networks(seed: int, engine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All memories of more words than a row has are larger ones; the last words of every other engine's are blocks."""
    monkeypatch.setattr(memories, "takes_block", lambda words, bits, block: words > 8)
    if seed % 2:
        monkeypatch.setattr(memories, "last_words", beyond_whole)
        monkeypatch.setattr(engines, "last_words", beyond_whole)
    program = drop_dead(random_network(seed), keep_probes=False)
    directives = (turns if engine else demands)(seed, program)
    assert_streams(program, replace(directives, part=PART), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("split", [False, True])
def test_rows_have_the_numbers_of_several_banks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: bool) -> None:
    """As many larger memories as with one bank; the last words may be block memory beside them."""
    monkeypatch.setattr(memories, "takes_block", lambda words, bits, block: words > 8)
    if split:
        for module in (memories, engines):
            monkeypatch.setattr(module, "last_words", beyond_whole)
    program = drop_dead(depthwise(), keep_probes=False)
    directives = replace(shared(depthwise(), 150), part=PART)
    (engine,) = [each.kind for each in partition(program, directives).processes if isinstance(each.kind, Engine)]
    assert engine.banks > 1
    assert (beyond_whole(*engine.memories((), (), 0)[:1], 9, LARGE, PART.family.memory) > 0) or not split
    assert_streams(program, directives, tmp_path, frames=3)
    runs.lint([*(tmp_path / "rtl").glob("dut*.sv"), *(tmp_path / "rtl").glob("bitsmith_*.sv")], "dut")
    assert ("REST" in (tmp_path / "rtl/dut.sv").read_text()) == split


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("seed", [13])
def test_two_numbers_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """In two larger memories, however few numbers of banks a row has then."""
    monkeypatch.setattr(memories, "takes_block", lambda words, bits, block: words > 2)
    monkeypatch.setattr("bitsmith.mapping.engine.engines._PLACES", 1)
    program = drop_dead(inverted(seed), keep_probes=False)
    directives = at_once(program, abreast=2)
    assert directives is not None
    assert_streams(program, replace(directives, part=PART), tmp_path, frames=3)
    top = (tmp_path / "rtl/dut.sv").read_text()
    assert ".ABREAST(2)" in top
    assert ".LARGE(9)" in top


@pytest.mark.tools
@pytest.mark.parametrize("case", CASES)
def test_yosys_makes_as_much_ultraram_as_is_estimated(tmp_path: Path, case: str) -> None:
    """Of a part without block memory, whose circuits have UltraRAM in its place."""
    made, wanted, _ = CASES[case]
    part = replace(PART, family=ULTRASCALE_PLUS)
    program, directives = drop_dead(made(), keep_probes=False), replace(wanted, part=part)
    network = partition(program, replace(directives, block=ULTRASCALE_PLUS.delays.block))
    design = lay_out(network, ULTRASCALE_PLUS.delays, 5.0, "dut", Title("test", "0"), part)
    found = synthesize(tmp_path, "dut", written(design, tmp_path), ULTRASCALE_PLUS)
    expected = estimate_layout(program, directives, ULTRASCALE_PLUS, 5.0)
    assert found.large == expected.large
    assert found.large["URAM"] > 0
    assert found.bram == expected.bram
