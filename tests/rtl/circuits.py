"""Programs as circuits: written, linted, and many of them simulated at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyslang.driver import Driver

from bitsmith.building.design import Circuit as LaidOut
from bitsmith.ir.program import Program
from bitsmith.netlist.delays import Delays
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.writer import Title, write
from tests.flows import runs
from tests.netlist.checks import Ints, SteadyDelays, expected
from tests.properties.programs import random_stimuli

TITLE = Title("bitsmith 0", "0123456789ab")


@dataclass(frozen=True, slots=True)
class Circuit:
    """A design, the program that it is of, and stimuli for both."""

    program: Program
    design: RtlDesign
    stimuli: list[Ints]


def circuit(
    program: Program, budget_ns: float, top: str, samples: int, seed: int = 0, delays: Delays | None = None
) -> Circuit:
    delays = delays or SteadyDelays()
    netlist = regroup_sums(reduce_widths(elaborate(program)), delays, budget_ns)
    netlist = fuse_adders(netlist, delays, budget_ns)
    design = write(netlist, pipeline(netlist, delays, budget_ns), top, TITLE)
    return Circuit(program, design, random_stimuli(program, seed, samples))


def save(design: RtlDesign | LaidOut, folder: Path) -> list[Path]:
    for name, text in design.sources.items():
        (folder / name).write_text(text)
    return [folder / name for name in design.sources]


def lint(sources: Sequence[Path], top: str) -> None:
    """No warning from Verilator with all warnings on, none from slang."""
    runs.lint(sources, top)
    compile_with_slang(sources, "--top", top)


def compile_with_slang(sources: Sequence[Path], *options: str) -> None:
    """No warning from slang with every check it has, what drives variables included; Verilator says what is unused."""
    driver = Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(" ".join(("slang -Weverything -Wno-unused", *options, *map(str, sources))))
    assert driver.processOptions() and driver.parseAllSources()
    assert driver.runFullCompilation(True)
    assert (driver.diagEngine.numErrors, driver.diagEngine.numWarnings) == (0, 0)


def _bits(words: npt.NDArray[np.uint32], width: int) -> npt.NDArray[np.uint8]:
    return np.unpackbits(words.astype("<u4").view(np.uint8), axis=1, bitorder="little")[:, :width]


def _words(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 32)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def _bundle(circuits: Sequence[Circuit], latency: int) -> str:
    """A top that holds all circuits side by side, the faster ones delayed."""
    lines: list[str] = []
    in_low = out_low = 0
    for k, each in enumerate(circuits):
        design, delay = each.design, latency - each.design.latency
        lines += [
            f"logic v{k}; logic [{design.out_width - 1}:0] y{k} [0:{delay}];",
            f"{design.top} u{k} (.clk, .rst, .in_valid, .in_data(in_data[{in_low} +: {design.in_width}]),",
            f"  .out_valid(v{k}), .out_data(y{k}[0]));",
            f"for (genvar i = 0; i < {delay}; i++) always_ff @(posedge clk) y{k}[i+1] <= y{k}[i];",
            f"assign out_data[{out_low} +: {design.out_width}] = y{k}[{delay}];",
        ]
        in_low, out_low = in_low + design.in_width, out_low + design.out_width
    slowest = next(k for k, each in enumerate(circuits) if each.design.latency == latency)
    ports = (
        f"input clk, rst, in_valid, input [{in_low - 1}:0] in_data, output out_valid, output [{out_low - 1}:0] out_data"
    )
    return "\n".join([f"module bundle ({ports});", *lines, f"assign out_valid = v{slowest};", "endmodule", ""])


def assert_simulation_equals_oracle(circuits: Sequence[Circuit], folder: Path) -> None:
    """All circuits in one simulation, every output bit of every sample compared."""
    sources = [path for each in circuits for path in save(each.design, folder)]
    latency = max(each.design.latency for each in circuits)
    (folder / "bundle.sv").write_text(_bundle(circuits, latency))
    designs = [each.design for each in circuits]
    packed = [_bits(pack(each.design.inputs, each.stimuli), each.design.in_width) for each in circuits]
    simulation = runs.simulate(
        folder,
        "bundle",
        [*sources, folder / "bundle.sv"],
        sum(design.in_width for design in designs),
        sum(design.out_width for design in designs),
        _words(np.concatenate(packed, axis=1)),
        latency,
    )
    assert (simulation.latency_cycles, simulation.ii_cycles) == (latency, 1)
    bits = _bits(simulation.outputs[0][:, 0], sum(design.out_width for design in designs))
    low = 0
    for each in circuits:
        tensors = unpack(each.design.outputs, _words(bits[:, low : low + each.design.out_width]))
        low += each.design.out_width
        for sample in range(len(packed[0])):
            got = [int(v) for tensor in tensors for v in tensor[sample]]
            assert got == expected(each.program, each.stimuli, sample), (each.design.top, sample)
