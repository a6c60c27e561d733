"""Builds programs as networks of processes, simulates them, and compares tokens and cycles with what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bitsmith.building.design import Words, given_words, loop_shape, other_values
from bitsmith.dataflow.processes import Network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.flows.cosim import Simulation, StreamShape
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import load, values_of
from bitsmith.rtl.library import STREAM_LIBRARY, library
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.rtl.stream_top import StreamDesign
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.flows.runs import simulate_streams
from tests.mapping.test_partition import assert_equal_values
from tests.properties.programs import random_stimuli

ALARMS = ""
"""Faults of memories at which a simulation ends; empty: any."""


def written(design: StreamDesign, folder: Path) -> list[Path]:
    """All sources of ``design``, in ``folder``."""
    paths = []
    for name, text in {**design.sources, **library(STREAM_LIBRARY)}.items():
        path = folder / "rtl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(path)
    return paths


def assert_streams(
    program: Program,
    directives: Directives,
    folder: Path,
    seed: int = 0,
    frames: int = 5,
    changed: Callable[[Network], Network] = lambda network: network,
) -> Simulation:
    """The circuit of ``program``, of which the network is ``changed``, gives the emulator's results in the predicted cycles."""
    design, simulation = simulated(program, directives, folder, seed, frames, changed)
    assert (simulation.latency_cycles, simulation.ii_cycles) == (design.schedule.latency, design.schedule.interval)
    return simulation


def simulated(
    program: Program,
    directives: Directives,
    folder: Path,
    seed: int = 0,
    frames: int = 5,
    changed: Callable[[Network], Network] = lambda network: network,
) -> tuple[StreamDesign, Simulation]:
    """The circuit of ``program``, which gives the emulator's results, and what was measured."""
    program = drop_dead(program, keep_probes=False)
    design = lay_out(
        *(changed(partition(program, directives)), ECP5.delays, 8.0, "dut", Title("test", "0"), directives.part),
        protection=directives.protection,
    )
    sources = written(alarmed(design), folder)
    raws = random_stimuli(program, seed, frames)
    stimuli = []
    for port, raw in zip(design.interface.own_inputs, raws, strict=True):
        words = pack(port.fields, [raw.reshape(frames * port.tokens, -1)])
        stimuli.append(words.reshape(frames, port.tokens, -1))
    for given in design.interface.weights:
        words = given_words(given, values_of(program))
        stimuli.append(np.broadcast_to(words, (frames, *words.shape)))
    images = [image.words for image in design.interface.images]
    stimuli += [np.broadcast_to(words, (frames, *words.shape)) for words in images]
    others = other_values(program)
    loads = [(shape_of(given.port), given_words(given, others)) for given in design.interface.loads]
    simulation = simulate_streams(
        folder,
        design.interface.top,
        sources,
        [
            *(
                shape_of(port)
                for port in (*design.interface.own_inputs, *(each.port for each in design.interface.weights))
            ),
            *(replace(shape_of(image.port), gap=image.stored.gap) for image in design.interface.images),
        ],
        [shape_of(port) for port in design.interface.outputs],
        stimuli,
        design.schedule.latency,
        design.schedule.frames,
        loads=loads,
        loops=list(map(loop_shape, design.interface.loops)),
    )
    assert_outputs(program, design, raws, simulation.outputs)
    if loads:
        assert_outputs(load(program, others), design, raws, simulation.reloaded)
    for fifo, (peak, depth) in simulation.peaks.items():
        assert peak <= depth, fifo
    return design, simulation


def alarmed(design: StreamDesign) -> StreamDesign:
    """The circuit, whose simulation ends with an error where a memory with check bits has a fault."""
    interface = design.interface
    name, halt = f"{interface.top}.sv", "halt" if interface.loads else "rst"
    bits = 2 * len(interface.checked)
    faults = f"memory_fault & {bits}'b{ALARMS or '1' * bits}"
    alarm = f"  always @(posedge clk) if (~{halt} && ({faults}) != '0) $fatal(1);\nendmodule"
    text = design.sources[name].replace("endmodule", alarm) if interface.checked else design.sources[name]
    return replace(design, sources={**design.sources, name: text})


def shape_of(port: StreamPort) -> StreamShape:
    """The stream of a port."""
    return StreamShape(port.name, port.width, port.tokens)


def assert_outputs(program: Program, design: StreamDesign, raws: Sequence[Ints], outputs: Sequence[Words]) -> None:
    """``outputs`` are what the emulator gives."""
    frames = len(raws[0])
    expected = Emulator(program).run_raw(raws)
    for want, words, port, output in zip(expected, outputs, design.interface.outputs, program.outputs, strict=True):
        (found,) = unpack(port.fields, words.reshape(frames * port.tokens, -1))
        have = np.asarray(found, dtype=np.object_).reshape(frames, port.tokens, -1)
        fracs = np.array([field.frac for field in port.fields])
        kind = program.nodes[output.node].type
        for k in range(frames):
            frac = np.broadcast_to(kind.frac, kind.shape).reshape(port.tokens, -1)
            assert_equal_values(np.asarray(want[k]).reshape(port.tokens, -1), frac, have[k], fracs)
