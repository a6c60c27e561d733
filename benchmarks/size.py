"""Lines of code per package, and the difference to another revision: ``python benchmarks/size.py [REVISION]``.

Blank lines and comments count: they are read, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CODE = {".py", ".sv", ".v", ".h", ".cpp"}


def room(path: PurePosixPath) -> str | None:
    """Return the package, or the other part of the project, that ``path`` counts for; None if it is not code."""
    if path.suffix not in CODE:
        return None
    if path.parts[:2] != ("src", "bitsmith"):
        return path.parts[0] if path.parts[0] in {"tests", "benchmarks", "docs"} else None
    inside = path.parts[2:-1]
    if not inside:
        return "src/bitsmith (modules)"
    return "/".join(("src/bitsmith", *inside[: 2 if inside[0] == "frontends" else 1]))


def git(*arguments: str) -> str:
    """Return what git prints in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def counted(lines: Iterable[tuple[str, int]]) -> Counter[str]:
    """Return the lines of each room, and of all of ``src``, from (path, lines) pairs."""
    total: Counter[str] = Counter()
    for name, number in lines:
        where = room(PurePosixPath(name))
        if where is not None:
            total[where] += number
            if where.startswith("src"):
                total["src, all"] += number
    return total


def working_tree() -> Counter[str]:
    """Return the lines of the files that git tracks or would add, as they are now."""
    names = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return counted(
        (name, (ROOT / name).read_bytes().count(b"\n"))
        for name in names
        if room(PurePosixPath(name)) and (ROOT / name).is_file()
    )


def at(revision: str) -> Counter[str]:
    """Return the lines of ``revision``: those that an empty tree would gain."""
    empty = git("hash-object", "-t", "tree", "/dev/null").strip()
    rows = (line.split("\t") for line in git("diff", "--numstat", "--no-renames", empty, revision).splitlines())
    return counted((name, int(added)) for added, _, name in rows if added != "-")


def main(revision: str = "main") -> None:
    """Print the table."""
    now, before = working_tree(), at(revision)
    table = Table("", "lines", f"against {revision}")
    for name in sorted(now | before):
        difference = now[name] - before[name]
        table.add_row(
            name, f"{now[name]:,}", f"{difference:+,}" if difference else "", style="bold" if "all" in name else ""
        )
    Console().print(table)


if __name__ == "__main__":
    main(*sys.argv[1:2])
