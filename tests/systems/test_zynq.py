"""Systems with an AMD processor: block designs in a stand-in for Vivado, builds, and the overlay on a stand-in board."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bitsmith
from bitsmith.building import rtl_stages
from bitsmith.building.design import Circuit
from bitsmith.building.job import Target
from bitsmith.building.system import rtl_core
from bitsmith.devices.board import any_board
from bitsmith.devices.system import Zynq
from bitsmith.errors import ConfigError, ToolFailedError, ToolMissingError
from tests.devices.listed import SYSTEM_BOARDS
from tests.flows.fake_tools import FakeTools
from tests.properties import few
from tests.rtl.test_bus_wrappers import buffer
from tests.rtl.wrapped import expected, inputs_of, made
from tests.system.examples import three_layer
from tests.systems.vivado import Design, Vivado, stand_in
from tests.systems.written import computed, fixed_registers, imported, written

pytest.importorskip("_tkinter")

TARGET = Target(Path(), "net", "", 10.0)
BOARDS = [name for name in SYSTEM_BOARDS if isinstance(any_board(name), Zynq)]


def board_named(name: str) -> Zynq:
    board = any_board(name)
    assert isinstance(board, Zynq)
    return board


def drawn(folder: Path, each: Circuit, name: str, **vivado: Any) -> Design:
    written(folder, each, name)
    return Vivado(folder, (board_named(name).board_part,), **vivado).source(folder / "system/zynq.tcl")


def clocked(design: Design) -> bool:
    """Return True if each clock and reset pin is driven."""
    ends = ("aclk", "ACLK", "clk", "resetn", "reset_in")
    missing = [
        f"{cell}/{pin}"
        for cell, kind in design.cells.items()
        for pin in Vivado.pins_of(design, cell, kind)
        if pin.endswith(ends)
        and f"{cell}/{pin}" not in design.nets
        and not pin.startswith(("pl_", "FCLK", "peripheral"))
    ]
    return not missing


@pytest.mark.parametrize("name", BOARDS)
def test_every_board(tmp_path: Path, name: str) -> None:
    each = made("streams")
    folder = tmp_path / "a project"  # two words, of which the tool's lists of files are made
    design = drawn(folder, each, name)
    processor = board_named(name).processor.value
    assert design.cells["processor"] == {"zynq": "processing_system7"}.get(processor, "zynq_ultra_ps_e")
    assert design.cells["circuit"] == "net_dma_axil"
    memory, control = ("S_AXI_HP0", "M_AXI_GP0") if processor == "zynq" else ("S_AXI_HP0_FPD", "M_AXI_HPM0_FPD")
    assert {
        ("axi_dma_0/M_AXIS_MM2S", "circuit/s_axis_series"),
        ("axi_dma_1/M_AXIS_MM2S", "circuit/s_axis_bias"),
        ("circuit/m_axis_shifted", "axi_dma_0/S_AXIS_S2MM"),
        ("circuit/m_axis_greatest", "axi_dma_1/S_AXIS_S2MM"),
        ("to_memory/M00_AXI", f"processor/{memory}"),
        (f"processor/{control}", "to_registers/S00_AXI"),
        ("to_registers/M02_AXI", "circuit/s_axi"),
    } <= set(design.buses)
    assert len(design.buses) == 4 + 4 + 1 + 1 + 3
    assert clocked(design)
    assert {path.stem for path in design.files} >= {"net", "net_axis", "net_dma_axis", "net_dma_axil"}
    assert sorted(path.name for path in (folder / "system/export").iterdir()) == [
        *(
            "axi_stream_driver.py",
            "net.bit",
            "net.hwh",
            "net.py",
            "net.xsa",
            "net_driver.c",
            "net_driver.h",
            "predicting.py",
        )
    ]
    connected = any("board_connections" in line for line in design.said)
    assert connected is (name == "kv260")


@pytest.mark.parametrize("kind", ["pipeline", "loads", "weights"])
def test_every_kind_of_circuit(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    design = drawn(tmp_path, each, "pynq-z2")
    interface = each.interface
    streams = len(interface.inputs) + len(interface.load_ports) + len(interface.outputs)
    assert sum("circuit/s_axis" in end or "circuit/m_axis" in end for pair in design.buses for end in pair) == streams
    assert clocked(design)


def test_another_version_of_the_boards_files(tmp_path: Path) -> None:
    written(tmp_path, made("pipeline"), "kv260")
    boards = tuple(f"xilinx.com:kv260_som:part0:{version}" for version in ("1.10", "1.9"))
    said = Vivado(tmp_path, (*boards, "xilinx.com:kv260_carrier:part0:9.9")).source(tmp_path / "system/zynq.tcl").said
    assert "set_property board_part xilinx.com:kv260_som:part0:1.10 ''" in said
    assert not any("board_connections" in line for line in said)
    assert any("apply_board_preset 1" in line for line in said)


def test_without_files_of_the_board(tmp_path: Path) -> None:
    written(tmp_path, made("pipeline"), "zcu104")
    design = Vivado(tmp_path).source(tmp_path / "system/zynq.tcl")
    assert not any("board_part" in line for line in design.said if line.startswith("set_property"))
    assert any("apply_board_preset 0" in line for line in design.said)


def test_too_many_streams() -> None:
    core, _ = rtl_core(made("streams"), board_named("pynq-z2"), TARGET, {}, None)
    with pytest.raises(ConfigError, match="at most 3"):
        core.check_streams(3)
    core.check_streams(4)


def test_a_clock_that_the_processor_does_not_give(tmp_path: Path) -> None:
    """Vivado takes no more than 250 MHz of Zynq-7000 (PCW_FPGA0_PERIPHERAL_FREQMHZ)."""
    with pytest.raises(
        ConfigError, match=r"ClockPeriod: a clock of 333\.333 MHz .*PYNQ-Z2\n.*at least 4 ns \(250 MHz\)"
    ):
        written(tmp_path, made("pipeline"), "pynq-z2", 3.0)
    assert "set clock_mhz 250\n" in written(tmp_path, made("pipeline"), "pynq-z2", 4.0).files["system/settings.tcl"]
    written(tmp_path, made("pipeline"), "kv260", 3.0)


class FakeEngine:
    """A DMA engine of PYNQ: what is sent waits until there is a place for all, then the board computes."""

    def __init__(self, board: FakeBoard, number: int) -> None:
        self._board, self._number = board, number
        self.sendchannel = FakeChannel(board, ("in", number))
        self.recvchannel = FakeChannel(board, ("out", number))

    def write(self, offset: int, value: int) -> None:
        assert (offset, value) == (0, 1 << 2), "both sides are reset by either"
        self._board.resets.append(self._number)
        for side in ("in", "out"):
            self._board.buffers.pop((side, self._number), None)

    def read(self, offset: int) -> int:
        return 0x10002


class FakeChannel:
    def __init__(self, board: FakeBoard, place: tuple[str, int]) -> None:
        self._board, self._place = board, place

    @property
    def running(self) -> bool:
        return self._board.trouble != "an engine stops"

    def start(self) -> None:
        assert self.idle, "an engine is reset before it is started"

    @property
    def idle(self) -> bool:
        return self._place not in self._board.buffers

    def transfer(self, array: np.ndarray) -> None:
        if not self.idle:
            raise RuntimeError("DMA channel not idle")
        self._board.buffers[self._place] = array
        self._board.run()

    def wait(self) -> None:
        """As PYNQ's, which knows no limit."""
        if not self.running:
            raise RuntimeError("DMA channel not started")
        assert self.idle, "waits for ever"


