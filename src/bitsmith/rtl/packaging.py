"""Tcl scripts that describe a wrapper to a vendor's tools: an IP for Vivado, a component for Platform Designer."""

from collections.abc import Sequence

from bitsmith.rtl.avalon_wrapper import AVALON_REGISTERS, empty_bits
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.version import version_numbers

_FAMILIES = (
    *("spartan7", "artix7", "artix7l", "kintex7", "kintex7l", "virtex7", "zynq", "kintexu", "virtexu", "versal"),
    *("spartanuplus", "artixuplus", "kintexuplus", "virtexuplus", "virtexuplusHBM", "virtexuplus58g", "zynquplus"),
    *("aspartan7", "aartix7", "akintex7", "azynq", "azynquplus"),
    *("qartix7", "qkintex7", "qkintex7l", "qvirtex7", "qzynq"),
)
"""Vivado's names of families, for which its block designs then show the IP; nothing in a circuit is particular to one of them.

Each stands in IPs that Vivado packaged, as public repositories have them (component.xml and scripts that Vivado wrote). There
may be others: Vivado lists those of an installation, which depend on its release.
"""


def vivado_script(interface: Interface, files: Sequence[str]) -> str:
    """Tcl for Vivado that makes an IP of ``<top>_axil``; ``files`` are beside it."""
    name = Wrapper.AXIL.of(interface.top)
    lines = [
        f"# {interface.title.line}",
        f"# Makes an IP of {name} in the folder {name}_ip:  vivado -mode batch -source {name}_ip.tcl",
        "set here [file dirname [file normalize [info script]]]",
        # On disk, as in public scripts: none packages a project in memory.
        f"create_project -force {name}_package [file join $here {name}_package]",
        *(f"add_files [list [file join $here {file}]]" for file in files),
        f"set_property top {name} [current_fileset]",
        "update_compile_order -fileset sources_1",
        f"ipx::package_project -force -root_dir [file join $here {name}_ip] -vendor bitsmith -library networks -taxonomy /UserIP"
        " -import_files -set_current true",
        "set core [ipx::current_core]",
        f"set_property name {name} $core",
        f"set_property display_name {name} $core",
        f"set_property version {'.'.join(map(str, version_numbers()[:2]))} $core",
        f"set_property supported_families {{{' '.join(f'{name} Production' for name in _FAMILIES)}}} $core",
    ]
    lines += [f"ipx::associate_bus_interfaces -busif {bus} -clock aclk $core" for bus in ("s_axi", *interface.buses)]
    lines += [
        "ipx::create_xgui_files $core",
        "ipx::update_checksums $core",
        "ipx::check_integrity $core",
        "ipx::save_core $core",
        "close_project -delete",
    ]
    return "\n".join([*lines, ""])


def platform_designer_script(interface: Interface, files: Sequence[str], *, registers: bool = False) -> str:
    """The ``_hw.tcl`` that tells Platform Designer of ``<top>_avalon``, perhaps with ``registers``; ``files`` are beside it."""
    name = Wrapper.AVALON.of(interface.top)
    lines = [
        f"# {interface.title.line}",
        "package require -exact qsys 16.1",
        f"set_module_property NAME {name}",
        f"set_module_property DISPLAY_NAME {name}",
        f"set_module_property VERSION {'.'.join(map(str, version_numbers()))}",
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
    if registers:
        lines += [
            "add_interface registers avalon end",
            "set_interface_property registers associatedClock clock",
            "set_interface_property registers associatedReset reset",
            *(
                f"add_interface_port registers registers_{role} {role} {'Output' if way == 'output' else 'Input'} {bits}"
                for way, role, bits in AVALON_REGISTERS
            ),
        ]
    for port in interface.sinks:
        lines += _avalon_interface(prefix("in", port), port, "end", ("Input", "Output"))
    for port in interface.sources:
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
        signals.append(("empty", forward, empty_bits(size)))
    return [
        f"add_interface {name} avalon_streaming {way}",
        *(f"set_interface_property {name} {key} {value}" for key, value in properties.items()),
        *(f"add_interface_port {name} {name}_{role} {role} {direction} {bits}" for role, direction, bits in signals),
    ]
