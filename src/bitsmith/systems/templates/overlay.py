"""The circuit @top@ on a board with PYNQ: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the board. Numbers are real ones: the driver in ``@top@.py`` rounds them to the circuit's
input formats and gives the results of ``predict`` of the model, bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import circuit as net
import numpy as np
from predicting import Predicting
from pynq import Overlay, allocate


class Function:
    """A circuit that reads and writes memory itself: its registers (UG1399, "S_AXILITE Control Register Map").

    ``registers`` are those that the hand-off names; compilers differ in the names and places of addresses.
    """

    START, DONE = 1 << 0, 1 << 1

    def __init__(
        self,
        read: Callable[[int], int],
        write: Callable[[int, int], object],
        registers: Mapping[str, Any],
        seconds: float,
    ) -> None:
        self._read = read
        self._write = write
        self._registers = registers
        self._seconds = seconds
        self._done = False
        self.frames = 0

    def port(self, name: str) -> Port:
        return Port(self, self.places(name), name == "in_0")

    def places(self, name: str) -> list[int]:
        """Offsets of the registers of an argument, the lower half first."""
        named = re.compile(rf"{name}(_V)?(_offset)?(_r)?(_[12])?")
        found = sorted(about["address_offset"] for key, about in self._registers.items() if named.fullmatch(key))
        if not 1 <= len(found) <= 2:
            raise RuntimeError(f"the hand-off has no registers of {name}: {', '.join(self._registers)}")
        return found

    def set(self, places: Sequence[int], value: int) -> None:
        if value >> 32 * len(places):
            raise RuntimeError(f"{value:#x} is beyond what the circuit can reach")
        for k, place in enumerate(places):
            self._write(place, value >> 32 * k & 0xFFFFFFFF)

    def begin(self) -> None:
        """Other places in memory have been set since it ran."""
        self._done = False

    def finish(self) -> None:
        """Run, if it has not since then."""
        if self._done:
            return
        self.set(self.places("frames"), self.frames)
        self._write(0, self.START)
        moved = self.frames * sum(stream.frame_bytes for stream in (*net.INPUTS, *net.OUTPUTS))
        net.until(lambda: self._read(0) & self.DONE, "the circuit does not end", self._seconds, moved, self.frames)
        self._done = True


class Port:
    """A tensor's place in memory, used as the channel of an engine is: nothing moves before the first ``wait``."""

    idle, running = True, True

    def __init__(self, function: Function, places: Sequence[int], first: bool) -> None:
        self._function = function
        self._places = places
        self._first = first
        self._buffer: Any = None

    def transfer(self, buffer: Any) -> None:
        self._buffer = buffer
        self._function.begin()
        self._function.set(self._places, buffer.physical_address)
        buffer.flush()
        if self._first:
            self._function.frames = len(buffer) // net.INPUTS[0].frame_bytes

    def wait(self) -> None:
        self._function.finish()
        self._buffer.invalidate()


class Master:
    """A port to memory of a circuit with registers, used as the channel of an engine is; ``number`` is its stream's."""

    START, FAILED, PLACES = 0x800, 0x804, 0x810
    running = True

    def __init__(self, registers: Any, number: int) -> None:
        self._registers = registers
        self._number = number
        self._buffer: Any = None
        self._size = 0

    def transfer(self, buffer: Any) -> None:
        buffer.flush()
        self.repeat(buffer, len(buffer))

    def repeat(self, buffer: Any, size: int) -> None:
        """Start the stream with so many bytes, which a reader of an image takes from ``buffer`` over and over."""
        self._buffer, self._size = buffer, size
        address = buffer.physical_address
        for k, value in enumerate((address & 0xFFFFFFFF, address >> 32, size)):
            self._registers.write(self.PLACES + 16 * self._number + 4 * k, value)
        self._registers.write(self.START, 1 << self._number)

    @property
    def idle(self) -> bool:
        return not self._registers.read(self.START) >> self._number & 1

    def wait(self) -> None:
        net.until(lambda: self.idle, "the circuit does not end", moved=self._size)
        if self._registers.read(self.FAILED) >> self._number & 1:
            raise RuntimeError("memory has answered with an error")
        self._buffer.invalidate()


