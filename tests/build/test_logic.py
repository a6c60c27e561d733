"""Vendors' logic tools on SystemVerilog: what is written, how the tools are started, and what is read of their reports.

No vendor's tool has run these projects: programs stand in for them, which leave reports of the forms that the tools write, and
the scripts run in a Tcl interpreter that knows no command of theirs but notes them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitsmith.building.logic import LOGIC_TOOLS, logic_tool
from bitsmith.building.logic.tool import LogicDesign, LogicTool, Step
from bitsmith.errors import ConfigError, ProgramError, ProjectError, ToolFailedError, ToolMissingError
from bitsmith.rtl.integration import Port, module_ports
from tests.flows.fake_tools import FakeTools
from tests.system.examples import three_layer

DATA = Path(__file__).parents[1] / "report" / "data"
PARTS = {"vivado": "xc7z020clg400-1", "quartus": "5CSEBA6U23I7", "radiant": "iCE40UP5K-SG48"}
PORTS = (Port("clk", True, 1, False), Port("in_data", True, 8, True), Port("out_valid", False, 1, False))

TIMING = """\
| Tool Version      : Vivado v.2023.2 (lin64) Build 4029153
| Design Timing Summary
    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints\
  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------\
  ---------------------  -------------------     --------     --------  ----------------------  --------------------
     -0.250       -1.000                      4                 1234        0.050        0.000                      0\
                 1234        2.000        0.000                       0                  1235

Max Delay Paths
--------------------------------------------------------------------------------------
Slack (VIOLATED) :        -0.250ns  (required time - arrival time)
  Source:                 fc1_relu_inst/fc1_t3_r2_reg[1]/C
                            (rising edge-triggered cell FDRE clocked by clk  {rise@0.000ns fall@2.500ns period=5.000ns})
  Destination:            fc2_relu_inst/fc2_t9_r3_reg[7]/D
"""
FIT = """\
Fitter Status : Successful - Sat Mar 14 12:00:00 2026
Quartus Prime Version : 20.1.1 Build 720 11/11/2020 SJ Lite Edition
Revision Name : myproject
Family : Cyclone V
Device : 5CSEBA6U23I7
Timing Models : Final
Logic utilization (in ALMs) : 1,517 / 41,910 ( 4 % )
Total registers : 3210
Total pins : 1 / 314 ( < 1 % )
Total virtual pins : 118
Total block memory bits : 20,480 / 5,662,720 ( < 1 % )
Total RAM Blocks : 2 / 553 ( < 1 % )
Total DSP Blocks : 7 / 112 ( 6 % )
"""
STA = """\
------------------------------------------------------------
Timing Analyzer Summary
------------------------------------------------------------

Type  : Slow 1100mV 100C Model Setup 'clk'
Slack : 1.750
TNS   : 0.000

Type  : Slow 1100mV 100C Model Hold 'clk'
Slack : 0.414
TNS   : 0.000

Type  : Slow 1100mV 100C Model Minimum Pulse Width 'clk'
Slack : 0.250
TNS   : 0.000

Type  : Slow 1100mV -40C Model Setup 'clk'
Slack : 2.000
TNS   : 0.000
"""
MAPPED = """\
Lattice Mapping Report File
Mapper:    version Radiant Software (64-bit) 2023.1.0.43.3
   Number of slice registers: 1754 out of  5280 (33%)
   Number of I/O registers:      0 out of   117 (0%)
   Number of LUT4s:           4882 out of  5280 (92%)
   Number of DSPs:               3 out of     8 (37%)
   Number of EBRs:              15 out of    30 (50%)
"""
ROUTED = """\
Single Clock Domain
-------------------------------------------------------------------------------------------------------
                Clock clk             |                    |       Period       |     Frequency
-------------------------------------------------------------------------------------------------------
 From clk                             |             Target |          50.000 ns |         20.000 MHz
                                      | Actual (all paths) |          40.000 ns |         25.000 MHz
"""
UTILIZATION = (DATA / "vivado" / "vivado_synth.rpt").read_text()
REPORTS = {
    ("vivado", Step.SYNTH): {"synth.dcp": "", "utilization_synth.rpt": UTILIZATION, "timing_synth.rpt": TIMING},
    ("vivado", Step.PNR): {"implement.dcp": "", "utilization.rpt": UTILIZATION, "timing.rpt": TIMING},
    ("quartus", Step.SYNTH): {"synth.summary": FIT},
    ("quartus", Step.PNR): {"reports/myproject.fit.summary": FIT, "reports/myproject.sta.summary": STA},
    ("radiant", Step.SYNTH): {"impl_1/myproject_impl_1.mrp": MAPPED},
    ("radiant", Step.PNR): {"impl_1/myproject_impl_1.twr": ROUTED},
}


def stand_in(tool: LogicTool, folder: Path, monkeypatch: pytest.MonkeyPatch, body: str = "") -> FakeTools:
    """The tool on PATH, which leaves the reports of each step."""
    tools = FakeTools(folder / "2023.2" / "bin", monkeypatch)
    left = {f"{step.value}.tcl": REPORTS[tool.key, step] for step in Step}
    leave = f"""
