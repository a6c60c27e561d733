"""Modules around ``<top>_axis`` for a bus: AXI4-Lite registers with AXI4-Streams.

Every function takes the interface of a circuit and returns the text of one file. The lists ``*_LIBRARY`` of
`bitsmith.rtl.library` name the hand-written modules that it needs. A wrapper is a sum of :class:`Text`, one for each port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap

from bitsmith.rtl.design import DATA, TAKES, pipeline_ports, valid_pipeline
from bitsmith.rtl.interface import Interface, contents, prefix, token_bytes
from bitsmith.rtl.library import instance
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.protection import FAULT, fault_registers
from bitsmith.rtl.stream_ports import LoopPort, StreamPort
from bitsmith.version import version_numbers


@dataclass(frozen=True, slots=True)
class Text:
    """Parts of a wrapper: comments, ports, lines of its body, connections of the circuit in it, and bits that nothing reads."""

    about: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __add__(self, other: Text) -> Text:
        return Text(
            self.about + other.about,
            self.ports + other.ports,
            self.lines + other.lines,
            self.connections + other.connections,
            self.unused + other.unused,
        )

    def module(self, interface: Interface, name: str, inside: str) -> str:
        """The module ``name`` around an instance of ``inside``."""
        unused = ("logic unused;", f"assign unused = ^{{{', '.join(self.unused)}}};") if self.unused else ()
        lines = (*self.lines, *unused, f"{inside} core ({', '.join(self.connections)});")
        return interface.title.module(name, self.ports, lines, self.about)


def total(parts: Iterable[Text]) -> Text:
    """All ``parts``, one after another."""
    return sum(parts, Text())


def connected(stream: str, valid: str, ready: str, data: str, last: str) -> tuple[str, ...]:
    """Connections of an AXI4-Stream of ``<top>_axis``."""
    wires = {"tvalid": valid, "tready": ready, "tdata": data, "tlast": last}
    return tuple(f".{stream}_{role}({wire})" for role, wire in wires.items())


READ_BACK = 0x600
"""Address of the register with the CRC of the first memory that can be loaded; each has 4 bytes."""

RANGES = 0xC00
"""Address from which on registers of monitors are; `bitsmith_control` reads those of counters and these as one."""


PORTS = None
"""Signals of memories are ports."""


def of_memories(interface: Interface, wires: str | None = "unused_") -> Text:
    """Signals of memories and of layers' results: wires whose names begin so, or `PORTS`.

    CRCs of what loadable memories hold, whether one is loaded or read, and faults of those with check bits. Nothing reads wires
    with layers' results: they are ports up to where their monitors are.
    """
    ends = {"load_crc": vector(32 * len(interface.loads)), "load_busy": ""} if interface.read_back else {}
    if interface.checked:
        ends[FAULT] = vector(2 * len(interface.checked))
    names = {name: f"{wires or ''}{name}" for name in ends}
    if interface.taps:
        ends |= {TAKES: vector(len(interface.taps)), DATA: vector(sum(tap.width for tap in interface.taps))}
        names |= {name: name if wires is PORTS else f"unused_{name}" for name in (TAKES, DATA)}
    declared = [f"{bits}{names[name]}" for name, bits in ends.items()]
    return Text(
        ports=tuple(f"output logic {text}" for text in declared) if wires is PORTS else (),
        lines=() if wires is PORTS else tuple(f"wire {text};" for text in declared),
        connections=tuple(f".{name}({wire})" for name, wire in names.items()),
    )


def with_valid(interface: Interface) -> str:
    """The module ``<top>_valid``: a pipeline that has no valid signals, with the ports that others have by themselves."""
    (given,), (result,) = interface.inputs, interface.outputs
    beside = Text(
        about=(f"{interface.top}, and in which cycles its results are those of samples.",),
        ports=tuple(pipeline_ports(given.width, result.width)),
        lines=tuple(valid_pipeline(interface.latency)),
        connections=(".clk(clk)", ".in_data(in_data)", ".out_data(out_data)"),
    )
    return (beside + of_memories(interface, PORTS)).module(interface, Wrapper.VALID.of(interface.top), interface.top)


def pipeline_streams(interface: Interface, core: str) -> str:
    """The module ``<top>_axis`` of a pipeline, around ``core``, which has its valid signals: one transfer for one sample."""
    (entry,), (result,) = interface.inputs, interface.outputs
    wires = {"rst": 1, "in_valid": 1, "in_data": entry.width, "out_valid": 1, "out_data": result.width}
    ports = (
        *("input logic aclk", "input logic aresetn"),
        *axis_ports("s_axis", 8 * token_bytes(entry), "input", "logic"),
        *axis_ports("m_axis", 8 * token_bytes(result), "output", "logic"),
    )
    parameters = {"IN_WIDTH": entry.width, "OUT_WIDTH": result.width, "LATENCY": interface.latency}
    names = (*(port.split()[-1] for port in ports), *(f"core_{wire}" for wire in wires))
    text = Text(
        (
            f"{interface.top} with AXI4-Stream ports. One transfer is one sample; words are in the low bits of TDATA.",
            f"Input words have {entry.width} bits, output words {result.width}; latency of the core: {interface.latency} cycles.",
        ),
        ports,
        (
            *(f"logic {vector(bits)}core_{wire};" for wire, bits in wires.items()),
            instance("axis", "ports", parameters, {name: name for name in names}),
        ),
        (".clk(aclk)", *(f".{wire}(core_{wire})" for wire in wires)),
    )
    return (text + of_memories(interface, PORTS)).module(interface, Wrapper.AXIS.of(interface.top), core)


def axi_streams(interface: Interface) -> str:
    """The module ``<top>_axis`` of a network of processes: an AXI4-Stream for each of its streams."""
    head = Text(
        (
            f"{interface.top} with AXI4-Streams, one transfer for one token, elements without gaps in the low bits of TDATA.",
            "TLAST comes with the last token of each frame; that of inputs is ignored, since frames have a fixed size.",
        ),
        ("input logic aclk", "input logic aresetn"),
        (),
        (".clk(aclk)", ".rst(rst)"),
    )
    whole = Text(unused=tuple(f"{prefix('s_axis', port)}_tlast" for port in interface.sinks))
    reset = Text(lines=("logic rst;", "assign rst = ~aresetn;"))
    sinks, sources = map(_axis_sink, interface.sinks), starmap(_axis_source, enumerate(interface.sources))
    text = head + whole + total(sinks) + total(sources) + reset + of_memories(interface, PORTS)
    return text.module(interface, Wrapper.AXIS.of(interface.top), interface.top)


def _axis_sink(port: StreamPort) -> Text:
    name, bits = prefix("s_axis", port), 8 * token_bytes(port)
    return Text(
        tuple(f"{name}: {line}" for line in contents(port)),
        axis_ports(name, bits, "input", "logic"),
        (),
        (
            f".{port.name}_valid({name}_tvalid)",
            f".{port.name}_ready({name}_tready)",
            f".{port.name}_data({name}_tdata[{port.width - 1}:0])",
        ),
        (f"{name}_tdata[{bits - 1}:{port.width}]",) if bits > port.width else (),
    )


def _axis_source(k: int, port: StreamPort) -> Text:
    name, bits = prefix("m_axis", port), 8 * token_bytes(port)
    padding = f"{bits - port.width}'b0, " if bits > port.width else ""
    return Text(
        tuple(f"{name}: {line}" for line in contents(port)),
        axis_ports(name, bits, "output", "logic"),
        (f"logic [{port.width - 1}:0] word{k};", f"assign {name}_tdata = {{{padding}word{k}}};"),
        (
            f".{port.name}_valid({name}_tvalid)",
            f".{port.name}_ready({name}_tready)",
            f".{port.name}_data(word{k})",
            f".{port.name}_last({name}_tlast)",
        ),
    )


def axis_ports(name: str, bits: int, way: str, net: str) -> tuple[str, ...]:
    """Ports of an AXI4-Stream called ``name``, of which data go ``way``."""
    back = "output" if way == "input" else "input"
    return (
        f"{way} {net} {name}_tvalid",
        f"{back} {net} {name}_tready",
        f"{way} {net} [{bits - 1}:0] {name}_tdata",
        f"{way} {net} {name}_tlast",
    )


def axi_lite(interface: Interface, counted: Text | None = None) -> str:
    """The module ``<top>_axil``: AXI4-Lite registers beside the AXI4-Streams of ``<top>_axis``, in plain Verilog.

    Vivado's block designs take plain Verilog as it is. The registers are those of ``bitsmith_control``, and ``counted``.
    """
    about = (
        f"{interface.top} for a processor with DMA: registers on s_axi (of bitsmith_control), tokens on the AXI4-Streams",
        f"of {Wrapper.AXIS.of(interface.top)}. TLAST comes at the end of every PACKET_FRAMES frames.",
    )
    text = total(
        [
            registers_head(about, interface.buses),
            *(counted_input(f"in{k}", port, counted) for k, port in enumerate(interface.inputs)),
            *(counted_output(f"out{k}", port) for k, port in enumerate(interface.outputs)),
            *(held_input(f"load{k}", port) for k, port in enumerate(interface.load_ports)),
            *(held_loop(f"loop{k}", loop) for k, loop in enumerate(interface.loops)),
            Text(lines=("wire unused_written;",)),
            of_memories(interface, ""),
            registers(interface, {"hold": "1'b0", "written": "unused_written", "value_above": "32'd0"}, counted),
        ]
    )
    return text.module(interface, Wrapper.AXIL.of(interface.top), Wrapper.AXIS.of(interface.top))


def registers_head(about: tuple[str, ...], buses: Sequence[str]) -> Text:
    """The clock of ``buses`` beside the registers, and the ports of these."""
    together = ":".join(["s_axi", *buses])
    return Text(
        about,
        (
            '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)\n'
            f'  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {together}, ASSOCIATED_RESET aresetn" *)\n'
            "  input wire aclk",
            '(* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)\n'
            '  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)\n'
            "  input wire aresetn",
            *(f"{way} wire {vector(bits)}s_axi_{name}" for way, name, bits in AXI_LITE),
        ),
        ("wire core_resetn;", "wire [31:0] packet_frames;"),
        (".aclk(aclk)", ".aresetn(core_resetn)"),
    )


def held_input(signal: str, port: StreamPort) -> Text:
    """A stream that is not taken during a reset."""
    name = prefix("s_axis", port)
    return Text(
        (),
        axis_ports(name, 8 * token_bytes(port), "input", "wire"),
        (f"wire {signal}_ready;", f"assign {name}_tready = {signal}_ready & core_resetn;"),
        connected(name, f"{name}_tvalid & core_resetn", f"{signal}_ready", f"{name}_tdata", f"{name}_tlast"),
    )


def counted_input(signal: str, port: StreamPort, counted: Text | None) -> Text:
    """The same, whose transfers are counted; ``counted`` are counters, which read where a frame begins."""
    name, wanted = prefix("s_axis", port), ("last",) if counted is None else ("first", "last")
    counter = framer(signal, port, "aclk", "~core_resetn", "packet_frames", wanted, "wire")
    return held_input(signal, port) + Text(lines=(f"wire {signal}_transfer = {name}_tvalid & {name}_tready;", *counter))


def held_loop(signal: str, loop: LoopPort) -> Text:
    """Both streams of a memory outside."""
    return held_input(signal, loop.back) + _held_output(f"{signal}_out", loop.out, f"m_axis_{loop.out.name}_tlast")


def _held_output(signal: str, port: StreamPort, last: str) -> Text:
    """A stream that gives nothing during a reset; the circuit's flag of its ``last`` tokens is this wire."""
    name = prefix("m_axis", port)
    return Text(
        (),
        axis_ports(name, 8 * token_bytes(port), "output", "wire"),
        (f"wire {signal}_valid;", f"assign {name}_tvalid = {signal}_valid & core_resetn;"),
        connected(name, f"{signal}_valid", f"{name}_tready & core_resetn", f"{name}_tdata", last),
    )


