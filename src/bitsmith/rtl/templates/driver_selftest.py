# ruff: noqa: B905 - zip has no `strict` before Python 3.10, and boards have older ones.
"""The third part of a driver: its self-test, which says what is wrong with a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bitsmith.rtl.templates.driver import DESIGN, IMAGES, INPUTS, OUTPUTS, Stream, images
from bitsmith.rtl.templates.driver_links import IDENTITY, Counts, Registers, Serial, check_identity

LINK, RESET, CLOCK, ORDER, WEIGHTS, MEMORY = "link", "reset", "clock", "data order", "weights", "memory"
"""Kinds of faults, as `SelftestError` names them."""

CLOCK_TOLERANCE = 0.25
"""Share by which a clock may differ from the planned one: processors divide theirs by integers."""


class SelftestError(RuntimeError):
    """A self-test that failed; ``kind`` says what is wrong: link, reset, clock, the data's order, weights, or a memory."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"self-test: {kind}: {text}")
        self.kind = kind


def selftest(
    exchange: Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]], registers: Registers | None = None
) -> None:
    """Compare the circuit's result for a stored frame with the emulator's, bit for bit.

    ``exchange`` is that of ``predict``. Weights that were loaded since the bitstream give another result. With ``registers``
    the circuit is reset before each frame, and its counters tell where a frame was changed. A `Serial` that can ask for reports
    is asked for one: the circuit tries a frame of its own.

    Raises:
        SelftestError: says which of link, reset, clock, order of data, weights or memory is wrong.
    """
    sent, expected = _stored("inputs", INPUTS[: len(INPUTS) - IMAGES]), _stored("outputs", OUTPUTS)
    sent += images().values()
    reports = isinstance(exchange, Serial) and exchange.reports
    if registers is not None:
        _look_at(registers)
    if isinstance(exchange, Serial) and reports:
        _ask(exchange)

    def answer(data: Sequence[bytes]) -> list[bytes]:
        if registers is not None:
            registers.reset()
        try:
            return [bytes(result) for result in exchange(data, [len(result) for result in expected])]
        except (TimeoutError, RuntimeError) as error:
            if registers is None and not isinstance(error, TimeoutError):
                raise
            if reports:
                raise SelftestError(
                    LINK, "the circuit's own frame gives the right result, that of the host none: bytes are lost"
                ) from error
            _check_memories(registers)
            raise _silence(None if registers is None else registers.seen, sent, expected) from error

    first = answer(sent)
    _check_memories(registers)
    if first == expected:
        return
    counts = registers.counts() if registers is not None and DESIGN["counted_hz"] is not None else None
    again = answer(sent)
    if again == expected and registers is None:
        raise SelftestError(RESET, "a result of earlier frames came first. Reset the circuit before it is used")
    if again != first:
        raise SelftestError(CLOCK, "results of one frame differ. The clock is too fast, or the link is not stable")
    if counts is not None:
        raise _by_counts(counts, sent, first, expected)
    error = _by_trials(answer, sent, first, expected)
    if reports and error.kind == WEIGHTS:
        raise SelftestError(LINK, "the circuit's own frame gives the right result, that of the host another one")
    raise error


def diagnose(connect: Callable[[], tuple[Any, Registers | None]]) -> tuple[str, str]:
    """Run the self-test of a board, to which ``connect`` gives ``exchange`` and registers.

    Returns:
        What is wrong, as `SelftestError` names it and in words; nothing and what was counted, where all is right.
    """
    try:
        exchange, registers = connect()
        selftest(exchange, registers)
    except SelftestError as error:
        return error.kind, str(error)
    except TimeoutError as error:
        return RESET, f"{RESET}: {error}"
    except (OSError, RuntimeError) as error:
        return LINK, f"{LINK}: {error}"
    text = "the stored frame has the right result"
    if registers is not None and DESIGN["counted_hz"] is not None:
        text += f". {registers.counts()}; the clock has {registers.clock_hz() / 1e6:.4g} MHz"
    if registers is not None:
        wrong, corrected = registers.flipped
        text += f". Before this test bits have flipped in {', '.join(wrong)}" * bool(wrong)
        text += f". Bits were corrected in {', '.join(corrected)}" * bool(corrected)
        beyond = [found for found in registers.found if found.beyond]
        text += "".join(f". Before this test {found}" for found in beyond)
    return "", text


