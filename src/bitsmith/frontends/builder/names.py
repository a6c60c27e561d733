"""Names of nodes, which are given once each, and which anything may print: generated code and reports have them in comments."""


def printable(name: str) -> str:
    """``name`` with ``_`` for control characters, marks that change the order of a text, and what else has no shape."""
    return name if name.isprintable() else "".join(each if each.isprintable() else "_" for each in name)


class UniqueNames:
    """Hands out names, with a number where they are taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def take(self, *wanted: str) -> str:
        """The first of ``wanted`` that is free, else the last with a number, as it can be printed."""
        wanted = tuple(map(printable, wanted))
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
