"""Streams of beats that a processor's memory has: each token of a circuit as some beats of a power of two of bytes.

In: the interface of ``<top>_axis``. Out: the interface of ``<top>_dma_axis``, which has the same streams with such beats, and
that module. All other wrappers can be made around it.
"""

from collections.abc import Sequence
from dataclasses import replace

from bitsmith.netlist.netlist import Field
from bitsmith.rtl.bus_wrappers import AXI_LITE, PORTS, Text, axis_ports, connected, of_memories, total, vector
from bitsmith.rtl.counters import limit
from bitsmith.rtl.design import DATA, TAKES, tap_ports
from bitsmith.rtl.interface import Interface, prefix, token_beats, token_bytes
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.ranges import Watch, range_monitors
from bitsmith.rtl.stream_ports import LoopPort, StreamPort


def dma_name(top: str) -> str:
    """The name of the circuit ``top`` with such streams, from which the names of its wrappers follow."""
    return f"{top}_dma"


def with_beats(interface: Interface, bus_bytes: int) -> Interface:
    """The interface of ``<top>_dma``, whose tokens are beats of ``interface``'s on a bus of ``bus_bytes``."""

    def beats(port: StreamPort) -> StreamPort:
        beat, count = token_beats(port, bus_bytes)
        whole = Field(port.name, 0, 0, (1 << 8 * beat) - 1, 0)
        return StreamPort(port.name, (whole,), port.tokens * count)

    return replace(
        interface,
        top=dma_name(interface.top),
        inputs=tuple(map(beats, interface.inputs)),
        outputs=tuple(map(beats, interface.outputs)),
        weights=tuple(replace(each, port=beats(each.port)) for each in interface.weights),
        images=tuple(replace(each, port=beats(each.port)) for each in interface.images),
        loads=tuple(replace(each, port=beats(each.port)) for each in interface.loads),
        loops=tuple(_loop_of_beats(each, beats(each.out), beats(each.back)) for each in interface.loops),
        taps=(),
    )


def _loop_of_beats(loop: LoopPort, out: StreamPort, back: StreamPort) -> LoopPort:
    """A loop whose tokens are beats of streams ``out`` and ``back``, in spans of these."""
    several = out.tokens // loop.out.tokens
    spans = tuple((several * first, several * count) for first, count in loop.kind.spans)
    return LoopPort(out, back, replace(loop.kind, spans=spans))


def beats(interface: Interface, bus_bytes: int, *, limits: bool = False, watched: Sequence[Watch] = ()) -> str:
    """The module ``<top>_dma_axis`` around ``<top>_axis``; ``limits``: a port of that name tells counters of results.

    Tensors that are ``watched`` have monitors, which ports read.
    """
    narrow = with_beats(interface, bus_bytes)
    head = Text(
        (
            f"{interface.top} with AXI4-Streams for DMA: a token is some beats of a power of two of bytes, its lowest first,",
            "with zeros above it.",
        ),
        ("input logic aclk", "input logic aresetn"),
        (),
        (".aclk(aclk)", ".aresetn(aresetn)"),
    )
    sinks = (_sink(f"in{k}", *pair) for k, pair in enumerate(zip(interface.sinks, narrow.sinks, strict=True)))
    sources = (_source(f"out{k}", *pair) for k, pair in enumerate(zip(interface.sources, narrow.sources, strict=True)))
    text = head + total(sinks) + total(sources) + of_memories(replace(interface, taps=()), PORTS)
    if limits:
        text += Text(ports=(f"output logic [{len(narrow.outputs) - 1}:0] limits",))
        pairs = zip(interface.outputs, narrow.outputs, strict=True)
        text += total(limit(f"out{k}", k, port, _moves(f"out{k}", port, beat)) for k, (port, beat) in enumerate(pairs))
    if watched:
        text += _watched(interface, narrow, watched)
    return text.module(interface, Wrapper.AXIS.of(narrow.top), Wrapper.AXIS.of(interface.top))


