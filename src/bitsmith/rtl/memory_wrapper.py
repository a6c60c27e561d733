"""The module ``<top>_memory``: a circuit that reads its inputs from memory and writes its results there, as an AXI4 master.

It is made around ``<top>_dma_axis``, whose streams of beats end in readers and writers; registers tell them where and how much.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bitsmith.rtl.beats import dma_name
from bitsmith.rtl.bus_wrappers import (
    Text,
    counted_input,
    counted_output,
    held_input,
    held_loop,
    of_memories,
    registers,
    registers_head,
    total,
    vector,
)
from bitsmith.rtl.interface import Interface, prefix
from bitsmith.rtl.library import instance
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.stream_ports import LoopPort, StreamPort

_LEAST_BITS = 32
"""Least bits of a word of memory: interconnects of vendors take no narrower ones (PG247)."""

_ADDRESS = {"valid": 1, "ready": 1, "addr": 64, "len": 8}
_BURST = {"burst": (2, 0b01), "cache": (4, 0b0011), "prot": (3, 0b000)}
"""Signals of an address that never change, and their values: rising addresses of normal memory that may be buffered."""

_BACK = ("awready", "wready", "bvalid", "bresp", "arready", "rvalid", "rdata", "rresp", "rlast")
"""Signals that memory drives."""


def memory_name(narrow: Interface) -> str:
    """The name of the circuit ``<top>_dma`` with ports to memory."""
    return Wrapper.MEMORY.of(narrow.top.removesuffix(dma_name("")))


def master_names(narrow: Interface) -> tuple[str, ...]:
    """Names of the ports to memory, in the order of their registers: inputs, outputs, loads, what comes back."""
    sides = (("in", narrow.inputs), ("out", narrow.outputs), ("load", narrow.loads), ("loop", narrow.loops))
    return tuple(f"{side}_{k}" for side, ports in sides for k in range(len(ports)))


def memory(narrow: Interface, counted: Text | None = None) -> str:
    """The module, in plain Verilog, which Vivado's block designs take as it is; ``counted`` are its counters."""
    name, masters = memory_name(narrow), master_names(narrow)
    about = (
        f"{name.removesuffix('_memory')} beside a processor: registers on s_axi (of bitsmith_control, bitsmith_memory_control),",
        "and an AXI4 port for each stream, which reads the frames of an input from memory or writes results there, or does both:",
        *(f"  m_axi_{master} is stream {k} of bitsmith_memory_control" for k, master in enumerate(masters)),
    )
    inputs = [counted_input(f"in{k}", port, counted) for k, port in enumerate(narrow.inputs)]
    outputs = [counted_output(f"out{k}", port) for k, port in enumerate(narrow.outputs)]
    loads = [held_input(f"load{k}", port) for k, port in enumerate(narrow.load_ports)]
    loops = [held_loop(f"loop{k}", loop) for k, loop in enumerate(narrow.loops)]
    ends = list(zip(masters, (*narrow.inputs, *narrow.outputs, *narrow.load_ports), strict=False))
    over_bus = zip(range(len(ends), len(masters)), masters[len(ends) :], narrow.loops, strict=True)
    images = {each.port.name for each in narrow.images}
    text = total(
        [
            registers_head(about, [f"m_axi_{master}" for master in masters]),
            _control(len(masters)),
            *map(_inside, (*inputs, *outputs, *loads, *loops)),
            *(_end(k, master, port, again=port.name in images) for k, (master, port) in enumerate(ends)),
            *(_loop(*each) for each in over_bus),
            of_memories(narrow, ""),
            registers(narrow, {"hold": "|busy", "written": "written", "value_above": "value_above"}, counted),
        ]
    )
    return text.module(narrow, name, Wrapper.AXIS.of(narrow.top))


def _inside(text: Text) -> Text:
    """A stream whose ports are wires."""
    wires = (f"{port.partition(' ')[2]};" for port in text.ports)
    return replace(text, ports=(), lines=(*wires, *text.lines))


def _control(streams: int) -> Text:
    wires = {"start": 1, "busy": 1, "failed": 1, "address": 64, "bytes": 32}
    connections = {
        **{name: name for name in ("aclk", "aresetn", "written", *wires)},
        "write_word": "s_axi_awaddr[10:2]",
        "data": "s_axi_wdata",
        "strobe": "s_axi_wstrb",
        "read_word": "s_axi_araddr[10:2]",
        "value": "value_above",
    }
    declared = (f"wire [{width * streams - 1}:0] {name};" for name, width in wires.items())
    control = instance("memory_control", "memory_control", {"STREAMS": streams}, connections)
    return Text(lines=(*declared, "wire written;", "wire [31:0] value_above;", control))


