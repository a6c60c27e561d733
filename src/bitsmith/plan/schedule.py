"""When the processes of a network act, how deep the queues between them must be, and what latency and interval follow.

Everything is known beforehand, for rates do not depend on data. Method: the slowest process sets the interval. The network is
scheduled as soon as possible with unbounded queues and inputs that come evenly at that interval; the most places in use at once
are the depths. Queues of these depths admit that schedule, and execution by data-driven rules is monotonic: with the same
places every action happens as early or earlier (G. Kahn, "The Semantics of a Simple Language for Parallel Programming",
IFIP 1974; E. Lee, T. Parks, "Dataflow Process Networks", Proc. IEEE 83(5), 1995). So no stall at the
borders can lock the network up, and no queue lowers the rate. A second run with the depths found gives the exact cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import ProgramError
from bitsmith.plan.processes import Entry, Network, Numbers, Process
from bitsmith.plan.timing import Sequencer, Timing, timing

_FRAMES = 4
"""Frames beyond those that are under way at once."""

_MOST_FRAMES = 1 << 12


@dataclass(frozen=True, slots=True)
class Queue:
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
        queues: one per operand of each process, and one per memory.
        latency: cycles from the transfer of a frame's first token into the empty network to that of its last token out of it.
        interval: cycles between frames, if neither side waits.
    """

    queues: tuple[Queue, ...]
    latency: int
    interval: int
    frames: int
    """Frames after which they follow at a steady pace."""

    def depth(self, consumer: int, operand: int) -> int:
        """Places in front of an operand."""
        return next(q.depth for q in self.queues if (q.consumer, q.operand) == (consumer, operand))


def schedule(
    network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], Timing] = timing
) -> Schedule:
    """The schedule of ``network``; ``latencies`` are the pipelines' cycles, by process.

    ``timed``: what each process does, by its latency, where it is not what our hardware does.
    """
    graph = _Graph(network, latencies, timed)
    interval = max(sequencer.cycles for sequencer in graph.sequencers)
    depths = graph.depths(interval)
    alone = graph.span(graph.run(depths, 1, None), network, 1)[0]
    frames = alone // interval + _FRAMES  # so many are under way at once, and the last ones follow at a steady pace
    ends = graph.span(graph.run(depths, frames, None), network, frames)
    queues = tuple(Queue(*link.names, depth) for link, depth in zip(graph.links, depths, strict=True))
    return Schedule(queues, ends[0], ends[-1] - ends[-2], frames)


@dataclass(frozen=True, slots=True)
class _Link:
    """A queue: sequencer and row that fills it, sequencer and row that takes from it."""

    writer: int
    row: int
    reader: int
    column: int
    names: tuple[int, int, int, int]
    constant: int | None
    """Places, where the producer only gives constants and never waits: enough for a token in every cycle."""


class _Graph:
    """All sequencers of a network and the queues between them."""

    def __init__(self, network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], Timing]) -> None:
        self.sequencers: list[Sequencer] = []
        self.links: list[_Link] = []
        self.first: list[int] = []
        last: list[int] = []
        constants: set[int] = set()
        for number, process in enumerate(network.processes):
            parts = timed(process, latencies.get(number, 0)).sequencers
            self.first.append(len(self.sequencers))
            if not isinstance(process.kind, Entry) and all(source.process in constants for source in process.args):
                constants.add(number)
            self.sequencers += parts
            last.append(len(self.sequencers) - 1)
            if len(parts) == 2:
                self.links.append(_Link(last[-1] - 1, 0, last[-1], 0, (number, 0, number, -1), None))
            for operand, source in enumerate(process.args):
                names = (source.process, source.port, number, operand)
                constant = latencies.get(source.process, 0) + 2 if source.process in constants else None
                self.links.append(
                    _Link(last[source.process], source.port, self.first[number], operand, names, constant)
                )
        self.entries = [self.first[number] for number in network.entries]

    def depths(self, interval: int) -> list[int]:
        """Places in use at most, with frames every ``interval`` cycles."""
        free: list[int | None] = [link.constant for link in self.links]
        alone = self.run(free, 1, None)
        frames = max(int(times[-1]) for times in alone) // interval + _FRAMES
        while True:
            pace = {entry: _even(self.sequencers[entry].actions, interval, frames) for entry in self.entries}
            times = self.run(free, frames, pace)
            if frames > _MOST_FRAMES or all(
                _periodic(at, sequencer.actions, interval) for at, sequencer in zip(times, self.sequencers, strict=True)
            ):
                break
            frames *= 2
        return [link.constant or self._most(link, times, frames) for link in self.links]

    def span(self, times: Sequence[Numbers], network: Network, frames: int) -> list[int]:
        """For each frame, the cycles from the transfer of the first frame's first token to that of its own last one."""
        begun = min(int(times[self.first[entry]][0]) for entry in network.entries)
        ends = [times[self.first[number]].reshape(frames, -1)[:, -1] for number in network.exits]
        return [int(cycle) - begun for cycle in np.max(ends, axis=0)]

    def _most(self, link: _Link, times: Sequence[Numbers], frames: int) -> int:
        """The most places of ``link`` that are taken at once."""
        writer, reader = self.sequencers[link.writer], self.sequencers[link.reader]
        made = _events(writer.fills[link.row], frames)
        gone = _events(reader.takes[link.column], frames)
        filled, left = times[link.writer][made], times[link.reader][gone]
        # A place is free in the cycle after its token was taken.
        return max(1, int(np.max(np.arange(1, len(filled) + 1) - np.searchsorted(left, filled, side="left"))))

    def run(self, depths: Sequence[int | None], frames: int, pace: Mapping[int, Numbers] | None) -> list[Numbers]:
        """The cycle of each action of ``frames`` frames, as soon as possible; entries not before ``pace``.

        Raises:
            ProgramError: the network locks up.
        """
        states = [_State(self, number, frames) for number in range(len(self.sequencers))]
        for number, (link, depth) in enumerate(zip(self.links, depths, strict=True)):
            states[link.writer].outputs.append((number, link, depth))
            states[link.reader].inputs.append((number, link))
        puts = [
            np.empty(int(self.sequencers[link.writer].fills[link.row][-1]) * frames, np.int64) for link in self.links
        ]
        pops = [
            np.empty(int(self.sequencers[link.reader].takes[link.column][-1]) * frames, np.int64) for link in self.links
        ]
        done = [[0, 0] for _ in self.links]
        pending = list(range(len(states)))
        while pending:
            moved = [states[number].advance(puts, pops, done, (pace or {}).get(number)) for number in pending]
            if not any(moved):
                raise ProgramError("a network of processes that locks up", where="schedule")
            pending = [number for number in pending if not states[number].finished]
        return [state.times for state in states]


