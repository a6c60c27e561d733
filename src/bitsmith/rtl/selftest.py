"""The stored frame of a circuit's self-test as bytes, and the module that has it beside a serial port.

In: raw values of the frame and of its result. Out: the bytes of each stream, and a part of a wrapper.
"""

from collections.abc import Sequence

from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType, objects
from bitsmith.rtl.bus_wrappers import Text
from bitsmith.rtl.driver import Frame
from bitsmith.rtl.interface import Interface, token_beats
from bitsmith.rtl.library import instance
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.protection import FAULT
from bitsmith.rtl.stream_ports import StreamPort

_PATIENCE = 16
"""A result is not expected any more after so many times the planned cycles, and those of the bytes."""

StoredBytes = tuple[Sequence[bytes], Sequence[bytes]]
"""The bytes of a frame at each input, and of its result at each output."""


def stored_bytes(program: Program, interface: Interface, frame: Frame, bus_bytes: int = 0) -> StoredBytes:
    """The bytes of ``frame``; ``bus_bytes``: its tokens are beats on such a bus."""
    nodes = program.inputs, [output.node for output in program.outputs]
    sides = zip((interface.own_inputs, interface.outputs), frame, nodes, strict=True)
    sent, expected = ([*_side(ports, raws, program.types(numbers), bus_bytes)] for ports, raws, numbers in sides)
    return sent, expected


def _side(ports: Sequence[StreamPort], raws: Sequence[Raw], types: Sequence[TensorType], bus_bytes: int) -> list[bytes]:
    """All tensors are in the one stream of a pipeline, else each is in its own."""
    tensors = list(zip(raws, types, strict=True))
    parts = [tensors] if len(ports) == 1 else [[tensor] for tensor in tensors]
    return [_frame_bytes(port, own, bus_bytes) for port, own in zip(ports, parts, strict=True)]


def _frame_bytes(port: StreamPort, tensors: Sequence[tuple[Raw, TensorType]], bus_bytes: int) -> bytes:
    """The tokens of one frame of ``port``, in which a token has a part of each of the ``tensors``."""
    beat, beats = token_beats(port, bus_bytes)
    parts = [
        (objects(objects(raw) << objects(kind.frac.max() - kind.frac)).reshape(port.tokens, -1), int(kind.frac.max()))
        for raw, kind in tensors
    ]
    content = bytearray()
    for token in range(port.tokens):
        numbers = [(int(number), frac) for rows, frac in parts for number in rows[token]]
        word, low = 0, 0
        for field, (number, frac) in zip(port.fields, numbers, strict=True):
            raw = number << max(field.frac - frac, 0) >> max(frac - field.frac, 0)
            word |= (raw & (1 << field.width) - 1) << low
            low += field.width
        content += word.to_bytes(beats * beat, "little")
    return bytes(content)


def selftest(interface: Interface, stored: StoredBytes, number: str, *, led: bool) -> Text:
    """The module between the link of a serial port, whose signals are ``host_*`` and ``reply_*``, and the circuit.

    ``number`` is the signal of a byte's place in its frame.
    """
    sent, expected = (b"".join(part) for part in stored)
    cycles = _PATIENCE * (interface.latency + interface.interval + 2 * len(sent) + 4 * len(expected))
    parameters = {
        "FRAME_BYTES": str(len(sent)),
        "RESULT_BYTES": str(len(expected)),
        "FRAME": f"{8 * len(sent)}'h{int.from_bytes(sent, 'little'):x}",
        "RESULT": f"{8 * len(expected)}'h{int.from_bytes(expected, 'little'):x}",
        "DIGEST": f"64'h{int(interface.title.digest, 16):016x}",
        "LIMIT": f"32'd{min(cycles, (1 << 32) - 1)}",
        "MEMORIES": str(max(len(interface.checked), 1)),
    }
    names = ("clk", "rst", "examine", "asked", "host_valid", "host_data", "host_number", "in_valid")
    pins = {
        **{name: name for name in (*names, "out_valid", "out_ready", "reply_valid", "reply_ready", "reply_data")},
        "in_data": "in_byte",
        "in_number": number,
        "out_data": "out_byte",
        "fault": FAULT if interface.checked else "2'd0",
        "passed": "led" if led else "unused_passed",
    }
    return Text(
        (
            "After configuration and after a break a stored frame is tried, which bitsmith_selftest tells of"
            + (": the light is on if its result is right." if led else "."),
        ),
        ("output logic led",) if led else (),
        (*(() if led else ("logic unused_passed;",)), instance("selftest", "selftest", parameters, pins)),
    )
