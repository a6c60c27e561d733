"""Tables of FIFOs: the largest first, never too many, with a total."""

from __future__ import annotations

from bitsmith.report import Report
from bitsmith.report.fifos import MOST_ROWS, fifo_table
from bitsmith.report.html import page
from bitsmith.report.sections import FIFO, FIFOs
from bitsmith.report.terminal import as_text


def fifo(number: int, depth: int) -> FIFO:
    return FIFO(fifo=f"q{number}", layer="<conv>", width=10, depth=depth, peak=depth - 1)


def test_largest_first_with_a_total() -> None:
    table = fifo_table([fifo(k, k + 1) for k in range(30)])
    assert [row[0] for row in table.rows] == [f"q{k}" for k in range(29, 29 - MOST_ROWS, -1)]
    assert table.rows[0] == ("q29", "<conv>", 10, 30, 29, 300)
    assert table.left_out == 10
    assert table.total == "30 memories, 4,650 bits"


def test_reports_show_fifos_where_there_are_any() -> None:
    with_fifos = Report([FIFOs((fifo(0, 2), fifo(1, 1000)))])
    text, html = as_text(with_fifos, 100), page(with_fifos)
    assert text.index("q1") < text.index("q0") and "10,000" in text
    assert "2 memories, 10,020 bits" in text and "2 memories, 10,020 bits" in html
    assert "&lt;conv&gt;" in html and "<conv>" not in html
    without = Report({"Latency": {"Cycles": 3, "II": 1, "Tool": "x"}})
    assert "FIFOs" not in as_text(without, 100) and "FIFOs" not in page(without)
