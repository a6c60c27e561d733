"""Intel Quartus Prime, Standard and Pro; ports are virtual pins, so that circuits with more ports than pins are placed."""

import re
from collections.abc import Mapping
from pathlib import Path

from bitsmith.building.logic.tool import Found, LogicDesign, LogicTool, Step, figures, io_constraints, label
from bitsmith.report.sections import CellUse, Resources
from bitsmith.vendors.vendor import Number, ReportFile

_FIGURE = re.compile(r"^\s*(?P<key>[^:]+?)\s*:\s*(?P<value>[^\n]*?)\s*$", re.MULTILINE)
_USED = re.compile(r"(?P<used>[\d,]+)(?:\s*/\s*(?P<available>[\d,]+)\s*\(.*\))?")
_SLACK = r"^Type\s*:\s*[^\n]*\b{kind} 'clk'\s*\nSlack\s*:\s*(\S+)"
_SETUP, _HOLD, _PULSE = (
    re.compile(_SLACK.format(kind=kind), re.MULTILINE) for kind in ("Setup", "Hold", "Minimum Pulse Width")
)
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
_CELLS = {
    "Logic utilization (in ALMs)": "ALM",
    "Total logic elements": "LE",
    "Total RAM Blocks": "RAM block",
    "Total DSP Blocks": "DSP block",
}


def _files(design: LogicDesign) -> Mapping[str, str]:
    # Each port by its name: a wildcard is compared with every node of the circuit.
    ports = (*design.of(True), *design.of(False))
    pins = "".join(f"set_instance_assignment -name VIRTUAL_PIN ON -to {{{port.pattern}}}\n" for port in ports)
    lines = [*io_constraints(design), "derive_clock_uncertainty"]
    return {f"{design.top}.sdc": "\n".join(lines) + "\n", "pins.tcl": pins}


def _outputs(design: LogicDesign, step: Step) -> tuple[str, ...]:
    if step is Step.SYNTH:
        return ("synth.summary",)
    return f"reports/{design.top}.fit.summary", f"reports/{design.top}.sta.summary"


def _read(folder: Path, design: LogicDesign, step: Step) -> Found:
    cells, *clock = (ReportFile(folder / name) for name in _outputs(design, step))
    summary = {found["key"]: found["value"] for found in _FIGURE.finditer(cells.text())}
    version = next((value for key, value in summary.items() if key.startswith("Quartus Prime Version")), "")

    def used(key: str) -> tuple[Number | None, Number | None]:
        match = _USED.fullmatch(summary.get(key, ""))
        return (cells.number(match["used"], key), cells.number(match["available"], key)) if match else (None, None)

    def count(key: str) -> int | None:
        value = used(key)[0]
        return None if value is None else round(value)

    resources = Resources(
        lut=count("Total logic elements"),
        ff=count("Total registers"),
        dsp=count("Total DSP Blocks"),
        bram=count("Total RAM Blocks"),
        tool=label("Quartus", _VERSION, version),
        part=design.part,
    )
    if resources.ff is None:
        raise cells.wrong("a summary without registers")
    uses = tuple(
        CellUse(cell=cell, used=round(some), available=round(all_))
        for key, cell in _CELLS.items()
        for some, all_ in (used(key),)
        if some is not None and all_ is not None
    )
    if not clock:
        return Found(resources, uses)
    setup = min(figures(_SETUP, "setup slack", clock[0]))
    found = {kind: kind.findall(clock[0].text()) for kind in (_HOLD, _PULSE)}
    hold, pulse = (min(figures(kind, "slack", clock[0])) if texts else None for kind, texts in found.items())
    return Found(resources, uses, design.period_ns - setup, hold_ns=hold, pulse_ns=pulse)


QUARTUS = LogicTool(
    key="quartus",
    name="Quartus Prime",
    program="quartus_sh",
    arguments=("-t",),
    parts=re.compile(
        r"(?i)(5[ac][a-z0-9]+|10[acm][a-z0-9]+|1s[a-z0-9]+|ag[a-z0-9]+|ep[a-z0-9]+|a[35][a-z0-9]+)", re.ASCII
    ),
    example="5CSEBA6U23I7",
    install="Intel's (Altera's) Quartus Prime, whose folder quartus/bin belongs on PATH",
    error=r"^Error(?: \(\d+\))?:",
    files=_files,
    outputs=_outputs,
    read=_read,
)