def _look_at(registers: Registers) -> None:
    """Refuse another circuit, a reset that does not end, and a clock that is not the planned one."""
    try:
        registers.check()
    except RuntimeError as error:
        raise SelftestError(LINK, str(error)) from error
    try:
        registers.reset()
    except TimeoutError as error:
        raise SelftestError(RESET, str(error)) from error
    wrong = registers.wrong_memories()
    if wrong:
        named = [f"{about['layer']}: {about['name']}" for about in DESIGN["weights"] if about["port"] in wrong]
        raise SelftestError(WEIGHTS, f"a memory holds other weights than it was given: {', '.join(named)}")
    registers.forget_faults()
    planned = DESIGN["counted_hz"]
    if planned is None:
        return
    measured = registers.clock_hz()
    if measured == 0:
        raise SelftestError(RESET, "the circuit counts no cycles, so that it stays in its reset, or has no clock")
    if abs(measured / planned - 1) > CLOCK_TOLERANCE:
        raise SelftestError(CLOCK, f"it has {measured / 1e6:.4g} MHz, and {planned / 1e6:.4g} were planned")


def _check_memories(registers: Registers | None) -> None:
    """Refuse a circuit in whose memories bits have flipped, as their check bits say."""
    wrong = [] if registers is None else registers.faults()[0]
    if wrong:
        raise SelftestError(MEMORY, f"bits have flipped in {', '.join(wrong)}")


def _ask(port: Serial) -> None:
    """Refuse a circuit whose own frame has another result, or none."""
    report = None
    try:
        report = port.report()
        check_identity(report.identity, report.digest)
    except (TimeoutError, RuntimeError) as error:
        rate = port.answered_rate() if report is None or report.identity != IDENTITY else None
        if rate is not None:
            raise SelftestError(
                CLOCK, f"the circuit answers at {rate:.3g} times the planned rate, as its clock is"
            ) from error
        raise SelftestError(LINK, str(error)) from error
    if report.fault:
        raise SelftestError(MEMORY, f"bits have flipped in {DESIGN['memories'][report.fault - 1]}")
    if not report.came:
        raise SelftestError(RESET, "the circuit's own frame gives no result")
    if not report.right:
        raise SelftestError(WEIGHTS, "the circuit's own frame gives another result than the model")