class _State:
    """How far a sequencer is."""

    def __init__(self, graph: _Graph, number: int, frames: int) -> None:
        self.sequencer = graph.sequencers[number]
        self.frames = frames
        self.times = np.zeros(self.sequencer.actions * frames, dtype=np.int64)
        self.at = 0
        self.inputs: list[tuple[int, _Link]] = []
        self.outputs: list[tuple[int, _Link, int | None]] = []

    @property
    def finished(self) -> bool:
        """Whether all actions have been done."""
        return self.at == len(self.times)

    def advance(
        self, puts: Sequence[Numbers], pops: Sequence[Numbers], done: Sequence[list[int]], pace: Numbers | None
    ) -> bool:
        """Do all actions whose times are known; whether there was one."""
        begun = self.at
        while not self.finished:
            cycle = self._cycle(puts, pops, done)
            if cycle is None:
                break
            if pace is not None:
                cycle = max(cycle, int(pace[self.at]))
            self._act(cycle, puts, pops, done)
        return self.at > begun

    def _counts(self, row: Numbers) -> tuple[int, int]:
        """A cumulative count before and after the next action."""
        frame, action = divmod(self.at, self.sequencer.actions)
        total = int(row[-1])
        return frame * total + (int(row[action - 1]) if action else 0), frame * total + int(row[action])

    def _cycle(self, puts: Sequence[Numbers], pops: Sequence[Numbers], done: Sequence[list[int]]) -> int | None:
        """The next action's cycle; None if it depends on what is not known yet."""
        cycle = int(self.times[self.at - 1]) + self.sequencer.gap if self.at else 0
        frame, action = divmod(self.at, self.sequencer.actions)
        for number, link in self.inputs:
            needs, takes = self.sequencer.needs[link.column], self.sequencer.takes[link.column]
            need = frame * int(takes[-1]) + int(needs[action])
            if need > done[number][0]:
                return None
            if need:
                cycle = max(cycle, int(puts[number][need - 1]) + 1)
        for number, link, depth in self.outputs:
            before, after = self._counts(self.sequencer.fills[link.row])
            if depth is not None and after > before and after > depth:
                if after - depth > done[number][1]:
                    return None
                cycle = max(cycle, int(pops[number][after - depth - 1]) + 1)
        return cycle

    def _act(self, cycle: int, puts: Sequence[Numbers], pops: Sequence[Numbers], done: Sequence[list[int]]) -> None:
        self.times[self.at] = cycle
        for number, link in self.inputs:
            before, after = self._counts(self.sequencer.takes[link.column])
            pops[number][before:after] = cycle
            done[number][1] = after
        for number, link, _ in self.outputs:
            before, after = self._counts(self.sequencer.fills[link.row])
            puts[number][before:after] = cycle + self.sequencer.latency
            done[number][0] = after
        self.at += 1


def _events(counts: Numbers, frames: int) -> Numbers:
    """The actions of all frames at which a cumulative count rises, once per unit."""
    steps = np.diff(counts, prepend=0)
    once = np.repeat(np.arange(len(counts)), steps)
    return np.asarray((np.arange(frames)[:, None] * len(counts) + once).ravel(), dtype=np.int64)


def _even(actions: int, interval: int, frames: int) -> Numbers:
    """The cycles of ``actions`` tokens per frame, evenly over ``interval``."""
    offsets = np.arange(actions) * interval // actions
    return np.asarray((np.arange(frames)[:, None] * interval + offsets).ravel(), dtype=np.int64)


def _periodic(times: Numbers, actions: int, interval: int) -> bool:
    """Whether the last two frames are alike."""
    return bool(np.array_equal(times[-actions:], times[-2 * actions : -actions] + interval))
