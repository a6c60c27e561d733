"""When the processes of a network act, how deep the FIFOs between them must be, and what latency and interval follow.

Everything is known in advance, since rates do not depend on data. Method: the slowest process sets the interval. The network is
scheduled as soon as possible with unbounded FIFOs and inputs that come evenly at that interval; the most slots in use at once
are the depths. What waits before a slow process often takes fewer bits further up (tokens before they become windows): so
what fills the largest FIFOs is held back, one after another, until all tokens but one or two are taken, which stays if frames
still follow at the interval and all FIFOs together have fewer bits. FIFOs of the depths found admit that schedule, and
execution by data-driven rules is monotonic: with the same slots every action happens as early or earlier (G. Kahn, "The
Semantics of a Simple Language for Parallel Programming", IFIP 1974; E. Lee, T. Parks, "Dataflow Process Networks", Proc. IEEE
83(5), 1995). So no stall at the interface can lock the network up, and no FIFO lowers the rate. A second run with the depths
found gives the exact cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.dataflow.processes import Network, Numbers, Process, Source
from bitsmith.dataflow.timing import ProcessTiming, Sequencer, timing
from bitsmith.errors import ProgramError

_FRAMES = 4
"""Frames beyond those that are under way at once."""

_MOST_FRAMES = 1 << 12

_BOUNDS = (1, 2)
"""Places that are tried for large FIFOs."""

_MOST_TRIED = 12
_LEAST_BITS = 256
"""FIFOs that are not worth a trial have fewer."""


@dataclass(frozen=True, slots=True)
class Fifo:
    """Places between a result of one process and an operand of another; or (``operand`` -1) the memory within a process."""

    producer: int
    port: int
    consumer: int
    operand: int
    depth: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Depths and cycles.

    Args:
        fifos: one per operand of each process, and one per memory.
        latency: cycles from the transfer of a frame's first token into the empty network to that of its last token out of it.
        interval: cycles between frames, if neither side waits.
    """

    fifos: tuple[Fifo, ...]
    latency: int
    interval: int
    frames: int
    """Frames after which they follow at a steady pace."""

    def depth(self, consumer: int, operand: int) -> int:
        """Slots of the FIFO of an operand."""
        return next(fifo.depth for fifo in self.fifos if (fifo.consumer, fifo.operand) == (consumer, operand))


def schedule_to_text(found: Schedule) -> str:
    """Cycles, and a line per FIFO: the process and result that fill it, the process and operand that empty it, its depth."""
    lines = [f"latency {found.latency}, interval {found.interval}, steady after {found.frames} frames"]
    for fifo in found.fifos:
        target = f"memory within {fifo.consumer}" if fifo.operand < 0 else f"{fifo.consumer}.{fifo.operand}"
        lines.append(f"fifo {fifo.producer}.{fifo.port} -> {target}: {fifo.depth}")
    return "\n".join(lines) + "\n"


def schedule(
    network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], ProcessTiming] = timing
) -> Schedule:
    """The schedule of ``network``; ``latencies`` are the pipelines' cycles, by process.

    ``timed``: what each process does, by its latency, where it is not what our hardware does.
    """
    graph = _SequencerGraph(network, latencies, timed)
    interval = graph.interval
    depths = graph.depths(interval)
    alone = graph.span(graph.run(depths, 1, None), network, 1)[0]
    frames = alone // interval + _FRAMES  # so many are under way at once, and the last ones follow at a steady pace
    ends = graph.span(graph.run(depths, frames, None), network, frames)
    return Schedule(graph.fifos(depths), ends[0], ends[-1] - ends[-2], frames)


def fifos(network: Network, latencies: Mapping[int, int]) -> tuple[Fifo, ...]:
    """The FIFOs of the schedule alone, which take a fraction of its time."""
    graph = _SequencerGraph(network, latencies, timing)
    return graph.fifos(graph.depths(graph.interval))


@dataclass(frozen=True, slots=True)
class _Link:
    """A FIFO: sequencer and row that fills it, sequencer and row that takes from it."""

    writer: int
    row: int
    reader: int
    column: int
    names: tuple[int, int, int, int]
    constant: int | None
    """Places, where the producer only gives constants and never waits: enough for a token in every cycle."""
    bits: int
    """Of a token."""