class FakeBoard:
    """Registers and engines of a circuit that the emulator computes, through the bytes of the driver."""

    def __init__(self, each: Circuit, net: ModuleType) -> None:
        self.buffers: dict[tuple[str, int], np.ndarray] = {}
        self.trouble, self.resets = "", list[int]()
        self.registers = fixed_registers(net)
        self._each, self._net = each, net

    def run(self) -> None:
        net = self._net
        wanted = {("in", k) for k in range(len(net.INPUTS))} | {("out", k) for k in range(len(net.OUTPUTS))}
        if self.trouble == "a user ends it":
            raise KeyboardInterrupt("stop")
        if set(self.buffers) != wanted or self.trouble in ("nothing comes", "an engine stops"):
            return
        data = [self.buffers.pop(("in", k)).tobytes() for k in range(len(net.INPUTS))]
        frames = len(data[0]) // net.INPUTS[0].frame_bytes
        assert self.registers[0x28] == frames
        results = computed(self._each, net, data)
        if self.trouble == "a packet is short":
            frames //= 2
            results = [bits[: frames * stream.frame_bytes] for bits, stream in zip(results, net.OUTPUTS, strict=True)]
        self.registers[0x24] = self.registers.get(0x24, 0) + frames
        for k, bits in enumerate(results):
            self.buffers.pop(("out", k))[: len(bits)] = np.frombuffer(bits, np.uint8)


