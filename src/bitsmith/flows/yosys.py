"""Synthesis with Yosys: area figures, and the netlist that place and route starts from.

In: SystemVerilog files. Out: counts of the family's cells as mapped by Yosys, before packing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.devices.parts import Family
from bitsmith.errors import ConfigError, ToolFailedError
from bitsmith.flows.run import Command, Progress, execute, inside
from bitsmith.flows.tools import YOSYS, FoundTool, find

_FOLDER = "synth"
_ADDERS = Path(__file__).parent / "adders.v"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a design needs of a device.

    ``lut``, ``ff``, ``dsp``, ``bram`` are in the family's own units: see `count`. ``carry`` is the number of carry
    cells (CCU2C of 2 bits, SB_CARRY of one, CARRY4, CARRY8), ``cells`` the number of each cell type.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    carry: int
    cells: Mapping[str, int]
    tool: str


@dataclass(frozen=True, slots=True)
class _Mapping:
    """How Yosys maps to a family, and what each of its cells counts as."""

    command: str
    lut: Mapping[str, int]
    ff: Mapping[str, int]
    dsp: Mapping[str, int]
    bram: Mapping[str, int]
    carry: tuple[str, ...]


def _ones(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 1)


_XILINX = "synth_xilinx -family {family} -noiopad -noclkbuf -flatten -top {top}"
_XILINX_LUTS = {
    **_ones("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2", "SRL16E", "SRLC16E", "SRLC32E"),
    **_ones("RAM32X1S", "RAM64X1S"),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), 2),
    **dict.fromkeys(("RAM128X1D", "RAM256X1S", "RAM32M", "RAM64M"), 4),
    **dict.fromkeys(("RAM32M16", "RAM64M8"), 8),
}
_XILINX_FFS = _ones("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
_XILINX_BRAMS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}

_ICE40_FF_KINDS = ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")

_MAPPINGS = {
    Family.ECP5: _Mapping(
        command="synth_ecp5 -top {top} -json {netlist}",
        lut={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        ff=_ones("TRELLIS_FF"),
        dsp=_ones("MULT18X18D"),
        bram=_ones("DP16KD", "PDPW16KD"),
        carry=("CCU2C",),
    ),
    Family.ICE40: _Mapping(
        command="synth_ice40 -dsp -top {top} -json {netlist}",
        lut=_ones("SB_LUT4"),
        ff=_ones(*(f"SB_DFF{edge}{kind}" for edge in ("", "N") for kind in _ICE40_FF_KINDS)),
        dsp=_ones("SB_MAC16"),
        bram=_ones("SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW"),
        carry=("SB_CARRY",),
    ),
    **{
        family: _Mapping(
            _XILINX, _XILINX_LUTS, _XILINX_FFS, _ones("DSP48E1", "DSP48E2"), _XILINX_BRAMS, ("CARRY4", "CARRY8")
        )
        for family in (Family.XILINX_7, Family.ULTRASCALE, Family.ULTRASCALE_PLUS)
    },
}
_WITH_NETLIST = frozenset({Family.ECP5, Family.ICE40})


def count(family: Family, cells: Mapping[str, int], tool: str) -> Resources:
    """Resources from the number of each mapped cell, before packing.

    ECP5: ``lut`` counts what becomes a TRELLIS_COMB of nextpnr: each LUT4, two for each CCU2C (a carry cell takes both
    LUTs of its half slice), six for each TRELLIS_DPR16X4 (four hold data, two drive the write port). PFUMX and L6MUX21
    are part of the slice and count nothing. Packing adds up to four for each carry chain whose ends are used, so that
    nextpnr's own figure is somewhat higher. ``dsp``: MULT18X18D. ``bram``: DP16KD of 18 Kib.

    iCE40: ``lut`` SB_LUT4, ``bram`` of 4 Kib, ``dsp`` SB_MAC16.

    Xilinx: ``lut`` counts LUT1 to LUT6, LUT6_2, and the LUTs that serve as shift registers and memories; pairs that
    Vivado would merge into one LUT6_2 are counted as two, so that the figure is above Vivado's. ``bram``: halves of
    18 Kib (RAMB36 counts two). ``dsp``: DSP48.
    """
    mapping = _MAPPINGS[family]

    def total(weights: Mapping[str, int]) -> int:
        return sum(weight * cells.get(name, 0) for name, weight in weights.items())

    return Resources(
        lut=total(mapping.lut),
        ff=total(mapping.ff),
        dsp=total(mapping.dsp),
        bram=total(mapping.bram),
        carry=total(_ones(*mapping.carry)),
        cells={name: number for name, number in sorted(cells.items()) if not name.startswith("$")},
        tool=tool,
    )


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The flow: read the sources, map them to ``family``, count the cells; for Lattice also write the JSON netlist.

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
        lines += [f"hierarchy -check -top {self.top}", "proc", f"techmap -map {self.folder}/{_ADDERS.name}"]
        lines.append(
            _MAPPINGS[self.family].command.format(
                top=self.top, family=self.family.value, netlist=f"{self.folder}/netlist.json"
            )
        )
        lines.append(f"tee -q -o {self.folder}/cells.json stat -json")
        return {
            f"{self.folder}/synth.ys": "\n".join(lines) + "\n",
            f"{self.folder}/{_ADDERS.name}": _ADDERS.read_text(),
        }

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / self.folder
        outputs = [folder / "cells.json"]
        if self.family in _WITH_NETLIST:
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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolFailedError(f"wrote cell counts that cannot be read: {error!r}", where=str(path)) from error


def synthesize(
    project_dir: Path,
    top: str,
    sources: Sequence[Path],
    family: Family | str,
    *,
    name: str = "",
    progress: Progress | None = None,
    timeout: float | None = None,
) -> Resources:
    """Map the design ``top`` to the cells of ``family`` (or its value: "ecp5", "xcup", ...) and count them.

    For Lattice the netlist for place and route is then in ``synth/<name>/netlist.json`` (see `netlist`); ``name`` is the
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
    """Where `synthesize` leaves the netlist for place and route."""
    return project_dir / _FOLDER / name / "netlist.json"


def _quoted(path: str) -> str:
    """A path as one word of a Yosys script."""
    return f'"{path}"' if " " in path else path
