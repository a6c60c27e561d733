"""A vendor's logic tool as a record, and the flow of its steps.

The tool's own scripts are files beside this one; they are written into the project with ``settings.tcl``, which says what they
work on, and with constraints. Nothing here knows a vendor.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bitsmith.errors import ToolMissingError
from bitsmith.errors.remedies import build, remedy
from bitsmith.flows.run import Command
from bitsmith.flows.tools import FoundTool, absent
from bitsmith.flows.vendor import on_path
from bitsmith.report.sections import CellUse, Resources
from bitsmith.rtl.integration import Port
from bitsmith.vendors.vendor import Number, ReportFile

_LEAST_NS = 1e-3
_SCRIPTS = Path(__file__).parent / "scripts"


class Step(Enum):
    """A step of a tool, by the name of its script and its log."""

    SYNTH = "synth"
    PNR = "implement"


@dataclass(frozen=True, slots=True)
class LogicDesign:
    """Input of a tool: ``sources`` are seen from the tool's folder in the project.

    ``islands`` are groups of instances that only register slices join, by what their names begin with, where the part has
    several pieces of silicon.
    """

    top: str
    part: str
    sources: tuple[str, ...]
    ports: tuple[Port, ...]
    period_ns: float
    islands: tuple[tuple[str, ...], ...] = ()

    def of(self, inputs: bool) -> list[Port]:
        """The inputs but the clock, or the outputs."""
        return [port for port in self.ports if port.is_input is inputs and port.name != "clk"]


@dataclass(frozen=True, slots=True)
class Found:
    """Figures of a tool's reports: cells; for a placed circuit also the clock period and the ends of the slowest path.

    Where the reports say them, the worst slacks of hold times and of the widths of clock pulses, too.
    """

    resources: Resources
    cells: tuple[CellUse, ...]
    period_ns: float | None = None
    path: tuple[str, ...] = ()
    hold_ns: float | None = None
    pulse_ns: float | None = None


@dataclass(frozen=True, slots=True)
class LogicTool:
    """A vendor's tool.

    Attributes:
        key: of ``build(tool=...)``, and the tool's folder in the project.
        name: as reports and errors call it.
        program: what is started, with ``arguments`` and the name of a script.
        parts: the names of its parts.
        example: one of them.
        install: where to get the tool.
        error: what its error lines look like.
        files: further files in its folder: constraints, and what else its scripts read.
        outputs: files that a step leaves in its folder.
        read: what they say.
    """

    key: str
    name: str
    program: str
    arguments: tuple[str, ...]
    parts: re.Pattern[str]
    example: str
    install: str
    error: str
    files: Callable[[LogicDesign], Mapping[str, str]]
    outputs: Callable[[LogicDesign, Step], tuple[str, ...]]
    read: Callable[[Path, LogicDesign, Step], Found]

    def scripts(self, design: LogicDesign) -> dict[str, str]:
        """All files of the tool's folder, as paths in the project."""
        settings = [
            f"# What the scripts in this folder work on; start there: {self.by_hand()}",
            f"set top {design.top}",
            f"set part {design.part}",
            f"set sources [list {' '.join(design.sources)}]",
        ]
        scripts = {
            f"{step.value}.tcl": (_SCRIPTS / f"{self.key}_{step.value}.tcl").read_text(encoding="utf-8")
            for step in Step
        }
        files = {"settings.tcl": "\n".join(settings) + "\n", **self.files(design), **scripts}
        return {f"{self.key}/{name}": text for name, text in files.items()}

    def by_hand(self, steps: Sequence[Step] = tuple(Step)) -> str:
        """Return the command that a user types in the tool's folder."""
        return " && ".join(shlex.join((self.program, *self.arguments, f"{step.value}.tcl")) for step in steps)


@dataclass(frozen=True, slots=True)
class LogicFlow:
    """The flow of a step."""

    tool: LogicTool
    design: Callable[[], LogicDesign]
    step: Step

    def find(self) -> tuple[FoundTool, ...]:
        """Return the tool on PATH; one that is missing says how to get it, and what works without."""
        tool = self.tool
        error = ToolMissingError(
            f"not on PATH: {tool.program}",
            where=f"{tool.name} (for {self.step.value})",
            remedy=remedy(
                f"{tool.install}. Without it: ",
                build(tool=tool.key),
                f" writes the project; start `cd {tool.key} && {tool.by_hand()}` in it where the tool is",
            ),
        )
        return (on_path(tool.program) or absent(tool.program, tool.program, error),)

    def files(self) -> Mapping[str, str | bytes]:
        return self.tool.scripts(self.design())

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / self.tool.key
        return (
            Command(
                argv=(str(tools[0].path), *self.tool.arguments, f"{self.step.value}.tcl"),
                cwd=folder,
                log=folder / f"{self.step.value}.log",
                outputs=tuple(folder / name for name in self.tool.outputs(self.design(), self.step)),
                error_pattern=self.tool.error,
                errors_fail=True,
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Found:
        folder = project / self.tool.key
        found = self.tool.read(folder, self.design(), self.step)
        if found.period_ns is not None and found.period_ns < _LEAST_NS:
            raise ReportFile(folder).wrong(f"a clock period of {found.period_ns:g} ns")
        return found


def label(name: str, version: re.Pattern[str], text: str) -> str:
    """The tool and its version, if ``text`` gives one as the last group of ``version``."""
    found = version.search(text)
    return f"{name} {found[found.lastindex or 0]}" if found else name


def figures(pattern: re.Pattern[str], key: str, file: ReportFile) -> list[Number]:
    """The numbers that ``pattern`` finds in a report, at least one.

    Raises:
        ProjectError: there is none.
    """
    found = [file.number(text, key) for text in pattern.findall(file.text())]
    known = [figure for figure in found if figure is not None]
    if not known:
        raise file.wrong(f"no {key} of the clock clk")
    return known


def io_constraints(design: LogicDesign) -> list[str]:
    """SDC lines: the clock, and ports that take no part of its period, as if registers were right outside."""
    lines = [f"create_clock -name clk -period {design.period_ns:.3f} [get_ports clk]"]
    for delay, inputs in (("set_input_delay", True), ("set_output_delay", False)):
        lines += [f"{delay} -clock clk 0.000 [get_ports {{{port.pattern}}}]" for port in design.of(inputs)]
    return lines
