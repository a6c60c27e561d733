"""The vendors' HLS tools, stage by stage, on a project that is already written.

In: a dialect's description of how its tool is started, and the project's folder. Out: the files that the tool leaves there;
what they say is read elsewhere. No vendor is named here.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.base.progress import Progress
from bitsmith.errors import ToolMissingError
from bitsmith.errors.remedies import build, remedy
from bitsmith.flows.run import Command, Flow
from bitsmith.flows.tools import FoundTool, Origin, absent
from bitsmith.hls.dialects.dialect import Call, Driver
from bitsmith.hls.project import Stage

LOGS = "logs"
"""The folder inside the project with what the tools said."""

_VERSION = re.compile(r"(?<![0-9])20[0-9]{2}\.[0-9](?:\.[0-9])?(?![0-9])")
"""The vendors' versions, as they stand in the paths of their installations; asking the tools takes many seconds."""


def find_driver(driver: Driver) -> FoundTool | None:
    """The vendor's tool as the first way to start it finds it on PATH; None if no way does."""
    for way in driver.ways:
        found = [on_path(program) for program in way.programs]
        if None not in found:
            return found[0]
    return None


def label(driver: Driver, tool: FoundTool) -> str:
    """The vendor's tool as reports name it."""
    return f"{driver.tool} {tool.version}".strip()


def stages_of(driver: Driver) -> tuple[Stage, ...]:
    """The stages that the tool has, whichever way it is started, in their order."""
    had = {stage for way in driver.ways for stage in way.calls("top")}
    return tuple(stage for stage in Stage if stage in had)


def by_hand(driver: Driver, top: str, stages: Sequence[Stage]) -> str:
    """Return the command that a user types in the project's folder for ``stages``, by the way that is preferred."""
    calls = driver.ways[0].calls(top)
    typed = dict.fromkeys(shlex.join(call.argv) for stage in stages for call in calls.get(stage, ()))
    return " && ".join(typed)


@dataclass(frozen=True, slots=True)
class VendorStage(Flow[Path]):
    """The flow of one stage.

    Args:
        top: name of the top function.
        watch: from a log, what is called with each of its lines.
    """

    driver: Driver
    top: str
    stage: Stage
    watch: Callable[[Path], Progress] | None = None

    def find(self) -> tuple[FoundTool, ...]:
        """The vendor's tool, and then the other programs that the stage starts; without the tool, by the preferred way.

        What is missing says what was looked for, how to get it, and what works without.
        """
        main = find_driver(self.driver)
        if main is None:
            looked_for = [" and ".join(way.programs) for way in self.driver.ways]
            program = self.driver.ways[0].programs[0]
            main = absent(program, program, self._missing(self.driver.tool, " nor ".join(looked_for)))
        programs = dict.fromkeys(call.argv[0] for call in self._calls(main) if not call.argv[0].startswith("./"))
        others = (
            on_path(name) or absent(name, name, self._missing(name, name)) for name in programs if name != main.name
        )
        return main, *others

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        paths = {tool.name: str(tool.path) for tool in tools}
        calls = self._calls(tools[0])
        return tuple(
            Command(
                argv=(paths.get(call.argv[0], call.argv[0]), *call.argv[1:]),
                cwd=project,
                log=project / log,
                env=call.env,
                outputs=tuple(project / output for output in call.outputs),
                error_pattern=self.driver.error_pattern,
                errors_fail=True,
                watch=self.watch and self.watch(project / log),
            )
            for call, log in zip(calls, self._logs(calls), strict=True)
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Path:
        """The folder: the vendors' reports are read where all of them are."""
        return project

    def outputs(self) -> tuple[str, ...]:
        """Files that the stage leaves inside the project, whichever way the tool is started."""
        files = (
            file
            for way in self.driver.ways
            for call in way.calls(self.top).get(self.stage, ())
            for file in call.outputs
        )
        return tuple(dict.fromkeys(files))

    def log(self, tools: Sequence[FoundTool]) -> str:
        """The log of the stage's last call, inside the project."""
        return self._logs(self._calls(tools[0]))[-1]

    def _calls(self, main: FoundTool) -> tuple[Call, ...]:
        return next(way for way in self.driver.ways if way.programs[0] == main.name).calls(self.top).get(self.stage, ())

    def _logs(self, calls: Sequence[Call]) -> list[str]:
        if len(calls) == 1:
            return [f"{LOGS}/{self.stage.value}.log"]
        return [f"{LOGS}/{self.stage.value}_{at}.log" for at in range(1, len(calls) + 1)]

    def _missing(self, name: str, looked_for: str) -> ToolMissingError:
        typed = by_hand(self.driver, self.top, (self.stage,))
        return ToolMissingError(
            f"not on PATH: neither {looked_for}" if " nor " in looked_for else f"not on PATH: {looked_for}",
            where=f"{name} (for {self.stage.value})",
            remedy=remedy(
                *(f"{self.driver.install}. Without it: ", build(synth=False)),
                " writes the project and compares it with the emulator by C simulation; "
                f"start `{typed}` in the project's folder on a machine that has the tool",
            ),
        )


def on_path(program: str) -> FoundTool | None:
    """Return the program on PATH, with the version that its installation tells; None if it is not there."""
    place = shutil.which(program)
    if place is None:
        return None
    return FoundTool(program, Path(place), version_in(place), Origin.PATH)


def version_in(place: str) -> str:
    """The version that stands in the path of an installation; empty if none does."""
    version = _VERSION.search(str(Path(place).resolve()))
    return version[0] if version else ""
