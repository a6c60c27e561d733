# ruff: noqa: B905 - zip has no `strict` before Python 3.10, and boards have older ones.
"""The second half of a driver: what moves the bytes of frames between a processor and the circuit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bitsmith.rtl.templates.driver import DESIGN, INPUTS, OUTPUTS, SECONDS, Stream, until


def _frames(data: Sequence[bytes], wanted: Sequence[int]) -> int:
    """Return the frames of ``data`` and of ``wanted``: all streams as many."""
    sizes = [*map(len, data), *wanted]
    frames = len(data[0]) // INPUTS[0].frame_bytes
    if sizes != [frames * stream.frame_bytes for stream in (*INPUTS, *OUTPUTS)]:
        raise ValueError(f"streams of {sizes} bytes do not have equally many whole frames")
    return frames


class Serial:
    """Moves frames over a serial port, one at a time.

    ``read(n)`` waits for n bytes, and gives fewer once it has waited for long, as a port of pyserial with a ``timeout`` does.
    """

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        self._read = read
        self._write = write

    def __call__(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        results = [bytearray() for _ in wanted]
        for frame in range(_frames(data, wanted)):
            for stream, each in zip(INPUTS, data):
                part = each[frame * stream.frame_bytes : (frame + 1) * stream.frame_bytes]
                taken = self._write(part)
                if isinstance(taken, int) and taken != len(part):
                    raise TimeoutError(f"the port took {taken} of {len(part)} bytes of frame {frame}")
            for stream, result in zip(OUTPUTS, results):
                answer = self._read(stream.frame_bytes)
                if len(answer) != stream.frame_bytes:
                    self._drain(sum(stream.frame_bytes for stream in OUTPUTS))
                    raise TimeoutError(f"{len(answer)} of {stream.frame_bytes} bytes of frame {frame} came back")
                result += answer
        return [bytes(result) for result in results]

    def _drain(self, most: int) -> None:
        """Take what comes late, which would be the next results, until nothing does."""
        while most > 0:
            late = len(self._read(most))
            if late == 0:
                return
            most -= late


class Registers:
    """The control and status registers; ``read(offset)`` and ``write(offset, value)`` are those of PYNQ's MMIO."""

    CONTROL, STATUS, LATENCY, INTERVAL, FRAMES_IN, FRAMES_OUT, PACKET_FRAMES = range(0x10, 0x2C, 4)

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], object]) -> None:
        self.read = read
        self.write = write

    def check(self) -> None:
        """Refuse a circuit that this driver does not belong to."""
        identity = self.read(0)
        digest = self.read(0x0C) << 32 | self.read(0x08)
        if identity != 0x62736D74 or digest != int(DESIGN["digest"], 16):
            raise RuntimeError(f"the circuit is {identity:08x} {digest:016x}, this driver is for {DESIGN['digest']}")
        shapes = [size for stream in (*INPUTS, *OUTPUTS) for size in (stream.tokens * stream.beats, stream.beat)]
        if [self.read(0x40 + 4 * k) for k in range(len(shapes))] != shapes:
            raise RuntimeError("the circuit's frames have other sizes than this driver's")

    def reset(self) -> None:
        """Forget all that is in the network, and reset all counters."""
        self.write(self.CONTROL, 1)
        until(lambda: not self.read(self.STATUS) & 1, "the circuit does not end its reset: is its clock there?")

    def frames(self) -> tuple[int, int]:
        """Frames that have come out since the last reset, and whether one ended early."""
        return self.read(self.FRAMES_OUT), self.read(self.STATUS) & 2


