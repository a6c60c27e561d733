"""Greatest flows through networks, and the least cuts that they find."""

from __future__ import annotations

from collections import deque


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
