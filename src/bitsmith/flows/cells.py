"""The netlist after synthesis as plain Verilog, for simulations: cells replaced by what models say that they do.

In: the Verilog netlist that `bitsmith.flows.yosys` leaves. Out: one module without cells of the family. The models are those of
Yosys, and ours of cells that Yosys only declares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.devices.family import Family
from bitsmith.devices.parts import FAMILIES
from bitsmith.errors import CapacityError
from bitsmith.flows.run import Command
from bitsmith.flows.tools import YOSYS, FoundTool, seek
from bitsmith.flows.yosys import VERILOG, scripted

_NETLIST = "simulated.v"
_SHARED = "+/"
"""Prefix of the names of files that are Yosys's own."""


def require_models(family: Family) -> None:
    """Refuse a family without models of its cells.

    Raises:
        CapacityError: there are none.
    """
    if not family.synthesis.models:
        known = ", ".join(family.name for family in FAMILIES if family.synthesis.models)
        raise CapacityError(
            f"there are no models of all cells of {family.name}",
            where="simulation after synthesis",
            accepted=f"parts of {known}",
        )


@dataclass(frozen=True, slots=True)
class Unmapped:
    """The flow: replace the cells of the netlist of ``top`` in a ``folder`` of the project."""

    top: str
    folder: str
    family: Family

    @property
    def netlist(self) -> str:
        """The path of what is written, inside the project."""
        return f"{self.folder}/{_NETLIST}"

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return (seek(YOSYS),)

    def files(self) -> Mapping[str, str | bytes]:
        lines = [f"read_verilog {self.folder}/{VERILOG}"]
        files: dict[str, str | bytes] = {}
        for name in self.family.synthesis.models:
            path = name if name.startswith(_SHARED) else f"{self.folder}/{name}"
            lines.append(f"read_verilog -defer -overwrite {path}")
            if path != name:
                files[path] = (Path(__file__).parent / name).read_text(encoding="utf-8")
        lines += [f"hierarchy -check -top {self.top}", "proc", "flatten -wb"]
        # Writes that never happen have no address, which Verilator takes for an error.
        lines += ["opt -fast -purge", "opt_expr -mux_undef", "opt_mem"]
        lines += ["splitnets", "rename -hide", "opt_clean -purge"]  # names take most of the file
        lines += [f"write_verilog -noattr {self.netlist}"]
        return {f"{self.folder}/unmap.ys": "\n".join(lines) + "\n", **files}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        return (scripted(project, tools[0], self.folder, "unmap.log", "unmap.ys", project / self.netlist),)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Path:
        return project / self.netlist
