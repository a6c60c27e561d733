"""A generated C++ project as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitsmith.hls.scalar import Scalar


@dataclass(frozen=True, slots=True)
class HlsTarget:
    """What a project is for: the ``top`` function, the device as its vendor calls it, and the clock.

    ``uncertainty_percent`` is the share of the period that the tool keeps in reserve.
    """

    top: str
    part: str
    period_ns: float = 5.0
    uncertainty_percent: float = 12.5
    tool: str = "bitsmith"
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A parameter of the top function: its name, elements (row-major) and number format."""

    name: str
    size: int
    scalar: Scalar

    @property
    def words(self) -> int:
        """64-bit words of all elements, as the bridge takes and gives them."""
        return self.size * self.scalar.words


@dataclass(frozen=True, slots=True)
class HlsProject:
    """Files and how to use them.

    ``files`` maps paths inside of the project to texts. ``bridge`` is the source that exports ``bridge_function``
    (``void(const uint64_t *in, uint64_t *out)``, one sample) with C linkage.
    """

    top: str
    files: Mapping[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    bridge: str
    bridge_function: str

    @property
    def in_words(self) -> int:
        """64-bit words of a sample's inputs."""
        return sum(port.words for port in self.inputs)

    @property
    def out_words(self) -> int:
        """64-bit words of a sample's outputs."""
        return sum(port.words for port in self.outputs)
