"""Schedules: the actions of a network's processes in time, the depths of the FIFOs between them, latency and interval.

Everything is known in advance, since rates do not depend on data. Method: the slowest process sets the interval. The network is
scheduled as soon as possible with unbounded FIFOs and inputs that come evenly at that interval; the most slots in use at once
are the depths. What waits before a slow process often takes fewer bits further up (tokens before they become windows): so what
fills the largest FIFOs is held back, one after another, until all tokens but one or two are taken, which stays if frames still
follow at the interval and all FIFOs together have fewer bits. Memories within processes have as many places as their addresses.
FIFOs of the depths found admit that schedule, and execution by data-driven rules is monotonic: with the same slots every action
happens as early or earlier (G. Kahn, "The Semantics of a Simple Language for Parallel Programming", IFIP 1974; E. Lee, T. Parks,
"Dataflow Process Networks", Proc. IEEE 83(5), 1995). So no stall at the interface can lock the network up, and no FIFO lowers
the rate. A second run with the depths found gives the exact cycles.

So frames follow at the interval of the slowest sequencer, whatever parts a network has. They may follow faster at first: until
a part that takes long catches up with a slow one that began early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import zip_longest

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow.advance import Known, Wait, least_times, raised
from bitsmith.dataflow.kinds import Source
from bitsmith.dataflow.links import Link, Moves, indices, round_trips
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Network, Process, gives_back
from bitsmith.dataflow.timing import ProcessTiming, Sequencer
from bitsmith.dataflow.trials import Plan, fewest_bits, has_few_corners, up_to, worth_a_trial

_FRAMES = 4
"""Frames that are looked at first, and of a latency those beyond the ones that are under way at once."""

_MOST_MEASURED = 64
"""Frames after which no more are looked at for a steady pace."""

_MOST_FRAMES = 1 << 12

_ROUNDS = 4
"""Frames after which processes that wait for what they made follow each other at their pace."""

_BOUNDS = (1, 2)
"""Slots that are tried for large FIFOs."""

_MOST_FILLS = 1 << 23
"""Corners of what fills FIFOs, beyond which a trial to hold it back takes a minute and gigabytes."""

_SPARE = 2
"""Frames for which tokens may wait longer where processes are held back, if sequences have few corners."""

_SLICES = 16
"""Slices of the interval, before it is known which length suits the network."""


@dataclass(frozen=True, slots=True)
class Fifo:
    """Slots between a result of one process and an operand of another; or (``operand`` -1) the memory within a process."""

    producer: int
    port: int
    consumer: int
    operand: int
    depth: int


@dataclass(frozen=True)
class Schedule:
    """Depths and cycles.

    Args:
        fifos: one per operand of each process, and one per memory.
        latency: cycles from the transfer of a frame's first token into the empty network to that of its last token out of it.
        interval: cycles between frames in the long run, if neither side waits.
        count: gives the ``frames``, which takes longer than all the rest, and only simulation asks for.
    """

    fifos: tuple[Fifo, ...]
    latency: int
    interval: int
    count: Callable[[], int] = field(compare=False, repr=False)

    @cached_property
    def frames(self) -> int:
        """Frames to look at so that the last ones follow at the interval; with fewer they may follow faster."""
        return self.count()

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
    network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], ProcessTiming] = Process.timing
) -> Schedule:
    """The schedule of ``network``; ``latencies`` are the pipelines' cycles, by process.

    ``timed``: what each process does, by its latency, where it is not what our hardware does.
    """
    graph = _graph(network, latencies, timed)
    interval, depths = graph.interval, graph.planned
    alone = graph.run(depths, 1, None)
    latency = max(alone[graph.first[sink]][-1] for sink in network.sinks)
    return Schedule(
        graph.fifos(depths), latency, interval, partial(_frames, network, latencies, timed, depths, latency)
    )


def _frames(
    network: Network,
    latencies: Mapping[int, int],
    timed: Callable[[Process, int], ProcessTiming],
    depths: Sequence[int],
    latency: int,
) -> int:
    """Return the frames to look at so that the last ones follow at the interval."""
    graph = _graph(network, latencies, timed)
    frames = latency // graph.interval + _FRAMES  # so many are under way at once
    while graph.pace(graph.run(depths, frames, None), network, frames) < graph.interval and frames < _MOST_MEASURED:
        frames *= 2
    return frames


@lately(4)
def fifos(network: Network, latencies: Mapping[int, int], *, planned: bool = True) -> tuple[tuple[Fifo, ...], int]:
    """The FIFOs of the schedule, and its interval, which take a fraction of its time; those of one slot unless ``planned``."""
    graph = _graph(network, latencies, Process.timing)
    if not planned:
        return graph.fifos([1] * len(graph.links)), graph.slowest
    return graph.fifos(graph.planned), graph.interval


@lately(2)
def _graph(
    network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], ProcessTiming]
) -> _SequencerGraph:
    """The graph of a network, whose plan an estimate and a build ask for."""
    return _SequencerGraph(network, latencies, timed)


class _SequencerGraph:
    """All sequencers of a network and the FIFOs between them."""

    def __init__(
        self, network: Network, latencies: Mapping[int, int], timed: Callable[[Process, int], ProcessTiming]
    ) -> None:
        self.sequencers: list[Sequencer] = []
        self.links: list[Link] = []
        self.first: list[int] = []
        last: list[int] = []
        constants: set[int] = set()
        memories: list[int | None] = []
        for number, process in enumerate(network.processes):
            timing = timed(process, latencies.get(number, 0))
            self.first.append(len(self.sequencers))
            is_input = isinstance(process.kind, Source) and process.kind.stored is None
            if not is_input and all(source.process in constants for source in process.args):
                constants.add(number)
            self.sequencers += timing.sequencers
            last.append(len(self.sequencers) - 1)
            memories.append(timing.places)
        paced: set[int] = set()
        for number, process in enumerate(network.processes):
            end = last[number]
            if end > self.first[number]:
                within = end - 1, 0, end, 0, (number, 0, number, -1)
                self.links.append(Link(*within, memories[number], process.takes[0].bits, 0))
            for operand, source in enumerate(process.args):
                names = (source.process, source.port, number, operand)
                there_and_back = self.sequencers[last[source.process]].latency + 2 + 2 * process.slice(operand)
                # The first reader sets the pace of constants; what another takes later waits for it, as any other tokens do.
                constant = there_and_back if source.process in constants and source.process not in paced else None
                paced.add(source.process)
                ends = last[source.process], source.port, self.first[number], operand
                self.links.append(Link(*ends, names, constant, process.takes[operand].bits, process.slice(operand)))
        self._once: dict[tuple[int, int, int, int], Moves] = {}
        self._known: tuple[int, dict[tuple[int, int, int, int], Moves]] = 0, {}
        self.sources = [self.first[number] for number in network.sources if number not in constants]
        self._free = [link.constant for link in self.links]
        self._near = all(
            link.constant is None or link.constant <= self.sequencers[link.reader].takes[link.column][-1]
            for link in self.links
        )
        """True if no action waits for a slot for longer than a frame: after two frames that are alike come others like them."""
        self._begun: Sequence[Polyline] = ()
        """Times of the first frames at the pace of the slowest sequencer, if they are there."""
        self._rounds = [
            last[k]
            for k, one in enumerate(network.processes)
            if memories[k] is not None or any(gives_back(k, source) for source in one.args)
        ]

    @cached_property
    def interval(self) -> int:
        """Fewest cycles per frame of the slowest sequencer, or of a round of those that wait for each other."""
        if not self._rounds:
            return self.slowest
        if self._near:
            self._begun = self._paced(_FRAMES - 1, self.slowest)
            if self._is_steady(self._begun, self.slowest):
                return self.slowest
        times = self.run(self._free, _ROUNDS, None)
        ends = [(times[number], len(times[number]) - self.sequencers[number].actions) for number in self._rounds]
        return max(self.slowest, *(at[-1] - at[before - 1] for at, before in ends))

    @property
    def slowest(self) -> int:
        """Fewest cycles per frame of the slowest sequencer."""
        return max(sequencer.cycles for sequencer in self.sequencers)

    def fifos(self, depths: Sequence[int]) -> tuple[Fifo, ...]:
        return tuple(Fifo(*link.names, depth) for link, depth in zip(self.links, depths, strict=True))

    @cached_property
    def planned(self) -> list[int]:
        """Slots in use at most, with frames at the interval."""
        return self.depths(self.interval)

    def depths(self, interval: int) -> list[int]:
        """Slots in use at most, with frames every ``interval`` cycles."""
        frames = _FRAMES - self._near
        begun, self._begun = self._begun if interval == self.slowest else (), ()
        while True:
            times, begun = begun or self._paced(frames, interval), ()
            steady = self._is_steady(times, interval)
            depths = [*self._slots(times, frames, interval if steady else None)]
            waited = self._waited(depths) + (_SPARE if has_few_corners(times) else 0)
            least = waited + _FRAMES if steady else 2 * frames
            if frames >= least or frames > _MOST_FRAMES:
                break
            if steady and self._near:  # all later ones are alike
                times, frames = self._longer(times, least - frames, interval), least
                break
            frames = least
        plan, waits = Plan(Known(times, frozenset()), depths, steady), self._waits(self._free, frames)

        def held(plan: Plan, numbers: Sequence[int], most: float) -> Plan | None:
            known, before = plan.known, (plan.known.times, plan.depths) if plan.steady else ((), ())
            links = [self.links[k] for k in numbers]
            if sum(len(self._moves(link, frames).fills.corners) for link in links) * frames > _MOST_FILLS:
                return None
            bounded = (self._held_back(links, known, waits, frames, bound) for bound in _BOUNDS)
            later = next((times for times in bounded if self._is_steady(times, interval, before[0])), None)
            if later is None:
                return None
            slots = up_to(most, self._slots(later, frames, interval, *before), self.links)
            if slots is None or self._waited(slots) > waited:  # such tokens are not followed to a steady pace
                return None
            return Plan(Known(later, known.held | {link.writer for link in links}), slots, True)

        fewest = fewest_bits(plan, self.links, held).depths
        return [link.slots(depth) for link, depth in zip(self.links, fewest, strict=True)]

    def _paced(self, frames: int, interval: int) -> list[Polyline]:
        """The times of so many frames, of which one comes every ``interval`` cycles, with FIFOs that are as deep as need be."""
        pace = {entry: _even(self.sequencers[entry].actions, interval, frames) for entry in self.sources}
        return self.run(self._free, frames, pace)

    def _longer(self, times: Sequence[Polyline], more: int, interval: int) -> list[Polyline]:
        """The times with so many frames more, each like the last one."""
        lasts = (at.part(len(at) - one.actions, len(at)) for at, one in zip(times, self.sequencers, strict=True))
        return [
            at.followed_by(last.plus(interval).repeated(more, interval)) for at, last in zip(times, lasts, strict=True)
        ]

    def _waited(self, depths: Sequence[int]) -> int:
        """Frames that a token waits at most in a FIFO worth a trial: after so many others follow at a steady pace again."""
        worth = [(self.links[k], depths[k]) for k in worth_a_trial(depths, self.links)]
        return max((depth // self.sequencers[link.reader].takes[link.column][-1] for link, depth in worth), default=0)

    def _held_back(
        self, held: Sequence[Link], known: Known, waits: Sequence[Sequence[Wait]], frames: int, bound: int
    ) -> list[Polyline]:
        """The times if what fills ``held`` acts only when all but ``bound`` of its tokens are taken as ``known`` has it."""
        times, writers = list(known.times), [link.writer for link in held]
        for link in held:
            wait, gap = self._waits_for_room(link, frames, bound), self.sequencers[link.writer].gap
            if wait is not None:
                times[link.writer] = raised(known.times, times[link.writer], [wait], gap, None)
        return self._settled(times, waits, writers, [None] * len(times), known)

    def _is_steady(self, times: Sequence[Polyline], interval: int, before: Sequence[Polyline] = ()) -> bool:
        """Return True if the last two frames are alike, as they are ``before``, where times may be the same."""
        return all(
            at.part(len(at) - one.actions, len(at))
            == at.part(len(at) - 2 * one.actions, len(at) - one.actions).plus(interval)
            for at, one, known in zip_longest(times, self.sequencers, before)
            if at is not known
        )

    def _slots(
        self,
        times: Sequence[Polyline],
        frames: int,
        interval: int | None,
        before: Sequence[Polyline] = (),
        known: Sequence[int] = (),
    ) -> Iterator[int]:
        """Slots in use at most; ``known`` are those of the times ``before``, of which many may be the same.

        Frames like the last one follow every ``interval`` cycles, if that is given.
        """
        later = [new.rise_over(old) for old, new in zip(before, times, strict=False)]
        for k, link in enumerate(self.links):
            same = later and later[link.writer] is not None and later[link.writer] == later[link.reader]
            yield known[k] if same else self._most(link, times, frames, interval)

    def pace(self, times: Sequence[Polyline], network: Network, frames: int) -> int:
        """Cycles per frame, rounded down, over an even number of the last ``frames``, of the slowest input or output."""
        several = frames // 4 * 2
        paces = [self.sequencers[self.first[source]].actions for source in network.sources]
        for sink in (self.first[number] for number in network.sinks):
            before = times[sink][len(times[sink]) - 1 - several * self.sequencers[sink].actions]
            paces.append((times[sink][-1] - before) // several)
        return max(paces)

    def _moves(self, link: Link, frames: int) -> Moves:
        """The tokens of ``link`` in so many frames."""
        if self._known[0] != frames:
            self._known = frames, {}
        known = self._known[1]
        if link.names not in self._once:
            self._once[link.names] = Moves.of(link, self.sequencers)
        if link.names not in known:
            known[link.names] = self._once[link.names].over(frames)
        return known[link.names]

    def _most(self, link: Link, times: Sequence[Polyline], frames: int, interval: int | None) -> int:
        """The most slots of ``link`` that are taken at once, as `_slots` has it.

        A table fills slots as late as its reader allows, which takes a token in each cycle at most. What else gives constants,
        and tables of several readers, have slots for that.
        """
        moves, writer = self._moves(link, frames), self.sequencers[link.writer]
        filled = times[link.writer].of_indices(moves.filling)
        left = times[link.reader].of_indices(moves.taking).plus(link.slice)
        if link.constant is not None:
            if writer.takes or writer.gap > 1 or sum(other.writer == link.writer for other in self.links) > 1:
                return link.constant
            needed = times[link.reader].of_indices(moves.needed.rises())
            filled = needed.plus(-writer.latency - link.slice - 1)
        if interval is not None:
            # What comes until the last token has left, of as many frames as are under way meanwhile.
            last = filled.part(len(filled) - len(filled) // frames, len(filled))
            more = max(left[-1] - last[0], 0) // interval
            filled = filled.followed_by(last.plus(interval).repeated(more, interval)) if more else filled
            filled = filled.part(0, max(int(filled.below(np.array(left[-1] + 1))), 1))
        # Between corners of both, what is in use grows or falls: it is most at one of them, or next to it.
        tokens = filled.around(left.values)
        # A slot is free in the cycle after its token was taken.
        return max(1, int(np.max(tokens + 1 - left.below(filled.at(tokens)))))

    def run(self, depths: Sequence[int | None], frames: int, pace: Mapping[int, Polyline] | None) -> list[Polyline]:
        """The cycle of each action of ``frames`` frames, as soon as possible; entries not before ``pace``.

        Raises:
            ProgramError: the network locks up.
        """
        waits, offsets = self._waits(depths, frames), self._offsets(depths, frames)
        return self._settled(self._least(frames, pace or {}), waits, range(len(waits)), offsets, None)

    def _least(self, frames: int, pace: Mapping[int, Polyline]) -> list[Polyline]:
        """The times of all actions that wait for nothing, those of ``pace`` as it has them."""
        return [pace.get(k, Polyline.line(one.actions * frames, 0, one.gap)) for k, one in enumerate(self.sequencers)]

    def _settled(
        self,
        least: Sequence[Polyline],
        waits: Sequence[Sequence[Wait]],
        changed: Iterable[int],
        offsets: Sequence[Polyline | None],
        known: Known | None,
    ) -> list[Polyline]:
        gaps, step = [sequencer.gap for sequencer in self.sequencers], -(-self.slowest // _SLICES)
        return least_times(least, gaps, offsets, waits, changed, step, self._latest(least), known)

    def _latest(self, times: Sequence[Polyline]) -> int:
        """No chain of actions that each occur once, the first at the latest of ``times``, takes longer."""
        way = 1 + max((link.slice for link in self.links), default=0)
        steps = [sequencer.gap + sequencer.latency + way for sequencer in self.sequencers]
        return max(at[-1] for at in times) + sum(len(at) * step for at, step in zip(times, steps, strict=True))

    def _waits(self, depths: Sequence[int | None], frames: int) -> list[list[Wait]]:
        """By sequencer, what its actions wait for: tokens, and slots in FIFOs that have ``depths``."""
        waits: list[list[Wait]] = [[] for _ in self.sequencers]
        for link, depth in zip(self.links, depths, strict=True):
            writer, moves = self.sequencers[link.writer], self._moves(link, frames)
            made = indices(moves.filling, moves.needed, 0)
            if made is not None:
                waits[link.reader].append(Wait(*made, link.writer, writer.latency + link.slice + 1))
            room = None if depth is None else self._waits_for_room(link, frames, depth)
            if room is not None:
                waits[link.writer].append(room)
        return waits

    def _offsets(self, depths: Sequence[int | None], frames: int) -> list[Polyline | None]:
        """By sequencer, the least cycles from its first action to each, where a FIFO of one slot makes them more than gaps.

        What fills the only slot waits for the token before to be taken, and that for having come. This follows from what the
        sequencers wait for; but found out by waiting it would take a raise for each token.
        """
        offsets: list[Polyline | None] = [None] * len(self.sequencers)
        most = [0] * len(self.sequencers)
        for link, depth in zip(self.links, depths, strict=True):
            if depth != 1:
                continue
            for number, extra, before in round_trips(link, self.sequencers, self._moves(link, frames)):
                if extra > most[number]:
                    one, most[number] = self.sequencers[number], extra
                    offsets[number] = Polyline.line(one.actions * frames, 0, one.gap).plus_each(before, extra)
        return offsets

    def _waits_for_room(self, link: Link, frames: int, depth: int) -> Wait | None:
        """Return the wait of the process that fills ``link`` until all but ``depth`` tokens are taken; None without one."""
        moves = self._moves(link, frames)
        gone = indices(moves.taking, moves.filled, depth)
        return None if gone is None else Wait(*gone, link.reader, 1 + link.slice)


def _even(actions: int, interval: int, frames: int) -> Polyline:
    """The cycles of ``actions`` tokens per frame, evenly over ``interval``."""
    if interval % actions == 0:
        return Polyline.line(actions * frames, 0, interval // actions)
    return Polyline.of(np.arange(actions) * interval // actions).repeated(frames, interval)
