"""The size of what moves the tokens of a circuit to and from the memory of a board, beside the circuit."""

from dataclasses import replace
from typing import assert_never

from bitsmith.dataflow.kinds import Boundary, Outside, Sink, Source
from bitsmith.dataflow.processes import Network
from bitsmith.devices.system import beat_bytes
from bitsmith.estimate.figures import Cells, Size
from bitsmith.mapping.directives import WeightsBus

_LEAST_BITS = 32
"""Bits of the narrowest word of memory."""
_READ, _WRITTEN = (2.0, 0.0), (2.6, 1.125)
"""Look-up tables and flip-flops for each bit of a word of memory, of which 64 words wait in look-up tables."""
_READER, _WRITER, _SPANS, _STREAM, _CONTROL = (210.0, 238), (234.0, 230), (400.0, 466), (110.0, 100), (210.0, 110)
"""Those beside: of a reader, a writer, both with spans, the registers of a stream and all others. By Yosys, for xc7 and xcup."""
_COUNT, _LEAST_COUNT = (4.5, 7), 13
"""Those for each bit of a number of beats, of which there are so many at least where spans are read."""


def with_movers(size: Size, network: Network, bus: WeightsBus | None) -> Size:
    """The ``size`` of a circuit, with what reads and writes its streams on a board's ``bus``, if any."""
    luts, ffs = (0.0, 0.0) if bus is None else movers(network, bus.beat_bytes)
    beside = size.beside.plus(Cells(luts, ffs, 0.0, 0.0, 0.0))
    return replace(size, lut=size.lut + round(luts), ff=size.ff + round(ffs), beside=beside)


def movers(network: Network, bus_bytes: int) -> tuple[float, float]:
    """Look-up tables and flip-flops of the readers and writers of all streams, and of registers that tell them where."""
    luts, ffs = _CONTROL
    for process in network.processes:
        kind, parts = process.kind, list[tuple[float, float]]()
        if not isinstance(kind, Boundary):
            continue
        match kind:
            case Source():
                parts += [_READER, _stream(process.results[0].bits, bus_bytes, *_READ, 0.0)]
            case Sink():
                parts += [_WRITER, _stream(process.takes[0].bits, bus_bytes, *_WRITTEN, 1.0)]
            case Outside(spans=spans):
                stream = process.takes[0]
                count = max(stream.tokens.bit_length() + 1, _LEAST_COUNT)
                parts += [_SPANS, (_COUNT[0] * count, _COUNT[1] * count), (count * len(spans) / 32, 0.0)]
                parts += [_stream(stream.bits, bus_bytes, *_READ, 0.0), _stream(stream.bits, bus_bytes, *_WRITTEN, 1.0)]
            case _:
                assert_never(kind)
        luts, ffs = (sum(column) for column in zip((luts, ffs), _STREAM, *parts, strict=True))
    return luts, ffs


def _stream(bits: int, bus_bytes: int, lut: float, ff: float, shifted: float) -> tuple[float, float]:
    """Cells that grow with a token of ``bits``: of a word of memory, and a register where a token has several beats."""
    size = -(-bits // 8)
    beat = beat_bytes(size, bus_bytes)
    word, held = max(8 * beat, _LEAST_BITS), 8 * beat * -(-size // beat) * (size > beat)
    return lut * word + shifted * held, ff * word + held
