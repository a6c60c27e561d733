"""The second half of the compiler: a core program in, a verified, synthesized, placed-and-routed circuit out.

Stages run in one order, each is skipped when nothing that it depends on has changed since it last ended well, and a build
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bitsmith.build.design import Circuit, circuit
from bitsmith.build.job import Job
from bitsmith.build.verification import compare, stimuli
from bitsmith.devices import Board, Part, default_board, read_board, resolve_part
from bitsmith.emulate import Emulator
from bitsmith.errors import CapacityError, VerificationError
from bitsmith.estimate.fit import proposal
from bitsmith.estimate.size import Size, estimate_layout
from bitsmith.flows import nextpnr, yosys
from bitsmith.flows.run import Progress
from bitsmith.flows.tools import VERILATOR, YOSYS, find
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.mapping.directives import Directives
from bitsmith.project import Json, Project, digest
from bitsmith.report import Report
from bitsmith.report.folder import write_report
from bitsmith.rtl import bus_wrappers, library, uart_wrapper
from bitsmith.rtl.writer import Title
from bitsmith.version import __version__

LAYOUT_LIMIT_LUTS = 2_000_000
"""Above this the circuit is not even written: generating and simulating it would take hours."""

SYNTHESIS_LIMIT_LUTS = 120_000
"""Above this synthesis with the open tools takes hours."""

_OVERFULL = 1.2
"""What is estimated to need so much more than a part has is not placed on it."""

_SIMULATED_CYCLES = 400_000
_LEAST_SAMPLES = 8
"""Slow circuits are simulated on fewer samples: so many cycles' worth, and at least so many."""

_BAUD = 115_200


@dataclass(frozen=True, slots=True)
class Stages:
    """What is to run; the circuit itself is always written."""

    cosim: bool
    synth: bool
    pnr: bool
    bitstream: bool
    reset: bool = False
    """Forget the results that still hold."""


def build(job: Job, stages: Stages, *, force: bool, progress: Progress | None) -> Report:
    """Run ``stages`` for ``job`` in its project folder; see :meth:`bitsmith.model.Model.build`."""
    target = job.target
    part = resolve_part(target.part)
    size = estimate_layout(job.program, job.directives, part.family)
    if not force:
        _refuse_too_large(job.program, job.directives, size, part, stages)
    with Project.open(target.output_dir, target.project_name) as project:
        if stages.reset:
            project.forget()
        return _Build(job, part, size, project, progress).run(stages)


def _refuse_too_large(program: Program, directives: Directives, size: Size, part: Part, stages: Stages) -> None:
    about = f"about {size.lut:,} LUTs and {size.dsp:,} multiplier blocks (estimated)"
    if size.lut > LAYOUT_LIMIT_LUTS:
        accepted = f"at most {LAYOUT_LIMIT_LUTS:,} LUTs"
        raise CapacityError(about, where="build", accepted=accepted, remedy=_smaller(program, directives, part))
    if stages.synth and size.lut > SYNTHESIS_LIMIT_LUTS:
        raise CapacityError(
            f"{about}; synthesis would take hours",
            where="build(synth=True)",
            accepted=f"at most {SYNTHESIS_LIMIT_LUTS:,} LUTs",
            remedy=f"build(synth=False) verifies the circuit without synthesis; or {_smaller(program, directives, part)}",
        )
    if not (stages.pnr or stages.bitstream):
        return
    nextpnr.place_and_route_of(part)
    if size.lut > _OVERFULL * part.luts or size.dsp > _OVERFULL * part.dsps:
        raise CapacityError(
            about,
            where="build(pnr=True)",
            accepted=f"{part.luts:,} LUTs and {part.dsps:,} multiplier blocks of {part.name}",
            remedy=_smaller(program, directives, part),
        )


def _smaller(program: Program, directives: Directives, part: Part) -> str:
    """What makes a circuit smaller."""
    found = proposal(program, part, directives)
    fitting = f"{found.description} (about {found.size.lut:,} LUTs)" if found is not None else "a larger part"
    return f"{fitting}; fewer bits, more pruning, or build(force=True); predict() and trace() need no circuit"


