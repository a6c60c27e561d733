"""Tables that fit the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bitsmith.report.sections import section_of
from bitsmith.report.summary import ConstantRow, LayerRow
from bitsmith.report.terminal import LayersTable, as_text, report_summary, report_table, sections_table, shortened
from tests.report.reports import design, full_report

LONG = "encoder_blocks_0_self_attention_query_projection_kernel"


def _wide(name: str) -> LayerRow:
    row = next(row for row in design().layers if row.result is not None)
    constants = (ConstantRow("weight", (16, 16), 200, "auto", "fixed<16,6>"),)
    return replace(
        row,
        name=name,
        source="MultiHeadAttention",
        shape=(112, 112, 64),
        constants=constants,
        declared="ap_fixed<16,6,RND,SAT>",
    )


@given(st.text("abyz_\u5b57\u00e9", max_size=30), st.integers(2, 30))
def test_names_lose_their_middles_only(name: str, width: int) -> None:
    found = shortened(name, width)
    assert cell_len(found) <= width
    if found != name:
        head, tail = found.split("\u2026")
        assert cell_len(name) > width and name.startswith(head) and name.endswith(tail)
        assert cell_len(found) >= width - 2  # of what a character may take


@settings(max_examples=20)
@given(st.integers(80, 160), st.lists(st.integers(1, len(LONG)), min_size=1, max_size=4))
def test_layers_with_long_names_take_a_line_each(width: int, lengths: list[int]) -> None:
    rows = tuple(_wide(LONG[: length - 1] + str(number)) for number, length in enumerate(lengths))
    lines = as_text(LayersTable("net", rows), width).splitlines()
    assert max(map(cell_len, lines)) <= width
    (heading,) = (line for line in lines if line.startswith(" Layer"))
    at = heading.index("Type")
    named = [line[1:at].strip() for line in lines[lines.index(heading) + 2 :] if line[1:2].strip()]
    assert named == [shortened(row.name, at - 3) for row in rows]
    assert at - 3 >= min(17, max(len(row.name) for row in rows))


def test_rules_are_as_wide_as_their_columns() -> None:
    lines = as_text(LayersTable("net", (_wide("fc"),)), 160).splitlines()
    heading, rule, row = lines[2:5]
    assert (heading[:6], rule[:2], row[:3]) == (" Layer", " ─", " fc")
    assert len(rule) == len(row.rstrip())


@pytest.mark.parametrize(("heading", "least"), [("Range", 98), ("Nonzero", 124), ("Constants", 124)])
def test_columns_come_with_the_width_of_the_terminal(heading: str, least: int) -> None:
    for width in (80, least - 1, least, 140):
        assert (heading in as_text(LayersTable("net", (_wide("fc"),)), width)) == (width >= least)


def test_details_go_before_names_are_cut_short() -> None:
    rows = (_wide("fc"), _wide(LONG))
    assert "Constants" in as_text(LayersTable("net", rows[:1]), 130)
    text = as_text(LayersTable("net", rows), 130)
    assert "Constants" not in text and "Range" in text and LONG[:16] in text


@pytest.mark.parametrize("width", range(40, 80, 4))
def test_narrow_terminals_break_no_number(width: int) -> None:
    row = replace(_wide("a_layer"), declared="fixed<16,6,RND,SAT>")
    text = as_text(LayersTable("net", (row,)), width)
    (line,) = (line for line in text.splitlines() if line.startswith(" a_layer"))
    assert (
        cell_len(line) <= width
        and line.split()[-2:] == as_text(LayersTable("net", (row,)), 90).splitlines()[4].split()[-2:]
    )


def test_details_go_before_types_are_broken() -> None:
    """A terminal of 132 columns broke ``ufixed<1..15,-8..10,RND,SAT>`` where one of 106 did not."""
    mixed = "ufixed<1..15,-8..10,RND,SAT>"
    rows = (replace(_wide("features"), declared=f"{mixed} mean 11.7 bits 0..15"),)
    texts = [as_text(LayersTable("net", rows), width) for width in range(124, 160)]
    assert all(mixed in text and "Range" in text for text in texts)
    assert "Constants" not in texts[0] and "Constants" in texts[-1]


@given(st.text(st.sampled_from("abc\u4e2d\u6587"), max_size=40), st.integers(3, 30))
def test_names_lose_their_middle_and_no_more_than_they_must(name: str, width: int) -> None:
    """Characters of East Asia take two places."""
    short = shortened(name, width)
    if cell_len(name) <= width:
        assert short == name
        return
    head, mark, tail = short.partition("\N{HORIZONTAL ELLIPSIS}")
    assert mark and name.startswith(head) and name.endswith(tail)
    assert width - 3 <= cell_len(short) <= width
    assert abs(cell_len(head) - cell_len(tail)) <= 3
    if name.isascii():
        assert cell_len(short) == width and len(head) - len(tail) in (0, 1)


@pytest.mark.parametrize("mismatches", [0, 1, 12])
def test_mismatches_are_red_and_their_absence_is_green(mismatches: int) -> None:
    section = section_of("Verification", {"Inputs": 100, "Mismatches": mismatches, "Tool": "Verilator"})
    console = Console(width=120, color_system="standard", force_terminal=True)
    (line,) = [
        line
        for line in console.render_lines(report_table([section], None))
        if ": mismatches" in "".join(s.text for s in line)
    ]
    colors = {segment.style.color.name for segment in line if segment.style and segment.style.color}
    assert colors == {"red" if mismatches else "green"}


def test_sections_of_any_dictionary_are_tables_of_their_own() -> None:
    stages = [{"Name": "synth", "Seconds": 1.5}, {"Name": "route", "Seconds": 20.0}]
    sections = {"Area": {"LUT": 5, "FF": 7}, "Stages": stages, "Samples": [1, 2], "Text": "left out"}
    text = as_text(sections_table(sections), 100)
    assert all(text.count(shown) == 1 for shown in ("Area", "LUT", "FF", "synth", "route"))
    assert text.index("FF") < text.index("synth") < text.index("route")
    assert "Build report" not in text and "left out" not in text and "Measured by" not in text
    assert as_text(sections_table({}), 100) == ""


def test_a_summary_takes_no_more_room_than_its_lines() -> None:
    """Details wrap only where they must, and stand below each other."""
    report = full_report()
    summary = report_summary(report.sections, design("x" * 10, ()))
    wide = as_text(summary, 300)
    lines = [line for line in wide.splitlines() if line.startswith(" ")]
    assert lines and not any(line.startswith("  ") for line in lines)
    needed = max(map(cell_len, lines))
    assert as_text(summary, needed) == wide != as_text(summary, needed - 1)
