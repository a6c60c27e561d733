"""Monitors of tensors at a board's streams: ``bitsmith_range`` beside each, and what calibration data show there.

In: the circuit's program and interface, and samples. Out: parts of wrappers, and values for drivers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.bus_wrappers import RANGES, Text
from bitsmith.rtl.design import TAP
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.library import instance
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.stream_ports import StreamPort

_BINS = 8
"""Bins of a histogram."""

MOST_SAMPLES = 1000
"""Samples of calibration data that are looked at."""

_PAGE = 16
"""Monitors of a page of registers."""

_MOST_TENSORS, _WORD, _BYTES = 256, 32, 64


@dataclass(frozen=True, slots=True)
class Watch:
    """A tensor that is watched.

    Attributes:
        name: of the tensor.
        signal: that wires of its stream begin with.
        fields: its elements in a token, each with the lowest bit there.
        frac, width: fractional bits and bits of the common grid, which drops what is below 32 bits.
        ends: the least and the greatest value that are expected, and between them the lower ends of all bins but the first.
        shares: of the samples' tokens in each bin; empty without samples.
    """

    name: str
    signal: str
    fields: tuple[tuple[int, Field], ...]
    frac: int
    width: int
    ends: tuple[int, ...]
    shares: tuple[float, ...]


def addresses(each: Sequence[Watch]) -> list[tuple[int, int]]:
    """PAGE and addresses of the registers of each monitor: least, greatest and beyond, and from 0x20 on its bins."""
    return [(k // _PAGE, RANGES + _BYTES * (k % _PAGE)) for k in range(len(each))]


def watches(
    program: Program, interface: Interface, samples: Sequence[Raw] | None, in_engines: Program
) -> tuple[Watch, ...]:
    """All tensors at the streams, inputs first, then layers' results, some of which are outputs of ``in_engines``.

    ``samples`` are raw inputs, whose bounds and eighths are those of the monitors.

    Raises:
        ConfigError: too many tensors.
    """
    names = {tap.name for tap in interface.taps}
    probes = tuple(probe for probe in program.probes if probe.name in names)
    taps = _values(program, probes, samples) | _values(in_engines, in_engines.outputs, samples)
    raws = [None] * len(program.inputs) if samples is None else samples
    outputs = tuple(Output(f"{k}", output.node) for k, output in enumerate(program.outputs))
    tensors = list[Watch]()
    for side, ports, values in (
        ("in", interface.own_inputs, list(zip(program.types(program.inputs), raws, strict=True))),
        ("out", interface.outputs, list(_values(program, outputs, samples).values())),
        ("tap", interface.taps, [taps[tap.name] for tap in interface.taps]),
    ):
        groups = [(f"{side}{k}", port, fields) for k, port in enumerate(ports) for fields in _tensors(port)]
        for (kind, raw), (signal, port, fields) in zip(values, groups, strict=True):
            tensors.append(_watch(signal, port, fields, kind, raw))
    if len(tensors) > _MOST_TENSORS:
        accepted = f"at most {_MOST_TENSORS}"
        raise ConfigError(f"ranges of {len(tensors)} tensors", where="Monitors", accepted=accepted)
    return tuple(tensors)


def _values(
    program: Program, outputs: Sequence[Output], samples: Sequence[Raw] | None
) -> dict[str, tuple[TensorType, Raw | None]]:
    """The types of outputs by their names, and what they are for samples."""
    shown = Program(program.nodes, tuple(outputs))
    raws = [None] * len(outputs) if samples is None or not outputs else Emulator(shown).run_raw(samples)
    kinds = program.types(tuple(output.node for output in outputs))
    return {output.name: (kind, raw) for output, kind, raw in zip(outputs, kinds, raws, strict=True)}


def _tensors(port: StreamPort) -> list[tuple[tuple[int, Field], ...]]:
    """The elements of each tensor in a token of ``port``, with their lowest bits."""
    lows = np.cumsum([0, *(field.width for field in port.fields)]).tolist()
    placed = list(zip(lows, port.fields, strict=False))
    return [tuple(group) for _, group in groupby(placed, key=lambda each: each[1].tensor)]


def _watch(
    signal: str, port: StreamPort, fields: tuple[tuple[int, Field], ...], kind: TensorType, raw: Raw | None
) -> Watch:
    name, frac = fields[0][1].tensor.removeprefix(TAP), max(field.frac for _, field in fields)
    bounds = [bound << frac - field.frac for _, field in fields for bound in (field.lo, field.hi)]
    width = max(max(bounds).bit_length(), (min(bounds) + 1).bit_length() if min(bounds) < 0 else 0) + 1
    dropped = max(width - _WORD, 0)
    if raw is None:
        least, most = min(bounds) >> dropped, max(bounds) >> dropped
        inner = tuple(least + (most - least + 1) * k // _BINS for k in range(1, _BINS))
        return Watch(name, signal, fields, frac - dropped, width - dropped, (least, *inner, most), ())
    values: Ints = objects(raw) << objects(np.broadcast_to(frac - kind.frac, kind.shape))
    values = (values >> dropped).reshape(len(raw) * port.tokens, -1)
    greatest = sorted(values.max(axis=1).tolist())
    inner = tuple(int(greatest[len(greatest) * k // _BINS]) for k in range(1, _BINS))
    placed = np.searchsorted(np.array(inner, dtype=object), np.array(greatest, dtype=object), side="right")
    shares = np.bincount(placed.astype(np.int64), minlength=_BINS) / len(greatest)
    ends = (int(values.min()), *inner, int(values.max()))
    return Watch(name, signal, fields, frac - dropped, width - dropped, ends, tuple(shares.tolist()))


def range_cells(watched: Sequence[Watch]) -> tuple[int, int]:
    """Look-up tables and flip-flops of all monitors, about: on ECP5, by Yosys."""
    joins = [watch.width * (len(watch.fields) - 1) for watch in watched]
    luts = sum(726 + 3.5 * bits for bits in joins)
    return round(luts), sum(300 + 2 * watch.width + 3 * bits for watch, bits in zip(watched, joins, strict=True))


def range_monitors(watched: Sequence[Watch], moves: Mapping[str, str]) -> Text:
    """Instances inside the wrapper whose streams have signals of their names; ``moves`` says when a token of each passes."""
    lines = list[str]()
    for k, watch in enumerate(watched):
        token = f"{watch.signal}_token"
        elements = [_element(token, low, field, watch) for low, field in watch.fields]
        ends = ", ".join(_literal(end) for end in reversed(watch.ends[1:-1]))
        settings = {
            "ELEMENTS": str(len(elements)),
            "WIDTH": str(watch.width),
            "LEAST": _literal(watch.ends[0]),
            "MOST": _literal(watch.ends[-1]),
            "ENDS": f"{{{ends}}}",
        }
        pins = {
            "aclk": "aclk",
            "aresetn": "aresetn",
            "take": moves[watch.signal],
            "data": f"{{{', '.join(reversed(elements))}}}",
            "read_word": "range_word[3:0]",
            "value": f"range{k}",
        }
        lines += [f"logic [{_WORD - 1}:0] range{k};", instance("range", f"range{k}_monitor", settings, pins)]
    chosen = " | ".join(f"({{{_WORD}{{range_word[11:4] == 8'd{k}}}}} & range{k})" for k in range(len(watched)))
    ports = ("input logic [11:0] range_word", f"output logic [{_WORD - 1}:0] range_value")
    unused = (
        f"{watch.signal}_token[{low + bits - 1}:{low}]"
        for watch in watched
        for low, field in watch.fields
        if (bits := _unread(field, watch)) > 0
    )
    return Text(ports=ports, lines=(*lines, f"assign range_value = {chosen};"), unused=tuple(unused))


def _unread(field: Field, watch: Watch) -> int:
    """The lowest bits of an element that are below the common grid; all bits of one that is always 0."""
    return field.width if not (field.lo or field.hi) else min(field.frac - watch.frac, field.width - field.signed)


def _element(token: str, low: int, field: Field, watch: Watch) -> str:
    """An element of a token on the common grid, in two's complement."""
    if not (field.lo or field.hi):
        return f"{watch.width}'d0"  # it has a bit, which may be beyond the common width
    zeros = watch.frac - field.frac
    dropped = max(-zeros, 0)
    top = low + field.width - 1
    bits = field.width - dropped
    if bits <= 0:
        return f"{{{watch.width}{{{token}[{top}]}}}}" if field.signed else f"{watch.width}'d0"
    sign = f"{token}[{top}]" if field.signed else "1'b0"
    parts = [f"{{{watch.width - bits - max(zeros, 0)}{{{sign}}}}}"] if watch.width > bits + max(zeros, 0) else []
    parts.append(f"{token}[{top}:{low + dropped}]")
    parts += [f"{zeros}'d0"] if zeros > 0 else []
    return f"{{{', '.join(parts)}}}"


def _literal(value: int) -> str:
    return f"{_WORD}'h{value & (1 << _WORD) - 1:x}"
