"""Stages of a build, as values: sources that are written, and stages of tools that work on them.

Nothing here knows a tool, a device or a vendor.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from bitsmith.base.project import digest
from bitsmith.building.job import Job
from bitsmith.errors import ProjectError
from bitsmith.flows.run import Flow
from bitsmith.flows.tools import FoundTool
from bitsmith.report.sections import Section

Sections: TypeAlias = tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """Files by their paths in the project, notes for the report, and sections, which are remembered as those of stages are."""

    files: Mapping[str, str | bytes]
    notes: tuple[str, ...] = ()
    sections: Sections = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that all stages work on.

    Args:
        name: of this step in reports.
        title: of this step in progress.
        digest: of everything that the files follow from; unless it changes they are not generated again.
        generate: makes the files.
        owned: a pattern of files in the project that are removed unless a step has written them.
        seconds: about what generating them takes on a slow core.
    """

    name: str
    title: str
    digest: str
    generate: Callable[[], Generated]
    owned: str
    seconds: float


Content = TypeVar("Content")


def together(*writers: Mapping[str, Content]) -> dict[str, Content]:
    """The files of all ``writers``, by path; a file that several write is one and the same.

    Raises:
        ProjectError: two contents for one path.
    """
    files: dict[str, Content] = {}
    for written in writers:
        for path, content in written.items():
            if files.setdefault(path, content) != content:
                raise ProjectError("two contents for one file", where=path, remedy="please report this")
    return files


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of external tools.

    The stage is not run again while its options, its tools and the files that its ``needs`` left are the same, and the outputs
    of its own commands are as they were.

    Args:
        name: in reports.
        title: what it works on, in progress.
        find: the tools, also those that are not there, without which the stage does not run.
        flow: scripts, commands, and how figures are read; made only when the stage must run.
        needs: names of the sources and stages whose files it reads.
        options: everything else that its result follows from.
        log: path in the project.
        rewritten: later stages may write its outputs again, so that only their existence counts.
        outdates: files of later stages that are removed when it runs.
        reported: it has a row in the report; otherwise its time counts for the next stage.
        seconds: about what it takes on a slow core, asked for when it runs; None if that is not known.
        by_hand: the flow of those who run commands without this package, if another: ``flow`` may compute in this process.
        expected: the content that files must have after its commands.
    """

    name: str
    title: str
    find: Callable[[], tuple[FoundTool, ...]]
    flow: Callable[[], Flow[Sections]]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    log: str = ""
    rewritten: bool = False
    outdates: tuple[str, ...] = ()
    reported: bool = True
    seconds: Callable[[], float] | None = None
    by_hand: Callable[[], Flow[object]] | None = None
    expected: Callable[[], Mapping[str, bytes]] = dict

    def written(self) -> Flow[object]:
        """The flow of those who run its commands without this package."""
        return self.flow() if self.by_hand is None else self.by_hand()


def job_digest(job: Job) -> str:
    """A digest of everything that the sources of ``job`` follow from."""
    target = replace(
        job.target, output_dir=Path(), input_data=None, board=None, write_weights_txt=False, write_tar=False
    )
    return digest(*map(repr, (job.program_digest, job.directives, target, job.layouts)), _package())


@functools.cache
def _package() -> str:
    """A digest of all code of this package, the compiled solver included, without which adder graphs are others."""
    folder = Path(__file__).parents[1]
    kinds = (".py", ".sv", ".v", ".h", ".tcl", ".in", ".so", ".pyd")
    code = (path for path in sorted(folder.rglob("*")) if path.suffix in kinds)
    return digest(*code)
