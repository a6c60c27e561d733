"""Intel's boards with a processor: Platform Designer systems in a stand-in, Quartus projects, and stand-in builds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitsmith.build.design import Circuit
from bitsmith.build.job import Target
from bitsmith.build.system import rtl_core, system_of
from bitsmith.devices import SYSTEM_BOARDS, SocFpga, any_board
from bitsmith.errors import ConfigError
from bitsmith.flows.verilator import lint
from bitsmith.systems import System
from tests.flows.fake_tools import FakeTools
from tests.rtl.wrapped import made
from tests.system.examples import three_layer

BOARDS = [name for name in SYSTEM_BOARDS if isinstance(any_board(name), SocFpga)]
PORTS = {
    "clock_source": "clk clk_in clk_in_reset clk_reset",
    "altera_pll": "refclk reset outclk0",
    "altera_hps": "h2f_lw_axi_clock f2h_axi_clock h2f_lw_axi_master f2h_axi_slave h2f_reset memory",
    "altera_msgdma": "clock reset_n csr descriptor_slave mm_read mm_write st_source st_sink",
}


def written(folder: Path, each: Circuit, name: str) -> System:
    board = any_board(name)
    assert isinstance(board, SocFpga)
    core, files = rtl_core(each, board, Target(Path(), "net", "", 10.0))
    system = system_of(core, board)
    own = {f"rtl/{key}": text for key, text in each.sources.items()} | dict(each.extras)
    for path, text in {**own, **files, **system.files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return system


def run(folder: Path, script: str, commands: str) -> list[list[str]]:
    """The calls of a script's commands."""
    tkinter = pytest.importorskip("tkinter")
    tcl, said = tkinter.Tcl(), list[list[str]]()
    for name in commands.split():
        tcl.createcommand(name, lambda *arguments, name=name: said.append([name, *arguments]))
    tcl.eval(f"rename package {{}}; proc package args {{}}; cd {{{folder}}}; source {script}")
    return said


@pytest.mark.parametrize("name", BOARDS)
def test_every_board(tmp_path: Path, name: str) -> None:
    written(tmp_path, made("streams"), name)
    commands = (
        "create_system set_project_property add_instance set_instance_parameter_value add_interface set_interface_property "
        "add_connection set_connection_parameter_value save_system"
    )
    said = run(tmp_path, "system/soc.tcl", commands)
    kinds = {words[1]: words[2] for words in said if words[0] == "add_instance"}
    component = (tmp_path / "rtl/net_dma_avalon_hw.tcl").read_text()
    own = set(re.findall(r"^add_interface (\w+)", component, re.MULTILINE))
    assert kinds["circuit"] == "net_dma_avalon"
    connections = [(words[1], words[2]) for words in said if words[0] == "add_connection"]
    for end in (end for pair in connections for end in pair):
        cell, _, port = end.partition(".")
        assert port in (own if cell == "circuit" else PORTS[kinds[cell]].split()), end
    assert {
        ("dma_0.st_source", "circuit.in_series"),
        ("dma_1.st_source", "circuit.in_bias"),
        ("circuit.out_shifted", "dma_2.st_sink"),
        ("circuit.out_greatest", "dma_3.st_sink"),
        ("dma_2.mm_write", "processor.f2h_axi_slave"),
    } <= set(connections)
    places = [words[3] for words in said if words[0] == "set_connection_parameter_value" and "lw_axi" in words[1]]
    assert places == [f"0x{0x20 * k:04x}" for k in range(8)]
    device = any_board(name).part.name
    assert ["set_project_property", "DEVICE", device] in said and said[-1] == ["save_system", "system/net_soc.qsys"]


def test_the_circuit_is_clean(tmp_path: Path) -> None:
    written(tmp_path, made("streams"), "de10-nano")
    component = (tmp_path / "rtl/net_dma_avalon_hw.tcl").read_text()
    names = dict.fromkeys(re.findall(r"^add_fileset_file ([\w.]+)", component, re.MULTILINE))
    lint([tmp_path / "rtl" / name for name in names], "net_dma_avalon")


def test_the_quartus_project(tmp_path: Path) -> None:
    written(tmp_path, made("pipeline"), "de1-soc")
    pins = tmp_path / "system/net_soc/synthesis/submodules/hps_sdram_p0_pin_assignments.tcl"
    pins.parent.mkdir(parents=True)
    pins.write_text("")
    commands = (
        "load_package project_new set_global_assignment set_location_assignment set_instance_assignment "
        "export_assignments execute_module qexec project_close"
    )
    said = run(tmp_path, "system/quartus.tcl", commands)
    assert ["set_location_assignment", "PIN_AF14", "-to", "clk_clk"] in said
    assert [words[-1] for words in said if words[0] == "execute_module"] == ["map", "fit", "asm", "sta"]
    assert "system/export/net.rbf" in said[-1][-1]


def test_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    leave = "place = pathlib.Path({!r}); place.parent.mkdir(parents=True, exist_ok=True); place.write_text('made')\n"
    fakes.add("qsys-script", leave.format("system/myproject_soc.qsys"))
    fakes.add("qsys-generate", leave.format("system/myproject_soc/synthesis/myproject_soc.qip"))
    fakes.add("quartus_sh", leave.format("system/export/myproject.rbf"))
    model = three_layer(tmp_path / "project", board="de10-nano", clock_period=20)[0]
    assert model.target.part == "5CSEBA6U23I7"
    report = model.build(cosim=False, synth=False, bitstream=True, force=True)
    assert [call.name for call in fakes.calls()] == ["qsys-script", "qsys-generate", "quartus_sh"]
    assert report.section("Files")["Bitstream"] == "system/export/myproject.rbf"


def test_circuits_in_c_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DE1-SoC with backend"):
        three_layer(tmp_path, board="de1-soc", backend="vitis")[0].plan(csim=False).scripts()
