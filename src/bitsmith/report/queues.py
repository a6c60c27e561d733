"""The queues, buffers and lines of a streamed circuit, the largest first.

In: the rows of the section ``Queues``. Out: rows to show, and the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.report.sections import Queue

MOST_ROWS = 20

COLUMNS = ("Queue", "Layer", "Width", "Depth", "Peak", "Bits")


@dataclass(frozen=True, slots=True)
class QueueTable:
    """Cells of the largest queues in the order of ``COLUMNS``, how many were left out, and the total of all."""

    rows: tuple[tuple[object, ...], ...]
    left_out: int
    total: str


def queue_table(queues: Sequence[Queue]) -> QueueTable:
    """The table of ``queues``, sorted by their bits."""
    ordered = sorted(queues, key=lambda queue: queue.bits, reverse=True)
    rows = tuple((q.queue, q.layer, q.width, q.depth, q.peak, q.bits) for q in ordered[:MOST_ROWS])
    total = f"{len(ordered):,} memories, {sum(queue.bits for queue in ordered):,} bits"
    return QueueTable(rows, len(ordered) - len(rows), total)
