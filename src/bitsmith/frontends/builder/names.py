"""Names of nodes, which are given once each."""

from __future__ import annotations


class UniqueNames:
    """Hands out names, with a number where they are taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def take(self, *wanted: str) -> str:
        """The first of ``wanted`` that is free, else the last with a number."""
        for name in wanted:
            if name not in self._taken:
                self._taken.add(name)
                return name
        count = self._counts.get(wanted[-1], 0) + 1
        while f"{wanted[-1]}_{count}" in self._taken:
            count += 1
        self._counts[wanted[-1]] = count
        return self.take(f"{wanted[-1]}_{count}")


def joined_names(*names: str) -> str:
    """The names that are not empty, with underscores between."""
    return "_".join(filter(None, names))
