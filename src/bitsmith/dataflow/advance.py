"""The least times of actions that wait for one another in turn, as they are where FIFOs have a depth.

What empties a FIFO waits for what fills it, and that for slots. Raised as a whole, one after another, their times would creep up
a row of an image at a time, each time with all that comes later and with all other processes. So time goes on in slices: within
one, only what happens there is raised, until it is settled, and nothing later can change it. What comes again and again, steps
of a recurrence or rows of an image, is guessed from what was settled last, as far as the guess keeps all rules.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bitsmith.dataflow.polyline import Polyline
from bitsmith.errors import ProgramError

_PATIENCE = 4
"""Raises of each sequencer, on average, after which the rest is found slice by slice."""

_BITS_ALIKE = 3
"""Sequences are about equally costly if their numbers of corners have as many bits, in steps of so many."""

_TIMES = 16
"""Times that what came again is guessed to come again at first; and if it does, so many times as often."""

_PAUSE, _WORTH = 3, 2
"""Raises of each process, on average, between guesses, and how often what came again comes again if it is worth a guess."""

_MOST_CORNERS, _TRIED = 1 << 12, 8
"""Last corners of a sequence in which a period is sought, and periods that are tried."""

_FEW, _MANY = 12, 24
"""Raises of each process in a slice, on average, with which the next slice is longer, and shorter."""


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A sequencer's actions from number ``first`` on come ``cycles`` or more after actions of another, one for each."""

    first: int
    actions: Polyline
    other: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Known:
    """Times that keep all rules, and are the least that do, but for those of sequencers ``held`` back.

    If one comes later, no other comes later by more than that: rules hold for times that are all later by the same.
    """

    times: Sequence[Polyline]
    held: frozenset[int]
    spare: dict[tuple[int, int], bool] = field(default_factory=dict)
    """By sequencer and wait, whether it never waits so long that this shows."""

    def later(
        self, number: int, waits: Sequence[Wait], rises: Sequence[int | None], most: int | None
    ) -> Polyline | None:
        """The times of a sequencer if they are later by ``most``, as is all that it ever waits for; None if that is not known."""
        if most is None or number in self.held or all(rises[wait.other] != most for wait in waits):
            return None
        if not all(rises[wait.other] == most or self._spares(number, k, wait) for k, wait in enumerate(waits)):
            return None
        begun = [wait for wait in waits if wait.first == 0 and rises[wait.other] == most]
        first = max((self.times[wait.other][wait.actions[0]] + wait.cycles for wait in begun), default=-1)
        return self.times[number].plus(most) if first == self.times[number][0] else None

    def _spares(self, number: int, index: int, wait: Wait) -> bool:
        if (number, index) not in self.spare:
            own, other = self.times[number], self.times[wait.other].of_indices(wait.actions)
            left = own.part(wait.first, wait.first + len(other)).plus_each(other, -1)
            self.spare[number, index] = int(left.values.min()) > wait.cycles
        return self.spare[number, index]


