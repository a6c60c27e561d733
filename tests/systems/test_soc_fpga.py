"""Intel's boards with a processor: Platform Designer systems in a stand-in, Quartus projects, and stand-in builds."""

from __future__ import annotations

import mmap
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from bitsmith.devices.board import any_board
from bitsmith.devices.system import SocFpga
from bitsmith.errors import ConfigError
from tests.devices.listed import SYSTEM_BOARDS
from tests.flows.fake_tools import FakeTools
from tests.rtl.circuits import lint
from tests.rtl.wrapped import expected, inputs_of, made
from tests.system.examples import three_layer
from tests.systems.written import computed, fixed_registers, imported, written

BOARDS = [name for name in SYSTEM_BOARDS if isinstance(any_board(name), SocFpga)]
PORTS = {
    "clock_source": "clk clk_in clk_in_reset clk_reset",
    "altera_pll": "refclk reset outclk0 locked",
    "altera_hps": "h2f_lw_axi_clock f2h_axi_clock h2f_lw_axi_master f2h_axi_slave h2f_reset memory",
    "altera_msgdma": "clock reset_n csr descriptor_slave mm_read mm_write st_source st_sink",
}


def run(folder: Path, script: str, commands: str) -> list[list[str]]:
    """The calls of a script's commands."""
    tkinter = pytest.importorskip("tkinter")
    tcl, said = tkinter.Tcl(), list[list[str]]()
    for name in commands.split():
        tcl.createcommand(name, lambda *arguments, name=name: said.append([name, *arguments]))
    tcl.eval(f"rename package {{}}; proc package args {{}}; cd {{{folder}}}; source {script}")
    return said


@pytest.mark.parametrize("name", BOARDS)
def test_every_board(tmp_path: Path, name: str) -> None:
    written(tmp_path, made("streams"), name)
    commands = (
        "create_system set_project_property add_instance set_instance_parameter_value add_interface set_interface_property "
        "add_connection set_connection_parameter_value save_system"
    )
    said = run(tmp_path, "system/soc.tcl", commands)
    kinds = {words[1]: words[2] for words in said if words[0] == "add_instance"}
    component = (tmp_path / "rtl/net_dma_avalon_hw.tcl").read_text()
    own = set(re.findall(r"^add_interface (\w+)", component, re.MULTILINE))
    PORTS["bitsmith_locked"] = " ".join(
        re.findall(r"^add_interface (\w+)", (tmp_path / "rtl/bitsmith_locked_hw.tcl").read_text(), re.MULTILINE)
    )
    assert kinds["circuit"] == "net_dma_avalon"
    connections = [(words[1], words[2]) for words in said if words[0] == "add_connection"]
    for end in (end for pair in connections for end in pair):
        cell, _, port = end.partition(".")
        assert port in (own if cell == "circuit" else PORTS[kinds[cell]].split()), end
    assert {
        ("dma_0.st_source", "circuit.in_series"),
        ("dma_1.st_source", "circuit.in_bias"),
        ("circuit.out_shifted", "dma_2.st_sink"),
        ("circuit.out_greatest", "dma_3.st_sink"),
        ("dma_2.mm_write", "processor.f2h_axi_slave"),
        ("pll.locked", "locked.locked"),
        *(("locked.reset", end) for end in ("circuit.reset", *(f"dma_{k}.reset_n" for k in range(4)))),
    } <= set(connections)
    places = [words[3] for words in said if words[0] == "set_connection_parameter_value" and "lw_axi" in words[1]]
    assert places == ["0x1000", *(f"0x{0x20 * k:04x}" for k in range(8))]
    set_up = {words[2]: words[3] for words in said if words[:2] == ["set_instance_parameter_value", "processor"]}
    assert len(set_up) == sum(words[:2] == ["set_instance_parameter_value", "processor"] for words in said)
    assert (set_up["MEM_TCL"], set_up["MEM_RTT_WR"], set_up["TIMING_BOARD_AC_SKEW"]) == {
        "de10-nano": ("7", "Dynamic ODT off", "0.02"),
        "de1-soc": ("11", "RZQ/4", "0.03"),
    }[name]
    device = any_board(name).part.name
    assert ["set_project_property", "DEVICE", device] in said and said[-1] == ["save_system", "system/net_soc.qsys"]


