"""Drivers in C of cards and of Intel's boards, on a circuit that the emulator computes; errors of what they are linked with."""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from tests.properties import JUDGED, few
from tests.rtl.wrapped import expected, inputs_of, made
from tests.systems.drivers_in_c import on_card, on_soc
from tests.systems.test_card import FakeCard, State
from tests.systems.test_soc_fpga import FakeSoc
from tests.systems.written import imported, written

OK, ENGINE, HOST = 0, 2, 11


class Ending(FakeSoc):
    """Engines that end at once, and the bytes that each has read."""

    def __init__(self, each: Circuit, net: ModuleType) -> None:
        super().__init__(each, net)
        self.sent: dict[int, bytes] = {}

    def _compute(self) -> None:
        for engine, (source, _, size) in self.started.items():
            self.sent[engine] = self.memory[source - self.BASE :][:size].tobytes()
        self.started.clear()


@pytest.mark.parametrize("kind", ["streams", pytest.param("pipeline", marks=JUDGED)])
def test_an_intel_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    each = made(kind)
    written(tmp_path, each, "de10-nano", monitors="none")
    (net,) = imported(monkeypatch, tmp_path, "net")
    soc = FakeSoc(each, net)
    driver = on_soc(tmp_path, soc, time, 0.05)
    x = inputs_of(each.program, 7)
    want = expected(each.program, x)
    (tmp_path / "iomem").write_text("00000000-3fffffff : System RAM\n")
    assert driver.library.net_init() == HOST, "memory that Linux uses"
    (tmp_path / "iomem").write_text(
        "00000000-2fffffff : System RAM\n  30000000-30000fff : System RAM\n"
        f"{soc.BASE + len(soc.memory):08x}-7fffffff : System RAM\n"
    )
    assert driver.library.net_init() == OK
    assert soc.registers[0x10] == 1 and set(soc.resets) == set(range(len(net.INPUTS) + len(net.OUTPUTS)))
    status, found = driver.predict(x, [values.shape for values in want])
    assert status == OK
    for have, right in zip(found, want, strict=True):
        np.testing.assert_array_equal(have, right)
    assert driver.library.net_selftest() == OK
    soc.hangs = True
    del soc.registers[0x10]
    before = len(soc.resets)
    assert driver.predict([values[:1] for values in x], [values[:1].shape for values in want])[0] == ENGINE
    assert soc.registers[0x10] == 1 and len(soc.resets) > before
    soc.hangs = False
    assert driver.predict(x, [values.shape for values in want])[0] == OK
    soc.registers[0x0] = 0
    assert driver.library.net_init() == 1, "another circuit"


def test_an_intel_board_without_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("streams")
    written(tmp_path, each, "de10-nano", monitors="none")
    (net,) = imported(monkeypatch, tmp_path, "net")
    driver = on_soc(tmp_path, FakeSoc(each, net), time, 0.05)
    (tmp_path / "memory").unlink()
    assert driver.library.net_init() == driver.library.net_selftest() == HOST
    x = inputs_of(each.program, 1)
    assert driver.predict(x, [values.shape for values in expected(each.program, x)])[0] == HOST


@pytest.mark.parametrize("kind", ["streams", pytest.param("pipeline", marks=JUDGED)])
def test_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    each = made(kind)
    written(tmp_path, each, "alveo-u50", monitors="none")
    (net,) = imported(monkeypatch, tmp_path, "net")
    monkeypatch.setitem(sys.modules, "net", net)
    card = FakeCard(each)
    driver = on_card(tmp_path, card, net, time)
    x = inputs_of(each.program, 7)
    want = expected(each.program, x)
    shapes = [values.shape for values in want]
    assert driver.library.net_init() == OK and card.registers.pop(0x10) == 1
    status, found = driver.predict(x, shapes)
    assert status == OK
    for have, right in zip(found, want, strict=True):
        np.testing.assert_array_equal(have, right)
    assert driver.library.net_selftest() == OK
    card.state = State.ERT_CMD_STATE_ABORT
    assert driver.predict(x, shapes)[0] == ENGINE
    card.state = State.ERT_CMD_STATE_COMPLETED
    assert driver.predict(x, shapes)[0] == ENGINE, "kernels may wait for the rest of a frame"
    card.sources.clear()
    assert driver.library.net_init() == OK and driver.predict(x, shapes)[0] == OK


@few("board", ["alveo-u50", "de10-nano"], fast=1, judged=True)
def test_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str) -> None:
    """The bytes are those of the driver in Python."""
    each = made("loads")
    written(tmp_path, each, board, monitors="none")
    (net,) = imported(monkeypatch, tmp_path, "net")
    monkeypatch.setitem(sys.modules, "net", net)
    card, soc = FakeCard(each), Ending(each, net)
    driver = on_card(tmp_path, card, net, time) if board == "alveo-u50" else on_soc(tmp_path, soc, time, 0.05)
    assert driver.library.net_init() == OK
    for which, about in enumerate(net.DESIGN["weights"]):
        raw = np.random.default_rng(which).integers(about["lo"], about["hi"] + 1, about["shapes"][0])
        values = np.ldexp(raw.astype(np.float64), -about["frac"])
        key = "kernel" if about["name"] == "weight" else "bias"
        want = net.weights(about["layer"], **{key: values})[about["port"]]
        number = len(net.INPUTS) + which
        soc.sent.clear()
        status = driver.library.net_load(which, values.ctypes.data_as(ctypes.c_void_p))
        if board == "alveo-u50":
            assert (status, card.sent) == (OK, {f"read_{number}": want})
        else:
            assert (status, soc.sent) == (OK, {number: want})


@few("board", ["alveo-u50", "de10-nano"], fast=1, judged=True)
@few("kind, monitors", [("read-back", "memories"), ("ecc", "ecc"), ("layers-engine", "layers")], fast=1, judged=True)
def test_monitors_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, monitors: str, board: str
) -> None:
    """Without a warning; what they read is the same as on a Zynq."""
    each = made(kind)
    written(tmp_path, each, board, monitors=monitors)
    (net,) = imported(monkeypatch, tmp_path, "net")
    monkeypatch.setitem(sys.modules, "net", net)
    card, soc = FakeCard(each), FakeSoc(each, net)
    driver = on_card(tmp_path, card, net, time) if board == "alveo-u50" else on_soc(tmp_path, soc, time, 0.05)
    assert driver.library.net_init() == OK
