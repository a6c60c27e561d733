"""Vendors' reports as sections of ours, and the report of a folder that both wrote to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitsmith.errors import ProjectError
from bitsmith.report import Report, read_report, read_vivado_report
from bitsmith.report.folder import measured, write_report
from tests.report.reports import full_report
from tests.report.vendor_projects import DATA, READERS, project

EXPECTED = {
    "vivado": {
        "Resources": {"LUT": 6000, "FF": 7000, "DSP": 20, "BRAM_18K": 5, "Tool": "Vivado 2019.2"},
        "Latency": {"Cycles": 15, "II": 3, "Tool": "Vivado HLS co-simulation"},
        "Timing": {"FmaxMHz": 150.943, "ClockPeriodNs": 6.625, "Tool": "Vivado 2019.2"},
    },
    "vitis": {
        "Resources": {"LUT": 77, "FF": 66, "DSP": 3, "BRAM_18K": 0, "URAM": 1, "Tool": "Vivado 2023.2"},
        "Latency": {"Cycles": 259, "Tool": "Vitis HLS co-simulation"},
        "Timing": {"FmaxMHz": 342.466, "ClockPeriodNs": 2.92, "Tool": "Vitis HLS 2023.2 (estimate)"},
    },
    "quartus": {
        "Resources": {"ALM": 8000.5, "FF": 21000, "DSP": 28, "RAM": 55, "MLAB": 11, "Tool": "Quartus"},
        "Latency": {"Cycles": 33, "II": 6, "Tool": "Intel HLS compiler"},
        "Timing": {"FmaxMHz": 305.25, "ClockPeriodNs": 3.276, "Tool": "Quartus"},
    },
    "oneapi": {
        "Resources": {"ALM": 700.5, "ALUT": 650, "FF": 1500, "DSP": 4, "RAM": 8, "MLAB": 2, "Tool": "Quartus"},
        "Latency": {"II": 4, "Longest loop": 120.0, "Tool": "the oneAPI compiler (estimate)"},
        "Timing": {"FmaxMHz": 420.25, "ClockPeriodNs": 2.3795, "Tool": "Quartus"},
    },
    "catapult": {
        "Resources": {"LUT": 77, "FF": 66, "DSP": 3, "BRAM_18K": 0, "URAM": 1, "Tool": "Vivado 2023.2"},
        "Timing": {"FmaxMHz": 195.122, "ClockPeriodNs": 5.125, "Tool": "Vivado 2019.2"},
    },
    "libero": {
        "Resources": {"LUT": 1236, "LSRAM": 2, "DSP": 7, "Tool": "Libero"},
        "Latency": {"Cycles": 15, "II": 3, "Tool": "SmartHLS co-simulation"},
        "Timing": {"FmaxMHz": 160.0, "ClockPeriodNs": 6.25, "Tool": "Libero, after place and route"},
    },
}


@pytest.mark.parametrize("vendor", READERS)
def test_figures_of_every_vendor(vendor: str) -> None:
    assert measured(DATA / vendor, 5.0) == EXPECTED[vendor]
    Report(measured(DATA / vendor, 5.0))


@pytest.mark.parametrize("vendor", READERS)
def test_the_folder_of_another_tool_has_a_report(vendor: str) -> None:
    assert read_report(DATA / vendor).section("Resources") == EXPECTED[vendor]["Resources"]


def test_stages_that_did_not_run_leave_what_is_known(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    (folder / "util.rpt").unlink()
    assert measured(folder)["Resources"]["LUT"] == 4321
    (folder / "vivado_synth.rpt").unlink()
    (folder / "jet_prj/solution1/sim/report/jet_cosim.rpt").unlink()
    found = measured(folder)
    assert found["Resources"]["LUT"] == 5678
    assert found["Latency"] == {"Cycles": 15, "II": 3, "Tool": "Vivado HLS 2019.2 (estimate)"}


def test_a_slack_without_its_period_is_no_clock(tmp_path: Path) -> None:
    assert "Timing" not in measured(project("catapult", tmp_path))


def test_a_folder_without_reports_has_no_figures(tmp_path: Path) -> None:
    assert measured(tmp_path) == {}


def test_a_damaged_report_is_named(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    (folder / "vivado_synth.rpt").write_text("nothing")
    with pytest.raises(ProjectError, match=r"vivado_synth\.rpt"):
        read_report(folder)


def test_a_tool_started_after_our_build_is_believed(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    data, _ = write_report(full_report(), folder)
    built = data.stat().st_mtime
    for report in folder.rglob("*.*"):
        os.utime(report, (built - 60, built - 60))
    os.utime(data, (built, built))
    assert read_report(folder) == full_report(), "reports from before our build are of other sources"
    os.utime(folder / "vivado_synth.rpt", (built + 60, built + 60))
    found = read_report(folder)
    assert found.section("Resources")["LUT"] == 6000
    assert found.section("Verification") == full_report().section("Verification")


def test_familiar_report_leaves_out_what_is_of_other_sources(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    without = Report({"Verification": {"Inputs": 3, "Mismatches": 0, "Tool": "g++ 12", "Method": "C simulation"}})
    data, _ = write_report(without, folder)
    later = data.stat().st_mtime + 60
    os.utime(data, (later, later))
    assert read_vivado_report(folder) == dict(without)
    os.utime(folder / "vivado_synth.rpt", (later + 60, later + 60))
    assert read_vivado_report(folder)["VivadoSynthReport"] == {
        "LUT": 4321,
        "FF": 987,
        "DSP48E": 20,
        "BRAM_18K": 3,
        "Tool": "Vivado 2019.2",
    }
