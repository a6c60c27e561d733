"""Flows of open tools as one call each, for tests and benchmarks; builds make stages of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bitsmith.base.progress import Progress
from bitsmith.devices.board import Board
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family, Part
from bitsmith.devices.parts import DEFAULT_PART, resolve_part
from bitsmith.errors import ToolFailedError
from bitsmith.flows.cosim import Cosimulation, LoopShape, Simulation, StreamShape
from bitsmith.flows.nextpnr import Bitstream, OutOfContext, Timing
from bitsmith.flows.run import Command, Flow, inside, run
from bitsmith.flows.tools import VERILATOR, require
from bitsmith.flows.yosys import Resources, Synthesis
from tests.devices.listed import family_named
from tests.flows.found import find

Words = NDArray[np.uint32]
Result = TypeVar("Result")


def execute(
    flow: Flow[Result], project: Path, progress: Progress | None = None, timeout: float | None = None
) -> Result:
    """Find the tools, write the flow's files, run its commands and read its result."""
    project = project.resolve()
    tools = require(flow.find())
    for name, content in flow.files().items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    for command in flow.commands(project, tools):
        run(command, progress, timeout)
    return flow.read(project, tools)


def simulate(
    folder: Path, top: str, sources: Sequence[Path], in_width: int, out_width: int, stimuli: Words, latency: int = 0
) -> Simulation:
    """The answer of the circuit ``top``, which does not wait, to every row of ``stimuli``."""
    source, sink = StreamShape("in", in_width, 1), StreamShape("out", out_width, 1)
    flow = Cosimulation(top, tuple(sources), (source,), (sink,), (stimuli[:, None],), False, latency)
    return execute(flow, folder)


def simulate_streams(
    folder: Path,
    top: str,
    sources: Sequence[Path],
    inputs: Sequence[StreamShape],
    outputs: Sequence[StreamShape],
    stimuli: Sequence[Words],
    latency: int = 0,
    least_frames: int = 4,
    *,
    loads: Sequence[tuple[StreamShape, Words]] = (),
    loops: Sequence[LoopShape] = (),
) -> Simulation:
    """The answer of the circuit ``top`` to frames of tokens."""
    streams = (tuple(inputs), tuple(outputs), tuple(stimuli))
    timing = latency, least_frames, tuple(loads)
    return execute(Cosimulation(top, tuple(sources), *streams, True, *timing, loops=tuple(loops)), folder)


def lint(sources: Sequence[Path], top: str, log: Path | None = None) -> None:
    """``verilator --lint-only -Wall``: any warning is a ToolFailedError, whose log is kept only if ``log`` says where."""
    verilator = find(VERILATOR)
    arguments = ("--lint-only", "-Wall", "--top-module", top, *(str(source.resolve()) for source in sources))
    with tempfile.TemporaryDirectory() as folder:
        kept = log or Path(folder) / "lint.log"
        argv, pattern = (str(verilator.path), *arguments), r"^%(Error|Warning)"
        try:
            run(Command(argv, Path(folder), kept, env=verilator.env, error_pattern=pattern))
        except ToolFailedError as error:
            if log is not None:
                raise
            raise ToolFailedError(error.found, where=error.where) from None


def synthesize(
    folder: Path,
    top: str,
    sources: Sequence[Path],
    family: Family | str,
    *,
    name: str = "",
    pads: bool = False,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> Resources:
    """The cells of ``family`` (or its name) that the design ``top`` takes."""
    chosen = family_named(family) if isinstance(family, str) else family
    names = tuple(inside(folder, source) for source in sources)
    return execute(Synthesis(name or chosen.name, top, names, chosen, pads), folder, progress, timeout)


def netlist(folder: Path, name: str = ECP5.name) -> Path:
    """The file in which `synthesize` leaves the netlist for place and route."""
    return folder / "synth" / name / "netlist.json"


def place_and_route(
    folder: Path, netlist: Path, *, target_mhz: float, part: Part | None = None, progress: Progress | None = None
) -> Timing:
    """The clock of a netlist by itself, without pads."""
    part = part or resolve_part(DEFAULT_PART)
    return execute(OutOfContext(inside(folder, netlist), part, target_mhz, part.routing(0, 0)), folder, progress)


def bitstream(folder: Path, netlist: Path, name: str, *, board: Board) -> tuple[Path, Timing]:
    """The bitstream of a netlist whose top has the ports ``clk``, ``uart_rx`` and ``uart_tx``, and its timing."""
    flow = Bitstream(inside(folder, netlist), name, board, board.clock_hz / 1e6, board.part.routing(0, 0))
    return execute(flow, folder)
