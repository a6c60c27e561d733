"""Reading what vendors' tools leave behind, with care.

In: report files, which are untrusted. Out: bounded text without control characters, XML without a document type, JSON,
and numbers. What the figures mean is known to the reader of each tool, not here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from bitsmith.base.files import open_file
from bitsmith.errors import ProjectError
from bitsmith.errors.remedies import OPEN, build, given, remedy

Number: TypeAlias = int | float
Figures: TypeAlias = dict[str, object]
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_BYTES = 64 << 20
MAX_NODES = 1_000_000  # of a parsed tree: each takes far more memory than the few bytes that make one
_MAX_DEPTH = 64
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,60})?(?:[eE][+-]?[0-9]{1,2})?")
_EXACT = re.compile(r"[+-]?[0-9]{1,200}(?:\.[0-9]{0,1200})?")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_NOT_GIVEN = frozenset({"", "-", "?", "x", "na", "n/a", "nan", "tbd", "undef"})
# C0 except tab and newline, DEL, C1; surrogates; separators and marks that reorder or break a line on a terminal.
_UNPRINTABLE = {
    code: None
    for codes in (
        range(9),
        range(11, 32),
        range(127, 160),
        range(0xD800, 0xE000),
        range(0x2028, 0x202F),
        range(0x2066, 0x206A),
    )
    for code in codes
}


def malformed(found: str, path: Path) -> ProjectError:
    """The error about a report file that is not what its tool writes."""
    return ProjectError(found, where=str(path), remedy="run that stage of the vendor's tool again")


def existing_folder(output_dir: str | os.PathLike[str]) -> Path:
    """``output_dir`` as a path.

    Raises:
        ProjectError: there is no such folder.
    """
    folder = Path(output_dir)
    try:
        if folder.is_dir():
            return folder
    except OSError as error:
        raise ProjectError(f"cannot be read ({error.strerror})", where=str(folder)) from error
    raise ProjectError(
        "no such folder",
        where=str(folder),
        remedy=remedy("give the folder that was chosen with ", given(output_dir=OPEN), ", after ", build()),
    )


def nothing_found(folder: Path, tool: str) -> ProjectError:
    """The error about a folder in which no stage of ``tool`` has left a report."""
    return ProjectError(
        f"no report of {tool} in this folder",
        where=str(folder),
        accepted=f"the folder of a project in which at least one stage of {tool} has run",
        remedy=remedy("run ", build(), ", or that tool on the project"),
    )


def present(path: Path) -> bool:
    """Return True if ``path`` is a regular file.

    Raises:
        ProjectError: the folders on the way cannot be read.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise malformed(f"cannot be read ({error.strerror})", path) from error


def read_text(path: Path) -> str:
    """The text of a report without control characters.

    Raises:
        ProjectError: it cannot be read, or is larger than ``MAX_BYTES``.
    """
    return plain(_read(path).decode("utf-8", errors="replace"))


