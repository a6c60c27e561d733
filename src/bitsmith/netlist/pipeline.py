"""Cuts a netlist into pipeline stages for a clock, with as few register bits as can be (of large ones, as a search finds).

In: a netlist and how long each cell takes. Out: the stage of every word. Nothing is rewritten: a word of stage ``s`` that is read
in stage ``t`` passes ``t - s`` registers, shared by all who read it. Stage 0 starts at the unregistered inputs; the outputs are
registered at the end of the last stage, so that the latency in cycles is the number of stages, at least 1; a new sample can
enter every cycle. A sum may begin while the upper bits of sums in its own stage still ripple. Absorbed words (see `absorb`)
belong to no stage: what they are made of is registered instead.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import Delays, lut_inputs, registers_after, sooner
from bitsmith.netlist.lut_packing import absorb
from bitsmith.netlist.netlist import Netlist, live_words, operands
from bitsmith.netlist.place_registers import Placement, fewest_registers

_SWEEPS = 6
_SLACK_NS = 1e-9
_EXACT_WORDS = 4000
"""Words up to which the best placement is sought; of more, a good one."""


@dataclass(frozen=True, slots=True)
class PipelineStages:
    """The stage of every word (-1 for constants, absorbed and dead words) and what the pipeline costs.

    ``over_budget`` lists words that take longer than a whole stage, which is ``stage_ns`` of logic, ``memories`` the tables
    that are to be block memory, and ``tables_of_bits`` those that are a constant per bit. The longest stage takes ``longest_ns``.
    """

    stages: int
    stage: tuple[int, ...]
    register_bits: int
    over_budget: tuple[int, ...]
    stage_ns: float
    memories: frozenset[int]
    tables_of_bits: frozenset[int]
    longest_ns: float


def pipeline(netlist: Netlist, delays: Delays, budget_ns: float, at_least: int | None = None) -> PipelineStages:
    """A schedule whose stages take ``budget_ns`` at most, cells that are slower by themselves excepted.

    There are ``at_least`` so many stages, with further registers where these have the fewest bits.
    """
    return Timing(netlist, delays, budget_ns).run(at_least or 1)


class Timing:
    """Stages of words under search: as soon as possible first, then moved where that saves registers.

    ``overlap``: sums ripple while those before them do. ``finish`` holds the time within its stage at which a word is ready: the
    earliest possible in sweeps from the inputs, the latest allowed in sweeps from the outputs.
    """

    def __init__(self, netlist: Netlist, delays: Delays, budget_ns: float, *, overlap: bool = True) -> None:
        count = len(netlist.words)
        self._overlap = overlap
        self._netlist = netlist
        self.budget = budget_ns + _SLACK_NS
        absorbed = absorb(netlist, lut_inputs(delays), sums_choose=delays.sums_choose)
        self._absorbed = absorbed
        self._order = [
            word
            for word in reversed(list(live_words(netlist)))
            if absorbed.sources[word] == (word,) and not isinstance(netlist.words[word].cell, cells.Literal)
        ]
        self._width = [word.width for word in netlist.words]
        self._delays = delays
        self._reads: list[tuple[int, ...]] = [()] * count
        self._sooner: list[Mapping[int, float]] = [{}] * count
        self._readers: list[list[int]] = []
        self._delay = [0.0] * count
        self._registers_after = bytearray(count)
        self._too_slow: list[int] = []
        self._stage = [-1] * count
        self._finish = [0.0] * count
        self._uses: list[list[int]] = []
        for word in self._order:
            self._enter(word)
        self.stages = self._soonest()

    def fused(self, netlist: Netlist, sums: Collection[int], gone: Collection[int]) -> Timing:
        """Return the timing of ``netlist``, whose words ``sums`` add what the sums ``gone`` did, which are dead; wiring stays."""
        other = copy(self)
        other._netlist = netlist
        other._order = [word for word in self._order if word not in gone]
        other._reads, other._sooner = list(self._reads), list(self._sooner)
        other._delay, other._too_slow = list(self._delay), list(self._too_slow)
        other._registers_after = bytearray(self._registers_after)
        other._stage, other._finish = list(self._stage), list(self._finish)
        changed = frozenset(sums)
        for word in self._order:  # those that read such a sum, too, which may begin at another of its bits
            if word in changed or (word not in gone and not changed.isdisjoint(self._reads[word])):
                other._enter(word)
        other.stages = other._soonest()
        return other

    def _enter(self, word: int) -> None:
        netlist, absorbed, delays = self._netlist, self._absorbed, self._delays
        found = dict.fromkeys(x for y in operands(netlist.words[word].cell) for x in absorbed.sources[y])
        self._reads[word] = tuple(x for x in found if not isinstance(netlist.words[x].cell, cells.Literal))
        inputs = absorbed.inputs[word]
        cell = netlist.words[word].cell
        self._registers_after[word], delay = registers_after(netlist, netlist.words[word], delays, self.budget)
        self._delay[word] = delays.table(inputs) if inputs else delay
        if self._delay[word] > self.budget:
            if not isinstance(cell, cells.RomRead) or not self._registers_after[word]:
                self._too_slow.append(word)
            self._delay[word] = self.budget
            self._sooner[word] = {}
        elif self._overlap and isinstance(cell, cells.AddSub | cells.TernaryAdder):
            self._sooner[word] = sooner(netlist, word, absorbed.sources, delays)

    def _soonest(self) -> int:
        """The number of stages, words as soon as possible."""
        self._as_soon_as_possible()
        return max((self._stage[word] for word in self._order), default=0) + 1

    def late(self, stages: int) -> frozenset[int]:
        """Words that cannot be ready, as soon as possible as they are, when they are needed in the last of ``stages``."""
        due = self._due(stages)
        return frozenset(
            word
            for word, (stage, finish) in due.items()
            if (self._stage[word], self._finish[word]) > (stage, finish + _SLACK_NS)
        )

    def ready(self, word: int, times: Sequence[float]) -> float:
        """Nanoseconds from the first stage's start until ``word`` is ready, all words before it being ready at ``times``."""
        start = 0.0
        if self._absorbed.sources[word] != (word,):
            return max((times[x] for x in self._absorbed.sources[word]), default=start)
        for x in self._reads[word]:
            after = self._registers_after[x]
            begin = int((times[x] - _SLACK_NS) / self.budget) * self.budget  # of its stage
            start = max(
                start, begin + after * self.budget if after else times[x] - self._sooner[word].get(x, 0.0), begin
            )
        return self.after(start, self._delay[word])

    def after(self, start: float, delay: float) -> float:
        """Return the time at which a cell is ready that begins at ``start`` or in the next stage."""
        end = (int((start + _SLACK_NS) / self.budget) + 1) * self.budget
        return start + delay if start + delay <= end else end + delay

    def due(self, stages: int) -> Mapping[int, float]:
        """Nanoseconds from the first stage's start until words are needed, in ``stages`` stages."""
        return {word: stage * self.budget + finish for word, (stage, finish) in self._due(stages).items()}

    def _due(self, stages: int) -> dict[int, tuple[int, float]]:
        """The stage in which each word is needed, as late as possible, and when in it."""
        due = dict.fromkeys(self._order, (stages - 1, self.budget))
        for word in reversed(self._order):
            stage, finish = due[word]
            for x in self._reads[word]:
                start = finish - self._delay[word] + self._sooner[word].get(x, 0.0)
                if self._registers_after[x]:
                    need = (stage - self._registers_after[x], self.budget)
                else:
                    need = (stage, start) if start >= self._delay[x] else (stage - 1, self.budget)
                due[x] = min(due[x], need)
        return due

    def run(self, at_least: int) -> PipelineStages:
        stages = max(self.stages, at_least)
        self._readers = [[] for _ in self._netlist.words]
        for word in self._order:
            for x in self._reads[word]:
                self._readers[x].append(word)
        if len(self._order) <= _EXACT_WORDS:
            self._swept(stages)
            bits = self._place(stages)
        else:
            self._start_early_or_late(stages)
            bits = self._swept(stages)
        words = self._netlist.words
        roms = {word: rom for word in self._order if isinstance(rom := words[word].cell, cells.RomRead)}
        memories = frozenset(word for word in roms if self._registers_after[word])
        of_bits = frozenset(
            word for word, rom in roms.items() if words[rom.address].width in self._delays.tables_of_bits
        )
        slow = tuple(self._too_slow)
        found = stages, tuple(self._stage), bits, slow, self.budget - _SLACK_NS, memories, of_bits - memories
        return PipelineStages(*found, self._longest())

    def _longest(self) -> float:
        """Nanoseconds of the longest stage, each word in its own."""
        ready = [0.0] * len(self._netlist.words)
        for word in self._order:
            beside = (x for x in self._reads[word] if self._stage[x] == self._stage[word])
            start = max((ready[x] - self._sooner[word].get(x, 0.0) for x in beside), default=0.0)
            ready[word] = max(start, 0.0) + self._delay[word]
        return max(ready, default=0.0)

    def _start_early_or_late(self, stages: int) -> None:
        """Put words where one round of sweeps leaves fewer bits: from as soon as possible, or as late as possible.

        No word of a wide product saves bits by waiting alone for what is late, but all of them together do.
        """
        bits = self._swept(stages, 1)
        early = self._stage, self._finish
        self._stage, self._finish = list(self._stage), list(self._finish)
        for word, (stage, finish) in self._due(stages).items():
            if not isinstance(self._netlist.words[word].cell, cells.InputPort):
                self._stage[word], self._finish[word] = stage, finish
        if self._swept(stages, 1) >= bits:
            self._stage, self._finish = early

    def _swept(self, stages: int, rounds: int = _SWEEPS) -> int:
        """Move words where that saves bits of registers, from the outputs and from the inputs in turn; return the bits."""
        self._uses = [[0] * (stages + 1) for _ in self._netlist.words]
        for ref in self._netlist.results:
            for word in self._absorbed.sources[ref.word]:
                self._uses[word][stages] += 1
        for word in self._order:
            for x in self._reads[word]:
                self._uses[x][self._stage[word]] += 1
        bits = self._register_bits()
        for _ in range(rounds):
            self._sweep_late(stages)
            self._sweep_early()
            saved = bits - self._register_bits()
            bits -= saved
            if saved <= bits // 200:
                break
        return bits

    def _place(self, stages: int) -> int:
        """Put words where there are fewest bits of registers; return these."""
        number = {word: k for k, word in enumerate(self._order)}
        reads = [(number[x], number[word]) for word in self._order for x in self._reads[word]]
        gaps = [(u, v, self._registers_after[self._order[u]]) for u, v in reads]
        gaps += [(number[word], number[x], 1) for word in self._order for x in self._beyond_a_stage(word)]
        results = {
            number[word]: stages
            for ref in self._netlist.results
            for word in self._absorbed.sources[ref.word]
            if word in number
        }
        words = self._netlist.words
        ports = frozenset(number[word] for word in self._order if isinstance(words[word].cell, cells.InputPort))
        widths = [self._width[word] for word in self._order]
        placed = fewest_registers(
            Placement(widths, stages, gaps, reads, results, ports), [self._stage[word] for word in self._order]
        )
        last = dict(results)
        for word, stage in zip(self._order, placed, strict=True):
            self._stage[word] = stage
        for u, v in reads:
            last[u] = max(last.get(u, 0), placed[v])
        return sum((stage - placed[u]) * widths[u] for u, stage in last.items())

    def _beyond_a_stage(self, word: int) -> list[int]:
        """The nearest words that cannot be ready in a stage in which ``word`` begins."""
        if self._registers_after[word]:
            return []
        ready = {word: self._delay[word]}
        nearest: list[int] = []
        queue = list(self._readers[word])
        heapq.heapify(queue)
        while queue:
            reader = heapq.heappop(queue)
            if reader in ready:
                continue
            lead = self._sooner[reader]
            start = max(ready[x] - lead.get(x, 0.0) for x in self._reads[reader] if x in ready)
            ready[reader] = max(start, 0.0) + self._delay[reader]
            if ready[reader] > self.budget:
                nearest.append(reader)
            if ready[reader] > self.budget or self._registers_after[reader]:
                ready[reader] = 0.0
            else:
                for further in self._readers[reader]:
                    heapq.heappush(queue, further)
        return nearest

    def _as_soon_as_possible(self) -> None:
        for word in self._order:
            stage, start = self._start(word)
            if start > 0 and start + self._delay[word] > self.budget:
                stage, start = stage + 1, 0.0
            self._stage[word], self._finish[word] = stage, start + self._delay[word]

    def _start(self, word: int) -> tuple[int, float]:
        """The first stage in which all that ``word`` reads is there, and when in it."""
        stage = max((self._stage[x] + self._registers_after[x] for x in self._reads[word]), default=0)
        lead = self._sooner[word]
        here = [self._finish[x] - lead.get(x, 0.0) for x in self._reads[word] if self._stage[x] == stage]
        return stage, max([0.0, *here])

    def _last_use(self, word: int) -> int:
        uses = self._uses[word]
        for stage in range(len(uses) - 1, -1, -1):
            if uses[stage]:
                return stage
        return self._stage[word]

    def _register_bits(self) -> int:
        return sum((self._last_use(word) - self._stage[word]) * self._width[word] for word in self._order)

    def _sweep_late(self, stages: int) -> None:
        """From the outputs: each word into the cheapest stage from where it is to where its readers are, later if equal."""
        for word in reversed(self._order):
            limit = stages - 1
            latest: dict[int, float] = {}
            for reader in self._readers[word]:
                stage = self._stage[reader]
                limit = min(limit, stage - self._registers_after[word])
                due = self._finish[reader] - self._delay[reader] + self._sooner[reader].get(word, 0.0)
                latest[stage] = min(latest.get(stage, self.budget), due)
            here = self._stage[word]
            if isinstance(self._netlist.words[word].cell, cells.InputPort):
                limit = here
            allowed = [t for t in range(here + 1, limit + 1) if latest.get(t, self.budget) >= self._delay[word]]
            self._move(word, [*reversed(allowed), here])
            self._finish[word] = latest.get(self._stage[word], self.budget)

    def _sweep_early(self) -> None:
        """From the inputs: each word into the cheapest stage from where its operands are to where it is, earlier if equal."""
        for word in self._order:
            here = self._stage[word]
            first, start = self._start(word)
            allowed = [] if start + self._delay[word] > self.budget or first == here else [first]
            self._move(word, [*allowed, *range(first + 1, here), here])
            stage = self._stage[word]
            self._finish[word] = (start if stage == first else 0.0) + self._delay[word]

    def _move(self, word: int, stages: list[int]) -> None:
        """Put ``word`` into the stage of least cost, the first of equals."""
        if len(stages) == 1:
            return
        before = self._stage[word]
        width, reads = self._width[word], self._reads[word]
        others: list[tuple[int, int]] = []
        for x in reads:
            self._uses[x][before] -= 1
            others.append((self._last_use(x), self._width[x]))
        best = min(stages, key=lambda t: sum(max(t - last, 0) * bits for last, bits in others) - t * width)
        self._stage[word] = best
        for x in reads:
            self._uses[x][best] += 1
