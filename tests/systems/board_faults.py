"""Faults that are put into every board in simulation, and what its self-test says of each.

``python -m tests.systems.board_faults docs/boards.md`` runs all and renews the page's table, in some minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.devices.board import BOARDS, Board, any_board
from bitsmith.devices.ecp5 import ECP5
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.writer import Title
from tests.rtl.test_selftest import swapped, with_a_flipped_bit, without_a_beat
from tests.rtl.test_serial_selftest import BAUD, Line, files_of, line
from tests.rtl.wrapped import DIGEST, load_driver, made
from tests.systems.test_simulated_boards import Fault
from tests.systems.test_simulated_hosts import host
from tests.systems.written import written

CIRCUIT = "streams"
BEGIN, END = "<!-- faults of boards -->\n", "<!-- end -->\n"

_CONTROL, _SERIAL = "bitsmith_control.sv", "net_uart.sv"


def unlike_itself() -> Callable[[bytes], bytes]:
    """The data, with other errors each time."""
    rng = np.random.default_rng(0)
    return lambda data: (np.frombuffer(data, np.uint8) ^ rng.integers(0, 2, len(data), np.uint8)).tobytes()


ON_THE_WAY = {
    "bytes swapped, in": Fault("data order", sent=lambda data: swapped(data, 2)),
    "bytes swapped, out": Fault("data order", received=lambda data: swapped(data, 2)),
    "lost beat, in": Fault("link", sent=lambda data: data[:2] + data[4:]),
    "lost beat, out": Fault("link", received=lambda data: without_a_beat(data, 2)),
    "wire always 1, in": Fault("link", sent=lambda data: bytes(byte | 4 for byte in data)),
    "wire always 0, out": Fault("link", received=lambda data: bytes(byte & 0xFE for byte in data)),
    "link that is not stable": Fault("clock", received=unlike_itself()),
    "clock of twice the frequency": Fault("clock", clock=2.0),
    "clock of half the frequency": Fault("clock", clock=0.5),
}
_DIGEST = f"64'h{DIGEST}"
_SHIFTED = "assign m_axis_shifted_tvalid = {}out0_valid"
_TEXTS = {
    "reset that does not end": ("reset", (_CONTROL, "reset_left <= reset_left - 1'b1", "reset_left <= reset_left")),
    "reset that is always there": ("reset", (_CONTROL, "aresetn & ~resetting", "1'b0 & aresetn & ~resetting")),
    "no results": ("reset", ("net_dma_axil.v", _SHIFTED.format(""), _SHIFTED.format("1'b0 & "))),
    "another network": ("link", (_CONTROL, "DIGEST_LOW = DIGEST[31:0]", "DIGEST_LOW = ~DIGEST[31:0]")),
}
_SERIAL_TEXTS = {
    "reset that does not end": ("bitsmith_uart_link.sv", "age <= age + 1'b1", "age <= age"),
    "reset that is always there": (_SERIAL, ".aresetn(~rst)", ".aresetn(1'b0 & ~rst)"),
    "no results": (_SERIAL, ".m_axis_shifted_tvalid(out0_valid)", ".m_axis_shifted_tvalid()"),
    "another network": (_SERIAL, f".DIGEST({_DIGEST})", ".DIGEST(64'd1)"),
}
"""Where a board with a serial port has the same faults: its circuit has another wrapper."""

FLIPPED = {"flipped bit of a weight": Fault("weights", flipped=True)}
IN_THE_CIRCUIT = {name: Fault(kind, text) for name, (kind, text) in _TEXTS.items()} | FLIPPED
SERIAL_IN_THE_CIRCUIT = {
    name: replace(IN_THE_CIRCUIT[name], text=text) for name, text in _SERIAL_TEXTS.items()
} | FLIPPED
KINDS = {name: fault.kind for name, fault in {**IN_THE_CIRCUIT, **ON_THE_WAY}.items()}


@dataclass(frozen=True)
class Alike:
    """Boards whose circuit and driver have the same files, by what these are; the first one is simulated for all."""

    boards: tuple[str, ...]


def texts(name: str, folder: Path) -> dict[str, str]:
    """What is simulated of a board, or runs as its driver: files that its project has, by their names."""
    board = any_board(name)
    if isinstance(board, Board):
        files_of(folder, made(CIRCUIT), made(CIRCUIT), board.clock_hz, BAUD, led=board.led)
        return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    written(folder, made(CIRCUIT), name)
    places = (path for part in ("rtl", "system/export") for path in (folder / part).iterdir())
    return {f"{path.parent.name}/{path.name}": path.read_text() for path in places if path.suffix != ".tcl"}


def alike() -> list[Alike]:
    """All boards, those with equal files together."""
    found = dict[tuple[tuple[str, str], ...], list[str]]()
    for name in BOARDS:
        with tempfile.TemporaryDirectory() as folder:
            found.setdefault(tuple(sorted(texts(name, Path(folder)).items())), []).append(name)
    return [Alike(tuple(names)) for names in found.values()]


def named(name: str, folder: Path) -> dict[str, str]:
    """What the self-test of a board says of each fault: a kind, or both where the drivers in Python and C differ."""
    board = any_board(name)
    return dict(_on_serial(board, folder) if isinstance(board, Board) else _on_system(name, folder))


def _on_system(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    for number, (about, faults) in enumerate(
        [("", ON_THE_WAY), *((key, {key: IN_THE_CIRCUIT[key]}) for key in IN_THE_CIRCUIT)]
    ):
        place = folder / str(number)
        place.mkdir()
        built = faults[about] if about else Fault("")
        with pytest.MonkeyPatch.context() as patch, host(patch, place, name, CIRCUIT, built) as end:
            for fault_name, fault in faults.items():
                end.board.fault = fault
                said = end.said()[0]
                if (place / "system/export/net_driver.c").exists():
                    in_c = end.said_in_c(place)
                    said = said if said == in_c else f"{said} or {in_c}"
                yield fault_name, said


class _Port:
    """A port with a fault on a line: of its rate, or of the frames in it."""

    def __init__(self, end: Line, fault: Fault, clocks_per_bit: int, frames: set[int]) -> None:
        self._end, self._fault, self._clocks, self._frames = end, fault, clocks_per_bit, frames
        self.set_rate(1.0)

    def set_rate(self, share: float) -> None:
        self._end.set_clocks(round(self._clocks * self._fault.clock / share))

    def write(self, data: bytes) -> None:
        self._end.write(self._fault.sent(data))

    def read(self, count: int) -> bytes:
        data = self._end.read(count)
        return self._fault.received(data) if count in self._frames else data


def _on_serial(board: Board, folder: Path) -> Iterator[tuple[str, str]]:
    each, clocks = made(CIRCUIT), round(board.clock_hz / BAUD)
    driver = load_driver(folder, each)
    sizes = {stream.frame_bytes for stream in driver.OUTPUTS}
    assert driver.Serial.REPORT_BYTES not in sizes
    alone = {key: {key: fault} for key, fault in SERIAL_IN_THE_CIRCUIT.items()}
    for number, (about, faults) in enumerate({"": ON_THE_WAY, **alone}.items()):
        place = folder / str(number)
        place.mkdir()
        built = each
        if about and faults[about].flipped:
            program = with_a_flipped_bit(each.program)
            built = circuit(program, Directives({}, False), ECP5.delays, 8.0, "net", Title("test", DIGEST))
        files = files_of(place, each, built, board.clock_hz, BAUD, led=board.led)
        if about and (text := faults[about].text) is not None:
            name, right, wrong = text
            path = place / name
            assert path.read_text().count(right) == 1, (name, right)
            path.write_text(path.read_text().replace(right, wrong))
        with line(place, files, clocks, most_bits=1000) as end:
            for fault_name, fault in faults.items():
                port = _Port(end, fault, clocks, sizes)
                serial = driver.Serial(port.read, port.write, end.send_break, port.set_rate)
                yield fault_name, driver.diagnose(lambda serial=serial: (serial, None))[0]


def table(columns: Mapping[Alike, Mapping[str, str]]) -> str:
    """The table of a page: a row for each fault, and a column for the boards with the same files."""
    heads = [", ".join(str(any_board(name).name) for name in each.boards) for each in columns]
    rows = [["fault", "should be", *heads], ["---"] * (2 + len(heads))]
    for fault, kind in KINDS.items():
        rows.append(
            [
                fault,
                kind,
                *("named" if said[fault] == kind else said[fault] or "not found" for said in columns.values()),
            ]
        )
    counts = [sum(said[fault] == kind for fault, kind in KINDS.items()) for said in columns.values()]
    rows.append(["**all**", "", *(f"{count} of {len(KINDS)}" for count in counts)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(page: Path) -> None:
    """Renew the table of ``page``."""
    columns = {}
    for each in alike():
        with tempfile.TemporaryDirectory() as folder:
            columns[each] = named(each.boards[0], Path(folder))
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{table(columns)}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
