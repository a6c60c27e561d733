"""A kit for the first run of vendors' tools: small designs with their scripts, and a table of what the tools said of them.

The kit needs Python, make and the tools, and not this package. It is read in the folder that comes back, which is untrusted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bitsmith import __version__
from bitsmith.backends import Backend
from bitsmith.building.plan import Plan
from bitsmith.conversion.conversion import convert
from bitsmith.errors import BitsmithError, ProjectError
from bitsmith.options.building import BuildOptions
from bitsmith.report.sections import Estimate, Latency, Resources, Timing, find

KIT, RAN, RUNNER = "kit.json", "ran.json", "run.py"
_LARGEST = 1 << 20
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool of the kit, by what a conversion and a build say to use it."""

    part: str
    backend: Backend
    build: BuildOptions


_LOGIC: BuildOptions = {"cosim": False, "pnr": True, "force": True}
_TOOLS: Mapping[str, _Tool] = {
    "vivado": _Tool("xc7z020clg400-1", "rtl", {**_LOGIC, "tool": "vivado"}),
    "vitis": _Tool("xc7z020clg400-1", "vitis", {"csim": False, "synth": True, "cosim": True, "force": True}),
    "quartus": _Tool("5CSEBA6U23I7", "rtl", {**_LOGIC, "tool": "quartus"}),
    "radiant": _Tool("LIFCL-40-9BG400C", "rtl", {**_LOGIC, "tool": "radiant"}),
    "oneapi": _Tool("Agilex7", "oneapi", {"csim": False, "synth": True, "force": True}),
}


@dataclass(frozen=True, slots=True)
class _Design:
    """A design of the kit: a network that the package carries, and how it is folded."""

    network: str
    io_type: str
    layers: Mapping[str, object]


_DESIGNS: Mapping[str, _Design] = {
    "unrolled": _Design("bitsmith_3layer.json", "io_parallel", {"ReuseFactor": 1}),
    "folded": _Design("bitsmith_3layer.json", "io_parallel", {"ReuseFactor": 16}),
    "streams": _Design("bitsmith_3layer.json", "io_stream", {"ReuseFactor": 8}),
    "shared": _Design("bitsmith_3layer.json", "io_parallel", {"ReuseFactor": 512, "Strategy": "Shared"}),
    "pictures": _Design("digits.keras", "io_parallel", {"ReuseFactor": 32}),
}


class _Read(BaseModel, strict=True, extra="forbid"):
    """Content of a kit that comes back."""


class _Listed(_Read):
    """A project of the kit."""

    tool: str
    design: str
    makefile: str
    digest: str


class _Kit(_Read):
    """The list of a kit: its version and its projects."""

    bitsmith: str
    projects: list[_Listed]


class _Ran(_Read):
    """The record that the runner leaves in a project."""

    digest: str
    code: int
    seconds: float
    began: str
    error: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A row of the table: what ran, and the tool's figures beside the planned ones; None is what the tool does not say."""

    tool: str
    design: str
    outcome: str
    """``passed``, ``clock missed``, ``failed``, or ``not run``."""
    version: str | None = None
    seconds: float | None = None
    luts: int | None = None
    planned_luts: int | None = None
    fmax_mhz: float | None = None
    planned_mhz: float | None = None
    cycles: int | None = None
    interval: int | None = None
    error: str = ""


def write_kit(folder: Path, tools: Sequence[str]) -> Path:
    """Write the designs for ``tools``, all if there are none, into ``folder``; the path of the runner.

    Raises:
        ProjectError: an unknown tool, or a folder with other content.
    """
    unknown = set(tools) - set(_TOOLS)
    if unknown:
        raise ProjectError(f"unknown tools {sorted(unknown)}", where="vendor-check", accepted=", ".join(_TOOLS))
    if folder.exists() and any(folder.iterdir()) and not (folder / KIT).is_file():
        raise ProjectError("has other content", where=str(folder), accepted="a new folder, or that of a kit")
    listed = list[_Listed]()
    for tool in tools or _TOOLS:
        for name in _DESIGNS:
            plan = _plan(folder, tool, name)
            listed.append(_Listed(tool=tool, design=name, makefile=plan.write().name, digest=plan.sources.digest))
    kit = _Kit(bitsmith=__version__, projects=listed)
    (folder / KIT).write_text(kit.model_dump_json(indent=1) + "\n", encoding="utf-8", newline="\n")
    runner = folder / RUNNER
    text = (Path(__file__).parent / "vendor_run.py").read_text(encoding="utf-8")
    runner.write_text(text, encoding="utf-8", newline="\n")
    return runner


