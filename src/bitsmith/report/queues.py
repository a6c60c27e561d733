"""The queues, buffers and lines of a streamed circuit, the largest first.

In: the rows of a report's section ``Queues``. Out: rows to show, and the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.report.report import Section

MOST_ROWS = 20

COLUMNS = ("Queue", "Layer", "Width", "Depth", "Peak", "Bits")


@dataclass(frozen=True, slots=True)
class QueueTable:
    """Cells of the largest queues in the order of ``COLUMNS``, how many were left out, and the total of all."""

    rows: tuple[tuple[object, ...], ...]
    left_out: int
    total: str


def queue_table(queues: Sequence[Section]) -> QueueTable:
    """The table of ``queues``, sorted by their bits."""
    ordered = sorted(queues, key=_bits, reverse=True)
    rows = tuple((*(queue.get(column, "") for column in COLUMNS[:-1]), _bits(queue)) for queue in ordered[:MOST_ROWS])
    total = f"{len(ordered):,} memories, {sum(map(_bits, ordered)):,} bits"
    return QueueTable(rows, len(ordered) - len(rows), total)


def _bits(queue: Section) -> int:
    width, depth = queue.get("Width"), queue.get("Depth")
    return width * depth if isinstance(width, int) and isinstance(depth, int) else 0
