"""The HTML page: complete in itself, escaped, with every figure on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from bitsmith.report import Report
from bitsmith.report.html import page
from tests.report.reports import SECTIONS, design, full_report

_EVIL = '"><script>alert(1)</script>$x^$'
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class _Balanced(HTMLParser):
    """Collects tags and attribute values and checks that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(text: str) -> _Balanced:
    parser = _Balanced()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def _visible(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)).split())


def test_shows_the_key_figures_and_who_measured_them() -> None:
    text = _visible(page(full_report().with_section("Accuracy", {"Float": 0.975, "Fixed": 0.97, "Samples": 360})))
    for shown in (
        "bit-exact the circuit equals the emulator: 1,000 inputs, 0 mismatches, verilator 5.48",
        "97.00 % float model 97.50 %, 360 samples",
        "LUT 2,500 yosys 0.70",
        "125.0 MHz target 100 MHz, nextpnr-ecp5 0.11",
        "7 cycles 56 ns at Fmax, verilator 5.48",
        "2,500 of 83,640 (2.99 %)",
        "no calibration data",
        "4 × s12",
        "6 × u9",
        "from cache",
        "rtl/residual.sv",
    ):
        assert shown in text


def test_needs_nothing_from_elsewhere() -> None:
    text = page(full_report())
    parser = _parsed(text)
    assert "script" not in parser.tags
    assert "link" not in parser.tags
    assert all(link.startswith("./") for link in parser.links)
    assert "url(" not in text.replace("url(#tip)", "")
    assert "http" not in text.replace("http-equiv", "")


def test_names_from_models_and_files_are_escaped() -> None:
    sections = {**SECTIONS, "Files": {_EVIL: _EVIL}, "Stages": [{"Name": _EVIL, "Log": f"javascript:{_EVIL}"}]}
    text = page(Report(sections, design(_EVIL, (_EVIL,))))
    assert "<script>" not in text
    assert "script" not in _parsed(text).tags


def test_links_stay_inside_the_project() -> None:
    files = {"a": "/etc/passwd", "b": "../../x", "c": "javascript:alert(1)", "d": "sub dir/x.sv", "e": "c:\\x"}
    links = _parsed(page(Report({"Files": files}))).links
    assert links == ["./javascript%3Aalert%281%29", "./sub%20dir/x.sv"]


def test_what_did_not_run_is_not_there() -> None:
    text = _visible(page(Report({"Estimate": {"LUT": 300, "Tool": "bitsmith estimate"}}, design())))
    assert "Fmax" not in text
    assert "bit for bit" not in text
    assert "LUT 300 estimate" in text
    assert "Resources of the part (estimate)" in text


def test_a_report_without_anything_is_a_page_too() -> None:
    assert "No stage has been run yet" in _visible(page(Report({})))


def test_a_missed_clock_and_a_mismatch_are_marked() -> None:
    text = page(
        Report(
            {
                "Verification": {"Inputs": 5, "Mismatches": 1, "Tool": "t"},
                "Timing": {"FmaxMHz": 90.0, "ClockPeriodNs": 11.1, "Tool": "t"},
            },
            design(),
        )
    )
    assert text.count('class="figure bad"') == 2


def test_a_design_larger_than_the_part_is_marked() -> None:
    text = page(Report({"Resources": {"LUT": 90_000, "DSP": 1, "Part": "LFE5U-85F", "Tool": "t"}}))
    assert text.count("fill over") == 1
    assert "90,000 of 83,640 (108 %)" in text
    assert "Does not fit: 90,000 LUTs of 83,640." in _visible(text)


def test_what_a_part_lacks_wholly_is_named() -> None:
    text = page(Report({"Resources": {"LUT": 100, "DSP": 3, "Part": "ice40hx8k-ct256", "Tool": "t"}}))
    assert "Does not fit: 3 multiplier blocks, of which it has none." in _visible(text)


def test_larger_memories_are_shown_where_there_are_some() -> None:
    area = {"LUT": 100, "URAM": 97, "Part": "xczu7ev", "Tool": "t"}
    text = _visible(
        page(Report({"Resources": area, "Layers": [{"Layer": "hidden", "LUT": 3, "URAM": 97}, {"LUT": 9}]}))
    )
    assert "Does not fit: 97 URAM of 96." in text
    assert "Layer LUT FF DSP BRAM URAM Cycles Stages hidden 3 97" in text


def test_shows_what_each_layer_takes_and_what_the_report_is_of() -> None:
    text = _visible(
        page(
            Report(
                {
                    **SECTIONS,
                    "Estimate": {"LUT": 2600, "Tool": "bitsmith estimate"},
                    "Layers": [
                        {"Layer": "hidden", "LUT": 300, "FF": 40, "Cycles": 2, "FirstStage": 0, "LastStage": 1},
                        {"LUT": 100, "FF": 9},
                    ],
                    "Utilization": [{"Cell": "TRELLIS_FF", "Used": 8364, "Available": 83640}],
                    "Timing": {"FmaxMHz": 125.0, "CriticalPath": "hidden to sum"},
                    "Origin": {"Version": "0.1", "Date": "2026-01-02", "Digest": "abc", "Command": "build()"},
                },
                design(),
            )
        )
    )
    for shown in (
        "LUT 2,500 yosys 0.70, estimate 2,600",
        "hidden 300 LUTs (75 %)",
        "hidden 300 40 2 1..2",
        "between layers 100 9",
        "TRELLIS_FF 8,364 83,640 10 %",
        "slowest path hidden to sum",
        "bitsmith 0.1 · 2026-01-02 · program abc · build()",
    ):
        assert shown in text
