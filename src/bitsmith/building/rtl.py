"""SystemVerilog: the circuit, its co-simulation, synthesis, place and route, and a bitstream, by open tools."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from bitsmith.building.capacity import Room
from bitsmith.building.job import Job
from bitsmith.building.logic import logic_tool
from bitsmith.building.logic.tool import Found, LogicDesign, LogicFlow, Step
from bitsmith.building.plan import Plan
from bitsmith.building.rtl_stages import Rtl
from bitsmith.building.stages import Sections, Stage
from bitsmith.building.system import system_board
from bitsmith.errors import ConfigError
from bitsmith.flows.cells import require_models
from bitsmith.flows.nextpnr import place_and_route_of
from bitsmith.flows.run import Converted
from bitsmith.flows.vendor import on_path
from bitsmith.options.building import Asked
from bitsmith.report import sections
from bitsmith.rtl.integration import module_ports


def plan_rtl(job: Job, asked: Asked) -> Plan:
    """The plan for SystemVerilog.

    Raises:
        CapacityError: the design is too large for what was asked.
    """
    room, board = Room.of(job), system_board(job.target)
    if asked.tool is not None:
        return _plan_logic(job, asked, room)
    synthesized = asked.synth is not False or asked.post_synth or asked.pnr or (asked.bitstream and board is None)
    if asked.post_synth:
        require_models(room.part.family)
    if asked.pnr or (asked.bitstream and board is None):
        place_and_route_of(room.part)
    if (synthesized or asked.bitstream) and not asked.force:
        room.check_part(job)
    if not asked.force:
        room.check_layout(job)
    backend = Rtl(job, room, asked)
    stages = {
        backend.cosim: asked.cosim is not False or asked.validation,
        backend.synth: synthesized,
        backend.post_synth: asked.post_synth,
        backend.pnr: asked.pnr and not (asked.bitstream and board is None and backend.on_board()),
        backend.bitstream: asked.bitstream,
    }
    chosen = tuple(stage() for stage, wanted in stages.items() if wanted)
    return _plan(backend, asked, chosen)


def _plan_logic(job: Job, asked: Asked, room: Room) -> Plan:
    """The plan with a vendor's logic tool in place of the open ones.

    Raises:
        CapacityError, ConfigError.
    """
    assert asked.tool is not None
    if asked.bitstream:
        raise ConfigError("bitstream=True with a vendor's tool", where="build", accepted="tool=None")
    if asked.post_synth:
        raise ConfigError("post_synth=True with a vendor's tool", where="build", accepted="tool=None")
    backend = _Logic(job, room, asked)
    if backend.steps and not asked.force:
        room.check_part(job)
    if not asked.force:
        room.check_layout(job)
    cosim = (backend.cosim(),) if asked.cosim is not False or asked.validation else ()
    return replace(_plan(backend, asked, (*cosim, *map(backend.logic, backend.steps))), scripts=backend.scripts)


def _plan(backend: Rtl, asked: Asked, stages: tuple[Stage, ...]) -> Plan:
    job = backend.job
    return Plan(
        folder=job.target.output_dir,
        name=job.target.project_name,
        design=job.design,
        sources=backend.sources(),
        scripts=dict,
        stages=stages,
        finish=backend.finish,
        reset=asked.reset,
    )


class _Logic(Rtl):
    """The same with a vendor's logic tool."""

    def __init__(self, job: Job, room: Room, asked: Asked) -> None:
        super().__init__(job, room, asked)
        assert asked.tool is not None
        self._tool = logic_tool(asked.tool, job.target.part)
        self._usual = asked.synth is None and not asked.pnr
        there = on_path(self._tool.program) is not None
        wanted = (Step.SYNTH, Step.PNR) if asked.pnr else (Step.SYNTH,)
        self.steps = wanted if asked.pnr or asked.synth or (self._usual and there) else ()

    @cached_property
    def _design(self) -> LogicDesign:
        made, target = self._circuit, self.job.target
        ports = module_ports(made.sources[f"{self._top}.sv"], self._top)
        sources = tuple(f"../{path.as_posix()}" for path in self._paths())
        islands = made.islands if self._room.part.die.regions > 1 else ()
        return LogicDesign(self._top, target.part, sources, ports, target.clock_period_ns, islands)

    def scripts(self) -> dict[str, str]:
        """The tool's project, whether it is there or not."""
        return self._tool.scripts(self._design)

    def logic(self, step: Step) -> Stage:
        """A stage of the tool."""
        target, flow = self.job.target, LogicFlow(self._tool, lambda: self._design, step)
        return Stage(
            name="synth" if step is Step.SYNTH else "pnr",
            title=f"{target.part} by {self._tool.name} at {self._target_mhz:.0f} MHz",
            find=flow.find,
            flow=lambda: Converted(flow, self._measured),
            needs=("rtl",) if step is Step.SYNTH else ("rtl", "synth"),
            options=(self._tool.key, *(text for item in sorted(self.scripts().items()) for text in item)),
            log=f"{self._tool.key}/{step.value}.log",
        )

    def _measured(self, facts: Found) -> Sections:
        cells = (sections.Utilization(facts.cells),) if facts.cells else ()
        if facts.period_ns is None:
            return (facts.resources, *cells)
        period = round(facts.period_ns, 4)
        clock = self._clock(period, round(1e3 / period, 2), facts.path, facts.resources.tool)
        return (facts.resources, replace(clock, hold_slack_ns=facts.hold_ns, pulse_slack_ns=facts.pulse_ns), *cells)

    def finish(self, folder: Path, found: Sections) -> tuple[Sections, tuple[str, ...]]:
        """Take the figures of the last step, and say how to start the tool where it has not run."""
        last = {type(section): section for section in found}
        all_found, notes = super().finish(folder, tuple(last.values()))
        if self.steps or not self._usual:
            return all_found, notes
        typed = f"cd {self._tool.key} && {self._tool.by_hand()}"
        return all_found, (
            *notes,
            f"{self._tool.name} was not found and not run. In the project's folder, start: {typed}",
        )
