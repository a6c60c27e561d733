"""Place and route with nextpnr for Lattice ECP5: the clock that a design reaches, and a bitstream.

In: the JSON netlist that `bitsmith.flows.yosys` leaves. Out: timing and utilization from nextpnr's own report, or a
file that configures a real part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.devices import DEFAULT_PART, Part, resolve_part
from bitsmith.errors import CapacityError, ToolFailedError
from bitsmith.flows.run import Command, Progress, execute, inside
from bitsmith.flows.tools import ECPPACK, NEXTPNR_ECP5, FoundTool, find

_FOLDER = "pnr"
_UTILIZATION = re.compile(r"Info:\s+(?P<kind>\w+):\s+(?P<used>\d+)/\s*(?P<available>\d+)\s+\d+%")
_ERROR = r"^ERROR:|terminate called|Traceback"


@dataclass(frozen=True, slots=True)
class Board:
    """A board with a clock and a serial port: the sites of the pins and the clock's frequency."""

    name: str
    part: Part
    clk_hz: int
    clk_site: str
    rx_site: str
    tx_site: str

    def constraints(self) -> str:
        """The LPF text for a top with ports ``clk``, ``uart_rx`` and ``uart_tx``."""
        lines = [f"# {self.name}: {self.part.name}"]
        for port, site in (("clk", self.clk_site), ("uart_rx", self.rx_site), ("uart_tx", self.tx_site)):
            pull = "UP" if port == "uart_rx" else "NONE"
            lines.append(f'LOCATE COMP "{port}" SITE "{site}";')
            lines.append(f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33 PULLMODE={pull};')
        lines.append(f'FREQUENCY PORT "clk" {self.clk_hz / 1e6:g} MHZ;')
        return "\n".join(lines) + "\n"


ULX3S_85F = Board(
    "ULX3S-85F", resolve_part("LFE5U-85F-6BG381C"), clk_hz=25_000_000, clk_site="G2", rx_site="M1", tx_site="L4"
)


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock after routing.

    ``fmax_mhz`` is nextpnr's, over all paths from register to register; ``clock_period_ns`` its inverse.
    ``utilization`` maps a cell kind to (used, available).
    """

    fmax_mhz: float
    clock_period_ns: float
    utilization: Mapping[str, tuple[int, int]]
    tool: str


def _read_timing(report: Path, tool: str) -> Timing:
    """nextpnr's JSON report: keys ``fmax`` (per clock) and ``utilization`` (per cell kind)."""
    try:
        content = json.loads(report.read_text())
        fmax = min(float(clock["achieved"]) for clock in content["fmax"].values())
        used = {
            str(kind): (int(number["used"]), int(number["available"]))
            for kind, number in content["utilization"].items()
            if int(number["used"])
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolFailedError(f"wrote a report that cannot be read: {error!r}", where=str(report)) from error
    return Timing(round(fmax, 2), round(1e3 / fmax, 3), used, tool)


@dataclass(frozen=True, slots=True)
class _Utilization:
    """Ends a run by a CapacityError at a utilization above 100 %.

    nextpnr itself only reports it and then searches for a legal placement that cannot exist, for hours.
    """

    part: Part

    def __call__(self, line: str) -> None:
        used = _UTILIZATION.match(line)
        if used is not None and int(used["used"]) > int(used["available"]):
            raise CapacityError(
                f"the design needs {used['used']} {used['kind']} and the part has {used['available']}",
                where=self.part.name,
                remedy="a larger part, or fewer bits, more pruning or a higher reuse factor",
            )


@dataclass(frozen=True, slots=True)
class OutOfContext:
    """The flow: place and route a netlist without pads, for its Fmax alone."""

    netlist: str
    """Path inside the project."""
    part: Part
    target_mhz: float

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return (find(NEXTPNR_ECP5),)

    def files(self) -> Mapping[str, str | bytes]:
        return {}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        return (
            Command(
                argv=(
                    *(str(tools[0].path), "--quiet", "--log", f"{_FOLDER}/nextpnr.log", *self.part.nextpnr),
                    *("--out-of-context", "--json", self.netlist, "--freq", f"{self.target_mhz:g}", "--seed", "1"),
                    *("--timing-allow-fail", "--report", f"{_FOLDER}/report.json"),
                ),
                cwd=project,
                log=project / _FOLDER / "nextpnr.log",
                outputs=(project / _FOLDER / "report.json",),
                writes_log=True,
                error_pattern=_ERROR,
                watch=_Utilization(self.part),
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Timing:
        return _read_timing(project / _FOLDER / "report.json", tools[0].label)


@dataclass(frozen=True, slots=True)
class Bitstream:
    """The flow: place and route a netlist with the board's pins, and pack the configuration of the part."""

    netlist: str
    """Path inside the project."""
    name: str
    board: Board

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return find(NEXTPNR_ECP5), find(ECPPACK)

    def files(self) -> Mapping[str, str | bytes]:
        return {f"{_FOLDER}/{self.name}.lpf": self.board.constraints()}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        base = f"{_FOLDER}/{self.name}"
        return (
            Command(
                argv=(
                    *(str(tools[0].path), "--quiet", "--log", f"{base}.nextpnr.log", *self.board.part.nextpnr),
                    *("--json", self.netlist, "--lpf", f"{base}.lpf", "--seed", "1"),
                    *("--textcfg", f"{base}.config", "--report", f"{base}.report.json"),
                ),
                cwd=project,
                log=project / f"{base}.nextpnr.log",
                outputs=(project / f"{base}.config", project / f"{base}.report.json"),
                writes_log=True,
                error_pattern=_ERROR,
                watch=_Utilization(self.board.part),
            ),
            Command(
                argv=(str(tools[1].path), "--compress", "--input", f"{base}.config", "--bit", f"{base}.bit"),
                cwd=project,
                log=project / f"{base}.ecppack.log",
                outputs=(project / f"{base}.bit",),
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Path, Timing]:
        base = project / _FOLDER / self.name
        return base.with_name(f"{self.name}.bit"), _read_timing(
            base.with_name(f"{self.name}.report.json"), tools[0].label
        )


def place_and_route(
    project_dir: Path,
    netlist: Path,
    *,
    target_mhz: float,
    part: Part | None = None,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> Timing:
    """Fmax of a netlist by itself, without pads; the paths from input ports and to output ports do not count.

    Raises:
        CapacityError: the part is too small.
    """
    flow = OutOfContext(inside(project_dir, netlist), part or resolve_part(DEFAULT_PART), target_mhz)
    return execute(flow, project_dir, progress, timeout)


def bitstream(
    project_dir: Path,
    netlist: Path,
    name: str,
    *,
    board: Board = ULX3S_85F,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> tuple[Path, Timing]:
    """The bitstream of a netlist whose top has the ports ``clk``, ``uart_rx`` and ``uart_tx``, and its timing.

    The netlist is that of the serial shell of `bitsmith.rtl.library` around the core.

    Raises:
        CapacityError: the part is too small.
        ToolFailedError: also when the board's clock is not met; no bitstream is written then.
    """
    flow = Bitstream(inside(project_dir, netlist), name, board)
    return execute(flow, project_dir, progress, timeout)
