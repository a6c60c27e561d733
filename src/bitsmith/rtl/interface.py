"""The interface of a circuit: its streams, what is in a token, and its description for wrappers and drivers.

A pipeline has one stream of whole samples on each side, without a name; a network of processes one per input and output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bitsmith.devices.system import beat_bytes
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.protection import CheckedMemory
from bitsmith.rtl.stream_ports import LoopPort, StreamPort, WeightImage, WeightPort
from bitsmith.rtl.writer import Title


@dataclass(frozen=True, slots=True)
class Interface:
    """The streams of ``<top>_axis``; latency and interval are the planned cycles.

    ``weights`` come with each frame, and then constants that lie outside as ``images``: their ports are the last of the inputs.
    ``loads`` are for memories that can be loaded; with ``read_back`` there is a CRC of what each of them holds. Memories that are
    ``checked`` have check bits. ``taps`` are layers' results that monitors watch. ``loops`` lead to memories outside and
    back: what passes them is neither input nor output.
    """

    top: str
    inputs: tuple[StreamPort, ...]
    outputs: tuple[StreamPort, ...]
    latency: int
    interval: int
    title: Title
    weights: tuple[WeightPort, ...] = ()
    images: tuple[WeightImage, ...] = ()
    loads: tuple[WeightPort, ...] = ()
    read_back: bool = False
    checked: tuple[CheckedMemory, ...] = ()
    taps: tuple[StreamPort, ...] = ()
    loops: tuple[LoopPort, ...] = ()

    @property
    def own_inputs(self) -> tuple[StreamPort, ...]:
        """The streams of the network's inputs, which are no weights."""
        return self.inputs[: len(self.inputs) - len(self.weights) - len(self.images)]

    @property
    def load_ports(self) -> tuple[StreamPort, ...]:
        """The streams of ``loads``: a token is an element, a frame a load."""
        return tuple(each.port for each in self.loads)

    @property
    def sinks(self) -> tuple[StreamPort, ...]:
        """All streams that come in: inputs, loads, and what comes back."""
        return (*self.inputs, *self.load_ports, *(each.back for each in self.loops))

    @property
    def sources(self) -> tuple[StreamPort, ...]:
        """All streams that go out: outputs, and what comes back later."""
        return (*self.outputs, *(each.out for each in self.loops))

    @property
    def buses(self) -> tuple[str, ...]:
        """The prefixes of all AXI4-Streams."""
        return (*(prefix("s_axis", port) for port in self.sinks), *(prefix("m_axis", port) for port in self.sources))


def prefix(side: str, port: StreamPort) -> str:
    """The prefix of the signals of a stream; ``side`` names the direction."""
    return f"{side}_{port.name}" if port.name else side


def token_bytes(port: StreamPort) -> int:
    """Bytes of a token, whose unused upper bits are 0."""
    return -(-port.width // 8)


def token_beats(port: StreamPort, bus_bytes: int) -> tuple[int, int]:
    """Bytes of a beat of a token on a bus of ``bus_bytes``, or (0) of a whole token; and the beats of a token."""
    size = token_bytes(port)
    beat = beat_bytes(size, bus_bytes) if bus_bytes else size
    return beat, -(-size // beat)


def runs(fields: Sequence[Field]) -> Iterator[tuple[int, int, bool, int]]:
    """Neighbors of one format: how many, and their bits, sign and fractional bits."""
    for (width, signed, frac), equal in groupby(fields, key=lambda field: (field.width, field.signed, field.frac)):
        yield sum(1 for _ in equal), width, signed, frac


def contents(port: StreamPort) -> list[str]:
    """The contents of a token, from bit 0 up, as lines for people."""
    lines = [f"{port.tokens} tokens per frame, {port.width} bits in {token_bytes(port)} bytes; from bit 0 up:"]
    for count, width, signed, frac in runs(port.fields):
        sign = "two's complement" if signed else "plain binary"
        lines.append(f"  {count} of {width} bits, {sign}, worth 2**{-frac} per step")
    return lines
