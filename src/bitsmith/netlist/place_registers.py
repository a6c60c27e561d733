"""Places pipeline registers so that there are as few bits of them as the stages allow: an exact optimum.

In: which words must be how many stages before which others, and where words are now. Out: the stage of every word. The bits
of registers are a function of the stages that is L-natural-convex, so that a placement is optimal if no set of words can move by
one stage together and save bits (K. Murota, "Discrete Convex Analysis", 2003). The best such set is a closure of greatest weight,
which a minimum cut gives (J. Picard, 1976); stages that fit the clock are differences as of C. Leiserson and J. Saxe (1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.netlist.flow import Flow


@dataclass(frozen=True, slots=True)
class Placement:
    """Words that are to be placed, by number.

    ``gaps`` are (u, v, k): word v is at least k stages after u. ``reads`` are (u, v): v reads u, which is held until then. A word
    of ``last`` is held until that stage in any case; one of ``fixed`` stays where it is.
    """

    widths: Sequence[int]
    stages: int
    gaps: Sequence[tuple[int, int, int]]
    reads: Sequence[tuple[int, int]]
    last: dict[int, int]
    fixed: frozenset[int]


def fewest_registers(placement: Placement, stage: Sequence[int]) -> list[int]:
    """The stages of words with fewest bits of registers, from those of a placement that keeps all gaps."""
    search = _Search(placement, stage)
    while search.move(1) or search.move(-1):
        pass
    return search.stage


class _Search:
    """Stages of words, and until when each is held; ``until[u]`` is the latest of its readers."""

    def __init__(self, placement: Placement, stage: Sequence[int]) -> None:
        self._placement = placement
        self.stage = list(stage)
        self._until = list(stage)
        for u, v in placement.reads:
            self._until[u] = max(self._until[u], stage[v])
        for u, last in placement.last.items():
            self._until[u] = last

    def move(self, step: int) -> bool:
        """Move the best set of words by ``step`` stages; False if no set saves bits.

        Node u of the network stands for the word's stage, node count + u for the stage until which it is held.
        """
        problem, stage, until = self._placement, self.stage, self._until
        count = len(stage)
        source, sink = 2 * count, 2 * count + 1
        flow = Flow(2 * count + 2)
        limit = problem.stages - 1 if step > 0 else 0
        endless = sum(problem.widths) + 1
        for u, width in enumerate(problem.widths):
            gains, costs = (u, count + u) if step > 0 else (count + u, u)
            flow.add(source, gains, width)
            flow.add(costs, sink, width)
            if u in problem.fixed or stage[u] == limit:
                flow.add(u, sink, endless)
            if u in problem.last:
                flow.add(count + u, sink, endless)

        def follows(first: int, second: int) -> None:
            """The second node moves up with the first, and the first down with the second."""
            flow.add(*((first, second) if step > 0 else (second, first)), endless)

        for u, v, gap in problem.gaps:
            if stage[v] - stage[u] == gap:
                follows(u, v)
        for u, v in problem.reads:
            if until[u] == stage[v]:
                follows(v, count + u)
        for u in range(count):
            if until[u] == stage[u]:
                follows(u, count + u)
        saved = sum(problem.widths) - flow.run(source, sink)
        if saved == 0:
            return False
        for node in flow.reached(source):
            if node < count:
                stage[node] += step
            elif node < 2 * count:
                until[node - count] += step
        return True