@dataclass(slots=True)
class _Track:
    """A sequencer's times: none is before ``least``, ``gap`` cycles are between neighbors.

    Args:
        offsets: the cycles from the first action to each if waits make them more than gaps all along.
        past: times of the first actions, which are settled.
        now: the least times of the next ones, as far as they may be in this slice.
        readers: sequencers that wait for this one.
    """

    least: Polyline
    gap: int
    offsets: Polyline | None
    waits: Sequence[Wait]
    past: Polyline | None = None
    now: Polyline | None = None
    readers: list[int] = field(default_factory=list)

    @property
    def start(self) -> int:
        """Actions that are settled."""
        return 0 if self.past is None else len(self.past)

    @property
    def stop(self) -> int:
        """Actions that are settled or in this slice."""
        return self.start + (0 if self.now is None else len(self.now))

    @property
    def earliest(self) -> int | None:
        """No action that is not settled comes before; None if all are."""
        if self.start == len(self.least):
            return None
        first = self.least[self.start]
        return first if self.past is None else max(first, self.past[-1] + self.gap)

    def at(self, indices: Polyline) -> Polyline:
        """The times of actions before ``stop``, whose numbers never fall."""
        split = int(indices.below(np.array(self.start)))
        joined: Polyline | None = None
        if self.past is not None and split:
            early = indices.part(0, split)
            joined = self.past.part(early[0], early[-1] + 1).of_indices(early.plus(-early[0]))
        if self.now is not None and split < len(indices):
            late = indices.part(split, len(indices)).plus(-self.start)
            there = self.now.part(late[0], late[-1] + 1).of_indices(late.plus(-late[0]))
            joined = there if joined is None else joined.followed_by(there)
        assert joined is not None
        return joined

    def within(self, begin: int, end: int) -> Polyline | None:
        """The least times from ``begin`` to before ``end`` of actions that wait for nothing; None if there are none."""
        first = self.earliest
        if first is None or first >= end:
            return None
        first = max(first, begin)
        most = min(len(self.least), self.start + (end - 1 - first) // self.gap + 1)
        least = self.least.part(self.start, most).raised(0, Polyline.line(most - self.start, first, self.gap))
        return _cut(least, int(least.below(np.array(end))))

    def finish(self) -> None:
        """Settle what is in this slice."""
        if self.now is not None:
            self.past = self.now if self.past is None else self.past.followed_by(self.now)
            self.now = None


def least_times(
    least: Sequence[Polyline],
    gaps: Sequence[int],
    offsets: Sequence[Polyline | None],
    waits: Sequence[Sequence[Wait]],
    changed: Iterable[int],
    step: int,
    latest: int,
    known: Known | None,
) -> list[Polyline]:
    """The least times not before ``least`` that keep all rules; of ``changed`` there are those that break one of others.

    They are raised where a rule is broken, until none is. Where that creeps, time goes on in slices, first of ``step`` cycles.
    All that is not changed is as it is ``known``.

    Raises:
        ProgramError: the network locks up: something would come after ``latest``.
    """
    patience, times = _PATIENCE * len(least), list(least)
    before = [] if known is None else known.times
    rises = [new.rise_over(old) for new, old in zip(times, before, strict=False)]
    moved = (times[k].plus_each(before[k], -1) for k, rise in enumerate(rises) if rise != 0)
    most = max((int(later.values.max()) for later in moved), default=None)
    waiting: list[set[int]] = [set() for _ in times]
    for number, ahead in enumerate(waits):
        for wait in ahead:
            waiting[wait.other].add(number)
    news: dict[int, set[int]] = {}
    """By sequencer, the others that it waits for and that were raised since it was."""
    for number in changed:
        for reader in waiting[number]:
            news.setdefault(reader, set()).add(number)
    while news:
        if patience == 0:
            return settled(times, gaps, offsets, waits, step, latest)
        patience -= 1
        # Cheap ones first: processes that wait for each other in turn settle before what is costly is raised once.
        # What comes later by the same costs nothing, if it is raised after all that it waits for.
        number = min(news, key=lambda n: (0 if before else len(times[n].corners).bit_length() // _BITS_ALIKE, n))
        others = news.pop(number)
        later = None if known is None else known.later(number, waits[number], rises, most)
        if later is None:
            ahead = [wait for wait in waits[number] if wait.other in others]
            later = raised(times, times[number], ahead, gaps[number], offsets[number])
        if later[-1] > latest:
            raise ProgramError("a network of processes that locks up", where="schedule")
        if later != times[number]:
            times[number] = later
            if before:
                rises[number] = later.rise_over(before[number])
            for reader in waiting[number]:
                news.setdefault(reader, set()).add(number)
    return times


def raised(
    times: Sequence[Polyline], own: Polyline, waits: Sequence[Wait], gap: int, offsets: Polyline | None
) -> Polyline:
    """The least times not before ``own`` that keep ``waits``, with ``gap`` cycles between neighbors, and ``offsets``.

    Neighbors of ``own`` are so far apart.
    """
    before = own
    for wait in waits:
        own = own.raised(wait.first, times[wait.other].of_indices(wait.actions).plus(wait.cycles))
    return own if own is before and offsets is None else spaced(own, gap, offsets)


def settled(
    least: Sequence[Polyline],
    gaps: Sequence[int],
    offsets: Sequence[Polyline | None],
    waits: Sequence[Sequence[Wait]],
    step: int,
    latest: int,
) -> list[Polyline]:
    """The least times not before ``least`` that keep ``gaps`` and ``waits``; the first slice has ``step`` cycles.

    Raises:
        ProgramError: the network locks up: something would come after ``latest``.
    """
    tracks = [_Track(*parts) for parts in zip(least, gaps, offsets, waits, strict=True)]
    for number, track in enumerate(tracks):
        for other in sorted({wait.other for wait in track.waits}):
            tracks[other].readers.append(number)
    begin, known, spent = 0, set[int](), 0
    while True:
        open_times = [first for track in tracks if (first := track.earliest) is not None]
        if not open_times:
            return [track.past for track in tracks if track.past is not None]
        begin = max(begin, min(open_times))
        end = begin + step
        if begin > latest:
            raise ProgramError("a network of processes that locks up", where="schedule")
        for track in tracks:
            track.now = track.within(begin, end)
        active = [number for number, track in enumerate(tracks) if track.now is not None]
        raises = _settle(tracks, active, end)
        for number in active:
            tracks[number].finish()
        begin = end
        if raises <= _FEW * len(active):
            step *= 2
        elif raises > _MANY * len(active):
            step = max(step // 2, 1)
        spent += raises
        if spent >= _PAUSE * len(active) and (found := _period(tracks, begin, known)) is not None:
            period, alike = found
            until = _again(tracks, begin, period, alike)
            if until - begin >= _WORTH * period:
                known.add(period)
                step = min(step, *known)
            spent = 0
            begin = until


def _again(tracks: Sequence[_Track], begin: int, period: int, alike: Sequence[bool]) -> int:
    """Settle what goes on as in the last ``period`` before ``begin``, as long as it does: the cycle up to which it does.

    Each action comes later than all that it waits for. So there is one sequence of times of which each is the least that keeps
    all rules; up to the first that is not, a guess is that sequence. Those that are not ``alike`` follow from the others.
    """
    times = _TIMES
    while True:
        end = begin + times * period
        for track, again in zip(tracks, alike, strict=True):
            track.now = _repeated(track, begin, period, times) if again else None
        for track in (track for track, again in zip(tracks, alike, strict=True) if not again):
            track.now = _raised(tracks, track, track.within(begin, end), None, end)
        if all(track.now is None for track in tracks):
            return begin
        least = [_raised(tracks, track, track.within(begin, end), None, end) for track in tracks]
        until = min(end, *(_first_other(track.now, one, end) for track, one in zip(tracks, least, strict=True)))
        for track in tracks:
            track.now = None if track.now is None else _cut(track.now, int(track.now.below(np.array(until))))
            track.finish()
        begin, times = until, _TIMES * times
        if until < end:
            return until


def _first_other(guess: Polyline | None, least: Polyline | None, end: int) -> int:
    """No time before this is another one in ``least``, of which there are all before ``end``."""
    if guess is None:
        return end if least is None else least[0]
    changed = _first_change(guess, least)
    return end if changed is None else changed


def _repeated(track: _Track, begin: int, period: int, times: int) -> Polyline | None:
    """The actions of the last ``period`` before ``begin``, as often again, as far as there are so many."""
    past, left = track.past, len(track.least) - track.start
    first = 0 if past is None else int(past.below(np.array(begin - period)))
    if past is None or first == len(past) or not left:
        return None
    times = min(times, -(-left // (len(past) - first)))
    again = past.part(first, len(past)).plus(period).repeated(times, period)
    return again.part(0, min(len(again), left))


def _period(tracks: Sequence[_Track], begin: int, known: set[int]) -> tuple[int, list[bool]] | None:
    """Cycles after which most of what was settled before ``begin`` came again last, and what did; None if nothing did."""
    recent = Counter(cycles for track in tracks if track.past is not None for cycles in _cycles(track.past))
    cycles = {*known, *(period for period, _ in recent.most_common(_TRIED))}
    if not cycles:
        return None
    window, _ = recent.most_common(1)[0] if recent else (min(known), 0)
    best = max(
        (sum(again), period, again)
        for period in cycles
        if period >= window
        for again in [[track.past is None or _came_again(track.past, begin, period, window) for track in tracks]]
    )
    return (best[1], best[2]) if 2 * best[0] > len(tracks) else None


def _cycles(past: Polyline) -> list[int]:
    """Cycles after which the last corners of ``past`` came again."""
    corners = np.stack([past.corners, past.values], axis=1)[-_MOST_CORNERS - 2 : -1]
    moves = np.diff(corners, axis=0)
    if len(moves) < 2:
        return []
    alike = np.flatnonzero(np.all(moves[:-1] == moves[-1], axis=1))[::-1]
    for count in (len(moves) - 1 - alike[:_TRIED]).tolist():
        if 2 * count <= len(moves) and np.array_equal(moves[-count:], moves[-2 * count : -count]):
            return [int(corners[-1, 1] - corners[-1 - count, 1])]
    return []


def _came_again(past: Polyline, begin: int, period: int, window: int) -> bool:
    """Return True if the last ``window`` of ``past`` before ``begin`` is like that a ``period`` before."""
    first, until, last = past.below(begin - np.array([period + window, period, window])).tolist()
    if len(past) - last != until - first:
        return False
    return last == len(past) or past.part(last, len(past)) == past.part(first, until).plus(period)


def _settle(tracks: Sequence[_Track], active: Sequence[int], end: int) -> int:
    """Raise what is in the slice that ends before ``end`` where a rule is broken, until none is; how often.

    What is broken first comes first: those that wait for each other in turn settle before what comes later is raised once.
    """
    news: dict[int, set[int] | None] = dict.fromkeys(active)
    """By sequencer, the others that it waits for and that were raised since it was; None stands for all."""
    since = {number: now[0] for number in active if (now := tracks[number].now) is not None}
    """By sequencer, no earlier action of those others was raised."""
    raises = 0
    while news:
        number = min(news, key=lambda one: (since[one], one))
        others, track, before = news.pop(number), tracks[number], tracks[number].now
        if before is None:
            continue
        raises += 1
        track.now = _raised(tracks, track, before, others, end)
        changed = _first_change(before, track.now)
        if changed is None:
            continue
        for reader in track.readers:
            since[reader] = min(since[reader], changed) if reader in news else changed
            known = news.setdefault(reader, set())
            if known is not None:
                known.add(number)
    return raises


def _first_change(before: Polyline, after: Polyline | None) -> int | None:
    """No element of less than this is another one in ``after``; None if all are the same."""
    if after is None:
        return int(before.values[0])
    common = min(len(before.corners), len(after.corners))
    same = (before.corners[:common] == after.corners[:common]) & (before.values[:common] == after.values[:common])
    if bool(np.all(same)) and len(before.corners) == len(after.corners):
        return None
    corner = int(np.argmin(np.append(same, False)))  # the first that is another one
    alike = 0 < corner < common and before.steps[corner - 1] == after.steps[corner - 1]
    ends = [times.corners[corner] for times in (before, after)] if alike else [before.corners[corner - 1]]
    index = int(min(ends)) + 1 if corner else 0  # of the first that is another one
    return min(times[index] for times in (before, after) if index < len(times))


def _raised(
    tracks: Sequence[_Track], track: _Track, now: Polyline | None, others: set[int] | None, end: int
) -> Polyline | None:
    """The least times not before ``now`` that keep the waits for ``others``, as far as they are before ``end``."""
    start = track.start
    for wait in track.waits:
        if now is None or (others is not None and wait.other not in others):
            continue
        begin, stop = max(start - wait.first, 0), start + len(now) - wait.first
        if begin >= stop:
            continue
        other, actions = tracks[wait.other], wait.actions.part(begin, stop)
        count, before = int(actions.below(np.array(other.stop))), begin + wait.first - start
        if count:  # what waits for more comes later
            times = other.at(actions.part(0, count)).plus(wait.cycles)
            now = now.part(0, before + count).raised(before, times)
        else:
            now = _cut(now, before)
    if now is None:
        return None
    now = spaced(now, track.gap, None if track.offsets is None else track.offsets.part(start, start + len(now)))
    return _cut(now, int(now.below(np.array(end))))


def _cut(times: Polyline, length: int) -> Polyline | None:
    """The first ``length`` of ``times``; None if there is none."""
    return times.part(0, length) if length else None


def spaced(times: Polyline, gap: int, offsets: Polyline | None) -> Polyline:
    """The least times not before ``times``, as far from each other as ``offsets``, or else with ``gap`` between neighbors."""
    if offsets is None:
        return times.plus(0, -gap).running_max().plus(0, gap)
    return times.plus_each(offsets, -1).running_max().plus_each(offsets, 1)
