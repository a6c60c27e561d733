"""Reports as a build makes them."""

from __future__ import annotations

from bitsmith.report import Report
from bitsmith.report.summary import Design, rows
from tests.report.networks import lowered, residual

PART = "LFE5U-85F-6BG381C"

SECTIONS: dict[str, object] = {
    "Verification": {"Inputs": 1000, "Mismatches": 0, "Tool": "verilator 5.48"},
    "Latency": {"Cycles": 7, "II": 1, "Tool": "verilator 5.48"},
    "Resources": {"LUT": 2500, "FF": 1000, "DSP": 3, "BRAM": 2, "Tool": "yosys 0.70", "Part": PART, "Family": "ecp5"},
    "Timing": {"FmaxMHz": 125.0, "ClockPeriodNs": 8.0, "Tool": "nextpnr-ecp5 0.11"},
    "Files": {"Top": "rtl/residual.sv"},
    "Stages": [
        {"Name": "co-simulation", "Seconds": 3.5, "Log": "cosim/run.log", "Cached": False},
        {"Name": "synthesis", "Seconds": 40.0, "Log": "synth/yosys.log", "Cached": True},
    ],
}


def design(name: str = "residual", notes: tuple[str, ...] = ("no calibration data",)) -> Design:
    """The residual network as it was built, with a range seen of its input."""
    network = residual(name)
    layers = rows(network, lowered(network), {"x": (-3.0, 2.5)})
    return Design(name, PART, 10.0, layers, network.outputs, notes)


def full_report() -> Report:
    """A report in which everything ran."""
    return Report(SECTIONS, design())