def counted_output(signal: str, port: StreamPort) -> Text:
    """A stream of results, whose transfers are counted."""
    name = prefix("m_axis", port)
    lines = (
        f"wire {signal}_transfer = {name}_tvalid & {name}_tready;",
        f"wire unused_{signal}_tlast;",
        *framer(signal, port, "aclk", "~core_resetn", "packet_frames", ("last", "packet_last"), "wire"),
        f"assign {name}_tlast = {signal}_packet_last;",
    )
    return _held_output(signal, port, f"unused_{signal}_tlast") + Text(lines=lines)


def registers(interface: Interface, above: Mapping[str, str], counted: Text | None) -> Text:
    """The registers, and what they count.

    ``above``: what is connected to the ports for registers above them; ``counted``: the counters in ``value_counted``.
    """
    streams = (*interface.inputs, *interface.outputs)
    shapes = [f"32'd{value}" for port in streams for value in (port.tokens, token_bytes(port))]
    major, minor, patch = version_numbers()
    parameters = {
        "VERSION": f"32'h{major << 16 | minor << 8 | patch:08x}",
        "DIGEST": f"64'h{int(interface.title.digest, 16):016x}",
        "LATENCY": f"32'd{interface.latency}",
        "INTERVAL": f"32'd{interface.interval}",
        "INPUTS": str(len(interface.inputs)),
        "OUTPUTS": str(len(interface.outputs)),
        "SHAPES": f"{{{', '.join(reversed(shapes))}}}",
    }
    misplaced = " | ".join(
        f"(in{k}_transfer & {prefix('s_axis', port)}_tlast & ~in{k}_last)" for k, port in enumerate(interface.inputs)
    )
    asides = ["value_read_back"] * interface.read_back + ["value_faults"] * bool(interface.checked)
    ports = {
        "aclk": "aclk",
        "aresetn": "aresetn",
        **{f"s_axi_{name}": f"s_axi_{name}" for _, name, _ in AXI_LITE},
        "core_resetn": "core_resetn",
        "frame_in": "in0_transfer & in0_last",
        "frame_out": "out0_transfer & out0_last",
        "misplaced": misplaced,
        "packet_frames": "packet_frames",
        "value_counted": " | ".join(["value_counted", *asides]),
        "clear": "clear" if interface.checked else "unused_clear",
        "page": "page" if counted is not None and "range_word" in "".join(counted.connections) else "unused_page",
        "busy": "load_busy" if interface.read_back else "1'b0",
        **above,
    }
    lines = [f"wire {ports['clear']};"]
    paged = Text(lines=(f"wire [3:0] {ports['page']};",))
    if interface.read_back:
        crcs = [
            f"s_axi_araddr == 12'h{READ_BACK + 4 * k:x} ? load_crc[{32 * k}+:32] : "
            for k in range(len(interface.loads))
        ]
        lines.append(f"wire [31:0] value_read_back = {''.join(crcs)}32'd0;")
    if interface.checked:
        first = READ_BACK + 4 * len(interface.loads) * interface.read_back
        lines += fault_registers(len(interface.checked), first)
    # FRAMES_OUT is of the first output; without counters nothing reads where frames of others end.
    unused = (f"wire unused_out{k} = out{k}_last;" for k in range(1, len(interface.outputs)))
    nothing = Text(lines=("wire [31:0] value_counted = 32'd0;", *unused))
    return paged + (counted or nothing) + Text(lines=(*lines, instance("control", "control", parameters, ports)))


