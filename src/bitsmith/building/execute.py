"""Executes a plan in its project folder: writes the sources, runs stages, reports.

What has not changed since it last ended well is not done again, so that an interrupted build goes on where it stopped. The first
error ends the build.
"""

import functools
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bitsmith.base.dump import dumping
from bitsmith.base.progress import Kind, tell, tell_of_tool
from bitsmith.base.project import Json, Project, StageRecord, digest
from bitsmith.building.plan import Plan
from bitsmith.building.stages import Sections, Sources, Stage
from bitsmith.errors import ConfigError
from bitsmith.flows import run as flows
from bitsmith.flows.run import run
from bitsmith.flows.tools import require
from bitsmith.report.folder import write_report
from bitsmith.report.report import Report
from bitsmith.report.sections import Origin, StageRun, Stages, Timing, plain, section_of
from bitsmith.version import __version__

_LONG_S = 2.0
"""Sources that are generated sooner are not said to take time."""


def execute(plan: Plan, timeout: float | None = None) -> Report:
    """Do what ``plan`` says and write the report; each program has ``timeout`` seconds.

    Raises:
        ConfigError: a time limit that is none.
        ToolMissingError: of a stage; nothing has been done.
        ProjectError: the folder is not a project of ours, or in use.
        BitsmithError: of a stage.
    """
    if timeout is not None and not 0 < timeout < threading.TIMEOUT_MAX:
        raise ConfigError(f"{timeout!r}", where="timeout", accepted="seconds, more than 0, or None")
    for stage in plan.stages:
        require(stage.find())
    with Project.open(plan.folder, plan.name, plan.design.outline) as project:
        if plan.reset:
            project.forget()
        execution = Execution(project, timeout)
        notes, known = execution.write(plan.sources)
        plan.write_scripts(project)
        found = tuple(section for stage in plan.stages for section in execution.run(stage))
        sections, further = plan.finish(project.folder, (*known, *found))
        missed = [section.missed for section in sections if isinstance(section, Timing) and section.missed]
        design = replace(plan.design, notes=(*plan.design.notes, *notes, *further, *missed))
        report = Report((*plan.known, *sections, Stages(tuple(execution.rows)), _origin(plan)), design)
        write_report(report, project.folder)
        if plan.archive is not None:
            project.pack(plan.archive)
        return report


def _origin(plan: Plan) -> Origin:
    return Origin(
        version=__version__,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        digest=plan.sources.digest[:16],
        command=plan.command or None,
        seeds="0 of simulations, 1 of place and route",
    )


class Execution:
    """Steps in an open project; ``rows`` are those that have run."""

    def __init__(self, project: Project, timeout: float | None = None) -> None:
        self.rows: list[StageRun] = []
        self._project = project
        self._timeout = timeout
        self._records: dict[str, StageRecord] = {}
        self._unreported = 0.0

    def write(self, sources: Sources) -> tuple[tuple[str, ...], Sections]:
        """Write the files, unless the project has them; return notes on them, and sections."""
        started = time.perf_counter()
        record = None if dumping() else self._project.cached(sources.name, sources.digest)
        if record is not None and not isinstance(record.result, Mapping):
            record = None
        cached = record is not None
        lasts = not cached and sources.seconds >= _LONG_S
        _announce(sources.name, sources.title, f", in about {_duration(sources.seconds)}" if lasts else "")
        if record is None:
            generated = sources.generate()
            written = self._project.write(generated.files)
            seconds = time.perf_counter() - started
            result: Json = {
                "notes": list(generated.notes),
                "sections": {type(section).__name__: plain(section) for section in generated.sections},
            }
            record = self._project.record(sources.name, sources.digest, result, seconds, files=written)
        # Files that no step has written could be read in place of those that one has.
        ours = [record, *(self._project.stages.values() if cached else ())]
        self._project.remove(sources.owned, [name for each in ours for name in each.files])
        self._note(sources.name, record, cached=cached)
        known = record.result if isinstance(record.result, Mapping) else {}
        notes = known.get("notes")
        return tuple(map(str, notes)) if isinstance(notes, list) else (), _sections_of(known.get("sections"))

    def run(self, stage: Stage) -> Sections:
        """The stage's sections: remembered if nothing that it depends on has changed, otherwise by running it."""
        tools = require(stage.find())
        inputs = [
            f"{name} {content}"
            for need in stage.needs
            if need in self._records
            for name, content in sorted(self._records[need].files.items())
        ]
        state = digest(__version__, _flow_code(), *stage.options, *inputs, *(tool.label for tool in tools))
        record = self._project.cached(stage.name, state)
        if record is not None:
            self._note(stage.name, record, cached=True, reported=stage.reported)
            return _sections_of(record.result)
        for name in stage.outdates:
            self._project.path(name).unlink(missing_ok=True)
        before = self._project.stages.get(stage.name)
        guessed = stage.seconds() if before is None and stage.seconds is not None else None
        expected = guessed if before is None else before.seconds
        _announce(stage.name, stage.title, f", expected {_duration(expected)}" if expected is not None else "")
        started = time.perf_counter()
        flow, folder = stage.flow(), self._project.folder
        written = self._project.write(flow.files())
        commands = flow.commands(folder, tools)
        for path in (path for command in commands for path in (command.log, *command.outputs)):
            self._project.inside(path)
        for command in commands:
            run(command, tell_of_tool, self._timeout)
        result = {type(section).__name__: plain(section) for section in flow.read(folder, tools)}
        sections = _sections_of(result)  # which holds figures to what they can be
        outputs = [*written, *(path for command in commands for path in command.outputs)]
        seconds = time.perf_counter() - started
        record = self._project.record(stage.name, state, result, seconds, stage.log, outputs, rewritten=stage.rewritten)
        self._note(stage.name, record, cached=False, reported=stage.reported)
        return sections

    def _note(self, name: str, record: StageRecord, *, cached: bool, reported: bool = True) -> None:
        self._records[name] = record
        if not reported:
            self._unreported += 0.0 if cached else record.seconds
            return
        seconds = round(record.seconds + self._unreported, 2)
        self.rows.append(StageRun(name=name, seconds=seconds, log=record.log, cached=cached))
        self._unreported = 0.0
        _announce(
            name, f"nothing has changed, took {_duration(seconds)}" if cached else f"done in {_duration(seconds)}"
        )


def _announce(name: str, title: str, more: str = "") -> None:
    if title:
        tell(f"{name}: {title}{more}", Kind.STAGE)


def _duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _sections_of(result: Json) -> Sections:
    return tuple(section_of(name, figures) for name, figures in result.items()) if isinstance(result, Mapping) else ()


@functools.cache
def _flow_code() -> str:
    """A digest of what drives the tools: a result is not remembered beyond a change of it."""
    return digest(*(path for path in sorted(Path(flows.__file__).parent.iterdir()) if path.is_file()))
