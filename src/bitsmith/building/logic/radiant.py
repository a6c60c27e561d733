"""Lattice Radiant (Nexus, iCE40 UltraPlus), which places circuits with pads only: shift registers stand around the circuit."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bitsmith.building.logic.tool import Found, LogicDesign, LogicTool, Step, figures, label
from bitsmith.report.sections import CellUse, Resources
from bitsmith.rtl.integration import Port
from bitsmith.rtl.names import Wrapper
from bitsmith.vendors.vendor import ReportFile

_IMPL = "impl_1"
_CELLS = re.compile(r"Number of (?P<cell>[A-Za-z0-9 /]+?)s?:\s+(?P<used>\d{1,15}) out of\s+(?P<available>\d{1,15})\b")
_ACTUAL = re.compile(r"\|\s*Actual \(all paths\)\s*\|\s*([\d.]+) ns")
_VERSION = re.compile(r"Radiant[^\n]*?(\d{4}\.\d(?:\.\d+)*)")


def _files(design: LogicDesign) -> Mapping[str, str]:
    clock = f"create_clock -name clk -period {design.period_ns:.3f} [get_ports clk]\n"
    return {f"{design.top}.sdc": clock, f"{Wrapper.PINS.of(design.top)}.sv": _pins(design)}


def _pins(design: LogicDesign) -> str:
    """A top with four ports, whose registers are all ports of the circuit."""
    inputs, outputs = design.of(True), design.of(False)
    all_in, all_out = (sum(port.width for port in ports) for ports in (inputs, outputs))
    connections = [".clk(clk)", *_slices(inputs, "given"), *_slices(outputs, "results")]
    body = ",\n".join(f"        {connection}" for connection in connections)
    return f"""// {design.top} with its ports in shift registers: Radiant has no pins for all of them.
module {Wrapper.PINS.of(design.top)} (
    input  logic clk,
    input  logic serial_in,
    input  logic load,
    output logic serial_out
);
    logic [{all_in - 1}:0] given;
    logic [{all_out - 1}:0] results;
    logic [{all_out - 1}:0] kept;

    assign serial_out = kept[{all_out - 1}];

    always_ff @(posedge clk) begin
        given <= {_shifted("given", all_in, "serial_in")};
        if (load) kept <= results;
        else kept <= {_shifted("kept", all_out, "1'b0")};
    end

    {design.top} core (
{body}
    );
endmodule
"""


def _shifted(name: str, width: int, bit: str) -> str:
    return f"{{{name}[{width - 2}:0], {bit}}}" if width > 1 else bit


def _slices(ports: Sequence[Port], word: str) -> list[str]:
    slices, low = [], 0
    for port in ports:
        high = low + port.width - 1
        slices.append(f".{port.name}({word}[{f'{high}:{low}' if port.is_vector else low}])")
        low = high + 1
    return slices


def _outputs(design: LogicDesign, step: Step) -> tuple[str, ...]:
    base = f"{_IMPL}/{design.top}_{_IMPL}"
    return (f"{base}.mrp",) if step is Step.SYNTH else (f"{base}.twr",)


def _read(folder: Path, design: LogicDesign, step: Step) -> Found:
    cells = ReportFile(folder / _outputs(design, Step.SYNTH)[0])
    text = cells.text()
    uses = {
        found["cell"]: CellUse(cell=found["cell"], used=int(found["used"]), available=int(found["available"]))
        for found in _CELLS.finditer(text)
    }
    if "LUT4" not in uses:
        raise cells.wrong("a map report without look-up tables")

    def count(cell: str) -> int | None:
        return uses[cell].used if cell in uses else None

    resources = Resources(
        lut=count("LUT4"),
        ff=count("slice register"),
        dsp=count("DSP"),
        bram=count("EBR"),
        tool=label("Radiant", _VERSION, text),
        part=design.part,
    )
    if step is Step.SYNTH:
        return Found(resources, tuple(uses.values()))
    return Found(
        resources,
        tuple(uses.values()),
        max(figures(_ACTUAL, "actual period", ReportFile(folder / _outputs(design, step)[0]))),
    )


RADIANT = LogicTool(
    key="radiant",
    name="Radiant",
    program="radiantc",
    arguments=(),
    parts=re.compile(r"(?i)(lifcl|lfd2nx|lfcpnx|lfmxo5|ut24c|ice40up)[a-z0-9]*(-[a-z0-9]+)*", re.ASCII),
    example="iCE40UP5K-SG48",
    install="Lattice's Radiant, whose folder bin/lin64 belongs on PATH",
    error=r"^ERROR\b",
    files=_files,
    outputs=_outputs,
    read=_read,
)
