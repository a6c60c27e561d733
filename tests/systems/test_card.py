"""Accelerator cards: kernels, their links and movers, stand-in builds of every card, and the host on a stand-in for XRT."""

from __future__ import annotations

import enum
import re
import subprocess
import sys
import weakref
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from bitsmith.building.system import system_board
from bitsmith.devices.board import any_board
from bitsmith.devices.system import Card
from bitsmith.errors import ConfigError
from tests.devices.listed import SYSTEM_BOARDS
from tests.flows.fake_tools import FakeTools
from tests.properties import judged
from tests.rtl.circuits import lint
from tests.rtl.wrapped import expected, inputs_of, made
from tests.system.examples import three_layer
from tests.systems.test_hls_core import headers
from tests.systems.vivado import Vivado, stand_in
from tests.systems.written import computed, fixed_registers, imported, written

CARDS = [name for name in SYSTEM_BOARDS if isinstance(any_board(name), Card)]


@pytest.mark.parametrize("name", CARDS)
def test_every_card_links_every_stream(tmp_path: Path, name: str) -> None:
    system, board = written(tmp_path, made("streams"), name, 4.0), any_board(name)
    assert isinstance(board, Card)
    lines = (tmp_path / "system/link.cfg").read_text().splitlines()
    assert [line for line in lines if line.startswith("stream_connect")] == [
        "stream_connect=read_0.stream:circuit.s_axis_series",
        "stream_connect=read_1.stream:circuit.s_axis_bias",
        "stream_connect=read_2.stream:circuit.s_registers",
        "stream_connect=circuit.m_axis_shifted:write_0.stream",
        "stream_connect=circuit.m_axis_greatest:write_1.stream",
        "stream_connect=circuit.m_registers:write_2.stream",
    ]
    assert f"sp=write_1.memory:{board.memory}[{4 % board.banks}]" in lines
    kernels = re.findall(r"void (\w+)\(", (tmp_path / "system/movers.cpp").read_text())
    assert {line.split("=")[1].split(":")[0] for line in lines if line.startswith("nk=")} == {*kernels, "net_kernel"}
    calls = [(*step.programs[0], *step.arguments) for step in system.steps]
    assert [call[:2] for call in calls] == [("vivado", "-mode"), *[("v++", "-c")] * 6, ("v++", "-l")]
    assert all(board.platform in call for call in calls[1:])
    assert calls[-1][calls[-1].index("--kernel_frequency") + 1] == "250"
    made_before = {output for step in system.steps[:-1] for output in step.outputs}
    assert made_before == {word for word in calls[-1] if word.endswith(".xo")}


