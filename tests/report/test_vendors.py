"""Readers of vendors' reports: the familiar keys, numbers that are numbers, and only stages that have run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bitsmith.errors import ProjectError
from bitsmith.report import (
    Report,
    parse_catapult_report,
    parse_libero_report,
    parse_vivado_report,
    qofr,
    read_catapult_report,
    read_vivado_report,
)
from bitsmith.report.folder import write_report
from bitsmith.vendors import vivado_project
from tests.report.reports import full_report
from tests.report.vendor_projects import DATA, READERS, project, section_named, with_types

_VIVADO = {
    "CSimResults": [[0.25, 0.5, -1], [1.5, 0, 0.0009765625]],
    "CosimResults": [[0.25, 0.5, -1], [1.5, 0, 0.0009765625]],
    "CSynthesisReport": {
        "TargetClockPeriod": 6.5,
        "EstimatedClockPeriod": 5.312,
        "BestLatency": 13,
        "WorstLatency": 15,
        "IntervalMin": 2,
        "IntervalMax": 3,
        "BRAM_18K": 4,
        "DSP": 21,
        "FF": 1234,
        "LUT": 5678,
        "URAM": 0,
        "AvailableBRAM_18K": 120,
        "AvailableDSP": 80,
        "AvailableFF": 35200,
        "AvailableLUT": 17600,
        "AvailableURAM": 0,
        "Tool": "Vivado HLS 2019.2 (estimate)",
    },
    "VivadoSynthReport": {"LUT": 4321, "FF": 987, "BRAM_18K": 3, "DSP48E": 20, "Tool": "Vivado 2019.2"},
    "CosimReport": {
        "RTL": "Verilog",
        "Status": "Pass",
        "LatencyMin": 13,
        "LatencyAvg": 43 / 3,
        "LatencyMax": 15,
        "IntervalMin": 2,
        "IntervalAvg": 2.5,
        "IntervalMax": 3,
        "Tool": "Vivado HLS co-simulation",
    },
    "ImplementationReport": {
        "TotLUTs": 6000,
        "TotLUTs%": 34.09,
        "LogicLUTs": 5900,
        "LogicLUTs%": 33.52,
        "LUTRAMs": 60,
        "LUTRAMs%": 1.0,
        "SRLs": 40,
        "SRLs%": 0.67,
        "FFs": 7000,
        "FFs%": 19.89,
        "RAMB36s": 2,
        "RAMB36s%": 3.33,
        "RAMB18s": 1,
        "RAMB18s%": 0.83,
        "DSPs": 20,
        "DSPs%": 25.0,
        "Tool": "Vivado 2019.2",
    },
    "TimingReport": {
        "WNS": -0.125,
        "TNS": -1.5,
        "WHS": 0.031,
        "THS": 0.0,
        "WPWS": 2.75,
        "TPWS": 0.0,
        "Tool": "Vivado 2019.2",
    },
}

_VIVADO_FILES = {
    "CSimResults": "tb_data/csim_results.log",
    "CosimResults": "tb_data/rtl_cosim_results.log",
    "CSynthesisReport": "jet_prj/solution1/syn/report/jet_csynth.xml",
    "VivadoSynthReport": "vivado_synth.rpt",
    "CosimReport": "jet_prj/solution1/sim/report/jet_cosim.rpt",
    "ImplementationReport": "util.rpt",
    "TimingReport": "jet_vivado_accelerator/project_1.runs/impl_1/design_1_wrapper_timing_summary_routed.rpt",
}


def test_every_section_of_a_vivado_hls_project() -> None:
    assert with_types(parse_vivado_report(DATA / "vivado")) == with_types(_VIVADO)


@pytest.mark.parametrize("missing", _VIVADO_FILES)
def test_a_stage_that_has_not_run_has_no_section(missing: str, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    (folder / _VIVADO_FILES[missing]).unlink()
    assert set(parse_vivado_report(folder)) == set(_VIVADO) - {missing}


@pytest.mark.parametrize(("spoiled", "memories"), [("", 5), ("RAMB36", None), ("RAMB18", None)])
def test_block_memories_are_both_sizes_or_not_known(spoiled: str, memories: int | None, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    path = folder / "util.rpt"
    path.write_text(path.read_text().replace(spoiled, "Other", bool(spoiled)))
    resources = vivado_project.REPORTS.read(folder, None)["Resources"]
    assert resources.get("BRAM_18K") == memories
    assert (resources["LUT"], resources["DSP"]) == (6000, 20)


def test_without_transactions_the_table_of_the_cosimulation_counts(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    (folder / "jet_prj/solution1/sim/verilog/jet.performance.result.transaction.xml").unlink()
    report = section_named(parse_vivado_report(folder), "CosimReport")
    assert (report["LatencyAvg"], report["IntervalAvg"]) == (14, 2)


def test_a_vitis_project_without_script_is_found_and_what_is_undefined_is_absent() -> None:
    report = parse_vivado_report(DATA / "vitis")
    assert report["CSynthesisReport"] == {
        "TargetClockPeriod": 4.0,
        "EstimatedClockPeriod": 2.92,
        "IntervalMin": 7,
        "DSP": 3,
        "FF": 70,
        "LUT": 81,
        "BRAM_18K": 0,
        "URAM": 1,
        "AvailableDSP": 360,
        "AvailableFF": 141120,
        "AvailableLUT": 70560,
        "AvailableBRAM_18K": 432,
        "AvailableURAM": 0,
        "Tool": "Vitis HLS 2023.2 (estimate)",
    }
    assert report["CosimReport"] == {
        "RTL": "Verilog",
        "Status": "Pass",
        "LatencyMin": 259,
        "LatencyAvg": 259,
        "LatencyMax": 259,
        "Tool": "Vitis HLS co-simulation",
    }
    assert section_named(report, "VivadoSynthReport")["URAM"] == 1


def test_a_cosimulation_that_failed_says_so(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    path = folder / "tiny_prj/s1/sim/report/tiny_cosim.rpt"
    path.write_text(path.read_text().replace("Pass", "Fail").replace("259", " NA"))
    assert parse_vivado_report(folder)["CosimReport"] == {
        "RTL": "Verilog",
        "Status": "Fail",
        "Tool": "Vitis HLS co-simulation",
    }


def test_a_language_that_was_not_simulated_is_no_cosimulation(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    path = folder / "tiny_prj/s1/sim/report/tiny_cosim.rpt"
    path.write_text(path.read_text().replace("Pass", "  NA"))
    assert "CosimReport" not in parse_vivado_report(folder)


def test_an_accelerator_has_a_top_function_of_its_own(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    script, index = folder / "project.tcl", folder / "jet_prj/vivado_hls.app"
    script.write_text(script.read_text().replace('"vivado"', '"vivadoaccelerator"'))
    index.write_text(index.read_text().replace(' top="jet"', ""))
    reports = folder / "jet_prj/solution1/syn/report"
    (reports / "jet_csynth.xml").rename(reports / "jet_axi_csynth.xml")
    assert section_named(parse_vivado_report(folder), "CSynthesisReport")["DSP"] == 21


def test_a_bitsmith_build_in_the_same_folder_stands_beside_the_vendor(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    stages = [{"Name": "synth", "Seconds": 1.0, "Log": "logs/synth.log", "Cached": False}]
    write_report(Report({**dict(full_report()), "Stages": stages}), folder)
    report = parse_vivado_report(folder)
    assert section_named(report, "CSynthesisReport")["Tool"] == "Vitis HLS 2023.2 (estimate)"
    assert section_named(report, "Verification")["Inputs"] == 1000


def test_a_vendor_project_in_which_nothing_has_run(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    shutil.rmtree(folder / "tiny_prj/s1")
    (folder / "vivado_synth.rpt").unlink()
    with pytest.raises(ProjectError, match="no report of Vitis HLS"):
        parse_vivado_report(folder)
    write_report(full_report(), folder)
    assert "Verification" in parse_vivado_report(folder)


def test_two_projects_without_a_script_are_a_question(tmp_path: Path) -> None:
    folder = project("vitis", tmp_path)
    shutil.copytree(folder / "tiny_prj", folder / "other_prj")
    with pytest.raises(ProjectError, match="several HLS projects: other_prj, tiny_prj"):
        parse_vivado_report(folder)


def test_reading_prints_tables_and_on_request_the_vendors_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_vivado_report(DATA / "vivado") == _VIVADO
    brief = capsys.readouterr().out
    assert "EstimatedClockPeriod" in brief
    assert "34.09" in brief
    assert "Vivado HLS Report for" not in brief
    read_vivado_report(str(DATA / "vivado"), full_report=True)
    assert "== Vivado HLS Report for 'jet'" in capsys.readouterr().out


def test_catapult_reads_the_newest_solution(capsys: pytest.CaptureFixture[str]) -> None:
    report = parse_catapult_report(DATA / "catapult")
    assert report == {
        "CSimResults": _VIVADO["CSimResults"],
        "UtilizationReport": {"LUT": 77, "FF": 66, "BRAM_18K": 0, "URAM": 1, "DSP48E": 3, "Tool": "Vivado 2023.2"},
        "TimingReport": _VIVADO["TimingReport"],
        "PerLayerQOFR": ["Layer   Area   Latency", "dense   120.5       3"],
    }
    qofr(report)
    assert capsys.readouterr().out == "Layer   Area   Latency\ndense   120.5       3\n"
    assert read_catapult_report(DATA / "catapult", full_report=True) == report
    assert "Solution: jet.v10" in capsys.readouterr().out


def test_catapult_prefers_the_project_made_last(tmp_path: Path) -> None:
    folder = project("catapult", tmp_path)
    newer = folder / "jet_prj_2/jet.v1"
    newer.mkdir(parents=True)
    (newer / "nnet_layer_results.txt").write_text("newest\n")
    (folder / "jet_prj_2/jet.v2").write_text("a file is no solution")
    assert parse_catapult_report(folder) == {"CSimResults": _VIVADO["CSimResults"], "PerLayerQOFR": ["newest"]}


_LIBERO = {
    "Simulation Result": {
        "Number of calls": 1000,
        "Simulation time (cycles)": 2345,
        "Call Latency (min/max/avg)": [13, 15, 14.25],
        "Call II (min/max/avg)": [2, 3, 2.5],
        "Status": "PASS",
        "Tool": "SmartHLS co-simulation",
    },
    "Timing Result": {
        "Target Period": 8.0,
        "Target Fmax": 125.0,
        "Worst Slack": 1.75,
        "Period": 6.25,
        "Fmax": 160.0,
        "Tool": "Libero, after place and route",
    },
    "Resource Usage": {
        "Fabric + Interface 4LUT*": {"Used": 1236, "Total": 299544, "Percentage": 0.41, "Tool": "Libero"},
        "LSRAM": {"Used": 2, "Total": 952, "Percentage": 0.21, "Tool": "Libero"},
        "Math": {"Used": 7, "Total": 924, "Percentage": 0.76, "Tool": "Libero"},
    },
}


def test_libero() -> None:
    assert with_types(parse_libero_report(DATA / "libero")) == with_types(_LIBERO)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_libero_step_that_has_not_run(at: int, tmp_path: Path) -> None:
    folder = project("libero", tmp_path)
    path = folder / "hls_output/reports/summary.results.rpt"
    parts = path.read_text().split("\n====== ")
    parts[at] = parts[at].splitlines()[0] + "\n\nN/A. Please run that step to obtain the result.\n"
    path.write_text("\n====== ".join(parts))
    name = list(_LIBERO)[at - 1]
    assert parse_libero_report(folder) == {key: value for key, value in _LIBERO.items() if key != name}


def test_libero_of_a_single_call(tmp_path: Path) -> None:
    """A row of MicrochipTech/fpga-hls-examples, Training1/readme.md."""
    folder = project("libero", tmp_path)
    file = folder / "hls_output" / "reports" / "summary.results.rpt"
    row = "| jet_top        | 1               | 88,021                   | 88,019 (single call)       | N/A (single call)     |"
    text, count = re.subn(r"(?m)^\| jet_top .*$", row, file.read_text())
    file.write_text(text)
    simulated = parse_libero_report(folder)["Simulation Result"]
    assert count == 1 and isinstance(simulated, dict)
    assert simulated["Call Latency (min/max/avg)"] == [88019, 88019, 88019]
    assert "Call II (min/max/avg)" not in simulated and simulated["Status"] == "PASS"


def test_libero_of_older_versions_writes_lines_instead_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "hls_output/reports/summary.results.rpt"
    path.parent.mkdir(parents=True)
    path.write_text(
        "====== 1. Simulation Result ======\n\nNumber of calls: 16,800\nCycle latency: 151,200\n"
        "SW/HW co-simulation: PASS\n"
    )
    assert parse_libero_report(tmp_path) == {
        "Simulation Result": {
            "Number of calls": 16800,
            "Simulation time (cycles)": 151200,
            "Status": "PASS",
            "Tool": "SmartHLS co-simulation",
        }
    }


@pytest.mark.parametrize("name", READERS)
def test_no_folder_and_an_empty_folder_are_typed_errors(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no such folder"):
        READERS[name](tmp_path / "nowhere")
    with pytest.raises(ProjectError, match=r"no (finished build|report of)|no report"):
        READERS[name](tmp_path)
