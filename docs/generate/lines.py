"""The length of lines in blocks of code."""

from __future__ import annotations

import textwrap

COLUMNS = 106
"""Characters that fit into the column of the text beside both side bars, on screens of 1300 pixels and more."""


def broken(text: str) -> str:
    """A printed text whose longer lines go on in the next one, indented, and as comments if they are some."""
    lines: list[str] = []
    for line in text.splitlines():
        margin = line[: len(line) - len(line.lstrip())]
        lines += [line] if len(line) <= COLUMNS else _parts(line, margin)
    return "\n".join(lines) + ("\n" if text.endswith("\n") else "")


def _parts(line: str, margin: str) -> list[str]:
    next_line = margin + ("# " if line.startswith(f"{margin}# ") else "    ")
    return textwrap.wrap(line, COLUMNS, subsequent_indent=next_line, break_long_words=False, break_on_hyphens=False)
