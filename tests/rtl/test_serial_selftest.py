"""The self-test of a circuit with a serial port: its own frame, the light, the report, and what the driver says of faults."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.building.verification import selftest_frame
from bitsmith.devices.board import read_board, serial_boards
from bitsmith.devices.ecp5 import ECP5
from bitsmith.mapping.directives import Directives
from bitsmith.rtl import uart_wrapper
from bitsmith.rtl.selftest import stored_bytes
from bitsmith.rtl.writer import Title
from tests.rtl.bench import compile_bench
from tests.rtl.circuits import lint
from tests.rtl.test_bus_wrappers import CLOCKS_PER_BIT, wrapper_files
from tests.rtl.test_selftest import with_a_flipped_bit
from tests.rtl.wrapped import DIGEST, expected, inputs_of, load_driver, made

FAULTS = {
    "a reset that does not end": ("reset", "net_uart.sv", ".aresetn(~rst)", ".aresetn(1'b0 & ~rst)"),
    "another network": ("link", "net_uart.sv", f"64'h{DIGEST}", "64'h1111111111111111"),
    "a line that sends nothing": ("link", "bitsmith_uart_tx.sv", "assign tx = frame[0]", "assign tx = 1'b1 | frame[0]"),
    "a flipped bit of a weight": ("weights", "", "", ""),
}


BAUD = 115_200


def files_of(
    folder: Path,
    each: Circuit,
    built: Circuit,
    clock: int = CLOCKS_PER_BIT * 1000,
    baud: int = 1000,
    *,
    led: bool = True,
) -> list[Path]:
    """Files of the wrapper that has the frame of ``each``, around the circuit that was ``built``."""
    files = wrapper_files(folder, built, "uart")
    frame = selftest_frame(each.program)
    assert frame is not None
    stored = stored_bytes(each.program, each.interface, frame)
    text = uart_wrapper.uart(each.interface, clock, baud, stored, led=led)
    (folder / "net_uart.sv").write_text(text)
    return files


class Line:
    """The host's end of a serial line, whose other end is simulated."""

    def __init__(self, process: subprocess.Popen[str], most_bits: int) -> None:
        self._process = process
        self._most_bits = most_bits
        self.light = 0

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def write(self, data: bytes) -> None:
        self._ask(f"s {data.hex()}")

    def send_break(self) -> None:
        self._ask("b 40")

    def set_clocks(self, count: int) -> None:
        """A bit has so many of the circuit's clocks."""
        self._ask(f"c {count}")

    def read(self, count: int) -> bytes:
        light, _, text = self._ask(f"r {count} {self._most_bits}").partition(" ")
        self.light = int(light)
        return bytes.fromhex(text)


