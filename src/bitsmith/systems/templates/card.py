"""The circuit @top@ on an accelerator card with XRT: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the host. Numbers are real ones: the driver in ``@top@.py`` rounds them to the circuit's
input formats and gives the results of ``predict`` of the model, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import circuit as net
import numpy as np
import pyxrt
from predicting import Predicting


class Run:
    """A kernel that runs, its buffer, which XRT itself does not hold, and the milliseconds that it may take (0: no limit)."""

    def __init__(self, run: Any, buffer: Any, limit: int) -> None:
        self._run = run
        self._buffer = buffer
        self._limit = limit

    def wait(self) -> None:
        """Until it has ended well: what lies in memory after any other end is no result."""
        state, wanted = self._run.wait(self._limit), pyxrt.ert_cmd_state
        if state == wanted.ERT_CMD_STATE_TIMEOUT:
            raise TimeoutError(f"a kernel does not end within {self._limit / 1000:g} s: load the card again")
        if state != wanted.ERT_CMD_STATE_COMPLETED:
            raise RuntimeError(f"a kernel ends with {state}, which is not COMPLETED: load the card again")


def _put(memory: Any, data: bytes) -> None:
    memory.write(data, 0)
    memory.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, len(data), 0)


def _got(memory: Any, size: int) -> bytes:
    memory.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE, size, 0)
    return bytes(memory.read(size, 0))


class Commands:
    """The circuit's registers: a kernel of the same kind as those of frames sends a command to them, another takes the answer."""

    WRITE = 1 << 63
    BYTES = 8, 4

    def __init__(self, kernels: Sequence[Any], memories: Sequence[Any], limit: int) -> None:
        self._kernels = kernels
        self._memories = memories
        self._limit = limit

    def read(self, offset: int) -> int:
        return self._asked(offset << 32)

    def write(self, offset: int, value: int) -> None:
        self._asked(self.WRITE | offset << 32 | value)

    def _asked(self, command: int) -> int:
        source, target = self._memories
        size_in, size_out = self.BYTES
        _put(source, command.to_bytes(size_in, "little"))
        runs = [
            Run(kernel(memory, 1), memory, self._limit)
            for kernel, memory in zip(self._kernels, self._memories, strict=True)
        ]
        for run in runs:
            run.wait()
        return int.from_bytes(_got(target, size_out), "little")


class NeuralNetworkOverlay(Predicting):
    """The card with its kernels.

    A buffer of frames has ``MOST_BYTES`` at most, unless a frame has more: a pseudo channel of HBM has 256 MiB.

    Args:
        xclbin_name: ``@top@.xclbin``.
        x_shape, y_shape: with samples first, as those of the arrays, for circuits of one input and output; other numbers
            of samples do as well.
        dtype: of the results.
        device_index: of the card.
        seconds: that a kernel may take, and as long again for each MiB that it moves; frames have their own time besides.
    """

    MOST_BYTES = 1 << 24

    def __init__(
        self,
        xclbin_name: str,
        x_shape: Sequence[int] | None = None,
        y_shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        device_index: int = 0,
        seconds: float = net.SECONDS,
    ) -> None:
        self._seconds = seconds
        self._device = pyxrt.device(device_index)
        uuid = self._device.load_xclbin(pyxrt.xclbin(xclbin_name))
        counts = len(net.INPUTS) + len(net.LOADS), len(net.OUTPUTS)
        has = int(net.DESIGN["registers"])
        readers, self._writers = (
            [pyxrt.kernel(self._device, uuid, f"{way}_{k}") for k in range(count + has)]
            for way, count in zip(("read", "write"), counts, strict=True)
        )
        registers = None
        if has:
            kernels = readers.pop(), self._writers.pop()
            memories = [self._memory(kernel, size) for kernel, size in zip(kernels, Commands.BYTES, strict=True)]
            commands = Commands(kernels, memories, int(1000 * seconds))
            registers = net.Registers(commands.read, commands.write)
            registers.check()
            registers.reset()
        self._readers = readers[: len(net.INPUTS)]
        self._loaders = dict(zip(net.LOADS, readers[len(net.INPUTS) :], strict=True))
        super().__init__(self._parts, x_shape, y_shape, dtype, registers, self._sent)

    def _renew(self) -> None:
        """Refuse more: nothing ends a kernel that waits for the rest of a frame."""
        raise RuntimeError("an exchange with the card failed before: reset it with xbutil, and load it again")

    def _parts(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        """All frames through the circuit, as many at a time as fit into a buffer, at least one."""
        moved: list[bytes] = net.in_parts(self._exchanged, self.MOST_BYTES, data, wanted, self._registers)
        return moved

    def _exchanged(self, frames: int, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        targets = [self._memory(kernel, size) for kernel, size in zip(self._writers, wanted, strict=True)]
        runs = [
            self._started(kernel, target, size, stream.beat, frames)
            for kernel, target, size, stream in zip(self._writers, targets, wanted, net.OUTPUTS, strict=True)
        ]
        runs += [
            self._send(kernel, each, stream.beat, frames)
            for kernel, each, stream in zip(self._readers, data, net.INPUTS, strict=True)
        ]
        for run in runs:
            run.wait()
        return [_got(target, size) for target, size in zip(targets, wanted, strict=True)]

    def _memory(self, kernel: Any, size: int) -> Any:
        return pyxrt.bo(self._device, size, pyxrt.bo.normal, kernel.group_id(0))

    def _send(self, kernel: Any, data: bytes, beat: int, frames: int) -> Run:
        source = self._memory(kernel, len(data))
        _put(source, data)
        return self._started(kernel, source, len(data), beat, frames)

    def _started(self, kernel: Any, buffer: Any, size: int, beat: int, frames: int) -> Run:
        """A kernel that moves ``size`` bytes of ``frames``; their beats are a number that XRT takes as an ``int``."""
        if size // beat >= 1 << 31:
            raise ValueError(f"{size} bytes at once; a kernel moves less than {beat << 31}: give fewer samples")
        limit = min(int(1000 * net.patience(self._seconds, size, frames)), (1 << 32) - 1)
        return Run(kernel(buffer, size // beat), buffer, limit)

    def _sent(self, name: str, data: bytes) -> None:
        """Send a memory its weights."""
        (beat,) = (about["stream"]["beat"] for about in net.DESIGN["weights"] if about["port"] == name)
        self._send(self._loaders[name], data, beat, 0).wait()


def diagnose() -> tuple[str, str]:
    """Run the self-test of the board, whose files are beside this one; return what is wrong, as ``@top@.diagnose`` does."""
    found: tuple[str, str] = net.diagnose(
        lambda: NeuralNetworkOverlay(str(Path(__file__).with_name("@top@.xclbin"))).ends
    )
    return found


if __name__ == "__main__":
    print(diagnose()[1])
