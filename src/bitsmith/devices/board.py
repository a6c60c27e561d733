"""Boards: TOML files of one schema, ours beside this module, a user's anywhere.

In: the name of a board or the path of a file. Out: a `Board`, every value checked, so that none can be more than a word in a
constraints file.
"""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from bitsmith.base.files import open_file
from bitsmith.devices.family import Family, Part, Pin, PlaceAndRoute
from bitsmith.devices.parts import elsewhere, part_or_typical, resolve_part
from bitsmith.devices.system import Card, Processor, SocFpga, SystemBoard, Zynq
from bitsmith.errors import ConfigError
from bitsmith.errors.remedies import OPEN, given, remedy

if TYPE_CHECKING:
    from bitsmith.devices.board_file import BoardFile, SystemFile

_FOLDER = Path(__file__).parent / "boards"

BOARDS = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
"""Names of our boards, which are those of their files."""

_LARGEST_FILE = 64 * 1024
_TABLES = ("zynq", "card", "soc_fpga")


@dataclass(frozen=True, slots=True)
class Board:
    """A board with a clock and a serial port, whose part nextpnr can place and route.

    Each command of ``load`` loads the bitstream whose path is its next word.
    """

    name: str
    part: Part
    flow: PlaceAndRoute
    clock_hz: int
    io_standard: str
    load: tuple[str, ...]
    pins: tuple[Pin, ...]

    memory_bytes: ClassVar[int | None] = None
    """None, as circuits of these boards reach no memory outside of them."""

    @property
    def fixed_hz(self) -> int | None:
        """The clock of its circuit in Hz; None where tools make the one that is asked for."""
        return self.clock_hz

    @property
    def led(self) -> bool:
        """True if it has a light that shows the result of a self-test."""
        return any(pin.port == "led" for pin in self.pins)

    def loading(self, bitstream: str) -> tuple[str, ...]:
        """Return commands that load the file ``bitstream``, any of which will do."""
        return tuple(f"{command} {shlex.quote(bitstream)}" for command in self.load)

    def constraints(self, wanted_hz: int) -> str:
        """Return the text of the constraints file for a top with the ports ``clk``, ``uart_rx``, ``uart_tx`` and perhaps ``led``.

        ``wanted_hz`` is the clock to aim at; slower ones than the board's are not aimed at.
        """
        clock_hz = max(wanted_hz, self.clock_hz)
        return f"# {self.name}: {self.part.name}\n{self.flow.pins(self.pins, self.io_standard, clock_hz)}"


AnyBoard: TypeAlias = Board | SystemBoard


@cache
def serial_boards() -> tuple[str, ...]:
    """Names of our boards with a serial port."""
    return tuple(name for name in BOARDS if not _is_system(_content(_FOLDER / f"{name}.toml")))


def any_board(board: str | Path) -> AnyBoard:
    """Return one of our boards by its name (in any case, hyphens or not), or the board in the TOML file ``board``.

    Raises:
        ConfigError: there is no such board or file, or the file does not follow the schema; names the file and the keys.
    """
    name = board.lower() if isinstance(board, str) else ""
    for known in BOARDS:
        if re.sub(r"[\s_-]", "", name) == known.replace("-", ""):
            return _read(_FOLDER / f"{known}.toml")
    path = Path(board)
    if isinstance(board, str) and path.suffix != ".toml":
        accepted = f"{', '.join(BOARDS)}, or the path of a .toml file with a board"
        # Boards whose numbers differ have other parts, whose bitstreams they do not take.
        close = [known for known in difflib.get_close_matches(name, BOARDS) if _numbers(name) <= _numbers(known)]
        own = remedy(
            *("describe it in a .toml file: docs/add-a-device.md; or give its part instead: ", given(part=OPEN)),
            f"; {elsewhere()}",
        )
        advice = f"did you mean {close[0]!r}?" if close else own
        raise ConfigError(f"unknown board {board[:80]!r}", where="Board", accepted=accepted, remedy=advice)
    return _read(path)


