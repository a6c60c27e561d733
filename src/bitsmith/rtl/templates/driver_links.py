# ruff: noqa: B905 - zip has no `strict` before Python 3.10, and boards have older ones.
"""The second part of a driver: what moves the bytes of frames between a processor and the circuit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitsmith.rtl.templates.driver import DESIGN, IMAGES, INPUTS, LOADS, OUTPUTS, SECONDS, Range, load_crc, until

IDENTITY = 0x62736D74
"""The word that circuits of bitsmith say first."""


def check_identity(identity: int, digest: int) -> None:
    """Refuse a circuit that this driver does not belong to."""
    if identity != IDENTITY or digest != int(DESIGN["digest"], 16):
        raise RuntimeError(f"the circuit is {identity:08x} {digest:016x}, this driver is for {DESIGN['digest']}")


def is_image(k: int) -> bool:
    """Return True if the bytes of input ``k`` are given once, and go with each frame."""
    return len(INPUTS) - IMAGES <= k < len(INPUTS)


def _frames(data: Sequence[bytes], wanted: Sequence[int]) -> int:
    """Return the frames of ``data`` and of ``wanted``: all streams as many."""
    sizes = [*map(len, data), *wanted]
    frames = len(data[0]) // INPUTS[0].frame_bytes
    if sizes != [stream.frame_bytes * (1 if is_image(k) else frames) for k, stream in enumerate((*INPUTS, *OUTPUTS))]:
        raise ValueError(f"streams of {sizes} bytes do not have equally many whole frames")
    return frames


@dataclass(frozen=True)
class SerialReport:
    """The report of a circuit with a serial port on the frame that is stored in it.

    Attributes:
        identity, digest: as the registers of other circuits.
        came, right: whether its whole result came, and is the right one.
        cycles: that it took, with the bytes of frame and result.
        frames: of the host since the last report.
        fault: one more than the number of a memory that has given a word since then that may be wrong; 0: none.
    """

    identity: int
    digest: int
    came: bool
    right: bool
    cycles: int
    frames: int
    fault: int


class Serial:
    """Moves frames over a serial port, one at a time.

    ``read(n)`` waits for n bytes, and gives fewer once it has waited for long, as a port of pyserial with a ``timeout`` does.
    ``send_break`` is that of pyserial, too: with it the circuit is asked for a `SerialReport`. ``set_rate(share)`` makes that
    share of the planned rate the port's: with it a self-test tells a wrong clock, which is the rate's too, from a broken line.
    """

    REPORT_BYTES = 23
    RATES = (1 / 2, 2.0, 12 / 25, 25 / 12, 1 / 4, 4.0, 12 / 50, 50 / 12, 3 / 4, 4 / 3, 1 / 8, 8.0)
    """Shares of the planned clock that a board may have: half and twice it, and what other oscillators give."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        write: Callable[[bytes], object],
        send_break: Callable[[], object] | None = None,
        set_rate: Callable[[float], object] | None = None,
    ) -> None:
        self._read = read
        self._write = write
        self._send_break = send_break
        self._set_rate = set_rate

    @property
    def reports(self) -> bool:
        """True if the circuit can be asked for a report."""
        return self._send_break is not None

    def report(self) -> SerialReport:
        """Reset the circuit, let it try its stored frame, and return its report.

        Raises:
            TimeoutError: none comes.
        """
        if self._send_break is None:
            raise ValueError("a report is asked for with a break: Serial(port.read, port.write, port.send_break)")
        self._send_break()
        data = self._read(self.REPORT_BYTES)
        if len(data) != self.REPORT_BYTES:
            raise TimeoutError(f"{len(data)} of {self.REPORT_BYTES} bytes of a report came back")
        ends = (0, 4), (4, 12), (12, 13), (13, 17), (17, 21), (21, 23)
        identity, digest, state, *numbers = (int.from_bytes(data[first:last], "little") for first, last in ends)
        return SerialReport(identity, digest, bool(state & 1), bool(state & 2), *numbers)

    def answered_rate(self) -> float | None:
        """Return the share of the planned rate at which the circuit reports; None if at none of `RATES`."""
        if self._send_break is None or self._set_rate is None:
            return None
        try:
            for share in self.RATES:
                self._set_rate(share)
                self._send_break()
                # Twice as many as a report has: what came at the last rate may lie before it.
                if IDENTITY.to_bytes(4, "little") in self._read(2 * self.REPORT_BYTES):
                    return share
        finally:
            self._set_rate(1.0)
        return None

    def __call__(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        results = [bytearray() for _ in wanted]
        for frame in range(_frames(data, wanted)):
            for k, (stream, each) in enumerate(zip(INPUTS, data)):
                first = 0 if is_image(k) else frame * stream.frame_bytes
                part = each[first : first + stream.frame_bytes]
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


@dataclass(frozen=True)
class StreamCounts:
    """Transfers of a stream, cycles in which one waited to be taken, a check of their data, and tokens at an end of a range."""

    transfers: int
    stalls: int
    check: int
    limits: int


@dataclass(frozen=True)
class Counts:
    """Cycles since the circuit's reset, those with a frame in it, frames that came out, and the counts of each stream."""

    cycles: int
    busy: int
    frames: int
    streams: Sequence[StreamCounts]

    def since(self, before: Counts) -> Counts:
        """Subtract what was counted before; a check stays as it is."""
        own = [
            StreamCounts(
                _later(x.transfers, y.transfers), _later(x.stalls, y.stalls), x.check, _later(x.limits, y.limits)
            )
            for x, y in zip(self.streams, before.streams)
        ]
        return Counts(
            _later(self.cycles, before.cycles), _later(self.busy, before.busy), _later(self.frames, before.frames), own
        )

    def __str__(self) -> str:
        waited = [
            sum(each.stalls for each in part) for part in (self.streams[: len(INPUTS)], self.streams[len(INPUTS) :])
        ]
        limits = sum(each.limits for each in self.streams)
        return (
            f"{self.busy / max(self.frames, 1):.1f} cycles a frame, of which {self.frames} were counted; planned are "
            f"{DESIGN['interval']}, and {DESIGN['latency']} for one alone. Inputs waited {waited[0]} cycles for the circuit, "
            f"results {waited[1]} to be taken; {limits} tokens of results had an element at an end of its range"
        )


def _later(after: int, before: int) -> int:
    """The difference of two counts, which wrap."""
    return (after - before) % (1 << 32)


class Registers:
    """The control and status registers; ``read(offset)`` and ``write(offset, value)`` are those of PYNQ's MMIO.

    ``seen`` is what the circuit had counted when an exchange failed; None before, and of a circuit that does not count.
    """

    CONTROL, STATUS, LATENCY, INTERVAL, FRAMES_IN, FRAMES_OUT, PACKET_FRAMES, _, PAGE = range(0x10, 0x34, 4)
    CYCLES, BUSY, CRC, FAULTS, FORGET = 0x400, 0x404, 0x600, 0x700, 2

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], object]) -> None:
        self.read = read
        self.write = write
        self.seen: Counts | None = None
        self.found: list[Range] = []
        """Ranges that monitors had seen when the circuit was looked at first."""
        self.flipped: tuple[list[str], list[str]] = [], []
        """Memories with flipped bits, as `faults` gave them when the circuit was looked at first."""
        self._held = {about["port"]: about["crc"] for about in DESIGN["weights"] if about["crc"] is not None}
        """CRC of what each memory was given that is read back: the trained weights, unless others were loaded."""

    def check(self) -> None:
        """Refuse a circuit that this driver does not belong to."""
        check_identity(self.read(0), self.read(0x0C) << 32 | self.read(0x08))
        shapes = [size for stream in (*INPUTS, *OUTPUTS) for size in (stream.tokens * stream.beats, stream.beat)]
        if [self.read(0x40 + 4 * k) for k in range(len(shapes))] != shapes:
            raise RuntimeError("the circuit's frames have other sizes than this driver's")
        self.found = self.found or self.ranges()
        self.flipped = self.flipped if any(self.flipped) else self.faults()

    def reset(self) -> None:
        """Forget all that is in the network, and reset all counters."""
        self.write(self.CONTROL, 1)
        until(lambda: not self.read(self.STATUS) & 1, "the circuit does not end its reset: is its clock there?")

    def counts(self) -> Counts:
        """Read the counts of a circuit that has some."""
        firsts = range(0x410, 0x410 + 16 * (len(INPUTS) + len(OUTPUTS)), 16)
        streams = [StreamCounts(*(self.read(first + 4 * k) for k in range(4))) for first in firsts]
        return Counts(self.read(self.CYCLES), self.read(self.BUSY), self.read(self.FRAMES_OUT), streams)

    def load(
        self, name: str, data: bytes, send: Callable[[str, bytes], object], restart: Callable[[], None] = lambda: None
    ) -> None:
        """Send a memory its bytes, and compare what it holds then, if the circuit reads it back.

        After an error the circuit is reset as by `checked`: half a load would be followed by the next one.
        """
        self._renewed(lambda: self._load(name, data, send), restart)
        if name in self.wrong_memories():
            raise RuntimeError(f"the memory of {name} holds other weights than those that were sent")

    def _load(self, name: str, data: bytes, send: Callable[[str, bytes], object]) -> None:
        send(name, data)
        if name not in self._held:
            return
        (about,) = (about for about in DESIGN["weights"] if about["port"] == name)
        self._held[name] = load_crc(about, data)
        until(lambda: not self.read(self.STATUS) & 1, "the circuit does not read its memories back", moved=len(data))

    def wrong_memories(self) -> list[str]:
        """Streams of memories that did not hold what they were given when they were last read: after a reset or a load."""
        return [name for name, crc in self._held.items() if self.read(self.CRC + 4 * LOADS.index(name)) != crc]

    def faults(self) -> tuple[list[str], list[str]]:
        """Memories with check bits that have given words that may be wrong, and those of which a bit was corrected.

        The circuit remembers them until `forget_faults`, whatever resets it.
        """
        names = DESIGN["memories"]
        words = [[self.read(self.FAULTS + 8 + 8 * k + 4 * n) for k in range(-(-len(names) // 32))] for n in range(2)]
        wrong, corrected = ([name for k, name in enumerate(names) if own[k // 32] >> k % 32 & 1] for own in words)
        return wrong, corrected

    def forget_faults(self) -> None:
        """Let the circuit forget flipped bits."""
        if DESIGN["memories"]:
            self.write(self.CONTROL, self.FORGET)

    def ranges(self) -> list[Range]:
        """Read what the monitors of inputs and outputs have seen, of a circuit that has some."""
        seen = []
        for about in DESIGN["ranges"]:
            self.write(self.PAGE, about["page"])
            words = [self.read(about["at"] + 4 * number) for number in (0, 1, 2, *range(8, 16))]
            least, most, *ends = (
                float(np.ldexp(float(value), -about["frac"]))
                for value in (*(word - (word >> 31 << 32) for word in words[:2]), about["ends"][0], about["ends"][-1])
            )
            seen.append(Range(about["name"], least, most, (ends[0], ends[1]), words[2], words[3:], about["shares"]))
        return seen

    def clock_hz(self, seconds: float = 0.01) -> float:
        """The clock of a circuit that counts, by that of the processor."""
        began, first = time.monotonic(), self.read(self.CYCLES)
        time.sleep(seconds)
        last, ended = self.read(self.CYCLES), time.monotonic()
        return _later(last, first) / (ended - began)

    def checked(
        self, frames: int, move: Callable[[], list[bytes]], restart: Callable[[], None] = lambda: None
    ) -> list[bytes]:
        """Return the results of so many frames that ``move`` gives; RuntimeError if the circuit says that it gave other ones.

        After an error, or if a user ends it, the circuit is reset, before it what moves its bytes, by ``restart``: what is left
        of frames there would come before the next results.
        """

        def moved() -> list[bytes]:
            before = self.read(self.FRAMES_OUT)
            answers = move()
            came = _later(self.read(self.FRAMES_OUT), before)
            if self.read(self.STATUS) & 2 or came != frames:
                raise RuntimeError(f"{came} of {frames} frames came out of the circuit")
            if DESIGN["memories"] and self.read(self.FAULTS):
                raise RuntimeError(
                    f"bits have flipped in {', '.join(self.faults()[0])}: the self-test tells if they are lasting"
                )
            return answers

        results: list[bytes] = self._renewed(moved, restart)
        return results

    def _renewed(self, move: Callable[[], Any], restart: Callable[[], None]) -> Any:
        """Return what ``move`` returns; reset all if it does not."""
        try:
            return move()
        except BaseException:
            self.seen = self.counts() if DESIGN["counted_hz"] is not None else None
            restart()
            self.reset()
            raise


def in_parts(
    move: Callable[[int, Sequence[bytes], Sequence[int]], list[bytes]],
    most_bytes: int,
    data: Sequence[bytes],
    wanted: Sequence[int],
    registers: Registers | None,
    restart: Callable[[], None] = lambda: None,
) -> list[bytes]:
    """The results of all frames, of which ``move`` gets as many at a time as have so many bytes in each stream, at least one.

    A circuit with ``registers`` is asked each time if it gave them (see `Registers.checked`, for ``restart``, too).
    """
    frames = _frames(data, wanted)
    sizes = [stream.frame_bytes for stream in INPUTS], [stream.frame_bytes for stream in OUTPUTS]
    most = max(most_bytes // max(*sizes[0], *sizes[1]), 1)
    whole = [bytearray() for _ in wanted]

    def moved(number: int, parts: Sequence[bytes]) -> list[bytes]:
        given = [number * size for size in sizes[1]]
        if registers is None:
            return move(number, parts, given)
        return registers.checked(number, lambda: move(number, parts, given), restart)

    for first in range(0, frames, most):
        number = min(most, frames - first)
        parts = [
            each if is_image(k) else each[first * size : (first + number) * size]
            for k, (each, size) in enumerate(zip(data, sizes[0]))
        ]
        for result, part in zip(whole, moved(number, parts)):
            result += part
    return [bytes(result) for result in whole]


class Dma:
    """Moves frames with DMA engines on a board with PYNQ, as many at a time as an engine can count the bytes of.

    Args:
        registers: of the ``_axil`` wrapper, which has been checked; None for a circuit without such.
        send, receive: the ``sendchannel`` of the DMA engine of each input, the ``recvchannel`` of that of each output; and then
            the ports through which the circuit writes into memory of its own and reads it.
        allocate: ``pynq.allocate``.
        seconds: that a transfer may take, and as long again for each MiB; frames have their own time besides.
        engines: the DMA engines, which are reset after an exchange that failed.
    """

    MOST_BYTES = (1 << 26) - 1
    CONTROL_IN, CONTROL_OUT, RESET = 0x00, 0x30, 1 << 2

    def __init__(
        self,
        registers: Registers | None,
        send: Sequence[Any],
        receive: Sequence[Any],
        allocate: Callable[..., Any],
        seconds: float = SECONDS,
        engines: Sequence[Any] = (),
    ) -> None:
        self._registers = registers
        self._engines = engines
        self._send = send
        self._receive = receive
        self._allocate = allocate
        self._seconds = seconds
        self._kept: dict[tuple[str, int], Any] = {}

    def __call__(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        return in_parts(self._exchange, self.MOST_BYTES, data, wanted, self._registers, self.restart)

    def restart(self) -> None:
        """Reset the engines."""
        for engine in self._engines:
            self._restart(engine)

    def _restart(self, engine: Any) -> None:
        """Reset an engine of PYNQ, both sides at once (PG021), and start its channels, which hold what the reset has ended."""
        channels = [getattr(engine, name, None) for name in ("sendchannel", "recvchannel")]
        place = self.CONTROL_OUT if channels[0] is None else self.CONTROL_IN
        engine.write(place, self.RESET)
        until(lambda: not engine.read(place) & self.RESET, "an engine does not end its reset")
        for channel in channels:
            if channel is not None:
                channel.start()

    def _exchange(self, frames: int, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        if self._registers is not None:
            self._registers.write(Registers.PACKET_FRAMES, frames)
        moved_out = [*wanted, *DESIGN["loops"]]
        targets = [self._buffer("out", k, size) for k, size in enumerate(moved_out)]
        for channel, target in zip(self._receive, targets):
            channel.transfer(target)
        for k, (channel, data_of) in enumerate(zip(self._send, data)):
            if is_image(k) and hasattr(channel, "repeat"):
                channel.repeat(self._image(k, data_of), frames * len(data_of))
                continue
            sent = data_of * frames if is_image(k) else data_of
            source = self._buffer("in", k, len(sent))
            source[:] = np.frombuffer(sent, dtype=np.uint8)
            channel.transfer(source)
        sizes = [len(each) * (frames if is_image(k) else 1) for k, each in enumerate(data)]
        for channel, moved in zip((*self._send, *self._receive), (*sizes, *moved_out)):
            ended = lambda: channel.idle or not channel.running  # noqa: B023, E731
            until(ended, "a transfer does not end", self._seconds, moved, frames)
            channel.wait()  # which complains of an engine that stopped
        return [np.asarray(target).tobytes() for target in targets[: len(wanted)]]

    def _image(self, k: int, data: bytes) -> Any:
        """A buffer with an image in whole words of 4 bytes, which is written once."""
        copies = 4 // int(np.gcd(len(data), 4))
        is_new = ("in", k) not in self._kept
        buffer = self._buffer("in", k, copies * len(data))
        if is_new:
            buffer[:] = np.frombuffer(data * copies, dtype=np.uint8)
            buffer.flush()
        return buffer

    def _buffer(self, side: str, k: int, size: int) -> Any:
        """A buffer in memory that the engines can reach: the last one, if it has that size."""
        kept = self._kept.get((side, k))
        if kept is None or len(kept) != size:
            kept = self._kept[side, k] = self._allocate(shape=(size,), dtype=np.uint8)
        return kept
