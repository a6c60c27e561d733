"""Stages as a Makefile that runs without this package, on any machine that has the tools."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from bitsmith.building.stages import Stage
from bitsmith.flows.run import Command, inside
from bitsmith.flows.tools import FoundTool, Origin
from bitsmith.version import __version__

EXPECTED = ".expected"
"""Ends the name of a file with the content that another must have."""


MAKEFILE = "Makefile"
"""The file that make reads unless it is told of another."""


def makefile(name: str, folder: Path, stages: Sequence[Stage], file: str = MAKEFILE) -> str:
    """The text of the Makefile, called ``file``, of a project whose files are in ``folder``: a target per stage with commands.

    Programs are variables, and are looked for on PATH. Where a stage's results are known beforehand, its target compares them.
    """
    programs: dict[str, FoundTool] = {}
    rules: dict[str, list[str]] = {}
    for stage in stages:
        flow = stage.written()
        tools = stage.find()
        commands = flow.commands(folder, [_anywhere(tool) for tool in tools])
        if not commands:
            continue
        programs |= {_variable(tool): tool for tool in tools}
        needs = [target for target in rules if target in map(_target, stage.needs)]
        places = dict.fromkeys(inside(folder, command.log.parent) for command in commands)
        rules[_target(stage.name)] = [
            " ".join((f"{_target(stage.name)}:", *needs)),
            f"\t@mkdir -p {' '.join(map(_quoted, places))}",
            *(f"\t{_line(command, folder, tools)}" for command in commands),
            *(f"\tcmp {_quoted(path)} {_quoted(path + EXPECTED)}" for path in stage.expected()),
        ]
    variables = [f"{name} ?= {_called(tool)}" for name, tool in programs.items() if name != "MAKE"]
    start = "make" if file == MAKEFILE else f"make -f {file}"
    head = [
        f"# The build of {name}, written by bitsmith {__version__}. Start in this folder: {start}, or {start} with a target.",
        "# It needs the programs below, on PATH or given as in VARIABLE=program, and no bitsmith.",
    ]
    every = " ".join(rules)
    texts = [line for rule in rules.values() for line in ("", *rule)]
    return "\n".join([*head, *variables, "", f".PHONY: all {every}", ".NOTPARALLEL:", f"all: {every}", *texts, ""])


def _anywhere(tool: FoundTool) -> FoundTool:
    """``tool`` as any machine may have it: its variable stands for its path, between signs that no shell quotes."""
    return FoundTool(tool.name, Path(f"@{_variable(tool)}@"), "", Origin.PATH)


def _called(tool: FoundTool) -> str:
    """The name of the program that is on PATH, of those that the tool may be; that of the first if none is."""
    first, *others = tool.programs or (tool.name,)
    if not others:
        return first
    names = " ".join((first, *others, first))
    return f"$(shell for name in {names}; do command -v $$name >/dev/null && break; done; echo $$name)"


def _line(command: Command, folder: Path, tools: Sequence[FoundTool]) -> str:
    """``command`` as a line of a shell in ``folder``, as a Makefile spells it; programs of ``tools`` are variables."""
    place = inside(folder, command.cwd)
    words = (
        *([f"cd {_quoted(place)} &&"] if place != "." else []),
        *(f"{name}={_quoted(value)}" for name, value in command.env),
        *map(_quoted, command.argv),
    )
    return re.sub(rf"@({'|'.join(map(_variable, tools))})@", r"$(\1)", " ".join(words)) if tools else " ".join(words)


def _target(name: str) -> str:
    return name.replace(" ", "-")


def _variable(tool: FoundTool) -> str:
    return re.sub(r"\W", "_", tool.name).upper()


def _quoted(text: str) -> str:
    return shlex.quote(text).replace("$", "$$")
