"""Places pipeline registers so that there are as few bits of them as the stages allow: an exact optimum.

In: which words must be how many stages before which others, and where words are now. Out: the stage of every word. The bits
of registers are a function of the stages that is L-natural-convex, so that a placement is optimal if no set of words can move by
one stage together and save bits (K. Murota, "Discrete Convex Analysis", 2003). The best such set is a closure of greatest weight,
which a minimum cut gives (J. Picard, 1976); stages that fit the clock are differences as of C. Leiserson and J. Saxe (1991).
The greatest flow through a network finds its least cut.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


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


class Flow:
    """A network of nodes 0, 1, ... and arcs with integer capacities; ``run`` is Dinic's algorithm (1970)."""

    def __init__(self, nodes: int) -> None:
        self._arcs: list[list[int]] = [[] for _ in range(nodes)]
        self._head: list[int] = []
        self._left: list[int] = []

    def add(self, tail: int, head: int, capacity: int) -> None:
        """An arc from ``tail`` to ``head``."""
        for node, other, left in ((tail, head, capacity), (head, tail, 0)):
            self._arcs[node].append(len(self._head))
            self._head.append(other)
            self._left.append(left)

    def run(self, source: int, sink: int) -> int:
        """The greatest flow."""
        total = 0
        while (level := self._levels(source))[sink] >= 0:
            following = [0] * len(self._arcs)
            while pushed := self._push(source, sink, level, following):
                total += pushed
        return total

    def reached(self, source: int) -> list[int]:
        """The nodes on the source's side of the least cut, after ``run``."""
        return [node for node, level in enumerate(self._levels(source)) if level >= 0]

    def _levels(self, source: int) -> list[int]:
        """Return the distance of each node in arcs with capacity left; -1 if there is no path."""
        level = [-1] * len(self._arcs)
        level[source] = 0
        queue = deque((source,))
        while queue:
            node = queue.popleft()
            for arc in self._arcs[node]:
                head = self._head[arc]
                if self._left[arc] and level[head] < 0:
                    level[head] = level[node] + 1
                    queue.append(head)
        return level

    def _push(self, source: int, sink: int, level: list[int], following: list[int]) -> int:
        """Send as much as one way takes that rises from level to level; 0 if there is none."""
        way: list[int] = []
        node = source
        while node != sink:
            arcs = self._arcs[node]
            while following[node] < len(arcs):
                arc = arcs[following[node]]
                if self._left[arc] and level[self._head[arc]] == level[node] + 1:
                    break
                following[node] += 1
            else:
                if not way:
                    return 0
                node = self._head[way.pop() ^ 1]
                following[node] += 1
                continue
            way.append(arc)
            node = self._head[arc]
        pushed = min(self._left[arc] for arc in way)
        for arc in way:
            self._left[arc] -= pushed
            self._left[arc ^ 1] += pushed
        return pushed
