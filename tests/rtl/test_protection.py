"""Memories with check bits: codes against a naive decoder, circuits without faults, and flipped bits in all kinds of memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Pipeline, circuit
from bitsmith.devices.blocks import MemoryBlock
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.protection import Protection, check_bits, with_check_bits
from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError, ToolFailedError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.library import STREAM_LIBRARY, library
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.protection import check_blocks, check_cells, fault_registers
from bitsmith.rtl.stream_top import StreamDesign
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.flows.runs import simulate
from tests.mapping.test_engines import residual, shared
from tests.properties.convolutional import channels_of_their_own, random_network, turns
from tests.properties.transformers import in_few_cycles, transformer
from tests.rtl import streaming
from tests.rtl.circuits import lint, save
from tests.rtl.streaming import assert_streams, simulated
from tests.rtl.test_large_memories import convolved, transposed
from tests.rtl.wrapped import loaded

CASES: dict[str, tuple[Callable[[], Program], Directives]] = {
    "window": (lambda: convolved(70, 6), Directives({}, False)),
    "sweep": (lambda: convolved(70, 6), Directives({"conv": 36}, False)),
    "reorder": (lambda: transposed(12, 21, 17), Directives({}, False)),
    "engine": (lambda: residual(12), shared(residual(12), 5000)),
    "loads": (lambda: loaded(external=False), Directives({"conv": 2, "dense": 3}, True)),
}


MEMORIES = {"window": 2, "sweep": 3, "reorder": 2, "engine": 2, "loads": 4}
"""Memories with check bits of each case."""


HELD = "computed weights"


def laid_out(case: str, protection: Protection) -> StreamDesign:
    made, directives = CASES[case]
    network = partition(drop_dead(made(), keep_probes=False), directives)
    return lay_out(network, ECP5.delays, 8.0, "dut", Title("test", "0"), directives.part, protection=protection)


@pytest.mark.parametrize("case", CASES)
def test_memories_with_check_bits(case: str) -> None:
    design = laid_out(case, Protection.ECC).interface
    assert len(design.checked) == MEMORIES[case] and not laid_out(case, Protection.NONE).interface.checked
    assert all((memory.layer and memory.words > 1) or case == "loads" for memory in design.checked)
    luts, blocks = (
        [found(design.checked, each) for each in (Protection.PARITY, Protection.ECC)]
        for found in (check_cells, partial(check_blocks, block=ECP5.memory))
    )
    assert 0 < luts[0][0] < luts[1][0] and 0 <= blocks[0] <= blocks[1]
    assert check_cells((), Protection.ECC) == (0, 0) and check_blocks((), Protection.ECC, ECP5.memory) == 0


@pytest.mark.parametrize("protection", [Protection.PARITY, Protection.ECC])
@pytest.mark.parametrize("width", [1, 4, 5, 11, 12, 57, 300])
def test_codes(width: int, protection: Protection) -> None:
    """By their definition: words of a code differ in at least two bits, or four, whatever is in them."""
    rng = np.random.default_rng(width)
    check = check_bits(width, protection)
    assert with_check_bits(0, width, protection) == 0
    words = {int.from_bytes(rng.bytes(40), "little") % (1 << width) for _ in range(40)}
    flips = [1 << k for k in range(width)]
    flips += [one | other for one in flips for other in rng.permutation(np.array(flips, object))[:20] if one != other]
    for word in words:
        code = with_check_bits(word, width, protection)
        assert code % (1 << width) == word and code >> width + check == 0
        for flip in flips:
            changed = code ^ with_check_bits(word ^ int(flip), width, protection)
            assert changed.bit_count() >= (2 if protection is Protection.PARITY else 4)
            if protection is Protection.PARITY:
                assert changed.bit_count() % 2 == 0


def some(*kept: tuple[str, Protection]) -> list[Any]:
    """All cases, of which some are for CI."""
    pairs = [(case, protection) for case in CASES for protection in (Protection.PARITY, Protection.ECC)]
    return [pytest.param(*pair, marks=[pytest.mark.ci] if pair in kept else []) for pair in pairs]


@pytest.mark.slow
@pytest.mark.parametrize(("case", "protection"), some(("window", Protection.PARITY), ("sweep", Protection.ECC))[:8])
def test_flipped_bits(tmp_path: Path, case: str, protection: Protection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit of some words flips on its way into all memories that are written: parity finds it, ECC gives the right results."""
    flipping = "words[write_at] <= write_data ^ WIDTH'(write_at[0] << (WIDTH - 2));"
    texts = {
        name: text.replace("words[write_at] <= write_data;", flipping) for name, text in library(STREAM_LIBRARY).items()
    }
    assert flipping in texts["bitsmith_ram.sv"]
    monkeypatch.setattr(streaming, "library", lambda names: texts)
    made, directives = CASES[case]
    wanted = replace(directives, protection=protection)
    if protection is Protection.PARITY:
        with pytest.raises(ToolFailedError, match="stop"):
            assert_streams(made(), wanted, tmp_path, frames=2)
        return
    monkeypatch.setattr(streaming, "ALARMS", "10" * MEMORIES[case])
    assert_streams(made(), wanted, tmp_path, frames=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "protection"), some(("window", Protection.ECC), ("engine", Protection.PARITY), ("loads", Protection.ECC))
)
def test_no_alarm(tmp_path: Path, case: str, protection: Protection) -> None:
    made, directives = CASES[case]
    assert_streams(made(), replace(directives, protection=protection), tmp_path, frames=4)


@pytest.fixture
def all_have_check_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """All memories of more than two words have check bits, of whatever width they are."""
    monkeypatch.setattr("bitsmith.rtl.process_text.takes_block", lambda words, bits, block: words > 2)
    monkeypatch.setattr(MemoryBlock, "takes_table", lambda self, words, bits: words > 2)


