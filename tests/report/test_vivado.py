"""The familiar dictionary: known keys, numbers, and who measured them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.errors import ProjectError
from bitsmith.report import Report, parse_vivado_report, print_vivado_report, read_vivado_report
from bitsmith.report.familiar import familiar
from bitsmith.report.folder import write_report
from tests.report.reports import PART, SECTIONS, design, full_report


def test_familiar_keys_hold_what_was_measured() -> None:
    report = familiar(full_report())
    assert report["CSynthesisReport"] == {
        "TargetClockPeriod": 10.0,
        "EstimatedClockPeriod": 8.0,
        "BestLatency": 7,
        "WorstLatency": 7,
        "IntervalMin": 1,
        "IntervalMax": 1,
        "BRAM_18K": 2,
        "DSP": 3,
        "FF": 1000,
        "LUT": 2500,
        "AvailableBRAM_18K": 208,
        "AvailableDSP": 156,
        "AvailableFF": 83640,
        "AvailableLUT": 83640,
        "Tool": "area: yosys 0.70; latency: verilator 5.48; clock: nextpnr-ecp5 0.11",
    }
    assert report["VivadoSynthReport"] == {"LUT": 2500, "FF": 1000, "BRAM_18K": 2, "DSP48E": 3, "Tool": "yosys 0.70"}
    assert report["TimingReport"] == {"WNS": 2.0, "Tool": "nextpnr-ecp5 0.11"}
    cosim = report["CosimReport"]
    assert isinstance(cosim, dict)
    assert (cosim["Status"], cosim["LatencyMin"], cosim["LatencyMax"], cosim["IntervalMax"]) == ("Pass", 7, 7, 1)


def test_our_own_sections_stand_beside_them() -> None:
    assert {name: familiar(full_report())[name] for name in SECTIONS} == SECTIONS


def test_only_what_ran_is_there() -> None:
    report = familiar(Report({"Latency": {"Cycles": 3, "II": 1, "Tool": "t"}}, design()))
    assert set(report) == {"CSynthesisReport", "Latency"}
    synthesis = report["CSynthesisReport"]
    assert isinstance(synthesis, dict)
    assert set(synthesis) == {"BestLatency", "WorstLatency", "IntervalMin", "IntervalMax", "Tool"}
    assert familiar(Report({})) == {}


def test_a_mismatch_is_a_failed_cosimulation() -> None:
    report = familiar(Report({"Verification": {"Inputs": 10, "Mismatches": 2, "Tool": "t"}}))
    assert report["CosimReport"] == {"RTL": "SystemVerilog", "Status": "Fail", "Tool": "t"}


def test_a_c_simulation_is_no_cosimulation() -> None:
    verified = {"Inputs": 3, "Mismatches": 0, "Tool": "g++ 12", "Method": "C simulation"}
    assert familiar(Report({"Verification": verified})) == {"Verification": verified}


def test_block_memories_of_amd_are_counted_in_halves() -> None:
    report = familiar(Report({"Resources": {"BRAM": 3, "Part": "xcvu13p-flga2577-2-e", "Tool": "t"}}))
    synthesis = report["CSynthesisReport"]
    assert isinstance(synthesis, dict)
    assert synthesis["BRAM_18K"] == 3
    assert synthesis["AvailableBRAM_18K"] == 2 * 2688


def test_ultraram_is_shown_where_it_was_counted() -> None:
    report = familiar(Report({"Resources": {"URAM": 3, "Part": "xczu7ev", "Tool": "t"}}))
    assert report["CSynthesisReport"] == {"URAM": 3, "AvailableURAM": 96, **report["CSynthesisReport"]}  # type: ignore[dict-item]
    assert report["VivadoSynthReport"] == {"URAM": 3, "Tool": "t"}


def test_smaller_block_memories_are_parts_of_the_familiar_unit() -> None:
    report = Report({"Resources": {"BRAM": 9, "Part": "ice40hx8k-ct256", "Tool": "yosys"}})
    assert familiar(report)["CSynthesisReport"]["BRAM_18K"] == 2  # type: ignore[index]  # of 4 Kibit each


def test_an_unknown_part_has_no_capacity() -> None:
    report = familiar(Report({"Resources": {"BRAM": 1, "LUT": 5, "Part": "xc99", "Tool": "t"}}))
    assert report["CSynthesisReport"] == {"BRAM_18K": 1, "LUT": 5, "Tool": "area: t"}


def test_read_prints_and_returns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(full_report(), tmp_path)
    report = read_vivado_report(tmp_path)
    brief = capsys.readouterr().out
    assert report == familiar(full_report())
    assert "CSynthesisReport" in brief
    assert "AvailableLUT" in brief
    assert PART in brief
    assert "synth/yosys.log" not in brief
    read_vivado_report(str(tmp_path), full_report=True)
    assert "synth/yosys.log" in capsys.readouterr().out


def test_parse_prints_nothing_and_print_takes_its_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(full_report(), tmp_path)
    report = parse_vivado_report(tmp_path)
    assert capsys.readouterr().out == ""
    print_vivado_report(report)
    assert "CosimReport" in capsys.readouterr().out


def test_no_build_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no finished build"):
        read_vivado_report(tmp_path)
