"""Holds the structure of generated C++ against the plan: the cycles per frame that ports of memories and feedback allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitsmith.errors import VerificationError
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.project import HlsProject
from tests.hls.structure.reading import parse
from tests.hls.structure.storage import feedback_cycles, port_cycles
from tests.hls.structure.tools import READINGS, Reading
from tests.hls.structure.tree import Functions
from tests.hls.structure.values import Access, Region
from tests.hls.structure.walk import TooLargeError, Walker


@dataclass(frozen=True, slots=True)
class Pace:
    """A pipelined loop or function of a process: its steps, the cycles between them, and what asks for so many."""

    process: str
    place: str
    trips: int
    interval: int
    reason: str


@dataclass(frozen=True, slots=True)
class Structure:
    """The pace of all that is pipelined, and the processes that were too large to be followed."""

    paces: tuple[Pace, ...]
    left_out: tuple[str, ...] = ()

    def cycles(self) -> Mapping[str, int]:
        """Cycles of each process per frame."""
        found: dict[str, int] = {}
        for pace in self.paces:
            found[pace.process] = found.get(pace.process, 0) + pace.trips * pace.interval
        return found


def structure(files: Mapping[str, str], top: str, dialect: Dialect, *, unrolled: bool) -> Structure:
    """The structure of a project, as the tool of ``dialect`` sees it; ``unrolled``: it takes a sample in every cycle.

    Raises:
        ProgramError: the code is not C++, or has a loop whose bounds are not constant.
    """
    reading = READINGS[dialect.name]
    functions = Functions(parse(files, f"firmware/{top}.cpp", reading.defines), top)
    called = {call for key in functions.inner for call in functions.calls(key)}
    processes = {key: name for key, name in functions.inner.items() if key not in called}
    if unrolled:
        processes = {functions.top: top}
    paces, left_out = list[Pace](), list[str]()
    for key, name in processes.items():
        walker = Walker(functions, reading.pipelines)
        try:
            walker.process(key, at_once=unrolled)
        except TooLargeError:
            left_out.append(name)
            continue
        paces += [_pace(name, region, reading, files) for region in walker.regions]
    return Structure(tuple(paces), tuple(left_out))


def _pace(process: str, region: Region, reading: Reading, files: Mapping[str, str]) -> Pace:
    """The cycles between steps of a pipelined loop."""
    touched: dict[int, list[Access]] = {}
    for access in region.accesses:
        touched.setdefault(id(access.array), []).append(access)
    needs = [(reading.pipelines.asked(region.marks), "")]
    for accesses in touched.values():
        array = accesses[0].array
        cycles = port_cycles(reading.storage(array, files), array, accesses)
        needs.append((cycles, f"the ports of array {array.name!r} ({array.place})"))
    for name, (operations, fed) in region.feedback.items():
        if fed is not None:
            cycles = feedback_cycles(reading.storage(fed, files), operations)
            needs.append((cycles, f"{operations} operations from {name!r} ({fed.place}) back to itself"))
    for (stream, what), uses in region.streams.items():
        needs.append((uses, f"{uses} {what}s of stream {stream!r}"))
    cycles, reason = max(needs, key=lambda need: need[0])
    return Pace(process, region.place, region.trips, cycles, reason)


def check(project: HlsProject, dialect: Dialect, *, unrolled: bool) -> Structure:
    """Refuse C++ whose processes cannot take a frame as often as is planned; else its structure.

    Raises:
        VerificationError: names the process, and the array or loop.
    """
    found = structure(project.files, project.top, dialect, unrolled=unrolled)
    planned = project.slowest
    for process, cycles in found.cycles().items():
        if cycles > planned:
            slow = max(
                (pace for pace in found.paces if pace.process == process), key=lambda pace: pace.trips * pace.interval
            )
            because = f", because of {slow.reason}" if slow.interval > 1 else ""
            raise VerificationError(
                f"{process!r} takes {cycles:,} cycles per frame: {slow.trips:,} steps, one in every {slow.interval}{because}",
                where=slow.place,
                accepted=f"at most {planned:,} cycles, as planned",
                remedy="please report this: the C++ does not have the structure of its plan",
            )
    return found
