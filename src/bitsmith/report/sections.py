"""The sections of a report as values, and as the plain figures of ``report.json``.

In: figures from builds, from vendors' reports or from a file, which is untrusted. Out: frozen sections with typed fields. Each
field carries its public key and the way in which tables show it, so that a new section is a class here, an entry in
``SECTIONS``, and what the HTML page should have of it.
"""

import math
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias, TypeVar, get_args, get_type_hints

from bitsmith.errors import ProjectError

Scalar: TypeAlias = str | int | float | bool | None
Figures: TypeAlias = dict[str, Scalar]
"""Plain figures by their public keys."""

C_SIMULATION = "C simulation"
"""The method of a verification that compared C++ with the emulator; without one it was the circuit."""


@dataclass(frozen=True, slots=True)
class Key:
    """A field's name in the public mapping, and its label and unit in tables; a value in ``%`` is a share of one.

    Figures are counts and quantities, which are never negative, unless ``signed``.
    """

    name: str
    label: str = ""
    unit: str = ""
    shown: bool = True
    signed: bool = False


Tool: TypeAlias = Annotated[str | None, Key("Tool", shown=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSet:
    """Named figures; None is a figure that is not known. ``others`` are further figures by their public keys."""

    others: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(FigureSet):
    """The comparison with the emulator, every output bit."""

    inputs: Annotated[int | None, Key("Inputs", "Verification: inputs")] = None
    mismatches: Annotated[int | None, Key("Mismatches", "Verification: mismatches")] = None
    tool: Tool = None
    method: Annotated[str | None, Key("Method", "Verification: method")] = None
    csim_inputs: Annotated[int | None, Key("CsimInputs", "C simulation: inputs")] = None
    csim_tool: Annotated[str | None, Key("CsimTool", "C simulation: tool")] = None
    netlist_inputs: Annotated[int | None, Key("NetlistInputs", "Netlist simulation: inputs")] = None
    netlist_tool: Annotated[str | None, Key("NetlistTool", "Netlist simulation: tool")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(FigureSet):
    """Shares of samples that the float model and the circuit classify correctly."""

    float_model: Annotated[float | None, Key("Float", "Accuracy: float", "%")] = None
    circuit: Annotated[float | None, Key("Fixed", "Accuracy: fixed", "%")] = None
    samples: Annotated[int | None, Key("Samples", "Accuracy: samples")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(FigureSet):
    """Cycles from a sample to its result, and between samples."""

    cycles: Annotated[int | None, Key("Cycles", "Latency", "cycles")] = None
    ii: Annotated[int | None, Key("II")] = None
    tool: Tool = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources(FigureSet):
    """Cells of the part."""

    lut: Annotated[int | None, Key("LUT")] = None
    ff: Annotated[int | None, Key("FF")] = None
    dsp: Annotated[int | None, Key("DSP")] = None
    bram: Annotated[float | None, Key("BRAM")] = None
    uram: Annotated[int | None, Key("URAM")] = None
    spram: Annotated[int | None, Key("SPRAM")] = None
    tool: Tool = None
    part: Annotated[str | None, Key("Part")] = None
    family: Annotated[str | None, Key("Family", shown=False)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing(FigureSet):
    """The clock that place and route reached."""

    fmax_mhz: Annotated[float | None, Key("FmaxMHz", "Fmax", "MHz")] = None
    clock_period_ns: Annotated[float | None, Key("ClockPeriodNs", "Clock period", "ns")] = None
    slack_ns: Annotated[float | None, Key("SlackNs", "Slack", "ns", signed=True)] = None
    hold_slack_ns: Annotated[float | None, Key("HoldSlackNs", "Hold slack", "ns", signed=True)] = None
    pulse_slack_ns: Annotated[float | None, Key("PulseSlackNs", "Slack of pulse widths", "ns", signed=True)] = None
    path: Annotated[str | None, Key("CriticalPath", "Critical path")] = None
    """The layers that the slowest path begins and ends in."""
    tool: Tool = None

    @property
    def missed(self) -> str:
        """Sentences on times that were asked for and not reached; empty if all were."""
        kinds = ("hold times", self.hold_slack_ns), ("widths of clock pulses", self.pulse_slack_ns)
        shorter = [
            f"The {kind} are missed by {-slack:.4g} ns: the circuit may fail at any clock."
            for kind, slack in kinds
            if slack is not None and slack < 0
        ]
        return " ".join(filter(None, (self._missed_clock, *shorter)))

    @property
    def _missed_clock(self) -> str:
        if self.clock_period_ns is None or self.slack_ns is None or self.slack_ns >= 0:
            return ""
        wanted, where = self.clock_period_ns + self.slack_ns, f" in {self.path}" if self.path else ""
        return (
            f"The clock of {wanted:.4g} ns ({1e3 / wanted:.4g} MHz) is not reached: the slowest path{where} takes "
            f"{self.clock_period_ns:.4g} ns, so that the circuit runs at up to {1e3 / self.clock_period_ns:.4g} MHz. "
            "A shorter clock_period makes more pipeline stages, which may be faster."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(FigureSet):
    """The expected cells, before any tool has run."""

    lut: Annotated[int | None, Key("LUT", "LUT (estimate)")] = None
    ff: Annotated[int | None, Key("FF", "FF (estimate)")] = None
    dsp: Annotated[int | None, Key("DSP", "DSP (estimate)")] = None
    bram: Annotated[float | None, Key("BRAM", "BRAM (estimate)")] = None
    uram: Annotated[int | None, Key("URAM", "URAM (estimate)")] = None
    spram: Annotated[int | None, Key("SPRAM", "SPRAM (estimate)")] = None
    port_lut: Annotated[int | None, Key("PortLUT", "LUT of the board's port (estimate)")] = None
    port_ff: Annotated[int | None, Key("PortFF", "FF of the board's port (estimate)")] = None
    port_bram: Annotated[int | None, Key("PortBRAM", "BRAM of the board's port (estimate)")] = None
    counters_lut: Annotated[int | None, Key("CountersLUT", "LUT of counters and monitors (estimate)")] = None
    counters_ff: Annotated[int | None, Key("CountersFF", "FF of the board's counters")] = None
    counters_bram: Annotated[int | None, Key("CountersBRAM", "BRAM of check bits (estimate)")] = None
    tool: Tool = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FIFO(FigureSet):
    """A memory between processes: slots of ``width`` bits, and the most that were in use."""

    fifo: Annotated[str | None, Key("FIFO")] = None
    layer: Annotated[str | None, Key("Layer")] = None
    width: Annotated[int | None, Key("Width")] = None
    depth: Annotated[int | None, Key("Depth")] = None
    peak: Annotated[int | None, Key("Peak")] = None

    @property
    def bits(self) -> int:
        """Bits of all slots."""
        return (self.width or 0) * (self.depth or 0)


@dataclass(frozen=True, slots=True)
class FIFOs:
    """All memories between processes."""

    rows: tuple[FIFO, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFidelity(FigureSet):
    """A layer's result beside the float model's, on the same inputs; shares are of the range of the float result.

    ``own`` and ``own_worst`` are what is left for the operands that the layer has in the circuit. ``stuck`` counts elements that
    never change though the float model's do, ``zeroed`` trained values that are not 0 and are held as 0. ``channel_error`` is
    that of ``channel``, beside this one's own range, where it is far above the whole's.
    """

    layer: Annotated[str | None, Key("Layer")] = None
    error: Annotated[float | None, Key("Error", unit="%")] = None
    worst: Annotated[float | None, Key("Worst", unit="%")] = None
    snr_db: Annotated[float | None, Key("SNR", unit="dB", signed=True)] = None
    channel: Annotated[int | None, Key("Channel")] = None
    channel_error: Annotated[float | None, Key("ChannelError", unit="%")] = None
    own: Annotated[float | None, Key("OwnError", unit="%")] = None
    own_worst: Annotated[float | None, Key("OwnWorst", unit="%")] = None
    values: Annotated[int | None, Key("Values")] = None
    saturated: Annotated[int | None, Key("Saturated")] = None
    wrapped: Annotated[int | None, Key("Wrapped")] = None
    stuck: Annotated[int | None, Key("Stuck")] = None
    zeroed: Annotated[int | None, Key("WeightsToZero")] = None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Distance of the layers' results from the float model's."""

    rows: tuple[LayerFidelity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCells(FigureSet):
    """Cells of a layer (or of layers that share a part of the circuit), and its stages of the pipeline."""

    layer: Annotated[str | None, Key("Layer")] = None
    lut: Annotated[int | None, Key("LUT")] = None
    ff: Annotated[int | None, Key("FF")] = None
    dsp: Annotated[int | None, Key("DSP")] = None
    bram: Annotated[float | None, Key("BRAM")] = None
    uram: Annotated[int | None, Key("URAM")] = None
    spram: Annotated[int | None, Key("SPRAM")] = None
    cycles: Annotated[int | None, Key("Cycles")] = None
    first_stage: Annotated[int | None, Key("FirstStage")] = None
    last_stage: Annotated[int | None, Key("LastStage")] = None


@dataclass(frozen=True, slots=True)
class Layers:
    """The cells of each layer, by the names that they have after synthesis; without a layer: what is of the top itself."""

    rows: tuple[LayerCells, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInTurn(FigureSet):
    """A layer of an engine: multiplications of a frame, cycles, and words of weights, which are ``word_cycles`` apart.

    These are 0 where weights are in the circuit.
    """

    engine: Annotated[int | None, Key("Engine")] = None
    layer: Annotated[str | None, Key("Layer")] = None
    multipliers: Annotated[int | None, Key("Multipliers")] = None
    products: Annotated[int | None, Key("Products")] = None
    multiplier_cycles: Annotated[int | None, Key("MultiplierCycles")] = None
    memory_cycles: Annotated[int | None, Key("MemoryCycles")] = None
    words: Annotated[int | None, Key("Words")] = None
    word_bits: Annotated[int | None, Key("WordBits")] = None
    word_cycles: Annotated[int | None, Key("WordCycles")] = None


@dataclass(frozen=True, slots=True)
class Engines:
    """Layers in turn on each engine, as planned."""

    rows: tuple[LayerInTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellUse(FigureSet):
    """Cells of a kind that are in use after placement."""

    cell: Annotated[str | None, Key("Cell")] = None
    used: Annotated[int | None, Key("Used")] = None
    available: Annotated[int | None, Key("Available")] = None


@dataclass(frozen=True, slots=True)
class Utilization:
    """Share of the part in use after placement."""

    rows: tuple[CellUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin(FigureSet):
    """Subject of a report.

    ``digest`` is that of the program and of all choices, ``seeds`` are those of simulations and of placement.
    """

    version: Annotated[str | None, Key("Version", shown=False)] = None
    date: Annotated[str | None, Key("Date", shown=False)] = None
    digest: Annotated[str | None, Key("Digest", shown=False)] = None
    command: Annotated[str | None, Key("Command", shown=False)] = None
    seeds: Annotated[str | None, Key("Seeds", shown=False)] = None


@dataclass(frozen=True, slots=True)
class Files:
    """Paths inside the project by what they are."""

    paths: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun(FigureSet):
    """A stage of the build; a cached one shows the seconds that it once took."""

    name: Annotated[str | None, Key("Name")] = None
    seconds: Annotated[float | None, Key("Seconds")] = None
    log: Annotated[str | None, Key("Log")] = None
    cached: Annotated[bool | None, Key("Cached")] = None


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages in the order in which they ran."""

    rows: tuple[StageRun, ...]


Rows: TypeAlias = Fidelity | Layers | Engines | Utilization | FIFOs | Stages
"""Sections that are lists."""

Section: TypeAlias = Verification | Accuracy | Latency | Timing | Resources | Estimate | Origin | Files | Rows

Kind = TypeVar("Kind", bound=Section)

SECTIONS: Mapping[str, type[Section]] = {
    kind.__name__: kind
    for kind in (
        *(Verification, Accuracy, Fidelity, Latency, Resources, Timing, Estimate),
        *(Layers, Engines, Utilization, FIFOs, Files, Stages, Origin),
    )
}

Set = TypeVar("Set", bound=FigureSet)


def section_of(name: str, figures: object) -> Section:
    """The section ``name`` of plain figures: a mapping, or a list of mappings for `Rows`.

    Raises:
        ProjectError: there is no such section, or a figure of the wrong kind.
    """
    kind = SECTIONS.get(name)
    if kind is None:
        raise ProjectError(f"unknown section {name!r}", where="report", accepted=", ".join(SECTIONS))
    if issubclass(kind, Files):
        return Files({key: str(_checked(f"{name}.{key}", value, str)) for key, value in _named(name, figures).items()})
    if issubclass(kind, FigureSet):
        return _figure_set(name, kind, figures)
    of_rows: Callable[[tuple[FigureSet, ...]], Section] = kind
    return of_rows(_rows(name, get_args(get_type_hints(kind)["rows"])[0], figures))


def plain(section: Section) -> Figures | list[Figures]:
    """The figures of ``section`` by their public keys; a figure that is not known has no entry."""
    match section:
        case Files():
            return dict(section.paths)
        case FigureSet():
            return _figures(section)
        case _:
            return [_figures(row) for row in section.rows]


def entries(figures: FigureSet) -> Iterator[tuple[Key, Scalar]]:
    """All known figures with their keys, in the order of their fields."""
    for name, (key, _) in _keys_of(type(figures)).items():
        value = getattr(figures, name)
        if value is not None:
            yield key, value
    for name, value in figures.others.items():
        yield Key(name), value


def _figures(figures: FigureSet) -> Figures:
    return {key.name: value for key, value in entries(figures)}


_KEYS: dict[type[FigureSet], Mapping[str, tuple[Key, type]]] = {}


def _keys_of(kind: type[FigureSet]) -> Mapping[str, tuple[Key, type]]:
    """Key and type of each figure, by the name of its field; found when first asked for, since hints take long to resolve."""
    if kind not in _KEYS:
        keys = {}
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if name != "others":
                union, key = get_args(hint)
                keys[name] = (key, get_args(union)[0])
        _KEYS[kind] = keys
    return _KEYS[kind]


def _figure_set(name: str, kind: type[Set], figures: object) -> Set:
    others = _named(name, figures)
    known = {}
    for attribute, (key, wanted) in _keys_of(kind).items():
        value = others.pop(key.name, None)
        known[attribute] = None if value is None else _checked(f"{name}.{key.name}", value, wanted, signed=key.signed)
    return kind(**known, others=others)


def _rows(name: str, kind: type[Set], rows: object) -> tuple[Set, ...]:
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ProjectError(f"the section {name!r} is not a list", where="report")
    return tuple(_figure_set(name, kind, row) for row in rows)


def _named(name: str, figures: object) -> Figures:
    """A private copy of ``figures``, all of them text or numbers."""
    if not isinstance(figures, Mapping) or not all(isinstance(key, str) for key in figures):
        raise ProjectError(f"the section {name!r} is not a set of named figures", where="report")
    result: Figures = {}
    for key, value in figures.items():
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not None and not isinstance(value, (str, int, float)):
            raise ProjectError(f"{name}.{key} is neither text nor a number", where="report")
        if isinstance(value, float) and not math.isfinite(value):
            raise ProjectError(f"{name}.{key} is not a finite number", where="report")
        result[key] = value
    return result


_KINDS = {int: "an integer", float: "a number", str: "text", bool: "true or false"}


def _checked(where: str, value: Scalar, kind: type, *, signed: bool = False) -> Scalar:
    """``value``, which must be of ``kind``; an integer is a number, too, but a truth value is not."""
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ProjectError(f"{where} is {reprlib.repr(value)}", where="report", accepted=_KINDS[kind])
    if isinstance(value, int | float) and value < 0 and not signed:
        raise ProjectError(
            f"{where} is {reprlib.repr(value)}", where="report", accepted=f"{_KINDS[kind]} that is not negative"
        )
    return value


def percent(share: float | None) -> str:
    """A share as text."""
    hundredths = 100 * (share or 0.0)
    return f"{hundredths:.2g} %" if hundredths < 10 else f"{hundredths:.0f} %"


def number(value: object) -> str:
    """A figure as people read it: thousands separated, no more than three decimals."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        text = f"{value:,.3f}".rstrip("0").rstrip(".")
        return text if float(value) == 0 or abs(value) >= 0.001 else f"{value:.2e}"
    return "" if value is None else str(value)


def find(sections: Iterable[Section], kind: type[Kind]) -> Kind | None:
    """Return the section of a kind; None if it did not run."""
    return next((section for section in sections if isinstance(section, kind)), None)
