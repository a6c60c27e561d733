"""Vendors' reports are untrusted: whatever they hold, a reader returns figures or raises one of our errors."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping
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
        vendor.read_xml(path)
    path.write_text(f"<profile>{part * 200}</profile>")
    assert len(vendor.read_xml(path)) == 200


def test_more_lists_than_any_report_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "MAX_NODES", 1000)
    with pytest.raises(ProjectError, match="more than 1,000 lists"):
        vendor.read_json("[" + "[]," * 999 + "{}]", Path("x.js"))
    assert vendor.read_json("[" + "[]," * 998 + "{}]", Path("x.js")) == [[]] * 998 + [{}]


def test_more_lines_than_any_report_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "MAX_NODES", 1000)
    path = tmp_path / "many.ndjson"
    path.write_text("1\n" * 1001)
    with pytest.raises(ProjectError, match="more than 1,000 lines"):
        vendor.read_json_lines(path)
    path.write_text("1\n\n" * 500)
    assert vendor.read_json_lines(path) == [1] * 500


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
