"""Tops around ``<top>_axis`` for a board: AXI4-Lite registers, Avalon-ST ports, a serial port, and vendors' descriptions of them.

Every function takes the interface of a circuit and returns the text of one file. Which hand-written modules it needs, the lists
``*_LIBRARY`` of `bitsmith.rtl.library` say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bitsmith.errors import ConfigError
from bitsmith.rtl.interface import Interface, contents, prefix, token_bytes
from bitsmith.rtl.library import axi_stream_name
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.version import __version__

_LEAST_CLOCKS_PER_BIT = 4
_LARGEST_BAUD_ERROR = 0.02  # 8N1 is sampled wrongly when both ends together are off by half a bit in ten


def axi_lite_name(top: str) -> str:
    """The module name, and file name without suffix, of the shell of ``top`` with AXI4-Lite registers."""
    return f"{top}_axil"


def avalon_name(top: str) -> str:
    """The module name, and file name without suffix, of the shell of ``top`` with Avalon-ST ports."""
    return f"{top}_avalon"


def uart_name(top: str) -> str:
    """The module name, and file name without suffix, of the serial shell of ``top``."""
    return f"{top}_uart"


def axi_streams(interface: Interface) -> str:
    """The module ``<top>_axis`` of a network of processes: an AXI4-Stream for each of its streams."""
    sinks = (*interface.inputs, *interface.load_ports)
    unused = [f"{prefix('s_axis', port)}_tlast" for port in sinks]
    ports, lines, connections = ["input logic aclk", "input logic aresetn"], [], [".clk(aclk)", ".rst(rst)"]
    about = [
        f"// {interface.top} with AXI4-Streams, one transfer for one token, elements without gaps in the low bits of TDATA."
    ]
    about.append(
        "// TLAST comes with the last token of each frame; that of inputs is ignored, since frames have a fixed size."
    )
    for port in sinks:
        name, bits = prefix("s_axis", port), 8 * token_bytes(port)
        about += [f"// {name}: {line}" for line in contents(port)]
        ports += [f"input logic {name}_tvalid", f"output logic {name}_tready"]
        ports += [f"input logic [{bits - 1}:0] {name}_tdata", f"input logic {name}_tlast"]
        connections += [f".{port.name}_valid({name}_tvalid)", f".{port.name}_ready({name}_tready)"]
        connections.append(f".{port.name}_data({name}_tdata[{port.width - 1}:0])")
        if bits > port.width:
            unused.append(f"{name}_tdata[{bits - 1}:{port.width}]")
    for k, port in enumerate(interface.outputs):
        name, bits = prefix("m_axis", port), 8 * token_bytes(port)
        about += [f"// {name}: {line}" for line in contents(port)]
        ports += [f"output logic {name}_tvalid", f"input logic {name}_tready"]
        ports += [f"output logic [{bits - 1}:0] {name}_tdata", f"output logic {name}_tlast"]
        connections += [f".{port.name}_valid({name}_tvalid)", f".{port.name}_ready({name}_tready)"]
        connections += [f".{port.name}_data(word{k})", f".{port.name}_last({name}_tlast)"]
        padding = f"{bits - port.width}'b0, " if bits > port.width else ""
        lines += [f"logic [{port.width - 1}:0] word{k};", f"assign {name}_tdata = {{{padding}word{k}}};"]
    lines += ["logic rst;", "assign rst = ~aresetn;", "logic unused;", f"assign unused = ^{{{', '.join(unused)}}};"]
    lines.append(f"{interface.top} core ({', '.join(connections)});")
    return _module([interface.header, *about], axi_stream_name(interface.top), ports, lines)


def axi_lite(interface: Interface) -> str:
    """The module ``<top>_axil``: AXI4-Lite registers beside the AXI4-Streams of ``<top>_axis``, in plain Verilog.

    Vivado's block designs take plain Verilog as it is. The registers are those of ``bitsmith_control``.
    """
    inputs = [(f"in{k}", prefix("s_axis", port), port) for k, port in enumerate(interface.inputs)]
    outputs = [(f"out{k}", prefix("m_axis", port), port) for k, port in enumerate(interface.outputs)]
    loads = [(f"load{k}", prefix("s_axis", port), port) for k, port in enumerate(interface.load_ports)]
    interfaces = ":".join(["s_axi", *(name for _, name, _ in (*inputs, *outputs, *loads))])
    ports = [
        '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)\n'
        f'  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {interfaces}, ASSOCIATED_RESET aresetn" *)\n'
        "  input wire aclk",
        '(* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)\n'
        '  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)\n'
        "  input wire aresetn",
        *(f"{way} wire {f'[{bits - 1}:0] ' if bits > 1 else ''}s_axi_{name}" for way, name, bits in _AXI_LITE),
    ]
    lines = ["wire core_resetn;", "wire [31:0] packet_frames;"]
    core = [".aclk(aclk)", ".aresetn(core_resetn)"]
    for signal, name, port in inputs:
        bits = 8 * token_bytes(port)
        ports += [f"input wire {name}_tvalid", f"output wire {name}_tready"]
        ports += [f"input wire [{bits - 1}:0] {name}_tdata", f"input wire {name}_tlast"]
        lines += [f"wire {signal}_ready;", f"assign {name}_tready = {signal}_ready & core_resetn;"]
        lines.append(f"wire {signal}_transfer = {name}_tvalid & {name}_tready;")
        lines += _framer(signal, port, "aclk", "~core_resetn", "packet_frames", ("last",))
        core += [f".{name}_tvalid({name}_tvalid & core_resetn)", f".{name}_tready({signal}_ready)"]
        core += [f".{name}_tdata({name}_tdata)", f".{name}_tlast({name}_tlast)"]
    for signal, name, port in outputs:
        bits = 8 * token_bytes(port)
        ports += [f"output wire {name}_tvalid", f"input wire {name}_tready"]
        ports += [f"output wire [{bits - 1}:0] {name}_tdata", f"output wire {name}_tlast"]
        lines += [f"wire {signal}_valid;", f"assign {name}_tvalid = {signal}_valid & core_resetn;"]
        lines += [f"wire {signal}_transfer = {name}_tvalid & {name}_tready;", f"wire unused_{signal}_tlast;"]
        lines += _framer(signal, port, "aclk", "~core_resetn", "packet_frames", ("last", "packet_last"))
        lines.append(f"assign {name}_tlast = {signal}_packet_last;")
        core += [f".{name}_tvalid({signal}_valid)", f".{name}_tready({name}_tready & core_resetn)"]
        core += [f".{name}_tdata({name}_tdata)", f".{name}_tlast(unused_{signal}_tlast)"]
    for signal, name, port in loads:
        ports += [f"input wire {name}_tvalid", f"output wire {name}_tready"]
        ports += [f"input wire [{8 * token_bytes(port) - 1}:0] {name}_tdata", f"input wire {name}_tlast"]
        lines += [f"wire {signal}_ready;", f"assign {name}_tready = {signal}_ready & core_resetn;"]
        core += [f".{name}_tvalid({name}_tvalid & core_resetn)", f".{name}_tready({signal}_ready)"]
        core += [f".{name}_tdata({name}_tdata)", f".{name}_tlast({name}_tlast)"]
    misplaced = " | ".join(f"({signal}_transfer & {name}_tlast & ~{signal}_last)" for signal, name, _ in inputs)
    # Only the first output's frames are counted; what the others' framers say of frames is not used.
    lines += [f"wire unused_{signal} = {signal}_last;" for signal, _, _ in outputs[1:]]
    shapes = [
        f"32'd{value}" for port in (*interface.inputs, *interface.outputs) for value in (port.tokens, token_bytes(port))
    ]
    parameters = {
        "VERSION": f"32'h{_version():08x}",
        "DIGEST": f"64'h{int(interface.title.digest, 16):016x}",
        "LATENCY": f"32'd{interface.latency}",
        "INTERVAL": f"32'd{interface.interval}",
        "INPUTS": str(len(inputs)),
        "OUTPUTS": str(len(outputs)),
        "SHAPES": f"{{{', '.join(reversed(shapes))}}}",
    }
    control = [
        ".aclk(aclk)",
        ".aresetn(aresetn)",
        *(f".s_axi_{name}(s_axi_{name})" for _, name, _ in _AXI_LITE),
        ".core_resetn(core_resetn)",
        ".frame_in(in0_transfer & in0_last)",
        ".frame_out(out0_transfer & out0_last)",
        f".misplaced({misplaced})",
        ".packet_frames(packet_frames)",
    ]
    settings = ", ".join(f".{key}({value})" for key, value in parameters.items())
    lines.append(f"bitsmith_control #({settings}) control ({', '.join(control)});")
    lines.append(f"{axi_stream_name(interface.top)} core ({', '.join(core)});")
    about = [
        f"// {interface.top} for a processor with DMA: registers on s_axi (of bitsmith_control), tokens on the AXI4-Streams",
        f"// of {axi_stream_name(interface.top)}. TLAST comes at the end of every PACKET_FRAMES frames.",
    ]
    return _module([interface.header, *about], axi_lite_name(interface.top), ports, lines)


_AXI_LITE = (
    *(("input", "awaddr", 12), ("input", "awvalid", 1), ("output", "awready", 1)),
    *(("input", "wdata", 32), ("input", "wstrb", 4), ("input", "wvalid", 1), ("output", "wready", 1)),
    *(("output", "bresp", 2), ("output", "bvalid", 1), ("input", "bready", 1)),
    *(("input", "araddr", 12), ("input", "arvalid", 1), ("output", "arready", 1)),
    *(("output", "rdata", 32), ("output", "rresp", 2), ("output", "rvalid", 1), ("input", "rready", 1)),
)
"""Direction at the slave, name and bits of the signals of AXI4-Lite."""


def avalon(interface: Interface) -> str:
    """The module ``<top>_avalon``: an Avalon-ST sink or source with packets for each stream, ready latency 0.

    A packet is a frame, a beat a token; symbols are bytes, the first in the highest bits.
    """
    ports, lines = ["input logic clk", "input logic reset"], []
    core = [".aclk(clk)", ".aresetn(~reset)"]
    unused: list[str] = []
    for k, port in enumerate((*interface.inputs, *interface.load_ports)):
        name, axis, size = prefix("in", port), prefix("s_axis", port), token_bytes(port)
        ports += [
            f"input logic {name}_valid",
            f"output logic {name}_ready",
            f"input logic [{8 * size - 1}:0] {name}_data",
        ]
        ports += [f"input logic {name}_startofpacket", f"input logic {name}_endofpacket"]
        unused.append(f"{name}_startofpacket")
        if size > 1:
            ports.append(f"input logic {_vector(_empty_bits(size))}{name}_empty")
            unused.append(f"{name}_empty")
        lines += _swap(f"in{k}", size, f"{name}_data", f"in{k}_bytes")
        core += [f".{axis}_tvalid({name}_valid)", f".{axis}_tready({name}_ready)"]
        core += [f".{axis}_tdata(in{k}_bytes)", f".{axis}_tlast({name}_endofpacket)"]
    for k, port in enumerate(interface.outputs):
        name, axis, size = prefix("out", port), prefix("m_axis", port), token_bytes(port)
        ports += [
            f"output logic {name}_valid",
            f"input logic {name}_ready",
            f"output logic [{8 * size - 1}:0] {name}_data",
            f"output logic {name}_startofpacket",
            f"output logic {name}_endofpacket",
        ]
        lines += [f"logic [{8 * size - 1}:0] out{k}_bytes;", f"logic unused_out{k}_tlast;", f"logic out{k}_transfer;"]
        if size > 1:
            ports.append(f"output logic {_vector(_empty_bits(size))}{name}_empty")
            lines.append(f"assign {name}_empty = '0;")
        lines.append(f"assign out{k}_transfer = {name}_valid & {name}_ready;")
        lines += [f"bitsmith_symbols #(.BYTES({size})) out{k}_symbols (.word(out{k}_bytes), .swapped({name}_data));"]
        lines += _framer(f"out{k}", port, "clk", "reset", "32'd1", ("first", "last"), declare="logic")
        lines += [f"assign {name}_startofpacket = out{k}_first;", f"assign {name}_endofpacket = out{k}_last;"]
        core += [f".{axis}_tvalid({name}_valid)", f".{axis}_tready({name}_ready)"]
        core += [f".{axis}_tdata(out{k}_bytes)", f".{axis}_tlast(unused_out{k}_tlast)"]
    lines += ["logic unused;", f"assign unused = ^{{{', '.join(unused)}}};"]
    lines.append(f"{axi_stream_name(interface.top)} core ({', '.join(core)});")
    about = [
        f"// {interface.top} with Avalon-ST ports: a packet is a frame, a beat is a token, ready latency 0. Symbols are the",
        f"// bytes of the tokens of {axi_stream_name(interface.top)}, the first in the highest bits. Frames have one size, so",
        "// the ends of packets that come in are not looked at; no beat has empty symbols.",
    ]
    return _module([interface.header, *about], avalon_name(interface.top), ports, lines)


def uart(interface: Interface, clk_hz: int, baud: int) -> str:
    """The module ``<top>_uart``: ``<top>_axis`` behind a serial port, no other pin but ``clk``.

    The host sends the tokens of a frame, all of one input before those of the next; those of the outputs come back alike.
    Memories that can be loaded keep what they have at first.

    Raises:
        ConfigError: ``baud`` cannot be made from ``clk_hz``.
    """
    clocks = (clk_hz + baud // 2) // baud
    if clocks < _LEAST_CLOCKS_PER_BIT or abs(clk_hz / (clocks * baud) - 1) > _LARGEST_BAUD_ERROR:
        raise ConfigError(
            f"{baud} baud cannot be made from a clock of {clk_hz} Hz",
            where="serial shell",
            accepted=f"the clock divided by a whole number from {_LEAST_CLOCKS_PER_BIT} up, within {_LARGEST_BAUD_ERROR:.0%}",
        )
    sizes = [port.tokens * token_bytes(port) for port in interface.inputs]
    number_bits = max((sum(sizes) - 1).bit_length(), 1)
    number = "in_number" if len(sizes) > 1 else "unused_number"
    outputs = len(interface.outputs)
    lines = [
        "logic rst;",
        "logic in_valid;",
        "logic [7:0] in_byte;",
        f"logic [{number_bits - 1}:0] {number};",
        "logic out_valid;",
        "logic out_ready;",
        "logic [7:0] out_byte;",
        f"bitsmith_uart_link #(.CLK_HZ({clk_hz}), .BAUD({baud}), .FRAME_BYTES({sum(sizes)})) link (.clk(clk), .uart_rx(uart_rx),"
        f" .uart_tx(uart_tx), .rst(rst), .in_valid(in_valid), .in_data(in_byte), .in_number({number}), .out_valid(out_valid),"
        " .out_ready(out_ready), .out_data(out_byte));",
    ]
    core, first = [".aclk(clk)", ".aresetn(~rst)"], 0
    for k, (port, size) in enumerate(zip(interface.inputs, sizes, strict=True)):
        axis, bits = prefix("s_axis", port), 8 * token_bytes(port)
        conditions = ["in_valid"]
        if first:
            conditions.append(f"({number} >= {number_bits}'d{first})")
        if k + 1 < len(sizes):
            conditions.append(f"({number} < {number_bits}'d{first + size})")
        first += size
        lines += [f"logic in{k}_{signal};" for signal in ("mine", "pending", "valid", "ready")]
        lines += [f"logic [{bits - 1}:0] in{k}_data;", f"assign in{k}_mine = {' & '.join(conditions)};"]
        lines.append(
            f"bitsmith_from_bytes #(.BYTES({bits // 8}), .TOKENS({port.tokens})) in{k}_tokens (.clk(clk), .rst(rst),"
            f" .byte_valid(in{k}_mine), .byte_data(in_byte), .pending(in{k}_pending), .token_valid(in{k}_valid),"
            f" .token_ready(in{k}_ready), .token_data(in{k}_data));"
        )
        core += [f".{axis}_tvalid(in{k}_valid)", f".{axis}_tready(in{k}_ready)", f".{axis}_tdata(in{k}_data)"]
        core.append(f".{axis}_tlast(1'b0)")
    for k, port in enumerate(interface.load_ports):  # nothing is loaded
        axis = prefix("s_axis", port)
        lines.append(f"logic unused_load{k}_ready;")
        core += [
            f".{axis}_tvalid(1'b0)",
            f".{axis}_tready(unused_load{k}_ready)",
            f".{axis}_tdata('0)",
            f".{axis}_tlast(1'b0)",
        ]
    for k, port in enumerate(interface.outputs):
        axis, bits = prefix("m_axis", port), 8 * token_bytes(port)
        places = 1 if k == 0 else port.tokens  # the first is sent as it comes, the others wait for their turn
        lines += [f"logic out{k}_{signal};" for signal in ("valid", "ready", "turn", "byte_valid", "byte_last")]
        lines += [f"logic [{bits - 1}:0] out{k}_data;", f"logic [7:0] out{k}_byte;", f"logic unused_out{k}_tlast;"]
        lines.append(
            f"bitsmith_to_bytes #(.BYTES({bits // 8}), .TOKENS({port.tokens}), .PLACES({places})) out{k}_tokens (.clk(clk),"
            f" .rst(rst), .token_valid(out{k}_valid), .token_ready(out{k}_ready), .token_data(out{k}_data),"
            f" .byte_valid(out{k}_byte_valid), .byte_ready(out_ready & out_valid & out{k}_turn), .byte_data(out{k}_byte),"
            f" .byte_last(out{k}_byte_last));"
        )
        core += [f".{axis}_tvalid(out{k}_valid)", f".{axis}_tready(out{k}_ready)", f".{axis}_tdata(out{k}_data)"]
        core.append(f".{axis}_tlast(unused_out{k}_tlast)")
    lines += _turns(outputs)
    pending = " | ".join(f"in{k}_pending" for k in range(len(interface.inputs)))
    held = f"out{outputs - 1}_turn & out{outputs - 1}_byte_last & ({pending})"
    some = " | ".join(f"(out{k}_turn & out{k}_byte_valid)" for k in range(outputs))
    lines += [
        "// The host sends the next frame when it has the last byte: by then there must be room for it.",
        f"assign out_valid = ({some}) & ~({held});",
        f"assign out_byte = {' | '.join(f'({{8{{out{k}_turn}}}} & out{k}_byte)' for k in range(outputs))};",
        f"{axi_stream_name(interface.top)} core ({', '.join(core)});",
    ]
    replies = sum(port.tokens * token_bytes(port) for port in interface.outputs)
    about = [
        f"// {interface.top} behind a serial port of {baud} baud, 8N1, on a clock of {clk_hz} Hz.",
        f"// Send the {sum(sizes)} bytes of a frame, the tokens of {axi_stream_name(interface.top)}, one input after the other,",
        f"// lowest byte first; the {replies} bytes of its results come back alike.",
    ]
    ports = ["input logic clk", "input logic uart_rx", "output logic uart_tx"]
    return _module([interface.header, *about], uart_name(interface.top), ports, lines)


def vivado_script(interface: Interface, files: Sequence[str]) -> str:
    """Tcl for Vivado that makes an IP of ``<top>_axil``; ``files`` are beside it."""
    name = axi_lite_name(interface.top)
    lines = [
        f"# Written by {interface.title.tool}, project {interface.title.digest}.",
        f"# Makes an IP of {name} in the folder {name}_ip:  vivado -mode batch -source {name}_ip.tcl",
        "set here [file dirname [file normalize [info script]]]",
        f"create_project -in_memory {name}",
        *(f"add_files [file join $here {file}]" for file in files),
        f"set_property top {name} [current_fileset]",
        "update_compile_order -fileset sources_1",
        f"ipx::package_project -root_dir [file join $here {name}_ip] -vendor bitsmith -library networks -taxonomy /UserIP"
        " -import_files -set_current true",
        "set core [ipx::current_core]",
        f"set_property name {name} $core",
        f"set_property display_name {name} $core",
        f"set_property version {'.'.join(map(str, _numbers()[:2]))} $core",
        "set_property supported_families {zynq Production zynquplus Production artix7 Production kintex7 Production"
        " virtexuplus Production kintexuplus Production} $core",
    ]
    streams = [
        *(prefix("s_axis", port) for port in (*interface.inputs, *interface.load_ports)),
        *(prefix("m_axis", port) for port in interface.outputs),
    ]
    lines += [f"ipx::associate_bus_interfaces -busif {bus} -clock aclk $core" for bus in ("s_axi", *streams)]
    lines += [
        "ipx::create_xgui_files $core",
        "ipx::update_checksums $core",
        "ipx::check_integrity $core",
        "ipx::save_core $core",
    ]
    return "\n".join([*lines, ""])


def platform_designer_script(interface: Interface, files: Sequence[str]) -> str:
    """The ``_hw.tcl`` that tells Platform Designer of ``<top>_avalon``; ``files`` are beside it."""
    name = avalon_name(interface.top)
    lines = [
        f"# Written by {interface.title.tool}, project {interface.title.digest}.",
        "package require -exact qsys 16.1",
        f"set_module_property NAME {name}",
        f"set_module_property DISPLAY_NAME {name}",
        f"set_module_property VERSION {'.'.join(map(str, _numbers()))}",
        "set_module_property GROUP bitsmith",
        "set_module_property EDITABLE false",
    ]
    for fileset in ("QUARTUS_SYNTH", "SIM_VERILOG"):
        lines += [f'add_fileset {fileset} {fileset} "" ""', f"set_fileset_property {fileset} TOP_LEVEL {name}"]
        lines += [f"add_fileset_file {file} SYSTEM_VERILOG PATH {file}" for file in files]
    lines += [
        "add_interface clock clock end",
        "add_interface_port clock clk clk Input 1",
        "add_interface reset reset end",
        "set_interface_property reset associatedClock clock",
        "set_interface_property reset synchronousEdges BOTH",
        "add_interface_port reset reset reset Input 1",
    ]
    for port in (*interface.inputs, *interface.load_ports):
        lines += _avalon_interface(prefix("in", port), port, "end", ("Input", "Output"))
    for port in interface.outputs:
        lines += _avalon_interface(prefix("out", port), port, "start", ("Output", "Input"))
    return "\n".join([*lines, ""])


def _avalon_interface(name: str, port: StreamPort, way: str, directions: tuple[str, str]) -> list[str]:
    size, (forward, backward) = token_bytes(port), directions
    properties = {
        "associatedClock": "clock",
        "associatedReset": "reset",
        "dataBitsPerSymbol": "8",
        "firstSymbolInHighOrderBits": "true",
        "readyLatency": "0",
    }
    signals = [("valid", forward, 1), ("ready", backward, 1), ("data", forward, 8 * size)]
    signals += [("startofpacket", forward, 1), ("endofpacket", forward, 1)]
    if size > 1:
        signals.append(("empty", forward, _empty_bits(size)))
    return [
        f"add_interface {name} avalon_streaming {way}",
        *(f"set_interface_property {name} {key} {value}" for key, value in properties.items()),
        *(f"add_interface_port {name} {name}_{role} {role} {direction} {bits}" for role, direction, bits in signals),
    ]


def _turns(outputs: int) -> list[str]:
    """Whose bytes are sent: those of one output after the other."""
    if outputs == 1:
        return ["assign out0_turn = 1'b1;"]
    bits = (outputs - 1).bit_length()
    ends = " | ".join(f"(out{k}_turn & out{k}_byte_valid & out{k}_byte_last)" for k in range(outputs))
    return [
        f"logic [{bits - 1}:0] turn;",
        *(f"assign out{k}_turn = turn == {bits}'d{k};" for k in range(outputs)),
        "always_ff @(posedge clk) begin",
        "  if (rst) turn <= '0;",
        f"  else if (out_valid & out_ready & ({ends})) turn <= turn == {bits}'d{outputs - 1} ? '0 : turn + 1'b1;",
        "end",
    ]


def _framer(
    signal: str, port: StreamPort, clk: str, rst: str, packet_frames: str, wanted: Sequence[str], declare: str = "wire"
) -> list[str]:
    """A counter of a stream's transfers (``<signal>_transfer``) with the results ``wanted``."""
    names = {role: f"{signal}_{role}" if role in wanted else f"unused_{signal}_{role}" for role in _FRAMER_RESULTS}
    return [
        *(f"{declare} {name};" for name in names.values()),
        f"bitsmith_framer #(.TOKENS({port.tokens})) {signal}_framer (.clk({clk}), .rst({rst}), .transfer({signal}_transfer),"
        f" .packet_frames({packet_frames}), {', '.join(f'.{role}({name})' for role, name in names.items())});",
    ]


_FRAMER_RESULTS = ("first", "last", "packet_last")


def _swap(signal: str, size: int, word: str, swapped: str) -> list[str]:
    return [
        f"logic [{8 * size - 1}:0] {swapped};",
        f"bitsmith_symbols #(.BYTES({size})) {signal}_symbols (.word({word}), .swapped({swapped}));",
    ]


def _empty_bits(size: int) -> int:
    return (size - 1).bit_length()


def _vector(bits: int) -> str:
    return f"[{bits - 1}:0] " if bits > 1 else ""


def _numbers() -> tuple[int, int, int]:
    major, minor, patch = (int(number) for number in re.findall(r"\d+", __version__)[:3])
    return major, minor, patch


def _version() -> int:
    major, minor, patch = _numbers()
    return major << 16 | minor << 8 | patch


def _module(about: Sequence[str], name: str, ports: Sequence[str], lines: Sequence[str]) -> str:
    text = [
        *about,
        f"module {name} (",
        ",\n".join(f"  {port}" for port in ports),
        ");",
        *(f"  {line}" for line in lines),
    ]
    return "\n".join([*text, "endmodule", ""])
