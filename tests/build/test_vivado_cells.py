"""Vivado's table of cells: the rows that all families have, whatever columns a release has between the first and the last."""

from __future__ import annotations

from pathlib import Path

from bitsmith.building.logic.vivado import _used
from bitsmith.report.sections import CellUse
from bitsmith.vendors.vendor import ReportFile

TABLE = """\
+----------------+------+-------+-----------+-------+
|    Site Type   | Used | Fixed | Available | Util% |
+----------------+------+-------+-----------+-------+
| CLB LUTs*      | 1203 |     0 |    230400 |  0.52 |
|   LUT as Logic | 1100 |     0 |    230400 |  0.48 |
| CLB Registers  |  877 |     0 |    460800 |  0.19 |
| CLB Registers  |    1 |     0 |         2 | 50.00 |
| Block RAM Tile |  2.5 |     0 |       312 |  0.80 |
| URAM           |    4 |     0 |        12 |  0.00 |
| DSPs           |    7 |     0 |         0 |  1728 |  0.41 |
| CLB LUTs*      |
| DSPs           |    9 | 10 |
+----------------+------+-------+-----------+-------+
"""


def test_cells_are_the_first_rows_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "utilization.rpt"
    path.write_text(TABLE, encoding="utf-8")
    wanted = {"CLB LUTs": (1203, 230400), "CLB Registers": (877, 460800), "Block RAM Tile": (2, 312)}
    wanted |= {"URAM": (4, 12), "DSPs": (7, 1728)}
    assert _used(ReportFile(path)) == tuple(
        CellUse(cell=cell, used=used, available=most) for cell, (used, most) in wanted.items()
    )
