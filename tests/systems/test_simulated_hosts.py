"""Boards in simulation, their circuit as it is, under the real drivers; results and counters of cards and Intel's boards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from bitsmith.devices.board import AnyBoard, any_board
from bitsmith.devices.system import Card, SocFpga, Zynq
from tests.devices.listed import SYSTEM_BOARDS
from tests.rtl import wrapped
from tests.rtl.wrapped import expected, inputs_of
from tests.systems import test_soc_fpga
from tests.systems.drivers_in_c import InC, on_card, on_soc
from tests.systems.test_card import FakeCard
from tests.systems.test_simulated_boards import KINDS, Fault, Simulated, answers, overlay, project, simulated
from tests.systems.test_soc_fpga import FakeSoc
from tests.systems.written import imported

BOARDS = [name for name in SYSTEM_BOARDS if isinstance(any_board(name), Card | SocFpga)]
SHELLS = {Zynq: wrapped.AXIL, Card: wrapped.KERNEL, SocFpga: wrapped.AVALON}


class SimulatedCard(FakeCard):
    """A card whose circuit is simulated."""

    def __init__(self, each: Circuit, board: Simulated) -> None:
        super().__init__(each)
        self._board = board

    def exchanged(self, net: ModuleType, data: list[bytes], wanted: list[int]) -> list[bytes]:
        return self._board.exchange(data, wanted)

    def answered(self, command: int, net: ModuleType) -> int:
        offset = command >> 32 & 0xFFF
        if command >> 63:
            self._board.circuit.write(offset, command & 0xFFFFFFFF)
            return 0
        return self._board.circuit.read(offset)


class SimulatedSoc(FakeSoc):
    """The same of Intel's boards."""

    def __init__(self, each: Circuit, net: ModuleType, board: Simulated) -> None:
        super().__init__(each, net)
        self._board = board

    def exchanged(self, data: list[bytes], wanted: list[int]) -> list[bytes]:
        return self._board.exchange(data, wanted)

    def read(self, offset: int) -> int:
        return self._board.circuit.read(offset)

    def write(self, offset: int, value: int) -> None:
        self._board.circuit.write(offset, value)


class Host:
    """The driver of a board, and the board."""

    def __init__(
        self,
        net: ModuleType,
        driver: ModuleType,
        board: Simulated,
        options: dict[str, Any],
        in_c: Callable[[Path], InC] | None = None,
    ) -> None:
        self.net, self._driver, self.board, self._options, self.in_c = net, driver, board, options, in_c

    def overlay(self, **more: Any) -> Any:
        return self._driver.NeuralNetworkOverlay("net", dtype=np.float64, seconds=0.01, **self._options, **more)

    def said(self) -> tuple[str, str]:
        """Return what `diagnose` says of the board, which is loaded again."""
        found: tuple[str, str] = self.net.diagnose(lambda: self.overlay().ends)
        return found

    def said_in_c(self, folder: Path) -> str:
        """Return the same of the driver in C."""
        if self.in_c is None:
            status = answers(self.board, self.net, folder)
        else:
            driver = self.in_c(folder)  # it keeps what the library calls
            status = int(driver.library.net_selftest())
        return KINDS[status - 5] if status else ""


@contextmanager
def host(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, kind: str, fault: Fault) -> Iterator[Host]:
    """The driver of the board ``name`` on a stand-in for its library, with a circuit in simulation."""
    each, about = project(folder, kind, fault, name), any_board(name)
    with simulated(folder, each, fault, SHELLS[type(about)], about.bus_bytes) as board:
        yield joined(monkeypatch, folder, each, board, about)


def joined(
    monkeypatch: pytest.MonkeyPatch, folder: Path, each: Circuit, board: Simulated, about: AnyBoard, top: str = "net"
) -> Host:
    """The driver in ``folder`` on a stand-in for its library, which finds the circuit ``top`` of a board in simulation."""
    options: dict[str, Any] = {}
    if isinstance(about, Zynq):
        net, driver = overlay(monkeypatch, folder, board, top)
        return Host(net, driver, board, options)
    if isinstance(about, Card):
        # Loaded again, a card forgets its kernels.
        module = ModuleType("pyxrt")
        cards = [SimulatedCard(each, board)]
        for key, value in vars(cards[0].module).items():
            if not key.startswith("__"):
                setattr(module, key, value)

        def device(index: int) -> Any:
            cards[0] = SimulatedCard(each, board)
            for key in ("kernel",):
                setattr(module, key, getattr(cards[0].module, key))
            return cards[0].module.device(index)

        module.device = device  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pyxrt", module)
    net, driver, predicting = imported(monkeypatch, folder, top, "axi_stream_driver", "predicting")
    monkeypatch.setitem(sys.modules, "net", net)

    def in_c(place: Path) -> InC:
        """The driver in C on a board that is as it was."""
        if isinstance(about, Card):
            return on_card(place, SimulatedCard(each, board), net, board)
        return on_soc(place, SimulatedSoc(each, net, board), board)

    if isinstance(about, SocFpga):
        soc = SimulatedSoc(each, net, board)
        test_soc_fpga.stand_in(monkeypatch, driver, folder, soc)
        options["memory"] = soc.BASE, len(soc.memory)
    for module in (net, predicting):
        monkeypatch.setattr(module, "time", board)
    return Host(net, driver, board, options, in_c)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.ci] * (name in ("alveo-u50", "de10-nano"))) for name in BOARDS]
)
@pytest.mark.parametrize("kind", ["pipeline", "streams"])
def test_results_and_counters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    with host(monkeypatch, tmp_path, name, kind, Fault("")) as end:
        each = wrapped.made(kind)
        x = inputs_of(each.program, 100)
        overlay = end.overlay()
        overlay.selftest()
        found, _, _ = overlay.predict(x, profile=True)
        for have, right in zip(found, expected(each.program, x), strict=True):
            np.testing.assert_array_equal(have, right)
        said = capsys.readouterr().out
        assert f"100 were counted; planned are {each.cycles[1]}, and {each.cycles[0]} for one alone" in said
        fault, said = end.said()
        assert not fault and "the stored frame has the right result" in said and "MHz" in said
        assert end.in_c is not None
        in_c = end.in_c(tmp_path)
        assert in_c.library.net_init() == in_c.library.net_selftest() == 0
        want = expected(each.program, x)
        status, found = in_c.predict(x, [values.shape for values in want])
        assert status == 0
        for have, right in zip(found, want, strict=True):
            np.testing.assert_array_equal(have, right)
