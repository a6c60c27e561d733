"""Reports: an immutable mapping that prints, is stored, and does not trust what it reads."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.building.job import Target
from bitsmith.errors import ProjectError
from bitsmith.model import Model
from bitsmith.report import Report, read_report
from bitsmith.report.folder import write_report
from bitsmith.report.html import page
from bitsmith.report.sections import SECTIONS as NAMES
from bitsmith.report.sections import LayerFidelity, Timing
from bitsmith.report.shown import Shown
from bitsmith.report.terminal import as_html
from tests.report.networks import lowered, residual
from tests.report.reports import PART, SECTIONS, design, full_report


def test_is_a_mapping_with_only_the_sections_that_ran_in_a_fixed_order() -> None:
    report = Report({"Stages": [], "Latency": {"Cycles": 3, "II": 1, "Tool": "t"}})
    assert list(report) == ["Latency", "Stages"]
    assert report["Latency"] == {"Cycles": 3, "II": 1, "Tool": "t"}
    with pytest.raises(KeyError):
        report["Resources"]
    assert set(SECTIONS) <= set(NAMES)


def test_does_not_change_through_what_it_was_made_of_nor_through_what_it_hands_out() -> None:
    files = {"Top": "top.sv"}
    report = Report({"Files": files, "Stages": [{"Name": "a"}]})
    files["Top"] = "other.sv"
    handed_out = report["Stages"]
    assert isinstance(handed_out, list)
    handed_out[0]["Name"] = "b"
    assert report["Files"] == {"Top": "top.sv"}
    assert report["Stages"] == [{"Name": "a"}]


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"Ressources": {}}, "Ressources"),
        ({"Resources": {"LUT": "12"}}, "Resources.LUT"),
        ({"Resources": {"LUT": True}}, "Resources.LUT"),
        ({"Resources": {"LUT": 1.5}}, "Resources.LUT"),
        ({"Timing": {"FmaxMHz": float("nan")}}, "Timing.FmaxMHz"),
        ({"Timing": {"FmaxMHz": -5.0}}, "Timing.FmaxMHz"),
        ({"Resources": {"LUT": -1}}, "Resources.LUT"),
        ({"Utilization": [{"Cell": "LUT", "Used": -1}]}, "Utilization.Used"),
        ({"Resources": {"LUT": -(10**400)}}, "Resources.LUT"),
        ({"Latency": [1]}, "Latency"),
        ({"Stages": "all"}, "Stages"),
        ({"Stages": [{"Seconds": "long"}]}, "Stages.Seconds"),
        ({"Files": {"Top": {"nested": 1}}}, "Files.Top"),
        ({"Files": {"Top": 3}}, "Files.Top"),
    ],
)
def test_refuses_what_no_build_writes(sections: dict[str, object], found: str) -> None:
    with pytest.raises(ProjectError, match=found):
        Report(sections)


def test_json_round_trip_keeps_sections_and_design() -> None:
    report = full_report()
    again = Report.from_json(report.to_json())
    assert dict(again) == dict(report)
    assert again.design == report.design
    assert again.to_json() == report.to_json()


def test_with_section_adds_one_and_keeps_the_design() -> None:
    report = full_report().with_section("Accuracy", {"Float": 0.97, "Fixed": 0.96, "Samples": 360})
    assert report["Accuracy"] == {"Float": 0.97, "Fixed": 0.96, "Samples": 360}
    assert report.design == design()
    assert "Accuracy" not in full_report()


def test_one_screen_with_the_verdict_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    lines = str(full_report()).splitlines()
    assert len(lines) <= 24
    assert lines[0].startswith("residual: verified on 1,000 inputs; fits (")
    assert lines[0].endswith("clock 125 MHz (100 MHz asked)")
    assert any(re.match(r" Verified +bit-exact +equals the emulator: 1,000 inputs", line) for line in lines)
    assert any(re.match(r" LUT +2,500 +yosys 0.70", line) for line in lines)
    assert "details()" in lines[-1]


@pytest.mark.parametrize(
    ("sections", "first"),
    [
        ({"Verification": {"Inputs": 1000, "Mismatches": 3}}, "NOT verified: 3 of 1,000 inputs differ"),
        ({"Resources": {"LUT": 90_000}}, "does NOT fit: 90,000 LUTs of 83,640"),
        ({"Resources": {"LUT": 41_820, "DSP": 15}}, r"; fits \(50 % of the part's LUTs\)"),
        ({"Resources": {"LUT": 836, "DSP": 78}}, r"; fits \(50 % of the part's DSPs\)"),
        ({"Resources": {"LUT": 83_640}}, r"; fits \(100 % of the part's LUTs\)"),
        ({"Timing": {"FmaxMHz": 80.0}}, r"clock MISSED: 80 MHz \(100 MHz asked\)"),
        ({"Timing": {"FmaxMHz": 100.0}}, r"clock 100 MHz \(100 MHz asked\)"),
    ],
)
def test_the_verdict_says_what_is_wrong(
    sections: dict[str, dict[str, object]], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    report = full_report()
    for name, section in sections.items():
        report = report.with_section(name, section)
    assert re.search(first, str(report).splitlines()[0])
    assert re.search(first.removeprefix("; "), html.unescape(page(report)), re.IGNORECASE)


def test_estimates_are_expected_to_fit() -> None:
    report = Report({"Estimate": {"LUT": 8364}}, design())
    assert "expected to fit (10 % of the part's LUTs)" in str(report)


def test_the_port_and_counters_of_a_board_count_where_the_circuit_is_to_fit() -> None:
    figures = {"LUT": 8364, "PortLUT": 16_728, "CountersLUT": 8364, "BRAM": 1, "PortBRAM": 2, "CountersBRAM": 500}
    report = Report({"Estimate": figures}, design())
    assert re.search(r"does NOT fit: .*503 memory blocks", str(report))
    report = Report({"Estimate": figures | {"CountersBRAM": 3}}, design())
    assert "expected to fit (40 % of the part's LUTs)" in str(report)


def test_details_have_each_figure_with_its_tool() -> None:
    lines = full_report().details().splitlines()
    (fmax,) = [line for line in lines if "Fmax" in line]
    assert "125 MHz" in fmax
    assert "nextpnr-ecp5 0.11" in fmax
    (luts,) = [line for line in lines if line.strip().startswith("LUT")]
    assert "2,500" in luts
    assert "yosys 0.70" in luts
    (total,) = [line for line in lines if "Total" in line]
    assert "3.5" in total, "time that the cache saved is not spent"


def test_an_empty_report_says_so() -> None:
    assert "Nothing has been run" in str(Report({}))


def test_names_are_never_markup() -> None:
    assert "[red]" in str(Report({"Files": {"[red]x[/red]": "[bold]y"}}))


def test_write_and_read_back(tmp_path: Path) -> None:
    data, page = write_report(full_report(), tmp_path / "project")
    assert data.name == "report.json"
    assert page.name == "report.html"
    assert dict(read_report(tmp_path / "project")) == dict(full_report())
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["report.html", "report.json"]


def test_read_says_what_to_do_where_there_is_no_build(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no such folder(.|\n)*output_dir"):
        read_report(tmp_path / "nowhere")
    with pytest.raises(ProjectError, match=r"no finished build(.|\n)*bitsmith build"):
        read_report(tmp_path)


def test_a_vendor_project_without_results_is_no_build(tmp_path: Path) -> None:
    (tmp_path / "myproject_prj").mkdir()
    (tmp_path / "myproject_prj" / "vivado_hls.app").write_text("<project/>")
    with pytest.raises(ProjectError, match="no finished build"):
        read_report(tmp_path)


_GOOD = {"format": "bitsmith report", "version": 1, "sections": {}, "design": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        json.dumps({**_GOOD, "format": "other"}),
        json.dumps({**_GOOD, "version": 2}),
        json.dumps({**_GOOD, "sections": []}),
        json.dumps({**_GOOD, "sections": {"Timing": {"FmaxMHz": 1e308}}}).replace("1e+308", "1e999"),
        json.dumps({**_GOOD, "sections": {"Timing": {"FmaxMHz": float("inf")}}}),
        json.dumps({**_GOOD, "sections": {"Latency": {"Cycles": 0}}}).replace('"Cycles": 0', '"Cycles": 1' + "0" * 400),
        json.dumps({**_GOOD, "design": {"name": "x"}}),
        json.dumps({**_GOOD, "design": 3}),
    ],
)
def test_damaged_files_are_one_typed_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ProjectError, match=r"report\.json"):
        read_report(tmp_path)


def test_a_report_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError, match="not text"):
        read_report(tmp_path)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(data=st.data())
def test_a_report_with_any_part_replaced_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(full_report().to_json())
    place = document
    for _ in range(data.draw(st.integers(0, 5))):
        inner = [
            value
            for value in (place.values() if isinstance(place, dict) else place)
            if value and isinstance(value, (dict, list))
        ]
        if not inner:
            break
        place = data.draw(st.sampled_from(inner))
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(_json)
    try:
        report = Report.from_json(json.dumps(document))
    except ProjectError:
        return
    assert str(report)
    assert page(report).endswith("</html>")


def test_notebooks_show_tables_without_markup_of_models(tmp_path: Path) -> None:
    assert "&lt;b&gt;" in Report(SECTIONS, design("<b>", ("<b>",)))._repr_html_()
    network = residual()
    model = Model(network, lowered(network), Target(tmp_path, "residual", PART, 10.0))
    shown = model._repr_html_()
    assert shown.startswith("<pre") and "hidden" in shown and "<svg" in shown
    assert repr(model).startswith("<Model residual: 5 layers, 66 parameters")
    assert model.fidelity._repr_html_().startswith(as_html(str(model.fidelity)))
    printed: list[Shown] = [model.losses(np.ones((1, 4))), model.plan()]
    for value in printed:
        assert value._repr_html_() == as_html(str(value)) and "object at" not in str(value)


def test_notebooks_show_bits_errors_and_area_as_bars(tmp_path: Path) -> None:
    """Bars are as long as their share: of the part, of the largest layer, of the most bits, of six powers of ten."""
    cells = [{"Layer": "<a>", "LUT": 300}, {"Layer": "b", "LUT": 75}, {"LUT": 25}]
    shown = Report({"Resources": {"LUT": 400, "Part": PART, "Tool": "t"}, "Layers": cells})._repr_html_()
    assert ("LUT", "0.48", "400 of 83,640 (0.478 %)") in _bars(shown)
    assert _bars(shown)[-3:] == [
        ("&lt;a&gt;", "100.00", "300 LUTs (75 %)"),
        ("b", "25.00", "75 LUTs (19 %)"),
        ("between layers", "8.33", "25 LUTs (6.2 %)"),
    ]
    model = Model(residual(), lowered(residual()), Target(tmp_path, "residual", PART, 10.0))
    results = {row.name: row.result for row in model.get_layers() if row.result is not None}
    bars = _bars(model._repr_html_())
    assert {name: text for name, _, text in bars} == {name: f"{result.bits} bits" for name, result in results.items()}
    most = max(result.width_max for result in results.values())
    lengths = {name: f"{100 * result.width_max / most:.2f}" for name, result in results.items()}
    assert {name: length for name, length, _ in bars} == lengths
    errors = [LayerFidelity(layer=name, error=error, own=0.0) for name, error in (("x", 0.0), ("y", 1e-3), ("z", 1.0))]
    assert _bars(replace(model.fidelity, rows=tuple(errors))._repr_html_()) == [
        ("x", "0.00", "exact"),
        ("y", "50.00", "0.1 %, own 0 %"),
        ("z", "100.00", "100 %, own 0 %"),
    ]


def _bars(shown: str) -> list[tuple[str, str, str]]:
    """Labels, lengths in percent and texts."""
    return re.findall(
        r"<div>([^<]*)</div><div [^>]*><div style=\"width: ([\d.]+)%[^>]*></div></div><div>([^<]*)</div>", shown
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Timing(clock_period_ns=9.0, slack_ns=1.0), ""),
        (Timing(), ""),
        (
            Timing(clock_period_ns=14.374, slack_ns=-4.374, path="dense_3_softmax"),
            "The clock of 10 ns (100 MHz) is not reached: the slowest path in dense_3_softmax takes 14.37 ns, so that the "
            "circuit runs at up to 69.57 MHz.",
        ),
    ],
)
def test_a_clock_that_is_not_reached_is_one_sentence(found: Timing, said: str) -> None:
    assert found.missed.startswith(said)
    assert bool(found.missed) == bool(said)