def overlay(monkeypatch: pytest.MonkeyPatch, folder: Path, each: Circuit) -> tuple[ModuleType, ...]:
    """The driver's two files, beside a stand-in for PYNQ."""
    pynq = ModuleType("pynq")

    class Overlay:
        def __init__(self, bitfile_name: str, dtbo: Any, download: bool, ignore_version: bool, device: Any) -> None:
            assert bitfile_name.endswith(".bit")
            board = self.board = FakeBoard(each, sys.modules["net"])
            self.circuit, self.ip_dict = Registers(board), {"axi_dma_0": {}, "circuit": {}}
            for k in range(6):
                setattr(self, f"axi_dma_{k}", FakeEngine(board, k))

    class Registers:
        def __init__(self, board: FakeBoard) -> None:
            self.read: Callable[[int], int] = lambda offset: board.registers.get(offset, 0)
            self.write = board.registers.__setitem__

    monkeypatch.setattr(pynq, "Overlay", Overlay, raising=False)
    monkeypatch.setattr(pynq, "allocate", buffer, raising=False)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    return imported(monkeypatch, folder)


@pytest.mark.parametrize("kind", ["pipeline", "streams"])
def test_the_overlay_gives_the_results_of_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    each = made(kind)
    written(tmp_path, each, "pynq-z2")
    net, driver = overlay(monkeypatch, tmp_path, each)
    board = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64)
    engines = max(len(net.INPUTS), len(net.OUTPUTS))
    assert board.board.resets == [*range(engines)] and board.board.registers.pop(0x10) == 1, "all is reset at the start"
    x = inputs_of(each.program, 7)
    found, seconds, rate = board.predict(x, profile=True)
    for have, want in zip(found, expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)
    assert "Classified 7 samples" in capsys.readouterr().out and rate == 7 / seconds
    with pytest.warns(UserWarning, match="not called"):
        again: Sequence[np.ndarray] = board.predict(x, True, encode=str)
    assert again[0].dtype == np.float64 and "7 samples sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trouble", "error", "told"),
    [
        ("nothing comes", TimeoutError, "does not end"),
        ("an engine stops", RuntimeError, "not started"),
        ("a packet is short", RuntimeError, "3 of 7 frames"),
        ("a user ends it", KeyboardInterrupt, "stop"),
    ],
)
def test_results_that_do_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, error: type[BaseException], told: str
) -> None:
    """They are an error, after which engines and circuit have been reset: the next results are right."""
    each = made("streams")
    written(tmp_path, each, "pynq-z2")
    _, driver = overlay(monkeypatch, tmp_path, each)
    board = driver.NeuralNetworkOverlay("net.bit", seconds=0.01)
    x = inputs_of(each.program, 7)
    board.predict(x)
    board.board.trouble = trouble
    with pytest.raises(error, match=told):
        board.predict(x)
    board.board.trouble = ""
    for have, want in zip(board.predict(x), expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)


