"""Reading what vendors' tools leave behind, with care.

In: report files, which are untrusted. Out: bounded text without control characters, XML without a document type, JSON,
and numbers. What the figures mean is known to the reader of each tool, not here.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file that a vendor's tool has left, which is untrusted; errors name it."""

    path: Path

    def wrong(self, found: str) -> ProjectError:
        """The error about a file that is not what its tool writes."""
        return ProjectError(found, where=str(self.path), remedy="run that stage of the vendor's tool again")

    @property
    def exists(self) -> bool:
        """Return True if it is a regular file.

        Raises:
            ProjectError: the folders on the way cannot be read.
        """
        try:
            return self.path.is_file()
        except OSError as error:
            raise self.wrong(f"cannot be read ({error.strerror})") from error

    def text(self) -> str:
        """The text without control characters.

        Raises:
            ProjectError: it cannot be read, or is larger than ``MAX_BYTES``.
        """
        return plain(self._read().decode("utf-8", errors="replace"))

    def xml(self) -> Element:
        """The root of the XML.

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
                raise self.wrong(f"elements nested deeper than {_MAX_DEPTH}")
            if nodes > MAX_NODES:
                raise self.wrong(f"more than {MAX_NODES:,} elements and attributes")
            builder.start(tag, attributes)

        def end(tag: str) -> None:
            nonlocal depth
            depth -= 1
            builder.end(tag)

        def refuse(*_: object) -> None:
            raise self.wrong("an XML file with a document type, which can define entities")

        parser = expat.ParserCreate("utf-8")
        parser.StartDoctypeDeclHandler = refuse
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = builder.data
        try:
            parser.Parse(self._read().lstrip(), True)
            return builder.close()
        except (expat.ExpatError, ValueError) as error:
            raise self.wrong(f"not a readable XML file ({error})") from error

    def json(self, text: str) -> Json:
        """The JSON value that starts ``text``.

        Raises:
            ProjectError: the text does not start with a JSON value, or with one of more than ``MAX_NODES`` parts or with
                numbers beyond what a report can hold.
        """
        if text.count("[") + text.count("{") > MAX_NODES:
            raise self.wrong(f"more than {MAX_NODES:,} lists and objects")
        decoder = json.JSONDecoder(parse_int=_json_int, parse_float=_json_float, parse_constant=_json_float)
        try:
            value: Json = decoder.raw_decode(text.lstrip())[0]
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"not a readable JSON value ({error})") from error
        return value

    def json_lines(self) -> list[Json]:
        """The JSON values of which it has one to a line.

        Raises:
            ProjectError: as :meth:`json` of each line, or more than ``MAX_NODES`` lines.
        """
        text = self.text()
        if text.count("\n") > MAX_NODES:
            raise self.wrong(f"more than {MAX_NODES:,} lines")
        return [self.json(line) for line in text.splitlines() if line.strip()]

    def number(self, value: object, what: str) -> Number | None:
        """A figure as a number; None where the tool wrote that it has none.

        Raises:
            ProjectError: neither a number nor one of the usual signs for a missing one.
        """
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        if not isinstance(value, str):
            raise self.wrong(f"{what} is not a number")
        word = value.strip().replace(",", "")
        if word.lower() in _NOT_GIVEN:
            return None
        if not _NUMBER.fullmatch(word):
            raise self.wrong(f"{what} is {word[:40]!r}, not a number")
        return int(word) if word.lstrip("+-").isdecimal() else float(word)

    def figures(self, values: Mapping[str, object]) -> dict[str, Number]:
        """Those of ``values`` that are there, as numbers.

        Raises:
            ProjectError: as :meth:`number`.
        """
        read = {key: self.number(value, key) for key, value in values.items()}
        return {key: value for key, value in read.items() if value is not None}

    def checked_name(self, name: str) -> str:
        """``name`` of a project, solution or function as found in it, fit to be part of a path.

        Raises:
            ProjectError: it could lead elsewhere.
        """
        if not _NAME.fullmatch(name):
            raise self.wrong(f"the name {name[:60]!r}")
        return name

    def samples(self) -> list[list[Number]]:
        """The results of a simulation: a list of numbers per line of the log, the nearest float for one of many digits.

        Raises:
            ProjectError: a line with something that is not a number.
        """
        rows: list[list[Number]] = []
        for row, line in enumerate(self.text().splitlines(), 1):
            values = [self._sample(word, f"a result in line {row}") for word in line.split()]
            if None in values:
                raise self.wrong(f"a result in line {row} is missing")
            if values:
                rows.append([value for value in values if value is not None])
        return rows

    def _sample(self, word: str, what: str) -> Number | None:
        return float(word) if len(word) > 18 and _EXACT.fullmatch(word) else self.number(word, what)

    def _read(self) -> bytes:
        try:
            with open_file(self.path) as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self.wrong(f"cannot be read ({error.strerror})") from error
        if len(data) > MAX_BYTES:
            raise self.wrong(f"a report of more than {MAX_BYTES >> 20} MiB")
        return data


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


def plain(text: str) -> str:
    """``text`` without what a terminal would obey instead of show."""
    return text.translate(_UNPRINTABLE)


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


def stages(readers: Mapping[str, tuple[Path, Callable[[ReportFile], object]]]) -> Figures:
    """The sections of all stages that have left a report with figures."""
    files = {name: (ReportFile(path), reader) for name, (path, reader) in readers.items()}
    read = {name: reader(file) for name, (file, reader) in files.items() if file.exists}
    return {name: section for name, section in read.items() if section}


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables drawn in ``text`` with bars."""
    for line in text.splitlines():
        stripped = line.strip()
        if len(stripped) > 1 and stripped.startswith("|") and stripped.endswith("|"):
            yield [cell.strip() for cell in stripped[1:-1].split("|")]


def _json_int(text: str) -> int:
    if len(text) > 19:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _json_float(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"the number {text[:40]}")
    return float(text)
