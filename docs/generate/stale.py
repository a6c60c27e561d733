"""Which measured figures of the documentation are older than the code that makes circuits: ``make stale``.

In: the dates of the last measurement, in the table of docs/benchmarks.md and in the scenarios' ``results.json``. Out: a line for
each, with the number of commits since then that changed circuits, and the command that measures again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generate.hooks import ROOT

BENCHMARKS = Path("docs") / "benchmarks.md"
CIRCUITS = tuple(f"src/bitsmith/{room}" for room in ("dataflow", "estimate", "mapping", "netlist", "passes", "rtl"))
"""The sources that figures of circuits follow from."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of a page, the command that measures them, and the date of the last time, as in 2026-11-20."""

    page: str
    command: str
    date: str

    def commits_since(self, root: Path = ROOT) -> int:
        """Number of commits that changed circuits after that day."""
        command = ["git", "rev-list", "--count", f"--since={self.date}T23:59:59", "HEAD", "--", *CIRCUITS]
        return int(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def measured(root: Path = ROOT) -> Iterator[Measured]:
    """All measured figures."""
    text = (root / BENCHMARKS).read_text(encoding="utf-8")
    for command, page, date in re.findall(r"^\| (`.+?) \| .+? \| (.+?) \| (\d{4}-\d\d-\d\d) \|$", text, re.MULTILINE):
        target = re.sub(r"\[.+?\]\((.+?)\)", r"\1", page)
        where = f"{BENCHMARKS.name}{target}" if target.startswith("#") else target
        yield Measured(where, command.replace("`", ""), date)
    for path in sorted((root / "examples").glob("*/results.json")):
        date = json.loads(path.read_text(encoding="utf-8"))["measured"]
        yield Measured(f"examples/{path.parent.name}", f"make scenario-{path.parent.name} RENEW=--renew", date)


def main() -> None:
    """Print the list, the oldest first."""
    for one in sorted(measured(), key=lambda one: one.date):
        number = one.commits_since()
        verdict = f"stale, {number} commits changed circuits since {one.date}: {one.command}"
        sys.stdout.write(f"{one.page}: {verdict if number else 'as the code is'}\n")


if __name__ == "__main__":
    main()