class NeuralNetworkOverlay(Predicting, Overlay):
    """The bitstream with its DMA engines, or a circuit that does without.

    Args:
        bitfile_name: ``@top@.bit``, with ``@top@.hwh`` beside it.
        x_shape, y_shape: with samples first, as those of the arrays, for circuits of one input and output; other numbers
            of samples do as well.
        dtype: of the results.
        dtbo, download, ignore_version, device: those of ``pynq.Overlay``.
        seconds: that the circuit may take for what is sent at once, and as long again for each MiB; frames have their own
            time besides.
    """

    def __init__(
        self,
        bitfile_name: str,
        x_shape: Sequence[int] | None = None,
        y_shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        dtbo: str | None = None,
        download: bool = True,
        ignore_version: bool = False,
        device: Any = None,
        seconds: float = net.SECONDS,
    ) -> None:
        Overlay.__init__(self, bitfile_name, dtbo=dtbo, download=download, ignore_version=ignore_version, device=device)
        registers = None
        engines: list[Any] = []
        if net.DESIGN["registers"]:
            circuit = self.circuit
            registers = net.Registers(circuit.read, circuit.write)
            registers.check()
        if "axi_dma_0" in self.ip_dict:
            engines = [
                getattr(self, f"axi_dma_{k}") for k in range(max(len(net.INPUTS) + len(net.LOADS), len(net.OUTPUTS)))
            ]
            senders = [engine.sendchannel for engine in engines[: len(net.INPUTS)]]
            receivers = [engine.recvchannel for engine in engines[: len(net.OUTPUTS)]]
            self._loads = {name: engines[len(net.INPUTS) + k].sendchannel for k, name in enumerate(net.LOADS)}
        elif registers is not None:
            counts = [len(net.INPUTS), len(net.OUTPUTS), len(net.LOADS), len(net.DESIGN["loops"])]
            ports = iter([Master(registers, k) for k in range(sum(counts))])
            senders, receivers, loads, loops = (list(islice(ports, count)) for count in counts)
            receivers += loops
            self._loads = dict(zip(net.LOADS, loads, strict=True))
        else:
            function = Function(self.circuit.read, self.circuit.write, self.ip_dict["circuit"]["registers"], seconds)
            senders = [function.port(f"in_{k}") for k in range(len(net.INPUTS))]
            receivers = [function.port(f"out_{k}") for k in range(len(net.OUTPUTS))]
        self._dma, self._loads_itself = net.Dma(registers, senders, receivers, allocate, seconds, engines), download
        self._seconds = seconds
        self._dma.restart()  # a circuit that is not loaded again may have a transfer of an earlier program
        if registers is not None:
            registers.reset()
        Predicting.__init__(self, self._dma, x_shape, y_shape, dtype, registers, self._sent, self._dma.restart)

    def _renew(self) -> None:
        """Load a circuit without registers again, which nothing else resets."""
        if self._registers is None and self._loads_itself:
            self.download()
            self._dma.restart()
        else:
            super()._renew()

    def _sent(self, name: str, data: bytes) -> None:
        """Send a memory its weights."""
        buffer = allocate(shape=(len(data),), dtype=np.uint8)
        buffer[:] = np.frombuffer(data, dtype=np.uint8)
        channel = self._loads[name]
        channel.transfer(buffer)
        net.until(lambda: channel.idle or not channel.running, "weights do not arrive", self._seconds, len(data))
        channel.wait()


def diagnose() -> tuple[str, str]:
    """Run the self-test of the board, whose files are beside this one; return what is wrong, as ``@top@.diagnose`` does."""
    found: tuple[str, str] = net.diagnose(lambda: NeuralNetworkOverlay(str(Path(__file__).with_name("@top@.bit"))).ends)
    return found


if __name__ == "__main__":
    print(diagnose()[1])
