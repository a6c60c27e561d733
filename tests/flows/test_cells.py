"""Netlists after synthesis give what the emulator gives, by what their cells do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building import design
from bitsmith.building.verification import compare, random_stimuli
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family, Part
from bitsmith.devices.parts import resolve_part
from bitsmith.devices.xilinx import XILINX_7
from bitsmith.emulate import Emulator
from bitsmith.errors import CapacityError, VerificationError
from bitsmith.estimate.size import estimate_layout
from bitsmith.flows.cells import Unmapped, require_models
from bitsmith.flows.run import Chained
from bitsmith.flows.yosys import VERILOG, Synthesis
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.rtl.writer import Title
from tests.devices.listed import family_named
from tests.flows.runs import execute
from tests.mapping.test_folding import convolution

SAMPLES = 6


def looked_up() -> Program:
    """Two products and a table that is large enough for block memory."""
    build = ProgramBuilder()
    x, y = build.input("x", (2,), FixedFormat(True, 10, 0)), build.input("y", (2,), FixedFormat(False, 9, 0))
    values = np.random.default_rng(0).integers(-128, 128, 1 << 10)
    return build.program([("z", build.add(build.mul(x, y), build.table(x, -(1 << 9), values, 0)))])


def pooled() -> Program:
    """The greatest of windows, whose lines are memories without all bits of a block."""
    build = ProgramBuilder()
    x = build.input("x", (4, 24, 2), FixedFormat(True, 14, 0))
    with build.layer("pool"):
        windows = build.window(x, (2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))
        return build.program([("y", build.amax(windows, (2, 3)))])


def waiting(tokens: int, bits: int) -> Program:
    """Tokens that wait until the greatest of them is known."""
    build = ProgramBuilder()
    x = build.input("x", (tokens, 1), FixedFormat(True, bits, 0))
    with build.layer("greatest"):
        greatest = build.broadcast(build.reshape(build.amax(x, (0,)), (1, 1)), (tokens, 1))
    with build.layer("difference"):
        return build.program([("y", build.sub(x, greatest))])


class Netlist:
    """The netlist of a program, with layers at a reuse factor, for a family, whose larger memories are those of ``part``."""

    def __init__(self, program: Program, reuse: int, family: Family, folder: Path, part: Part | None = None) -> None:
        self.program, self.family, self.folder = program, family, folder
        names = {node.layer for node in program.nodes if node.layer}
        self.directives = Directives(
            dict.fromkeys(names, reuse), reuse == 1, dict.fromkeys(names, MultiplierStyle.SHARED), part=part
        )
        self.made = design.circuit(program, self.directives, family.delays, 20.0, "net", Title("test", ""))
        for name, text in self.made.sources.items():
            (folder / name).write_text(text)
        self.found = execute(Synthesis(family.name, "net", tuple(self.made.sources), family), folder)

    @property
    def verilog(self) -> Path:
        return self.folder / "synth" / self.family.name / VERILOG

    def check(self) -> None:
        """Compare the netlist with the emulator, in results and cycles."""
        cells = Unmapped("net", f"synth/{self.family.name}", self.family)
        raws = [raw[:SAMPLES] for raw in random_stimuli(self.program)]
        run = execute(Chained(cells, self.made.simulation([Path(cells.netlist)], raws, "after"), {}), self.folder)
        compare(Emulator(self.program), self.program, run.outputs, raws)
        assert (run.latency, run.interval) == self.made.cycles


@pytest.mark.tools
@pytest.mark.parametrize("family", [pytest.param("ecp5", marks=pytest.mark.ci), "ice40up"])
def test_products_and_tables(family: str, tmp_path: Path) -> None:
    netlist = Netlist(looked_up(), 1, family_named(family), tmp_path)
    assert netlist.found.dsp == 2 and netlist.found.bram >= 2
    netlist.check()


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_tokens(family: str, tmp_path: Path) -> None:
    Netlist(convolution(4), 72, family_named(family), tmp_path).check()


@pytest.mark.tools
@pytest.mark.parametrize(("tokens", "bits", "memories"), [(700, 7, 1), (1030, 13, 2)])
def test_fifos_of_single_port_memory(tokens: int, bits: int, memories: int, tmp_path: Path) -> None:
    whole, program = resolve_part("iCE40UP5K-SG48"), waiting(tokens, bits)
    part = replace(whole, die=replace(whole.die, brams=0))
    netlist = Netlist(program, 2, part.family, tmp_path, part)
    estimated = estimate_layout(program, netlist.directives, part.family, 20.0)
    assert netlist.found.large == estimated.large == {"SPRAM": memories}
    assert netlist.found.bram == estimated.bram == 0
    netlist.check()


@pytest.mark.tools
def test_writes_of_which_bits_are_masked(tmp_path: Path) -> None:
    Netlist(pooled(), 2, family_named("ice40up"), tmp_path).check()


@pytest.mark.tools
def test_a_netlist_that_is_not_the_same(tmp_path: Path) -> None:
    netlist = Netlist(looked_up(), 1, ECP5, tmp_path)
    text = netlist.verilog.read_text()
    assert ".SIGNEDA(1'h1)" in text
    netlist.verilog.write_text(text.replace(".SIGNEDA(1'h1)", ".SIGNEDA(1'h0)", 1))
    with pytest.raises(VerificationError, match="outputs differ"):
        netlist.check()


def test_families_without_models_are_refused() -> None:
    require_models(ECP5)
    with pytest.raises(CapacityError, match="xc7"):
        require_models(XILINX_7)
