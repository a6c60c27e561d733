"""Readers of the reports of Intel's compilers: the Intel HLS compiler and oneAPI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bitsmith.report import parse_oneapi_report, parse_quartus_report, print_oneapi_report, read_quartus_report
from bitsmith.vendors import oneapi, quartus
from tests.report.vendor_projects import DATA, project, section_named, with_types

_QUARTUS = {
    "HLS Estimate ALUT": 12000,
    "HLS Estimate FF": 24000,
    "HLS Estimate RAM": 60,
    "HLS Estimate DSP": 30,
    "HLS Estimate MLAB": 12,
    "HLS Estimate ALUT (%)": 1.25,
    "HLS Estimate FF(%)": 1.25,
    "HLS Estimate RAM (%)": 3.0,
    "HLS Estimate DSP (%)": 2.0,
    "HLS Estimate MLAB (%)": 0.05,
    "Number of Invoations": 10,
    "Latency (MIN)": 31,
    "Latency (MAX)": 33,
    "Latency (AVG)": 32,
    "ii (MIN)": 5,
    "ii (MAX)": 6,
    "ii (AVG)": 5.5,
    "Clock": 305.25,
    "Quartus ALM": 8000.5,
    "Quartus REG": 21000,
    "Quartus DSP": 28,
    "Quartus RAM": 55,
    "Quartus MLAB": 11,
    "Tool": "area: Intel HLS compiler (estimate); latency: simulation by the Intel HLS compiler; clock and fit: Quartus",
}


def test_quartus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project("quartus", tmp_path)
    assert with_types(parse_quartus_report(folder)) == with_types(_QUARTUS)
    assert "Quartus ALM: 8000.5\n" in (folder / "synthesis-report.txt").read_text()
    assert capsys.readouterr().out == ""
    assert read_quartus_report(folder) == _QUARTUS
    assert "8,000.5" in capsys.readouterr().out


def test_quartus_before_simulation_and_fit(tmp_path: Path) -> None:
    folder = project("quartus", tmp_path)
    library = folder / "jet-fpga.prj/reports/lib"
    (library / "verification_data.js").write_text("var verifJSON={};\n")
    (library / "quartus_data.js").write_text('var quartusJSON={"quartusFitClockSummary":{"nodes":[{"clock":"TBD"}]}};')
    area = {key: value for key, value in _QUARTUS.items() if key.startswith("HLS")}
    assert parse_quartus_report(folder, write_to_file=False) == {**area, "Tool": "area: Intel HLS compiler (estimate)"}
    assert not (folder / "synthesis-report.txt").exists()
    (folder / "build_lib.sh").unlink()
    assert parse_quartus_report(folder)["HLS Estimate ALUT"] == 12000


def test_quartus_takes_the_compilers_shares_where_it_does_not_say_what_the_part_has(tmp_path: Path) -> None:
    folder = project("quartus", tmp_path)
    path = folder / "jet-fpga.prj/reports/lib/report_data.js"
    path.write_text('var areaJSON={"total":[1,2,3,4,5],"total_percent":[0.1,0.2,0.3,0.4,0.5]};')
    assert parse_quartus_report(folder)["HLS Estimate RAM (%)"] == 0.3


def test_quartus_under_our_names(tmp_path: Path) -> None:
    """The fit, or the compiler's estimate before it; the slowest of all invocations."""
    folder = project("quartus", tmp_path)
    fitted = {"ALM": 8000.5, "FF": 21000, "DSP": 28, "RAM": 55, "MLAB": 11, "Tool": "Quartus"}
    latency = {"Cycles": 33, "II": 6, "Tool": "Intel HLS compiler"}
    timing = {"FmaxMHz": 305.25, "ClockPeriodNs": round(1e3 / 305.25, 4), "Tool": "Quartus"}
    assert quartus.REPORTS.read(folder, None) == {"Resources": fitted, "Latency": latency, "Timing": timing}
    assert not (folder / "synthesis-report.txt").exists()
    library = folder / "jet-fpga.prj/reports/lib"
    (library / "quartus_data.js").write_text('var quartusJSON={"quartusFitClockSummary":{"nodes":[{"clock":"TBD"}]}};')
    estimate = {"ALUT": 12000, "FF": 24000, "DSP": 30, "RAM": 60, "MLAB": 12, "Tool": "Intel HLS compiler (estimate)"}
    assert quartus.REPORTS.read(folder, None) == {"Resources": estimate, "Latency": latency, "Timing": {}}
    (library / "verification_data.js").write_text("var verifJSON={};\n")
    assert quartus.REPORTS.read(folder, None) == {"Resources": estimate, "Latency": {}, "Timing": {}}


_ONEAPI = {
    "HLS": {
        "total": {"alut": 1000, "reg": 2000, "ram": 10, "dsp": 4, "mlab": 3},
        "available": {"alut": 974400, "reg": 1948800, "ram": 7110, "dsp": 4510, "mlab": 24360},
        "Tool": "the oneAPI compiler (estimate)",
    },
    "Loop": {"worstFrequency": 450.5, "worstII": 4, "worstLatency": 120.0, "Tool": "the oneAPI compiler (estimate)"},
}
_FIT = {"fmax": 420.25, "alm": 700.5, "alut": 650, "reg": 1500, "dsp": 4, "ram": 8, "mlab": 2, "Tool": "Quartus"}