def plain(text: str) -> str:
    """``text`` without what a terminal would obey instead of show."""
    return text.translate(_UNPRINTABLE)


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    A document type is refused: it is where entities come from, and no vendor's report has one.

    Raises:
        ProjectError: not well-formed, too deep, too large, or with a document type.
    """
    builder = TreeBuilder()
    depth = nodes = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, nodes
        depth, nodes = depth + 1, nodes + 1 + len(attributes)
        if depth > _MAX_DEPTH:
            raise malformed(f"elements nested deeper than {_MAX_DEPTH}", path)
        if nodes > MAX_NODES:
            raise malformed(f"more than {MAX_NODES:,} elements and attributes", path)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise malformed("an XML file with a document type, which can define entities", path)

    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(_read(path).lstrip(), True)
        return builder.close()
    except (expat.ExpatError, ValueError) as error:
        raise malformed(f"not a readable XML file ({error})", path) from error


def read_json(text: str, path: Path) -> Json:
    """The JSON value that starts ``text``; ``path`` is for the error.

    Raises:
        ProjectError: the text does not start with a JSON value, or with one of more than ``MAX_NODES`` parts or with
            numbers beyond what a report can hold.
    """
    if text.count("[") + text.count("{") > MAX_NODES:
        raise malformed(f"more than {MAX_NODES:,} lists and objects", path)
    decoder = json.JSONDecoder(parse_int=_json_int, parse_float=_json_float, parse_constant=_json_float)
    try:
        value: Json = decoder.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError) as error:
        raise malformed(f"not a readable JSON value ({error})", path) from error
    return value


def read_json_lines(path: Path) -> list[Json]:
    """The JSON values of a file that has one to a line.

    Raises:
        ProjectError: as :func:`read_json` of each line, or more than ``MAX_NODES`` lines.
    """
    text = read_text(path)
    if text.count("\n") > MAX_NODES:
        raise malformed(f"more than {MAX_NODES:,} lines", path)
    return [read_json(line, path) for line in text.splitlines() if line.strip()]


def dig(value: Json, *steps: str | int) -> Json:
    """Return the item of ``value`` under keys and indices in turn; None if a step leads nowhere."""
    for step in steps:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def number(value: object, what: str, path: Path) -> Number | None:
    """A figure as a number; None where the tool wrote that it has none.

    Raises:
        ProjectError: neither a number nor one of the usual signs for a missing one.
    """
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        raise malformed(f"{what} is not a number", path)
    word = value.strip().replace(",", "")
    if word.lower() in _NOT_GIVEN:
        return None
    if not _NUMBER.fullmatch(word):
        raise malformed(f"{what} is {word[:40]!r}, not a number", path)
    return int(word) if word.lstrip("+-").isdecimal() else float(word)


def figures(values: Mapping[str, object], path: Path) -> dict[str, Number]:
    """Those of ``values`` that are there, as numbers.

    Raises:
        ProjectError: as :func:`number`.
    """
    read = {key: number(value, key, path) for key, value in values.items()}
    return {key: value for key, value in read.items() if value is not None}


def stages(readers: Mapping[str, tuple[Path, Callable[[Path], object]]]) -> Figures:
    """The sections of all stages that have left a report with figures."""
    read = {name: reader(path) for name, (path, reader) in readers.items() if present(path)}
    return {name: section for name, section in read.items() if section}


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables drawn in ``text`` with bars."""
    for line in text.splitlines():
        stripped = line.strip()
        if len(stripped) > 1 and stripped.startswith("|") and stripped.endswith("|"):
            yield [cell.strip() for cell in stripped[1:-1].split("|")]


def file_name(name: str, path: Path) -> str:
    """``name`` of a project, solution or function as found in the file ``path``, fit to be part of a path.

    Raises:
        ProjectError: it could lead elsewhere.
    """
    if not _NAME.fullmatch(name):
        raise malformed(f"the name {name[:60]!r}", path)
    return name


def samples(path: Path) -> list[list[Number]]:
    """The results of a simulation: a list of numbers per line of the log, the nearest float for one of many digits.

    Raises:
        ProjectError: a line with something that is not a number.
    """
    rows: list[list[Number]] = []
    for row, line in enumerate(read_text(path).splitlines(), 1):
        values = [_sample(word, f"a result in line {row}", path) for word in line.split()]
        if None in values:
            raise malformed(f"a result in line {row} is missing", path)
        if values:
            rows.append([value for value in values if value is not None])
    return rows


def _sample(word: str, what: str, path: Path) -> Number | None:
    return float(word) if len(word) > 18 and _EXACT.fullmatch(word) else number(word, what, path)


def _read(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise malformed(f"cannot be read ({error.strerror})", path) from error
    if len(data) > MAX_BYTES:
        raise malformed(f"a report of more than {MAX_BYTES >> 20} MiB", path)
    return data


def _json_int(text: str) -> int:
    if len(text) > 19:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _json_float(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"the number {text[:40]}")
    return float(text)
