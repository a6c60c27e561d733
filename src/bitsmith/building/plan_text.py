"""Commands as people read them: the same on every machine that has the tools, in whatever folders.

In: a stage's commands and tools. Out: lines of text. Makefiles, which must run, have the real paths
(`bitsmith.building.makefile`).
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bitsmith.flows.run import Command, inside
from bitsmith.flows.tools import FoundTool

_PACKAGE = Path(__file__).parents[1]
_DIGEST = re.compile(r"(?<=[-/])[0-9a-f]{16,64}(?=\.)")
"""Stands in names of files for all that they are made of."""


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