def read_kit(folder: Path) -> tuple[Checked, ...]:
    """The table of a kit's folder that has come back.

    Raises:
        ProjectError: no kit, one of another version, or reports that are damaged.
    """
    kit = _parsed(_Kit, folder / KIT, "write one: bitsmith vendor-check DIR")
    if kit.bitsmith != __version__:
        raise ProjectError(
            f"a kit of bitsmith {kit.bitsmith}, this is {__version__}", where=str(folder), remedy="write it again"
        )
    if any(each.tool not in _TOOLS or each.design not in _DESIGNS for each in kit.projects):
        raise ProjectError("projects that no kit has", where=str(folder / KIT), remedy="write it again")
    return tuple(_rows(folder, kit.projects))


def _rows(folder: Path, projects: Sequence[_Listed]) -> Iterator[Checked]:
    for listed in projects:
        project = folder / listed.tool / listed.design
        if not (project / RAN).is_file():
            yield Checked(listed.tool, listed.design, "not run")
            continue
        ran = _parsed(_Ran, project / RAN, f"run {RUNNER} again")
        plan = _plan(folder, listed.tool, listed.design)
        if not ran.digest == listed.digest == plan.sources.digest:
            raise ProjectError("figures of another circuit", where=str(project), remedy=f"run {RUNNER} again")
        if ran.code != 0:
            yield Checked(listed.tool, listed.design, "failed", seconds=ran.seconds, error=ran.error[:300])
            continue
        yield _row(listed, ran, plan, project)


def _row(listed: _Listed, ran: _Ran, plan: Plan, project: Path) -> Checked:
    """The figures of the tool's reports in ``project``."""
    try:
        found = tuple(part for stage in plan.stages for part in stage.flow().read(project, stage.find()))
        sections, _ = plan.finish(project, found)
    except BitsmithError as error:
        raise ProjectError(
            f"damaged reports: {error.found}", where=str(project), remedy=f"run {RUNNER} again"
        ) from error
    area, clock, cycles = find(sections, Resources), find(sections, Timing), find(sections, Latency)
    if area is None:
        raise ProjectError("no figures, though the tool ended well", where=str(project), remedy=f"run {RUNNER} again")
    # Without reports there is always an estimate; with some only where they are of logic tools.
    planned = find(plan.finish(project / "none", ())[0], Estimate)
    slack = None if clock is None else clock.slack_ns
    return Checked(
        listed.tool,
        listed.design,
        "passed" if slack is None or slack >= 0 else "clock missed",
        version=area.tool,
        seconds=ran.seconds,
        luts=area.lut,
        planned_luts=None if planned is None else planned.lut,
        fmax_mhz=None if clock is None else clock.fmax_mhz,
        planned_mhz=None if clock is None or clock.clock_period_ns is None else _wanted(clock),
        cycles=None if cycles is None else cycles.cycles,
        interval=None if cycles is None else cycles.ii,
    )


def _wanted(clock: Timing) -> float | None:
    """The clock that was asked for."""
    if clock.clock_period_ns is None or clock.slack_ns is None:
        return None
    return round(1e3 / (clock.clock_period_ns + clock.slack_ns), 1)


def _plan(folder: Path, tool: str, name: str) -> Plan:
    """The plan of a design with a tool."""
    design, about = _DESIGNS[name], _TOOLS[tool]
    with resources.as_file(resources.files("bitsmith") / "data" / "models") as models:
        model = convert(
            models / design.network,
            folder / tool / name,
            {"Model": {"Precision": "auto", **design.layers}},
            io_type=design.io_type,
            part=about.part,
            backend=about.backend,
            project_name="myproject",
            check=False,
        )
    return model.plan(**about.build)


def _parsed(kind: type[_Model], path: Path, remedy: str) -> _Model:
    """A small file of JSON of which nothing is known.

    Raises:
        ProjectError: it is not there, or not of that form.
    """
    try:
        with path.open("rb") as file:
            return kind.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError, RecursionError) as error:
        found = str(error).splitlines()[0][:200]
        raise ProjectError(f"not a file of a kit: {found}", where=str(path), remedy=remedy) from None
