"""A circuit that reads and writes memory itself, in simulation with a memory that waits, pauses and fails."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitsmith.building.design import Circuit
from bitsmith.rtl.beats import with_beats
from tests.rtl.bench import compile_bench
from tests.rtl.wrapped import _BACK, _LITE, _WIDTHS, Board

BASE, SIZE, LANE, PERIOD_NS = 0x3_0000_0000, 1 << 22, 128, 10.0
_READS = {"arvalid": 1, "araddr": 64, "arlen": 8, "rready": 1}
_READ_BACK = {"arready": 1, "rvalid": 1, "rdata": LANE, "rresp": 2, "rlast": 1}
_WRITES = {
    "awvalid": 1,
    "awaddr": 64,
    "awlen": 8,
    "wvalid": 1,
    "wdata": LANE,
    "wstrb": LANE // 8,
    "wlast": 1,
    "bready": 1,
}
_WRITE_BACK = {"awready": 1, "wready": 1, "bvalid": 1, "bresp": 2}


class Buffer(np.ndarray):
    """A part of the memory that the circuit has an address of."""

    physical_address: int

    def flush(self) -> None:
        """Nothing lies in a cache."""

    def invalidate(self) -> None:
        """Nothing lies in a cache."""


class Buffers:
    """Memory, in a file, as ``pynq.allocate`` gives it."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"\xa5" * SIZE)
        self._memory, self._next = np.memmap(path, np.uint8, "r+"), 0

    def allocate(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> Buffer:
        first, self._next = self._next, self._next + (shape[0] + 4095) // 4096 * 4096
        assert self._next <= SIZE
        found: Buffer = self._memory[first : first + shape[0]].view(Buffer)
        found.physical_address = BASE + first
        return found


@dataclass(frozen=True)
class Memory:
    """What a memory does: it answers after some cycles, gives so many bits in a cycle, and nothing at the start of each period.

    ``wrong``: the number of a reader, and of its word that is an error.
    """

    latency: int = 20
    more: int = 0
    period: int = 1
    pause: int = 0
    bits: float = 1e9
    wrong: tuple[int, int] = (-1, -1)


class MemoryBoard(Board):
    """The circuit beside its memory; its processor's time is that of the circuit, which passes with questions, too."""

    def monotonic(self) -> float:
        return self.step(50) * PERIOD_NS * 1e-9

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.step(round(seconds * 1e9 / PERIOD_NS))

    def behave(self, memory: Memory) -> None:
        """The memory does so from now on."""
        words = (memory.latency, memory.more, memory.period, memory.pause, memory.bits, *memory.wrong)
        assert self._ask(f"m {' '.join(map(str, words))}") == "ok"


@contextmanager
def memory_board(folder: Path, each: Circuit, bus_bytes: int, seed: int = 1) -> Iterator[tuple[MemoryBoard, Buffers]]:
    """The circuit of the project in ``folder``."""
    narrow = with_beats(each.interface, bus_bytes)
    sides = {"in": narrow.inputs, "out": narrow.outputs, "loop": [loop.out for loop in narrow.loops]}
    ends = {f"{side}_{k}": max(port.width, 32) for side, ports in sides.items() for k, port in enumerate(ports)}
    readers, writers = ({name: ends[name] for name in ends if not name.startswith(no)} for no in ("out", "in"))
    widths = [[*readers.values()], [*writers.values()]]
    (folder / "bench.sv").write_text(_uniform(readers, writers))
    names = (folder / "bench/memory_sources.txt").read_text().split()
    compile_bench(
        folder, "memory_board_bench.cpp", "bench", [*(folder / "rtl" / name for name in names), folder / "bench.sv"]
    )
    buffers = Buffers(folder / "memory")
    shape = seed, *map(len, widths), folder / "memory", BASE, *(width // 8 for side in widths for width in side)
    with subprocess.Popen(
        [folder / "bench/obj/Vdut", *map(str, shape)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield MemoryBoard(process, narrow), buffers
        finally:
            process.kill()


def _uniform(readers: Mapping[str, int], writers: Mapping[str, int]) -> str:
    """A top whose ports to memory lie side by side; each has words of so many bits."""
    ports = ["input logic clk", "input logic rstn"]
    ports += [f"input logic [{_WIDTHS.get(name, 1) - 1}:0] {name}" for name in _LITE]
    ports += [f"output logic [{_WIDTHS.get(name, 1) - 1}:0] {name}" for name in _BACK]
    pins = [".aclk(clk)", ".aresetn(rstn)", *(f".s_axi_{name}({name})" for name in (*_LITE, *_BACK))]
    sides = (("rd", "rid", _READS, _READ_BACK, readers), ("wr", "bid", _WRITES, _WRITE_BACK, writers))
    for short, answer, ours, theirs, own in sides:
        ports += [f"output logic [{bits * len(own) - 1}:0] {short}_{name}" for name, bits in ours.items()]
        ports += [f"input logic [{bits * len(own) - 1}:0] {short}_{name}" for name, bits in theirs.items()]
        for k, (master, width) in enumerate(own.items()):
            for name, bits in {**ours, **theirs}.items():
                used = {"rdata": width, "wdata": width, "wstrb": width // 8}.get(name, bits)
                pins.append(f".m_axi_{master}_{name}({short}_{name}[{k * bits}+:{used}])")
            pins += [f".m_axi_{master}_{answer}(1'b0)"]
    lines = ["module bench (", ",\n".join(f"  {port}" for port in ports), ");"]
    return "\n".join([*lines, f"  net_memory dut ({', '.join(pins)});", "endmodule", ""])
