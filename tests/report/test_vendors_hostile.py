"""Vendors' reports are untrusted: whatever they hold, a reader returns figures or raises one of our errors."""

from __future__ import annotations

import functools
import json
import math
import os
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import BitsmithError, ProjectError
from bitsmith.report import (
    parse_libero_report,
    parse_oneapi_report,
    parse_quartus_report,
    parse_vivado_report,
    print_vivado_report,
    qofr,
    read_vivado_report,
)
from bitsmith.vendors import vendor
from bitsmith.vendors.vendor import ReportFile
from tests.report.vendor_projects import DATA, FILES, READERS, project

_CSYNTH = "jet_prj/solution1/syn/report/jet_csynth.xml"
_LAUGHS = (
    '<!DOCTYPE profile [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
_EXTERNAL = '<!DOCTYPE profile [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_PARAMETER = '<!DOCTYPE profile SYSTEM "http://localhost:9/x.dtd">'


@pytest.mark.parametrize("document_type", [_LAUGHS, _EXTERNAL, _PARAMETER, "<!DOCTYPE profile>"])
@pytest.mark.parametrize("file", [_CSYNTH, "jet_prj/vivado_hls.app"])
def test_a_document_type_is_refused(document_type: str, file: str, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    path = folder / file
    path.write_text(document_type + path.read_text().replace(">5678<", ">&i;<").replace(">1234<", ">&e;<"))
    with pytest.raises(ProjectError, match=r"document type") as caught:
        parse_vivado_report(folder)
    assert caught.value.where == str(path)


def test_a_document_type_does_not_hide_in_another_encoding(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    text = f'<?xml version="1.0" encoding="utf-16"?>{_EXTERNAL}<profile>&e;</profile>'
    (folder / _CSYNTH).write_bytes(text.encode("utf-16"))
    with pytest.raises(ProjectError, match="document type"):
        parse_vivado_report(folder)


def test_elements_nested_without_end(tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    (folder / _CSYNTH).write_text("<a>" * 100_000 + "</a>" * 100_000)
    with pytest.raises(ProjectError, match="nested deeper"):
        parse_vivado_report(folder)


@pytest.mark.parametrize("part", ["<a/>", '<a b="1" c="2" d="3"/>'])
def test_more_elements_than_any_report_has(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "MAX_NODES", 1000)
    path = tmp_path / "many.xml"
    path.write_text(f"<profile>{part * 1000}</profile>")
    with pytest.raises(ProjectError, match="more than 1,000 elements"):
        ReportFile(path).xml()
    path.write_text(f"<profile>{part * 200}</profile>")
    assert len(ReportFile(path).xml()) == 200


def test_more_lists_than_any_report_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "MAX_NODES", 1000)
    with pytest.raises(ProjectError, match="more than 1,000 lists"):
        ReportFile(Path("x.js")).json("[" + "[]," * 999 + "{}]")
    assert ReportFile(Path("x.js")).json("[" + "[]," * 998 + "{}]") == [[]] * 998 + [{}]


def test_more_lines_than_any_report_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "MAX_NODES", 1000)
    path = tmp_path / "many.ndjson"
    path.write_text("1\n" * 1001)
    with pytest.raises(ProjectError, match="more than 1,000 lines"):
        ReportFile(path).json_lines()
    path.write_text("1\n\n" * 500)
    assert ReportFile(path).json_lines() == [1] * 500


def test_json_nested_without_end(tmp_path: Path) -> None:
    folder = project("oneapi", tmp_path)
    (folder / "build/my_jet.fpga.prj/reports/resources/json/summary.ndjson").write_text("[" * 200_000)
    with pytest.raises(ProjectError, match="not a readable JSON value"):
        parse_oneapi_report(folder)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_huge_file_is_refused_by_name(name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(name, tmp_path)
    unread = ("csynth.rpt", "rtl.rpt", "jet.v1/nnet_layer_results.txt", "jet.v9/nnet_layer_results.txt")
    monkeypatch.setattr(vendor, "MAX_BYTES", 1 << 20)
    with (folder / file).open("r+b") as opened:
        opened.truncate((1 << 20) + 1)
    if file.endswith(unread):
        assert READERS[name](folder)
        return
    with pytest.raises(ProjectError, match="more than 1 MiB") as caught:
        READERS[name](folder)
    assert caught.value.where == str(folder / file)


@pytest.mark.parametrize("value", ["12 apples", "0x10", "1e999", "9" * 40, "inf", "١٢", "1_000", "--5", "\x1b[2J"])
def test_a_figure_that_is_not_a_number_names_its_file(value: str, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    path = folder / "vivado_synth.rpt"
    path.write_text(path.read_text().replace("| 4321 |", f"| {value} |"))
    with pytest.raises(ProjectError, match="Slice LUTs") as caught:
        parse_vivado_report(folder)
    assert caught.value.where == str(path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("figure", ["1" * 400, "NaN", "Infinity", "1e400", "true", "{}", '"twelve"'])
def test_json_figures_that_no_report_can_hold(figure: str, tmp_path: Path) -> None:
    folder = project("quartus", tmp_path)
    path = folder / "jet-fpga.prj/reports/lib/report_data.js"
    path.write_text(f'var areaJSON={{"total":[{figure},2,3,4,5]}};')
    with pytest.raises(ProjectError) as caught:
        parse_quartus_report(folder)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("name", ["../../etc", "/etc", "a/b", "..", ".hidden", "a\x00b", "x" * 200])
def test_names_lead_nowhere_else(name: str, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    (folder / "project.tcl").write_text(f'set project_name "{name}"\n')
    with pytest.raises(ProjectError) as caught:
        parse_vivado_report(folder)
    assert caught.value.where in (str(folder / "project.tcl"), str(folder))
    folder = project("quartus", tmp_path)
    (folder / "build_lib.sh").write_text(f"PROJECT={name}\n")
    with pytest.raises(ProjectError):
        parse_quartus_report(folder)


@pytest.mark.parametrize("attribute", ['top="jet"', 'solution name="solution1"'])
def test_names_in_the_index_lead_nowhere_else(attribute: str, tmp_path: Path) -> None:
    folder = project("vivado", tmp_path)
    index = folder / "jet_prj/vivado_hls.app"
    key = attribute.partition('"')[0]
    index.write_text(index.read_text().replace(attribute, f'{key}"../../../../etc/passwd"'))
    with pytest.raises(ProjectError, match="the name") as caught:
        parse_vivado_report(folder)
    assert caught.value.where == str(index)


def test_a_terminal_obeys_nothing_that_a_report_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07\x9b2J\u202e[red]"
    folder = project("vivado", tmp_path)
    path = folder / "jet_prj/solution1/sim/report/jet_cosim.rpt"
    path.write_text(path.read_text().replace("Pass", hostile))
    (folder / "jet_prj/solution1/syn/report/jet_csynth.rpt").write_text(f"[bold]{hostile}\r\n")
    read_vivado_report(folder, full_report=True)
    print_vivado_report({f"Name {hostile}": {hostile: hostile, "Nested": {"x": [hostile]}}})
    qofr({"PerLayerQOFR": [hostile]})
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\x07\x9b\u202e\r")
    assert "[bold]" in shown
    assert "[red]" in shown


def test_lone_surrogates_of_json_can_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_vivado_report({"A": {"Status": json.loads('"\\ud800ok"')}})
    assert "ok" in capsys.readouterr().out


def test_a_pipe_in_place_of_a_report_is_not_waited_for(tmp_path: Path) -> None:
    folder = project("libero", tmp_path)
    path = folder / "hls_output/reports/summary.results.rpt"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ProjectError, match="no report of SmartHLS"):
        parse_libero_report(folder)


@pytest.mark.parametrize(
    "text", ["9" * 19, "-" + "9" * 18, "0", "-1", "1.5e3", "1e-99", "123456789012345678.5", "true", "null"]
)
def test_json_as_long_as_any_figure_is_what_it_says(text: str) -> None:
    assert ReportFile(Path("x")).json(f" \n[{text}] and more") == [json.loads(text)]


@pytest.mark.parametrize(
    "text",
    ["9" * 20, "-" + "9" * 19, "1e100", "1e-100", "9" * 19 + ".5", f"1.{'0' * 61}", "NaN", "-Infinity", "", "[", "x"],
)
def test_json_beyond_any_figure_is_refused(text: str) -> None:
    with pytest.raises(ProjectError, match="not a readable JSON value"):
        ReportFile(Path("x")).json(f"[{text}]" if text[:1] not in ("", "x") else text)


def test_limits_of_sizes_are_themselves_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report"
    for text in ("[[], {}, 1]", "<a><b c='1'/></a>"):
        monkeypatch.setattr(vendor, "MAX_NODES", 3)
        monkeypatch.setattr(vendor, "MAX_BYTES", len(text))
        path.write_text(text)
        read: Callable[[ReportFile], object] = ReportFile.xml if text[0] == "<" else lambda file: file.json(file.text())
        read(ReportFile(path))
        monkeypatch.setattr(vendor, "MAX_NODES", 2)
        with pytest.raises(ProjectError, match="more than 2 "):
            read(ReportFile(path))
        monkeypatch.setattr(vendor, "MAX_BYTES", len(text) - 1)
        with pytest.raises(ProjectError, match="a report of more than"):
            read(ReportFile(path))
    path.write_text("1\n\n2\n")
    monkeypatch.setattr(vendor, "MAX_BYTES", 99)
    monkeypatch.setattr(vendor, "MAX_NODES", 3)
    assert ReportFile(path).json_lines() == [1, 2]
    monkeypatch.setattr(vendor, "MAX_NODES", 2)
    with pytest.raises(ProjectError, match="more than 2 lines"):
        ReportFile(path).json_lines()


@pytest.mark.parametrize("depth", [1, 64, 65])
def test_depth_of_elements(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "report.xml"
    path.write_text("<a>" + "<b></b>" * 70 + "<a>" * (depth - 1) + "</a>" * depth)
    if depth <= 64:
        assert len(list(ReportFile(path).xml().iter())) == 70 + depth
    else:
        with pytest.raises(ProjectError, match="deeper than 64"):
            ReportFile(path).xml()


@given(st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner)),
       st.lists(st.sampled_from(["a", "b", 0, 1, 2, -1, -2, -3, -4]), max_size=3))  # fmt: skip
def test_digging_is_indexing_that_may_lead_nowhere(value: vendor.Json, steps: list[str | int]) -> None:
    wanted: object = value
    try:
        for step in steps:
            assert isinstance(wanted, (dict, list))
            wanted = wanted[step]  # type: ignore[call-overload,index]
    except (AssertionError, KeyError, IndexError, TypeError):
        wanted = None
    assert vendor.dig(value, *steps) == wanted


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        *((text, None) for text in ("", " - ", "?", "X", "NA", "n/a", "NaN", "TBD", "undef", None)),
        *((text, float(text)) for text in ("1.5", "-2.", "1e3", "+0.25", "12e-2")),
        *((text, int(text)) for text in ("12", "-7", "+3", "9" * 18)),
        (" 1,234,567 ", 1234567),
        (7, 7),
        (2.5, 2.5),
    ],
)
def test_figures_are_numbers_or_signs_for_none(figure: object, value: float | None) -> None:
    found = ReportFile(Path("x")).number(figure, "LUT")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "figure", ["9" * 19, "1e100", "1.2.3", "0x10", "12 MHz", "inf", True, [1], "--1", "1" + "," + "x"]
)
def test_other_figures_are_refused(figure: object) -> None:
    with pytest.raises(ProjectError, match="LUT is "):
        ReportFile(Path("x")).number(figure, "LUT")


def test_results_of_simulations_are_numbers_of_any_length(tmp_path: Path) -> None:
    path, long = tmp_path / "log", "-1" + "23" * 40 + "." + "0" * 30 + "5"
    path.write_text(f"1 -2.5\n\n  {long} {'7' * 18} {'7' * 19}\n")
    assert ReportFile(path).samples() == [[1, -2.5], [float(long), int("7" * 18), float("7" * 19)]]
    for wrong, told in (("1 NA", "in line 2 is missing"), ("1 y", "in line 2 is 'y'"), (f"{'7' * 201}", "in line 2")):
        path.write_text(f"0\n{wrong}\n")
        with pytest.raises(ProjectError, match=told):
            ReportFile(path).samples()


def test_what_a_terminal_would_obey_is_dropped_and_nothing_else() -> None:
    """Controls but tab and newline, lone surrogates, separators, and marks that embed, override or isolate a direction."""
    directions = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for code in range(0x11000):
        text = chr(code)
        is_kept = (
            unicodedata.category(text) not in ("Cc", "Cs", "Zl", "Zp")
            and unicodedata.bidirectional(text) not in directions
        ) or text in "\t\n"
        assert vendor.plain(f"a{text}b") == (f"a{text}b" if is_kept else "ab"), hex(code)


def test_rows_of_drawn_tables() -> None:
    text = "+---+\n| a | b c |\n|  1|  |  \nno | row\n|\n| open\n||"
    assert list(vendor.rows(text)) == [["a", "b c"], ["1", ""], [""]]


@pytest.mark.parametrize("name", ["a", "_a.b-c", "A" * 100, "9"])
def test_names_that_are_parts_of_paths(name: str) -> None:
    assert ReportFile(Path("x")).checked_name(name) == name
    for wrong in ("", f"/{name}", f"{name}/b", f"-{name}", f".{name}", f"{name} ", f"{name}\n", "A" * 101):
        with pytest.raises(ProjectError, match="the name"):
            ReportFile(Path("x")).checked_name(wrong)


def _assert_plain(value: object) -> None:
    """Every leaf is a finite number or printable text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            assert isinstance(key, str)
            _assert_plain(inner)
    elif isinstance(value, list):
        for inner in value:
            _assert_plain(inner)
    elif isinstance(value, float):
        assert math.isfinite(value)
    else:
        assert isinstance(value, (int, str)) and not isinstance(value, bool)
        assert not isinstance(value, str) or "\x1b" not in value


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One copy of each project, for tests that put back what they spoil."""
    return {name: project(name, tmp_path_factory.mktemp("spoiled")) for name in READERS}


def _try(name: str, folder: Path, file: str, content: bytes) -> None:
    path = folder / file
    path.write_bytes(content)
    try:
        report = READERS[name](folder)
    except BitsmithError:
        return
    finally:
        path.write_bytes(_content(name, file))
    assert report
    _assert_plain(report)


@functools.cache
def _content(name: str, file: str) -> bytes:
    return (DATA / name / file).read_bytes()


_PIECES = (
    b"",
    b"|",
    b"\n",
    b'"',
    b"-",
    b"NA",
    b"{",
    b"]",
    b"null",
    b"[]",
    b"true",
    b"1e308",
    b"-0",
    b"99999999999999999999",
    b"\x00",
    b"\xff\xfe",
    b"\x1b[2J",
    b"<",
    b"</profile>",
    b"&#27;",
    b'set project_name "',
    b"\\ud800",
    b"=",
    b"(",
    b"..",
)


@settings(max_examples=150)
@given(data=st.data())
def test_spoiled_files_raise_nothing_but_our_errors(data: st.DataObject, folders: Mapping[str, Path]) -> None:
    name, file = data.draw(st.sampled_from(FILES))
    content = _content(name, file)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        piece = data.draw(st.sampled_from(_PIECES) | st.binary(max_size=6))
        content = content[:start] + piece + content[end:]
    _try(name, folders[name], file, content)


@settings(max_examples=100)
@given(data=st.data())
def test_truncated_files_raise_nothing_but_our_errors(data: st.DataObject, folders: Mapping[str, Path]) -> None:
    name, file = data.draw(st.sampled_from(FILES))
    content = _content(name, file)
    _try(name, folders[name], file, content[: data.draw(st.integers(0, len(content)))])