def _silence(counts: Counts | None, sent: Sequence[bytes], expected: Sequence[bytes]) -> SelftestError:
    """The reason for which no result came, or not all of it."""
    if counts is None:
        return SelftestError(
            RESET, "no result came. The clock or the reset of the circuit is wrong, or a part of the frame was lost"
        )
    wanted = [len(data) // stream.beat for stream, data in zip((*INPUTS, *OUTPUTS), (*sent, *expected))]
    moved = [stream.transfers for stream in counts.streams]
    for k in range(len(INPUTS)):
        if moved[k] != wanted[k]:
            return SelftestError(LINK, f"{moved[k]} of {wanted[k]} transfers of input {k} came into the circuit")
    if moved == wanted:
        return SelftestError(LINK, "the whole result has left the circuit, and did not arrive")
    lacking = [stream for stream, count in zip(counts.streams, wanted) if stream.transfers != count]
    if any(stream.stalls for stream in lacking):
        return SelftestError(LINK, "the result waits in the circuit, and nothing takes it")
    return SelftestError(RESET, "the whole frame has come into the circuit, and no result leaves it")


def _by_counts(counts: Counts, sent: Sequence[bytes], have: Sequence[bytes], want: Sequence[bytes]) -> SelftestError:
    """The place where the frame or its result was changed, by what the circuit has seen of them."""
    for k, (stream, data) in enumerate(zip(INPUTS, sent)):
        if counts.streams[k].check != _check(data, stream.beat):
            for size in _SIZES:
                if counts.streams[k].check == _check(_swapped(data, size), stream.beat):
                    return SelftestError(ORDER, f"the bytes of words of {size} go swapped into the circuit")
            return SelftestError(LINK, f"other data than those sent came into input {k} of the circuit")
    for k, (stream, data) in enumerate(zip(OUTPUTS, want)):
        if counts.streams[len(INPUTS) + k].check != _check(data, stream.beat):
            return _other_weights(have, want)
    for size in _SIZES:
        if [_swapped(result, size) for result in have] == want:
            return SelftestError(ORDER, f"the bytes of words of {size} come swapped out of the circuit")
    return SelftestError(LINK, "the right result left the circuit, and was changed on its way")


def _by_trials(
    answer: Callable[[Sequence[bytes]], Sequence[bytes]],
    sent: Sequence[bytes],
    have: Sequence[bytes],
    want: Sequence[bytes],
) -> SelftestError:
    """The same of a circuit that counts nothing, by frames whose bytes are in other orders."""
    for size in _SIZES:
        if [_swapped(result, size) for result in have] == want:
            return SelftestError(ORDER, f"the bytes of words of {size} come swapped out of the circuit")
        if answer([_swapped(data, size) for data in sent]) == want:
            return SelftestError(ORDER, f"the bytes of words of {size} go swapped into the circuit")
    if any(_lacks_a_beat(*each) for each in zip(have, want, OUTPUTS)):
        return SelftestError(LINK, "a beat of the result is lost on the way out of the circuit")
    return _other_weights(have, want)


def _other_weights(have: Sequence[bytes], want: Sequence[bytes]) -> SelftestError:
    wrong = sum(a != b for pair in zip(have, want) for a, b in zip(*pair))
    return SelftestError(
        WEIGHTS,
        f"{wrong} of {sum(map(len, want))} bytes of the result are wrong, each time the same. The circuit has other weights "
        "than the model"
        + ("" if DESIGN["counted_hz"] is not None else ", or a part of the frame was lost on the way in"),
    )


_SIZES = (2, 4, 8, 16)
"""Bytes of words that may be in the wrong order."""


def _stored(side: str, streams: Sequence[Stream]) -> list[bytes]:
    """The bytes of the stored frame, or of its result."""
    stored = DESIGN["selftest"]
    if stored is None:
        raise ValueError("no frame is stored, since weights come with each frame: compare `predict` with the model's")
    values = iter([(np.array(raw, dtype=object), np.array(frac)) for raw, frac in stored[side]])
    packed = []
    for stream in streams:
        own: list[Any] = [(shape, *next(values)) for shape in stream.shapes]
        packed.append(stream.pack([raw.reshape(1, *shape) for shape, raw, _ in own], [frac for *_, frac in own]))
    return packed


def _check(data: bytes, beat: int) -> int:
    """The register CHECK of a stream after these bytes: rotated left with each beat, whose 32-bit words are added modulo 2."""
    check = 0
    for at in range(0, len(data), beat):
        check = (check << 1 | check >> 31) & 0xFFFFFFFF
        for low in range(at, at + beat, 4):
            check ^= int.from_bytes(data[low : min(low + 4, at + beat)], "little")
    return check


def _swapped(data: bytes, size: int) -> bytes:
    """``data`` with the bytes of each word of ``size`` in the other order."""
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def _lacks_a_beat(have: bytes, want: bytes, stream: Stream) -> bool:
    """Return True if one beat of ``want`` is not in ``have``, and what follows has moved up."""
    beats = range(0, len(want) - stream.beat, stream.beat)
    rest = (want[:at] + want[at + stream.beat :] for at in beats)
    return have != want and any(have[: len(each)] == each for each in rest)
