"""AMD Vivado, out of context: Vivado 2020.1 and newer read these scripts (UG835, UG904, UG949)."""

import re
from pathlib import Path

from bitsmith.building.logic.tool import Found, LogicDesign, LogicTool, Step, io_constraints
from bitsmith.report.sections import CellUse, Resources
from bitsmith.vendors.vendor import ReportFile, rows
from bitsmith.vendors.vivado_project import timing, utilization

_REPORTS = {
    Step.SYNTH: ("synth.dcp", "utilization_synth.rpt", "timing_synth.rpt"),
    Step.PNR: ("implement.dcp", "utilization.rpt", "timing.rpt"),
}
_SHOWN = ("CLB LUTs", "Slice LUTs", "CLB Registers", "Slice Registers", "Block RAM Tile", "URAM", "DSPs")
_ENDS = re.compile(r"^\s*(?:Source|Destination):\s+(\S+)/[^/\s]+\s*$", re.MULTILINE)


def _regions(design: LogicDesign) -> list[str]:
    """Lines that keep each group of instances in one super logic region (SLR), and let register slices cross over.

    A name of a group that is no region's leaves the choice of the region to the placer (UG912, "USER_SLR_ASSIGNMENT").
    """
    if len(design.islands) < 2:
        return []
    groups = (
        f"set_property USER_SLR_ASSIGNMENT island_{number} [get_cells -quiet -filter {{IS_PRIMITIVE == 0}} "
        f"{{{' '.join(f'{name} {name}_*' for name in island)}}}]"
        for number, island in enumerate(design.islands)
    )
    registers = " ".join(f"slice_*/{name}_reg*" for name in ("words", "forward", "back"))
    return [*groups, f"set_property USER_SLL_REG true [get_cells -quiet {{{registers}}}]"]


def _read(folder: Path, design: LogicDesign, step: Step) -> Found:
    _, cells, clock = (ReportFile(folder / name) for name in _REPORTS[step])
    figures = utilization(cells)

    def figure(key: str) -> int | None:
        value = cells.number(figures.get(key), key)
        return None if value is None else round(value)

    halves = figure("BRAM_18K")
    resources = Resources(
        lut=figure("LUT"),
        ff=figure("FF"),
        dsp=figure("DSP48E"),
        bram=None if halves is None else halves / 2,
        uram=figure("URAM"),
        tool=str(figures["Tool"]),
        part=design.part,
    )
    if step is Step.SYNTH:
        return Found(resources, _used(cells))
    worst = timing(clock)
    slack, hold, pulse = (clock.number(worst.get(key), key) for key in ("WNS", "WHS", "WPWS"))
    if slack is None:
        raise clock.wrong("no worst slack: no path is constrained")
    ends = tuple(end.replace("/", ".") for end in _ENDS.findall(clock.text())[:2])
    return Found(resources, _used(cells), design.period_ns - slack, ends, hold, pulse)


def _used(file: ReportFile) -> tuple[CellUse, ...]:
    """The rows of cells that all families have; columns have changed with releases, but Used comes first and Util% last."""
    uses: dict[str, CellUse] = {}
    for row in rows(file.text()):
        cell = row[0].rstrip("*")
        if cell in _SHOWN and cell not in uses and len(row) >= 4:
            used, available = (file.number(text, cell) for text in (row[1], row[-2]))
            if used is not None and available is not None:
                uses[cell] = CellUse(cell=cell, used=round(used), available=round(available))
    return tuple(uses.values())


VIVADO = LogicTool(
    key="vivado",
    name="Vivado",
    program="vivado",
    arguments=("-mode", "batch", "-nojournal", "-nolog", "-source"),
    parts=re.compile(r"(?i)xc[a-z0-9]+(-[a-z0-9]+)*", re.ASCII),
    example="xcvu13p-flga2577-2-e",
    install="AMD's Vivado, whose settings64.sh puts it on PATH",
    error=r"^ERROR:",
    files=lambda design: {f"{design.top}.xdc": "\n".join([*io_constraints(design), *_regions(design)]) + "\n"},
    outputs=lambda _, step: _REPORTS[step],
    read=_read,
)
