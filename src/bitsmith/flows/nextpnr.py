"""Place and route with the nextpnr of a family: the clock that a design reaches, and a bitstream.

In: the JSON netlist that `bitsmith.flows.yosys` leaves. Out: timing and utilization from nextpnr's own report, or a
file that configures a real part.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bitsmith.devices.board import Board
from bitsmith.devices.family import Part, PlaceAndRoute
from bitsmith.devices.parts import DEFAULT_PART, FAMILIES
from bitsmith.errors import CapacityError, ToolFailedError
from bitsmith.errors.remedies import OPEN, Remedy, build, given, remedy
from bitsmith.flows.figures import counted, measured, read_json, reading
from bitsmith.flows.run import Command, Flow
from bitsmith.flows.tools import FoundTool, Tool, seek

_FOLDER = "pnr"
_UTILIZATION = re.compile(r"Info:\s+(?P<kind>\w+):\s+(?P<used>\d{1,15})/\s*(?P<available>\d{1,15})\s+\d+%")
_MHZ = 1e-3, 1e6
"""Clocks that a circuit can have."""

_NO_PLACEMENT = "Unable to find legal placement"
_CROWDED = 0.9
"""The share of a kind of cells from which it is named as what a placement may have failed by."""

_SMALLER = remedy("a larger part, or fewer bits, more pruning or a higher reuse factor")
_SMALLER_PORT = remedy(
    _SMALLER, "; ", given(monitors="none"), " leaves out the frame that is stored beside the serial port"
)

_ERROR = r"^ERROR:|terminate called|Traceback"


def nextpnr(flow: PlaceAndRoute) -> Tool:
    """Return the family's nextpnr."""
    without = "everything up to synthesis works; Fmax and bitstream are left out"
    return _tool(flow, flow.program, (0, 7), r"nextpnr-(\d+(?:\.\d+)+)", flow.wheel, without)


def packer(flow: PlaceAndRoute) -> Tool:
    """Return the program that makes the family's bitstreams."""
    without, made = "everything up to place and route works; the bitstream is left out", flow.packer
    return _tool(flow, made.program, (), made.version, made.wheel_command, without)


def _tool(
    flow: PlaceAndRoute, program: str, minimum: tuple[int, ...], version: str, wheel_command: str, without: str
) -> Tool:
    """A program of the family's wheel."""
    install = f'pip install "bitsmith[{flow.extra}]"'
    return Tool(
        program, (program,), minimum, version, install, remedy(without), flow.wheel, wheel_command=wheel_command
    )


_FLOWS = [family.place_and_route for family in FAMILIES if family.place_and_route is not None]
TOOLS = tuple(dict.fromkeys(tool(flow) for flow in _FLOWS for tool in (nextpnr, packer)))
"""The programs of all families."""


def place_and_route_of(part: Part) -> PlaceAndRoute:
    """Return nextpnr for a part.

    Raises:
        CapacityError: there is none.
    """
    if part.family.place_and_route is None:
        known = ", ".join(family.name for family in FAMILIES if family.place_and_route is not None)
        raise CapacityError(
            f"no open tool can place and route {part.name}",
            where="place and route",
            accepted=f"parts of {known}; for others synthesis counts are available",
            remedy=remedy(
                build(tool=OPEN), " for the vendor's tool, ", given(part=DEFAULT_PART), ", or ", given(pnr=False)
            ),
        )
    return part.family.place_and_route


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
    path: tuple[str, ...] = ()
    """The cells that the slowest path begins and ends at."""


def _read_timing(report: Path, tool: str) -> Timing:
    """nextpnr's JSON report: keys ``fmax`` (per clock) and ``utilization`` (per cell kind)."""
    with reading(report, "a report"):
        content = read_json(report)
        fmax = min(measured(clock["achieved"]) for clock in content["fmax"].values())
        if not _MHZ[0] <= fmax <= _MHZ[1]:
            raise ValueError(f"a clock of {fmax:g} MHz")
        used = {
            str(kind): (counted(number["used"]), counted(number["available"]))
            for kind, number in content["utilization"].items()
            if counted(number["used"])
        }
        paths = [
            each["path"]
            for each in content.get("critical_paths", ())
            if _is_clock(each["from"]) and _is_clock(each["to"])
        ]
        slowest = max(paths, key=lambda path: sum(measured(step["delay"]) for step in path), default=None)
        ends = (str(slowest[0]["from"]["cell"]), str(slowest[-1]["to"]["cell"])) if slowest else ()
    return Timing(round(fmax, 2), round(1e3 / fmax, 3), used, tool, ends)


def _is_clock(end: object) -> bool:
    """Return True if a path begins or ends at a register, not at a port."""
    return isinstance(end, str) and "edge" in end


