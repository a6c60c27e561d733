"""Accelerator cards of AMD: the circuit as a kernel that runs freely, kernels that move its beats, and a host in Python.

``v++`` links them: each stream of the circuit has a kernel that reads it from a memory of the card, or writes it there.
"""

from typing import TypeAlias

from bitsmith.devices.system import Card
from bitsmith.rtl.beats import ANSWERS, COMMANDS
from bitsmith.systems.system import EXPORT, FOLDER, Core, Step, System, assembled, core_settings, core_steps

_MOST_STREAMS = 32
_INSTALL = "Vitis and the platform of the card are AMD's"

_MOVERS = """\
// Written by {title}
// Kernels that move beats between a memory of the card and a stream of the circuit.
#include <ap_int.h>
#include <hls_stream.h>

extern "C" {{
{functions}
}}
"""
_READ = """
void {name}(const ap_uint<{bits}> *memory, unsigned int beats, hls::stream<ap_uint<{bits}>> &stream) {{
#pragma HLS INTERFACE m_axi port=memory offset=slave bundle=gmem
#pragma HLS INTERFACE axis port=stream
#pragma HLS INTERFACE s_axilite port=beats
#pragma HLS INTERFACE s_axilite port=return
    for (unsigned int k = 0; k < beats; k++) {{
#pragma HLS PIPELINE II=1
        stream.write(memory[k]);
    }}
}}"""
_WRITE = _READ.replace("const ap_uint<{bits}> *memory", "ap_uint<{bits}> *memory").replace(
    "stream.write(memory[k]);", "memory[k] = stream.read();"
)


def card_system(core: Core, board: Card) -> System:
    """The system of ``core`` on the card ``board``.

    Raises:
        ConfigError: too many streams.
    """
    core.check_streams(_MOST_STREAMS)
    inputs, outputs = streams = _streams(core)
    settings = core_settings(core, board.part.name, "-DBITSMITH_PLAIN_BEATS")
    settings |= {
        "inputs": inputs,
        "outputs": outputs,
        "core_clock": "ap_clk",
        "core_reset": "ap_rst_n",
        "ip_folder": "",
        "kernel": True,
    }
    movers = {**_named("read", inputs), **_named("write", outputs)}
    files = {
        "movers.cpp": _movers(f"{core.interface.title.tool} for {board.name}.", movers),
        "link.cfg": _connectivity(core, board, streams),
    }
    circuit, xclbin = f"{FOLDER}/{core.module}.xo", f"{EXPORT}/{core.top}.xclbin"
    first = core_steps(core, circuit)
    if core.ip_tool is None:
        files["kernel.xml"] = _kernel_xml(core, streams)
        script = ("-mode", "batch", "-nojournal", "-nolog", "-source", f"{FOLDER}/kernel.tcl")
        first = (Step((("vivado",),), script, (circuit,)),)
    target = ("-t", "hw", "--platform", board.platform)
    objects = {name: f"{FOLDER}/{name}.xo" for name in movers}
    compiled = tuple(
        Step((("v++", "-c"),), (*target, "-k", name, "-o", path, f"{FOLDER}/movers.cpp"), (path,))
        for name, path in objects.items()
    )
    # The clock that XRT scales, in whole megahertz; options of [clock] choose among fixed ones.
    clock = ("--kernel_frequency", str(max(1, int(core.clock_mhz))))
    linked = (*target, *clock, "--config", f"{FOLDER}/link.cfg", "-o", xclbin, circuit, *objects.values())
    return assembled(
        core,
        board.name,
        settings=settings,
        templates=("kernel.tcl",) if core.ip_tool is None else (),
        files=files,
        host="card.py",
        steps=(*first, *compiled, Step((("v++", "-l"),), linked, (xclbin,))),
        products={"Bitstream": xclbin},
        install=_INSTALL,
    )


_Streams: TypeAlias = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]
"""Names of a kernel's streams on either side, with the bytes of a beat."""


def _streams(core: Core) -> _Streams:
    """The streams of the circuit, and those to its registers, which circuits in C++ do not have."""
    if core.ip_tool is not None:
        return core.inputs, core.outputs
    return (*core.inputs, COMMANDS), (*core.outputs, ANSWERS)


def _named(way: str, streams: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """Kernels of streams, with the bytes of a beat."""
    return {f"{way}_{k}": size for k, (_, size) in enumerate(streams)}


def _movers(title: str, movers: dict[str, int]) -> str:
    functions = [
        (_READ if name.startswith("read") else _WRITE).format(name=name, bits=8 * size) for name, size in movers.items()
    ]
    return _MOVERS.format(title=title, functions="\n".join(functions))


def _connectivity(core: Core, board: Card, streams: _Streams) -> str:
    """Return the connectivity that ``v++`` links: instances, memories, and streams."""
    inputs, outputs = streams
    readers, writers = list(_named("read", inputs)), list(_named("write", outputs))
    movers = [*readers, *writers]
    lines = ["[connectivity]", f"nk={core.module}:1:circuit", *(f"nk={name}:1:{name}" for name in movers)]
    lines += [f"sp={name}.memory:{board.memory}[{k % board.banks}]" for k, name in enumerate(movers)]
    pairs = zip(readers, inputs, strict=True)
    lines += [f"stream_connect={name}.stream:circuit.{stream}" for name, (stream, _) in pairs]
    lines += [
        f"stream_connect=circuit.{stream}:{name}.stream" for name, (stream, _) in zip(writers, outputs, strict=True)
    ]
    return "\n".join([*lines, ""])


def _kernel_xml(core: Core, streams: _Streams) -> str:
    """The description of the kernel, which has streams only."""
    ports, arguments = list[str](), list[str]()
    for mode, side in zip(("read_only", "write_only"), streams, strict=True):
        for name, size in side:
            ports.append(f'      <port name="{name}" mode="{mode}" dataWidth="{8 * size}" portType="stream"/>')
            arguments.append(
                f'      <arg name="{name}" addressQualifier="4" id="{len(arguments)}" port="{name}" size="0x0" offset="0x0"'
                f' type="stream&lt;ap_uint&lt;{8 * size}>>" hostOffset="0x0" hostSize="0x0"/>'
            )
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<root versionMajor="1" versionMinor="6">',
            f'  <kernel name="{core.module}" language="ip_c" vlnv="bitsmith:networks:{core.module}:1.0" attributes=""'
            ' preferredWorkGroupSizeMultiple="0" workGroupSize="1" interrupt="false" hwControlProtocol="ap_ctrl_none">',
            "    <ports>",
            *ports,
            "    </ports>",
            "    <args>",
            *arguments,
            "    </args>",
            "  </kernel>",
            "</root>",
            "",
        ]
    )
