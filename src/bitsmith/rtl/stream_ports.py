"""Streams at the interface of a circuit."""

from dataclasses import dataclass

from bitsmith.dataflow.outside import Outside
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.ir.types import Ints, objects
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.packing import Words, pack


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
class LoopPort:
    """Two streams at the interface of what lies in a memory outside: tokens go ``out`` to it, and come ``back`` in spans."""

    out: StreamPort
    back: StreamPort
    kind: Outside
