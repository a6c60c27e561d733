"""The second half of the compiler: a core program in, a verified, synthesized, placed-and-routed circuit out.

Stages run in one order, each is skipped when nothing that it depends on has changed since it last ended well, and a build
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bitsmith.build.design import Circuit, circuit
from bitsmith.devices import ECP5, Part, resolve_part
from bitsmith.emulate import Emulator
from bitsmith.errors import CapacityError, VerificationError
from bitsmith.estimate.fit import proposal
from bitsmith.estimate.size import Size, estimate_layout
from bitsmith.flows import nextpnr, yosys
from bitsmith.flows.run import Progress
from bitsmith.flows.tools import ECPPACK, NEXTPNR_ECP5, VERILATOR, YOSYS, find
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.ir.types import Ints
from bitsmith.mapping.directives import Directives
from bitsmith.passes import drop_dead
from bitsmith.project import Json, Project, digest
from bitsmith.report import Report
from bitsmith.rtl import bus_wrappers, library
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.writer import Title
from bitsmith.version import __version__

if TYPE_CHECKING:
    from bitsmith.model import Model, Target

RANDOM_INPUTS = 1000
"""Samples of a co-simulation that is given none."""

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
_CORNERS = 64
"""Random mixtures of least and greatest values among generated samples."""

Reals = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Stages:
    """What is to run; the circuit itself is always written."""

    cosim: bool
    synth: bool
    pnr: bool
    bitstream: bool
    reset: bool = False
    """Forget the results that still hold."""


def build(
    model: Model, stages: Stages, inputs: Sequence[Reals] | None, *, force: bool, progress: Progress | None
) -> Report:
    """Run ``stages`` for ``model`` in its project folder; see :meth:`bitsmith.model.Model.build`."""
    target = model.target
    part = resolve_part(target.part)
    program = drop_dead(model.program, keep_probes=False)
    size = estimate_layout(program, model.directives, part.family)
    if not force:
        _refuse_too_large(program, model.directives, size, part, stages)
    with Project.open(target.output_dir, target.project_name) as project:
        if stages.reset:
            project.forget()
        return _Build(model, program, part, size, project, progress).run(stages, inputs)


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
    if part.family is not ECP5:
        raise CapacityError(
            f"place and route for {part.name}",
            where="build(pnr=True)",
            accepted="ECP5 parts; for others synthesis counts are available",
            remedy="part='LFE5U-85F-6BG381C', or pnr=False",
        )
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
    fitting = f"{found.said} (about {found.size.lut:,} LUTs)" if found is not None else "a larger part"
    return f"{fitting}; fewer bits, more pruning, or build(force=True); predict() and trace() need no circuit"


class _Build:
    """One run over one locked project."""

    def __init__(
        self, model: Model, program: Program, part: Part, size: Size, project: Project, progress: Progress | None
    ) -> None:
        self._model = model
        self._program = program
        self._part = part
        self._size = size
        self._project = project
        self._progress = progress
        self._target: Target = model.target
        self._sections: dict[str, object] = {}
        self._files: dict[str, str] = {}
        self._stages: list[dict[str, object]] = []
        self._notes: tuple[str, ...] = ()
        """What this build found out, beyond the model's own notes."""

    def run(self, stages: Stages, inputs: Sequence[Reals] | None) -> Report:
        """Run the stages in order and write the report."""
        made, sources = self._write()
        if stages.cosim:
            self._cosimulate(made, sources, inputs)
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
        title = Title(f"bitsmith {__version__}", digest(to_text(self._program))[:16])
        made = circuit(self._program, self._model.directives, delays, budget, target.project_name, title)
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

    def _cosimulate(self, made: Circuit, sources: tuple[Path, ...], inputs: Sequence[Reals] | None) -> None:
        latency, interval = made.cycles
        most = max(_LEAST_SAMPLES, _SIMULATED_CYCLES // interval)
        raws = [raw[:most] for raw in stimuli(self._model.emulator, self._program, inputs)]

        def simulate() -> dict[str, Json]:
            self._say(f"cosim: {len(raws[0]):,} samples")
            found = made.simulate(self._project.folder, sources, raws, self._progress)
            compare(self._model.emulator, self._program, found.outputs, raws)
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
        return (yosys.netlist(self._project.folder, name),) if self._part.family is ECP5 else ()

    def _place_and_route(self) -> None:
        netlist = yosys.netlist(self._project.folder, self._part.family.name)
        target_mhz = 1e3 / self._target.clock_period_ns

        def place() -> dict[str, Json]:
            self._say(f"pnr: {self._part.name} at {target_mhz:.0f} MHz")
            timing = nextpnr.place_and_route(
                self._project.folder, netlist, target_mhz=target_mhz, part=self._part, progress=self._progress
            )
            return {"FmaxMHz": timing.fmax_mhz, "ClockPeriodNs": timing.clock_period_ns, "Tool": timing.tool}

        depends: tuple[Path | str | bytes, ...] = (netlist, self._part.name, f"{target_mhz}", find(NEXTPNR_ECP5).label)
        self._sections["Timing"] = self._stage("pnr", depends, "pnr/nextpnr.log", place)

    def _bitstream(self, made: Circuit) -> None:
        board = nextpnr.ULX3S_85F
        top = bus_wrappers.uart_name(made.top)
        shell = self._project.write({f"rtl/{top}.sv": bus_wrappers.uart(made.interface, board.clk_hz, _BAUD)})
        below = made.shell_sources(library.UART_LIBRARY)
        everything = (*(self._project.path(f"rtl/{name}") for name in below), *shell)

        def configure() -> dict[str, Json]:
            self._say(f"bitstream: {board.name}")
            folder = self._project.folder
            yosys.synthesize(folder, top, everything, ECP5, name="shell", progress=self._progress)
            path, timing = nextpnr.bitstream(
                folder, yosys.netlist(folder, "shell"), made.top, board=board, progress=self._progress
            )
            return {"path": path.relative_to(folder).as_posix(), "tool": timing.tool}

        bit = self._project.folder / "pnr" / f"{made.top}.bit"
        depends: tuple[Path | str | bytes, ...] = (
            *everything,
            board.name,
            find(YOSYS).label,
            find(NEXTPNR_ECP5).label,
            find(ECPPACK).label,
        )
        result = self._stage("bitstream", depends, f"pnr/{made.top}.nextpnr.log", configure, (bit,))
        self._files["Bitstream"] = str(result["path"])

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
        described = self._model.design(self._notes)
        report = Report({**self._sections, "Files": self._files, "Stages": self._stages}, described)
        report.write(self._project.folder)
        return report


def stimuli(emulator: Emulator, program: Program, inputs: Sequence[Reals] | None) -> list[Raw]:
    """Raw inputs: the user's, or random ones that begin with the extremes of every input range."""
    if inputs is not None:
        return [emulator.quantize(k, batch)[0] for k, batch in enumerate(inputs)]
    rng = np.random.default_rng(0)
    raws: list[Raw] = []
    for index in program.inputs:
        _, lo, hi = program.nodes[index].type.full()
        raws.append(_random_raws(rng, lo, hi))
    return raws


def compare(emulator: Emulator, program: Program, found: Sequence[Raw], raws: Sequence[Raw]) -> None:
    """Refuse outputs ``found`` for ``raws`` that are not those of the emulator; both one array per output.

    Raises:
        VerificationError: they differ; says where first.
    """
    expected = emulator.run_raw(raws)
    for output, want, have in zip(program.outputs, expected, found, strict=True):
        want, have = want.reshape(len(want), -1), have.reshape(len(have), -1)
        wrong = np.argwhere(want != have)
        if len(wrong):
            sample, element = (int(k) for k in wrong[0])
            raise VerificationError(
                f"{len(wrong):,} of {want.size:,} outputs differ; first in sample {sample}, element {element}: "
                f"the circuit gives raw {have[sample, element]}, the emulator {want[sample, element]}",
                where=f"output {output.name!r}",
                remedy="this is a defect of bitsmith: please report it with the project folder",
            )


def _flow_code() -> str:
    """A digest of what drives the tools: a result is not remembered beyond a change of it."""
    return digest(*(path for path in sorted(Path(yosys.__file__).parent.iterdir()) if path.is_file()))


def _random_raws(rng: np.random.Generator, lo: Ints, hi: Ints) -> Raw:
    """Samples within ``lo..hi``: all least, all greatest, a few mixtures of both, then uniform ones."""
    shape = (RANDOM_INPUTS, *lo.shape)
    if max(int(np.max(hi)).bit_length(), int(np.min(lo)).bit_length()) <= 62:
        least, greatest = lo.astype(np.int64), hi.astype(np.int64)
        return _with_corners(rng, rng.integers(least, greatest, shape, endpoint=True), least, greatest)
    bits = int(np.max(hi - lo)).bit_length() + 32
    drawn = np.zeros(shape, dtype=np.object_)
    for _ in range(0, bits, 32):
        drawn = (drawn << 32) | rng.integers(0, 1 << 32, shape).astype(np.object_)
    return _with_corners(rng, lo + drawn % (hi - lo + 1), lo, hi)


def _with_corners(rng: np.random.Generator, raws: Raw, lo: Raw, hi: Raw) -> Raw:
    corners = rng.integers(0, 2, (_CORNERS, *lo.shape)).astype(bool)
    raws[0], raws[1], raws[2 : 2 + _CORNERS] = lo, hi, np.where(corners, hi, lo)
    return raws
