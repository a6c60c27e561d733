"""Circuits in C++ that read and write memory themselves: the compiled function, its block design, and the overlay for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.job import Target
from bitsmith.building.system import core_of
from bitsmith.errors import ConfigError
from bitsmith.hls.axi import WIDEST_BYTES, axi_name, memory_files, memory_names
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.project import HlsProject
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.options.project import read_project
from bitsmith.rtl.beats import with_beats
from bitsmith.rtl.driver import DrivenCircuit, driver
from bitsmith.rtl.interface import Interface, token_bytes
from bitsmith.systems.system import software
from tests.build.test_plan_goldens import model
from tests.properties import JUDGED
from tests.rtl.wrapped import branches, expected, inputs_of, load_driver_text
from tests.systems.test_hls_core import ARRAYS, TOKENS, generated, headers
from tests.systems.vivado import Design, Vivado
from tests.systems.written import Buffers, answered, imported

FRAMES = 5


def bench(project: HlsProject, narrow: Interface) -> str:
    """A program that calls the function once, with the bytes of a file for each tensor."""
    lines, names = ["#include <cstdio>", f'#include "{axi_name(project.top)}.cpp"'], memory_names(project)
    before, after = list[str](), list[str]()
    for port in (*narrow.inputs, *narrow.outputs):
        name, size = names[port.name], token_bytes(port)
        lines.append(f"static ap_uint<{8 * size}> {name}[{FRAMES * port.tokens}];")
        reads, bits = name.startswith("in_"), "beat.range(8 * k + 7, 8 * k)"
        moved = f"{bits} = ap_uint<8>(fgetc(file))" if reads else f"fputc(ap_uint<8>({bits}).to_int(), file)"
        (before if reads else after).append(
            f'{{ FILE *file = fopen("{name}", "{"rb" if reads else "wb"}"); for (auto &beat : {name})'
            f" for (int k = 0; k < {size}; k++) {moved}; fclose(file); }}"
        )
    call = f"{axi_name(project.top)}({', '.join(names.values())}, {FRAMES});"
    return "\n".join([*lines, "int main() {", *before, call, *after, "return 0; }", ""])


@pytest.mark.parametrize(
    ("dialect", "directives", "bus_bytes", "real"),
    [
        pytest.param(*ARRAYS, False, id="arrays"),
        pytest.param(*TOKENS, False, id="tokens", marks=JUDGED),
        pytest.param(*ARRAYS, True, id="arrays-ap_types", marks=JUDGED),
        pytest.param(*TOKENS, True, id="tokens-ap_types", marks=JUDGED),
    ],
)
def test_memory_in_memory_out(tmp_path: Path, dialect: str, directives: Directives, bus_bytes: int, real: bool) -> None:
    program = branches()
    project, interface = generated(program, directives, dialect, bus_bytes)
    narrow = with_beats(interface, WIDEST_BYTES)
    for name, text in {
        **project.files,
        **memory_files(project, DIALECTS[dialect].streams, "// test", bus_bytes),
        "firmware/bench.cpp": bench(project, narrow),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    net = load_driver_text(tmp_path, driver(DrivenCircuit(program, interface, {}, 1, WIDEST_BYTES, registers=False)))
    x = inputs_of(program, FRAMES)
    for k, data in enumerate(net.pack(x)):
        (tmp_path / f"in_{k}").write_bytes(data)
    options = ("-std=c++17", "-O0", "-Wall", "-Wno-unknown-pragmas", *headers(real))
    subprocess.run(["g++", *options, "firmware/bench.cpp", "firmware/net.cpp", "-o", "bench"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "bench"], cwd=tmp_path, check=True)
    found = [(tmp_path / f"out_{k}").read_bytes() for k in range(len(narrow.outputs))]
    for have, want in zip(net.unpack(found), expected(program, x), strict=True):
        np.testing.assert_array_equal(have, want)


def drawn(folder: Path, keys: dict[str, object]) -> Design:
    for path, text in model(keys).plan(csim=False, synth=False, bitstream=True).files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(str(text))
    return Vivado(folder, ips=("net_axi",)).source(folder / "system/zynq.tcl")


@pytest.mark.parametrize(
    "keys",
    [
        {"Backend": "VivadoAccelerator", "AcceleratorConfig": {"Interface": "axi_master"}},
        {"Backend": "VitisUnified", "IOType": "io_stream", "VitisUnifiedConfig": {"axi_mode": "axi_master"}},
        {"Backend": "vitis", "Board": "kv260", "Interface": "axi_master"},
    ],
)
def test_the_block_design_has_no_engines(tmp_path: Path, keys: dict[str, object]) -> None:
    pytest.importorskip("_tkinter")
    design = drawn(tmp_path, keys)
    memory, control = (
        ("S_AXI_HP0", "M_AXI_GP0") if "VivadoAccelerator" in keys.values() else ("S_AXI_HP0_FPD", "M_AXI_HPM0_FPD")
    )
    assert sorted(design.buses) == [
        ("circuit/m_axi_in_0", "to_memory/S00_AXI"),
        ("circuit/m_axi_out_0", "to_memory/S01_AXI"),
        (f"processor/{control}", "to_registers/S00_AXI"),
        ("to_memory/M00_AXI", f"processor/{memory}"),
        ("to_registers/M00_AXI", "circuit/s_axi_control"),
    ]
    assert sorted(design.cells) == ["circuit", "processor", "resets", "to_memory", "to_registers"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"Backend": "rtl", "Board": "de10-nano"}, "Interface of axi_master"),
        ({"Backend": "rtl", "Board": "pynq-z2"}, ""),
        ({"Backend": "vitis", "Board": "alveo-u50"}, ""),
        ({"Backend": "vitis", "Board": "pynq-z2"}, ""),
    ],
)
def test_where_it_has_no_effect(keys: dict[str, object], told: str) -> None:
    notes = " ".join(model({**keys, "Interface": "axi_master"}).notes)
    assert told in notes and ("Without effect" in notes) is bool(told)


def test_there_is_no_driver_in_c_for_it() -> None:
    for interface, told in (("axi_master", True), ("axi_stream", False)):
        keys = {"Board": "pynq-z2", "Interface": interface, "Driver": "c"}
        made = model({"Backend": "VivadoAccelerator", "AcceleratorConfig": keys})
        assert any("Driver of c" in note for note in made.notes) is told
        files = made.plan(csim=False, synth=False, bitstream=True).files()
        assert ("system/export/net_driver.c" in files) is not told


def test_it_needs_a_board() -> None:
    assert read_project({"Interface": "axi_master"}).interface == "axi_master"
    with pytest.raises(ConfigError, match="without a board"):
        model({"Backend": "vitis", "Interface": "axi_master"})


class Memory:
    """A circuit that is told addresses, and buffers at them; ``places`` are those of its arguments' registers."""

    def __init__(self, program: Program, places: dict[str, int]) -> None:
        self._program = program
        self._names = {place: name for name, place in places.items()}
        self._values: dict[str, int] = {}
        self.buffers = Buffers()
        self.starts = self.moved = 0
        self.stuck = False

    def read(self, offset: int) -> int:
        return 0 if offset or self.stuck else 0b110

    def write(self, offset: int, value: int) -> None:
        if offset:
            self._values[self._names[offset]] = value
            return
        assert value == 1
        self.starts += 1
        net = sys.modules["net"]
        assert self._values["frames"] == FRAMES
        data = [self._buffer(f"in_{k}").tobytes() for k in range(len(net.INPUTS))]
        results = answered(self._program, net, data)
        self.moved = sum(map(len, (*data, *results)))
        for k, result in enumerate(results):
            self._buffer(f"out_{k}")[:] = np.frombuffer(result, np.uint8)

    def _buffer(self, name: str) -> np.ndarray:
        return self.buffers.at(self._values[f"{name}_1"], self._values[f"{name}_2"])