@dataclass(frozen=True, slots=True)
class _Utilization:
    """Ends a run by a CapacityError at a utilization above 100 %, and where nextpnr has found no placement.

    At such a utilization nextpnr searches for a legal placement that cannot exist, for hours. ``crowded`` are the cells that
    there are hardly enough of.
    """

    part: Part
    ways: Remedy
    crowded: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        if _NO_PLACEMENT in line:
            raise self._refused(
                f"no legal placement: the design takes {' and '.join(self.crowded) or 'too much of the part'}"
            )
        if (match := _UTILIZATION.match(line)) is None:
            return
        used, available = int(match["used"]), int(match["available"])
        if used > available:
            raise self._refused(f"the design needs {used} {match['kind']} and the part has {available}")
        if used >= _CROWDED * available > 0:
            self.crowded.append(f"{used:,} of {available:,} {match['kind']}")

    def _refused(self, found: str) -> CapacityError:
        return CapacityError(found, where=self.part.name, remedy=self.ways)


def _placed(
    project: Path,
    tool: FoundTool,
    part: Part,
    files: str,
    mhz: float,
    options: Sequence[str],
    ways: Remedy,
    *outputs: Path,
) -> Command:
    """Place and route for a part, or ``ways`` to make it fit: names of the log and of the report begin with ``files``."""
    log, report = f"{files}nextpnr.log", f"{files}report.json"
    return Command(
        argv=(
            *(str(tool.path), "--quiet", "--log", log, *part.nextpnr, *options),
            *("--freq", f"{mhz:g}", "--seed", "1", "--timing-allow-fail", "--report", report),
        ),
        cwd=project,
        log=project / log,
        outputs=(*outputs, project / report),
        writes_log=True,
        error_pattern=_ERROR,
        watch=_Utilization(part, ways),
    )


@dataclass(frozen=True, slots=True)
class OutOfContext(Flow[Timing]):
    """The flow: place and route a netlist without pads, for its Fmax alone."""

    netlist: str
    """Path inside the project."""
    part: Part
    target_mhz: float
    routing: tuple[str, ...]
    """Options that route the circuit."""

    def find(self) -> tuple[FoundTool, ...]:
        return (seek(nextpnr(place_and_route_of(self.part))),)

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        options = (*place_and_route_of(self.part).out_of_context, *self.routing, "--json", self.netlist)
        return (_placed(project, tools[0], self.part, f"{_FOLDER}/", self.target_mhz, options, _SMALLER),)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Timing:
        return _read_timing(project / _FOLDER / "report.json", tools[0].label)


@dataclass(frozen=True, slots=True)
class Bitstream:
    """The flow: place and route a netlist with the board's pins, and pack the configuration of the part.

    It aims at ``target_mhz``, so that its Fmax is worth reporting, and must reach the board's clock.
    """

    netlist: str
    """Path inside the project."""
    name: str
    board: Board
    target_mhz: float
    routing: tuple[str, ...]
    """Options that route the circuit."""

    def find(self) -> tuple[FoundTool, ...]:
        return seek(nextpnr(self.board.flow)), seek(packer(self.board.flow))

    def files(self) -> Mapping[str, str | bytes]:
        return {f"{self._base}{self._pins}": self.constraints}

    @property
    def constraints(self) -> str:
        """The text of the constraints file."""
        return self.board.constraints(round(self.target_mhz * 1e6))

    @property
    def bitstream(self) -> str:
        """The path of the bitstream inside the project."""
        return f"{self._base}{self.board.flow.packer.suffix}"

    @property
    def _base(self) -> str:
        return f"{_FOLDER}/{self.name}"

    @property
    def _pins(self) -> str:
        """The suffix of the constraints file."""
        return f".{self.board.flow.constraints.removeprefix('--')}"

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        base, flow = self._base, self.board.flow
        routed = f"{base}.config"
        pack = [word.format(routed=routed, bitstream=self.bitstream) for word in flow.packer.arguments]
        options = (*self.routing, "--json", self.netlist, flow.constraints, f"{base}{self._pins}", flow.routed, routed)
        mhz = max(self.target_mhz, self.board.clock_hz / 1e6)
        return (
            _placed(project, tools[0], self.board.part, f"{base}.", mhz, options, _SMALLER_PORT, project / routed),
            Command(
                argv=(str(tools[1].path), *pack),
                cwd=project,
                log=project / f"{base}.{flow.packer.program}.log",
                outputs=(project / self.bitstream,),
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Path, Timing]:
        bits, log = project / self.bitstream, project / f"{self._base}.nextpnr.log"
        timing, needed_mhz = (
            _read_timing(project / f"{self._base}.report.json", tools[0].label),
            self.board.clock_hz / 1e6,
        )
        if timing.fmax_mhz < needed_mhz:
            bits.unlink(missing_ok=True)
            raise ToolFailedError(
                f"the circuit reaches {timing.fmax_mhz:g} MHz, and the board's clock has {needed_mhz:g}",
                where=self.board.name,
                log=str(log),
                remedy=remedy(
                    "a shorter clock period, ", given(clock_period=OPEN), ", with which the circuit gets more stages"
                ),
            )
        return bits, timing