def _numbers(name: str) -> set[str]:
    return set(re.findall(r"[a-z]?\d+[a-z]?", name))


def read_board(board: str | Path) -> Board:
    """The same of a board with a serial port.

    Raises:
        ConfigError: also for boards of other kinds.
    """
    known = any_board(board)
    if not isinstance(known, Board):
        accepted = ", ".join(serial_boards())
        raise ConfigError(f"{known.name} is not a board with a serial port", where="Board", accepted=accepted)
    return known


def default_board(family: Family) -> Board | None:
    """Return our board that stands for ``family``; None if no open tool makes bitstreams for it."""
    return read_board(family.place_and_route.board) if family.place_and_route else None


def _read(path: Path) -> AnyBoard:
    from pydantic import ValidationError

    from bitsmith.devices.board_file import BoardFile, SystemFile

    content = _content(path)
    try:
        if _is_system(content):
            return _system(SystemFile.model_validate(content), path)
        return _serial(BoardFile.model_validate(content), path)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        found = "; ".join(f"{key}: {message}" for key, message in faults)
        raise ConfigError(found, where=str(path), accepted="the keys of a board, see docs/add-a-device.md") from None


def _is_system(content: Mapping[str, object]) -> bool:
    return any(table in content for table in _TABLES)


def _part(name: str, path: Path) -> Part:
    try:
        return resolve_part(name)
    except ConfigError as error:
        raise ConfigError(f"part: {error.found}", where=str(path), accepted=error.accepted) from None


def _system(file: SystemFile, path: Path) -> SystemBoard:
    if file.soc_fpga is not None and file.zynq is None and file.card is None:
        about = file.soc_fpga
        part = part_or_typical(file.part)
        memory = tuple(
            (name, f"{value:g}" if isinstance(value, float) else value) for name, value in about.memory.items()
        )
        return SocFpga(file.name, part, about.family, about.clock, about.clock_hz, about.io_standard, memory)
    part = _part(file.part, path)
    if file.zynq is not None and file.card is None and file.soc_fpga is None:
        processor, connections = Processor(file.zynq.processor), file.zynq.connections or ""
        return Zynq(file.name, part, processor, file.zynq.board_part, connections)
    if file.card is not None and file.zynq is None and file.soc_fpga is None:
        return Card(file.name, part, file.card.platform, file.card.memory, file.card.banks)
    raise ConfigError("a board of several kinds", where=str(path), accepted=f"one of the tables {', '.join(_TABLES)}")


def _serial(file: BoardFile, path: Path) -> Board:
    part = _part(file.part, path)
    if part.family.place_and_route is None:
        advice = remedy(
            "give ", given(part=part.name), " instead, and connect the core yourself: docs/vivado-project.md"
        )
        raise ConfigError(f"part: no open tool can place and route {part.name}", where=str(path), remedy=advice)
    sites = {port: site for port in type(file.pins).model_fields if (site := getattr(file.pins, port)) is not None}
    if len(set(sites.values())) < len(sites):
        raise ConfigError("pins: a site is used twice", where=str(path), accepted="a site for each port")
    # A serial line idles high.
    pins = tuple(Pin(port, site, port == "uart_rx") for port, site in sites.items())
    return Board(file.name, part, part.family.place_and_route, file.clock_hz, file.io_standard, tuple(file.load), pins)


def _content(path: Path) -> dict[str, object]:
    """Read a TOML file of which nothing is known."""
    try:
        if not path.is_file():
            raise ConfigError("no such file", where=str(path), accepted=f"a board's .toml file, or {', '.join(BOARDS)}")
        with open_file(path) as file:
            raw = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from error
    if len(raw) > _LARGEST_FILE:
        raise ConfigError("too large for a board", where=str(path), accepted=f"at most {_LARGEST_FILE:,} bytes")
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not TOML: {str(error)[:200]}", where=str(path)) from None