def in_parts(
    move: Callable[[int, Sequence[bytes], Sequence[int]], list[bytes]],
    most_bytes: int,
    data: Sequence[bytes],
    wanted: Sequence[int],
) -> list[bytes]:
    """The results of all frames, of which ``move`` gets as many at a time as have so many bytes in each stream, at least one."""
    frames = _frames(data, wanted)
    sizes = [stream.frame_bytes for stream in INPUTS], [stream.frame_bytes for stream in OUTPUTS]
    most = max(most_bytes // max(*sizes[0], *sizes[1]), 1)
    found = [bytearray() for _ in wanted]
    for first in range(0, frames, most):
        number = min(most, frames - first)
        parts = [each[first * size : (first + number) * size] for each, size in zip(data, sizes[0])]
        for result, part in zip(found, move(number, parts, [number * size for size in sizes[1]])):
            result += part
    return [bytes(result) for result in found]


class Dma:
    """Moves frames with DMA engines on a board with PYNQ, as many at a time as an engine can count the bytes of.

    Args:
        registers: of the ``_axil`` wrapper, which has been checked; None for a circuit without such.
        send, receive: the ``sendchannel`` of the DMA engine of each input, the ``recvchannel`` of that of each output.
        allocate: ``pynq.allocate``.
        seconds: that a transfer may take, and as long again for each MiB; frames have their own time besides.
    """

    MOST_BYTES = (1 << 26) - 1

    def __init__(
        self,
        registers: Registers | None,
        send: Sequence[Any],
        receive: Sequence[Any],
        allocate: Callable[..., Any],
        seconds: float = SECONDS,
    ) -> None:
        self._registers = registers
        self._send = send
        self._receive = receive
        self._allocate = allocate
        self._seconds = seconds
        self._kept: dict[tuple[str, int], Any] = {}

    def __call__(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        return in_parts(self._checked, self.MOST_BYTES, data, wanted)

    def _checked(self, frames: int, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        """The results of so many frames; RuntimeError if the circuit says that it gave other ones."""
        registers = self._registers
        if registers is None:
            return self._exchange(frames, data, wanted)
        try:
            before, _ = registers.frames()
            results = self._exchange(frames, data, wanted)
            after, early = registers.frames()
            if early or (after - before) % (1 << 32) != frames:
                raise RuntimeError(f"{(after - before) % (1 << 32)} of {frames} frames came out of the circuit")
        except Exception:
            registers.reset()  # what is left of frames in the circuit would come before the next results
            raise
        return results

    def _exchange(self, frames: int, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        if self._registers is not None:
            self._registers.write(Registers.PACKET_FRAMES, frames)
        targets = [self._buffer("out", k, size) for k, size in enumerate(wanted)]
        sources = [self._buffer("in", k, len(each)) for k, each in enumerate(data)]
        for channel, target in zip(self._receive, targets):
            channel.transfer(target)
        for channel, source, each in zip(self._send, sources, data):
            source[:] = np.frombuffer(each, dtype=np.uint8)
            channel.transfer(source)
        for channel, moved in zip((*self._send, *self._receive), (*map(len, data), *wanted)):
            ended = lambda: channel.idle or not channel.running  # noqa: B023, E731
            until(ended, "a transfer does not end", self._seconds, moved, frames)
            channel.wait()  # which complains of an engine that stopped
        return [np.asarray(target).tobytes() for target in targets]

    def _buffer(self, side: str, k: int, size: int) -> Any:
        """A buffer in memory that the engines can reach: the last one, if it has that size."""
        kept = self._kept.get((side, k))
        if kept is None or len(kept) != size:
            kept = self._kept[side, k] = self._allocate(shape=(size,), dtype=np.uint8)
        return kept


def selftest(exchange: Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]]) -> None:
    """Compare the circuit's result for a stored frame with the emulator's, bit for bit.

    ``exchange`` is that of ``predict``. Weights that were loaded since the bitstream give another result.

    Raises:
        RuntimeError: says which of link, reset, clock, order of bytes or weights is wrong.
    """
    sent, expected = _stored("inputs", INPUTS), _stored("outputs", OUTPUTS)

    def answer(data: Sequence[bytes]) -> list[bytes]:
        try:
            return [bytes(result) for result in exchange(data, [len(result) for result in expected])]
        except TimeoutError as error:
            raise RuntimeError(
                "self-test: no result came. The clock or the reset of the circuit is wrong, or a part of the frame was lost"
            ) from error

    first = answer(sent)
    if first == expected:
        return
    again = answer(sent)
    if again == expected:
        raise RuntimeError("self-test: a result of earlier frames came first. Reset the circuit before it is used")
    if again != first:
        raise RuntimeError("self-test: results of one frame differ. The clock is too fast, or the link is not stable")
    for size in (2, 4, 8):
        if [_swapped(result, size) for result in first] == expected:
            raise RuntimeError(f"self-test: the bytes of words of {size} come swapped out of the circuit")
        if answer([_swapped(data, size) for data in sent]) == expected:
            raise RuntimeError(f"self-test: the bytes of words of {size} go swapped into the circuit")
    if any(_lacks_a_beat(*each) for each in zip(first, expected, OUTPUTS)):
        raise RuntimeError("self-test: a beat of the result is lost on the way out of the circuit")
    wrong = sum(have != want for pair in zip(first, expected) for have, want in zip(*pair))
    raise RuntimeError(
        f"self-test: {wrong} of {sum(map(len, expected))} bytes of the result are wrong, each time the same. "
        "The circuit has other weights than the model, or a part of the frame was lost on the way in"
    )


def _stored(side: str, streams: Sequence[Stream]) -> list[bytes]:
    """The bytes of the stored frame, or of its result."""
    stored = DESIGN["selftest"]
    if stored is None:
        raise ValueError("no frame is stored, since weights come with each frame: compare `predict` with the model's")
    values = iter([(np.array(raw, dtype=object), np.array(frac)) for raw, frac in stored[side]])
    found = []
    for stream in streams:
        own = [(shape, *next(values)) for shape in stream.shapes]
        found.append(stream.pack([raw.reshape(1, *shape) for shape, raw, _ in own], [frac for *_, frac in own]))
    return found


def _swapped(data: bytes, size: int) -> bytes:
    """``data`` with the bytes of each word of ``size`` in the other order."""
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def _lacks_a_beat(have: bytes, want: bytes, stream: Stream) -> bool:
    """Return True if one beat of ``want`` is not in ``have``, and what follows has moved up."""
    beats = range(0, len(want) - stream.beat, stream.beat)
    rest = (want[:at] + want[at + stream.beat :] for at in beats)
    return have != want and any(have[: len(each)] == each for each in rest)
