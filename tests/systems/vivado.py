"""Vivado as far as our scripts need it: a Tcl interpreter whose commands note what is made and leave the files of the real ones.

A block design is kept as a value: cells with their kind and settings, and what is connected, each pin checked against the pins
that such cells have (PG021, PG164, PG247, UG585, UG1085 and the module's own ports).
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PINS = {
    "processing_system7": "FCLK_CLK0 FCLK_RESET0_N M_AXI_GP0 M_AXI_GP0_ACLK S_AXI_HP0 S_AXI_HP0_ACLK",
    "zynq_ultra_ps_e": "pl_clk0 pl_resetn0 M_AXI_HPM0_FPD maxihpm0_fpd_aclk S_AXI_HP0_FPD saxihp0_fpd_aclk",
    "proc_sys_reset": "slowest_sync_clk ext_reset_in peripheral_aresetn",
    "axi_dma": "s_axi_lite_aclk axi_resetn S_AXI_LITE m_axi_mm2s_aclk M_AXI_MM2S M_AXIS_MM2S m_axi_s2mm_aclk M_AXI_S2MM "
    "S_AXIS_S2MM",
}
"""Pins and interfaces of each IP, as far as systems use them."""

SETTINGS = {
    "processing_system7": "PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0 PCW_FPGA0_PERIPHERAL_FREQMHZ",
    "zynq_ultra_ps_e": "PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__USE__S_AXI_GP2 "
    "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
    "proc_sys_reset": "",
    "axi_dma": "c_include_sg c_sg_include_stscntrl_strm c_sg_length_width c_addr_width c_include_mm2s c_include_s2mm "
    "c_m_axi_mm2s_data_width c_m_axis_mm2s_tdata_width c_mm2s_burst_size c_m_axi_s2mm_data_width c_s_axis_s2mm_tdata_width "
    "c_s_axis_s2mm_tdata_width.VALUE_SRC c_s2mm_burst_size",
    "smartconnect": "NUM_SI NUM_MI NUM_CLKS",
}
COMMANDS = (
    *("create_project", "get_board_parts", "current_project", "update_ip_catalog", "add_files", "update_compile_order"),
    *("create_bd_design", "get_ipdefs", "create_bd_cell", "get_bd_cells", "get_bd_pins", "get_bd_intf_pins"),
    *(
        "connect_bd_net",
        "connect_bd_intf_net",
        "apply_bd_automation",
        "set_property",
        "get_property",
        "current_fileset",
    ),
    *("assign_bd_address", "validate_bd_design", "save_bd_design", "get_files", "generate_target", "make_wrapper"),
    *("launch_runs", "wait_on_run", "get_runs", "open_run", "report_utilization", "report_timing_summary"),
    *("write_hw_platform", "package_xo", "close_project"),
)
PACKAGER = (
    *("package_project", "current_core", "associate_bus_interfaces", "create_xgui_files", "update_checksums"),
    *("check_integrity", "save_core", "add_bus_parameter", "get_bus_interfaces", "infer_bus_interfaces"),
)


@dataclass
class Design:
    """What a script has made."""

    folder: Path
    cells: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    nets: dict[str, str] = field(default_factory=dict)
    """What drives a pin."""
    buses: list[tuple[str, str]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Vivado:
    """An interpreter with the boards and IPs that it knows; ``missed`` is the slack that is a quarter below zero."""

    def __init__(self, folder: Path, boards: tuple[str, ...] = (), ips: tuple[str, ...] = (), missed: str = "") -> None:
        import tkinter

        self.design = Design(folder)
        self._folder, self._boards, self._ips, self._missed = folder, boards, ips, missed
        self._project = folder
        self._wrong: Exception | None = None
        self._tcl = tkinter.Tcl()
        self._tcl.eval("fconfigure stdout -buffering line; proc exit {args} {}; namespace eval ipx {}")
        for name in (*COMMANDS, *(f"ipx::{name}" for name in PACKAGER)):
            self._tcl.createcommand(name, self._command(name))

    def source(self, script: Path) -> Design:
        """Run a script; RuntimeError or AssertionError tells of what is wrong in it."""
        import tkinter

        try:
            self._tcl.eval(f"cd {{{self._folder}}}; source {{{script}}}")
        except tkinter.TclError:
            raise self._wrong or RuntimeError(self._tcl.eval("set ::errorInfo")) from None
        return self.design

    def _command(self, name: str) -> Callable[..., str]:
        plain = name.removeprefix("ipx::")
        handler = getattr(self, plain, None)

        def command(*arguments: str) -> str:
            self.design.said.append(f"{name} {shlex.join(arguments)}")
            try:
                return str(handler(*arguments)) if handler is not None else ""
            except Exception as error:
                self._wrong = error
                raise

        return command

    def create_project(self, *arguments: str) -> str:
        paths = [word for word in arguments if "/" in word]
        if paths:
            self._project = Path(paths[0])
            self._project.mkdir(parents=True, exist_ok=True)
        return ""

    def get_board_parts(self, *arguments: str) -> str:
        return " ".join(fnmatch.filter(self._boards, arguments[-1]))

    def add_files(self, *arguments: str) -> str:
        for path in map(Path, self._tcl.splitlist(arguments[-1])):
            assert path.is_file(), path
            self.design.files.append(path)
        return ""

    def get_ipdefs(self, option: str, wanted: str) -> str:
        found = re.fullmatch(r"NAME == (\w+)", wanted)
        assert option == "-filter" and found
        name = found[1]
        own = [f"bitsmith:networks:{name}:1.0"] if name in self._ips else []
        return " ".join(own or [f"xilinx.com:ip:{name}:{version}" for version in ("9.1", "10.0")])

    def create_bd_cell(self, *arguments: str) -> str:
        options = dict(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
        kind, name = options["-type"], arguments[-1]
        assert name not in self.design.cells
        if kind == "module":
            self.design.cells[name] = options["-reference"]
        else:
            assert options["-vlnv"].endswith((":10.0", ":1.0")), "not the newest"
            self.design.cells[name] = options["-vlnv"].split(":")[2]
        return f"/{name}"

    def get_bd_cells(self, name: str) -> str:
        assert name in self.design.cells, name
        return name

    def get_bd_pins(self, name: str) -> str:
        return self._pin(name)

    def get_bd_intf_pins(self, name: str) -> str:
        return self._pin(name)

    def _pin(self, name: str) -> str:
        cell, _, pin = name.partition("/")
        pins = self.pins_of(self.design, cell, self.design.cells[cell])
        assert pin in pins, f"{name}: {sorted(pins)}"
        return name

    @staticmethod
    def pins_of(design: Design, cell: str, kind: str) -> set[str]:
        """Pins and buses of a cell."""
        settings = design.settings.get(cell, {})
        if kind == "smartconnect":
            sides = {"S": int(settings["NUM_SI"]), "M": int(settings["NUM_MI"])}
            return {"aclk", "aresetn", *(f"{side}{k:02}_AXI" for side, count in sides.items() for k in range(count))}
        if kind not in PINS:
            return ports_of(design, kind)
        absent = [way.upper() for way in ("mm2s", "s2mm") if settings.get(f"c_include_{way}") == "0"]
        return {pin for pin in PINS[kind].split() if not any(way in pin.upper() for way in absent)}

    def connect_bd_net(self, source: str, *sinks: str) -> str:
        for sink in sinks:
            assert sink not in self.design.nets, f"{sink} is driven twice"
            self.design.nets[sink] = source
        return ""

    def connect_bd_intf_net(self, master: str, slave: str) -> str:
        assert not {master, slave} & {end for pair in self.design.buses for end in pair}, (master, slave)
        self.design.buses.append((master, slave))
        return ""

    def set_property(self, *arguments: str) -> str:
        if arguments[0] == "-dict":
            words = self._tcl.splitlist(arguments[1])
            given = dict(zip(words[::2], words[1::2], strict=True))
        else:
            given = {arguments[0]: arguments[1]}
        target = arguments[-1]
        assert all(Path(path).is_absolute() for path in self._tcl.splitlist(given.get("ip_repo_paths", "")))
        if target not in self.design.cells:
            return ""
        known = SETTINGS[self.design.cells[target]].split()
        for key, value in given.items():
            name = key.removeprefix("CONFIG.")
            assert key.startswith("CONFIG.") and name in known, key
            self.design.settings.setdefault(target, {})[name] = str(value)
        return ""

    def get_property(self, name: str, target: str) -> str:
        run = self._project / f"{self._project.name}.runs/impl_1"
        slacks = {f"STATS.{each}": "-0.25" if each == self._missed else "0.0" for each in ("WNS", "WHS", "TPWS")}
        return {"PROGRESS": "100%", **slacks, "DIRECTORY": str(run)}[name]

    def get_files(self, name: str) -> str:
        return name

    def get_runs(self, name: str) -> str:
        return name

    def current_core(self) -> str:
        return "core"

    def make_wrapper(self, *arguments: str) -> str:
        assert "-import" in arguments, "nothing adds it to the project"
        path = self._project / f"{self._project.name}.gen/sources_1/bd/design_1/hdl/design_1_wrapper.v"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("module design_1_wrapper; endmodule\n")
        return str(path)

    def launch_runs(self, *arguments: str) -> str:
        run = self._project / f"{self._project.name}.runs/impl_1"
        run.mkdir(parents=True, exist_ok=True)
        (run / "design_1_wrapper.bit").write_text("bits")
        handoff = self._project / f"{self._project.name}.gen/sources_1/bd/design_1/hw_handoff/design_1.hwh"
        handoff.parent.mkdir(parents=True, exist_ok=True)
        handoff.write_text("<EDKSYSTEM/>")
        return ""

    def report_utilization(self, option: str, path: str) -> str:
        Path(path).write_text("report")
        return ""

    report_timing_summary = report_utilization

    def write_hw_platform(self, *arguments: str) -> str:
        Path(arguments[-1]).write_text("platform")
        return ""

    def package_project(self, *arguments: str) -> str:
        folder = Path(arguments[arguments.index("-root_dir") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "component.xml").write_text("<component/>")
        return ""

    def package_xo(self, *arguments: str) -> str:
        options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
        assert arguments[0] == "-force" and (Path(options["-ip_directory"]) / "component.xml").is_file()
        assert Path(options["-kernel_xml"]).is_file() and options["-ctrl_protocol"] == "ap_ctrl_none"
        Path(options["-xo_path"]).write_text(options["-kernel_name"])
        return ""


def ports_of(design: Design, module: str) -> set[str]:
    """Ports of the circuit, with buses by their prefixes."""
    found = [path.read_text() for path in design.files if path.stem == module]
    if not found:  # an IP of high-level synthesis
        (source,) = design.folder.glob(f"firmware/{module}.cpp")
        text = source.read_text()
        masters = {f"m_axi_{name}" for name in re.findall(r"INTERFACE m_axi .*bundle=(\w+)", text)}
        slaves = {f"s_axi_{name}" for name in re.findall(r"INTERFACE s_axilite .*bundle=(\w+)", text)}
        return {"ap_clk", "ap_rst_n", *re.findall(r"INTERFACE axis port=(\w+)", text), *masters, *slaves}
    (text,) = found
    names = re.findall(r"(?:input|output) wire (?:\[[0-9:]+\] )?(\w+)", text.partition("\n);\n")[0])
    buses = {
        re.sub(r"_(tvalid|awaddr|araddr)$", "", name)
        for name in names
        if name.endswith(("_tvalid", "_awaddr", "_araddr"))
    }
    return {*(name for name in names if not any(name.startswith(f"{bus}_") for bus in buses)), *buses}


STAND_IN = """\
sys.path[:0] = [{root!r}]
from tests.systems.vivado import Vivado
Vivado(pathlib.Path.cwd(), {boards!r}, {ips!r}, {missed!r}).source(pathlib.Path(arguments[-1]))
"""


def stand_in(boards: tuple[str, ...] = (), ips: tuple[str, ...] = (), missed: str = "") -> str:
    """The body of a program on PATH that runs a script so."""
    root = str(Path(__file__).parents[2])
    return STAND_IN.format(root=root, boards=boards, ips=ips, missed=missed)