def _watched(interface: Interface, narrow: Interface, watched: Sequence[Watch]) -> Text:
    """Monitors of tensors, and the tokens of inputs for them."""
    lines, moves, signals = list[str](), dict[str, str](), {watch.signal for watch in watched}
    for k, (port, beat) in enumerate(zip(interface.inputs, narrow.inputs, strict=True)):
        if f"in{k}" in signals:
            is_whole, name = beat.tokens == port.tokens, prefix("s_axis", port)
            data = f"{name}_tdata" if is_whole else f"in{k}_data"
            lines += [f"logic [{port.width - 1}:0] in{k}_token;", f"assign in{k}_token = {data}[{port.width - 1}:0];"]
            moves[f"in{k}"] = f"{name}_tvalid & {name}_tready" if is_whole else f"in{k}_valid & in{k}_ready"
    for k, (port, beat) in enumerate(zip(interface.outputs, narrow.outputs, strict=True)):
        moves[f"out{k}"] = _moves(f"out{k}", port, beat)
    inner, low = [f"{port.removeprefix('output ')};" for port in tap_ports([tap.fields for tap in interface.taps])], 0
    for k, tap in enumerate(interface.taps):
        inner.append(f"wire [{tap.width - 1}:0] tap{k}_token = {DATA}[{low + tap.width - 1}:{low}];")
        moves[f"tap{k}"] = f"{TAKES}[{k}]"
        low += tap.width
    pins = tuple(f".{name}({name})" for name in (TAKES, DATA) if interface.taps)
    return Text(lines=(*lines, *inner), connections=pins) + range_monitors(watched, moves)


def _moves(signal: str, port: StreamPort, narrow: StreamPort) -> str:
    """Return when a token of results passes."""
    name, roles = (prefix("m_axis", port), "tvalid tready") if narrow.tokens == port.tokens else (signal, "valid ready")
    return " & ".join(f"{name}_{role}" for role in roles.split())


def kernel_name(narrow: Interface) -> str:
    """The name of the circuit ``<top>_dma`` as a kernel for ``v++``: ``<top>_kernel``."""
    return Wrapper.KERNEL.of(narrow.top.removesuffix(dma_name("")))


COMMANDS, ANSWERS = ("s_registers", 8), ("m_registers", 4)
"""Streams of a kernel by which its registers are read and written: names, and bytes of a beat."""


def free_kernel(narrow: Interface) -> str:
    """The kernel around ``<top>_dma_axil``, which runs freely and whose streams have nothing but data.

    A kernel that runs freely has no registers for XRT, so that streams lead to those of the circuit.
    """
    name = kernel_name(narrow)
    head = Text(
        (f"{narrow.top} as a kernel that runs freely: nothing starts it, and it takes what comes.",),
        ("input wire ap_clk", "input wire ap_rst_n"),
        (),
        (".aclk(ap_clk)", ".aresetn(ap_rst_n)"),
    )
    sinks = (_plain("s_axis", port, "input", "1'b0") for port in (*narrow.inputs, *narrow.load_ports))
    sources = (_plain("m_axis", port, "output", "") for port in narrow.outputs)
    return (head + total(sinks) + total(sources) + _commands()).module(narrow, name, Wrapper.AXIL.of(narrow.top))


def _commands() -> Text:
    """The streams to the registers."""
    ports, pins = list[str](), [".aclk(ap_clk)", ".aresetn(ap_rst_n)"]
    for (name, size), way in ((COMMANDS, "input"), (ANSWERS, "output")):
        ports += axis_ports(name, 8 * size, way, "wire")[:-1]
        pins += [f".{name[0]}_t{role}({name}_t{role})" for role in ("valid", "ready", "data")]
    pins += [f".m_axi_{name}(axi_{name})" for _, name, _ in AXI_LITE]
    wires = (f"wire {vector(bits)}axi_{name};" for _, name, bits in AXI_LITE)
    return Text(
        (),
        tuple(ports),
        (*wires, f"bitsmith_commands commands ({', '.join(pins)});"),
        tuple(f".s_axi_{name}(axi_{name})" for _, name, _ in AXI_LITE),
    )


