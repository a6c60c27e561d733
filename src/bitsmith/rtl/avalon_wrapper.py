"""The module ``<top>_avalon`` around ``<top>_axis`` or ``<top>_axil``: Avalon-ST ports, and registers as an Avalon agent."""

from bitsmith.rtl.bus_wrappers import AXI_LITE, Text, connected, framer, of_memories, total, vector
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.stream_ports import StreamPort

AVALON_REGISTERS = (
    *(("input", "address", 10), ("input", "read", 1), ("input", "write", 1), ("input", "writedata", 32)),
    *(("input", "byteenable", 4), ("output", "readdata", 32), ("output", "waitrequest", 1)),
)
"""The same of an Avalon agent whose registers are words."""


def avalon(interface: Interface, *, registers: bool = False) -> str:
    """The module ``<top>_avalon``: an Avalon-ST sink or source with packets for each stream, ready latency 0.

    A packet is a frame, a beat a token; symbols are bytes, the first in the highest bits. With ``registers`` it is made around
    ``<top>_axil``, whose registers an Avalon agent has.
    """
    head = Text(
        (
            f"{interface.top} with Avalon-ST ports: a packet is a frame, a beat is a token, ready latency 0. Symbols are the",
            f"bytes of the tokens of {Wrapper.AXIS.of(interface.top)}, the first in the highest bits. Frames have one size, so",
            "the ends of packets that come in are not looked at; no beat has empty symbols.",
        ),
        ("input logic clk", "input logic reset"),
        (),
        (".aclk(clk)", ".aresetn(~reset)"),
    )
    sinks = (_avalon_sink(f"in{k}", port) for k, port in enumerate(interface.sinks))
    sources = (_avalon_source(f"out{k}", port) for k, port in enumerate(interface.sources))
    text = head + total(sinks) + total(sources)
    if not registers:
        return (text + of_memories(interface)).module(
            interface, Wrapper.AVALON.of(interface.top), Wrapper.AXIS.of(interface.top)
        )
    return (text + _avalon_registers()).module(
        interface, Wrapper.AVALON.of(interface.top), Wrapper.AXIL.of(interface.top)
    )


def _avalon_registers() -> Text:
    """Registers as an Avalon agent: it has the host wait until AXI4-Lite has taken a word, or has one to give."""
    wires = {name: f"axi_{name}" for way, name, _ in AXI_LITE if way == "output"}
    pins = {
        **wires,
        **{f"a{side}addr": "{registers_address, 2'b00}" for side in "wr"},
        **{f"{channel}valid": "registers_write" for channel in ("aw", "w")},
        "wdata": "registers_writedata",
        "wstrb": "registers_byteenable",
        **{f"{channel}ready": "1'b1" for channel in "br"},
        "arvalid": "registers_read & ~axi_rvalid",
        "rdata": "registers_readdata",
    }
    del wires["rdata"]
    return Text(
        (),
        tuple(f"{way} logic {vector(bits)}registers_{role}" for way, role, bits in AVALON_REGISTERS),
        (
            *(f"logic {vector(bits)}{wires[name]};" for _, name, bits in AXI_LITE if name in wires),
            "assign registers_waitrequest = registers_write ? ~axi_awready : ~axi_rvalid;",
        ),
        tuple(f".s_axi_{name}({pins[name]})" for _, name, _ in AXI_LITE),
        ("axi_wready", "axi_bresp", "axi_bvalid", "axi_arready", "axi_rresp"),
    )


def _avalon_sink(signal: str, port: StreamPort) -> Text:
    name, size = prefix("in", port), token_bytes(port)
    return Text(
        (),
        _avalon_ports(name, size, "input"),
        (
            f"logic [{8 * size - 1}:0] {signal}_bytes;",
            f"bitsmith_symbols #(.BYTES({size})) {signal}_symbols (.word({name}_data), .swapped({signal}_bytes));",
        ),
        connected(prefix("s_axis", port), f"{name}_valid", f"{name}_ready", f"{signal}_bytes", f"{name}_endofpacket"),
        (f"{name}_startofpacket", *([f"{name}_empty"] if size > 1 else [])),
    )


def _avalon_source(signal: str, port: StreamPort) -> Text:
    name, size = prefix("out", port), token_bytes(port)
    return Text(
        (),
        _avalon_ports(name, size, "output"),
        (
            f"logic [{8 * size - 1}:0] {signal}_bytes;",
            f"logic unused_{signal}_tlast;",
            f"logic {signal}_transfer;",
            *([f"assign {name}_empty = '0;"] if size > 1 else []),
            f"assign {signal}_transfer = {name}_valid & {name}_ready;",
            f"bitsmith_symbols #(.BYTES({size})) {signal}_symbols (.word({signal}_bytes), .swapped({name}_data));",
            *framer(signal, port, "clk", "reset", "32'd1", ("first", "last"), "logic"),
            f"assign {name}_startofpacket = {signal}_first;",
            f"assign {name}_endofpacket = {signal}_last;",
        ),
        connected(
            prefix("m_axis", port), f"{name}_valid", f"{name}_ready", f"{signal}_bytes", f"unused_{signal}_tlast"
        ),
    )


def _avalon_ports(name: str, size: int, way: str) -> tuple[str, ...]:
    """Ports of an Avalon-ST stream of ``size`` bytes called ``name``, of which data go ``way``."""
    back = "output" if way == "input" else "input"
    return (
        f"{way} logic {name}_valid",
        f"{back} logic {name}_ready",
        f"{way} logic [{8 * size - 1}:0] {name}_data",
        f"{way} logic {name}_startofpacket",
        f"{way} logic {name}_endofpacket",
        *([f"{way} logic {vector(empty_bits(size))}{name}_empty"] if size > 1 else []),
    )


def empty_bits(size: int) -> int:
    """Bits of the number of empty symbols of ``size``."""
    return (size - 1).bit_length()