@pytest.mark.parametrize("kind", ["pipeline", "streams", "loads"])
def test_the_kernel_is_what_its_description_says(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    written(tmp_path, each, "alveo-u50")
    settings = (tmp_path / "system/settings.tcl").read_text()
    names = re.findall(r"rtl/[\w.]+", settings)
    lint([tmp_path / name for name in names], "net_kernel")
    kernel = ElementTree.parse(tmp_path / "system/kernel.xml").getroot()[0]
    ports = {port.attrib["name"]: int(port.attrib["dataWidth"]) for port in kernel.iter("port")}
    text = (tmp_path / "rtl/net_kernel.v").read_text()
    assert ports == {name: int(bits) + 1 for bits, name in re.findall(r"wire \[(\d+):0\] (\w+)_tdata", text)}
    arguments = [[arg.attrib[key] for key in ("id", "name", "port", "type")] for arg in kernel.iter("arg")]
    assert arguments == [[str(k), port, port, f"stream<ap_uint<{ports[port]}>>"] for k, port in enumerate(ports)]
    assert kernel.attrib["hwControlProtocol"] == "ap_ctrl_none"


COPIES = """\
#include "system/movers.cpp"
int main() {
    ap_uint<512> from[5], to[5];
    hls::stream<ap_uint<512>> stream;
    for (int k = 0; k < 5; k++) {
        from[k] = 0;
        from[k].range(511, 480) = k + 1;
        from[k].range(63, 0) = 0x0123456789abcdefULL * k;
    }
    read_0(from, 5, stream);
    write_0(to, 5, stream);
    for (int k = 0; k < 5; k++) {
        if (to[k] != from[k]) return 1;
    }
    return stream.empty() ? 0 : 2;
}
"""


@pytest.mark.parametrize("real", [False, judged(True)])
def test_the_movers_move(tmp_path: Path, real: bool) -> None:
    wide = made("stream")
    system = written(tmp_path, wide, "alveo-u250")
    text = system.files["system/movers.cpp"]
    bits = set(re.findall(r"ap_uint<(\d+)>", text))
    (tmp_path / "system/movers.cpp").write_text(re.sub(r"ap_uint<\d+>", "ap_uint<512>", text))
    (tmp_path / "copies.cpp").write_text(COPIES)
    options = ("-std=c++17", "-O0", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror")
    subprocess.run(["g++", *options, *headers(real), "copies.cpp", "-o", "copies"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "copies"], check=True)
    assert bits and all(int(each) % 8 == 0 for each in bits)


class FakeCard:
    """XRT with a card whose circuit the emulator computes."""

    def __init__(self, each: Circuit) -> None:
        self._each = each
        self.sources: dict[str, weakref.ref[FakeBuffer]] = {}
        self.registers: dict[int, int] = {}
        self.sent: dict[str, bytes] = {}
        self.targets: dict[str, tuple[Any, int]] = {}
        self.state = State.ERT_CMD_STATE_COMPLETED
        self.module = ModuleType("pyxrt")
        to, back = "XCL_BO_SYNC_BO_TO_DEVICE", "XCL_BO_SYNC_BO_FROM_DEVICE"
        members = {
            "device": lambda index: SimpleNamespace(load_xclbin=lambda xclbin: "uuid"),
            "xclbin": lambda path: path,
            "kernel": lambda device, uuid, name: FakeKernel(self, name),
            "bo": FakeBuffer,
            "xclBOSyncDirection": SimpleNamespace(**{to: 0, back: 1}),
            "ert_cmd_state": State,
        }
        for name, value in members.items():
            setattr(self.module, name, value)

    def run(self, net: ModuleType, asks: bool) -> None:
        """All that was started: of a buffer XRT keeps the place only, at which nothing is once it is freed."""
        commands, answers = f"read_{len(net.INPUTS) + len(net.LOADS)}", f"write_{len(net.OUTPUTS)}"
        if asks and commands in self.sources:
            source, (target, beats) = self.sources.pop(commands)(), self.targets.pop(answers)
            assert source is not None and beats == 1
            target.content[:] = self.answered(int.from_bytes(source.content, "little"), net).to_bytes(4, "little")
        if asks or not self.sources:
            return
        sources = {name: place() for name, place in self.sources.items()}
        assert None not in sources.values(), "a kernel reads memory that was freed"
        self.sent = {name: bytes(source.content) for name, source in sources.items() if source is not None}
        if "read_0" not in sources:
            self.sources.clear()
            return
        data = [self.sent[f"read_{k}"] for k in range(len(net.INPUTS))]
        targets = [self.targets[f"write_{k}"] for k in range(len(net.OUTPUTS))]
        wanted = [beats * stream.beat for stream, (_, beats) in zip(net.OUTPUTS, targets, strict=True)]
        for (target, _), size, bits in zip(targets, wanted, self.exchanged(net, data, wanted), strict=True):
            assert len(bits) == size
            target.content[:] = bits
        self.registers[0x24] = self.registers.get(0x24, 0) + len(data[0]) // net.INPUTS[0].frame_bytes
        self.sources.clear()

    def exchanged(self, net: ModuleType, data: list[bytes], wanted: list[int]) -> list[bytes]:
        """The circuit's results; TimeoutError if they do not all come."""
        assert sum(wanted) > 0
        return computed(self._each, net, data)

    def answered(self, command: int, net: ModuleType) -> int:
        """The answer to a command of `bitsmith_commands`."""
        offset = command >> 32 & 0xFFF
        if command >> 63:
            self.registers[offset] = command & 0xFFFFFFFF
            return 0
        return (self.registers | fixed_registers(net)).get(offset, 0)


class State(enum.Enum):
    """How a kernel ends (ert_cmd_state of XRT's ert.h)."""

    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_ERROR = 5
    ERT_CMD_STATE_ABORT = 6
    ERT_CMD_STATE_TIMEOUT = 8


class FakeRun:
    """A run, which gives its state when it is waited for, whether it ended well or not; ``asks``: for registers."""

    def __init__(self, card: FakeCard, asks: bool) -> None:
        self._card, self._asks = card, asks

    def wait(self, timeout_ms: int = 0) -> State:
        assert isinstance(timeout_ms, int) and 0 < timeout_ms < 1 << 32, "waits for ever"
        if self._asks or self._card.state is State.ERT_CMD_STATE_COMPLETED:
            try:
                self._card.run(sys.modules["net"], self._asks)
            except TimeoutError:  # nothing ends kernels that wait for more
                self._card.state = State.ERT_CMD_STATE_TIMEOUT
            else:
                return State.ERT_CMD_STATE_COMPLETED
        return self._card.state


class FakeBuffer:
    normal = 0

    def __init__(self, device: object, size: int, kind: int, group: int) -> None:
        self.content = bytearray(size)

    def write(self, data: bytes, at: int) -> None:
        self.content[at : at + len(data)] = data

    def sync(self, direction: int, size: int, at: int) -> None:
        assert size == len(self.content)

    def read(self, size: int, at: int) -> np.ndarray:
        return np.frombuffer(bytes(self.content[at : at + size]), np.uint8)


class FakeKernel:
    def __init__(self, card: FakeCard, name: str) -> None:
        self._card, self._name = card, name

    def group_id(self, argument: int) -> int:
        return argument

    def __call__(self, buffer: FakeBuffer, beats: int) -> FakeRun:
        if self._name.startswith("read"):
            self._card.sources[self._name] = weakref.ref(buffer)
        else:
            self._card.targets[self._name] = (buffer, beats)
        net = sys.modules["net"]
        asking = f"read_{len(net.INPUTS) + len(net.LOADS)}", f"write_{len(net.OUTPUTS)}"
        return FakeRun(self._card, self._name in asking)


@pytest.mark.parametrize("most", [1 << 24, 100, 1])
def test_the_host_gives_the_results_of_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """In as many parts as buffers of ``most`` bytes ask for."""
    each = made("streams")
    written(tmp_path, each, "alveo-u55c")
    fake = FakeCard(each)
    monkeypatch.setitem(sys.modules, "pyxrt", fake.module)
    net, driver = imported(monkeypatch, tmp_path)
    monkeypatch.setattr(driver.NeuralNetworkOverlay, "MOST_BYTES", most)
    card = driver.NeuralNetworkOverlay("net.xclbin", dtype=np.float64)
    x = inputs_of(each.program, 6)
    for have, want in zip(card.predict(x), expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)
    assert max(map(len, fake.sent.values())) <= max(most, *(stream.frame_bytes for stream in net.INPUTS))


@pytest.mark.parametrize("state", [state for state in State if state is not State.ERT_CMD_STATE_COMPLETED])
def test_kernels_that_do_not_end_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    """What lies in memory then is no result."""
    each = made("streams")
    written(tmp_path, each, "alveo-u55c")
    fake = FakeCard(each)
    monkeypatch.setitem(sys.modules, "pyxrt", fake.module)
    card = imported(monkeypatch, tmp_path)[1].NeuralNetworkOverlay("net.xclbin")
    x = inputs_of(each.program, 6)
    assert fake.registers.pop(0x10) == 1, "the circuit is reset at the start"
    fake.state = state
    with pytest.raises((TimeoutError, RuntimeError), match=r"within 10|ERROR|ABORT"):
        card.predict(x)
    fake.state = State.ERT_CMD_STATE_COMPLETED
    assert fake.registers.pop(0x10) == 1, "the circuit has been reset"
    with pytest.raises(RuntimeError, match="failed before"):
        card.predict(x)


def test_weights_are_sent_by_their_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one does not end, the next load would come after what has arrived of it."""
    each = made("loads")
    written(tmp_path, each, "alveo-u55c")
    fake = FakeCard(each)
    monkeypatch.setitem(sys.modules, "pyxrt", fake.module)
    net, driver = imported(monkeypatch, tmp_path)
    card = driver.NeuralNetworkOverlay("net.xclbin")
    about = next(each for each in net.DESIGN["weights"] if each["name"] == "weight")
    values = np.full(about["shapes"][0], np.ldexp(float(about["hi"]), -about["frac"]))
    card.load(about["layer"], kernel=values)
    kernel = f"read_{len(net.INPUTS) + net.LOADS.index(about['port'])}"
    assert fake.sent == {kernel: net.weights(about["layer"], kernel=values)[about["port"]]}
    del fake.registers[0x10]
    fake.state = State.ERT_CMD_STATE_TIMEOUT
    with pytest.raises(TimeoutError, match="a kernel does not end"):
        card.load(about["layer"], kernel=values)
    assert fake.registers[0x10] == 1, "the circuit has been reset"
    fake.state = State.ERT_CMD_STATE_COMPLETED
    for again in (lambda: card.load(about["layer"], kernel=values), lambda: card.predict(inputs_of(each.program, 1))):
        with pytest.raises(RuntimeError, match="failed before"):
            again()


_LINKER = """\
target = pathlib.Path(arguments[arguments.index("-o") + 1])
for name in [word for word in arguments if word.endswith((".xo", ".cpp", ".cfg")) and word != str(target)]:
    assert pathlib.Path(name).exists(), name
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(" ".join(arguments))
"""
_HLS = 'pathlib.Path("system/myproject_axi.xo").write_text("kernel")\n'


@pytest.mark.parametrize("backend", ["rtl", "vitis"])
def test_a_build_links_an_xclbin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    pytest.importorskip("_tkinter")
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    fakes.add("vivado", stand_in())
    fakes.add("vitis-run", _HLS)
    fakes.add("v++", _LINKER)
    model = three_layer(tmp_path / "project", board="alveo-u50", backend=backend, platform="mine_u50")[0]
    off = {"csim": False} if backend == "vitis" else {"cosim": False}
    report = model.build(synth=False, bitstream=True, **off)
    assert report.section("Files")["Bitstream"] == "system/export/myproject.xclbin"
    first = "vivado" if backend == "rtl" else "vitis-run"
    assert [call.name for call in fakes.calls()] == [first, *["v++"] * (5 if backend == "rtl" else 3)]
    assert "mine_u50" in (model.output_dir / "system/export/myproject.xclbin").read_text()


def test_vivado_hls_makes_no_kernels(tmp_path: Path) -> None:
    model = three_layer(tmp_path, board="alveo-u50", backend="vivado")[0]
    assert system_board(model.target) is not None
    with pytest.raises(ConfigError, match="'rtl' or 'vitis'"):
        model.plan(csim=False).scripts()


def test_the_script_of_a_kernel(tmp_path: Path) -> None:
    pytest.importorskip("_tkinter")
    written(tmp_path, made("pipeline"), "alveo-u280")
    design = Vivado(tmp_path).source(tmp_path / "system/kernel.tcl")
    assert (tmp_path / "system/net_kernel.xo").read_text() == "net_kernel"
    assert {path.stem for path in design.files} >= {"net", "net_axis", "net_dma_axis", "net_dma_axil", "net_kernel"}
    assert sum("associate_bus_interfaces" in line for line in design.said) == 4