@contextmanager
def line(
    folder: Path,
    files: list[Path],
    clocks_per_bit: int = CLOCKS_PER_BIT,
    most_bits: int = 20_000,
    top: str = "net_uart",
) -> Iterator[Line]:
    """The line of a circuit in simulation, on which the host waits for so many bit times at most."""
    compile_bench(folder, "uart_bench.cpp", top, files)
    arguments = [folder / "bench/obj/Vdut", str(clocks_per_bit)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Line(process, most_bits)
        finally:
            process.kill()


@pytest.mark.parametrize("led", [False, True])
@pytest.mark.parametrize("kind", ["pipeline", "streams"])
def test_lint_clean(tmp_path: Path, kind: str, led: bool) -> None:
    lint(files_of(tmp_path, made(kind), made(kind), led=led), "net_uart")


def serial(driver: ModuleType, end: Line) -> Callable[..., list[bytes]]:
    found: Callable[..., list[bytes]] = driver.Serial(end.read, end.write, end.send_break)
    return found


REPORTS = {
    "right": ("", 0x62736D74, DIGEST, 3),
    "of flipped bits": ("memory", 0x62736D74, DIGEST, 3),
    "of no circuit": ("link", 0x62736D75, DIGEST, 3),
    "of another network": ("link", 0x62736D74, DIGEST[::-1], 3),
    "without a result": ("reset", 0x62736D74, DIGEST, 0),
    "of another result": ("weights", 0x62736D74, DIGEST, 1),
    "none": ("link", None, DIGEST, 3),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_named(tmp_path: Path, name: str) -> None:
    fault, identity, digest, state = REPORTS[name]
    driver = load_driver(tmp_path, made("parity"))
    memory = 2 if fault == "memory" else 0
    sizes = ((identity or 0, 4), (int(digest, 16), 8), (state, 1), (9, 4), (1, 4), (memory, 2))
    report = b"".join(number.to_bytes(size, "little") for number, size in sizes)
    port = driver.Serial(lambda count: report if identity else b"", lambda data: None, lambda: None)
    try:
        driver._ask(port)
    except driver.SelftestError as error:
        assert error.kind == fault
        assert fault != "memory" or "dense: bias" in str(error)
    else:
        assert fault == ""


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", ["pipeline", "stream", "streams"])
def test_a_circuit_that_works(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    driver = load_driver(tmp_path, each)
    x = inputs_of(each.program, 3)
    with line(tmp_path, files_of(tmp_path, each, each)) as end:
        assert end.read(1) == b"", "nothing is sent that was not asked for"
        assert end.light == 1
        port = serial(driver, end)
        for _ in range(2):
            found = driver.predict(x, port)
            for have, want in zip(found, expected(each.program, x), strict=True):
                assert (have == want).all()
            report = port.report()  # type: ignore[attr-defined]
            assert (report.identity, report.digest, report.came, report.right) == (
                0x62736D74,
                int(DIGEST, 16),
                True,
                True,
            )
            assert report.frames == 3 and report.cycles >= each.cycles[0]
        end.write(driver.pack(x)[0][:1])
        driver.selftest(port)
        end.read(1)
        assert end.light == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.ci if name == "ulx3s-85f" else ()) for name in serial_boards()]
)
def test_boards_answer(tmp_path: Path, name: str) -> None:
    """A hundred samples at 115,200 baud on the clock of each board."""
    each, board = made("pipeline"), read_board(name)
    driver, files = load_driver(tmp_path, each), files_of(tmp_path, each, each, board.clock_hz, BAUD)
    x = inputs_of(each.program, 100)
    with line(tmp_path, files, round(board.clock_hz / BAUD)) as end:
        port = serial(driver, end)
        driver.selftest(port)
        for have, want in zip(driver.predict(x, port), expected(each.program, x), strict=True):
            assert (have == want).all()
        assert port.report().frames == 101 and end.light == 1  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(tmp_path: Path, name: str) -> None:
    kind, file, right, wrong = FAULTS[name]
    each = built = made("stream")
    if not file:
        program, directives = with_a_flipped_bit(each.program), Directives({"conv": 3}, False)
        built = circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))
    driver, files = load_driver(tmp_path, each), files_of(tmp_path, each, built)
    if file:
        text = (tmp_path / file).read_text()
        assert text.count(right) == 1
        (tmp_path / file).write_text(text.replace(right, wrong))
    with line(tmp_path, files) as end:
        with pytest.raises(driver.SelftestError) as caught:
            driver.selftest(serial(driver, end))
        assert caught.value.kind == kind, str(caught.value)
        if kind != "link":
            assert end.light == 0


@pytest.mark.slow
def test_bytes_that_are_changed_on_the_way(tmp_path: Path) -> None:
    each = made("streams")
    driver = load_driver(tmp_path, each)
    with line(tmp_path, files_of(tmp_path, each, each)) as end:
        wrong = driver.Serial(end.read, lambda data: end.write(bytes(byte & 0xFD for byte in data)), end.send_break)
        with pytest.raises(driver.SelftestError) as caught:
            driver.selftest(wrong)
        assert caught.value.kind == "link"


@pytest.mark.slow
@pytest.mark.ci
def test_a_wrong_clock_is_told_from_a_broken_line(tmp_path: Path) -> None:
    """The circuit has a clock of another frequency than planned, so that a bit has as many more of its clocks, or fewer."""
    each = made("stream")
    driver = load_driver(tmp_path, each)
    with line(tmp_path, files_of(tmp_path, each, each)) as end:
        for clock in (0.5, 2.0, 4.0, 1.0):
            # The circuit's clocks in a bit of the host, whose rate is a share of the planned one.
            def set_rate(share: float, clock: float = clock) -> None:
                end.set_clocks(round(CLOCKS_PER_BIT * clock / share))

            set_rate(1.0)
            port = driver.Serial(end.read, end.write, end.send_break, set_rate)
            if clock == 1.0:
                driver.selftest(port)
                continue
            with pytest.raises(driver.SelftestError, match=f"{clock:.3g} times the planned") as caught:
                driver.selftest(port)
            assert caught.value.kind == "clock"
        lost = driver.Serial(lambda count: b"", end.write, end.send_break, set_rate)
        with pytest.raises(driver.SelftestError) as caught:
            driver.selftest(lost)
        assert caught.value.kind == "link"
