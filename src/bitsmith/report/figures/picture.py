"""A picture of a network's layers as a file: SVG of our own, PNG and PDF through matplotlib (the extra ``report``), or DOT.

In: a design. Out: bytes, or the text of Graphviz, which this package does not need. Names come from the user's model: they are
escaped, and never read as mathematical markup.
"""

import enum
import io
from dataclasses import dataclass
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.report.figures.drawing import Edge, Frame, Point, diagram
from bitsmith.report.figures.plots import figure
from bitsmith.report.summary import Design, LayerRow
from bitsmith.report.template import rendered
from bitsmith.report.terminal import constant_text, left_text, range_text

_LINE_PX, _PADDING_PX, _CHAR_PX, _FONT_PX = 17.0, 9.0, 6.9, 12.0
_LEAST_CHARS, _MOST_CHARS = 14, 44
_PX_PER_IN, _POINTS_PER_IN = 96.0, 72.0
_MOST_RASTER_PX = 60_000
"""matplotlib refuses pictures of 2**16 pixels."""
_TIP = 8.0
_LINE, _TEXT, _SOFT, _STROKE, _FILL, _EMPTY = "#7b8896", "#1b2430", "#5a6675", "#2b6a99", "#e8f0f6", "#f5f7f9"


class Direction(enum.StrEnum):
    """Direction in which the network flows."""

    DOWN = "TB"
    RIGHT = "LR"


class Format(enum.StrEnum):
    """Kinds of files, by the ending of the name."""

    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a layer's box, besides its type."""

    names: bool = True
    shapes: bool = False
    precision: bool = False


@dataclass(frozen=True, slots=True)
class _Box:
    """``x`` and ``y`` are of the left upper corner; the first line is the title."""

    x: float
    y: float
    lines: tuple[str, ...]
    empty: bool
    output: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes of one size, and the connections between them.

    As the value of a notebook's cell it is drawn.
    """

    width: float
    height: float
    box_width: float
    box_height: float
    direction: Direction
    boxes: tuple[_Box, ...]
    edges: tuple[Edge, ...]

    def __repr__(self) -> str:
        return f"<Picture of {len(self.boxes)} layers>"

    def _repr_svg_(self) -> str:
        return svg(self).decode()

    def texts(self, box: _Box) -> list[tuple[float, float, str]]:
        """The lines of a box, each with its middle."""
        top = box.y + (self.box_height - _LINE_PX * len(box.lines)) / 2
        return [(box.x + self.box_width / 2, top + _LINE_PX * (k + 0.5), line) for k, line in enumerate(box.lines)]

    def tip(self, at: Point) -> tuple[Point, Point, Point]:
        """The triangle of an arrow that ends in ``at``."""
        corners = ((0.0, 0.0), (-_TIP / 2, -_TIP), (_TIP / 2, -_TIP))
        return tuple(  # type: ignore[return-value]
            (at[0] + x, at[1] + y) if self.direction is Direction.DOWN else (at[0] + y, at[1] + x) for x, y in corners
        )


def picture(design: Design, content: Content, direction: Direction) -> Picture:
    """The layers of ``design`` in levels, each after all that it reads."""
    lines = {row.name: lines_of(row, content) for row in design.layers}
    chars = max([_LEAST_CHARS, *(len(line) for text in lines.values() for line in text)])
    width = 2 * _PADDING_PX + _CHAR_PX * chars
    height = 2 * _PADDING_PX + _LINE_PX * max([1, *(len(text) for text in lines.values())])
    down = direction is Direction.DOWN
    frame = Frame(width, height, behind=0) if down else Frame(height, width, behind=0)
    drawn = diagram(design.layers, design.outputs, frame)

    def placed(point: Point) -> Point:
        return point if down else (point[1], point[0])

    boxes = []
    for box in drawn.boxes:
        x, y = placed((box.x - frame.box_width / 2, box.y))
        boxes.append(_Box(x, y, lines[box.layer.name], box.empty, box.output))
    edges = drawn.edges if down else tuple(edge.turned for edge in drawn.edges)
    return Picture(*placed((drawn.width, drawn.height)), width, height, direction, tuple(boxes), edges)


def lines_of(row: LayerRow, content: Content) -> tuple[str, ...]:
    """Return the lines of a layer's box."""
    lines = [row.name] if content.names else []
    lines.append(row.title)
    if content.shapes:
        lines.append(f"shape {row.shape_text}")
        if row.parameters:
            lines.append(f"{row.parameters:,} parameters, {100 * row.nonzero / row.parameters:.0f} % not zero")
    if content.precision:
        lines += [constant_text(constant) for constant in row.constants]
        if row.result is None:
            lines.append(left_text(row))
        else:
            point = "scaled" if row.result.scaled else f"{row.result.frac} fractional bits"
            lines.append(f"result {row.result.short}, {point}")
            lines.append(range_text(row.result.lo, row.result.hi))
    return tuple(_shown(line) for line in lines)


def _shown(text: str) -> str:
    """``text`` shortened, without characters that XML or fonts lack."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"


def svg(drawn: Picture) -> bytes:
    """``drawn`` as a file of SVG 1.1."""
    return rendered("picture.svg", drawn=drawn, colors=(_LINE, _TEXT, _SOFT, _STROKE, _FILL, _EMPTY)).encode()


def plotted(drawn: Picture, kind: Format, dpi: float) -> bytes:
    """``drawn`` as a PNG (of ``dpi`` dots per inch, fewer if it is very large) or PDF file.

    Raises:
        ToolMissingError: matplotlib is not installed.
    """
    shown = figure(drawn.width / _PX_PER_IN, drawn.height / _PX_PER_IN)
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path as Curve

    shown.set_layout_engine("none")
    axes = shown.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, drawn.width)
    axes.set_ylim(drawn.height, 0.0)
    axes.axis("off")
    codes = [Curve.MOVETO, Curve.LINETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    for edge in drawn.edges:
        axes.add_patch(PathPatch(Curve(edge.points, codes), fill=False, edgecolor=_LINE, linewidth=1.05))
        if edge.arrives:
            axes.add_patch(Polygon(drawn.tip(edge.points[-1]), facecolor=_LINE, linewidth=0))
    for box in drawn.boxes:
        axes.add_patch(
            FancyBboxPatch(
                (box.x + 6, box.y + 6),
                drawn.box_width - 12,
                drawn.box_height - 12,
                boxstyle="round,pad=6",
                facecolor=_EMPTY if box.empty else _FILL,
                edgecolor=_LINE if box.empty else _STROKE,
                linewidth=1.8 if box.output else 0.75,
            )
        )
        for k, (x, y, line) in enumerate(drawn.texts(box)):
            axes.text(
                x,
                y,
                line,
                ha="center",
                va="center",
                parse_math=False,
                fontsize=_FONT_PX * _POINTS_PER_IN / _PX_PER_IN,
                fontweight="bold" if k == 0 else "normal",
                color=_TEXT if k == 0 else _SOFT,
            )
    out = io.BytesIO()
    most = _MOST_RASTER_PX * _PX_PER_IN / max(drawn.width, drawn.height)
    shown.savefig(out, format=kind.value, dpi=min(dpi, most))
    return out.getvalue()


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
