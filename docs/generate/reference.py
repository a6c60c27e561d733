"""Writes the reference pages of what has names of its own: commands and their options, keys of reports, errors.

``make docs`` renews them; a test keeps them and the code equal.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from bitsmith import errors
from bitsmith.cli.commands import COMMANDS as BY_NAME
from bitsmith.cli.commands import app
from bitsmith.converters import Familiar
from bitsmith.devices.board import read_board, serial_boards
from bitsmith.options.building import BUILD_OPTIONS, BuildOptions
from bitsmith.options.option import Option
from bitsmith.options.table import OPTIONS
from bitsmith.report.sections import SECTIONS, FigureSet, Key

_ROLE = re.compile(r":\w+:(?=`)")
"""The kind of thing that a name in a docstring is of."""

COMMANDS = """# Commands and options

`-h` shows the same. [The command line](cli.md) says how the commands work together.
"""
OPTION_PAGE = """# Options

Each option is an argument of `bitsmith.convert` and the functions around it, a key of
[project configurations](configuration.md), and an option of the [commands](command-reference.md) that convert. The
meaning is the same. Keys below `HLSConfig` and `WriterConfig` are keys of these sections.

Options that belong together are a dictionary: with `target = {"board": "ulx3s-85f", "clock_period": 10}`, several models
have one target by `convert(model, **target)` ([decision 72](decisions/072-options-are-keywords-and-groups-are-dictionaries.md)).
"""
BUILD_PART = """## Builds

Arguments of `Model.build`, `Model.plan` and `Split.build`, and options of `bitsmith build`.
"""
KEYS = """# Keys of reports

`report["Section"]["Key"]` of what `build` returns, and `report.json` in the project folder. A figure that is not
known has no entry. `report.find(bitsmith.report.sections.Resources)` is the same section with typed fields, `None` where there is
none. Shares (%) are fractions of one.
"""
ERRORS = """# Errors and warnings

Every error that is raised on purpose derives from `bitsmith.errors.BitsmithError` and has four fields, all texts; all but the
first may be empty:

- `found`: what was found, as a sentence,
- `where`: the layer, file, key or command it was found in,
- `accepted`: what would have been accepted,
- `remedy`: what to do next.

`str(error)` joins them. On the command line the remedy is worded as options, `--json` gives the fields, and the exit code is 1.
Any other exception is a defect of bitsmith: please report it.
"""

_LOADS = "<!-- loads of boards -->\n", "<!-- end -->\n"


def commands() -> str:
    """All commands with their arguments and options."""
    group = typer.main.get_command(app)
    parts = [COMMANDS]
    for name, command in group.commands.items():
        parts += [
            f"## bitsmith {name}\n",
            f"{_sentence(command.help)}\n",
            *_table(("option", "takes", "meaning"), _options(command.params)),
            "```",
            *BY_NAME[name].lines(name),
            "```\n",
        ]
    return "\n".join(parts)


def _options(params: Iterable[Any]) -> Iterator[tuple[str, str, str]]:
    """Rows of the parameters; typer has its own classes of them, or click's."""
    for one in params:
        option = one.param_type_name == "option"
        names = (
            " ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
            if option
            else f"`{one.metavar or one.name.upper()}`"
        )
        value = f"`{one.metavar}`" if option and one.metavar else "" if getattr(one, "is_flag", not option) else "value"
        yield names, value, _sentence(one.help)


def _sentence(help_text: str | None) -> str:
    return " ".join((help_text or "").split()).replace("|", "\\|")


def options() -> str:
    """All options under all of their names."""
    rows = ((_argument(option), _key(option), _flag(option), _meant(option)) for option in OPTIONS)
    asked = ((_argument(option), _flag(option), _meant(option)) for option in BUILD_OPTIONS)
    conversions = _table(("argument", "key", "command line", "meaning"), rows)
    return "\n".join((OPTION_PAGE, *conversions, BUILD_PART, *_table(("argument", "command line", "meaning"), asked)))


def _argument(option: Option) -> str:
    if option.name not in {"output_dir", *Familiar.__annotations__, *BuildOptions.__annotations__}:
        return ""
    return f"`{option.name}`" if option.default is None else f"`{option.name}={option.default!r}`"


def _key(option: Option) -> str:
    return "" if option.key is None else f"`{option.key.path}`"


def _flag(option: Option) -> str:
    if option.flag is None:
        return ""
    return " ".join(f"`{name}`" for name in option.flag.names or (f"--{option.name.replace('_', '-')}",))


def _meant(option: Option) -> str:
    return _sentence(_ROLE.sub("", option.doc)).replace("``", "`")


def report_keys() -> str:
    """All sections with the keys of their figures."""
    parts = [KEYS]
    for name, section in SECTIONS.items():
        rows = typing.get_type_hints(section).get("rows")
        kind = typing.get_args(rows)[0] if rows else section
        about = inspect.getdoc(section) or ""
        parts += [f"## {name}\n", f"{about.splitlines()[0]}\n"]
        if rows:
            parts.append("A list of rows:\n")
        if isinstance(kind, type) and issubclass(kind, FigureSet):
            parts += _table(("key", "type", "unit"), _figures(kind))
        else:
            parts.append("Its keys say what each file is.\n")
    return "\n".join(parts)


def _figures(kind: type[FigureSet]) -> Iterator[tuple[str, str, str]]:
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        if name != "others":
            union, key = typing.get_args(hint)
            assert isinstance(key, Key)
            yield f"`{key.name}`", typing.get_args(union)[0].__name__, key.unit


def error_list() -> str:
    """All errors and warnings with what they mean."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
    tables = (
        ("Errors", [kind for kind in kinds if issubclass(kind, errors.BitsmithError)]),
        ("Warnings", [kind for kind in kinds if issubclass(kind, Warning)]),
    )
    parts = [ERRORS]
    for title, listed in tables:
        rows = ((f"`{kind.__name__}`", f"`{kind.__base__.__name__}`", _meaning(kind)) for kind in listed)
        parts += [f"## {title}\n", *_table(("class", "derives from", "means"), rows)]
    return "\n".join(parts)


def serial_port() -> str:
    """The page on serial ports with the commands that load each board, boards with the same ones together."""
    loads = dict[tuple[str, ...], list[str]]()
    for board in map(read_board, serial_boards()):
        loads.setdefault(board.loading("FILE"), []).append(board.name)
    rows = ((", ".join(names), ", or ".join(f"`{command}`" for command in load)) for load, names in loads.items())
    page = (Path(__file__).parents[1] / "serial-port.md").read_text(encoding="utf-8")
    before, _, after = page.partition(_LOADS[0])
    return "".join((before, _LOADS[0], *_table(("board", "command"), rows), _LOADS[1], after.partition(_LOADS[1])[2]))


def _meaning(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    return ["\n".join(lines) + "\n"]


PAGES: Mapping[str, Callable[[], str]] = {
    "command-reference.md": commands,
    "options.md": options,
    "report-keys.md": report_keys,
    "errors.md": error_list,
    "serial-port.md": serial_port,
}

if __name__ == "__main__":
    for name, text in PAGES.items():
        (Path(sys.argv[1]) / name).write_text(text(), encoding="utf-8")