def test_the_overlay_starts_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = branches()
    _, interface = generated(program, ARRAYS[1], ARRAYS[0], ARRAYS[2])
    text = driver(DrivenCircuit(program, interface, {}, 1, WIDEST_BYTES, registers=False))
    core = core_of(Target(Path(), "net", "", 10.0), "net", interface, DIALECTS["vivado"].ip, (), text, "net_axi")
    for name, content in software("overlay.py", core).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    names = [*(f"in_{k}" for k in range(len(interface.inputs))), *(f"out_{k}" for k in range(len(interface.outputs)))]
    places = {f"{name}_{half}": 12 + 12 * k + 4 * half for k, name in enumerate(names) for half in (1, 2)}
    places["frames"] = 16 + 12 * len(names)
    memory, pynq = Memory(program, places), ModuleType("pynq")

    class Overlay:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.circuit = memory
            registers = {"CTRL": 0, **places}
            self.ip_dict = {"circuit": {"registers": {key: {"address_offset": at} for key, at in registers.items()}}}

        def download(self) -> None:
            memory.stuck = False

    monkeypatch.setattr(pynq, "Overlay", Overlay, raising=False)
    monkeypatch.setattr(pynq, "allocate", memory.buffers.allocate, raising=False)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    overlay = imported(monkeypatch, tmp_path)[1]
    board, x = overlay.NeuralNetworkOverlay("net.bit", dtype=np.float64), inputs_of(program, FRAMES)
    waits, until = list[tuple[int, int]](), overlay.net.until

    def waited(done: Callable[[], bool], complaint: str, seconds: float, moved: int, frames: int) -> None:
        waits.append((moved, frames))
        until(done, complaint, seconds, moved, frames)

    monkeypatch.setattr(overlay.net, "until", waited)
    for given in (x, [0 * each for each in x]):
        for have, want in zip(board.predict(given), expected(program, given), strict=True):
            np.testing.assert_array_equal(have, want)
    assert memory.starts == 2 == waits.count((memory.moved, FRAMES)), "as long as all that moves may take"
    memory.stuck = True
    loaded, kept = (overlay.NeuralNetworkOverlay("net.bit", seconds=0.01, download=load) for load in (True, False))
    for board in (loaded, kept):
        with pytest.raises(TimeoutError, match="does not end"):
            board.predict(x)
    with pytest.raises(RuntimeError, match="failed before"):
        kept.predict(x)
    for have, want in zip(loaded.predict(x), expected(program, x), strict=True):
        np.testing.assert_array_equal(have, want)
    for name in (f"{names[0]}_2", "frames"):
        del places[name]
    board = overlay.NeuralNetworkOverlay("net.bit")
    with pytest.raises(RuntimeError, match=r"0x3.* is beyond"):
        board.predict(x)
    del places[f"{names[0]}_1"]
    with pytest.raises(RuntimeError, match="no registers of in_0"):
        overlay.NeuralNetworkOverlay("net.bit")
