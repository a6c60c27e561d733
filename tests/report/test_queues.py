"""Tables of queues: the largest first, never too many, with a total."""

from __future__ import annotations

from bitsmith.report import Report
from bitsmith.report.html import page
from bitsmith.report.queues import MOST_ROWS, queue_table
from bitsmith.report.sections import Queue, Queues
from bitsmith.report.terminal import as_text


def queue(number: int, depth: int) -> Queue:
    return Queue(queue=f"q{number}", layer="<conv>", width=10, depth=depth, peak=depth - 1)


def test_largest_first_with_a_total() -> None:
    table = queue_table([queue(k, k + 1) for k in range(30)])
    assert [row[0] for row in table.rows] == [f"q{k}" for k in range(29, 29 - MOST_ROWS, -1)]
    assert table.rows[0] == ("q29", "<conv>", 10, 30, 29, 300)
    assert table.left_out == 10
    assert table.total == "30 memories, 4,650 bits"


def test_reports_show_queues_where_there_are_any() -> None:
    with_queues = Report([Queues((queue(0, 2), queue(1, 1000)))])
    text, html = as_text(with_queues, 100), page(with_queues)
    assert text.index("q1") < text.index("q0") and "10,000" in text
    assert "2 memories, 10,020 bits" in text and "2 memories, 10,020 bits" in html
    assert "&lt;conv&gt;" in html and "<conv>" not in html
    without = Report({"Latency": {"Cycles": 3, "II": 1, "Tool": "x"}})
    assert "Queues" not in as_text(without, 100) and "Queues" not in page(without)