AXI_LITE = (
    *(("input", "awaddr", 12), ("input", "awvalid", 1), ("output", "awready", 1)),
    *(("input", "wdata", 32), ("input", "wstrb", 4), ("input", "wvalid", 1), ("output", "wready", 1)),
    *(("output", "bresp", 2), ("output", "bvalid", 1), ("input", "bready", 1)),
    *(("input", "araddr", 12), ("input", "arvalid", 1), ("output", "arready", 1)),
    *(("output", "rdata", 32), ("output", "rresp", 2), ("output", "rvalid", 1), ("input", "rready", 1)),
)
"""Direction at the slave, name and bits of the signals of AXI4-Lite."""


def framer(
    signal: str, port: StreamPort, clk: str, rst: str, packet_frames: str, wanted: Sequence[str], net: str
) -> tuple[str, ...]:
    """A counter of a stream's transfers (``<signal>_transfer``) with the results ``wanted``."""
    names = {
        role: f"{signal}_{role}" if role in wanted else f"unused_{signal}_{role}"
        for role in ("first", "last", "packet_last")
    }
    return (
        *(f"{net} {name};" for name in names.values()),
        f"bitsmith_framer #(.TOKENS({port.tokens})) {signal}_framer (.clk({clk}), .rst({rst}), .transfer({signal}_transfer),"
        f" .packet_frames({packet_frames}), {', '.join(f'.{role}({name})' for role, name in names.items())});",
    )


def vector(bits: int) -> str:
    """The range of a signal of so many bits, as declarations have it."""
    return f"[{bits - 1}:0] " if bits > 1 else ""