@pytest.mark.slow
@pytest.mark.usefixtures("all_have_check_bits")
@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.ci] * (seed == 1)) for seed in range(20)])
def test_no_alarm_in_random_engines(tmp_path: Path, seed: int) -> None:
    program = random_network(seed) if seed % 2 else channels_of_their_own(seed)
    protection = Protection.ECC if seed % 4 < 2 else Protection.PARITY
    assert_streams(program, replace(turns(seed, program), protection=protection), tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.usefixtures("all_have_check_bits")
@pytest.mark.parametrize("protection", [pytest.param(Protection.PARITY, marks=pytest.mark.ci), Protection.ECC])
@pytest.mark.parametrize("seed", [1, 12])
def test_no_alarm_of_weights_that_are_computed(tmp_path: Path, seed: int, protection: Protection) -> None:
    program = transformer(seed, more=3)
    directives = replace(in_few_cycles(program, seed, 3.0), protection=protection)
    design, simulation = simulated(program, directives, tmp_path, seed, frames=3)
    assert any(memory.content == HELD for memory in design.interface.checked)
    assert (simulation.latency_cycles, simulation.ii_cycles) == (design.schedule.latency, design.schedule.interval)


@pytest.mark.slow
@pytest.mark.usefixtures("all_have_check_bits")
@pytest.mark.parametrize("protection", [Protection.PARITY, pytest.param(Protection.ECC, marks=pytest.mark.ci)])
def test_flipped_bits_of_weights_that_are_computed(
    tmp_path: Path, protection: Protection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit flips on its way into every other row: parity finds it, ECC gives the right results."""
    texts = library(STREAM_LIBRARY)
    written = ".write_data(written),", ".write_data(written ^ ((WIDTH + CHECK)'(row[0]) << (WIDTH - 2))),"
    held = texts["bitsmith_engine_held.sv"]
    assert written[0] in held
    monkeypatch.setattr(
        streaming, "library", lambda names: {**texts, "bitsmith_engine_held.sv": held.replace(*written)}
    )
    program = transformer(12, more=3)
    directives = replace(in_few_cycles(program, 12, 16.0), protection=protection)
    if protection is Protection.PARITY:
        with pytest.raises(ToolFailedError, match="stop"):
            simulated(program, directives, tmp_path, 12, frames=2)
        return
    network = partition(drop_dead(program, keep_probes=False), directives)
    checked = lay_out(network, ECP5.delays, 8.0, "dut", Title("test", "0"), protection=protection).interface.checked
    monkeypatch.setattr(streaming, "ALARMS", "10" * len(checked))
    simulated(program, directives, tmp_path, 12, frames=2)


def curves() -> Program:
    """Two layers with tables in block memory, one of them of numbers with signs."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 10, 0))
    with build.layer("square"):
        y = build.table(x, -512, [(k * k) % 251 for k in range(1024)], 0)
    with build.layer("cube"):
        z = build.table(x, -512, [(k * k * k) % 499 - 250 for k in range(1024)], 0)
    return build.program([("y", build.add(build.add(y, z), build.const([3])))])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("protection", [Protection.PARITY, Protection.ECC])
def test_tables_of_pipelines(tmp_path: Path, protection: Protection) -> None:
    """No alarm without faults; a flipped bit of every second word is found by parity, and corrected by ECC."""
    plain, made = (
        circuit(curves(), Directives({}, True, protection=kind), ECP5.delays, 8.0, "net", Title("test", "0"))
        for kind in (Protection.NONE, protection)
    )
    assert isinstance(made, Pipeline) and made.cycles == plain.cycles
    assert [(each.layer, each.content) for each in made.design.checked] == [("square", "table"), ("cube", "table")]
    lint(save(made, tmp_path), "net")
    raws = [np.random.default_rng(0).integers(-512, 512, (500, 1)).astype(np.object_)]

    def outputs(flipped: bool, ends: int) -> list[int]:
        """Results, of tables whose words have a flipped bit, of a circuit that ends at such faults."""
        folder = tmp_path / f"{flipped}_{ends}"
        folder.mkdir()
        alarm = f"always @(posedge clk) if (~rst && (memory_fault & 4'd{ends}) != '0) $fatal(1);\nendmodule"
        for path in save(made, folder):
            text = path.read_text().replace("endmodule", alarm) if path.name == "net.sv" else path.read_text()
            if flipped and path.name.endswith("table.sv"):
                text = re.sub(r"(<= \d+'d)(\d+);", lambda found: f"{found[1]}{int(found[2]) ^ 4};", text)
            path.write_text(text)
        design, paths = made.design, [folder / name for name in made.sources]
        words = pack(design.inputs, raws)
        found = simulate(folder, "net", paths, design.in_width, design.out_width, words, design.latency)
        (given,) = unpack(design.outputs, found.outputs[0][:, 0])
        return np.asarray(given).ravel().tolist()

    (want,) = Emulator(curves()).run_raw(raws)
    assert outputs(flipped=False, ends=15) == want.ravel().tolist()
    if protection is Protection.PARITY:
        with pytest.raises(ToolFailedError, match="stop"):
            outputs(flipped=True, ends=15)
    else:
        assert outputs(flipped=True, ends=10) == want.ravel().tolist()


@pytest.mark.parametrize(("memories", "first"), [(993, 0x600), (1, 0x704)])
def test_registers_that_would_overlap_are_rejected(memories: int, first: int) -> None:
    assert fault_registers(992, 0x700)
    with pytest.raises(ConfigError, match="Monitors"):
        fault_registers(memories, first)
