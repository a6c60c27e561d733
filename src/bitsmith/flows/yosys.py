"""Synthesis with Yosys: area figures, and the netlist that place and route starts from.

In: SystemVerilog files. Out: counts of the family's cells as mapped by Yosys, before packing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bitsmith.devices.family import Family
from bitsmith.flows.figures import counted, read_json, read_text, reading
from bitsmith.flows.run import Command
from bitsmith.flows.tools import YOSYS, FoundTool, seek

_FOLDER = "synth"
_MAPS = Path(__file__).parent
_NETLIST = "netlist.json"
VERILOG = "netlist.v"
"""The netlist, of a family whose cells have models, as it is simulated: with all ports and without pads."""

_CLOCK = "clk"
_NAMES = ".names"
_TABLES_IN_LOGIC = "* */w:clk %m %d A:rom_style=distributed %u */a:rom_style=block %m %d"
"""Modules whose tables are to be look-up tables. Yosys takes them for memories, and moves registers from before them to after."""

_CASCADE = "bitsmith_chained_product"
"""The module whose sums Yosys is to find as such: it puts them into multiplier blocks."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources that a design takes of a device.

    ``lut``, ``ff``, ``dsp``, ``bram``, ``large`` are in the family's own units: see the record's `YosysMapping`;
    ``large`` by the name of the family's larger memory. ``carry`` is the number of carry cells, whose width depends on the
    family; ``cells`` the number of each cell type.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    large: Mapping[str, int]
    carry: int
    cells: Mapping[str, int]
    tool: str
    parts: Mapping[str, Resources] = field(default_factory=dict)
    """Resources by part of the design; under "": those of the top itself, or that have lost their name."""


def count(family: Family, cells: Mapping[str, int], tool: str) -> Resources:
    """Return the resources of a number of each mapped cell, before packing."""
    mapping = family.synthesis

    def total(weights: Mapping[str, int]) -> int:
        return sum(weight * cells.get(name, 0) for name, weight in weights.items())

    return Resources(
        lut=total(mapping.lut),
        ff=total(mapping.ff),
        dsp=total(mapping.dsp),
        bram=total(mapping.bram),
        large={family.large.name: total(mapping.large)} if family.large else {},
        carry=sum(cells.get(name, 0) for name in mapping.carry),
        cells={name: number for name, number in sorted(cells.items()) if not name.startswith("$")},
        tool=tool,
    )


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The flow: read the sources, map them to ``family``, count the cells, write a netlist if nextpnr can place it.

    All files that it makes are in the project's folder ``synth/<name>``.
    """

    name: str
    top: str
    sources: tuple[str, ...]
    """Paths inside the project."""
    family: Family
    pads: bool = False
    """The netlist is to be placed with pads at its ports."""
    parts: tuple[str, ...] = ()
    """Parts of the top of which cells are counted on their own, as of `part_of`."""

    @property
    def folder(self) -> str:
        return f"{_FOLDER}/{self.name}"

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return (seek(YOSYS),)

    def files(self) -> Mapping[str, str | bytes]:
        mapping = self.family.synthesis
        lines = [*mapping.before, *(f"read_verilog -sv {_quoted(source)}" for source in self.sources)]
        lines += [f"hierarchy -check -top {self.top}", "proc", f"memory_map -rom-only {_TABLES_IN_LOGIC}"]
        maps = " ".join(f"-map {self.folder}/{name}" for name in mapping.arithmetic)
        lines.append(f"techmap {maps} * */t:$add */a:use_dsp %i %d")  # sums that blocks make are left to later passes
        if any(_CASCADE in source for source in self.sources):
            lines[-1] += f" *{_CASCADE}* %d"
        lines += [*mapping.prepared, f"{mapping.command} -top {self.top}", *mapping.after]
        lines.append(f"tee -q -o {self.folder}/cells.json stat -json")
        if self.parts:  # cells are named after the nets that they drive, and these after the instance that they are in
            lines.append("autoname")
            lines += [f"select -write {self.folder}/{name}{_NAMES} t:{name}" for name in sorted(self._counted)]
        if mapping.models and not self.pads:
            lines.append(f"write_verilog -noattr {self.folder}/{VERILOG}")
        flow = self.family.place_and_route
        if flow and self.pads:
            lines += flow.pads
        elif flow and not flow.out_of_context:
            lines.append(f"delete -port {self.top}/w:* {self.top}/w:{_CLOCK} %d")
            lines += [command.format(top=self.top) for command in flow.clock]
        lines += [f"write_json {self.folder}/{_NETLIST}"] if flow else []
        texts = {f"{self.folder}/{name}": (_MAPS / name).read_text(encoding="utf-8") for name in mapping.arithmetic}
        return {f"{self.folder}/synth.ys": "\n".join(lines) + "\n", **texts}

    @property
    def _counted(self) -> frozenset[str]:
        """The cells that figures follow from."""
        mapping = self.family.synthesis
        return frozenset().union(mapping.lut, mapping.ff, mapping.dsp, mapping.bram, mapping.large)

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / self.folder
        outputs = [folder / "cells.json"]
        if self.family.place_and_route:
            outputs.append(folder / _NETLIST)
        if self.family.synthesis.models and not self.pads:
            outputs.append(folder / VERILOG)
        return (scripted(project, tools[0], self.folder, "yosys.log", "synth.ys", *outputs),)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Resources:
        path = project / self.folder / "cells.json"
        with reading(path, "cell counts"):
            cells = read_json(path)["design"]["num_cells_by_type"]
            found = count(self.family, {str(name): counted(number) for name, number in cells.items()}, tools[0].label)
        return replace(found, parts=self._parts(path.parent, tools[0].label)) if self.parts else found

    def _parts(self, folder: Path, tool: str) -> Mapping[str, Resources]:
        counters: dict[str, Counter[str]] = {}
        for kind in sorted(self._counted):
            names = folder / f"{kind}{_NAMES}"
            with reading(names, "names of cells"):
                lines = read_text(names).splitlines()
            for line in lines:
                counters.setdefault(part_of(line.partition("/")[2], self.parts), Counter())[kind] += 1
        return {part: count(self.family, cells, tool) for part, cells in sorted(counters.items())}


def scripted(project: Path, tool: FoundTool, folder: str, log: str, script: str, *outputs: Path) -> Command:
    """Yosys with a script in a ``folder`` of the project."""
    return Command(
        argv=(str(tool.path), "-q", "-l", f"{folder}/{log}", "-s", f"{folder}/{script}"),
        cwd=project,
        log=project / folder / log,
        outputs=outputs,
        writes_log=True,
        error_pattern=r"\bERROR:",
    )


def part_of(name: str, parts: Collection[str]) -> str:
    """The one of ``parts`` that a cell or net belongs to, by its name after flattening; "" for the top itself.

    A part is an instance in the top, an instance in that, or what several names in the top begin with, before an underscore.
    """
    outer, *inner = name.lstrip("\\").split(".")
    instances = (f"{outer}.{inner[0]}",) if inner else ()
    return next((each for each in (*instances, outer, outer.partition("_")[0]) if each in parts), "")


def _quoted(path: str) -> str:
    """Return a path as one word of a Yosys script."""
    return f'"{path}"' if " " in path else path