class _Build:
    """One run over one locked project."""

    def __init__(self, job: Job, part: Part, size: Size, project: Project, progress: Progress | None) -> None:
        self._job = job
        self._part = part
        self._size = size
        self._project = project
        self._progress = progress
        self._target = job.target
        self._sections: dict[str, object] = {}
        self._files: dict[str, str] = {}
        self._stages: list[dict[str, object]] = []
        self._notes: tuple[str, ...] = ()
        """What this build found out, beyond the model's own notes."""

    def run(self, stages: Stages) -> Report:
        """Run the stages in order and write the report."""
        made, sources = self._write()
        if stages.cosim:
            self._cosimulate(made, sources)
        if stages.synth:
            self._synthesize(made, sources)
        if stages.pnr:
            self._place_and_route()
        if stages.bitstream:
            self._bitstream(made)
        return self._report(made)

    def _write(self) -> tuple[Circuit, tuple[Path, ...]]:
        """The circuit's sources, in the project's folder ``rtl``."""
        started = time.perf_counter()
        target = self._target
        delays = self._part.family.delays
        budget = delays.budget(target.clock_period_ns, target.clock_uncertainty * target.clock_period_ns)
        self._say(f"rtl: about {self._size.lut:,} LUTs expected")
        title = Title(f"bitsmith {__version__}", digest(to_text(self._job.program))[:16])
        made = circuit(self._job.program, self._job.directives, delays, budget, target.project_name, title)
        if made.over_budget:
            self._notes += (
                f"{made.over_budget} operations (wide products or sums) take longer than the clock period by the "
                "delay model; the clock may not be reached.",
            )
        written = self._project.write({**{f"rtl/{name}": text for name, text in made.sources.items()}, **made.extras})
        for stale in set((self._project.folder / "rtl").glob("*.*")) - set(written):
            stale.unlink()
        self._note_stage("rtl", time.perf_counter() - started, "", cached=False)
        return made, written[: len(made.sources)]

    def _cosimulate(self, made: Circuit, sources: tuple[Path, ...]) -> None:
        latency, interval = made.cycles
        most = max(_LEAST_SAMPLES, _SIMULATED_CYCLES // interval)
        raws = [raw[:most] for raw in stimuli(self._job)]

        def simulate() -> dict[str, Json]:
            self._say(f"cosim: {len(raws[0]):,} samples")
            found = made.simulate(self._project.folder, sources, raws, self._progress)
            compare(self._job.emulator, self._job.program, found.outputs, raws)
            if found.reloaded is not None:
                program, outputs = found.reloaded
                compare(Emulator(program), program, outputs, raws)
            if (found.latency, found.interval) != (latency, interval):
                raise VerificationError(
                    f"latency {found.latency} and interval {found.interval} measured",
                    where=made.top,
                    accepted=f"latency {latency} and interval {interval}, as planned",
                )
            queues: list[Json] = [dict(row) for row in found.queues]
            return {"tool": found.tool, "cycles": found.latency, "ii": found.interval, "queues": queues}

        given = [
            raw.astype(np.int64).tobytes() if raw.dtype != np.object_ else str(raw.tolist()).encode() for raw in raws
        ]
        depends: tuple[Path | str | bytes, ...] = (*sources, *given, find(VERILATOR).label)
        result = self._stage("cosim", depends, "cosim/run.log", simulate)
        self._sections["Verification"] = {"Inputs": len(raws[0]), "Mismatches": 0, "Tool": result["tool"]}
        self._sections["Latency"] = {"Cycles": result["cycles"], "II": result["ii"], "Tool": result["tool"]}
        if result["queues"]:
            self._sections["Queues"] = result["queues"]

    def _synthesize(self, made: Circuit, sources: tuple[Path, ...]) -> None:
        family = self._part.family

        def synthesize() -> dict[str, Json]:
            self._say(f"synth: {self._part.name}")
            found = yosys.synthesize(self._project.folder, made.top, sources, family, progress=self._progress)
            return {"LUT": found.lut, "FF": found.ff, "DSP": found.dsp, "BRAM": found.bram, "Tool": found.tool}

        log = f"synth/{family.name}/yosys.log"
        depends: tuple[Path | str | bytes, ...] = (*sources, family.name, find(YOSYS).label)
        result = self._stage("synth", depends, log, synthesize, self._netlist(family.name))
        self._sections["Resources"] = {**result, "Part": self._part.name, "Family": family.name}

    def _netlist(self, name: str) -> tuple[Path, ...]:
        """The netlist that synthesis leaves for place and route, where there is one."""
        return (yosys.netlist(self._project.folder, name),) if self._part.family.place_and_route else ()

    def _place_and_route(self) -> None:
        netlist = yosys.netlist(self._project.folder, self._part.family.name)
        target_mhz = 1e3 / self._target.clock_period_ns

        def place() -> dict[str, Json]:
            self._say(f"pnr: {self._part.name} at {target_mhz:.0f} MHz")
            timing = nextpnr.place_and_route(
                self._project.folder, netlist, target_mhz=target_mhz, part=self._part, progress=self._progress
            )
            return {"FmaxMHz": timing.fmax_mhz, "ClockPeriodNs": timing.clock_period_ns, "Tool": timing.tool}

        tool = find(nextpnr.nextpnr(nextpnr.place_and_route_of(self._part)))
        depends: tuple[Path | str | bytes, ...] = (netlist, self._part.name, f"{target_mhz}", tool.label)
        self._sections["Timing"] = self._stage("pnr", depends, "pnr/nextpnr.log", place)

    def _bitstream(self, made: Circuit) -> None:
        board = self._board()
        top = uart_wrapper.uart_name(made.top)
        wrapper = self._project.write({f"rtl/{top}.sv": uart_wrapper.uart(made.interface, board.clock_hz, _BAUD)})
        below = made.wrapper_sources(library.UART_LIBRARY)
        everything = (*(self._project.path(f"rtl/{name}") for name in below), *wrapper)

        def configure() -> dict[str, Json]:
            self._say(f"bitstream: {board.name}")
            folder, family = self._project.folder, board.part.family
            yosys.synthesize(folder, top, everything, family, name="shell", pads=True, progress=self._progress)
            path, timing = nextpnr.bitstream(
                folder, yosys.netlist(folder, "shell"), made.top, board=board, progress=self._progress
            )
            return {"path": path.relative_to(folder).as_posix(), "tool": timing.tool}

        bit = self._project.folder / "pnr" / f"{made.top}{board.flow.packer.suffix}"
        depends: tuple[Path | str | bytes, ...] = (
            *everything,
            board.constraints(),
            *(find(tool).label for tool in (YOSYS, nextpnr.nextpnr(board.flow), nextpnr.packer(board.flow))),
        )
        result = self._stage("bitstream", depends, f"pnr/{made.top}.nextpnr.log", configure, (bit,))
        self._files["Bitstream"] = str(result["path"])

    def _board(self) -> Board:
        """The user's board, else our first one with a part of the family."""
        if self._target.board is not None:
            return read_board(self._target.board)
        board = default_board(self._part.family)
        if board is None:
            raise CapacityError(
                f"no board with {self._part.name} is known",
                where="build(bitstream=True)",
                accepted="convert(board=...)",
            )
        return board

    def _stage(
        self,
        name: str,
        depends: Sequence[Path | str | bytes],
        log: str,
        run: Callable[[], dict[str, Json]],
        files: Sequence[Path] = (),
    ) -> dict[str, Json]:
        """The stage's result: remembered if nothing that it depends on has changed, else by running it."""
        state = digest(__version__, _flow_code(), name, *depends)
        kept = self._project.cached(name, state)
        if kept is not None and isinstance(kept.result, Mapping):
            self._note_stage(name, kept.seconds, kept.log, cached=True)
            return dict(kept.result)
        started = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - started
        self._project.record(name, state, result, seconds, log, files)
        self._note_stage(name, seconds, log, cached=False)
        return result

    def _note_stage(self, name: str, seconds: float, log: str, *, cached: bool) -> None:
        self._stages.append({"Name": name, "Seconds": round(seconds, 2), "Log": log, "Cached": cached})

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress(line)

    def _report(self, made: Circuit) -> Report:
        if "Resources" not in self._sections:
            self._sections["Estimate"] = self._size.section()
        self._files["Top"] = f"rtl/{made.top}.sv"
        self._files["AXI4-Stream"] = f"rtl/{library.axi_stream_name(made.top)}.sv"
        self._files["AXI4-Lite"] = f"rtl/{bus_wrappers.axi_lite_name(made.top)}.v"
        self._files["Avalon-ST"] = f"rtl/{bus_wrappers.avalon_name(made.top)}.sv"
        self._files["Driver"] = f"driver/{made.top}.py"
        described = replace(self._job.design, notes=(*self._job.design.notes, *self._notes))
        report = Report({**self._sections, "Files": self._files, "Stages": self._stages}, described)
        write_report(report, self._project.folder)
        return report


def _flow_code() -> str:
    """A digest of what drives the tools: a result is not remembered beyond a change of it."""
    return digest(*(path for path in sorted(Path(yosys.__file__).parent.iterdir()) if path.is_file()))