def test_oneapi_has_every_target_under_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    report = parse_oneapi_report(DATA / "oneapi")
    assert with_types(report) == with_types({"fpga": {**_ONEAPI, "Quartus": _FIT}, "report": _ONEAPI})
    print_oneapi_report(report)
    shown = capsys.readouterr().out
    assert "fpga: Quartus" in shown
    assert "available reg" in shown


@pytest.mark.parametrize(("file", "section"), [("summary", "HLS"), ("loop_attr", "Loop"), ("quartus", "Quartus")])
def test_oneapi_without_one_file(file: str, section: str, tmp_path: Path) -> None:
    folder = project("oneapi", tmp_path)
    (folder / f"build/my_jet.fpga.prj/reports/resources/json/{file}.ndjson").unlink()
    assert set(section_named(parse_oneapi_report(folder), "fpga")) == {"HLS", "Loop", "Quartus"} - {section}


_FITTED = {"LUT": 650, "FF": 1500, "DSP": 4}
_ESTIMATED = {"LUT": 1000, "FF": 2000, "DSP": 4}
_LOOPS = {"II": 4, "Longest loop": 120.0}


@pytest.mark.parametrize(
    ("missing", "counts", "fmax_mhz", "tool"),
    [
        ((), _FITTED, 420.25, "Quartus"),
        (("quartus",), _ESTIMATED, 450.5, "the oneAPI compiler (estimate)"),
        (("loop_attr",), _FITTED, 420.25, "Quartus"),
        (("summary",), _FITTED, 420.25, "Quartus"),
        (("summary", "quartus"), {}, 450.5, "the oneAPI compiler (estimate)"),
        (("loop_attr", "quartus"), _ESTIMATED, None, None),
    ],
)
@pytest.mark.parametrize("target", ["fpga", "fpga_sim", "report"])
def test_oneapi_under_our_names(
    tmp_path: Path,
    target: str,
    missing: tuple[str, ...],
    counts: dict[str, int],
    fmax_mhz: float | None,
    tool: str | None,
) -> None:
    """The fit before the estimate; of several targets the one that is nearest to hardware."""
    folder = project("oneapi", tmp_path)
    (folder / "build/my_jet.fpga.prj").rename(folder / f"build/my_jet.{target}_.prj")
    shutil.rmtree(folder / "build/my_jet.report.prj")
    (folder / f"build/my_jet.{target}_.prj").rename(folder / f"build/my_jet.{target}.prj")
    other = folder / "build/my_jet.zebra.prj"
    shutil.copytree(folder / f"build/my_jet.{target}.prj", other)
    (other / "reports/resources/json/quartus.ndjson").unlink()
    for file in missing:
        (folder / f"build/my_jet.{target}.prj/reports/resources/json/{file}.ndjson").unlink()
    found = oneapi.REPORTS.read(folder, None)
    names = {"ALUT": "LUT", "FF": "FF", "DSP": "DSP"}
    area = {names[key]: value for key, value in found["Resources"].items() if key in names}
    assert area == counts
    assert ("ALM" in found["Resources"]) == ("quartus" not in missing)
    assert found["Resources"].get("Tool") == (None if not counts else tool or "the oneAPI compiler (estimate)")
    loops = {} if "loop_attr" in missing else {**_LOOPS, "Tool": "the oneAPI compiler (estimate)"}
    assert found["Latency"] == loops
    period = None if fmax_mhz is None else round(1e3 / fmax_mhz, 4)
    timing = {} if fmax_mhz is None else {"FmaxMHz": fmax_mhz, "ClockPeriodNs": period, "Tool": tool}
    assert found["Timing"] == timing


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        (("report", "fpga"), "fpga"),
        (("report", "fpga_sim"), "fpga_sim"),
        (("fpga_sim", "fpga", "report"), "fpga"),
        (("zebra",), "zebra"),
    ],
)
def test_oneapi_target_that_is_nearest_to_hardware(tmp_path: Path, targets: tuple[str, ...], chosen: str) -> None:
    source = DATA / "oneapi/build/my_jet.fpga.prj"
    for index, target in enumerate(targets):
        data = Path(shutil.copytree(source, tmp_path / f"my_jet.{target}.prj")) / "reports/resources/json"
        text = (data / "summary.ndjson").read_text().replace("[1000, 2000", f"[{1001 + index}, 2000")
        (data / "summary.ndjson").write_text(text)
        (data / "quartus.ndjson").unlink()
    assert oneapi.REPORTS.read(tmp_path, None)["Resources"]["ALUT"] == 1001 + targets.index(chosen)


def test_oneapi_counts_shared_multipliers_where_the_compiler_does(tmp_path: Path) -> None:
    folder = project("oneapi", tmp_path)
    path = folder / "build/my_jet.fpga.prj/reports/resources/json/summary.ndjson"
    path.write_text(path.read_text().replace("[1000, 2000, 10, 4, 3]", "[1000, 2000, 10, 0, 3, 80]"))
    total = section_named(section_named(section_named(parse_oneapi_report(folder), "fpga"), "HLS"), "total")
    assert (total["dsp"], total["frac_dsp"]) == (0, 80)
