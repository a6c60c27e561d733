"""The FIFOs, buffers and lines of a streamed circuit, the largest first.

In: the rows of the section ``FIFOs``. Out: rows to show, and the total.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.report.sections import FIFO

MOST_ROWS = 20

COLUMNS = ("FIFO", "Layer", "Width", "Depth", "Peak", "Bits")


@dataclass(frozen=True, slots=True)
class FifoTable:
    """Cells of the largest FIFOs in the order of ``COLUMNS``, how many were left out, and the total of all."""

    rows: tuple[tuple[object, ...], ...]
    left_out: int
    total: str


def fifo_table(fifos: Sequence[FIFO]) -> FifoTable:
    """The table of ``fifos``, sorted by their bits."""
    ordered = sorted(fifos, key=lambda fifo: fifo.bits, reverse=True)
    rows = tuple((q.fifo, q.layer, q.width, q.depth, q.peak, q.bits) for q in ordered[:MOST_ROWS])
    total = f"{len(ordered):,} memories, {sum(fifo.bits for fifo in ordered):,} bits"
    return FifoTable(rows, len(ordered) - len(rows), total)