def test_a_load_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one would come after what has arrived of it, unless engines and circuit are reset."""
    each = made("loads")
    written(tmp_path, each, "pynq-z2")
    net, driver = overlay(monkeypatch, tmp_path, each)
    board = driver.NeuralNetworkOverlay("net.bit", seconds=0.01)
    about = next(each for each in net.DESIGN["weights"] if each["name"] == "weight")
    values = np.zeros(about["shapes"][0])
    del board.board.registers[0x10]
    with pytest.raises(TimeoutError, match="weights do not arrive"):
        board.load(about["layer"], kernel=values)
    assert board.board.registers[0x10] == 1 and not board.board.buffers
    monkeypatch.setattr(board.board, "run", board.board.buffers.clear)
    board.load(about["layer"], kernel=values)


def test_a_reset_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ones are what a bus gives that nothing answers at."""
    written(tmp_path, made("stream"), "pynq-z2")
    (net,) = imported(monkeypatch, tmp_path, "net")
    moments = iter(range(1000))
    monkeypatch.setattr(net.time, "monotonic", lambda: next(moments))
    registers = net.Registers(lambda offset: 0xFFFFFFFF, lambda offset, value: None)
    with pytest.raises(TimeoutError, match="reset"):
        registers.reset()


def test_words_that_are_no_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("stream")
    written(tmp_path, each, "pynq-z2", bus_input="fixed<16,6>")
    board = overlay(monkeypatch, tmp_path, each)[1].NeuralNetworkOverlay("net.bit")
    (x,) = inputs_of(each.program, 2)
    for encode in (lambda x: x * 1j, lambda x: x + 0.5, lambda x: np.full(x.shape, "1"), lambda x: x * np.nan):
        with pytest.raises(ValueError, match="encode gives"):
            board.predict(np.floor(x), encode=encode)


def test_words_of_the_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("stream")
    written(tmp_path, each, "pynq-z2", bus_input="fixed<16,6>", bus_output="fixed<12,8,RND,SAT>")
    driver = overlay(monkeypatch, tmp_path, each)[1]
    (x,) = inputs_of(each.program, 5)
    words = np.clip(np.floor(np.ldexp(x, 10)), -(1 << 15), (1 << 15) - 1).astype(np.int16)
    (want,) = expected(each.program, [np.ldexp(words.astype(np.float64), -10)])
    board = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64)
    np.testing.assert_array_equal(board.predict(words), want)
    np.testing.assert_array_equal(board.predict(words.view(np.uint16)), want)
    np.testing.assert_array_equal(board.predict(words.astype(np.float64) / 1024), want)
    given = np.clip(np.floor(np.ldexp(want, 4) + 0.5), -2048, 2047)
    np.testing.assert_array_equal(board.predict(words, dtype=np.int16), given.astype(np.int16))
    coded = board.predict(x, encode=lambda x: words, decode=lambda y: y / 16)
    np.testing.assert_array_equal(coded, given / 16)


def test_shapes_as_in_other_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("stream")
    written(tmp_path, each, "pynq-z2")
    net, driver = overlay(monkeypatch, tmp_path, each)
    (x,) = inputs_of(each.program, 3)
    board = driver.NeuralNetworkOverlay("net.bit", x.shape, (3, *net.OUTPUTS[0].shapes[0]))
    y = board.predict(x, y_shape=(3, -1), dtype=np.float64)
    np.testing.assert_array_equal(y, expected(each.program, [x])[0].reshape(3, -1))
    with pytest.raises(ValueError, match="per sample"):
        driver.NeuralNetworkOverlay("net.bit", (3, 2))


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    return FakeTools(tmp_path / "Vivado" / "2022.2" / "bin", monkeypatch)


@pytest.mark.slow
@pytest.mark.ci
def test_a_build_makes_the_bitstream(tmp_path: Path, fakes: FakeTools) -> None:
    fakes.add("vivado", stand_in((board_named("pynq-z2").board_part,)))
    model = three_layer(tmp_path / "my projects", board="pynq-z2", clock_period=10)[0]
    report = model.build(cosim=False, synth=False, bitstream=True)
    assert [str(stage["Name"]) for stage in report.stages()] == ["rtl", "bitstream"]
    assert report.section("Files")["Bitstream"] == "system/export/myproject.bit"
    assert (model.output_dir / "system/export/myproject.hwh").read_text() == "<EDKSYSTEM/>"
    assert [call.arguments[-1] for call in fakes.calls()] == ["system/zynq.tcl"]
    model.build(cosim=False, synth=False, bitstream=True)
    assert fakes.calls() == []


