"""Synthesis with Yosys: area figures for two families, and the netlist that place and route starts from.

In: SystemVerilog files. Out: counts of the family's cells as mapped by Yosys, before packing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bitsmith.errors import ConfigError, ToolFailedError
from bitsmith.flows.base import YOSYS, Command, FoundTool, Progress, execute, find, inside

_FOLDER = "synth"


class Family(Enum):
    """A device family that Yosys maps to."""

    ECP5 = "ecp5"
    XCUP = "xcup"
    """Xilinx UltraScale+."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a design needs of a device.

    ``lut``, ``ff``, ``dsp``, ``bram`` are in the family's own units: see `count`. ``carry`` is the number of carry
    cells (CCU2C of 2 bits; CARRY4 and CARRY8), ``cells`` the number of each cell type.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    carry: int
    cells: Mapping[str, int]
    tool: str


def _total(cells: Mapping[str, int], *names: str) -> int:
    return sum(cells.get(name, 0) for name in names)


def count(family: Family, cells: Mapping[str, int], tool: str) -> Resources:
    """Resources from the number of each mapped cell.

    ECP5: ``lut`` counts as nextpnr counts TRELLIS_COMB, one for each LUT4, two for each CCU2C (a carry pair occupies
    both LUTs of its slice), three for each TRELLIS_DPR16X4 (two for data, one for the write port is shared: nextpnr
    packs it into four data and two write-port cells, see its packer); PFUMX and L6MUX21 sit inside the slice and cost
    nothing. ``dsp``: 18-bit multiplier halves (MULT18X18D, and the ALU54B beside them is free). ``bram``: DP16KD.

    UltraScale+: ``lut`` counts LUT1 to LUT6, LUT6_2 and LUTs used as memory or shift register (SRL16E, SRLC32E,
    RAM32M and the like). LUT pairs that Vivado would merge into one LUT6_2 are counted as two, so the number is an
    upper bound of Vivado's. ``dsp``: DSP48E2. ``bram``: halves of 18 Kib (RAMB18E2 one, RAMB36E2 two).
    """
    counted = {name: number for name, number in sorted(cells.items()) if not name.startswith("$")}
    match family:
        case Family.ECP5:
            return Resources(
                lut=_total(cells, "LUT4") + 2 * _total(cells, "CCU2C") + 6 * _total(cells, "TRELLIS_DPR16X4"),
                ff=_total(cells, "TRELLIS_FF"),
                dsp=_total(cells, "MULT18X18D", "MULT9X9D"),
                bram=_total(cells, "DP16KD", "PDPW16KD"),
                carry=_total(cells, "CCU2C"),
                cells=counted,
                tool=tool,
            )
        case Family.XCUP:
            shift_and_memory = _total(cells, "SRL16E", "SRLC16E", "SRLC32E", "RAM32X1S", "RAM64X1S", "RAM32X1D")
            shift_and_memory += 2 * _total(cells, "RAM64X1D", "RAM128X1S") + 4 * _total(cells, "RAM128X1D", "RAM256X1S")
            shift_and_memory += 4 * _total(cells, "RAM32M", "RAM64M") + 8 * _total(cells, "RAM32M16", "RAM64M8")
            return Resources(
                lut=_total(cells, *(f"LUT{inputs}" for inputs in range(1, 7)), "LUT6_2") + shift_and_memory,
                ff=_total(cells, "FDRE", "FDSE", "FDCE", "FDPE"),
                dsp=_total(cells, "DSP48E2"),
                bram=_total(cells, "RAMB18E2") + 2 * _total(cells, "RAMB36E2"),
                carry=_total(cells, "CARRY4", "CARRY8"),
                cells=counted,
                tool=tool,
            )


_SYNTHESIS = {
    Family.ECP5: "synth_ecp5 -top {top} -json {folder}/netlist.json",
    Family.XCUP: "synth_xilinx -family xcup -noiopad -noclkbuf -flatten -top {top}",
}


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The flow: read the sources, map them to ``family``, count the cells; for ECP5 also write the JSON netlist.

    Everything it makes lies in the project's folder ``synth/<name>``.
    """

    name: str
    top: str
    sources: tuple[str, ...]
    """Paths inside the project."""
    family: Family

    @property
    def folder(self) -> str:
        return f"{_FOLDER}/{self.name}"

    def find(self) -> tuple[FoundTool, ...]:
        return (find(YOSYS),)

    def files(self) -> Mapping[str, str]:
        lines = [f"read_verilog -sv {_quoted(source)}" for source in self.sources]
        lines.append(_SYNTHESIS[self.family].format(top=self.top, folder=self.folder))
        lines.append(f"tee -q -o {self.folder}/cells.json stat -json")
        return {f"{self.folder}/synth.ys": "\n".join(lines) + "\n"}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / self.folder
        outputs = [folder / "cells.json"]
        if self.family is Family.ECP5:
            outputs.append(folder / "netlist.json")
        return (
            Command(
                argv=(
                    *(str(tools[0].path), "-q", "-l", f"{self.folder}/yosys.log"),
                    *("-s", f"{self.folder}/synth.ys"),
                ),
                cwd=project,
                log=folder / "yosys.log",
                outputs=tuple(outputs),
                writes_log=True,
                error_pattern=r"\bERROR:",
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Resources:
        path = project / self.folder / "cells.json"
        try:
            cells = json.loads(path.read_text())["design"]["num_cells_by_type"]
            return count(self.family, {str(name): int(number) for name, number in cells.items()}, tools[0].label)
        except (ValueError, KeyError, TypeError) as error:
            raise ToolFailedError(f"wrote cell counts that cannot be read: {error!r}", where=str(path)) from error


def synthesise(
    project_dir: Path,
    top: str,
    sources: Sequence[Path],
    family: Family | str,
    *,
    name: str = "",
    progress: Progress | None = None,
    timeout: float | None = None,
) -> Resources:
    """Map the design ``top`` to the cells of ``family`` ("ecp5" or "xcup") and count them.

    For ECP5 the netlist for place and route is then in ``synth/<name>/netlist.json`` (see `netlist`); ``name`` is the
    family unless given.
    """
    return execute(_flow(project_dir, top, sources, family, name), project_dir, progress, timeout)


def _flow(project_dir: Path, top: str, sources: Sequence[Path], family: Family | str, name: str) -> Synthesis:
    try:
        chosen = Family(family)
    except ValueError:
        accepted = ", ".join(member.value for member in Family)
        raise ConfigError(f"unknown family {family!r}", where="synthesis", accepted=accepted) from None
    names = tuple(inside(project_dir, source) for source in sources)
    return Synthesis(name or chosen.value, top, names, chosen)


def netlist(project_dir: Path, name: str = Family.ECP5.value) -> Path:
    """Where `synthesise` leaves the netlist for place and route."""
    return project_dir / _FOLDER / name / "netlist.json"


def _quoted(path: str) -> str:
    """A path as one word of a Yosys script."""
    return f'"{path}"' if " " in path else path
