"""The function ``<top>_axi`` with AXI4 ports to memory in place of streams, and a control port, for AMD's compilers.

It is told where the beats of all frames of each tensor lie, and how many frames there are. Beats are those of `bitsmith.hls.axi`
without TLAST; processes load and store them while the top function is called once for each frame.
"""

from __future__ import annotations

from bitsmith.hls.axi import axi_name, beat_bits, beat_streams, frame_lines, has_tokens, stream_names, stream_port
from bitsmith.hls.dialects.spelling import Streams
from bitsmith.hls.headers import kernel
from bitsmith.hls.project import HlsProject, Port


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
        *_indented(frame_lines(project, streams, bus_bytes), 8),
        "    }",
        "}",
        "",
        *(f"// {memory} is {tensor}." for tensor, memory in memory_names(project).items()),
        f"void {name}({', '.join(_parameters(project, bus_bytes))}, int frames) {{",
        *_indented(_body(project, bus_bytes), 4),
        "}",
        "",
    ]
    return {
        f"firmware/{name}.cpp": "\n".join(lines),
        **{f"firmware/bitsmith/{header}": kernel(header) for header in headers},
    }


def _indented(lines: list[str], spaces: int) -> list[str]:
    return [line if line.startswith("#") else " " * spaces + line for line in lines]


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
        f"kernels::load<{_shape(port, bus_bytes)}>({memories[port.name]}, frames, {streams[port.name]});"
        for port in project.inputs
    ]
    calls.append(f"{axi_name(project.top)}_frames(frames, {', '.join(streams.values())});")
    calls += [
        f"kernels::store<{_shape(port, bus_bytes)}>({streams[port.name]}, frames, {memories[port.name]});"
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


def _shape(port: Port, bus_bytes: int) -> str:
    """Bits of a beat, and beats of a frame."""
    return f"{beat_bits(port, bus_bytes)}, {stream_port(port, bus_bytes).tokens}"
