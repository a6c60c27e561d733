"""A generated C++ project as a value."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from bitsmith.hls.scalar import Scalar


class Stage(enum.Enum):
    """What a vendor's tool can do with a project, in the order in which it does it; the values are arguments of ``build``."""

    SYNTH = "synth"
    """High-level synthesis: C++ to a hardware description, with an estimate of area and latency."""
    COSIM = "cosim"
    """The hardware description simulated on the test bench, which writes ``tb_data/rtl_cosim_results.log``."""
    EXPORT = "export"
    """The hardware description packed for use in other designs."""
    VSYNTH = "vsynth"
    """Logic synthesis of the hardware description: area after mapping to the part."""
    PNR = "pnr"
    """Place and route of what logic synthesis left: area and clock as built."""

    @property
    def needs(self) -> tuple[Stage, ...]:
        """What must have run before, directly or indirectly."""
        match self:
            case Stage.SYNTH:
                return ()
            case Stage.COSIM | Stage.EXPORT | Stage.VSYNTH:
                return (Stage.SYNTH,)
            case Stage.PNR:
                return (Stage.SYNTH, Stage.VSYNTH)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class HlsTarget:
    """What a project is for: the ``top`` function, the device as its vendor calls it, and the clock.

    ``uncertainty_percent`` is the share of the period that the tool keeps in reserve. ``stages`` are those that the
    project's script runs when a user starts it by hand.
    """

    top: str
    part: str
    period_ns: float = 5.0
    uncertainty_percent: float = 12.5
    tool: str = "bitsmith"
    digest: str = ""
    stages: tuple[Stage, ...] = (Stage.SYNTH,)


@dataclass(frozen=True, slots=True)
class Port:
    """A parameter of the top function: its name, elements (row-major), number format, and that format's name in C++."""

    name: str
    size: int
    scalar: Scalar
    type_name: str

    @property
    def words(self) -> int:
        """64-bit words of all elements, as the bridge takes and gives them."""
        return self.size * self.scalar.words


@dataclass(frozen=True, slots=True)
class Design:
    """The top function called ``top``, as code around it sees it; ``title`` is the first line of all files."""

    top: str
    title: str
    target: HlsTarget
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


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
