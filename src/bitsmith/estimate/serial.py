"""The size of a board's serial port beside a circuit: its link, what keeps whole frames, and the frame of its self-test.

What `bitsmith.rtl.uart_wrapper` writes, counted by the family's rules for FIFOs and tables. Constants are from Yosys's counts of
39 ports for iCE40, ECP5 and Nexus, with frames of 4 to 320 bytes. Flip-flops were within 3 % of these, look-up tables within a
tenth but for short frames (60 more), long frames that are stored in look-up tables (130 less), and one port on Nexus (570 less).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.kinds import Sink, Source
from bitsmith.dataflow.processes import Network
from bitsmith.devices.family import Family
from bitsmith.estimate.count import REGISTERS, Count
from bitsmith.estimate.figures import Size
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import SerialPort

_LINK, _TEST = (117, 90, 28), (179, 286, 64)
"""Look-up tables and flip-flops of the link and of the self-test, and bits of their counters."""

_COUNTER_LUTS = 0.8
"""More look-up tables of a counter's bit where a carry takes one."""

_BYTE = 8
_PLACES = 2
"""Slots of a pipeline's results beyond its stages."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A stream of the circuit: tokens of a frame, and their bits."""

    tokens: int
    bits: int

    @property
    def token_bytes(self) -> int:
        return -(-self.bits // _BYTE)


@dataclass(frozen=True, slots=True)
class Frames:
    """The streams of a circuit, and the stages of a pipeline, whose results wait; None of a network of processes."""

    inputs: Sequence[Frame]
    outputs: Sequence[Frame]
    stages: int | None


def frames_of_pipeline(program: Program, stages: int) -> Frames:
    """The streams of a pipeline: all inputs together are one token, and so are all outputs."""
    sides = program.inputs, [output.node for output in program.outputs]
    inputs, outputs = (
        sum(int(np.broadcast_to(kind.width, kind.shape).sum()) for kind in program.types(side)) for side in sides
    )
    return Frames([Frame(1, inputs)], [Frame(1, outputs)], stages)


def frames_of_network(network: Network) -> Frames:
    """The streams of a network of processes, each by itself."""
    sources = [process.results[0] for process in network.processes if isinstance(process.kind, Source)]
    sinks = [process.takes[0] for process in network.processes if isinstance(process.kind, Sink)]
    inputs, outputs = ([Frame(stream.tokens, stream.bits) for stream in side] for side in (sources, sinks))
    return Frames(inputs, outputs, None)


def with_port(size: Size, frames: Frames, port: SerialPort | None, family: Family) -> Size:
    """The ``size`` of a circuit with the serial ``port`` of its board, if any."""
    if port is None:
        return size
    count = Count(family)
    _fixed(count, _LINK)
    if port.tested:
        _fixed(count, _TEST)
        for side in (frames.inputs, frames.outputs):
            _stored(count, sum(frame.tokens * frame.token_bytes for frame in side))
    for frame in frames.inputs:
        count.lut += frame.token_bytes  # each byte has an enable
        count.ff += frame.bits + frame.token_bytes + (frame.tokens == 1)
        if frame.tokens > 1:
            _fifo(count, frame.tokens, frame.bits)
    for number, frame in enumerate(frames.outputs):
        count.lut += frame.bits
        count.ff += frame.bits
        _fifo(count, frame.tokens if number else 1, frame.bits)
    if frames.stages is not None:
        _fifo(count, frames.stages + _PLACES, sum(frame.bits for frame in frames.outputs))
    beside = count.cells
    lut, ff, bram = (round(cells) for cells in (beside.lut, beside.ff, beside.bram))
    return replace(size, lut=size.lut + lut, ff=size.ff + ff, bram=size.bram + bram, beside=size.beside.plus(beside))


def _fixed(count: Count, cells: Iterable[int]) -> None:
    luts, ffs, counters = cells
    count.lut += luts + (0.0 if count.area.carries_apart else _COUNTER_LUTS * counters)
    count.ff += ffs


def _stored(count: Count, size: int) -> None:
    """A frame of so many bytes, of which synthesis makes what it likes."""
    address = (size - 1).bit_length()
    if count.area.memory.holds_table(size, _BYTE):
        count.bram += count.area.memory.count(1 << address, _BYTE)
    else:
        count.lut += count.area.table(address, _BYTE)


def _fifo(count: Count, depth: int, bits: int) -> None:
    count.control(depth, 0.0, 0)
    if depth > REGISTERS:
        count.queue(depth, bits, np.ones(bits, bool), 0, 1.0)
    else:
        count.registers(depth, bits)
