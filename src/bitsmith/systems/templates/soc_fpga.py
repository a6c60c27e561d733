# ruff: noqa: B905 - zip has no `strict` before Python 3.10, and boards have older ones.
"""The circuit @top@ on an Intel board with a hard processor: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the board, and start Python as root. Numbers are real ones: the driver in ``@top@.py``
rounds them to the circuit's input formats and gives the results of ``predict`` of the model, bit for bit.

Memory that Linux does not use is needed for frames: started with ``mem=768M``, it leaves the last quarter of the 1 GiB alone.
"""

from __future__ import annotations

import mmap
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import circuit as net
import numpy as np
from predicting import Predicting

BRIDGE = 0xFF200000
"""Address of the processor's narrow bridge (Cyclone V Hard Processor System Technical Reference Manual)."""

ENGINE_BYTES = 0x40
"""Between the registers of an engine and those of the next: inputs, weights for memories, outputs."""

CIRCUIT, CIRCUIT_BYTES = 0x1000, 0x1000
"""Registers of the circuit, above those of all engines."""

MEMORY, USED = Path("/dev/mem"), Path("/proc/iomem")
"""All of the machine's memory and registers, and which of it is in use."""


def map_physical(address: int, size: int, kind: Any) -> Any:
    """``size`` bytes of the machine's memory or registers from ``address`` on, not cached, as an array of ``kind``."""
    file = os.open(MEMORY, os.O_RDWR | os.O_SYNC)
    try:
        return np.frombuffer(mmap.mmap(file, size, offset=address), dtype=kind)
    finally:
        os.close(file)


def check_unused(address: int, size: int) -> None:
    """Refuse memory that Linux uses."""
    listed = USED.read_text(encoding="ascii")
    for first, last in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM$", listed, re.MULTILINE):
        if int(first, 16) < address + size and address <= int(last, 16):
            raise RuntimeError(
                f"memory from {address:#x} to {address + size - 1:#x} is in use by Linux ({first}-{last}): start it with "
                f"mem={address >> 20}M, or say memory=(address, bytes) of some that it leaves alone"
            )


FIRMWARE, OVERLAYS = Path("/lib/firmware"), Path("/sys/kernel/config/device-tree/overlays")
"""Folders in which Linux looks for bitstreams and takes overlays of its device tree."""

OVERLAY = """\
/dts-v1/;
/plugin/;
/ {{
    fragment@0 {{
        target-path = "/soc/base_fpga_region";
        __overlay__ {{
            firmware-name = "{name}";
        }};
    }};
}};
"""


def load_bitstream(path: Path) -> None:
    """Have Linux load a bitstream into its FPGA region (Documentation/devicetree/bindings/fpga/fpga-region)."""
    folder = OVERLAYS / path.stem
    if not OVERLAYS.is_dir():
        raise RuntimeError(
            f"this Linux takes no overlays ({OVERLAYS}): load {path.name} with U-Boot, and say download=False"
        )
    (FIRMWARE / path.name).write_bytes(path.read_bytes())
    command = ["dtc", "-q", "-I", "dts", "-O", "dtb"]
    overlay = subprocess.run(command, input=OVERLAY.format(name=path.name).encode(), stdout=subprocess.PIPE, check=True)
    if folder.is_dir():
        folder.rmdir()
    folder.mkdir()
    (folder / "dtbo").write_bytes(overlay.stdout)
    status = (folder / "status").read_text(encoding="ascii").strip()
    if status != "applied":
        raise RuntimeError(f"{path.name} is not loaded ({status}): dmesg says why")


class Engine:
    """A modular scatter-gather DMA engine (Embedded Peripherals IP User Guide, standard descriptors).

    ``words`` are its registers: status, control, ..., and from 0x20 on the descriptor.
    """

    BUSY, EMPTY, RESETTING = 1 << 0, 1 << 1, 1 << 6
    RESET, GO = 1 << 1, 1 << 31
    STATUS, CONTROL, DESCRIPTOR = 0, 1, 8
    MOST_BYTES = 1 << 23

    def __init__(self, words: Any, seconds: float) -> None:
        self._words = words
        self._seconds = seconds
        self._moved = 0
        self.reset()

    def reset(self) -> None:
        """Forget all transfers."""
        self._words[self.CONTROL] = self.RESET
        self._until(self.RESETTING, 0, 0)

    def read(self, address: int, size: int) -> None:
        """Start to send ``size`` bytes of memory."""
        self._start(address, 0, size)

    def write(self, address: int, size: int) -> None:
        """Start to write what comes to ``size`` bytes of memory."""
        self._start(0, address, size)

    def wait(self, frames: int) -> None:
        """Until all is done, of so many frames."""
        self._until(self.BUSY | self.EMPTY, self.EMPTY, frames)

    def _start(self, *settings: int) -> None:
        self._moved = settings[-1]
        for k, value in enumerate((*settings, self.GO)):
            self._words[self.DESCRIPTOR + k] = value

    def _until(self, mask: int, wanted: int, frames: int) -> None:
        complaint = "a DMA engine does not end: is @top@.rbf loaded, and are the bridges to the logic enabled?"
        done = lambda: int(self._words[self.STATUS]) & mask == wanted  # noqa: E731
        net.until(done, complaint, self._seconds, self._moved, frames)


