"""A streaming top as a value: its sources, and the streams at its interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.schedule import Schedule
from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.ir.types import Ints, objects
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.design import LayerPart
from bitsmith.rtl.packing import Words, pack
from bitsmith.rtl.protection import CheckedMemory


@dataclass(frozen=True, slots=True)
class StreamPort:
    """A stream at the interface: the elements of a token, and tokens per frame."""

    name: str
    fields: tuple[Field, ...]
    tokens: int

    @property
    def width(self) -> int:
        """Bits of ``<name>_data``."""
        return sum(field.width for field in self.fields)


@dataclass(frozen=True, slots=True)
class WeightPort:
    """A stream at the interface for weights: the tokens of each frame, or one element per transfer into a memory."""

    port: StreamPort
    loaded: LoadableWeights

    def tokens(self, raw: Ints) -> Ints:
        """The raw values of the tensor as rows, one per token."""
        return objects(self.loaded.tiles(raw).reshape(self.port.tokens, -1))


@dataclass(frozen=True, slots=True)
class WeightImage:
    """A stream at the interface for constants that lie in a memory outside: the same tokens with each frame."""

    port: StreamPort
    stored: StoredWeights

    @property
    def words(self) -> Words:
        """The 32-bit words of each token."""
        return pack(self.port.fields, [objects(self.stored.raw.reshape(self.port.tokens, -1))])


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory for tokens: the layers that take them, and the bits of each."""

    layers: str
    width: int


@dataclass(frozen=True, slots=True)
class StreamDesign:
    """Sources of a streaming top, its ports, and its schedule.

    ``weights`` and ``images`` come with each frame, ``loads`` are memories that can be loaded; ``read_back``: and give a CRC of
    what they hold.
    """

    top: str
    sources: Mapping[str, str]
    inputs: tuple[StreamPort, ...]
    outputs: tuple[StreamPort, ...]
    schedule: Schedule
    over_budget: int
    """Operations that take longer than the clock period."""
    memories: Mapping[str, Memory]
    """FIFOs of operands, buffers that reorder tokens, and line buffers of windows, by the instance's name."""
    parts: Mapping[str, LayerPart]
    """The layers of each process, by what all names of it in the top begin with."""
    islands: tuple[tuple[str, ...], ...]
    """Prefixes of the names of processes, in groups that are joined by register slices alone."""
    weights: tuple[WeightPort, ...] = ()
    images: tuple[WeightImage, ...] = ()
    loads: tuple[WeightPort, ...] = ()
    read_back: bool = False
    checked: tuple[CheckedMemory, ...] = ()
    """Memories with check bits."""
    taps: tuple[StreamPort, ...] = ()
    """Layers' results that monitors watch."""
