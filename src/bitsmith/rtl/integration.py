"""Files that join a circuit to others' projects: a VHDL template, a FuseSoC core, and a cocotb bench.

In: the interface, texts of modules, tokens of frames. Out: texts. Ports of modules are read from the text that we have written.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.names import VHDL_KEYWORDS, Wrapper
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.version import version_numbers

_ATTRIBUTE = re.compile(r"\(\*.*?\*\)|//[^\n]*", re.DOTALL)
_PORT = re.compile(
    r"\s*(?P<way>input|output)\s+(?:logic|wire)\s+(?:\[(?P<high>\d+)(?P<less>-1)?:0\]\s+)?(?P<name>\w+)\s*", re.ASCII
)

Words = npt.NDArray[np.uint32]
"""Tokens as 32-bit words, the lowest first: (frames, tokens, words)."""

_TEMPLATES = Path(__file__).parent / "templates"
_BASIC = re.compile(r"[a-z](_?[a-z0-9])*", re.ASCII | re.IGNORECASE)
_RESETS = 64
_FACTOR = 40
"""The bench waits so many times the planned cycles for a frame, and some for resets, before it gives up."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module; a vector of one bit is one, too."""

    name: str
    is_input: bool
    width: int
    is_vector: bool

    @property
    def pattern(self) -> str:
        """All of its bits, as Tcl and SDC name them."""
        return f"{self.name}[*]" if self.is_vector else self.name


def module_ports(text: str, module: str) -> tuple[Port, ...]:
    """Return the ports of ``module``, whose widths are numbers.

    Raises:
        ProgramError: the text is not of our form.
    """
    _, _, after = text.partition(f"module {module} (")
    header = _ATTRIBUTE.sub("", after).partition(");")[0]
    return tuple(_port(part, module) for part in header.split(","))


def _port(text: str, module: str) -> Port:
    match = _PORT.fullmatch(text)
    if match is None:
        raise ProgramError(f"module {module}: {text.strip()[:60]!r} is not a port of our form")
    width = 1 if match["high"] is None else int(match["high"]) + (0 if match["less"] else 1)
    return Port(match["name"], match["way"] == "input", width, match["high"] is not None)


def vhdl_template(interface: Interface, wrapper: str) -> str:
    """A component of ``<top>_axis``, whose text is ``wrapper``, and an instance of it, to be copied."""
    name = Wrapper.AXIS.of(interface.top)
    ports = module_ports(wrapper, name)
    declared = ";\n".join(f"        {_vhdl(port.name)} : {_mode(port)}" for port in ports)
    connected = ",\n".join(f"    {_vhdl(port.name)} => {_vhdl(port.name)}" for port in ports)
    return f"""-- {interface.title.line}
-- Component: copy it into the declarations of an architecture that uses ieee.std_logic_1164.
component {_vhdl(name)} is
    port (
{declared}
    );
end component;
-- Instance: copy it into the body, and connect signals of yours.
{_vhdl(f"{name}_inst")} : {_vhdl(name)} port map (
{connected}
);
"""


def _mode(port: Port) -> str:
    kind = f"std_logic_vector({port.width - 1} downto 0)" if port.is_vector else "std_logic"
    return f"{'in' if port.is_input else 'out'} {kind}"


def _vhdl(name: str) -> str:
    """A name as VHDL has it: extended where it is not a basic one."""
    return name if _BASIC.fullmatch(name) and name.lower() not in VHDL_KEYWORDS else f"\\{name}\\"


def fusesoc_core(interface: Interface, axi_stream: Sequence[str], axi_lite: Sequence[str]) -> str:
    """A core of API version 2; the files, in the folder ``rtl``, are those below and with each wrapper."""
    top = interface.top
    lines = [
        "CAPI=2:",
        f"# {interface.title.line}",
        f"name: bitsmith:networks:{top}:{'.'.join(map(str, version_numbers()))}",
        f"description: A neural network with AXI4-Streams and a latency of {interface.latency} cycles",
        "filesets:",
    ]
    for fileset, names in (("axis", axi_stream), ("axil", [name for name in axi_lite if name not in axi_stream])):
        lines += [f"  {fileset}:", "    files:"]
        verilog = ": {file_type: verilogSource}"
        lines += [f"      - rtl/{name}{verilog if name.endswith('.v') else ''}" for name in names]
        lines.append("    file_type: systemVerilogSource")
    tops = {"default": Wrapper.AXIS.of(top), "axil": Wrapper.AXIL.of(top)}
    lines.append("targets:")
    for target, name in tops.items():
        lines += [
            f"  {target}:",
            f"    filesets: [axis{', axil' if target == 'axil' else ''}]",
            f"    toplevel: {name}",
        ]
    lines += [
        *("  lint:", "    default_tool: verilator", "    filesets: [axis, axil]", f"    toplevel: {tops['axil']}"),
        *("    tools:", "      verilator:", "        mode: lint-only"),
    ]
    return "\n".join([*lines, ""])


def bench(
    interface: Interface, sources: Sequence[str], inputs: Sequence[Words], outputs: Sequence[Words]
) -> Mapping[str, str]:
    """Files of the folder ``bench``; ``inputs`` and ``outputs`` are the tokens of frames at each stream."""
    frames = len(outputs[0])
    cycles = _RESETS + _FACTOR * (interface.latency + frames * interface.interval)
    vectors = {
        "inputs": _streams("s_axis", interface.inputs, inputs),
        "outputs": _streams("m_axis", interface.outputs, outputs),
        "images": len(interface.images),
        "loads": [prefix("s_axis", port) for port in interface.load_ports],
        "loops": [
            {
                "out": prefix("m_axis", loop.out),
                "back": prefix("s_axis", loop.back),
                "tokens": loop.out.tokens,
                "bytes": token_bytes(loop.out),
                "spans": loop.kind.spans,
            }
            for loop in interface.loops
        ],
        "cycles": cycles,
        "registers": [interface.latency, interface.interval],
    }
    texts = {
        name: (_TEMPLATES / f"{name}.in").read_text(encoding="utf-8").replace("@top@", interface.top)
        for name in ("bench.py", "avalon.py", "run.py")
    }
    listed = {"sources.txt": "\n".join(sources) + "\n", "vectors.json": json.dumps(vectors, indent=1) + "\n"}
    return {f"bench/{name}": text for name, text in {**texts, **listed}.items()}


def memory_bench(interface: Interface, sources: Sequence[str]) -> Mapping[str, str]:
    """Return the further files of the folder ``bench`` for ``<top>_memory``; ``sources`` are all its files."""
    text = (_TEMPLATES / "memory.py.in").read_text(encoding="utf-8").replace("@top@", interface.top)
    return {"bench/memory.py": text, "bench/memory_sources.txt": "\n".join(sources) + "\n"}


def _streams(side: str, ports: Sequence[StreamPort], tokens: Sequence[Words]) -> list[dict[str, object]]:
    return [
        {
            "name": prefix(side, port),
            "tokens": port.tokens,
            "frames": [_hex(frame, token_bytes(port)) for frame in words],
        }
        for port, words in zip(ports, tokens, strict=True)
    ]


def _hex(frame: Words, size: int) -> str:
    """The bytes of the tokens of a frame."""
    rows = np.ascontiguousarray(frame, dtype="<u4").view(np.uint8).reshape(len(frame), -1)
    return np.pad(rows, ((0, 0), (0, max(size - rows.shape[1], 0))))[:, :size].tobytes().hex()