class NeuralNetworkOverlay(Predicting):
    """The circuit's engines, and memory for frames.

    Args:
        bitfile_name: ``@top@.rbf``, which U-Boot or Linux has loaded.
        x_shape, y_shape: with samples first, as those of the arrays, for circuits of one input and output; other numbers
            of samples do as well.
        dtype: of the results.
        memory: address and bytes of memory that Linux does not use.
        seconds: that a transfer may take, and as long again for each MiB; frames have their own time besides.
        download: have Linux load the bitstream now.
    """

    def __init__(
        self,
        bitfile_name: str = "@top@.rbf",
        x_shape: Sequence[int] | None = None,
        y_shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        memory: tuple[int, int] = (0x30000000, 0x10000000),
        seconds: float = net.SECONDS,
        download: bool = False,
    ) -> None:
        if download:
            load_bitstream(Path(bitfile_name))
        check_unused(*memory)
        number = len(net.INPUTS) + len(net.LOADS) + len(net.OUTPUTS)
        words = map_physical(BRIDGE, -(-(CIRCUIT + CIRCUIT_BYTES) // mmap.PAGESIZE) * mmap.PAGESIZE, np.uint32)
        step = ENGINE_BYTES // 4
        self._engines = engines = [Engine(words[k * step : (k + 1) * step], seconds) for k in range(number)]
        own = words[CIRCUIT // 4 : (CIRCUIT + CIRCUIT_BYTES) // 4]
        registers = net.Registers(
            lambda offset: int(own[offset // 4]), lambda offset, value: own.__setitem__(offset // 4, value)
        )
        registers.check()
        registers.reset()
        self._readers = engines[: len(net.INPUTS)]
        self._loaders = dict(zip(net.LOADS, engines[len(net.INPUTS) :]))
        self._writers = engines[number - len(net.OUTPUTS) :]
        self._address, self._bytes = memory[0], map_physical(*memory, np.uint8)
        streams = len(net.INPUTS) + len(net.OUTPUTS)
        self._room = min(len(self._bytes) // streams & ~0xFFF, Engine.MOST_BYTES)
        super().__init__(self._parts, x_shape, y_shape, dtype, registers, self._sent, self._reset_engines)

    def _parts(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        """All frames through the circuit, as many at a time as there is room for."""
        frame = max(stream.frame_bytes for stream in (*net.INPUTS, *net.OUTPUTS))
        if frame > self._room:
            raise RuntimeError(f"a frame has {frame} bytes, of which there is room for {self._room}")
        ends = self._registers, self._reset_engines
        moved: list[bytes] = net.in_parts(self._exchanged, self._room, data, wanted, *ends)
        return moved

    def _reset_engines(self) -> None:
        for engine in self._engines:
            engine.reset()

    def _exchanged(self, frames: int, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        places = range(0, (len(data) + len(wanted)) * self._room, self._room)
        targets = places[len(data) :]
        for engine, target, size in zip(self._writers, targets, wanted):
            engine.write(self._address + target, size)
        for engine, source, part in zip(self._readers, places, data):
            self._send(engine, source, part)
        for engine in (*self._readers, *self._writers):
            engine.wait(frames)
        return [self._bytes[target : target + size].tobytes() for target, size in zip(targets, wanted)]

    def _send(self, engine: Engine, at: int, data: bytes) -> None:
        self._bytes[at : at + len(data)] = np.frombuffer(data, dtype=np.uint8)
        engine.read(self._address + at, len(data))

    def _sent(self, name: str, data: bytes) -> None:
        """Send a memory its weights."""
        most = min(len(self._bytes), Engine.MOST_BYTES)
        for at in range(0, len(data), most):
            self._send(self._loaders[name], 0, data[at : at + most])
            self._loaders[name].wait(0)


def diagnose() -> tuple[str, str]:
    """Run the self-test of the board, whose files are beside this one; return what is wrong, as ``@top@.diagnose`` does."""
    found: tuple[str, str] = net.diagnose(lambda: NeuralNetworkOverlay(str(Path(__file__).with_name("@top@.rbf"))).ends)
    return found


if __name__ == "__main__":
    print(diagnose()[1])