class _SequencerGraph:
    """All sequencers of a network and the FIFOs between them."""

    def __init__(
        self, network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], ProcessTiming]
    ) -> None:
        self.sequencers: list[Sequencer] = []
        self.links: list[_Link] = []
        self.first: list[int] = []
        last: list[int] = []
        constants: set[int] = set()
        for number, process in enumerate(network.processes):
            parts = timed(process, latencies.get(number, 0)).sequencers
            self.first.append(len(self.sequencers))
            if not isinstance(process.kind, Source) and all(source.process in constants for source in process.args):
                constants.add(number)
            self.sequencers += parts
            last.append(len(self.sequencers) - 1)
            if len(parts) == 2:
                self.links.append(
                    _Link(last[-1] - 1, 0, last[-1], 0, (number, 0, number, -1), None, process.takes[0].bits)
                )
            for operand, source in enumerate(process.args):
                names = (source.process, source.port, number, operand)
                constant = latencies.get(source.process, 0) + 2 if source.process in constants else None
                self.links.append(
                    _Link(
                        last[source.process],
                        source.port,
                        self.first[number],
                        operand,
                        names,
                        constant,
                        process.takes[operand].bits,
                    )
                )
        self._known: dict[tuple[tuple[int, int, int, int], int], tuple[Numbers, Numbers]] = {}
        self.sources = [self.first[number] for number in network.sources]

    @property
    def interval(self) -> int:
        """Fewest cycles per frame of the slowest sequencer."""
        return max(sequencer.cycles for sequencer in self.sequencers)

    def fifos(self, depths: Sequence[int]) -> tuple[Fifo, ...]:
        """The FIFOs with their depths."""
        return tuple(Fifo(*link.names, depth) for link, depth in zip(self.links, depths, strict=True))

    def depths(self, interval: int) -> list[int]:
        """Places in use at most, with frames every ``interval`` cycles."""
        free, all_links = [link.constant for link in self.links], range(len(self.links))
        alone = self.run(free, 1, None)
        frames = max(int(times[-1]) for times in alone) // interval + _FRAMES
        while True:
            pace = {entry: _even(self.sequencers[entry].actions, interval, frames) for entry in self.sources}
            times = self.run(free, frames, pace)
            if frames > _MOST_FRAMES or self._is_steady(times, interval):
                break
            frames *= 2
        depths = self._places(times, frames)
        tried: set[int] = set()
        while len(tried) < _MOST_TRIED:
            left = [k for k, link in enumerate(self.links) if k not in tried and link.constant is None]
            if not left or max(self._bits([k], depths) for k in left) < _LEAST_BITS:
                break
            number = max(left, key=lambda k: self._bits([k], depths))
            tried.add(number)
            for bound in _BOUNDS:
                held = {**pace, self.links[number].writer: self._held_back(self.links[number], times, frames, bound)}
                later = self.run(free, frames, held)
                found = self._places(later, frames)
                if self._is_steady(later, interval) and self._bits(all_links, found) < self._bits(all_links, depths):
                    times, depths, pace = later, found, held
                    break
        return depths

    def _bits(self, links: Iterable[int], depths: Sequence[int]) -> int:
        """Of FIFOs of ``depths``."""
        return sum(self.links[k].bits * depths[k] for k in links)

    def _held_back(self, link: _Link, times: Sequence[Numbers], frames: int, bound: int) -> Numbers:
        """The times of what fills ``link``, not before all but ``bound`` of its tokens are taken."""
        made, gone = self._moves(link, frames)
        least = times[link.writer].copy()
        np.maximum.at(least, made[bound:], times[link.reader][gone[: len(made) - bound]] + 1)
        return least

    def _is_steady(self, times: Sequence[Numbers], interval: int) -> bool:
        """Return True if the last two frames are alike."""
        return all(
            np.array_equal(at[-one.actions :], at[-2 * one.actions : -one.actions] + interval)
            for at, one in zip(times, self.sequencers, strict=True)
        )

    def _places(self, times: Sequence[Numbers], frames: int) -> list[int]:
        """Places in use at most."""
        return [link.constant or self._most(link, times, frames) for link in self.links]

    def span(self, times: Sequence[Numbers], network: Network, frames: int) -> list[int]:
        """For each frame, the cycles from the transfer of the first frame's first token to that of its own last one."""
        begun = min(int(times[self.first[entry]][0]) for entry in network.sources)
        ends = [times[self.first[number]].reshape(frames, -1)[:, -1] for number in network.sinks]
        return [int(cycle) - begun for cycle in np.max(ends, axis=0)]

    def _moves(self, link: _Link, frames: int) -> tuple[Numbers, Numbers]:
        """The actions that fill ``link`` and those that take from it, once per token."""
        if (link.names, frames) not in self._known:
            writer, reader = self.sequencers[link.writer], self.sequencers[link.reader]
            moves = _events(writer.fills[link.row], frames), _events(reader.takes[link.column], frames)
            self._known[link.names, frames] = moves
        return self._known[link.names, frames]

    def _most(self, link: _Link, times: Sequence[Numbers], frames: int) -> int:
        """The most slots of ``link`` that are taken at once."""
        made, gone = self._moves(link, frames)
        filled, left = times[link.writer][made], times[link.reader][gone]
        # A place is free in the cycle after its token was taken.
        return max(1, int(np.max(np.arange(1, len(filled) + 1) - np.searchsorted(left, filled, side="left"))))

    def run(self, depths: Sequence[int | None], frames: int, pace: Mapping[int, Numbers] | None) -> list[Numbers]:
        """The cycle of each action of ``frames`` frames, as soon as possible; entries not before ``pace``.

        These are the least times that keep all rules: times that keep none are raised where a rule is broken, until none is.

        Raises:
            ProgramError: the network locks up.
        """
        times = [np.zeros(sequencer.actions * frames, dtype=np.int64) for sequencer in self.sequencers]
        for number, least in (pace or {}).items():
            times[number] = least
        waits = self._waits(depths, frames)
        waiting = [
            {k for k, ahead in enumerate(waits) if any(wait.other == n for wait in ahead)} for n in range(len(times))
        ]
        latest = self._latest(times)
        changed, backwards = set(range(len(times))), False
        while changed:
            # Tokens move in the order of the processes, free slots against it.
            for number in sorted(changed, reverse=backwards):
                changed.discard(number)
                found = _raised(times, times[number], waits[number], self.sequencers[number].gap)
                if found[-1] > latest:
                    raise ProgramError("a network of processes that locks up", where="schedule")
                if not np.array_equal(found, times[number]):
                    times[number] = found
                    changed |= waiting[number]
            backwards = not backwards
        return times

    def _latest(self, times: Sequence[Numbers]) -> int:
        """No chain of actions that each occur once, the first at the latest of ``times``, takes longer."""
        steps = [sequencer.gap + sequencer.latency + 1 for sequencer in self.sequencers]
        return max(int(at[-1]) for at in times) + sum(len(at) * step for at, step in zip(times, steps, strict=True))

    def _waits(self, depths: Sequence[int | None], frames: int) -> list[list[_Wait]]:
        """By sequencer, what its actions wait for: tokens, and slots in FIFOs that have ``depths``."""
        waits: list[list[_Wait]] = [[] for _ in self.sequencers]
        for link, depth in zip(self.links, depths, strict=True):
            writer, reader = self.sequencers[link.writer], self.sequencers[link.reader]
            fills, takes = writer.fills[link.row], reader.takes[link.column]
            needed = np.maximum.accumulate(_cumulative(reader.needs[link.column], int(takes[-1]), frames))
            first = int(np.searchsorted(needed, 1))
            moves = self._moves(link, frames)
            made = moves[0][needed[first:] - 1]
            waits[link.reader].append(_Wait(first, link.writer, made, writer.latency + 1))
            if depth is not None:
                filled = _cumulative(fills, int(fills[-1]), frames)
                first = int(np.searchsorted(filled, depth + 1))
                gone = moves[1][filled[first:] - depth - 1]
                waits[link.writer].append(_Wait(first, link.reader, gone, 1))
        return waits


