"""Stages as a Makefile that runs without this package."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from bitsmith.building.stages import Stage
from bitsmith.flows.run import Command, inside
from bitsmith.flows.tools import FoundTool
from bitsmith.version import __version__

EXPECTED = ".expected"
"""Ends the name of a file with the content that another must have."""


MAKEFILE = "Makefile"
"""The file that make reads unless it is told of another."""


def makefile(name: str, folder: Path, stages: Sequence[Stage], file: str = MAKEFILE) -> str:
    """The text of the Makefile, called ``file``, of a project whose files are in ``folder``: a target per stage.

    Programs are variables, so that others can be taken; those that are not there are looked for on PATH. Where a stage's
    results are known beforehand, its target compares them.
    """
    targets = [_target(stage) for stage in stages]
    programs: dict[str, Path] = {}
    rules = []
    for stage, target in zip(stages, targets, strict=True):
        tools = stage.find()
        programs |= {_variable(tool): tool.path for tool in tools}
        needs = [_target(other) for other in stages if other.name in stage.needs]
        rules += ["", " ".join((f"{target}:", *needs))]
        commands = stage.flow().commands(folder, tools)
        places = dict.fromkeys(inside(folder, command.log.parent) for command in commands)
        rules += [f"\t@mkdir -p {' '.join(map(_quoted, places))}"] if places else []
        rules += [f"\t{_line(command, folder, tools)}" for command in commands]
        rules += [f"\tcmp {_quoted(path)} {_quoted(path + EXPECTED)}" for path in stage.expected()]
    variables = [f"{variable} ?= {_escaped(str(path))}" for variable, path in programs.items()]
    start = "make" if file == MAKEFILE else f"make -f {file}"
    head = [
        f"# The build of {name}, written by bitsmith {__version__}. Start in this folder: {start}, or {start} with a target."
    ]
    every = " ".join(targets)
    return "\n".join([*head, *variables, "", f".PHONY: all {every}", ".NOTPARALLEL:", f"all: {every}", *rules, ""])


def _line(command: Command, folder: Path, tools: Sequence[FoundTool]) -> str:
    """``command`` as a line of a shell in ``folder``, as a Makefile spells it; programs of ``tools`` are variables."""
    program, *arguments = command.argv
    variable = next((f'"$({_variable(tool)})"' for tool in tools if str(tool.path) == program), _quoted(program))
    place = inside(folder, command.cwd)
    return " ".join(
        (
            *([f"test -e {_quoted(str(command.unless[-1]))} ||"] if command.unless else []),
            *([f"cd {_quoted(place)} &&"] if place != "." else []),
            *(f"{name}={_quoted(value)}" for name, value in command.env),
            variable,
            *map(_quoted, arguments),
        )
    )


def _target(stage: Stage) -> str:
    return stage.name.replace(" ", "-")


def _variable(tool: FoundTool) -> str:
    return re.sub(r"\W", "_", tool.name).upper()


def _escaped(text: str) -> str:
    return text.replace("$", "$$").replace("#", "\\#")


def _quoted(text: str) -> str:
    return shlex.quote(text).replace("$", "$$")
