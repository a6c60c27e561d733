"""The oracle of `bitsmith.dataflow.schedule`: the same depths and cycles, from arrays with an element per action and frame."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.dataflow import timing as contract
from bitsmith.dataflow.links import Link
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.schedule import Schedule, _SequencerGraph
from bitsmith.dataflow.tokens import Numbers

_FRAMES, _MOST_MEASURED, _MOST_FRAMES, _BOUNDS, _MOST_FAILED, _LEAST_BITS = 4, 64, 1 << 12, (1, 2), 12, 256
_HOPS, _NEARLY, _SPARE = 8, 1.15, 2


class Sequencer:
    """Actions of one frame, a column per action."""

    def __init__(self, one: contract.Sequencer) -> None:
        self.actions, self.cycles, self.gap, self.latency = one.actions, one.cycles, one.gap, one.latency
        self.needs = [row.dense() for row in one.needs]
        self.takes = [row.dense() for row in one.takes]
        self.fills = [row.dense() for row in one.fills]


def dense_schedule(network: Network, latencies: Mapping[int, int], more: int = 2) -> Schedule:
    """The schedule of ``network``; ``latencies`` are the pipelines' cycles, by process.

    FIFOs are planned with ``more`` times the frames that are under way at once: tokens of several FIFOs may wait for long.
    """
    dense = _Dense(_SequencerGraph(network, latencies, Process.timing))
    interval = dense.graph.interval
    depths = dense.depths(interval, more)
    latency = int(max(dense.ends(dense.run(depths, 1, None), network, 1)[:, 0]))
    frames = latency // interval + _FRAMES
    tokens = max(dense.sequencers[dense.first[number]].actions for number in network.sources)
    while frames < _MOST_MEASURED:
        ends, several = dense.ends(dense.run(depths, frames, None), network, frames), frames // 4 * 2
        if max(tokens, *((ends[:, -1] - ends[:, -1 - several]) // several)) >= interval:
            break
        frames *= 2
    return Schedule(dense.graph.fifos(depths), latency, interval, lambda: frames)


class _Dense:
    def __init__(self, graph: _SequencerGraph) -> None:
        self.graph, self.links, self.first, self.sources = graph, graph.links, graph.first, graph.sources
        self.sequencers = [Sequencer(one) for one in graph.sequencers]
        self.most = 0

    def depths(self, interval: int, more: int) -> list[int]:
        """Places in use at most, with frames every ``interval`` cycles."""
        free = [link.constant for link in self.links]
        alone = self.run(free, 1, None)
        frames = more * (max(int(times[-1]) for times in alone) // interval + _FRAMES)
        while True:
            pace = {entry: _even(self.sequencers[entry].actions, interval, frames) for entry in self.sources}
            times = self.run(free, frames, pace)
            if frames > _MOST_FRAMES or self._is_steady(times, interval):
                break
            frames *= 2
        depths = self._slots(times, frames)
        self.most, tried, failed = self._waited(depths) + _SPARE, set[int](), 0
        while failed < _MOST_FAILED and (left := self._worth(depths, tried)):
            number = max(left, key=lambda k: self._bits(depths)[k])
            tried.add(number)
            less, trials = self._with_less(number, times, depths, pace, frames, interval)
            times, depths, pace = less or (times, depths, pace)
            failed += 0 if less else trials
        return [link.slots(depth) for link, depth in zip(self.links, depths, strict=True)]

    def _with_less(
        self,
        number: int,
        times: Sequence[Numbers],
        depths: Sequence[int],
        pace: Mapping[int, Numbers],
        frames: int,
        interval: int,
    ) -> tuple[tuple[Sequence[Numbers], Sequence[int], Mapping[int, Numbers]] | None, int]:
        """Times, slots and what is held back, with fewer bits, None without these; and how many were held back for it."""
        bits, before, numbers = sum(self._bits(depths)), self._bits(depths), [number]
        while True:
            link = self.links[numbers[-1]]
            for bound in _BOUNDS:
                held = {**pace, link.writer: self._held_back(link, times, frames, bound)}
                later = self.run([link.constant for link in self.links], frames, held)
                if self._is_steady(later, interval):
                    break
            else:
                return None, len(numbers)
            times, depths, pace = later, self._slots(later, frames), held
            now = self._bits(depths)
            if sum(now) < bits and self._waited(depths) <= self.most:
                return (times, depths, pace), len(numbers)
            left = self._worth(depths, numbers)
            if self._waited(depths) > self.most or sum(now) > _NEARLY * bits or not left or len(numbers) == _HOPS:
                return None, len(numbers)
            numbers.append(max(left, key=lambda k: now[k] - before[k]))

    def _waited(self, depths: Sequence[int]) -> int:
        """Frames that a token waits at most in a FIFO worth a trial."""
        takes = {
            k: self.sequencers[self.links[k].reader].takes[self.links[k].column][-1] for k in self._worth(depths, ())
        }
        return max((depths[k] // int(each) for k, each in takes.items()), default=0)

    def _worth(self, depths: Sequence[int], tried: Container[int]) -> list[int]:
        """FIFOs that are tried with fewer slots."""
        free = (k for k, link in enumerate(self.links) if k not in tried and link.constant is None)
        return [k for k in free if self._bits(depths)[k] >= _LEAST_BITS]

    def _bits(self, depths: Sequence[int]) -> list[int]:
        """Bits on chip of all FIFOs, but for memories of fixed size."""
        fixed = (link.within and link.constant is not None for link in self.links)
        return [
            0 if is_fixed else link.bits * link.slots(depth)
            for link, depth, is_fixed in zip(self.links, depths, fixed, strict=True)
        ]

    def _held_back(self, link: Link, times: Sequence[Numbers], frames: int, bound: int) -> Numbers:
        """The times of what fills ``link``, not before all but ``bound`` of its tokens are taken."""
        made, gone = self._moves(link, frames)
        least = times[link.writer].copy()
        np.maximum.at(least, made[bound:], times[link.reader][gone[: len(made) - bound]] + link.slice + 1)
        return least

    def _is_steady(self, times: Sequence[Numbers], interval: int) -> bool:
        """Return True if the last two frames are alike."""
        return all(
            np.array_equal(at[-one.actions :], at[-2 * one.actions : -one.actions] + interval)
            for at, one in zip(times, self.sequencers, strict=True)
        )

    def _slots(self, times: Sequence[Numbers], frames: int) -> list[int]:
        """Places in use at most."""
        return [self._most(link, times, frames) for link in self.links]

    def ends(self, times: Sequence[Numbers], network: Network, frames: int) -> Numbers:
        """For each output and frame, the cycles from the transfer of the very first token to that of the frame's last one."""
        begun = min(int(times[self.first[entry]][0]) for entry in network.sources)
        return np.array([times[self.first[number]].reshape(frames, -1)[:, -1] - begun for number in network.sinks])

    def _moves(self, link: Link, frames: int) -> tuple[Numbers, Numbers]:
        """The actions that fill ``link`` and those that take from it, once per token."""
        writer, reader = self.sequencers[link.writer], self.sequencers[link.reader]
        return _events(writer.fills[link.row], frames), _events(reader.takes[link.column], frames)

    def _most(self, link: Link, times: Sequence[Numbers], frames: int) -> int:
        """The most slots of ``link`` that are taken at once."""
        made, gone = self._moves(link, frames)
        filled, left = times[link.writer][made], times[link.reader][gone]
        if link.constant is not None:
            writer, reader = self.sequencers[link.writer], self.sequencers[link.reader]
            if writer.takes or writer.gap > 1 or [other.writer for other in self.links].count(link.writer) > 1:
                return link.constant
            needs = np.concatenate(
                [reader.needs[link.column] + k * reader.takes[link.column][-1] for k in range(frames)]
            )
            begun = np.searchsorted(np.maximum.accumulate(needs), np.arange(1, len(gone) + 1))
            filled = times[link.reader][begun] - 1 - writer.latency - link.slice
        # A slot is free in the cycle after its token was taken, or after the news of that came.
        known = np.searchsorted(left + link.slice, filled, side="left")
        return max(1, int(np.max(np.arange(1, len(filled) + 1) - known)))

    def run(self, depths: Sequence[int | None], frames: int, pace: Mapping[int, Numbers] | None) -> list[Numbers]:
        """The cycle of each action of ``frames`` frames, as soon as possible; entries not before ``pace``.

        These are the least times that keep all rules: times that keep none are raised where a rule is broken, until none is.
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
                assert found[-1] <= latest, "locks up"
                if not np.array_equal(found, times[number]):
                    times[number] = found
                    changed |= waiting[number]
            backwards = not backwards
        return times

    def _latest(self, times: Sequence[Numbers]) -> int:
        """No chain of actions that each occur once, the first at the latest of ``times``, takes longer."""
        way = 1 + max((link.slice for link in self.links), default=0)
        steps = [sequencer.gap + sequencer.latency + way for sequencer in self.sequencers]
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
            waits[link.reader].append(_Wait(first, link.writer, made, writer.latency + link.slice + 1))
            if depth is not None:
                filled = _cumulative(fills, int(fills[-1]), frames)
                first = int(np.searchsorted(filled, depth + 1))
                gone = moves[1][filled[first:] - depth - 1]
                waits[link.writer].append(_Wait(first, link.reader, gone, link.slice + 1))
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
