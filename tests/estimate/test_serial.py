"""The serial port beside a circuit, beside what Yosys counts of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.building.verification import selftest_frame
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40UP
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.figures import Cells, Size
from bitsmith.estimate.needs import fits, limited, missing, needs
from bitsmith.estimate.serial import Frames, frames_of_network, frames_of_pipeline
from bitsmith.estimate.size import estimate_layout, guess_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives, SerialPort
from bitsmith.mapping.partition import partition
from bitsmith.rtl.library import UART_LIBRARY
from bitsmith.rtl.selftest import stored_bytes
from bitsmith.rtl.uart_wrapper import uart
from bitsmith.rtl.writer import Title
from tests.flows.runs import synthesize

TESTED, BARE = SerialPort(tested=True), SerialPort(tested=False)
Case = tuple[Family, tuple[int, ...], int, bool, SerialPort]
COUNTED: dict[Case, tuple[int, int, int]] = {
    (ICE40UP, (4,), 0, True, TESTED): (436, 588, 0),
    (ICE40UP, (16,), 0, True, TESTED): (804, 1250, 0),
    (ICE40UP, (64,), 10, True, TESTED): (817, 1514, 0),
    (ICE40UP, (8, 4), 0, False, TESTED): (505, 532, 2),
    (ICE40UP, (8, 32), 0, False, TESTED): (943, 1508, 18),
    (ICE40UP, (64, 4), 0, False, TESTED): (454, 537, 4),
    (ICE40UP, (8, 4), 0, False, BARE): (219, 243, 2),
    (ECP5, (4,), 0, True, TESTED): (445, 480, 0),
    (ECP5, (16,), 0, True, TESTED): (768, 818, 0),
    (ECP5, (64,), 10, True, TESTED): (762, 1184, 0),
    (ECP5, (64,), 0, True, BARE): (1672, 1831, 0),
    (ECP5, (8, 4), 0, False, TESTED): (535, 502, 0),
    (ECP5, (8, 32), 0, False, TESTED): (1367, 1262, 1),
    (ECP5, (8, 4), 0, False, BARE): (257, 213, 0),
    (NEXUS, (4,), 0, True, TESTED): (446, 480, 0),
    (NEXUS, (64,), 0, True, TESTED): (2041, 2122, 0),
    (NEXUS, (64,), 10, True, TESTED): (785, 1184, 0),
    (NEXUS, (8, 4), 0, False, TESTED): (551, 502, 0),
}
"""Look-up tables, flip-flops and blocks by Yosys 0.70 around circuits of numbers of 8 bits: so many of them (tokens by elements),
with as many results (0) or so many; whole or in tokens."""


def program_of(shape: tuple[int, ...], results: int) -> Program:
    build = ProgramBuilder()
    x = build.input("x", shape, FixedFormat(True, 8, 8))
    sums = (np.arange(shape[-1])[:, np.newaxis] % max(results, 1) == np.arange(results)).astype(int)
    return build.program([("y", build.linear(x, sums, 0) if results else build.neg(x))])


def about(case: Case) -> Cells:
    family, shape, results, parallel, port = case
    return estimate_layout(program_of(shape, results), Directives({}, parallel, port=port), family, 1000.0).beside


@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_a_port_is_counted_beside_a_circuit(case: Case) -> None:
    luts, ffs, blocks = COUNTED[case]
    beside = about(case)
    assert beside.lut == pytest.approx(luts, rel=0.1, abs=55)
    assert beside.ff == pytest.approx(ffs, rel=0.05)
    assert beside.bram == blocks


@pytest.mark.parametrize("parallel", [True, False])
def test_totals_have_it_and_reports_have_it_apart(parallel: bool) -> None:
    program, alone = program_of((8, 4), 0), Directives({}, parallel)
    for sized in (estimate_layout, guess_layout):
        core, whole = (sized(program, each, ECP5, 10.0) for each in (alone, replace(alone, port=TESTED)))
        assert whole.lut - core.lut == round(whole.beside.lut) > 400 and whole.ff - core.ff == round(whole.beside.ff)
        section = whole.section()
        assert {key: section.pop(key) for key in ("PortLUT", "PortFF", "PortBRAM")} == {
            "PortLUT": whole.lut - core.lut,
            "PortFF": whole.ff - core.ff,
            "PortBRAM": whole.bram - core.bram,
        }
        assert section == core.section() and not round(core.beside.lut)


def test_logic_cells_are_compared_where_flip_flops_have_none_of_their_own() -> None:
    """What nextpnr packed of digits beside its port, 5,620 cells of an iCE40UP5K, does not fit it; alone 4,570 do."""
    part, larger = resolve_part("iCE40UP5K-SG48"), resolve_part("LFE5U-12F")
    beside, alone = Size(3415, 3254, 2, 0, 6), Size(2959, 2401, 2, 0, 6)
    for size, packed in ((beside, 5620), (alone, 4570)):
        (cells,) = (need for need in needs(size, part) if need.label == "LC")
        assert packed * 0.96 < cells.needed <= packed
        assert cells.available == 5280 and cells.lacking == (packed > 5280)
        assert fits(size, part) == (size is alone) and fits(size, larger)
        assert not [need for need in needs(size, larger) if need.label == "LC"]
    assert "logic cells of 5,280" in missing(beside, part)
    # Goals bound look-up tables, and no cells.
    (cells,) = (need for need in needs(alone, limited(part, {"lut": 1000})) if need.label == "LC")
    assert cells.available == 5280


def frames(made: Circuit, *, parallel: bool) -> Frames:
    if parallel:
        return frames_of_pipeline(made.program, made.interface.latency)
    return frames_of_network(partition(made.program, Directives({}, parallel)))


@pytest.mark.parametrize("parallel", [True, False])
def test_its_streams_are_those_of_the_circuit(parallel: bool) -> None:
    made = made_of(program_of((8, 4), 3), ECP5, parallel=parallel)
    counted = frames(made, parallel=parallel)
    for ports, side in ((made.interface.inputs, counted.inputs), (made.interface.outputs, counted.outputs)):
        assert [(port.tokens, port.width) for port in ports] == [(each.tokens, each.bits) for each in side]
    assert counted.stages == (made.interface.latency if parallel else None)


def made_of(program: Program, family: Family, *, parallel: bool) -> Circuit:
    return circuit(program, Directives({}, parallel), family.delays, 1000.0, "net", Title("test", "0" * 16))


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_yosys_counts_as_many(case: Case, tmp_path: Path) -> None:
    """Of all that is around the circuit, which is a black box."""
    family, shape, results, parallel, port = case
    made = made_of(program_of(shape, results), family, parallel=parallel)
    core = made.sources["net.sv"]
    texts = {
        name: made.sources.get(name) or str(made.extras[f"rtl/{name}"]) for name in made.wrapper_sources(UART_LIBRARY)
    }
    texts["net.sv"] = f"(* blackbox *)\n{core[core.index('module ') : core.index(');') + 2]}\nendmodule\n"
    frame = selftest_frame(made.program) if port.tested else None
    stored = None if frame is None else stored_bytes(made.program, made.interface, frame)
    texts["net_uart.sv"] = uart(made.interface, 12_000_000, 115_200, stored)
    for file, text in texts.items():
        (tmp_path / file).write_text(text)
    found = synthesize(tmp_path, "net_uart", [tmp_path / file for file in texts], family)
    luts, ffs, blocks = COUNTED[case]
    assert (found.lut, found.ff) == (pytest.approx(luts, rel=0.02), pytest.approx(ffs, rel=0.02))
    assert found.bram == blocks