def _end(number: int, master: str, port: StreamPort, *, again: bool) -> Text:
    """The reader or writer of a stream; a frame of an image is read over and ``again``, as often as fills whole words."""
    reads = not master.startswith("out")
    name, bits = prefix("s_axis" if reads else "m_axis", port), max(port.width, _LEAST_BITS)
    side, ports = "m" if reads else "s", _master(master, bits, (reads,))
    connections = {
        **_connections(number, master, (reads,)),
        "bytes": f"bytes[{32 * number}+:32]",
        **{f"{side}_t{role}": f"{name}_t{role}" for role in ("valid", "ready", "data")},
    }
    parameters = {"BEAT": port.width, "WORD": bits}
    if again:
        parameters["ROUND"] = math.lcm(port.tokens * port.width, bits) // 8
    last = f"assign {name}_tlast = 1'b0;" if reads else f"wire unused_{name}_tlast = {name}_tlast;"
    return ports + Text(
        lines=(last, instance("memory_read" if reads else "memory_write", master, parameters, connections))
    )


def _loop(number: int, master: str, loop: LoopPort) -> Text:
    """The writer of a frame, and the reader of its spans."""
    out, back, width = prefix("m_axis", loop.out), prefix("s_axis", loop.back), loop.out.width
    bits, spans = max(width, _LEAST_BITS), loop.kind.spans
    table = sum((first | count << 32) << 64 * k for k, (first, count) in enumerate(spans))
    parameters: dict[str, int | str] = {"BEAT": width, "WORD": bits, "BEATS": loop.out.tokens, "SPANS": len(spans)}
    parameters["TABLE"] = f"{64 * len(spans)}'h{table:x}"
    connections = _connections(number, master, (False, True))
    connections |= {f"s_t{role}": f"{out}_t{role}" for role in ("valid", "ready", "data")}
    connections |= {f"m_t{role}": f"{back}_t{role}" for role in ("valid", "ready", "data")}
    lines = (
        f"assign {back}_tlast = 1'b0;",
        f"wire unused_{out}_tlast = {out}_tlast;",
        f"wire unused_{master}_bytes = ^bytes[{32 * number}+:32];",
        instance("memory_spans", master, parameters, connections),
    )
    return _master(master, bits, (False, True)) + Text(lines=lines)


def _connections(number: int, master: str, reads: Sequence[bool]) -> dict[str, str]:
    """The connections of the mover of a stream to its registers and to memory."""
    return {
        "aclk": "aclk",
        "aresetn": "aresetn",
        "clear": "~core_resetn",
        **{wire: f"{wire}[{number}]" for wire in ("start", "busy", "failed")},
        "address": f"address[{64 * number}+:64]",
        **{f"m_axi_{signal}": f"m_axi_{master}_{signal}" for each in reads for signal, _ in _signals(each, 0)},
    }


def _master(master: str, bits: int, reads: Sequence[bool]) -> Text:
    """A port to memory with words of ``bits``, which reads it (True), writes it, or does both."""
    constants = _BURST | {"size": (3, (bits // 8).bit_length() - 1)}
    return total(
        Text(
            ports=(
                f"output wire [0:0] m_axi_{master}_a{letter}id",
                *(
                    f"output wire {vector(width)}m_axi_{master}_a{letter}{name}"
                    for name, (width, _) in constants.items()
                ),
                f"input wire [0:0] m_axi_{master}_{answer}id",
                *(
                    f"{'input' if signal in _BACK else 'output'} wire {vector(width)}m_axi_{master}_{signal}"
                    for signal, width in _signals(letter == "r", bits)
                ),
            ),
            lines=(
                f"assign m_axi_{master}_a{letter}id = 1'b0;",
                *(
                    f"assign m_axi_{master}_a{letter}{name} = {width}'d{value};"
                    for name, (width, value) in constants.items()
                ),
                f"wire unused_{master}_{answer}id = m_axi_{master}_{answer}id;",
            ),
        )
        for letter, answer in (("r", "r") if way else ("w", "b") for way in reads)
    )


def _signals(reads: bool, bits: int) -> Iterator[tuple[str, int]]:
    """The signals of a master that only reads, or only writes, with their bits."""
    for signal, width in _ADDRESS.items():
        yield f"a{'r' if reads else 'w'}{signal}", width
    if reads:
        yield from (("rvalid", 1), ("rready", 1), ("rdata", bits), ("rresp", 2), ("rlast", 1))
    else:
        yield from (("wvalid", 1), ("wready", 1), ("wdata", bits), ("wstrb", bits // 8), ("wlast", 1))
        yield from (("bvalid", 1), ("bready", 1), ("bresp", 2))
