"""Circuits in SystemVerilog that read and write memory themselves: simulated memories, block design, overlay."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from tests.properties import few
from tests.rtl.circuits import lint
from tests.rtl.test_integration import run_bench, write_bench
from tests.rtl.wrapped import expected, inputs_of, made
from tests.systems.vivado import Vivado
from tests.systems.written import Buffers, computed, imported, written

MASTER = "axi_master"
READ, WRITE, CONTROL = "bitsmith_memory_read.sv", "bitsmith_memory_write.sv", "bitsmith_control.sv"
FAULTS = [
    ("stream", READ, "MOST - {1'b0, at[3:0]}", "MOST"),
    ("stream", READ, "(m_axi_arvalid & ~m_axi_arready)", "(m_axi_arvalid & ~m_axi_arready & ~clear)"),
    ("images", READ, "at <= round_ends ? address[63:WORD_SHIFT] : ", "at <= "),
    ("stream", WRITE, "MOST - {1'b0, at[3:0]}", "MOST"),
    ("narrow", WRITE, "held_strobe <= whole ? '0 : strobe;", "held_strobe <= strobe;"),
    ("streams", CONTROL, "~(hold & (reset_left == 5'd1))", "1'b1"),
]
"""Circuits, files, and what is replaced in them."""


def in_folder(folder: Path, kind: str, name: str = "zcu104") -> Circuit:
    each = made(kind)
    written(folder, each, name, interface=MASTER)
    return each


@few("name", ["zcu104", "pynq-z2"], fast=1, judged=True)
@pytest.mark.parametrize("kind", ["pipeline", "streams", "loads", "images", "outside"])
def test_lint_clean(tmp_path: Path, kind: str, name: str) -> None:
    in_folder(tmp_path, kind, name)
    files = [tmp_path / "rtl" / file for file in (tmp_path / "bench/memory_sources.txt").read_text().split()]
    lint(files, "net_memory")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, marks=pytest.mark.ci) for kind in ("streams", "images")),
        *("stream", "narrow", "pipeline", "loads", "weights", "outside"),
    ],
)
def test_memories_of_cocotb(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("cocotbext.axi")
    in_folder(tmp_path, kind)
    assert run_bench(write_bench(tmp_path, kind), "net_memory") == ""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "text", "instead"), FAULTS)
def test_faults_are_found(tmp_path: Path, kind: str, name: str, text: str, instead: str) -> None:
    pytest.importorskip("cocotbext.axi")
    in_folder(tmp_path, kind)
    bench, path = write_bench(tmp_path, kind), tmp_path / "rtl" / name
    assert text in path.read_text()
    path.write_text(path.read_text().replace(text, instead))
    assert "failed" in run_bench(bench, "net_memory")


def test_the_block_design_has_no_engines(tmp_path: Path) -> None:
    pytest.importorskip("_tkinter")
    in_folder(tmp_path, "streams", "pynq-z2")
    design = Vivado(tmp_path).source(tmp_path / "system/zynq.tcl")
    assert sorted(design.buses) == [
        ("circuit/m_axi_in_0", "to_memory/S00_AXI"),
        ("circuit/m_axi_in_1", "to_memory/S01_AXI"),
        ("circuit/m_axi_out_0", "to_memory/S02_AXI"),
        ("circuit/m_axi_out_1", "to_memory/S03_AXI"),
        ("processor/M_AXI_GP0", "to_registers/S00_AXI"),
        ("to_memory/M00_AXI", "processor/S_AXI_HP0"),
        ("to_registers/M00_AXI", "circuit/s_axi"),
    ]
    assert design.cells["circuit"] == "net_memory"


def test_a_port_that_is_written_and_read_is_one_of_the_block_design(tmp_path: Path) -> None:
    pytest.importorskip("_tkinter")
    in_folder(tmp_path, "outside", "pynq-z2")
    buses = Vivado(tmp_path).source(tmp_path / "system/zynq.tcl").buses
    assert {(f"circuit/m_axi_loop_{k}", f"to_memory/S0{4 + k}_AXI") for k in range(2)} < set(buses)


class Memory:
    """The registers of such a circuit, and buffers in its memory."""

    def __init__(self, each: Circuit) -> None:
        self._each = each
        self.buffers = Buffers()
        self.words = {0: 0x62736D74, 0x08: 0x89ABCDEF, 0x0C: 0x01234567}
        self.started = 0
        self.loaded = 0
        self.stuck = False

    def read(self, offset: int) -> int:
        net = sys.modules["net"]
        shapes = [
            size for stream in (*net.INPUTS, *net.OUTPUTS) for size in (stream.tokens * stream.beats, stream.beat)
        ]
        if 0x40 <= offset < 0x40 + 4 * len(shapes):
            return int(shapes[offset // 4 - 16])
        return self.started if offset == 0x800 else self.words.get(offset, 0) & ~(offset == 0x14)

    def write(self, offset: int, value: int) -> None:
        if offset != 0x800:
            self.words[offset] = value
            return
        net = sys.modules["net"]
        self.started |= value
        count = len(net.INPUTS), len(net.OUTPUTS)
        if self.started >> sum(count):
            self.loaded, self.started = self.started, 0
        if self.started == (1 << sum(count)) - 1 and not self.stuck:
            self.started = 0
            data = [self._bytes(k).tobytes() for k in range(count[0])]
            for k, result in enumerate(computed(self._each, net, data)):
                self._bytes(count[0] + k)[:] = np.frombuffer(result, np.uint8)
            self.words[0x24] = self.words.get(0x24, 0) + len(data[0]) // net.INPUTS[0].frame_bytes

    def _bytes(self, stream: int) -> np.ndarray:
        low, high, size = (self.words[0x810 + 16 * stream + 4 * k] for k in range(3))
        memory = self.buffers.at(low, high)
        if sys.modules["net"].is_image(stream):
            return np.resize(memory, size)
        assert len(memory) == size
        return memory


def overlay(monkeypatch: pytest.MonkeyPatch, folder: Path, memory: Memory) -> Any:
    """An overlay on a stand-in for PYNQ."""
    pynq = ModuleType("pynq")

    class Overlay:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.circuit, self.ip_dict = memory, {"circuit": {}}

    monkeypatch.setattr(pynq, "Overlay", Overlay, raising=False)
    monkeypatch.setattr(pynq, "allocate", memory.buffers.allocate, raising=False)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    return imported(monkeypatch, folder)[1].NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.01)


@pytest.mark.parametrize("kind", ["pipeline", "streams", "images"])
def test_the_overlay_starts_the_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    each = in_folder(tmp_path, kind)
    memory = Memory(each)
    board, x = overlay(monkeypatch, tmp_path, memory), inputs_of(each.program, 5)
    for given in (x, [0 * values for values in x]):
        found, right = board.predict(given), expected(each.program, given)
        for have, want in zip([found] if len(right) == 1 else found, right, strict=True):
            np.testing.assert_array_equal(have, want)
    memory.words[0x804] = 2
    with pytest.raises(RuntimeError, match="memory has answered"):
        board.predict(x)
    memory.stuck = True
    with pytest.raises(TimeoutError, match="does not end"):
        overlay(monkeypatch, tmp_path, memory).predict(x)


def test_the_overlay_loads_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = in_folder(tmp_path, "loads")
    memory = Memory(each)
    board, net = overlay(monkeypatch, tmp_path, memory), sys.modules["net"]
    about = next(each for each in net.DESIGN["weights"] if each["name"] == "weight")
    kernel = np.ones(about["shapes"][0])
    board.load(about["layer"], kernel=kernel)
    stream = len(net.INPUTS) + len(net.OUTPUTS) + net.LOADS.index(about["port"])
    assert memory.loaded == 1 << stream
    assert memory._bytes(stream).tobytes() == net.weights(about["layer"], kernel=kernel)[about["port"]]
    memory.words[0x804] = 1 << stream
    with pytest.raises(RuntimeError, match="memory has answered"):
        board.load(about["layer"], kernel=kernel)