@few("missed, said", [("WNS", "500 MHz is"), ("WHS", "hold times are"), ("TPWS", "pulses are")], fast=0, judged=True)
def test_a_missed_time_is_an_error(tmp_path: Path, fakes: FakeTools, missed: str, said: str) -> None:
    fakes.add("vivado", stand_in(missed=missed))
    model = three_layer(tmp_path / "project", board="zcu102", clock_period=2)[0]
    with pytest.raises(ToolFailedError, match=rf"{said} missed by 0\.25 ns"):
        model.build(cosim=False, synth=False, bitstream=True)


def test_a_build_without_vivado(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = three_layer(tmp_path / "project", board="kv260")[0]
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError, match=r"vivado -mode batch .*-source system/zynq\.tcl"):
        model.build(cosim=False, synth=False, bitstream=True)


def test_another_part(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on a board with xc7z020clg400-1"):
        three_layer(tmp_path, board="pynq-z2", part="xc7z010clg400-1")


def test_a_name_that_is_no_board(tmp_path: Path) -> None:
    with pytest.raises(bitsmith.errors.ConfigError, match="alveo-u55c"):
        three_layer(tmp_path, board="pynq-z9")


@pytest.mark.slow
@pytest.mark.ci
def test_counters_are_in_the_estimate_unless_they_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for monitors in (None, "none"):
        model = three_layer(tmp_path / str(monitors), board="pynq-z2", monitors=monitors)[0]
        report = model.build(cosim=False, synth=False)
        names = {path.name for path in (model.output_dir / "rtl").iterdir()}
        assert ("bitsmith_counters.sv" in names) == (monitors is None)
        figures = report.section("Estimate")
        assert (figures.get("CountersLUT"), figures.get("CountersFF")) == (
            (320, 384) if monitors is None else (None, None)
        )
    model = three_layer(tmp_path / "ranges", board="pynq-z2", monitors="ranges")[0]
    figures = model.build(cosim=False, synth=False).section("Estimate")
    assert figures["CountersLUT"] > 320 + 2 * 726 and figures["CountersFF"] > 384 + 2 * 300
    monkeypatch.setattr(rtl_stages, "circuit", lambda *_: pytest.fail("an unchanged build generates no circuit"))
    assert model.build(cosim=False, synth=False).section("Estimate") == figures
    with pytest.raises(ConfigError, match="Monitors"):
        three_layer(tmp_path, board="pynq-z2", monitors="all")


@pytest.mark.slow
@pytest.mark.ci
def test_memories_are_read_back_where_there_are_some(tmp_path: Path) -> None:
    kept = {"Model": {"ReuseFactor": 4, "Weights": "reloadable"}}
    notes, figures = [], []
    for name, config in (("constants", None), ("loaded", kept)):
        model = three_layer(tmp_path / name, config=config, board="pynq-z2", monitors="memories")[0]
        notes.append([note for note in model.notes if "memories" in note])
        model.write()
        texts = {path.name: path.read_text() for path in (model.output_dir / "rtl").iterdir()}
        figures.append("load_crc" in texts[f"{model.target.project_name}_dma_axil.v"])
    assert [len(each) for each in notes] == [1, 0] and figures == [False, True]
    with pytest.raises(ConfigError, match="Monitors"):
        three_layer(tmp_path, backend="vitis", monitors="memories")


def test_ecc_is_said_to_lower_the_clock(tmp_path: Path) -> None:
    for monitors, is_said in (("ecc", True), ("parity", False)):
        model = three_layer(tmp_path / monitors, monitors=monitors)[0]
        assert any("lowers the clock" in note for note in model.notes) == is_said


@few("name, module", [("inspect", "inspect_net"), ("class", "class_net"), ("jets", "jets")], fast=0, judged=True)
def test_drivers_are_imported_whatever_the_circuit_is_called(tmp_path: Path, name: str, module: str) -> None:
    """Python imports its own modules in the folders of the drivers, whose files stand before them."""
    model, _ = three_layer(tmp_path, project_name=name, board="pynq-z2")
    model.write()
    for folder, imported_module in (("driver", module), ("system/export", "predicting")):
        assert (tmp_path / "project" / folder / f"{module}.py").is_file()
        script = f"import {imported_module}, dataclasses"
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "project" / folder, check=True)
