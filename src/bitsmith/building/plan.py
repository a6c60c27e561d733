"""A build that has not run, as a value, and its commands as people read them.

These are the same on every machine that has the tools, in whatever folders. Makefiles, which must run, have the real paths
(`bitsmith.building.makefile`).
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.base.progress import tell
from bitsmith.base.project import Project
from bitsmith.building.makefile import EXPECTED, MAKEFILE, makefile
from bitsmith.building.stages import Sections, Sources, Stage, together
from bitsmith.flows.run import Command, inside
from bitsmith.flows.tools import FoundTool
from bitsmith.report.live import working
from bitsmith.report.shown import Shown
from bitsmith.report.summary import Design

_SHOWN_FILES = 8

_BESIDE = "stages.mk"
"""The Makefile of the stages, beside that of a vendor's tool."""

WEIGHTS = "weights"
"""The folder of the texts of trained tensors, in the project; all texts in it are ours."""

_PACKAGE = Path(__file__).parents[1]
_DIGEST = re.compile(r"(?<=[-/])[0-9a-f]{16,64}(?=\.)")
"""Stands in names of files for all that they are made of."""


@dataclass(frozen=True, slots=True)
class Plan(Shown):
    """Files and stages of a build, in order. It prints as a list of files and commands, whatever folders the tools are in.

    Args:
        folder: the project folder.
        name: of the project.
        design: the network, as the report describes it.
        scripts: files that are cheap to make and that no result follows from.
        finish: from the folder and the sections of all stages, the sections of the report and further notes.
        reset: forget earlier results.
        known: sections that need no run.
        command: the call that asked for the build.
        archive: what the project folder is packed into when it has been written; None: it is not.
    """

    folder: Path
    name: str
    design: Design
    sources: Sources
    scripts: Callable[[], Mapping[str, str]]
    stages: tuple[Stage, ...]
    finish: Callable[[Path, Sections], tuple[Sections, tuple[str, ...]]]
    reset: bool = False
    known: Sections = ()
    command: str = ""
    archive: Path | None = None

    def files(self) -> Mapping[str, str | bytes]:
        """All files that the commands read, and the expected content of those that they leave: path -> content."""
        read = (stage.written().files() for stage in self.stages)
        left = ({f"{path}{EXPECTED}": text for path, text in stage.expected().items()} for stage in self.stages)
        return together(self.sources.generate().files, self.scripts(), *read, *left)

    def makefile(self) -> str:
        """The text of a Makefile that runs all stages without this package, in a folder with :meth:`files`."""
        return makefile(self.name, self.folder.absolute(), self.stages)

    def write(self, folder: str | Path | None = None) -> Path:
        """Write all files and the Makefile into ``folder``, by default the project folder; the path of the Makefile.

        It is called ``stages.mk`` where the vendor's tool has a Makefile of its own.

        Raises:
            ProjectError.
        """
        with working("writing"):
            tell(f"{self.sources.name}: {self.sources.title}")
            files = self.files()  # before anything is written
        name = _BESIDE if MAKEFILE in files else MAKEFILE
        with Project.open(self.folder if folder is None else folder, self.name, self.design.outline) as project:
            self.write_scripts(project)
            *_, path = project.write(together(files, {name: makefile(self.name, project.folder, self.stages, name)}))
            if self.archive is not None and folder is None:
                project.pack(self.archive)
            return path

    def write_scripts(self, project: Project) -> None:
        """Write the scripts, and remove the values of weights that are not among them: those of an earlier model."""
        scripts = self.scripts()
        project.write(scripts)
        project.remove(f"{WEIGHTS}/*.txt", scripts.keys())

    def __str__(self) -> str:
        lines = [f"{self.name} in {self.folder}", *_step(self.sources.name, self.sources.title)]
        lines.append(f"  writes {_few([*self.sources.generate().files, *self.scripts()])}")
        folder = self.folder.absolute()
        for stage in self.stages:
            tools, flow = stage.find(), stage.flow()
            commands = flow.commands(folder, tools)
            lines += _step(stage.name, stage.title)
            lines.append(f"  reads {_few([f'files of {need}' for need in stage.needs] + list(flow.files()))}")
            lines += [f"  {line}" for line in command_lines(commands, folder, tools)]
            outputs = [portable_path(path, folder) for command in commands for path in command.outputs]
            lines += [f"  leaves {_few(outputs)}"] if outputs else []
        return "\n".join(lines)


def _step(name: str, title: str) -> list[str]:
    return [f"{name}: {title}" if title else name]


def _few(names: Iterable[str]) -> str:
    first, rest = (listed := list(names))[:_SHOWN_FILES], len(listed) - _SHOWN_FILES
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")


def command_lines(commands: Sequence[Command], folder: Path, tools: Sequence[FoundTool]) -> list[str]:
    """Commands as lines of a shell in ``folder``; those that fill a cache of this machine come as the files that they leave.

    Programs are called by their names; the places of tools, of this package and of caches are names in angle brackets.
    """
    places = _places(commands, tools)
    kept = dict.fromkeys(place for command in commands for place in command.unless)
    cached = [f"once for all projects: {', '.join(_portable(str(path), places) for path in kept)}"] if kept else []
    return [*cached, *(f"$ {_line(command, folder, places)}" for command in commands if not command.unless)]


def portable_path(path: Path, folder: Path) -> str:
    """The path of a file of the project, without what differs between machines."""
    return _DIGEST.sub("<digest>", path.relative_to(folder).as_posix())


def _places(commands: Sequence[Command], tools: Sequence[FoundTool]) -> Mapping[str, str]:
    """Return the words that stand for paths of this machine, longer ones first."""
    named = {sys.executable: "python", str(_PACKAGE): "<bitsmith>"}
    named |= {str(place.parent): "<cache>" for command in commands for place in command.unless}
    for tool in tools:
        named |= {value: f"<{tool.name}>" for _, value in tool.env}
        named[str(tool.path)] = tool.name
    return dict(sorted(named.items(), key=lambda item: -len(item[0])))


def _portable(text: str, places: Mapping[str, str]) -> str:
    for path, name in places.items():
        text = re.sub(rf"(?<![\w/]){re.escape(path)}(?![\w-])", name, text)
    return _DIGEST.sub("<digest>", text)


def _line(command: Command, folder: Path, places: Mapping[str, str]) -> str:
    place = inside(folder, command.cwd)
    own = [f"{name}={value}" for name, value in command.env if value not in places]
    words = [_portable(word, places) for word in (*own, *command.argv)]
    before = f"cd {shlex.quote(place)} && " if place != "." else ""
    return before + " ".join(word if re.fullmatch(r"[\w@%+=:,./<>-]+", word) else shlex.quote(word) for word in words)