@dataclass(frozen=True, slots=True, eq=False)
class _Wait:
    """A sequencer's actions from number ``first`` on come ``cycles`` or more after actions of another, one for each."""

    first: int
    other: int
    actions: Numbers
    cycles: int


def _raised(times: Sequence[Numbers], own: Numbers, waits: Sequence[_Wait], gap: int) -> Numbers:
    """The least times not before ``own`` that keep ``waits``, with ``gap`` cycles between neighbours."""
    even = np.arange(len(own)) * gap
    least = own - even
    for wait in waits:
        others = times[wait.other][wait.actions] + wait.cycles
        np.maximum(least[wait.first :], others - even[wait.first :], out=least[wait.first :])
    return np.asarray(np.maximum.accumulate(least) + even, dtype=np.int64)


def _cumulative(counts: Numbers, total: int, frames: int) -> Numbers:
    """A frame's cumulative count that ends with ``total``, over all frames."""
    return np.asarray((np.arange(frames)[:, None] * total + counts).ravel(), dtype=np.int64)


def _events(counts: Numbers, frames: int) -> Numbers:
    """The actions of all frames at which a cumulative count rises, once per unit."""
    steps = np.diff(counts, prepend=0)
    once = np.repeat(np.arange(len(counts)), steps)
    return np.asarray((np.arange(frames)[:, None] * len(counts) + once).ravel(), dtype=np.int64)


def _even(actions: int, interval: int, frames: int) -> Numbers:
    """The cycles of ``actions`` tokens per frame, evenly over ``interval``."""
    offsets = np.arange(actions) * interval // actions
    return np.asarray((np.arange(frames)[:, None] * interval + offsets).ravel(), dtype=np.int64)
