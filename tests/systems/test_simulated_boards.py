"""Boards with a Zynq in simulation, their circuit as it is, under the real drivers: results and counters."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.board import any_board
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.system import Zynq
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.beats import with_beats
from bitsmith.rtl.driver import DrivenCircuit
from bitsmith.rtl.writer import Title
from bitsmith.systems.bare_metal import bare_metal
from tests.devices.listed import SYSTEM_BOARDS
from tests.rtl import wrapped
from tests.rtl.test_bus_wrappers import Channel, buffer
from tests.rtl.test_selftest import with_a_flipped_bit
from tests.rtl.wrapped import DIGEST, expected, inputs_of, made
from tests.systems.test_bare_metal import IN, OUT, compiled
from tests.systems.written import imported, written

PERIOD_NS, BUS_BYTES = 10.0, 8
CIRCUIT = 0x43C0_0000
BOARDS = [
    pytest.param(name, marks=[pytest.mark.ci] if name in ("pynq-z2", "kv260") else [])
    for name in SYSTEM_BOARDS
    if isinstance(any_board(name), Zynq)
]
KINDS = ("link", "reset", "clock", "data order", "weights")
"""In the order of the statuses of the driver in C, from 5 up."""


@dataclass(frozen=True)
class Fault:
    """A mistake of a board: in the circuit's text, its weights, its clock, or in the bytes on the way in or out.

    ``text``: a file, what stands in it, and what stands there instead.
    """

    kind: str
    text: tuple[str, str, str] | None = None
    flipped: bool = False
    clock: float = 1.0
    sent: Callable[[bytes], bytes] = bytes
    received: Callable[[bytes], bytes] = bytes


@dataclass
class Simulated:
    """A board: its circuit in simulation, the bytes on their way, and its processor's time.

    Time passes with the circuit's cycles, and with questions that these do not answer.
    """

    circuit: wrapped.Board
    fault: Fault
    period_ns: float = PERIOD_NS
    asked: float = 0.0
    cycles: int = 0

    def monotonic(self) -> float:
        now = self.circuit.step()
        self.asked += 0.05 if now < self.cycles + 100 else 0.0
        self.cycles = now
        return now * self.period_ns * 1e-9 / self.fault.clock + self.asked

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.circuit.step(round(seconds * 1e9 / self.period_ns * self.fault.clock))

    def exchange(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        results = self.circuit.exchange([*map(self.fault.sent, data)], wanted)
        return [self.fault.received(result) for result in results]


@contextmanager
def simulated(
    folder: Path,
    each: Circuit,
    fault: Fault,
    shell: wrapped.Shell = wrapped.AXIL,
    bus_bytes: int = BUS_BYTES,
    period_ns: float = PERIOD_NS,
) -> Iterator[Simulated]:
    """The circuit of a board whose project is in ``folder``."""
    listed = (folder / "system/settings.tcl").read_text()
    found = re.search(r"^set sources \[list (.*)\]$", listed, re.MULTILINE)
    assert found is not None
    if fault.text is not None:
        name, right, wrong = fault.text
        path = folder / "rtl" / name
        assert path.read_text().count(right) == 1, right
        path.write_text(path.read_text().replace(right, wrong))
    sources = [folder / name for name in found[1].split()]
    with wrapped.board(folder, with_beats(each.interface, bus_bytes), sources, shell=shell) as process:
        yield Simulated(process, fault, period_ns)


def project(folder: Path, kind: str, fault: Fault, board: str = "pynq-z2", **target: Any) -> Circuit:
    """A project for a board, whose circuit may have another weight than its driver knows."""
    each = made(kind)
    written(folder, each, board, PERIOD_NS, **target)
    if fault.flipped:
        other = circuit(
            with_a_flipped_bit(each.program), Directives({}, False), ECP5.delays, 8.0, "net", Title("test", DIGEST)
        )
        for name, text in other.sources.items():
            (folder / "rtl" / name).write_text(text)
    return each


class Engine:
    """A DMA engine of PYNQ, one side of which may have nothing to do."""

    def __init__(self, send: Channel | None, receive: Channel | None) -> None:
        for name, channel in (("sendchannel", send), ("recvchannel", receive)):
            if channel is not None:
                setattr(self, name, channel)

    def write(self, offset: int, value: int) -> None:
        assert value == 1 << 2 and offset == (0x00 if hasattr(self, "sendchannel") else 0x30)
        for channel in vars(self).values():
            channel.moved = True

    def read(self, offset: int) -> int:
        return 0


class Started(Channel):
    """A channel whose transfer may not end, after which it is started again."""

    def start(self) -> None:
        assert self.moved, "an engine is reset before it is started"

    @property
    def idle(self) -> bool:
        try:
            return super().idle
        except TimeoutError:
            return False


class Loader(Started):
    """The channel of weights for a memory."""

    def __init__(self, board: Simulated, name: str) -> None:
        super().__init__(self._load)
        self._board, self._name = board, name

    def _load(self) -> None:
        self._board.circuit.load(self._name, self.array.tobytes())
        self.moved = True


def overlay(monkeypatch: pytest.MonkeyPatch, folder: Path, board: Simulated, top: str = "net") -> Any:
    """The overlay of the board on a stand-in for PYNQ, whose engines move what is between memory and the circuit."""
    pynq = ModuleType("pynq")

    class Overlay:
        def __init__(self, *_: Any, **__: Any) -> None:
            net = sys.modules[top]
            counts = [len(net.INPUTS), len(net.OUTPUTS)]
            send, receive = ([Started(move) for _ in range(count)] for count in counts)

            def moved() -> None:
                wanted = [len(each.array) for each in receive]
                for channel, data in zip(
                    receive, board.exchange([each.array.tobytes() for each in send], wanted), strict=True
                ):
                    channel.array[:] = np.frombuffer(data, np.uint8)
                for channel in (*send, *receive):
                    channel.moved = True

            moves.append(moved)
            loads = [Loader(board, name) for name in net.LOADS]
            columns, most = ([*send, *loads], receive), max(counts[0] + len(loads), counts[1])
            pairs = [(column[k] if k < len(column) else None) for k in range(most) for column in columns]
            for k, pair in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
                setattr(self, f"axi_dma_{k}", Engine(*pair))
            self.circuit, self.ip_dict = board.circuit, {"axi_dma_0": {}}

    moves: list[Callable[[], None]] = []

    def move() -> None:
        moves[-1]()

    monkeypatch.setattr(pynq, "Overlay", Overlay, raising=False)
    monkeypatch.setattr(pynq, "allocate", buffer, raising=False)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    net, driver, predicting = imported(monkeypatch, folder, top, "axi_stream_driver", "predicting")
    for module in (net, predicting):
        monkeypatch.setattr(module, "time", board)
    return net, driver


class Bus:
    """What the driver in C reads and writes: the registers of engines, and those of the circuit."""

    def __init__(self, board: Simulated, net: ModuleType) -> None:
        self._board, self._net = board, net
        self._words = dict[int, int]()
        self._started = dict[tuple[str, int], tuple[int, int]]()
        self._done = False
        self.functions = IN(self.read), OUT(self.write)

    def read(self, address: int) -> int:
        if address >> 16 == CIRCUIT >> 16:
            return self._board.circuit.read(address - CIRCUIT)
        if address & 0xFF in (0x04, 0x34):
            return 2 * self._done
        return self._words.get(address, 0) & ~(4 if address & 0xFF in (0x00, 0x30) else 0)

    def write(self, address: int, value: int) -> None:
        if address == 0:
            return self._board.sleep(value * 1e-6)
        if address >> 16 == CIRCUIT >> 16:
            return self._board.circuit.write(address - CIRCUIT, value)
        self._words[address] = value
        if address & 0xFF in (0x00, 0x30) and value == 4:
            self._started.clear()
        if address & 0xFF in (0x28, 0x58):
            side = "in" if address & 0xFF == 0x28 else "out"
            self._started[side, address >> 16 & 0xF], self._done = (self._words[address - 0x10], value), False
            self._words[address - 0x10 + 4] = self._words.get(address - 0x0C, 0)
            self._move(side, address)
        return None

    def _move(self, side: str, address: int) -> None:
        counts = {"in": len(self._net.INPUTS), "out": len(self._net.OUTPUTS)}
        places = {name: [self._started.get((name, k)) for k in range(count)] for name, count in counts.items()}
        if any(place is None for column in places.values() for place in column):
            return
        data = [ctypes.string_at(self._place("in", k), size) for k, (_, size) in enumerate(places["in"])]  # type: ignore[misc]
        try:
            results = self._board.exchange(data, [size for _, size in places["out"]])  # type: ignore[misc]
        except TimeoutError:
            return
        for k, result in enumerate(results):
            ctypes.memmove(self._place("out", k), result, len(result))
        self._started.clear()
        self._done = True

    def _place(self, side: str, k: int) -> int:
        low = 0x4040_0000 + (k << 16) + (0x18 if side == "in" else 0x48)
        return self._words[low] | self._words.get(low + 4, 0) << 32


def answers(board: Simulated, net: ModuleType, folder: Path) -> int:
    """Return the status of the self-test in C."""
    library, bus = compiled(folder, "double", patience=1000), Bus(board, net)
    library.connect_board(*bus.functions)
    return int(library.net_selftest())


@pytest.mark.slow
@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("kind", ["pipeline", "streams"])
def test_results_and_counters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    none = Fault("")
    each = project(tmp_path, kind, none, name)
    x = inputs_of(each.program, 100)
    with simulated(tmp_path, each, none, bus_bytes=any_board(name).bus_bytes) as board:
        net, driver = overlay(monkeypatch, tmp_path, board)
        overlaid = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64)
        overlaid.selftest()
        assert answers(board, net, tmp_path) == 0
        want = expected(each.program, x)
        found, _, _ = overlaid.predict(x, profile=True)
        for have, right in zip(found, want, strict=True):
            np.testing.assert_array_equal(have, right)
        said = capsys.readouterr().out
        assert f"100 were counted; planned are {each.cycles[1]}, and {each.cycles[0]} for one alone" in said
        registers = net.Registers(board.circuit.read, board.circuit.write)
        registers.reset()
        overlaid.predict([part[:1] for part in x])
        counts = registers.counts()
        streams = (*net.INPUTS, *net.OUTPUTS)
        assert [one.transfers for one in counts.streams] == [one.tokens * one.beats for one in streams]
        assert counts.frames == 1 and each.cycles[0] <= counts.busy <= counts.cycles
        sent = [*net.pack([part[:1] for part in x])]
        assert [one.check for one in counts.streams[: len(sent)]] == [
            net._check(data, stream.beat) for data, stream in zip(sent, net.INPUTS, strict=True)
        ]
        ends = [at_an_end(each, k, values[:1]) for k, values in enumerate(want)]
        limits = [one.limits for one in counts.streams[len(net.INPUTS) :]]
        assert limits == ends if len(limits) > 1 else limits == [int(any(ends))]


def at_an_end(each: Circuit, k: int, real: np.ndarray) -> int:
    """Tokens of an output in which an element is the greatest or the least of its type, if these are more than two apart."""
    output = each.program.outputs[k]
    kind = each.program.nodes[output.node].type
    lo, hi = (np.broadcast_to(np.asarray(bound), kind.shape).astype(float) for bound in (kind.lo, kind.hi))
    raw = np.ldexp(real[0], kind.frac)
    ports = each.interface.outputs
    tokens = ports[k].tokens if len(ports) > 1 else 1
    at = ((raw == hi) | ((raw == lo) & (lo < 0))) & (hi - lo > 1)
    return int(np.any(at.reshape(tokens, -1), axis=1).sum())


@pytest.mark.parametrize("clock_hz", [12.5e6, 33_333_333.0, 100e6, 148.5e6, None])
def test_planned_cycles_are_those_of_a_thousandth_of_a_second(clock_hz: float | None) -> None:
    each = made("pipeline")
    files = bare_metal(DrivenCircuit(each.program, each.interface, {}, 1, 8, counted_hz=clock_hz))
    (cycles,) = re.findall(r"CYCLES_OF_MS = (\d+)", files["net_driver.c"])
    assert abs(1000 * int(cycles) - (clock_hz or 0)) <= 500
    assert f"HAS_COUNTERS = {int(clock_hz is not None)}," in files["net_driver.c"]
