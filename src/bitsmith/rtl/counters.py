"""Counters of a board's circuit: ``bitsmith_counters`` in the wrapper with registers, and results at the ends of their ranges.

In: the interface of streams of beats, and ports whose tokens are results. Out: parts of wrappers.
"""

from bitsmith.rtl.bus_wrappers import RANGES, Text
from bitsmith.rtl.interface import Interface, prefix
from bitsmith.rtl.library import instance
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.rtl.stream_top import joined

_WORD, _NEVER = 32, "1'b0"
_LUTS = 60, 130
"""Look-up tables of ``bitsmith_counters``, and for each stream."""


def counters(narrow: Interface, *, ranges: bool) -> Text:
    """Return the counters of all streams of ``narrow`` in the wrapper that has them, and ``limits`` of the circuit in it.

    With ``ranges`` the circuit has monitors, too, which `bitsmith.rtl.ranges` puts there.
    """
    names = [prefix("s_axis", port) for port in narrow.inputs] + [prefix("m_axis", port) for port in narrow.outputs]
    widths = [port.width for port in (*narrow.inputs, *narrow.outputs)]
    folded = [_folded(f"{name}_tdata", width) for name, width in zip(names, widths, strict=True)]
    starts = [f"in{k}_transfer & in{k}_first" for k in range(len(narrow.inputs))]
    ends = [f"out{k}_transfer & out{k}_last" for k in range(len(narrow.outputs))]
    connections = {
        "aclk": "aclk",
        "aresetn": "core_resetn",
        "valid": joined([f"{name}_tvalid" for name in names]),
        "ready": joined([f"{name}_tready" for name in names]),
        "data": joined([f"data{k}" for k in range(len(names))]),
        "limit": f"{{limits, {len(narrow.inputs)}'d0}}",
        "frame": joined([*starts, *ends]),
        "read_word": "s_axi_araddr[9:2]",
        "value": "value_of_counters" if ranges else "value_counted",
    }
    choice = (
        f"wire [{_WORD - 1}:0] range_value;",
        f"wire [{_WORD - 1}:0] value_of_counters;",
        f"wire [{_WORD - 1}:0] value_counted = s_axi_araddr >= 12'h{RANGES:x} ? range_value : value_of_counters;",
    )
    lines = (
        *(f"wire [{_WORD - 1}:0] data{k} = {text};" for k, text in enumerate(folded)),
        f"wire [{len(narrow.outputs) - 1}:0] limits;",
        *(choice if ranges else (f"wire [{_WORD - 1}:0] value_counted;",)),
        instance("counters", "counters", {"STREAMS": len(names)}, connections),
    )
    read = (".range_word({page, s_axi_araddr[9:2]})", ".range_value(range_value)") if ranges else ()
    return Text(lines=lines, connections=(".limits(limits)", *read))


def counters_cells(interface: Interface) -> tuple[int, int]:
    """Look-up tables that the counters of all streams take, about, and flip-flops."""
    streams = len(interface.inputs) + len(interface.outputs)
    return _LUTS[0] + _LUTS[1] * streams, 2 * _WORD + 5 * _WORD * streams


def read_back_cells(interface: Interface) -> tuple[int, int]:
    """Look-up tables and flip-flops that read memories back, about: on ECP5, by Yosys."""
    if not interface.read_back:
        return 0, 0
    tiles = (each.loaded.steps * each.loaded.groups for each in interface.loads)
    bits = sum(
        each.port.width * each.port.tokens // number for each, number in zip(interface.loads, tiles, strict=True)
    )
    return round(150 * len(interface.loads) + 1.3 * bits), 45 * len(interface.loads)


def limit(signal: str, number: int, port: StreamPort, moves: str) -> Text:
    """Bit ``number`` of ``limits``: a token of ``port`` passes while ``moves``, in which an element is at an end of its range.

    Elements of two values or fewer, which are always at one, and zeros where there is nothing below do not count.
    """
    ends, low = list[str](), 0
    for field in port.fields:
        if field.hi - field.lo > 1:
            bits = f"{signal}_token[{low + field.width - 1}:{low}]"
            values = (field.hi, field.lo) if field.lo < 0 else (field.hi,)
            ends += [f"  ({bits} == {field.width}'h{value & (1 << field.width) - 1:x}) |" for value in values]
        low += field.width
    # A line for each: Verilator takes no more than 40,000 words and signs on one, which a thousand classes have.
    return Text(lines=(f"assign limits[{number}] = {moves} & (", *ends, f"  {_NEVER});"))


def _folded(name: str, width: int) -> str:
    """Return the sum, modulo 2, of the words of a signal."""
    whole, rest = divmod(width, _WORD)
    words = [f"{name}[{_WORD * k}+:{_WORD}]" for k in range(whole)]
    if rest:
        words.append(f"{{{_WORD - rest}'d0, {name}[{width - 1}:{_WORD * whole}]}}")
    return " ^ ".join(words)
