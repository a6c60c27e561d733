"""``bitsmith doctor --board``: boards that work and boards that do not, on stand-ins for their libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bitsmith.building.design import Circuit
from bitsmith.building.verification import selftest_frame
from bitsmith.rtl.driver import DrivenCircuit, driver
from tests.cli.test_commands import _run
from tests.rtl.wrapped import DIGEST, layouts_of, made
from tests.systems.test_zynq import overlay
from tests.systems.written import computed, written


def test_a_board_with_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("streams")
    written(tmp_path, each, "pynq-z2", monitors="none")
    net, _ = overlay(monkeypatch, tmp_path, each)
    monkeypatch.setitem(sys.modules, "net", net)
    result = _run("doctor", "--board", str(tmp_path))
    assert (result.exit_code, "the right result" in result.stdout) == (0, True), result.stdout
    monkeypatch.setattr("tests.systems.test_zynq.computed", lambda *_: [bytes(len(part)) for part in computed(*_)])
    result = _run("doctor", "--board", str(tmp_path), "--json")
    assert (result.exit_code, json.loads(result.stdout)["fault"]) == (1, "weights")


def test_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, made("stream"), "pynq-z2")
    monkeypatch.setitem(sys.modules, "pynq", None)
    result = _run("doctor", "--board", str(tmp_path))
    assert result.exit_code == 1
    assert "no package pynq" in result.stderr and "python3 axi_stream_driver.py" in result.stderr


class Line:
    """A serial port of pyserial, at whose other end a circuit is computed; ``clock`` is a share of the planned one."""

    clock = 1.0

    def __init__(self, each: Circuit, net: Any) -> None:
        self._each, self._net = each, net
        self._heard, self._said = b"", b""
        self.closed, self.baudrate = False, 115_200

    def write(self, data: bytes) -> None:
        self._heard += data
        sizes = [stream.frame_bytes for stream in self._net.INPUTS]
        if len(self._heard) == sum(sizes):
            parts = [self._heard[sum(sizes[:k]) :][:size] for k, size in enumerate(sizes)]
            self._said, self._heard = b"".join(computed(self._each, self._net, parts)), b""

    def send_break(self) -> None:
        if self.baudrate != round(115_200 * self.clock):
            self._said = bytes(7)  # what a line gives that is read at another rate
            return
        numbers = ((0x62736D74, 4), (int(DIGEST, 16), 8), (3, 1), (100, 4), (0, 4), (0, 2))
        self._said = b"".join(number.to_bytes(size, "little") for number, size in numbers)

    def read(self, count: int) -> bytes:
        data, self._said = self._said[:count], self._said[count:]
        return data

    def close(self) -> None:
        self.closed = True


def test_a_board_at_a_serial_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("stream")
    (tmp_path / "driver").mkdir()
    text = driver(
        DrivenCircuit(each.program, each.interface, layouts_of(each.program), 1, frame=selftest_frame(each.program))
    )
    (tmp_path / "driver/net.py").write_text(text)
    serial, lines = ModuleType("serial"), list[Line]()

    def opened(port: str, baud: int, timeout: float) -> Line:
        if port != "/dev/ttyUSB0":
            raise OSError(f"no such port: {port}")
        assert baud == 115_200 and timeout > 0
        lines.append(Line(each, sys.modules["net"]))
        return lines[-1]

    monkeypatch.setattr(serial, "Serial", opened, raising=False)
    monkeypatch.setitem(sys.modules, "serial", serial)
    result = _run("doctor", "--board", str(tmp_path), "--port", "/dev/ttyUSB0")
    assert (result.exit_code, lines[0].closed) == (0, True), result.stdout + result.stderr
    monkeypatch.setattr(Line, "clock", 2.0, raising=False)
    result = _run("doctor", "--board", str(tmp_path), "--port", "/dev/ttyUSB0", "--json")
    assert json.loads(result.stdout)["fault"] == "clock"
    assert lines[-1].baudrate == 115_200
    assert "no such port" in _run("doctor", "--board", str(tmp_path), "--port", "COM7").stderr
    assert "say at which port it is, such as --port /dev/ttyUSB0" in _run("doctor", "--board", str(tmp_path)).stderr
    assert "no driver of a board" in _run("doctor", "--board", str(tmp_path / "driver")).stderr
    assert _run("doctor", "--port", "COM7").exit_code == 2
