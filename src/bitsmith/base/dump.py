"""Texts of what is between the steps of a translation, for whoever looks for a mistake in one.

Where the environment variable ``BITSMITH_DUMP`` names a folder, each step writes what it made into it, as files that are
numbered in order: ``000-network.txt``, ``001-network-laid-out.txt`` and so on. Knows nothing of what it writes.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "BITSMITH_DUMP"


def dumping() -> bool:
    """Return True if texts are wanted, so that steps must not be skipped."""
    return bool(os.environ.get(VARIABLE))


def dumped(name: str, value: T, text: Callable[[T], str]) -> T:
    """``value``, after writing its ``text`` as the next file, called ``name``, if texts are wanted."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        folder = Path(wanted)
        folder.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in folder.glob("[0-9]*-*.txt"))
        (folder / f"{number:03}-{name}.txt").write_text(text(value), encoding="utf-8", newline="\n")
    return value
