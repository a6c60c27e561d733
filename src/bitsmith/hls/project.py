"""A generated C++ project as a value, and what its scripts say of the target in the vendors' languages."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.errors import ConfigError
from bitsmith.hls.names import identifier
from bitsmith.hls.scalar import Scalar


class Stage(enum.Enum):
    """The steps that a vendor's tool can do with a project, in order; the values are arguments of ``build``."""

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
        """The steps that must have run before, directly or indirectly."""
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
    """The target of a project: the ``top`` function, the device as its vendor calls it, and the clock.

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

    @property
    def aimed_period_ns(self) -> float:
        """The clock's period less what is kept in reserve, for tools that know no uncertainty."""
        return self.period_ns * (1 - self.uncertainty_percent / 100)


@dataclass(frozen=True, slots=True)
class TokenStream:
    """A tensor as a stream of tokens: their number, their type's name in C++, and the stream's; ``local`` is a free name.

    Those of a tensor whose tokens are too wide for the tool are ``beats`` parts of such.
    """

    tokens: int
    beats: int
    token_type: str
    type_name: str
    local: str


@dataclass(frozen=True, slots=True)
class Port:
    """A parameter of the top function: its name, elements (row-major), number format, and that format's name in C++.

    It is an array, or a stream of tokens; ``loaded`` if these are weights. They come with each sample; or ``kept``, if a first
    token says so, whose first element is not zero then.
    """

    name: str
    size: int
    scalar: Scalar
    type_name: str
    stream: TokenStream | None = None
    loaded: LoadableWeights | None = None
    kept: bool = False

    @property
    def words(self) -> int:
        """64-bit words of all elements, as the bridge takes and gives them."""
        return self.size * self.scalar.words

    @property
    def declaration(self) -> str:
        """The declarator of an array of all elements."""
        return f"{self.type_name} {self.name}[{self.size}]"


def called(
    function: str,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    arrays: tuple[Sequence[str], Sequence[str]],
    declared: Callable[[str, str, int], str],
) -> list[str]:
    """Lines that call ``function`` on the ``arrays`` of these names, which travel through streams where ports are such.

    ``declared`` gives the declaration of a stream: type, name, depth.
    """
    before, after, arguments = list[str](), list[str](), list[str]()
    for port, array in (*zip(inputs, arrays[0], strict=True), *zip(outputs, arrays[1], strict=True)):
        stream = port.stream
        arguments.append(stream.local if stream else array)
        if stream is None:
            continue
        before.append(declared(stream.type_name, stream.local, stream.tokens))
        template = f"{stream.token_type}, {stream.tokens}, {port.size // stream.tokens}"
        if any(port is other for other in inputs):
            feed = f"feed_load<{template}, {stream.beats}>" if port.kept else f"feed<{template}>"
            before.append(f"kernels::{feed}({array}, {stream.local});")
        else:
            after.append(f"kernels::drain<{template}>({stream.local}, {array});")
    return [*before, f"{function}({', '.join(arguments)});", *after]


@dataclass(frozen=True, slots=True)
class Memory:
    """An array that is read at variable places, for tools that are told of it by its ``name``.

    ``width`` neighbors are read at once, or else each ``bank`` of that many elements is read apart from the others;
    ``readers`` read in one cycle. ``apart``: what is written is read many steps later.
    """

    name: str
    width: int = 1
    bank: int = 0
    readers: int = 1
    apart: bool = False


class WordKind(enum.Enum):
    """Kind of a word; the values are texts with its ``name``."""

    WEIGHTS = "weights of {name} that are read together"
    ROWS = "a row of the line buffer {name}"
    TOKEN = "a token of {name}"
    PORT = "the port {name}"


@dataclass(frozen=True, slots=True)
class Word:
    """Numbers that C++ has as one word of ``bits``, where the tool takes ``most``. ``name`` is of a function, memory or port."""

    kind: WordKind
    name: str
    bits: int
    most: int


@dataclass(frozen=True, slots=True)
class HlsDesign:
    """The top function called ``top``, as code around it sees it; ``title`` is the first line of all files.

    ``unrolled``: it takes a sample in every cycle; else it is a network of processes. ``streams`` are the names of those
    between processes, with their slots.
    """

    top: str
    title: str
    target: HlsTarget
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    unrolled: bool
    streams: tuple[tuple[str, int], ...]
    memories: tuple[Memory, ...]


@dataclass(frozen=True, slots=True)
class HlsProject:
    """Files and how to use them.

    ``files`` maps paths inside of the project to texts. ``bridge`` is the source that exports ``bridge_function``
    (``void(const uint64_t *in, uint64_t *out)``, one sample) with C linkage. ``interval`` is the planned number of cycles
    between samples; None where only the tool knows how far they overlap. ``slowest`` are the cycles that each process may
    take for a sample. ``too_wide`` are words that the tool is known to refuse.
    """

    top: str
    files: Mapping[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    bridge: str
    bridge_function: str
    interval: int | None = 1
    slowest: int = 1
    too_wide: tuple[Word, ...] = ()

    @property
    def in_words(self) -> int:
        """64-bit words of a sample's inputs."""
        return sum(port.words for port in self.inputs)

    @property
    def out_words(self) -> int:
        """64-bit words of a sample's outputs."""
        return sum(port.words for port in self.outputs)


def word(text: str) -> str:
    """``text`` as a word that needs no quotes in Tcl, make, CMake and shells.

    Raises:
        ConfigError: characters that part names and top functions do not have.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", text, flags=re.ASCII):
        raise ConfigError(f"{text!r}", where="part", accepted="letters, digits, '_', '.', '+' and '-'")
    return text


def tcl_settings(target: HlsTarget, uncertainty: str, stages: Iterable[Stage]) -> str:
    """Tcl that sets what a project is for, and to 1 or 0 each of ``stages``, and C simulation, as they run by hand."""
    return (
        f"set top {word(identifier(target.top))}\n"
        f"set part {word(target.part)}\n"
        f"set clock_period {target.period_ns:g}\n"
        f"set clock_uncertainty {uncertainty}\n"
        "set csim 1\n"
    ) + "".join(f"set {stage.value} {int(stage in target.stages)}\n" for stage in stages)