def test_the_circuit_is_clean(tmp_path: Path) -> None:
    written(tmp_path, made("streams"), "de10-nano")
    component = (tmp_path / "rtl/net_dma_avalon_hw.tcl").read_text()
    names = dict.fromkeys(re.findall(r"^add_fileset_file ([\w.]+)", component, re.MULTILINE))
    lint([tmp_path / "rtl" / name for name in names], "net_dma_avalon")
    lint([tmp_path / "rtl/bitsmith_locked.sv"], "bitsmith_locked")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
def test_the_reset_lasts_until_the_pll_is_locked(tmp_path: Path) -> None:
    written(tmp_path, made("streams"), "de10-nano")
    (tmp_path / "bench.sv").write_text(
        "module bench;\n"
        "reg clk = 0, locked = 1; wire reset;\n"
        "bitsmith_locked dut (.clk(clk), .locked(locked), .reset(reset));\n"
        'task tick; begin #1 clk = 1; #1 clk = 0; $write("%b", reset); end endtask\n'
        "initial begin\n"
        '#1 locked = 0; #1 $write("%b", reset); repeat (5) tick;\n'
        "locked = 1; repeat (5) tick;\n"
        'locked = 0; #1 $write("%b", reset); locked = 1; repeat (4) tick;\n'
        "$finish; end\nendmodule\n"
    )
    sources = ["bench.sv", "rtl/bitsmith_locked.sv"]
    subprocess.run(["iverilog", "-g2012", "-Wall", "-o", "bench", *sources], cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[0] == "1" + "11111" + "11000" + "1" + "1100"


def test_the_quartus_project(tmp_path: Path) -> None:
    written(tmp_path, made("pipeline"), "de1-soc")
    pins = tmp_path / "system/net_soc/synthesis/submodules/hps_sdram_p0_pin_assignments.tcl"
    pins.parent.mkdir(parents=True)
    pins.write_text("")
    commands = (
        "load_package project_new set_global_assignment set_location_assignment set_instance_assignment "
        "export_assignments execute_module qexec project_close project_open"
    )
    said = run(tmp_path, "system/quartus.tcl", commands)
    assert ["set_location_assignment", "PIN_AF14", "-to", "clk_clk"] in said
    script = f"quartus_sta -t {pins.relative_to(tmp_path)} net_soc"
    kinds = ("execute_module", "qexec", "project_close", "project_open")
    steps = [words[-1] if words[1:] else words[0] for words in said if words[0] in kinds]
    # What another program adds is lost to a project that is open meanwhile: each module saves assignments before it starts.
    before, after = ["map", "project_close"], ["net_soc", "map", "fit", "asm", "sta", "project_close"]
    assert steps[:-1] == [*before, script, *after]
    assert "system/export/net.rbf" in said[-1][-1]


def test_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    leave = "place = pathlib.Path({!r}); place.parent.mkdir(parents=True, exist_ok=True); place.write_text('made')\n"
    fakes.add("qsys-script", leave.format("system/myproject_soc.qsys"))
    fakes.add("qsys-generate", leave.format("system/myproject_soc/synthesis/myproject_soc.qip"))
    fakes.add("quartus_sh", leave.format("system/export/myproject.rbf"))
    model = three_layer(tmp_path / "project", board="de10-nano", clock_period=20)[0]
    assert model.target.part == "5CSEBA6U23I7"
    report = model.build(cosim=False, synth=False, bitstream=True, force=True)
    assert [call.name for call in fakes.calls()] == ["qsys-script", "qsys-generate", "quartus_sh"]
    assert report.section("Files")["Bitstream"] == "system/export/myproject.rbf"


class FakeSoc:
    """The memory of a board, and engines in front of a circuit that the emulator computes."""

    BASE, ENGINES = 0x3000_0000, 0xFF20_0000

    def __init__(self, each: Circuit, net: ModuleType, size: int = 1 << 20) -> None:
        self.memory = np.zeros(size, np.uint8)
        self._each, self._net = each, net
        self._words: dict[int, int] = {}
        self.started: dict[int, tuple[int, int, int]] = {}
        self.resets: list[int] = []
        self.registers = fixed_registers(net)
        self.hangs = False

    def mapped(self, address: int, size: int, kind: type) -> Any:
        assert address % 4096 == size % 4096 == 0
        if address == self.BASE:
            return self.memory
        assert address == self.ENGINES and size == 0x2000
        return FakeWords(self, 0)

    def written(self, engine: int, word: int, value: int) -> None:
        if word == 1:
            assert value == 1 << 1
            self.resets.append(engine)
            self.started.pop(engine, None)
        self._words[engine * 16 + word] = value
        if word == 11:
            assert value == 1 << 31, "a descriptor without its end"
            self.started[engine] = tuple(self._words[engine * 16 + 8 + k] for k in range(3))  # type: ignore[assignment]
            self._compute()

    def status(self, engine: int) -> int:
        assert engine in self.resets
        return 0b01 if engine in self.started else 0b10

    def _compute(self) -> None:
        net, inputs = self._net, len(self._net.INPUTS)
        if self.hangs or set(self.started) != set(range(inputs + len(net.OUTPUTS))):
            return
        frames = self.started[0][2] // net.INPUTS[0].frame_bytes
        self.registers[0x24] = self.registers.get(0x24, 0) + frames
        used = sorted((source + target, size) for source, target, size in self.started.values())
        ends = [at + size for at, size in used]
        assert all(end <= at for end, (at, _) in zip(ends, used[1:], strict=False)), "transfers overlap"
        assert used[0][0] >= self.BASE and ends[-1] <= self.BASE + len(self.memory)
        data = []
        for k in range(inputs):
            source, _, size = self.started[k]
            data.append(self.memory[source - self.BASE :][:size].tobytes())
        outputs = range(inputs, inputs + len(net.OUTPUTS))
        try:
            results = self.exchanged(data, [self.started[k][2] for k in outputs])
        except TimeoutError:  # engines go on waiting
            return
        for k, bits in zip(outputs, results, strict=True):
            _, target, size = self.started[k]
            assert size == len(bits)
            self.memory[target - self.BASE :][:size] = np.frombuffer(bits, np.uint8)
        self.started.clear()

    def exchanged(self, data: list[bytes], wanted: list[int]) -> list[bytes]:
        """The circuit's results; TimeoutError if they do not all come."""
        assert sum(wanted) > 0
        return computed(self._each, self._net, data)

    def read(self, offset: int) -> int:
        """A register of the circuit."""
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.registers[offset] = value


class FakeWords:
    """Registers, or some of them."""

    def __init__(self, soc: FakeSoc, first: int) -> None:
        self._soc, self._first = soc, first

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            assert key.stop - key.start == (16 if key.start < 0x400 else 0x400)
            return FakeWords(self._soc, self._first + key.start)
        if self._first == 0x400:
            return np.uint32(self._soc.read(4 * key))
        assert key == 0
        return self._soc.status(self._first // 16)

    def __setitem__(self, key: int, value: int) -> None:
        if self._first == 0x400:
            self._soc.write(4 * key, value)
        else:
            self._soc.written(self._first // 16, key, value)


def stand_in(monkeypatch: pytest.MonkeyPatch, driver: ModuleType, folder: Path, soc: FakeSoc) -> None:
    """Have a driver find a board whose Linux uses the memory below what is there for frames."""
    (folder / "iomem").write_text(f"00000000-{soc.BASE - 1:08x} : System RAM\n  00008000-007fffff : Kernel code\n")
    monkeypatch.setattr(driver, "USED", folder / "iomem")
    monkeypatch.setattr(driver, "map_physical", soc.mapped)


@pytest.mark.parametrize("pages", [256, 4])
@pytest.mark.parametrize("kind", ["pipeline", "streams"])
def test_the_host_gives_the_results_of_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, pages: int
) -> None:
    each = made(kind)
    written(tmp_path, each, "de10-nano")
    net, driver = imported(monkeypatch, tmp_path)
    soc = FakeSoc(each, net, 4096 * pages)
    stand_in(monkeypatch, driver, tmp_path, soc)
    if pages > 4:
        monkeypatch.setattr(driver.Engine, "MOST_BYTES", max(4096, 3 * net.INPUTS[0].frame_bytes))
    board = driver.NeuralNetworkOverlay("net.rbf", dtype=np.float64, memory=(soc.BASE, len(soc.memory)))
    x = inputs_of(each.program, 900)
    found = board.predict(x)
    for have, want in zip(found, expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)
    engine = driver.Engine(FakeWords(soc, 0), 0.0)
    engine.read(soc.BASE, 1)
    with pytest.raises(TimeoutError, match=r"net\.rbf loaded"):
        engine.wait(0)


def test_a_transfer_that_does_not_end_resets_engines_and_circuit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = made("streams")
    written(tmp_path, each, "de10-nano")
    net, driver = imported(monkeypatch, tmp_path)
    soc = FakeSoc(each, net)
    stand_in(monkeypatch, driver, tmp_path, soc)
    board = driver.NeuralNetworkOverlay("net.rbf", dtype=np.float64, memory=(soc.BASE, len(soc.memory)), seconds=0.01)
    assert soc.registers.pop(0x10) == 1, "the circuit is reset at the start"
    x = inputs_of(each.program, 5)
    soc.hangs, before = True, len(soc.resets)
    with pytest.raises(TimeoutError, match="does not end"):
        board.predict(x)
    assert soc.registers.pop(0x10) == 1 and soc.resets[before:] == [0, 1, 2, 3] and not soc.started
    soc.hangs = False
    for have, want in zip(board.predict(x), expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)


def test_another_circuit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("streams")
    written(tmp_path, each, "de10-nano")
    net, driver = imported(monkeypatch, tmp_path)
    soc = FakeSoc(each, net)
    stand_in(monkeypatch, driver, tmp_path, soc)
    soc.registers[0x08] ^= 1
    with pytest.raises(RuntimeError, match="this driver is for"):
        driver.NeuralNetworkOverlay("net.rbf", memory=(soc.BASE, len(soc.memory)))


def test_weights_are_sent_through_their_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many transfers as memory asks for, one after the other."""
    each = made("loads")
    written(tmp_path, each, "de10-nano")
    net, driver = imported(monkeypatch, tmp_path)
    soc, sent = FakeSoc(each, net, 4096), dict[int, bytes]()

    def note() -> None:
        for engine, (source, _, size) in soc.started.items():
            sent[engine] = sent.get(engine, b"") + soc.memory[source - soc.BASE :][:size].tobytes()
        soc.started.clear()

    monkeypatch.setattr(soc, "_compute", note)
    stand_in(monkeypatch, driver, tmp_path, soc)
    monkeypatch.setattr(driver.Engine, "MOST_BYTES", 16)
    board = driver.NeuralNetworkOverlay("net.rbf", dtype=np.float64, memory=(soc.BASE, len(soc.memory)))
    about = next(each for each in net.DESIGN["weights"] if each["name"] == "weight")
    raw = np.random.default_rng(0).integers(about["lo"], about["hi"] + 1, about["shapes"][0])
    kernel = np.ldexp(raw.astype(np.float64), -about["frac"])
    board.load(about["layer"], kernel=kernel)
    wanted = net.weights(about["layer"], kernel=kernel)[about["port"]]
    assert len(wanted) > 16 and sent == {len(net.INPUTS) + net.LOADS.index(about["port"]): wanted}


def test_a_load_that_does_not_end_resets_engines_and_circuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one would come after what has arrived of it."""
    each = made("loads")
    written(tmp_path, each, "de10-nano")
    net, driver = imported(monkeypatch, tmp_path)
    soc = FakeSoc(each, net)
    stand_in(monkeypatch, driver, tmp_path, soc)
    board = driver.NeuralNetworkOverlay("net.rbf", memory=(soc.BASE, len(soc.memory)), seconds=0.01)
    about, before = next(each for each in net.DESIGN["weights"] if each["name"] == "weight"), len(soc.resets)
    del soc.registers[0x10]
    with pytest.raises(TimeoutError, match="does not end"):
        board.load(about["layer"], kernel=np.zeros(about["shapes"][0]))
    assert soc.registers[0x10] == 1 and soc.resets[before:] == [*range(before)] and not soc.started


def test_memory_of_linux_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("pipeline")
    written(tmp_path, each, "de1-soc")
    net, driver = imported(monkeypatch, tmp_path)
    soc = FakeSoc(each, net)
    stand_in(monkeypatch, driver, tmp_path, soc)
    driver.NeuralNetworkOverlay("net.rbf", memory=(soc.BASE, 4096))
    with pytest.raises(RuntimeError, match="mem=767M"):
        driver.NeuralNetworkOverlay("net.rbf", memory=(soc.BASE - (1 << 20), 1 << 20))
    driver.USED.write_text("00001000-0000ffff : System RAM\n00010000-00010fff : ff000000.serial\n")
    for free in ((0, 0x1000), (0x10000, 1)):
        driver.check_unused(*free)
    for used in ((0, 0x1001), (0xFFFF, 1), (0, 0x20000)):
        with pytest.raises(RuntimeError, match="in use"):
            driver.check_unused(*used)


def test_memory_is_mapped_for_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that stands for the machine's memory: opened past caches, a part is read and written where it is."""
    written(tmp_path, made("pipeline"), "de1-soc")
    driver = imported(monkeypatch, tmp_path)[1]
    file, page = tmp_path / "mem", mmap.PAGESIZE
    content = np.arange(3 * page // 4, dtype=np.uint32)
    file.write_bytes(content.tobytes())
    asked, opened = list[tuple[Path, int]](), os.open

    def open_(path: Path, flags: int) -> int:
        asked.append((path, flags))
        return opened(path, flags)

    monkeypatch.setattr(driver, "MEMORY", file)
    monkeypatch.setattr(os, "open", open_)
    words = driver.map_physical(page, page, np.uint32)
    assert asked == [(file, os.O_RDWR | os.O_SYNC)]
    np.testing.assert_array_equal(words, content[page // 4 : page // 2])
    words[7] = content[page // 4 + 7] = 0xDEADBEEF
    np.testing.assert_array_equal(np.fromfile(file, np.uint32), content)


def test_linux_loads_the_bitstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for the compiler of device trees and for the folders of Linux, in which a made folder is an overlay."""
    written(tmp_path, made("pipeline"), "de10-nano")
    driver = imported(monkeypatch, tmp_path)[1]
    monkeypatch.setattr(driver, "FIRMWARE", tmp_path)
    monkeypatch.setattr(driver, "OVERLAYS", tmp_path / "overlays")
    rbf = tmp_path / "system/export/net.rbf"
    rbf.write_bytes(b"bits")
    with pytest.raises(RuntimeError, match="with U-Boot"):
        driver.load_bitstream(rbf)
    FakeTools(tmp_path / "bin", monkeypatch).add("dtc", "sys.stdout.write(sys.stdin.read())")
    statuses = iter(["applied\n", "unapplied\n"])
    make = Path.mkdir

    def mkdir(self: Path, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        (self / "status").write_text(next(statuses))

    monkeypatch.setattr(Path, "rmdir", lambda self: shutil.rmtree(self))
    (tmp_path / "overlays").mkdir()
    monkeypatch.setattr(Path, "mkdir", mkdir)
    driver.load_bitstream(rbf)
    assert 'firmware-name = "net.rbf";' in (tmp_path / "overlays/net/dtbo").read_text()
    assert (tmp_path / "net.rbf").read_bytes() == b"bits"
    with pytest.raises(RuntimeError, match=r"not loaded \(unapplied\)"):
        driver.load_bitstream(rbf)


def test_circuits_in_c_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DE1-SoC with backend"):
        three_layer(tmp_path, board="de1-soc", backend="quartus")[0].plan(csim=False).scripts()