for name, text in json.loads({json.dumps(left)!r})[arguments[-1]].items():
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text(text)
"""
    tools.add(tool.program, leave + body)
    return tools


@pytest.mark.parametrize(
    ("key", "resources", "mhz", "path"),
    [
        ("radiant", {"LUT": 4882, "FF": 1754, "DSP": 3, "BRAM": 15}, 25.0, None),
        # Last, since the tests below build the same circuits, which are remembered.
        ("quartus", {"FF": 3210, "DSP": 7, "BRAM": 2}, 121.21, None),
        ("vivado", {"LUT": 4321, "FF": 987, "DSP": 20, "BRAM": 1.5}, 190.48, "fc1_relu to fc2_relu"),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_whole_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, resources: dict[str, float], mhz: float, path: str | None
) -> None:
    model, _ = three_layer(tmp_path, part=PARTS[key])
    tools = stand_in(logic_tool(key, PARTS[key]), tmp_path, monkeypatch)
    report = model.build(tool=key, cosim=False, pnr=True, force=True)
    found = dict(report)
    assert resources.items() <= found["Resources"].items()
    assert found["Timing"]["FmaxMHz"] == mhz and found["Timing"].get("CriticalPath") == path
    assert [row["Name"] for row in found["Stages"]] == ["rtl", "synth", "pnr"]
    calls = tools.calls()
    assert [call.arguments[-1] for call in calls] == ["synth.tcl", "implement.tcl"]
    assert {call.cwd for call in calls} == {model.output_dir / key}
    model.build(tool=key, cosim=False, pnr=True, force=True)
    assert tools.calls() == []  # nothing has changed


def test_paths_outside_the_layers_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TIMING.replace("fc1_relu_inst/", "uart/").replace("fc2_relu_inst/", "uart/")
    monkeypatch.setitem(REPORTS["vivado", Step.PNR], "timing.rpt", text)
    model, _ = three_layer(tmp_path, part=PARTS["vivado"])
    stand_in(logic_tool("vivado", PARTS["vivado"]), tmp_path, monkeypatch)
    report = model.build(tool="vivado", cosim=False, pnr=True, force=True)
    assert "FmaxMHz" in report["Timing"] and "CriticalPath" not in report["Timing"]


@pytest.mark.parametrize(
    ("key", "report", "was", "now"),
    [
        ("vivado", TIMING, "        0.050        0.000", "       -0.125        0.000"),
        ("vivado", TIMING, "2.000        0.000", "-0.125        0.000"),
        ("quartus", STA, "Slack : 0.414", "Slack : -0.125"),
        ("quartus", STA, "Slack : 0.250", "Slack : -0.125"),
    ],
)
def test_missed_hold_times_and_pulse_widths_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, report: str, was: str, now: str
) -> None:
    kind = "pulse" if was in ("2.000        0.000", "Slack : 0.250") else "hold"
    assert report.count(was) == 1
    changed = {step: {name: text.replace(was, now) for name, text in REPORTS[key, step].items()} for step in Step}
    for step, texts in changed.items():
        monkeypatch.setitem(REPORTS, (key, step), texts)
    model, _ = three_layer(tmp_path, part=PARTS[key])
    stand_in(logic_tool(key, PARTS[key]), tmp_path, monkeypatch)
    built = model.build(tool=key, cosim=False, pnr=True, force=True)
    slacks = {name: built["Timing"][f"{name.capitalize()}SlackNs"] for name in ("hold", "pulse")}  # type: ignore[index]
    assert slacks == {
        "hold": 0.05 if key == "vivado" else 0.414,
        "pulse": 2.0 if key == "vivado" else 0.25,
        kind: -0.125,
    }
    (note,) = [note for note in built.design.notes if "missed by" in note]
    assert "missed by 0.125 ns" in note and kind in note


def design(key: str) -> LogicDesign:
    return LogicDesign("net", PARTS[key], ("../rtl/net.sv", "../rtl/net_fc1.sv"), PORTS, 5.0)


COMMANDS = {
    "vivado": (
        ["read_verilog", "read_xdc", "synth_design", "write_checkpoint", "report_utilization", "report_timing_summary"],
        ["open_checkpoint", "opt_design", "place_design", "phys_opt_design", "route_design", "phys_opt_design"],
    ),
    "quartus": (
        [
            *("load_package", "project_new", *6 * ("set_global_assignment",), *2 * ("set_instance_assignment",)),
            *("export_assignments", "execute_module", "project_close"),
        ],
        ["load_package", "project_open", "execute_module", "execute_module", "project_close"],
    ),
    "radiant": (
        ["prj_create", *["prj_add_source"] * 4, "prj_set_impl_opt", "prj_save", "prj_run", "prj_run", "prj_close"],
        ["prj_open", "prj_run", "prj_close"],
    ),
}


@pytest.mark.parametrize("tool", LOGIC_TOOLS, ids=lambda tool: tool.key)
def test_scripts_in_an_interpreter(tmp_path: Path, tool: LogicTool) -> None:
    """Each command in turn with all its words; constraints come before synthesis."""
    tkinter = pytest.importorskip("tkinter")
    for name, text in tool.scripts(design(tool.key)).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for step, expected in zip(Step, COMMANDS[tool.key], strict=True):
        tcl = tkinter.Tcl()
        called: list[tuple[str, ...]] = []
        tcl.createcommand("note", lambda *words, called=called: called.append(words))
        tcl.eval("proc unknown {args} {note {*}$args}; rename file file_; proc file {args} {}")
        tcl.eval(f'cd {{{tmp_path / tool.key}}}; set quartus(version) "Version 20.1.1 SJ Lite Edition"')
        tcl.eval(f"source {step.value}.tcl")
        assert [words[0] for words in called][: len(expected)] == expected
        assert not any("$" in word for words in called for word in words)


def test_constraints() -> None:
    files = {tool.key: tool.scripts(design(tool.key)) for tool in LOGIC_TOOLS}
    assert files["vivado"]["vivado/net.xdc"] == (
        "create_clock -name clk -period 5.000 [get_ports clk]\n"
        "set_input_delay -clock clk 0.000 [get_ports {in_data[*]}]\n"
        "set_output_delay -clock clk 0.000 [get_ports {out_valid}]\n"
    )
    assert files["quartus"]["quartus/net.sdc"] == files["vivado"]["vivado/net.xdc"] + "derive_clock_uncertainty\n"
    assert files["quartus"]["quartus/pins.tcl"] == (
        "set_instance_assignment -name VIRTUAL_PIN ON -to {in_data[*]}\n"
        "set_instance_assignment -name VIRTUAL_PIN ON -to {out_valid}\n"
    )
    assert ".in_data(given[7:0]),\n        .out_valid(results[0])" in files["radiant"]["radiant/net_pins.sv"]


def test_without_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTools(tmp_path / "empty", monkeypatch)
    model, _ = three_layer(tmp_path, part=PARTS["vivado"])
    report = model.build(tool="vivado", cosim=False)
    assert report.design is not None
    assert "not run. In the project's folder, start: cd vivado && vivado -mode" in report.design.notes[-1]
    assert (model.output_dir / "vivado" / "implement.tcl").exists() and "Timing" not in report
    with pytest.raises(ToolMissingError, match="not on PATH: vivado") as refused:
        model.build(tool="vivado", pnr=True)
    assert "settings64.sh" in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"tool": "ise"}, "unknown tool 'ise'"),
        ({"tool": "quartus"}, "part 'xc7z020clg400-1' with tool 'quartus'"),
        ({"tool": "vivado", "bitstream": True}, "bitstream=True with a vendor's tool"),
    ],
)
def test_refused(tmp_path: Path, asked: dict[str, object], told: str) -> None:
    model, _ = three_layer(tmp_path, part=PARTS["vivado"])
    with pytest.raises(ConfigError, match=told):
        model.plan(**asked)  # type: ignore[arg-type]


def test_failing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = three_layer(tmp_path, part=PARTS["vivado"])
    stand_in(
        logic_tool("vivado", PARTS["vivado"]), tmp_path, monkeypatch, "print('ERROR: [Synth 8-439] module not found')"
    )
    with pytest.raises(ToolFailedError, match="Synth 8-439"):
        model.build(tool="vivado", cosim=False, synth=True)


@pytest.mark.parametrize("tool", LOGIC_TOOLS, ids=lambda tool: tool.key)
@pytest.mark.parametrize("text", ["", "Slack : x\n" * 3, "\0" * 100])
def test_reports_of_another_form(tmp_path: Path, tool: LogicTool, text: str) -> None:
    for step in Step:
        for name in tool.outputs(design(tool.key), step):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        with pytest.raises(ProjectError):
            tool.read(tmp_path, design(tool.key), step)


def test_ports() -> None:
    text = 'module m (\n  (* A = "b, c" *)\n  input logic clk, // clock\n  output wire [9-1:0] y,\n  input logic [0:0] z\n);'
    assert module_ports(text, "m") == (Port("clk", True, 1, False), Port("y", False, 9, True), Port("z", True, 1, True))
    with pytest.raises(ProgramError, match="inout x"):
        module_ports("module m (inout x);", "m")
