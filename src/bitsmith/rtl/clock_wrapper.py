"""The module ``<top>_cdc`` around ``<top>_axis``, whose streams run on another clock than the circuit, and its constraints.

Every function takes the interface of a circuit and returns the text of one file.
"""

from collections.abc import Iterator

from bitsmith.rtl.bus_wrappers import Text, axis_ports, connected, of_memories, total
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.stream_ports import StreamPort

_RESETS = {"stream_reset": "aclk", "core_reset": "core_clk", "circuit_reset": "core_clk"}
"""Instances of reset synchronizers, and their clocks. The circuit has its own, since it is reset by its clock alone."""

_CROSSINGS = (("in_gray", "in_gray_meta"), ("out_gray", "out_gray_meta"))
"""Registers of a FIFO whose values cross to the other clock, and the first registers there."""


def two_clocks(interface: Interface) -> str:
    """The module ``<top>_cdc``: the streams of ``<top>_axis`` on the clock ``aclk``, the circuit on ``core_clk``."""
    head = Text(
        (
            f"{Wrapper.AXIS.of(interface.top)} on core_clk, with its AXI4-Streams on aclk, through a FIFO each. A reset of",
            f"either side, however short, resets both, and empties the FIFOs. {Wrapper.CDC.of(interface.top)}.xdc and .sdc",
            "have the constraints, of which every path from one clock to the other needs one.",
        ),
        ("input logic aclk", "input logic aresetn", "input logic core_clk", "input logic core_resetn"),
        (
            "logic any_reset;",
            "assign any_reset = ~aresetn | ~core_resetn;",
            *(
                line
                for name, clock in _RESETS.items()
                for line in (
                    f"logic {name}_rst;",
                    f"bitsmith_reset_sync {name} (.clk({clock}), .async_rst(any_reset), .rst({name}_rst));",
                )
            ),
        ),
        (".aclk(core_clk)", ".aresetn(~circuit_reset_rst)"),
    )
    sinks = (_crossing("s_axis", port) for port in interface.sinks)
    sources = (_crossing("m_axis", port) for port in interface.sources)
    text = head + total(sinks) + total(sources) + of_memories(interface)
    return text.module(interface, Wrapper.CDC.of(interface.top), Wrapper.AXIS.of(interface.top))


def _crossing(side: str, port: StreamPort) -> Text:
    """The ports of a stream, its FIFO, and the wires from there to the circuit."""
    name, bits, direction = prefix(side, port), 8 * token_bytes(port), "input" if side == "s_axis" else "output"
    bus = tuple(f"{name}_t{role}" for role in ("valid", "ready", "data", "last"))
    core = tuple(f"{name}_core_{role}" for role in ("valid", "ready", "data", "last"))
    ends = [("aclk", "stream_reset_rst", bus), ("core_clk", "core_reset_rst", core)]
    connections = ", ".join(
        f".{end}_clk({clock}), .{end}_rst({reset}), .{end}_valid({valid}), .{end}_ready({ready}), .{end}_data({{{last}, {data}}})"
        for end, (clock, reset, (valid, ready, data, last)) in zip(
            ("in", "out"), ends if direction == "input" else ends[::-1], strict=True
        )
    )
    wires = (*(f"logic {core[k]};" for k in (0, 1, 3)), f"logic [{bits - 1}:0] {core[2]};")
    fifo = f"bitsmith_async_fifo #(.WIDTH({bits + 1})) {name}_fifo ({connections});"
    return Text((), axis_ports(name, bits, direction, "logic"), (*wires, fifo), connected(name, *core))


def vivado_constraints(interface: Interface) -> str:
    """Constraints for Vivado, of the module alone (UG903, "Constraining Asynchronous Signals", "set_bus_skew")."""
    lines = [
        f"# To be read after the clocks, for the module alone: read_xdc -ref {Wrapper.CDC.of(interface.top)} FILE",
        "set aclk_period [get_property -min PERIOD [get_clocks -of_objects [get_ports aclk]]]",
        "set core_period [get_property -min PERIOD [get_clocks -of_objects [get_ports core_clk]]]",
        "set shorter [expr {min($aclk_period, $core_period)}]",
    ]
    for fifo in _fifos(interface):
        for source, target in _CROSSINGS:
            ends = f"-from [get_cells {{{fifo}/{source}_reg[*]}}] -to [get_cells {{{fifo}/{target}_reg[*]}}] $shorter"
            lines += [f"set_max_delay -datapath_only {ends}", f"set_bus_skew {ends}"]
        lines.append(
            f"set_max_delay -datapath_only -from [get_cells {{{fifo}/memory_reg*}}] -to [get_cells {{{fifo}/out_data_reg[*]}}] "
            "$shorter"
        )
    lines += [f"set_false_path -to [get_pins {{{name}/chain_reg[*]/PRE {name}/last_reg/PRE}}]" for name in _RESETS]
    return "\n".join(lines) + "\n"


def quartus_constraints(interface: Interface) -> str:
    """Constraints for Quartus (683082, "Dual Clock FIFO Timing Constraints"); names end as those of the module do."""
    lines = [
        "# Your own SDC file says that the two clocks have nothing to do with each other:",
        "#   set_clock_groups -asynchronous -group YOUR_STREAM_CLOCK -group YOUR_CORE_CLOCK",
    ]
    for fifo in _fifos(interface):
        for source, target in _CROSSINGS:
            ends = " ".join(
                f"-{end} [get_keepers {{*bitsmith_async_fifo:{fifo}|{register}[*]}}]"
                for end, register in (("from", source), ("to", target))
            )
            lines += [
                f"set_max_skew {ends} -get_skew_value_from_clock_period src_clock_period -skew_value_multiplier 0.8",
                f"set_net_delay {ends} -max -get_value_from_clock_period dst_clock_period -value_multiplier 0.8",
            ]
    lines += [
        f"set_false_path -to [get_pins -compatibility_mode {{*bitsmith_reset_sync:{name}|{register}|clrn}}]"
        for name in _RESETS
        for register in ("chain[*]", "last")
    ]
    return "\n".join(lines) + "\n"


def _fifos(interface: Interface) -> Iterator[str]:
    """The names of the instances of FIFOs."""
    for port in interface.sinks:
        yield f"{prefix('s_axis', port)}_fifo"
    for port in interface.sources:
        yield f"{prefix('m_axis', port)}_fifo"
