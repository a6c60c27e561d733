"""A network's layers in the language DOT of Graphviz, which this package does not need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.report.figures.picture import Content, Direction, lines_of
from bitsmith.report.summary import Design


@dataclass(frozen=True, slots=True)
class Dot:
    """The text of a graph; ``dot -Tsvg`` draws it."""

    text: str

    def to_string(self) -> str:
        """The text."""
        return self.text

    def write(self, path: str | Path) -> None:
        """Write the text into a file.

        Raises:
            ProjectError: it cannot be written.
        """
        write_atomically(Path(path), self.text.encode())

    def __str__(self) -> str:
        return self.text


def dot(design: Design, content: Content, direction: Direction) -> Dot:
    """The layers of ``design``, with what flows between them."""
    numbers = {row.name: f"n{k}" for k, row in enumerate(design.layers)}
    lines = [f"digraph {_quoted(design.name)} {{", f"  rankdir={direction};", "  node [shape=box];"]
    for row in design.layers:
        label = _quoted("\n".join(lines_of(row, content)))
        lines.append(f"  {numbers[row.name]} [label={label}];")
        lines += [f"  {numbers[source]} -> {numbers[row.name]};" for source in row.inputs if source in numbers]
    return Dot("\n".join([*lines, "}"]) + "\n")


def _quoted(text: str) -> str:
    """``text`` as a quoted string of DOT, where a backslash starts an escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
