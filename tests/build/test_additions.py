"""A board is one file of data, and a logic tool one file with its scripts: made-up ones of each kind are built for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from bitsmith.building import logic
from bitsmith.building.logic import tool as logic_tools
from bitsmith.building.logic.tool import Found, LogicDesign, LogicTool, Step
from bitsmith.report.sections import Resources
from tests.build.test_plan_goldens import model, stand_ins
from tests.build.test_rules_of_plans import check_constraints, rules_of_script
from tests.flows.fake_tools import FakeTools
from tests.hls.rules.tcl import tool_commands

BOARDS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "serial": (
        'part = "LFE5U-25F-6BG256C"\nclock_hz = 50_000_000\nio_standard = "LVCMOS33"\nload = ["flash"]\n'
        '[pins]\nclk = "P3"\nuart_rx = "M1"\nuart_tx = "L4"\n',
        {"pnr/net.lpf": 'LOCATE COMP "clk" SITE "P3"'},
        "ecppack",
    ),
    "zynq": (
        'part = "xc7z010clg400-1"\n[zynq]\nprocessor = "zynq"\nboard_part = "acme.com:board:part0:1.0"\n',
        {"system/settings.tcl": "set board_part acme.com:board:part0:1.0\n"},
        "vivado",
    ),
    "card": (
        'part = "xcu250-figd2104-2L-e"\n[card]\nplatform = "acme_platform_1"\nmemory = "DDR"\nbanks = 2\n',
        {"system/link.cfg": "sp=write_1.memory:DDR[1]\n"},
        "v++ -l -t hw --platform acme_platform_1",
    ),
    "soc_fpga": (
        'part = "5CSEBA6U23I7"\n[soc_fpga]\nfamily = "Cyclone V"\nclock = "PIN_V11"\nclock_hz = 25_000_000\n'
        'io_standard = "3.3-V LVTTL"\n',
        {"system/settings.tcl": "set clock_pin PIN_V11\n", "system/soc.sdc": "-period 40 "},
        "qsys-script",
    ),
}
"""By kind: a file but for its name, what the project has of it, and a command of the plan."""


@pytest.mark.parametrize("kind", BOARDS)
def test_a_board_is_a_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stand_ins(tmp_path).items():
        monkeypatch.setenv(name, value)
    text, wanted, command = BOARDS[kind]
    (tmp_path / "acme.toml").write_text(f'name = "Acme"\n{text}')
    plan = model({"Board": str(tmp_path / "acme.toml"), "ClockPeriod": 20}).plan(cosim=False, bitstream=True)
    files = plan.files()
    for path, part in wanted.items():
        assert part in str(files[path])
    assert "\nbitstream: Acme\n" in str(plan) and f"  $ {command} " in str(plan)
    for path, content in files.items():
        if path.endswith(".lpf"):
            check_constraints(str(content), path)
        if path.startswith("system/") and path.endswith((".tcl", ".sdc")):
            rules = rules_of_script(path, "rtl")
            assert not any(rules.command_refusal(each.words, path) for each in tool_commands(str(content)))


SCRIPTS = {
    "acme_synth.tcl": "source settings.tcl\nread $sources\nmap $top $part\n",
    "acme_implement.tcl": "source settings.tcl\nplace $top\n",
}


def read(folder: Path, design: LogicDesign, step: Step) -> Found:
    cells, period = (folder / f"{step.value}.rpt").read_text().split()
    return Found(
        Resources(lut=int(cells), tool="Acme 1", part=design.part), (), float(period) if step is Step.PNR else None
    )


ACME = LogicTool(
    key="acme",
    name="Acme Logic",
    program="acme",
    arguments=("-run",),
    parts=re.compile(r"xc7z\w+-\d"),
    example="xc7z020clg400-1",
    install="Acme's",
    error=r"^Error",
    files=lambda design: {"clock.sdc": f"create_clock -period {design.period_ns} clk\n"},
    outputs=lambda _, step: (f"{step.value}.rpt",),
    read=read,
)
"""All that there is to say of a tool."""


def test_a_logic_tool_is_a_file_with_its_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scripts").mkdir()
    for name, text in SCRIPTS.items():
        (tmp_path / "scripts" / name).write_text(text)
    monkeypatch.setattr(logic_tools, "_SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(logic, "LOGIC_TOOLS", (*logic.LOGIC_TOOLS, ACME))
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    fakes.add("acme", 'pathlib.Path(arguments[-1].replace(".tcl", ".rpt")).write_text("120 4.0")')
    made = model({"Part": "xc7z020clg400-1", "OutputDir": str(tmp_path / "net")})
    found = dict(made.build(tool="acme", cosim=False, pnr=True))
    assert [call.arguments for call in fakes.calls()] == [("-run", "synth.tcl"), ("-run", "implement.tcl")]
    assert found["Resources"]["LUT"] == 120 and found["Timing"]["FmaxMHz"] == 250.0
    written = {path.name for path in (made.output_dir / "acme").iterdir()}
    assert {"settings.tcl", "synth.tcl", "implement.tcl", "clock.sdc"} <= written