def _plain(side: str, port: StreamPort, way: str, last: str) -> Text:
    name = prefix(side, port)
    ports = axis_ports(name, port.width, way, "wire")[:-1]
    wire = f"unused_{name}_tlast"
    lines = () if last else (f"wire {wire};",)
    return Text((), ports, lines, connected(name, f"{name}_tvalid", f"{name}_tready", f"{name}_tdata", last or wire))


def _sink(signal: str, port: StreamPort, narrow: StreamPort) -> Text:
    name, bits, parts = prefix("s_axis", port), narrow.width, narrow.tokens // port.tokens
    wanted = 8 * token_bytes(port)
    ports = axis_ports(name, bits, "input", "logic")
    if parts == 1:
        unused = (f"{name}_tdata[{bits - 1}:{wanted}]",) if bits > wanted else ()
        data = f"{name}_tdata[{wanted - 1}:0]"
        return Text((), ports, (), connected(name, f"{name}_tvalid", f"{name}_tready", data, f"{name}_tlast"), unused)
    wires = (f"{signal}_valid", f"{signal}_ready", f"{signal}_data[{wanted - 1}:0]", "1'b0")
    lines = (*_wires(signal, parts * bits), _instance("in", signal, name, ("s", "m"), (parts, bits), ()))
    more = (f"{name}_tlast", *([f"{signal}_data[{parts * bits - 1}:{wanted}]"] if parts * bits > wanted else []))
    return Text((), ports, lines, connected(name, *wires), more)


def _source(signal: str, port: StreamPort, narrow: StreamPort) -> Text:
    name, bits, parts = prefix("m_axis", port), narrow.width, narrow.tokens // port.tokens
    given = 8 * token_bytes(port)
    padding = f"{parts * bits - given}'b0, " if parts * bits > given else ""
    ports = axis_ports(name, bits, "output", "logic")
    word = (f"logic [{given - 1}:0] {signal}_token;",)
    if parts == 1:
        lines = (*word, f"assign {name}_tdata = {{{padding}{signal}_token}};")
        wires = (f"{name}_tvalid", f"{name}_tready", f"{signal}_token", f"{name}_tlast")
        return Text((), ports, lines, connected(name, *wires))
    narrowed = (
        *(*word, f"logic {signal}_last;", *_wires(signal, parts * bits)),
        f"assign {signal}_data = {{{padding}{signal}_token}};",
        _instance(
            "out", signal, name, ("m", "s"), (parts, bits), (f".s_tlast({signal}_last)", f".m_tlast({name}_tlast)")
        ),
    )
    wires = (f"{signal}_valid", f"{signal}_ready", f"{signal}_token", f"{signal}_last")
    return Text((), ports, narrowed, connected(name, *wires))


def _wires(signal: str, bits: int) -> tuple[str, ...]:
    return f"logic {signal}_valid;", f"logic {signal}_ready;", f"logic [{bits - 1}:0] {signal}_data;"


def _instance(
    way: str, signal: str, name: str, sides: tuple[str, str], shape: tuple[int, int], more: Sequence[str]
) -> str:
    """An instance of ``bitsmith_beats_<way>`` whose ``sides`` are the stream ``name`` and the circuit."""
    outer, inner = sides
    pairs = [f".{outer}_t{role}({name}_t{role})" for role in ("valid", "ready", "data")]
    pairs += [f".{inner}_t{role}({signal}_{role})" for role in ("valid", "ready", "data")]
    settings = f"#(.PARTS({shape[0]}), .WIDTH({shape[1]}))"
    return f"bitsmith_beats_{way} {settings} {signal}_beats (.aclk(aclk), .aresetn(aresetn), {', '.join((*pairs, *more))});"
