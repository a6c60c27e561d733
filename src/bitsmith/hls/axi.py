"""The function ``<top>_axi``: the top function with AXI4-Streams for DMA engines, or AXI4 ports to memory, for AMD's compilers.

A beat has as many elements as divide a token (or an array) and fit the bus, and a power of two of bytes. TLAST comes with the
last beat of a frame whose input had one. Beats in memory have none: the function is told where those of all frames of each
tensor lie, and how many frames there are; processes load and store them while the top function is called once for each frame.
"""

from bitsmith.devices.system import beat_bytes
from bitsmith.hls.assembly import indented
from bitsmith.hls.dialects.spelling import Streams
from bitsmith.hls.headers import kernel
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsProject, Port
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.interface import prefix, token_bytes
from bitsmith.rtl.stream_ports import StreamPort

WIDEST_BYTES = 128
"""Bits of a beat that a DMA engine's streams may have. Wide elements are not cut."""

_PACKETS = 64
"""Frames under way of which it is remembered if they end a packet; more of them wait."""


def axi_name(top: str) -> str:
    """The name of the function around ``top``."""
    return f"{identifier(top)}_axi"


def stream_port(port: Port, bus_bytes: int) -> StreamPort:
    """The stream of beats of a port, by the elements of a beat."""
    elements = port.size // port.stream.tokens if port.stream else port.size
    scalar = port.scalar
    fitting = [
        count for count in range(1, elements + 1) if elements % count == 0 and count * scalar.width <= 8 * bus_bytes
    ]
    lo, hi = (-(1 << scalar.width - 1), (1 << scalar.width - 1) - 1) if scalar.signed else (0, (1 << scalar.width) - 1)
    count = max(fitting, default=1)
    fields = tuple(Field(port.name, k, lo, hi, scalar.frac) for k in range(count))
    return StreamPort(port.name, fields, port.size // count)


def axi_files(project: HlsProject, streams: Streams, title: str, bus_bytes: int) -> dict[str, str]:
    """The function and its header, by their paths in the project."""
    return {
        f"firmware/{axi_name(project.top)}.cpp": axi_source(project, streams, title, bus_bytes),
        **{f"firmware/bitsmith/{name}": kernel(name) for name in ("axi.h", "axi_tokens.h")},
    }


def axi_source(project: HlsProject, streams: Streams, title: str, bus_bytes: int) -> str:
    """The text of the function."""
    names = stream_names(project)
    parameters = beat_streams(project, bus_bytes)
    tokens = has_tokens(project)
    body = [
        "#pragma HLS DATAFLOW",
        *(f"#pragma HLS INTERFACE axis port={name}" for name in names.values()),
        "#pragma HLS INTERFACE ap_ctrl_none port=return",
        *frame_lines(project, streams, bus_bytes),
    ]
    return "\n".join(
        [
            title,
            f"// {project.top} with AXI4-Streams for DMA engines.",
            f'#include "{project.top}.h"',
            '#include "bitsmith/axi.h"',
            *(['#include "bitsmith/axi_tokens.h"'] if tokens else []),
            "",
            f"void {axi_name(project.top)}({', '.join(parameters)}) {{",
            *map(indented, body),
            "}",
            "",
        ]
    )


def has_tokens(project: HlsProject) -> bool:
    """Return True for a function of streams of tokens, False for one of arrays."""
    return any(port.stream for port in (*project.inputs, *project.outputs))


def stream_names(project: HlsProject) -> dict[str, str]:
    """The streams of beats by the names of the tensors that they carry."""
    sides = (("s_axis", project.inputs), ("m_axis", project.outputs))
    return {port.name: prefix(side, stream_port(port, 1)) for side, ports in sides for port in ports}


def beat_streams(project: HlsProject, bus_bytes: int) -> list[str]:
    """Parameters of functions that take these streams."""
    ports, names = (*project.inputs, *project.outputs), stream_names(project)
    return [f"hls::stream<kernels::beats<{beat_bits(port, bus_bytes)}>::type> &{names[port.name]}" for port in ports]


def frame_lines(project: HlsProject, streams: Streams, bus_bytes: int) -> list[str]:
    """Return the lines that move a frame from the streams of beats through the top function, and its results back."""
    lines = list[str]()
    for port in (*project.inputs, *project.outputs):
        if port.stream is not None:
            lines += streams.between(port.stream.type_name, port.name, 2)
        else:
            lines += [f"{port.declaration};", f"#pragma HLS ARRAY_PARTITION variable={port.name} complete"]
    return lines + _framed(project, bus_bytes)


def beat_bits(port: Port, bus_bytes: int) -> int:
    """Bits of a beat of a port's stream."""
    return 8 * beat_bytes(token_bytes(stream_port(port, bus_bytes)), WIDEST_BYTES)


def _framed(project: HlsProject, bus_bytes: int) -> list[str]:
    """Lines around the top function, which is a process as those beside it are: one that takes beats, one that gives some."""
    tokens, names = has_tokens(project), stream_names(project)
    take, give, shape = ("receive", "send", _tokens) if tokens else ("take", "give", _shape)
    lasts = [f"last{k}" for k in range(len(project.outputs))]
    lines = list[str]()
    for name in lasts:
        lines += [f'hls::stream<bool> {name}("{name}");', f"#pragma HLS STREAM variable={name} depth={_PACKETS}"]
    for k, port in enumerate(project.inputs):
        last = "" if k else f", {lasts[0]}"
        lines.append(f"kernels::{take}<{shape(port, bus_bytes)}>({names[port.name]}, {port.name}{last});")
    lines.append(f"{project.top}({', '.join(port.name for port in (*project.inputs, *project.outputs))});")
    for k, port in enumerate(project.outputs):
        last = ", ".join(lasts[k : k + 2])
        lines.append(f"kernels::{give}<{shape(port, bus_bytes)}>({port.name}, {names[port.name]}, {last});")
    return lines


def _shape(port: Port, bus_bytes: int) -> str:
    return f"{beat_bits(port, bus_bytes)}, {port.size}, {len(stream_port(port, bus_bytes).fields)}"


def _tokens(port: Port, bus_bytes: int) -> str:
    assert port.stream is not None
    tokens = port.stream.tokens
    elements = len(stream_port(port, bus_bytes).fields)
    return f"{beat_bits(port, bus_bytes)}, {tokens}, {port.size // tokens}, {elements}, {port.type_name}"


def memory_names(project: HlsProject) -> dict[str, str]:
    """The parameters that are addresses, by the names of tensors: as numbers, so that registers have simple names."""
    sides = (("in", project.inputs), ("out", project.outputs))
    return {port.name: f"{side}_{k}" for side, ports in sides for k, port in enumerate(ports)}


def memory_files(project: HlsProject, streams: Streams, title: str, bus_bytes: int) -> dict[str, str]:
    """The function and its headers, by their paths in the project."""
    headers = ("axi.h", *(("axi_tokens.h",) if has_tokens(project) else ()), "axi_memory.h")
    name = axi_name(project.top)
    lines = [
        title,
        f"// {project.top} with AXI4 ports: all frames are read from memory, and their results written there.",
        "#define BITSMITH_PLAIN_BEATS",
        f'#include "{project.top}.h"',
        *(f'#include "bitsmith/{header}"' for header in headers),
        "",
        f"static void {name}_frames(int frames, {', '.join(beat_streams(project, bus_bytes))}) {{",
        "    for (int frame = 0; frame < frames; frame++) {",
        "#pragma HLS DATAFLOW",
        *map(indented, map(indented, frame_lines(project, streams, bus_bytes))),
        "    }",
        "}",
        "",
        *(f"// {memory} is {tensor}." for tensor, memory in memory_names(project).items()),
        f"void {name}({', '.join(_parameters(project, bus_bytes))}, int frames) {{",
        *map(indented, _body(project, bus_bytes)),
        "}",
        "",
    ]
    return {
        f"firmware/{name}.cpp": "\n".join(lines),
        **{f"firmware/bitsmith/{header}": kernel(header) for header in headers},
    }


def _parameters(project: HlsProject, bus_bytes: int) -> list[str]:
    names, sides = memory_names(project), (("const ", project.inputs), ("", project.outputs))
    return [
        f"{constant}ap_uint<{beat_bits(port, bus_bytes)}> *{names[port.name]}"
        for constant, ports in sides
        for port in ports
    ]


def _body(project: HlsProject, bus_bytes: int) -> list[str]:
    memories, streams = memory_names(project), stream_names(project)
    ports = (*project.inputs, *project.outputs)
    calls = [
        f"kernels::load<{_frame(port, bus_bytes)}>({memories[port.name]}, frames, {streams[port.name]});"
        for port in project.inputs
    ]
    calls.append(f"{axi_name(project.top)}_frames(frames, {', '.join(streams.values())});")
    calls += [
        f"kernels::store<{_frame(port, bus_bytes)}>({streams[port.name]}, frames, {memories[port.name]});"
        for port in project.outputs
    ]
    types = {port.name: f"hls::stream<kernels::beats<{beat_bits(port, bus_bytes)}>::type>" for port in ports}
    return [
        "#pragma HLS DATAFLOW",
        *(f"#pragma HLS INTERFACE m_axi port={name} offset=slave bundle={name}" for name in memories.values()),
        *(f"#pragma HLS INTERFACE s_axilite port={name} bundle=control" for name in memories.values()),
        "#pragma HLS INTERFACE s_axilite port=frames bundle=control",
        "#pragma HLS INTERFACE s_axilite port=return bundle=control",
        *(f'{kind} {streams[name]}("{streams[name]}");' for name, kind in types.items()),
        *calls,
    ]


def _frame(port: Port, bus_bytes: int) -> str:
    """Bits of a beat, and beats of a frame."""
    return f"{beat_bits(port, bus_bytes)}, {stream_port(port, bus_bytes).tokens}"
